"""Checks EXIF for what turns or recolours a picture (CIPA DC-008, in the form of TIFF 6.0)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from gan_infer.display.findings import Findings

_PREFIX: Final = b"Exif\0\0"
_ORIENTATION, _COLOUR_SPACE, _FURTHER = 0x0112, 0xA001, 0x8769
_X_RESOLUTION, _Y_RESOLUTION = 0x011A, 0x011B
_SHORT, _RATIONAL = 3, 5
_SRGB: Final = 1
# Fields by which some readers change colours.
_COLOURS: Final = {
    0x012D: "a transfer function",
    0x013E: "a white point",
    0x013F: "primary colours",
    0x0211: "coefficients of its colours",
    0x0214: "a reference for black and white",
    0xA500: "a gamma",
}


class _Field(NamedTuple):
    tag: int
    type: int
    number: int
    value: bytes  # the four bytes in the entry


def check(data: bytes, findings: Findings) -> None:
    """Note what an EXIF block does to a picture; the prefix "Exif" may be missing."""
    data = data.removeprefix(_PREFIX)
    findings.add("EXIF")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        findings.doubt("holds EXIF that cannot be read")
        return
    try:
        place = _read_whole(order, "I", data, 4)
        _check_directory(data, order, place, findings)
        (count,) = struct.unpack_from(f"{order}H", data, place)
        rest = data[place + 2 + 12 * count :][:4]
        if len(rest) == 4 and any(rest):
            findings.doubt("holds a thumbnail of its own, which file managers show")
    except struct.error:
        findings.doubt("holds EXIF that is damaged")


def _check_directory(data: bytes, order: str, place: int, findings: Findings) -> None:
    densities = {}
    for field in _read_fields(data, order, place):
        if field.tag == _ORIENTATION:
            _check_orientation(field, order, findings)
        elif field.tag == _FURTHER:
            _check_further(data, order, field, findings)
        elif field.tag in (_X_RESOLUTION, _Y_RESOLUTION) and field.type == _RATIONAL:
            above, below = struct.unpack_from(f"{order}II", data, _read_whole(order, "I", field.value, 0))
            densities[field.tag] = above / (below or 1)
        else:
            _check_colour(field, order, findings)
    if len(set(densities.values())) > 1:
        findings.doubt("has EXIF of pixels that are not square")


def _check_further(data: bytes, order: str, field: _Field, findings: Findings) -> None:
    for inner in _read_fields(data, order, _read_whole(order, "I", field.value, 0)):
        if inner.tag == _ORIENTATION:
            findings.doubt("names an orientation twice")
        _check_colour(inner, order, findings)


def _check_orientation(field: _Field, order: str, findings: Findings) -> None:
    value = _read_whole(order, "H", field.value, 0)
    if (field.type, field.number, value) != (_SHORT, 1, 1):
        findings.change(f"is turned by its EXIF (orientation {value})")


def _check_colour(field: _Field, order: str, findings: Findings) -> None:
    if field.tag in _COLOURS:
        findings.doubt(f"has EXIF with {_COLOURS[field.tag]}")
    elif field.tag == _COLOUR_SPACE and _read_whole(order, "H", field.value, 0) != _SRGB:
        findings.doubt("has EXIF that names other colours than sRGB")


def _read_fields(data: bytes, order: str, place: int) -> Iterator[_Field]:
    for index in range(_read_whole(order, "H", data, place)):
        yield _Field(*struct.unpack_from(f"{order}HHI4s", data, place + 2 + 12 * index))


def _read_whole(order: str, kind: str, data: bytes, place: int) -> int:
    return int(struct.unpack_from(order + kind, data, place)[0])
