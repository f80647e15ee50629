"""Checks a GIF for what changes its look beside its pixels, and for missing pixels (GIF89a)."""

from __future__ import annotations

import struct
from typing import Final

from gan_infer.display import icc
from gan_infer.display.findings import Findings

SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_SQUARE: Final = (0, 49)
_XMP, _ICC = b"XMP DataXMP", b"ICCRGBG1012"
_KNOWN: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_RESTORE_BACKGROUND, _RESTORE_PREVIOUS = 2, 3
_EXTENSION, _PICTURE, _END = b"!", b",", b";"
_CONTROL, _TEXT, _COMMENT, _APPLICATION = 0xF9, 0x01, 0xFE, 0xFF
# The XMP specification puts it after the packet.
_XMP_TRAILER: Final = bytes([1, *range(255, -1, -1)])


class _Gif:
    """A position in the bytes of a GIF, and what was read before it."""

    def __init__(self, body: bytes, findings: Findings) -> None:
        self.body, self.findings, self.place = body, findings, 13
        self.width, self.height, self.flags, _, self.aspect = struct.unpack_from("<HHBBB", body, 6)
        self.control: bytes = b""
        self.restored = False
        if self.has_table(self.flags):
            self.skip_table(self.flags)

    @staticmethod
    def has_table(flags: int) -> bool:
        return bool(flags & 0x80)

    def skip_table(self, flags: int) -> None:
        self.take(3 << ((flags & 7) + 1))

    def take(self, count: int) -> bytes:
        data = self.body[self.place : self.place + count]
        self.place += count
        if len(data) < count:
            raise IndexError
        return data

    def read_blocks(self) -> bytes:
        parts = []
        while length := self.take(1)[0]:
            parts.append(self.take(length))
        return b"".join(parts)


def check(body: bytes, findings: Findings) -> int:
    """Note what a GIF's blocks do to its look; return the offset where it ends."""
    try:
        gif = _Gif(body, findings)
        if gif.aspect not in _SQUARE:
            findings.change("is stretched by pixels that are not square")
        while (mark := gif.take(1)) != _END:
            if mark == _EXTENSION:
                _check_extension(gif)
            elif mark == _PICTURE:
                _check_frame(gif)
            else:
                findings.doubt("holds what is no part of a GIF")
                break
    except (IndexError, struct.error):
        findings.doubt("ends before its end")
        return len(body)
    return gif.place


def _check_extension(gif: _Gif) -> None:
    kind = gif.take(1)[0]
    start = gif.place
    data = gif.read_blocks()
    if kind == _CONTROL:
        gif.control = data
    elif kind == _TEXT:
        gif.findings.doubt("holds a text that some readers write over it")
    elif kind == _APPLICATION and data[:11] == _XMP:
        # The packet is not cut into blocks.
        gif.findings.xmp.append(gif.body[start + 12 : gif.place - 1].removesuffix(_XMP_TRAILER))
    elif kind == _APPLICATION and data[:11] == _ICC:
        icc.check(data[11:], gif.findings)
    elif kind == _APPLICATION and (data[:11] in _KNOWN or data.startswith(b"C2PA")):
        pass
    else:
        gif.findings.add("a comment" if kind == _COMMENT else "an extension")


def _check_frame(gif: _Gif) -> None:
    findings = gif.findings
    left, top, width, height, flags = struct.unpack("<HHHHB", gif.take(9))
    if gif.has_table(flags):
        gif.skip_table(flags)
    elif not gif.has_table(gif.flags):
        findings.doubt("names no colours")
    least = gif.take(1)[0]
    data = gif.read_blocks()
    whole = (left, top, width, height) == (0, 0, gif.width, gif.height)
    if left + width > gif.width or top + height > gif.height or not width * height:
        findings.doubt("holds a frame that does not lie on it")
    if not whole and (findings.frames == 0 or gif.restored):
        findings.doubt("leaves places empty, which readers fill in their own way")
    if not 1 <= least <= 11 or count_pixels(data, least, width * height) < width * height:
        findings.doubt("holds fewer pixels than it says")
    control = gif.control or b"\0"
    way, transparent = control[0] >> 2 & 7, control[0] & 1
    gif.restored = way == _RESTORE_PREVIOUS or (way == _RESTORE_BACKGROUND and not transparent)
    gif.control = b""
    findings.frames += 1


def count_pixels(data: bytes, least: int, enough: int) -> int:
    """Count the pixels that LZW codes stand for, up to `enough` or to the first invalid code.

    Args:
        data: the codes.
        least: the bits of the smallest code minus one.
        enough: the count at which to stop.
    """
    clear = 1 << least
    lengths: list[int] = []
    bits, before, total = least + 1, 0, 0
    held = count = 0
    for byte in data:
        held |= byte << count
        count += 8
        while count >= bits:
            code = held & ((1 << bits) - 1)
            held >>= bits
            count -= bits
            if code == clear:
                lengths, bits, before = [1] * clear + [0, 0], least + 1, 0
                continue
            if not lengths:  # writers may omit the first clear code
                lengths = [1] * clear + [0, 0]
            if code == clear + 1 or code > len(lengths) or (code == len(lengths) and not before):
                return total
            length = lengths[code] if code < len(lengths) else before + 1
            if before and len(lengths) < 4096:
                lengths.append(before + 1)
                if len(lengths) == 1 << bits and bits < 12:
                    bits += 1
            before = length
            total += length
            if total >= enough:
                return total
    return total
