"""Checks a PNG or an animated PNG for what changes its look beside its pixels (ISO/IEC 15948:2024)."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from gan_infer.display import exif, icc
from gan_infer.display.findings import Findings

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS: Final = 100_000
_MAX_TEXT: Final = 2**21
_STEP: Final = 2**20

_GREY, _RGB, _PALETTE = 0, 2, 3
_SAMPLES: Final = {_GREY: 1, _RGB: 3, _PALETTE: 1, 4: 2, 6: 4}
# First column and row, and steps between them, of the seven passes of an interlaced picture.
_PASSES: Final = (
    ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
)  # fmt: skip
_SRGB_GAMMA: Final = 45455
_SRGB_PRIMARIES: Final = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
# BT.709 primaries, transfer of sRGB, no matrix, full range.
_SRGB_POINTS: Final = b"\x01\x0d\x00\x01"
# In units of 1/100,000: writers round.
_ROUNDING: Final = 10
_ONCE: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"acTL"))
_BEFORE_PIXELS: Final = frozenset((b"PLTE", b"tRNS", b"acTL"))
# Chunks that some readers act on and others ignore.
_STEERING: Final = {
    b"iDOT": "directions that some readers take its rows by",
    b"sTER": "the mark of a stereo picture",
    b"oFFs": "a place on a larger page",
    b"vpAg": "a larger page",
    b"caNv": "a larger page",
    b"sCAL": "a scale",
    b"pCAL": "a calibration of its levels",
    b"gmAP": "a gain map",
    b"gdAT": "a gain map",
    b"mDCV": "the light of the display that it is made for",
    b"mDCv": "the light of the display that it is made for",
    b"cLLI": "the light that it is made for",
    b"cLLi": "the light that it is made for",
}
# Viewers ignore the content of a profile with this name: PNG's way to PQ before cICP.
_BY_NAME: Final = b"ITUR_2100"
_NOT_NOTED: Final = frozenset((b"IDAT", b"IEND", b"tIME", b"caBX", b"fcTL", b"fdAT"))


@dataclasses.dataclass
class _Png:
    """What the chunks read so far say."""

    findings: Findings
    width: int = 0
    height: int = 0
    depth: int = 8
    colour: int = _GREY
    interlaced: bool = False
    palette: int = 0
    seen: list[bytes] = dataclasses.field(default_factory=list)
    pixels: list[bytes] = dataclasses.field(default_factory=list)
    planned: int | None = None
    sequence: int = 0
    frames: list[tuple[int, int, list[bytes]]] = dataclasses.field(default_factory=list)


def check(body: bytes, findings: Findings) -> int:
    """Note what a PNG's chunks do to its look; return the offset where it ends."""
    png = _Png(findings)
    place = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if len(body) < place + 8:
            break
        length, kind = struct.unpack_from(">I4s", body, place)
        data = body[place + 8 : place + 8 + length]
        place += 12 + length
        _check_chunk(png, kind, data)
        if kind == b"IEND":
            break
    else:
        findings.doubt("holds more pieces than are looked at")
    if b"IEND" not in png.seen:
        findings.add("no end")
    _check_rows(png)
    _check_animation(png)
    return min(place, len(body))


def _check_chunk(png: _Png, kind: bytes, data: bytes) -> None:
    findings, name = png.findings, kind.decode("latin-1")
    if not (kind.isalpha() and kind.isascii()):
        findings.doubt("holds a chunk without a name")
        return
    if (kind in _ONCE and kind in png.seen) or (kind == b"IHDR") != (not png.seen):
        findings.doubt(f"holds a chunk {name} too many")
    if kind == b"IDAT" and kind in png.seen and png.seen[-1] != kind:
        findings.doubt("holds its pixels in two places")
    if kind in _BEFORE_PIXELS and b"IDAT" in png.seen:
        findings.doubt(f"holds a chunk {name} behind its pixels")
    if rule := _RULES.get(kind):
        try:
            rule(png, data)
        except (struct.error, IndexError):
            findings.doubt(f"holds a damaged chunk {name}")
    elif kind in _STEERING:
        findings.doubt(f"holds {_STEERING[kind]}")
    elif kind[:1].isupper() and kind != b"IEND":
        findings.doubt(f"holds a chunk {name} that readers have to know")
    elif kind not in _NOT_NOTED:
        findings.add(f"a chunk {name}")
    png.seen.append(kind)


def _check_header(png: _Png, data: bytes) -> None:
    png.width, png.height, png.depth, png.colour, *ways = struct.unpack(">IIBBBBB", data)
    png.interlaced = ways[2] == 1
    if png.colour not in _SAMPLES or ways[:2] != [0, 0] or ways[2] > 1:
        png.findings.doubt("is of a kind of PNG that is not read here")
    if png.depth == 16:
        png.findings.add("16 bits per sample")


def _check_palette(png: _Png, data: bytes) -> None:
    png.palette = len(data) // 3
    if len(data) % 3 or not data or png.colour in (_GREY, 4):
        png.findings.doubt("holds a palette that is none")
    if png.colour == _PALETTE and png.palette > 2**png.depth:
        png.findings.doubt("holds a palette of too many colours")


def _check_transparency(png: _Png, data: bytes) -> None:
    if png.colour == _PALETTE:
        if not 0 < len(data) <= png.palette:
            png.findings.doubt("names the transparency of colours that it does not have")
        return
    samples = _SAMPLES[png.colour]
    if png.colour not in (_GREY, _RGB) or len(data) != 2 * samples:
        png.findings.doubt("names a transparency that it cannot have")
    elif png.depth != 8 or any(data[::2]):
        png.findings.doubt("names transparent levels in a way that readers differ on")


def _check_gamma(png: _Png, data: bytes) -> None:
    (gamma,) = struct.unpack(">I", data)
    if abs(gamma - _SRGB_GAMMA) > _ROUNDING:
        png.findings.change(f"holds a gamma that changes its levels (gAMA {gamma / 100_000:g})")


def _check_primaries(png: _Png, data: bytes) -> None:
    pairs = zip(struct.unpack(">8I", data), _SRGB_PRIMARIES, strict=True)
    if any(abs(given - wanted) > _ROUNDING for given, wanted in pairs):
        png.findings.change("names primary colours that change its own (cHRM)")


def _check_srgb(png: _Png, data: bytes) -> None:
    if len(data) != 1 or data[0] > 3:
        png.findings.doubt("holds a damaged chunk sRGB")


def _check_profile(png: _Png, data: bytes) -> None:
    name, _, packed = data.partition(b"\0")
    if name.startswith(_BY_NAME):
        png.findings.change(f"names a profile that is taken by its name ({name[:30].decode('latin-1')})")
    profile = _inflate(packed[1:], icc.MAX_BYTES) if packed[:1] == b"\0" else None
    if profile is None:
        png.findings.doubt("holds an ICC profile that cannot be read")
    else:
        icc.check(profile, png.findings)


def _check_points(png: _Png, data: bytes) -> None:
    if data != _SRGB_POINTS:
        png.findings.change("names code points that change its colours (cICP)")


def _check_significant(png: _Png, data: bytes) -> None:
    depth = 8 if png.colour == _PALETTE else png.depth
    if any(bits != depth for bits in data):
        png.findings.doubt("says that fewer of its bits count (sBIT)")


def _check_background(png: _Png, data: bytes) -> None:
    png.findings.behind = True
    png.findings.add("a chunk bKGD")


def _check_density(png: _Png, data: bytes) -> None:
    across, down, _ = struct.unpack(">IIB", data)
    if across != down:
        png.findings.change(f"is stretched by pixels that are not square (pHYs {across}:{down})")


def _check_exif(png: _Png, data: bytes) -> None:
    exif.check(data, png.findings)


def _read_plain_text(png: _Png, data: bytes) -> None:
    keyword, _, text = data.partition(b"\0")
    _note_text(png, keyword, text)


def _read_packed_text(png: _Png, data: bytes) -> None:
    keyword, _, text = data.partition(b"\0")
    _note_text(png, keyword, _inflate(text[1:], _MAX_TEXT))


def _read_international_text(png: _Png, data: bytes) -> None:
    keyword, _, rest = data.partition(b"\0")
    text = rest[2:].split(b"\0", 2)[-1]
    _note_text(png, keyword, _inflate(text, _MAX_TEXT) if rest[0] else text)


def _note_text(png: _Png, keyword: bytes, text: bytes | None) -> None:
    if keyword.lower().startswith(b"raw profile type") or b"orientation" in keyword.lower():
        png.findings.doubt("holds a raw profile, which some readers turn or colour it by")
    elif keyword == b"XML:com.adobe.xmp":
        if text is None:
            png.findings.doubt("holds XMP that cannot be read")
        else:
            png.findings.xmp.append(text)
    else:
        png.findings.texts.append((keyword, text or b""))


def _keep_pixels(png: _Png, data: bytes) -> None:
    png.pixels.append(data)


# Animations.


def _read_plan(png: _Png, data: bytes) -> None:
    png.planned, _ = struct.unpack(">II", data)


def _read_frame(png: _Png, data: bytes) -> None:
    number, width, height, left, top, *_ = struct.unpack(">IIIIIHHBB", data)
    _check_number(png, number)
    if png.planned is None:
        png.findings.doubt("holds frames of no animation")
    if left + width > png.width or top + height > png.height or not width * height:
        png.findings.doubt("holds a frame that does not lie on it")
    if not png.frames and b"IDAT" in png.seen:
        png.findings.change("is an animation that its own still picture is no part of")
    png.frames.append((width, height, []))


def _keep_frame_pixels(png: _Png, data: bytes) -> None:
    _check_number(png, struct.unpack_from(">I", data)[0])
    if png.frames and b"IDAT" in png.seen:
        png.frames[-1][2].append(data[4:])
    else:
        png.findings.doubt("holds frames of no animation")


def _check_number(png: _Png, number: int) -> None:
    if number != png.sequence:
        png.findings.doubt("holds frames out of order")
    png.sequence += 1


def _check_animation(png: _Png) -> None:
    png.findings.frames = max(1, len(png.frames))
    if png.planned is None:
        return
    if png.planned != len(png.frames) or not png.planned:
        png.findings.doubt(f"holds {len(png.frames)} frames, where it says {png.planned}")
        return
    for index, (width, height, parts) in enumerate(png.frames):
        if index or b"IDAT" not in png.seen:
            _check_size(png, width, height, parts)
        elif (width, height) != (png.width, png.height) or parts:
            png.findings.doubt("begins with a frame that is not its still picture")


# Some readers show missing rows black, others transparent.


def _check_rows(png: _Png) -> None:
    _check_size(png, png.width, png.height, png.pixels)


def _check_size(png: _Png, width: int, height: int, parts: Iterable[bytes]) -> None:
    wanted = _count_bytes(png, width, height)
    got = _count_inflated(parts, wanted + 1)
    if got is None:
        png.findings.doubt("holds pixels that are damaged")
    elif got < wanted:
        png.findings.doubt("holds fewer rows than it says")
    elif got > wanted:
        png.findings.add("more rows than it says")


def _count_bytes(png: _Png, width: int, height: int) -> int:
    passes = _PASSES if png.interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * _SAMPLES.get(png.colour, 1) * png.depth // 8))
    return total


def _count_inflated(parts: Iterable[bytes], most: int) -> int | None:
    """Count the inflated bytes, up to `most`; None if they are damaged."""
    stream, total = zlib.decompressobj(), 0
    try:
        for part in parts:
            rest = part
            while rest and total < most and not stream.eof:
                total += len(stream.decompress(rest, min(_STEP, most - total)))
                rest = stream.unconsumed_tail
    except zlib.error:
        return None
    return total


def _inflate(packed: bytes, most: int) -> bytes | None:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, most)
    except zlib.error:
        return None
    return data if stream.eof else None


_RULES: Final[dict[bytes, Callable[[_Png, bytes], None]]] = {
    b"IHDR": _check_header,
    b"PLTE": _check_palette,
    b"IDAT": _keep_pixels,
    b"tRNS": _check_transparency,
    b"gAMA": _check_gamma,
    b"cHRM": _check_primaries,
    b"sRGB": _check_srgb,
    b"iCCP": _check_profile,
    b"cICP": _check_points,
    b"sBIT": _check_significant,
    b"bKGD": _check_background,
    b"pHYs": _check_density,
    b"eXIf": _check_exif,
    b"tEXt": _read_plain_text,
    b"zTXt": _read_packed_text,
    b"iTXt": _read_international_text,
    b"acTL": _read_plan,
    b"fcTL": _read_frame,
    b"fdAT": _keep_frame_pixels,
}
