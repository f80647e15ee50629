"""Pictures whose pixels are right and which look otherwise: none may be called the same."""

from __future__ import annotations

import copy
import dataclasses
import io
import itertools
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from gan_infer import DataError, Generator
from gan_infer.apps import verification
from gan_infer.outputs import animation
from gan_infer.outputs.image import encode, enlarge, save, to_pil
from gan_infer.provenance.record import embed, read
from tests.conftest import CONDITIONAL, RGBA, UNCONDITIONAL, Kind

Forge = Callable[[bytes], bytes]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


# PNG, piece by piece.


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks_of(body: bytes) -> list[tuple[bytes, bytes]]:
    place, found = len(SIGNATURE), []
    while place < len(body):
        length, kind = struct.unpack_from(">I4s", body, place)
        found.append((kind, body[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return SIGNATURE + b"".join(chunk(*each) for each in chunks)


def before_pixels(kind: str, data: bytes | str = b"") -> Forge:
    """Put a chunk before the pixels."""
    inside = bytes.fromhex(data) if isinstance(data, str) else data

    def forge(body: bytes) -> bytes:
        chunks = chunks_of(body)
        at = [each[0] for each in chunks].index(b"IDAT")
        return joined([*chunks[:at], (kind.encode(), inside), *chunks[at:]])

    return forge


def behind_pixels(kind: str, data: bytes = b"") -> Forge:
    return lambda body: joined([*chunks_of(body)[:-1], (kind.encode(), data), (b"IEND", b"")])


def repainted(mode: str, change: Callable[[np.ndarray], np.ndarray]) -> Forge:
    """Change the pixels in another mode, and keep the texts."""

    def forge(body: bytes) -> bytes:
        with Image.open(io.BytesIO(body)) as image:
            array = change(np.array(image.convert(mode)))
        return with_texts_of(body, saved(Image.fromarray(array, mode)))

    return forge


def with_texts_of(body: bytes, other: bytes) -> bytes:
    header, *rest = chunks_of(other)
    return joined([header, *(each for each in chunks_of(body) if each[0] in (b"tEXt", b"iTXt")), *rest])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_rows(depth: int, rows: Callable[[np.ndarray], np.ndarray], *extra: tuple[bytes, bytes]) -> Forge:
    """Write a grey picture's rows anew, with so many bits a sample."""

    def forge(body: bytes) -> bytes:
        with Image.open(io.BytesIO(body)) as image:
            pixels = rows(np.array(image.convert("L")))
        raw = b"".join(b"\0" + row.tobytes() for row in pixels)
        header = struct.pack(">IIBBBBB", image.width, image.height, depth, 0, 0, 0, 0)
        texts = [each for each in chunks_of(body) if each[0] in (b"tEXt", b"iTXt")]
        pieces = [(b"IHDR", header), *texts, *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
        return joined(pieces)

    return forge


def tiff(*fields: tuple[int, int, int, int], order: str = ">", further: int = 0) -> bytes:
    """Return an EXIF block of fields (tag, type, count, value)."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    block = head + struct.pack(f"{order}IH", 8, len(fields))
    for tag, kind, count, value in fields:
        held = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        block += struct.pack(f"{order}HHI", tag, kind, count) + held
    return block + struct.pack(f"{order}I", further)


def turned(value: int, order: str = ">") -> bytes:
    return tiff((0x0112, 3, 1, value), order=order)


def profile(name: str = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swapped_profile() -> bytes:
    """Return a profile of sRGB whose red and blue are changed for one another."""
    return profile().replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")


def packed_profile(held: bytes) -> bytes:
    return b"x\0\0" + zlib.compress(held)


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" %s/></x:xmpmeta>'
)


def xmp(inside: str, *, packed: bool = False) -> Forge:
    text = (XMP % inside).encode()
    head = b"XML:com.adobe.xmp\0" + (b"\1\0\0\0" if packed else b"\0\0\0\0")
    return before_pixels("iTXt", head + (zlib.compress(text) if packed else text))


def alpha(change: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], np.ndarray]:
    def forge(array: np.ndarray) -> np.ndarray:
        change(array[..., -1])
        return array

    return forge


def same_luma(array: np.ndarray) -> np.ndarray:
    """Return colours that Pillow turns into the same grey."""
    levels = np.arange(256, dtype=np.uint8)
    red, blue = np.meshgrid(levels[::5], levels[::5])
    greens = np.array(Image.fromarray(np.stack([red, red, blue], -1)).convert("L"))
    chosen = {
        int(level): (r, r, b) for level, r, b in zip(greens.ravel(), red.ravel(), blue.ravel(), strict=True)
    }
    coloured = [[chosen.get(int(level), (level,) * 3) for level in row] for row in array[..., 0]]
    return np.array(coloured, np.uint8)


def frame_control(number: int, width: int, height: int, left: int = 0, top: int = 0) -> bytes:
    return struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, 0, 0)


def animated(*, still_too: bool, planned: int = 1, extra: int = 1, short: bool = False) -> Forge:
    """Add frames that show another picture."""

    def forge(body: bytes) -> bytes:
        chunks = chunks_of(body)
        width, height = struct.unpack_from(">II", chunks[0][1])
        at = [each[0] for each in chunks].index(b"IDAT")
        start = [(b"acTL", struct.pack(">II", planned, 0))]
        start += [(b"fcTL", frame_control(0, width, height))] if still_too else []
        frames, number = [], int(still_too)
        for _ in range(extra):
            rows = zlib.compress(bytes((width + 1) * (height // 2 if short else height)))
            frames += [(b"fcTL", frame_control(number, width, height))]
            frames += [(b"fdAT", struct.pack(">I", number + 1) + rows)]
            number += 2
        return joined([*chunks[:at], *start, *chunks[at:-1], *frames, chunks[-1]])

    return forge


def split_pixels(body: bytes) -> bytes:
    chunks = chunks_of(body)
    at = [each[0] for each in chunks].index(b"IDAT")
    data = chunks[at][1]
    parts = [(b"IDAT", data[:9]), (b"tEXt", b"a\0b"), (b"IDAT", data[9:])]
    return joined([*chunks[:at], *parts, *chunks[at + 1 :]])


def without_last_rows(body: bytes) -> bytes:
    """Leave out the rows at the bottom, which Pillow shows as black, as they are."""
    chunks = dict(chunks_of(body))
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    raw = zlib.decompress(chunks[b"IDAT"])
    chunks[b"IDAT"] = zlib.compress(raw[: (width + 1) * (height - 1)])
    return joined(list(chunks.items()))


def paletted(transparent: bytes = b"", *, missing: int = 0) -> Forge:
    def forge(body: bytes) -> bytes:
        with Image.open(io.BytesIO(body)) as image:
            levels = np.array(image.convert("L"))
        raw = b"".join(b"\0" + row.tobytes() for row in levels)
        colours = bytes(np.arange(256, dtype=np.uint8).repeat(3))[: 768 - 3 * missing]
        extra = [(b"PLTE", colours), *([(b"tRNS", transparent)] if transparent else [])]
        header = struct.pack(">IIBBBBB", image.width, image.height, 8, 3, 0, 0, 0)
        texts = [each for each in chunks_of(body) if each[0] in (b"tEXt", b"iTXt")]
        pieces = [(b"IHDR", header), *texts, *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
        return joined(pieces)

    return forge


PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
WIDE = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
PLANES = {"half": 127, "hardly": 254, "none": 0}

PNG_FORGERIES: dict[str, Forge] = {
    "coloured_with_same_luma": repainted("RGB", same_luma),
    "one_coloured_pixel": repainted("RGB", lambda array: _set(array, (3, 4), (0, 0, 40))),
    **{
        f"alpha_{name}": repainted("RGBA", alpha(lambda a, v=value: a.fill(v)))
        for name, value in PLANES.items()
    },
    **{
        f"grey_alpha_{name}": repainted("LA", alpha(lambda a, v=value: a.fill(v)))
        for name, value in PLANES.items()
    },
    "alpha_paints": repainted("RGBA", alpha(lambda a: a[5:20, 8:12].fill(0))),
    "alpha_of_one_pixel": repainted("RGBA", alpha(lambda a: _set(a, (0, 0), 0))),
    **{f"transparent_level_{level}": before_pixels("tRNS", bytes([0, level])) for level in (0, 1, 255)},
    "transparent_level_out_of_range": before_pixels("tRNS", b"\1\0"),
    "transparency_too_long": before_pixels("tRNS", b"\0\0\0\0\0\0"),
    "transparency_behind": behind_pixels("tRNS", b"\0\0"),
    "transparency_twice": lambda body: before_pixels("tRNS", b"\0\0")(before_pixels("tRNS", b"\0\7")(body)),
    "palette_transparent": paletted(bytes(256)),
    "palette_black_transparent": paletted(b"\0"),
    "palette_half_transparent": paletted(b"\x80" * 256),
    "palette_too_short": paletted(missing=256),
    "palette_of_grey": before_pixels("PLTE", bytes(768)),
    **{
        f"gamma_{value}": before_pixels("gAMA", struct.pack(">I", value))
        for value in (0, 1, 22727, 45000, 100000)
    },
    "primaries_wide": before_pixels("cHRM", WIDE),
    "primaries_none": before_pixels("cHRM", bytes(32)),
    "srgb_unknown_intent": before_pixels("sRGB", b"\x09"),
    "srgb_against_gamma": lambda body: before_pixels("gAMA", b"\0\0\x10\0")(
        before_pixels("sRGB", b"\0")(body)
    ),
    "profile_swapped": before_pixels("iCCP", packed_profile(swapped_profile())),
    "profile_lab": before_pixels("iCCP", packed_profile(profile("LAB"))),
    "profile_rubbish": before_pixels("iCCP", packed_profile(b"no profile")),
    "profile_damaged": before_pixels("iCCP", b"x\0\0rubbish"),
    "profile_cut": before_pixels("iCCP", packed_profile(profile()[:200])),
    "profile_huge": before_pixels("iCCP", packed_profile(bytes(2**22))),
    "points_pq": before_pixels("cICP", "09100001"),
    "points_hlg": before_pixels("cICP", "09120001"),
    "points_narrow": before_pixels("cICP", "010d0000"),
    "profile_taken_by_its_name": before_pixels("iCCP", b"ITUR_2100_PQ_FULL\0\0" + zlib.compress(profile())),
    "significant_bits": before_pixels("sBIT", "04"),
    "orientation_as_text": before_pixels("tEXt", b"exif:Orientation\x006"),
    "not_square": before_pixels("pHYs", struct.pack(">IIB", 1, 2, 0)),
    "not_square_in_metres": before_pixels("pHYs", struct.pack(">IIB", 2835, 28350, 1)),
    **{f"turned_{value}": before_pixels("eXIf", turned(value)) for value in range(2, 9)},
    **{f"turned_intel_{value}": before_pixels("eXIf", turned(value, "<")) for value in (3, 6, 8)},
    "turned_behind": behind_pixels("eXIf", turned(6)),
    "turned_as_long": before_pixels("eXIf", tiff((0x0112, 4, 1, 6))),
    "turned_twice": before_pixels("eXIf", tiff((0x0112, 3, 1, 1), (0x0112, 3, 1, 8))),
    "turned_by_name": before_pixels("eXIf", b"Exif\0\0" + turned(6)),
    "exif_rubbish": before_pixels("eXIf", b"rubbish"),
    "exif_cut": before_pixels("eXIf", turned(1)[:14]),
    "exif_thumbnail": before_pixels("eXIf", tiff((0x0112, 3, 1, 1), further=26)),
    "exif_colours": before_pixels("eXIf", tiff((0x013F, 5, 6, 8))),
    "exif_raw": before_pixels("tEXt", b"Raw profile type exif\0\nexif\n 8\n4d4d002a"),
    "exif_raw_packed": before_pixels("zTXt", b"Raw profile type APP1\0\0" + zlib.compress(b"x")),
    "xmp_turned": xmp('tiff:Orientation="6"'),
    "xmp_turned_in_quotes": xmp("tiff:Orientation='3'"),
    "xmp_turned_by_an_element": xmp("><tiff:Orientation>8</tiff:Orientation><a"),
    "xmp_turned_under_a_name": xmp('xmlns:q="http://ns.adobe.com/tiff/1.0/" q:Orientation="6"'),
    "xmp_turned_in_digits": xmp('tiff:Orientation="&#54;"'),
    "xmp_turned_once_of_two": xmp('tiff:Orientation="1" q:Orientation="6"'),
    "xmp_turned_packed": xmp('tiff:Orientation="6"', packed=True),
    "xmp_entity": lambda body: before_pixels("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<!DOCTYPE x []>")(body),
    "xmp_wide": before_pixels(
        "iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + 'tiff:Orientation="6"'.encode("utf-16")
    ),
    "xmp_thumbnail": xmp("><xmp:Thumbnails>x</xmp:Thumbnails><a"),
    "xmp_gain_map": xmp('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'),
    "xmp_raw_settings": xmp('xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"'),
    "xmp_panorama": xmp('xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'),
    "second_record": before_pixels("tEXt", b'ganforge\0{"provenance":"1.0"}'),
    "second_record_in_xmp": xmp('ganforge:record="{}"'),
    **{
        f"chunk_{kind}": before_pixels(kind, bytes(28))
        for kind in ("iDOT", "sTER", "oFFs", "vpAg", "caNv", "sCAL")
    },
    **{f"chunk_{kind}": before_pixels(kind, bytes(24)) for kind in ("mDCV", "mDCv", "cLLI", "pCAL", "gmAP")},
    "animated_other_picture": animated(still_too=False),
    "animated_in_addition": animated(still_too=True, planned=2),
    "animated_more_than_planned": animated(still_too=True, planned=1, extra=1),
    "animated_less_than_planned": animated(still_too=False, planned=3),
    "animated_many": animated(still_too=False, planned=5, extra=5),
    "animated_short": animated(still_too=False, short=True),
    "animation_of_none": before_pixels("acTL", bytes(8)),
    "animation_behind": behind_pixels("acTL", struct.pack(">II", 1, 0)),
    "frame_without_animation": before_pixels("fcTL", frame_control(0, 28, 28)),
    "first_frame_smaller": lambda body: before_pixels("fcTL", frame_control(0, 9, 9))(
        before_pixels("acTL", struct.pack(">II", 1, 0))(body)
    ),
    "pixels_in_two_places": split_pixels,
    "fewer_rows": without_last_rows,
    "levels_of_16_bits_read_as_8": with_rows(16, lambda levels: levels.astype(">u2")),
    "transparent_16_bits": with_rows(16, lambda levels: levels.astype(">u2") * 257, (b"tRNS", b"\0\0")),
    "inverted": repainted("L", lambda levels: 255 - levels),
    "mirrored": repainted("L", lambda levels: levels[:, ::-1].copy()),
}

PNG_NEUTRAL: dict[str, tuple[Forge, str]] = {
    "as_rgb": (repainted("RGB", lambda array: array), ""),
    "as_rgba": (repainted("RGBA", lambda array: array), ""),
    "as_grey_and_alpha": (repainted("LA", lambda array: array), ""),
    "as_palette": (paletted(), ""),
    "as_opaque_palette": (paletted(b"\xff" * 256), ""),
    "as_16_bits": (with_rows(16, lambda levels: levels.astype(">u2") * 257), "16 bits per sample"),
    "gamma": (before_pixels("gAMA", struct.pack(">I", 45455)), ""),
    "primaries": (before_pixels("cHRM", PRIMARIES), ""),
    "srgb": (before_pixels("sRGB", b"\0"), ""),
    "profile": (before_pixels("iCCP", packed_profile(profile())), "an ICC profile of sRGB"),
    "points": (before_pixels("cICP", "010d0001"), ""),
    "significant_bits": (before_pixels("sBIT", "08"), ""),
    "square": (before_pixels("pHYs", struct.pack(">IIB", 2835, 2835, 1)), ""),
    "upright": (before_pixels("eXIf", turned(1)), "EXIF"),
    "upright_intel": (before_pixels("eXIf", turned(1, "<")), "EXIF"),
    "exif_srgb": (before_pixels("eXIf", tiff((0x8769, 4, 1, 26)) + tiff((0xA001, 3, 1, 1))[8:]), "EXIF"),
    "background": (before_pixels("bKGD", b"\0\xff"), "a chunk bKGD"),
    "time": (before_pixels("tIME", "07e60101000000"), ""),
    "hidden_text": (before_pixels("tEXt", b"Comment\0secret"), "1 text of others"),
    "packed_text": (before_pixels("zTXt", b"Comment\0\0" + zlib.compress(b"secret")), "1 text of others"),
    "unknown_chunk": (before_pixels("abCd", b"\1\2\3"), "a chunk abCd"),
    "xmp_upright": (xmp('tiff:Orientation="1" dc:format="image/png"'), "XMP of others"),
    "xmp_upright_element": (xmp("><tiff:Orientation>1</tiff:Orientation><a"), "XMP of others"),
    "trailing": (lambda body: body + b"PK\3\4 the archive", "16 bytes behind its end"),
    "second_picture": (lambda body: body + saved(Image.new("RGB", (9, 9), "red")), "bytes behind its end"),
}


# JPEG, WebP and GIF, of a grey model and of one in colour.


def segment(number: int, data: bytes) -> Forge:
    """Put a segment of an application (or a comment, 30) behind a JPEG's first one."""

    def forge(body: bytes) -> bytes:
        place = 4 + int.from_bytes(body[4:6], "big")
        return (
            body[:place]
            + b"\xff"
            + bytes([0xE0 + number])
            + struct.pack(">H", len(data) + 2)
            + data
            + body[place:]
        )

    return forge


def behind_record(forge: Forge) -> Forge:
    """Do something to a JPEG behind the segment that holds the record."""

    def forge_behind(body: bytes) -> bytes:
        place = 4 + int.from_bytes(body[4:6], "big")
        place += 2 + int.from_bytes(body[place + 2 : place + 4], "big")
        return body[:place] + forge(b"\xff\xd8\xff\xe0\0\2" + body[place:])[6:]

    return forge_behind


def replaced(old: bytes, new: bytes) -> Forge:
    def forge(body: bytes) -> bytes:
        assert old in body
        return body.replace(old, new, 1)

    return forge


def parted_profile(held: bytes, number: int = 1, count: int = 1) -> bytes:
    return b"ICC_PROFILE\0" + bytes([number, count]) + held


def without_jfif(*others: Forge) -> Forge:
    def forge(body: bytes) -> bytes:
        for other in others:
            body = other(body)
        return body[:2] + body[4 + int.from_bytes(body[4:6], "big") :]

    return forge


def adobe(transform: int) -> Forge:
    return segment(14, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
TURNED_XMP = (XMP % 'tiff:Orientation="6"').encode()
JFIF = b"JFIF\0\1\1"

JPEG_FORGERIES: dict[str, Forge] = {
    **{f"turned_{value}": segment(1, b"Exif\0\0" + turned(value)) for value in range(2, 9)},
    "turned_in_the_second": lambda body: segment(1, b"Exif\0\0" + turned(1))(
        segment(1, b"Exif\0\0" + turned(6))(body)
    ),
    "turned_by_xmp": behind_record(segment(1, XMP_IN_JPEG + TURNED_XMP)),
    "xmp_in_parts": segment(1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
    "profile_swapped": segment(2, parted_profile(swapped_profile())),
    "profile_of_missing_parts": segment(2, parted_profile(profile(), 1, 2)),
    "more_pictures": segment(2, b"MPF\0" + turned(1)),
    "gain_map": segment(2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)),
    "preview": segment(2, b"FPXR\0" + bytes(20)),
    "stereo": segment(3, b"_JPSJPS_" + bytes(20)),
    "boxes": segment(11, b"JP" + struct.pack(">HIII", 1, 1, 20, 0) + b"RESI"),
    "hdr": segment(11, b"HDR_RI ver=11"),
    "photoshop_thumbnail": segment(13, b"Photoshop 3.0\0" + b"8BIM\x04\x0c\0\0" + bytes(30)),
    "photoshop_pixels": segment(13, b"Photoshop 3.0\0" + b"8BIM\x04\x28\0\0" + bytes(12)),
    "jfif_thumbnail": replaced(JFIF + b"\0\0\1\0\1\0\0", JFIF + b"\0\0\1\0\1\1\0"),
    "jfxx_thumbnail": segment(0, b"JFXX\0\x10" + bytes(20)),
    "not_square": replaced(JFIF + b"\0\0\1\0\1", JFIF + b"\0\0\1\0\2"),
    "exif_thumbnail": segment(1, b"Exif\0\0" + tiff((0x0112, 3, 1, 1), further=26)),
    "exif_colours": segment(1, b"Exif\0\0" + tiff((0x8769, 4, 1, 26)) + tiff((0xA001, 3, 1, 2))[8:]),
    "arithmetic": replaced(b"\xff\xc0", b"\xff\xc9"),
    "cut": lambda body: body[:-20],
}
COLOUR_JPEG_FORGERIES: dict[str, Forge] = {
    "adobe_untransformed": adobe(0),
    "adobe_twice": lambda body: adobe(1)(adobe(0)(body)),
    "rgb_by_name": without_jfif(replaced(b"\3\1\x22\0\2\x11\1\3\x11\1", b"\3R\x22\0G\x11\1B\x11\1")),
}
JPEG_NEUTRAL: dict[str, tuple[Forge, str]] = {
    "upright": (segment(1, b"Exif\0\0" + turned(1)), "EXIF"),
    "profile": (segment(2, parted_profile(profile())), "an ICC profile of sRGB"),
    "comment": (segment(30, b"hello"), "a comment"),
    "trailing": (lambda body: body + b"rest", "4 bytes behind its end"),
    "second_picture": (lambda body: body + saved(Image.new("RGB", (9, 9)), "JPEG"), "bytes behind its end"),
    "photoshop_notes": (
        segment(13, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + bytes(4)),
        "Photoshop's notes",
    ),
    "own_number": (segment(7, b"hello"), "an unknown segment"),
}


def riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def with_riff(kind: str, data: bytes, flag: int = 0) -> Forge:
    """Put a chunk at the end of a WebP, or behind its header where the order counts."""

    def forge(body: bytes) -> bytes:
        header = bytearray(body[12:30])
        header[8] |= flag
        piece = riff(kind.encode(), data)
        inside = (
            b"WEBP" + bytes(header) + (piece + body[30:] if kind in ("ICCP", "ALPH") else body[30:] + piece)
        )
        return riff(b"RIFF", inside)

    return forge


def as_webp(
    mode: str, change: Callable[[np.ndarray], np.ndarray], marks: tuple[int, int] = (255, 255)
) -> Forge:
    """Write a WebP without loss, with other pixels; `marks` masks the hints of transparency away."""

    def forge(body: bytes) -> bytes:
        with Image.open(io.BytesIO(body)) as image:
            array = change(np.array(image.convert(mode)))
        made = saved(Image.fromarray(array, mode), "WEBP", lossless=True, exact=True, xmp=xmp_of(body))
        forged = bytearray(made)
        forged[20] &= marks[0]
        forged[forged.index(b"VP8L") + 12] &= marks[1]
        return bytes(forged)

    return forge


def xmp_of(body: bytes) -> bytes:
    start, end = body.index(b"<?xpacket begin"), body.index(b'<?xpacket end="r"?>')
    return body[start : end + len(b'<?xpacket end="r"?>')]


def black_hidden(array: np.ndarray) -> np.ndarray:
    array[array[..., 0] < 30] = (0, 0, 0, 0)
    return array


WEBP_FORGERIES: dict[str, Forge] = {
    **{f"turned_{value}": with_riff("EXIF", turned(value), 8) for value in range(2, 9)},
    "turned_unmarked": with_riff("EXIF", b"Exif\0\0" + turned(6)),
    "turned_by_xmp": with_riff("XMP ", TURNED_XMP),
    "profile_swapped": with_riff("ICCP", swapped_profile(), 0x20),
    "profile_unmarked": with_riff("ICCP", swapped_profile()),
    "transparent": with_riff("ALPH", b"\0" + bytes(28 * 28), 0x10),
    "transparent_unmarked": with_riff("ALPH", b"\0" + bytes(28 * 28)),
    "transparent_twice": lambda body: with_riff("ALPH", b"\0" + b"\xff" * 784)(
        with_riff("ALPH", bytes(785))(body)
    ),
    "lossless_transparent": as_webp("RGBA", black_hidden),
    "lossless_transparent_unmarked": as_webp("RGBA", black_hidden, (0xEF, 255)),
    "lossless_transparent_unhinted": as_webp("RGBA", black_hidden, (255, 0xEF)),
    "lossless_transparent_in_silence": as_webp("RGBA", black_hidden, (0xEF, 0xEF)),
    "second_picture_inside": lambda body: with_riff(
        "VP8L", saved(Image.new("L", (28, 28)), "WEBP", lossless=True)[20:]
    )(body),
    "frames_inside": with_riff("ANMF", bytes(16)),
    "shown_larger": lambda body: body[:45] + bytes([body[45] | 0x40]) + body[46:],
    "lossless_inverted": as_webp("RGB", lambda array: 255 - array),
}
WEBP_NEUTRAL: dict[str, tuple[Forge, str]] = {
    "upright": (with_riff("EXIF", turned(1), 8), "EXIF"),
    "profile": (with_riff("ICCP", profile(), 0x20), "an ICC profile of sRGB"),
    "unknown": (with_riff("ABCD", b"hidden"), "an unknown chunk"),
    "trailing": (lambda body: body + b"rest", "4 bytes behind its end"),
    "lossless": (as_webp("RGB", lambda array: array), ""),
    "lossless_opaque": (as_webp("RGBA", lambda array: array), ""),
}


def gif_parts(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a GIF of one frame into what is before the frame, its head, and the rest."""
    place = body.index(b",\0\0\0\0\x1c\0\x1c\0", 781)
    return body[:place], body[place : place + 10], body[place + 10 :]


def before_frame(piece: bytes) -> Forge:
    return lambda body: gif_parts(body)[0] + piece + b"".join(gif_parts(body)[1:])


def framed(left: int, top: int, width: int, height: int) -> Forge:
    def forge(body: bytes) -> bytes:
        first, head, rest = gif_parts(body)
        return first + b"," + struct.pack("<HHHH", left, top, width, height) + head[9:] + rest

    return forge


def on_a_screen(width: int, height: int) -> Forge:
    return lambda body: body[:6] + struct.pack("<HH", width, height) + body[10:]


def bordered(body: bytes) -> bytes:
    """Cut the black border off, whose place Pillow fills with black and browsers leave empty."""
    with Image.open(io.BytesIO(body)) as image:
        array = np.array(image.convert("L"))
        pixels = np.array(image)
    left, top, right, bottom = Image.fromarray(array).getbbox() or (0, 0, 28, 28)
    first, head, _ = gif_parts(body)
    place = struct.pack("<HHHH", left, top, right - left, bottom - top)
    return first + b"," + place + head[9:] + coded(pixels[top:bottom, left:right]) + b";"


def stopped(body: bytes) -> bytes:
    """Stop the codes of the pixels in the last black rows, and hide that by bytes behind the end."""
    with Image.open(io.BytesIO(body)) as image:
        pixels = np.array(image)
    first, head, _ = gif_parts(body)
    return first + head + coded(pixels[:-1]) + b";" + bytes(100_000)


def coded(pixels: np.ndarray) -> bytes:
    """Return pixels as LZW codes of 9 bits each, in blocks."""
    codes: list[int] = []
    for index, value in enumerate(pixels.ravel()):
        codes += ([256] if index % 200 == 0 else []) + [int(value)]
    held = sum(code << 9 * index for index, code in enumerate([*codes, 257]))
    return b"\x08" + blocks(held.to_bytes(-(-9 * (len(codes) + 1) // 8), "little"))


def blocks(data: bytes) -> bytes:
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def moved() -> Forge:
    """Add a second frame to a GIF."""

    def forge(body: bytes) -> bytes:
        frame = b"!\xf9\4\0\x0a\0\0\0" + b"".join(gif_parts(inverted(body))[1:])
        return body[:-1] + frame

    return forge


def inverted(body: bytes) -> bytes:
    with Image.open(io.BytesIO(body)) as image:
        levels = 255 - np.array(image.convert("L"))
    made = saved(Image.fromarray(levels), "GIF", optimize=False)
    return made if b",\0\0\0\0\x1c\0\x1c\0" in made[781:] else made[:13] + bytes(768) + made[13:]


def controlled(index: int) -> Forge:
    return before_frame(b"!\xf9\4\1\0\0" + bytes([index]) + b"\0")


GIF_FORGERIES: dict[str, Forge] = {
    **{f"transparent_{index}": controlled(index) for index in (0, 1, 9)},
    "not_square": lambda body: body[:12] + b"\x20" + body[13:],
    "text_over_it": before_frame(b"!\1\x0c" + bytes(12) + b"\5hello\0"),
    "profile_swapped": before_frame(b"!\xff\x0bICCRGBG1012" + blocks(swapped_profile())),
    "larger_screen": on_a_screen(40, 28),
    "smaller_screen": on_a_screen(20, 28),
    "border_left_out": bordered,
    "pixels_left_out": stopped,
    "frame_outside": framed(20, 0, 28, 28),
    "two_frames": moved(),
    "rubbish_between": before_frame(b"\0\0\0"),
    "turned_by_xmp": before_frame(b"!\xff\x0bXMP DataXMP" + TURNED_XMP + bytes([1, *range(255, -1, -1), 0])),
}
GIF_NEUTRAL: dict[str, tuple[Forge, str]] = {
    "comment": (before_frame(b"!\xfe\5hello\0"), "a comment"),
    "application": (before_frame(b"!\xff\x0bHELLO123456\5hello\0"), "an extension"),
    "trailing": (lambda body: body + b"rest", "4 bytes behind its end"),
    "repeated": (before_frame(b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"), ""),
    "delayed": (before_frame(b"!\xf9\4\0\x64\0\0\0"), ""),
}


def _set(array: np.ndarray, place: tuple[int, int], value: object) -> np.ndarray:
    array[place] = value
    return array


@pytest.fixture(scope="module")
def digits() -> Generator:
    return Generator.load("digits", device="cpu")


@pytest.fixture(scope="module")
def coloured() -> Generator:
    return Generator.load("cifar10", device="cpu")


@pytest.fixture(scope="module")
def grey(digits: Generator) -> bytes:
    """Return a true PNG of a grey picture, which is black at its borders."""
    return written(digits, "PNG")


def written(generator: Generator, kind: str, seed: int = 7) -> bytes:
    """Return the file of one true picture."""
    label = 7 if generator.metadata.conditional else None
    pixels = generator.sample(1, label=label, seed=seed)[0]
    return embed(encode(pixels, kind), generator.provenance(seed, label))


def judged(body: bytes, generator: Generator, folder: Path) -> verification.Verdict:
    """Verify a forged file; one that cannot be read counts as one that nothing can be said of."""
    path = folder / "forged.png"
    path.write_bytes(body)
    try:
        return verification.verify(path, generator)
    except DataError as error:
        return verification.Verdict(verification.UNSURE, str(error))


REFUSED = (verification.DIFFERENT, verification.UNSURE)


@pytest.mark.parametrize("name", PNG_FORGERIES)
def test_forged_png(name: str, grey: bytes, digits: Generator, tmp_path: Path) -> None:
    forged = PNG_FORGERIES[name](grey)
    assert forged != grey
    assert judged(forged, digits, tmp_path).result in REFUSED


@pytest.mark.parametrize("name", PNG_NEUTRAL)
def test_neutral_png(name: str, grey: bytes, digits: Generator, tmp_path: Path) -> None:
    forge, note = PNG_NEUTRAL[name]
    verdict = judged(forge(grey), digits, tmp_path)
    assert (verdict.result, verdict.detail[:23]) == (verification.SAME, "all 784 pixels are the ")
    assert note in "; ".join(verdict.notes)
    assert bool(verdict.notes) == bool(note)
    assert all(each in verdict.detail for each in verdict.notes)


def forgeries(kind: str, cases: dict[str, Forge]) -> list[object]:
    return [pytest.param(kind, forge, id=f"{kind}-{name}") for name, forge in cases.items()]


@pytest.mark.parametrize(
    ("kind", "forge"),
    [
        *forgeries("JPEG", JPEG_FORGERIES),
        *forgeries("WEBP", WEBP_FORGERIES),
        *forgeries("GIF", GIF_FORGERIES),
    ],
)
def test_forged_in_other_formats(kind: str, forge: Forge, digits: Generator, tmp_path: Path) -> None:
    body = written(digits, kind)
    assert judged(body, digits, tmp_path).result == verification.SAME
    forged = forge(body)
    assert forged != body
    assert judged(forged, digits, tmp_path).result in REFUSED


@pytest.mark.parametrize("forge", COLOUR_JPEG_FORGERIES.values(), ids=COLOUR_JPEG_FORGERIES)
def test_forged_colours_of_jpeg(forge: Forge, unconditional: Generator, tmp_path: Path) -> None:
    forged = forge(written(unconditional, "JPEG"))
    assert judged(forged, unconditional, tmp_path).result in REFUSED


def _written_over(array: np.ndarray, by: int) -> np.ndarray:
    mask = Image.new("L", array.shape[1::-1])
    ImageDraw.Draw(mask).text((4, 4), "FAKE", fill=1)
    return array + by * np.array(mask, np.int16)[..., None]


VEILS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brighter": lambda array: array + 7,
    "darker": lambda array: array - 9,
    "redder": lambda array: array + np.array([11, 0, 0], np.int16),
    "bluer": lambda array: array + np.array([0, 0, 11], np.int16),
    "slanted": lambda array: array + np.linspace(-11, 11, array.shape[1]).astype(np.int16)[:, None],
    "written_over": lambda array: _written_over(array, 12),
    "with_a_darker_square": lambda array: _set(array, (slice(4, 14), slice(4, 14)), array[4:14, 4:14] - 10),
}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("name", VEILS)
def test_losses_hide_no_veil(name: str, kind: str, coloured: Generator, tmp_path: Path) -> None:
    record = dataclasses.replace(coloured.provenance(7, 7), scale=2)
    pixels = enlarge(coloured.sample(1, label=7, seed=7)[0], 2)
    body = embed(encode(pixels, kind), record)
    assert judged(body, coloured, tmp_path).result == verification.SAME
    with Image.open(io.BytesIO(body)) as image:
        array = VEILS[name](np.array(image.convert("RGB"), np.int16)).clip(0, 255).astype(np.uint8)
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    forged = embed(saved(Image.fromarray(array), kind, **options), record)
    verdict = judged(forged, coloured, tmp_path)
    assert verdict.result == verification.DIFFERENT
    assert verdict.largest_difference <= verification.LOSSY_TOLERANCE


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_level_between_machines_is_let_pass(kind: str, digits: Generator, tmp_path: Path) -> None:
    pixels = digits.sample(1, label=7, seed=7)[0]
    pixels[9:21:6, 11] ^= 1
    body = embed(encode(pixels, kind), digits.provenance(7, 7))
    verdict = judged(body, digits, tmp_path)
    assert (verdict.result, verdict.tolerance) == (verification.SAME, verification.LOSSY_TOLERANCE)


def neutral(kind: str, cases: dict[str, tuple[Forge, str]]) -> list[object]:
    return [pytest.param(kind, *case, id=f"{kind}-{name}") for name, case in cases.items()]


@pytest.mark.parametrize(
    ("kind", "forge", "note"),
    [*neutral("JPEG", JPEG_NEUTRAL), *neutral("WEBP", WEBP_NEUTRAL), *neutral("GIF", GIF_NEUTRAL)],
)
def test_neutral_in_other_formats(
    kind: str, forge: Forge, note: str, digits: Generator, tmp_path: Path
) -> None:
    verdict = judged(forge(written(digits, kind)), digits, tmp_path)
    assert verdict.result == verification.SAME
    assert note in "; ".join(verdict.notes)
    assert bool(verdict.notes) == bool(note)


# Animations.

MOVING = {"grey": CONDITIONAL, "colour": UNCONDITIONAL, "alpha": RGBA}


@pytest.fixture(scope="module")
def moving(model_file: Callable[[Kind], Path]) -> dict[str, Generator]:
    return {name: Generator.load(model_file(kind), device="cpu") for name, kind in MOVING.items()}


@pytest.mark.parametrize("model", MOVING)
@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
@pytest.mark.parametrize("rate", [3, 24, 50])
def test_own_animations_are_the_same_at_every_rate(
    model: str, kind: str, rate: int, moving: dict[str, Generator], tmp_path: Path
) -> None:
    path = walked(moving[model], tmp_path / f"x.{kind}", rate)
    verdict = verification.verify(path, moving[model])
    assert (verdict.result, verdict.notes) == (verification.SAME, ())


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_frames_that_are_alike_are_kept_as_one(kind: str, conditional: Generator, tmp_path: Path) -> None:
    generator = conditional
    more = {"way": "line", "steps": 4, "rate": 10}
    record = dataclasses.replace(generator.provenance([5, 5], ["class 1", "class 1"]), kind="walk", more=more)
    path = tmp_path / f"x.{kind}"
    animation.write(generator.sample(1, label=1, seed=5).repeat(4, axis=0), path, 10, record)
    assert verification.verify(path, generator).result == verification.SAME


def walked(generator: Generator, path: Path, rate: int, shown: int = 0) -> Path:
    """Write an animation of four frames that names a rate, and may be shown at another."""
    label = 1 if generator.metadata.conditional else None
    frames = generator.loop([1, 2], 4, label=label)
    record = generator.provenance([1, 2], label)
    record = dataclasses.replace(record, kind="walk", more={"way": "loop", "steps": 4, "rate": rate})
    animation.write(frames, path, shown or rate, record)
    return path


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_another_pace_is_another_animation(kind: str, conditional: Generator, tmp_path: Path) -> None:
    path = walked(conditional, tmp_path / f"x.{kind}", 20, shown=2)
    verdict = verification.verify(path, conditional)
    assert verdict.result == verification.DIFFERENT
    assert "500 ms, where they were made for 50 each" in verdict.detail


@pytest.mark.parametrize(("times", "result"), [((50, 50), "same"), ((50, 5000), "different")])
def test_without_a_rate_the_pace_is_even(
    conditional: Generator, tmp_path: Path, times: tuple[int, int], result: str
) -> None:
    frames = [to_pil(frame) for frame in conditional.loop([1, 2], 2, label=1)]
    record = conditional.provenance([1, 2], 1)
    record = dataclasses.replace(record, kind="walk", more={"way": "loop", "steps": 2})
    body = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=list(times))
    assert judged(embed(body, record), conditional, tmp_path).result == result


def test_a_background_counts_where_something_is_transparent(
    moving: dict[str, Generator], tmp_path: Path
) -> None:
    generator = moving["alpha"]
    body = written(generator, "PNG")
    forged = before_pixels("bKGD", bytes(6))(body)
    assert judged(body, generator, tmp_path).result == verification.SAME
    assert judged(forged, generator, tmp_path).result == verification.UNSURE


def test_a_background_of_a_webp_counts_where_something_is_transparent(
    moving: dict[str, Generator], tmp_path: Path
) -> None:
    generator = moving["alpha"]
    path = walked(generator, tmp_path / "x.webp", 20)
    assert verification.verify(path, generator).result == verification.SAME
    forged = bytearray(path.read_bytes())
    place = forged.index(b"ANIM") + 8
    forged[place : place + 4] = b"\0\0\xff\xff"
    assert judged(bytes(forged), generator, tmp_path).result == verification.UNSURE


@pytest.mark.parametrize("rate", ["fast", 0, -1, 1e9, None, True])
def test_a_rate_that_is_none_is_refused(rate: object, conditional: Generator, tmp_path: Path) -> None:
    path = walked(conditional, tmp_path / "x.webp", 20)
    record = read(path)
    assert record is not None
    forged = dataclasses.replace(record, more={**record.more, "rate": rate})
    animation.write(conditional.loop([1, 2], 4, label=1), path, 20, forged)
    with pytest.raises(DataError, match="that is no 'walk'"):
        verification.verify(path, conditional)


def test_an_animation_without_its_first_frame(conditional: Generator, tmp_path: Path) -> None:
    path = walked(conditional, tmp_path / "x.png", 20)
    chunks = [each for each in chunks_of(path.read_bytes()) if each[0] != b"fcTL" or each[1][:4] != bytes(4)]
    numbers, forged = itertools.count(), []
    for kind, data in chunks:
        number = struct.pack(">I", next(numbers)) if kind in (b"fcTL", b"fdAT") else b""
        forged.append((kind, struct.pack(">II", 3, 0) if kind == b"acTL" else number + data[len(number) :]))
    assert judged(joined(forged), conditional, tmp_path).result in REFUSED


# Records.


@pytest.mark.parametrize("side", [9_000, 65_000])
def test_of_another_size_nothing_is_unpacked(
    side: int, grey: bytes, digits: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    forged = joined([(b"IHDR", header), *chunks_of(grey)[1:]])
    monkeypatch.setattr(zlib, "decompressobj", None)
    path = tmp_path / "forged.png"
    path.write_bytes(forged)
    with pytest.raises(DataError, match="pixels"):
        verification.verify(path, digits)
    path.write_bytes(joined([(b"IHDR", struct.pack(">II", 29, 29) + header[8:]), *chunks_of(grey)[1:]]))
    assert "x29 pixels, where 28x28 pixels were made" in verification.verify(path, digits).detail


def test_a_record_that_names_another_model_of_the_same_file(conditional: Generator, tmp_path: Path) -> None:
    record = dataclasses.replace(conditional.provenance(7, 7), model="cifar10")
    path = tmp_path / "x.png"
    save(conditional.sample(1, label=7, seed=7)[0], path, record)
    verdict = verification.verify(path, conditional)
    assert verdict.result == verification.OTHER_MODEL
    assert "names the model 'cifar10'" in verdict.detail
    assert repr(conditional.name) in verdict.detail


def test_a_foreign_file_may_have_been_renamed(unconditional: Generator, tmp_path: Path) -> None:
    foreign = copy.copy(unconditional)
    foreign.metadata = dataclasses.replace(
        unconditional.metadata, name="other", preparation="a foreign file, read as: x"
    )
    path = tmp_path / "x.png"
    save(unconditional.sample(1, seed=7)[0], path, unconditional.provenance(7))
    assert verification.verify(path, foreign).result == verification.SAME
