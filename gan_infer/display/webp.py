"""Checks a WebP file for what changes its look beside its pixels (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from gan_infer.display import exif, icc
from gan_infer.display.findings import Findings

_HAS_ALPHA: Final = 0x10
_PICTURES: Final = (b"VP8 ", b"VP8L")
_KNOWN: Final = (b"VP8X", b"ANIM", b"C2PA")
_MAX_CHUNKS: Final = 100_000
# In a VP8L stream, after its mark and size: a hint whether there is transparency.
_HINT_AT, _HINT = 4, 0x10


def is_webp(body: bytes) -> bool:
    """Return whether a file is a WebP, by its first bytes."""
    return body[:4] == b"RIFF" and body[8:12] == b"WEBP"


def check(body: bytes, findings: Findings) -> int:
    """Note what a WebP's chunks do to its look; return the offset where it ends."""
    end = min(len(body), 8 + struct.unpack_from("<I", body, 4)[0])
    kinds = []
    for kind, data, place in _read_chunks(body, 12, end):
        kinds.append(kind)
        if kind == b"VP8 " and any(side >> 14 for side in struct.unpack_from("<HH", data.ljust(10), 6)):
            findings.doubt("asks to be shown larger than it is")
        if place + len(data) > end:
            findings.doubt("ends before its end")
        if kind == b"ANIM" and any(data[:4]):
            findings.behind = True
        if kind == b"ICCP":
            icc.check(data, findings)
        elif kind == b"EXIF":
            exif.check(data, findings)
        elif kind == b"XMP ":
            findings.xmp.append(data)
        elif kind not in (*_PICTURES, *_KNOWN, b"ALPH", b"ANMF"):
            findings.add("an unknown chunk")
    still = sum(kind in _PICTURES for kind in kinds)
    findings.frames = kinds.count(b"ANMF") or 1
    if (still > 0) == (b"ANMF" in kinds) or still > 1 or kinds.count(b"ALPH") > 1:
        findings.doubt("holds more than one still picture, or none")
    if len(kinds) == _MAX_CHUNKS:
        findings.doubt("holds more pieces than are looked at")
    if kinds.count(b"VP8X") > 1 or (b"VP8X" in kinds and kinds[0] != b"VP8X"):
        findings.doubt("holds its header in a wrong place")
    return int(end + end % 2)


def mark_transparent(body: bytes) -> bytes:
    """Set every flag that says a file may be transparent; some readers follow these hints."""
    marked = bytearray(body)
    for kind, data, place in _read_chunks(body, 12, len(body)):
        if kind == b"VP8X" and data:
            marked[place] |= _HAS_ALPHA
        elif kind == b"VP8L":
            _mark(marked, place, data)
        elif kind == b"ANMF":
            for inner, stream, at in _read_chunks(body, place + 16, place + len(data)):
                if inner == b"VP8L":
                    _mark(marked, at, stream)
    return bytes(marked)


def _mark(marked: bytearray, place: int, data: bytes) -> None:
    if len(data) > _HINT_AT:
        marked[place + _HINT_AT] |= _HINT


def _read_chunks(body: bytes, place: int, end: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield type, data and the offset of the data of each chunk."""
    for _ in range(_MAX_CHUNKS):
        if place + 8 > end:
            return
        kind, length = struct.unpack_from("<4sI", body, place)
        yield kind, body[place + 8 : place + 8 + length], place + 8
        place += 8 + length + length % 2
