"""Checks a JPEG for what changes its look beside its pixels (ITU-T T.81, JFIF 1.02)."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from typing import Final

from gan_infer.display import exif, icc
from gan_infer.display.findings import Findings

SIGNATURE: Final = b"\xff\xd8"
_MAX_SEGMENTS: Final = 100_000
_SCAN, _END, _LINES, _COMMENT = 0xDA, 0xD9, 0xDC, 0xFE
_STARTS: Final = range(0xC0, 0xD0)
_NO_STARTS: Final = (0xC4, 0xC8, 0xCC)
_READ_EVERYWHERE: Final = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, in Huffman codes
_WITHOUT_LENGTH: Final = (0x01, *range(0xD0, 0xD9))
_APPLICATION: Final = range(0xE0, 0xF0)
_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC: Final = b"ICC_PROFILE\0"
# Photoshop's resources: thumbnails, and the width of a pixel.
_SHOWN_RESOURCES: Final = (1033, 1036, 1064)
_YCC: Final = 1


@dataclasses.dataclass
class _Jpeg:
    """What the segments read so far say."""

    findings: Findings
    components: bytes = b""
    starts: int = 0
    jfif: bool = False
    transform: int | None = None
    profile: list[bytes] = dataclasses.field(default_factory=list)


def check(body: bytes, findings: Findings) -> int:
    """Note what a JPEG's segments do to its look; return the offset where it ends."""
    jpeg = _Jpeg(findings)
    place = _read_segments(jpeg, body)
    _check_colours(jpeg)
    if jpeg.profile:
        _check_profile(jpeg)
    findings.frames = 1
    return place


def _read_segments(jpeg: _Jpeg, body: bytes) -> int:
    place = 2
    for _ in range(_MAX_SEGMENTS):
        if body[place : place + 1] != b"\xff":
            break
        while body[place + 1 : place + 2] == b"\xff":  # markers may be padded
            place += 1
        kind = body[place + 1] if place + 1 < len(body) else _END
        place += 2
        if kind == _END:
            return place
        if kind in _WITHOUT_LENGTH:
            jpeg.findings.doubt("holds a mark in a wrong place")
            continue
        length = int.from_bytes(body[place : place + 2], "big")
        data = body[place + 2 : place + max(2, length)]
        if length < 2 or len(data) < length - 2:
            break
        _check_segment(jpeg, kind, data)
        place += length
        if kind == _SCAN:
            place = _find_scan_end(body, place)
    jpeg.findings.doubt("ends before its end")
    return len(body)


def _find_scan_end(body: bytes, place: int) -> int:
    """Return the offset of the first marker after the pixels of a scan."""
    while (place := body.find(b"\xff", place)) >= 0:
        following = body[place + 1] if place + 1 < len(body) else 0
        if following == 0 or 0xD0 <= following <= 0xD7:
            place += 2
        elif following == 0xFF:
            place += 1
        else:
            return place
    return len(body)


def _check_segment(jpeg: _Jpeg, kind: int, data: bytes) -> None:
    findings = jpeg.findings
    try:
        if kind in _STARTS and kind not in _NO_STARTS:
            _check_start(jpeg, kind, data)
        elif kind == _LINES:
            findings.doubt("says its height behind its pixels")
        elif kind == _COMMENT:
            findings.add("a comment")
        elif kind in _APPLICATION:
            rule = _RULES.get(kind - _APPLICATION.start)
            if rule is None:
                _note_unknown(jpeg, data)
            else:
                rule(jpeg, data)
    except (struct.error, IndexError):
        findings.doubt("holds a damaged segment")


def _check_start(jpeg: _Jpeg, kind: int, data: bytes) -> None:
    depth, height, _, count = struct.unpack_from(">BHHB", data)
    jpeg.starts += 1
    jpeg.components = data[6 : 6 + 3 * count : 3]
    if jpeg.starts > 1 or kind not in _READ_EVERYWHERE or depth != 8 or not height:
        jpeg.findings.doubt("is of a kind of JPEG that readers differ on")


def _check_colours(jpeg: _Jpeg) -> None:
    """Accept grey, and luma with two chromas if all readers agree on it."""
    count = len(jpeg.components)
    if count == 1:
        return
    if count != 3:
        jpeg.findings.doubt(
            f"has {count} colours (CMYK, it may be), which readers turn into others each in its way"
        )
    elif jpeg.transform not in (None, _YCC):
        jpeg.findings.doubt("says that its colours are not to be transformed, which readers differ on")
    elif not (jpeg.jfif or jpeg.transform == _YCC) and jpeg.components != b"\x01\x02\x03":
        jpeg.findings.doubt("does not say what its colours are")
    elif jpeg.components == b"RGB":
        jpeg.findings.doubt("names colours that readers differ on")


def _check_profile(jpeg: _Jpeg) -> None:
    parts = sorted(jpeg.profile, key=lambda part: part[0])
    if [tuple(part[:2]) for part in parts] != [(index + 1, len(parts)) for index in range(len(parts))]:
        jpeg.findings.doubt("holds an ICC profile in parts that do not fit")
    else:
        icc.check(b"".join(part[2:] for part in parts), jpeg.findings)


# Application segments, by number.


def _check_density(jpeg: _Jpeg, data: bytes) -> None:
    if data.startswith(b"JFIF\0"):
        _, across, down, thumb_across, thumb_down = struct.unpack_from(">BHHBB", data, 7)
        jpeg.jfif = True
        if across != down:
            jpeg.findings.change(f"is stretched by pixels that are not square ({across}:{down})")
        if thumb_across or thumb_down:
            _note_thumbnail(jpeg)
    elif data.startswith(b"JFXX\0"):
        _note_thumbnail(jpeg)
    else:
        _note_unknown(jpeg, data)


def _check_exif_or_xmp(jpeg: _Jpeg, data: bytes) -> None:
    if data.startswith(b"Exif\0"):
        exif.check(data[6:], jpeg.findings)
    elif data.startswith(_XMP):
        jpeg.findings.xmp.append(data.removeprefix(_XMP))
    elif data.startswith(_MORE_XMP):
        jpeg.findings.doubt("holds XMP in parts, as depth and gain maps are")
    else:
        _note_unknown(jpeg, data)


def _keep_profile(jpeg: _Jpeg, data: bytes) -> None:
    if data.startswith(_ICC) and len(data) > len(_ICC) + 2:
        jpeg.profile.append(data.removeprefix(_ICC))
    elif data.startswith(b"MPF\0"):
        jpeg.findings.doubt("holds further pictures (MPF)")
    else:
        jpeg.findings.doubt("holds a profile, preview or gain map that some readers show it by")


def _check_stereo(jpeg: _Jpeg, data: bytes) -> None:
    if data.startswith(b"_JPSJPS_"):
        jpeg.findings.doubt("holds the mark of a stereo picture")
    else:
        _note_unknown(jpeg, data)


def _check_boxes(jpeg: _Jpeg, data: bytes) -> None:
    """Accept C2PA's boxes; others hold what is laid over a picture or adds light to it."""
    if not (data.startswith(b"JP") and data[12:16] == b"jumb"):
        jpeg.findings.doubt("holds boxes that some readers show it by")


def _check_resources(jpeg: _Jpeg, data: bytes) -> None:
    _, mark, rest = data.partition(b"8BIM")
    if not mark:
        _note_unknown(jpeg, data)
    kinds = {int.from_bytes(each[:2], "big") for each in rest.split(b"8BIM")}
    if kinds & set(_SHOWN_RESOURCES):
        jpeg.findings.doubt("holds a thumbnail of its own, or the width of its pixels, by Photoshop")
    elif mark:
        jpeg.findings.add("Photoshop's notes")


def _check_adobe(jpeg: _Jpeg, data: bytes) -> None:
    if data.startswith(b"Adobe"):
        if jpeg.transform not in (None, data[11]):
            jpeg.findings.doubt("says twice what its colours are")
        jpeg.transform = data[11]
    else:
        _note_unknown(jpeg, data)


def _note_unknown(jpeg: _Jpeg, data: bytes) -> None:
    jpeg.findings.add("an unknown segment")


def _note_thumbnail(jpeg: _Jpeg) -> None:
    jpeg.findings.doubt("holds a thumbnail of its own, which file managers show")


_RULES: Final[dict[int, Callable[[_Jpeg, bytes], None]]] = {
    0: _check_density,
    1: _check_exif_or_xmp,
    2: _keep_profile,
    3: _check_stereo,
    11: _check_boxes,
    13: _check_resources,
    14: _check_adobe,
}
