"""Small files that ask for much: each is refused in one line, or taken, and quickly."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer import DataError
from gan_infer.decoding import decode
from tests.picture_files import blank_png, chunk, directory, encoded, png

SQUARE = np.full((16, 16, 3), 90, np.uint8)
GREY = Image.new("L", (16, 16), 90)
# Of processor time, many times what they take; unbounded, each takes tens of seconds or gigabytes.
MAX_S = 4.0


def prepared(content: bytes, folder: Path) -> tuple[np.ndarray, list[str]]:
    path = folder / "picture"
    path.write_bytes(content)
    remarks: list[str] = []
    return decode.read(path, (16, 16, 3), "crop", None, remarks), remarks


def many_scans(side: int, count: int) -> bytes:
    content = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last = content[[found.start() for found in re.finditer(b"\xff\xda", content)][-1] : -2]
    return content[:-2] + last * count + b"\xff\xd9"


def segments(kind: bytes, content: bytes, count: int = 1) -> bytes:
    part = b"\xff" + kind + struct.pack(">H", len(content) + 2) + content
    jpeg = encoded(GREY, "JPEG")
    return jpeg[:2] + part * count + jpeg[2:]


def packed_text(kind: bytes, size: int, count: int = 1) -> bytes:
    head = b"k\0\1\0\0\0" if kind == b"iTXt" else b"k\0\0"
    return chunk(kind, head + zlib.compress(bytes(size), 9)) * count


def many_tags(count: int, size: int, order: str = "<") -> bytes:
    return directory([(tag, 7, size, 8) for tag in range(count)], order)


def tiles(count: int) -> bytes:
    sides = [(256, 4, 1, 500), (257, 4, 1, 500), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    places = [(322, 4, 1, 1), (323, 4, 1, 1), (324, 4, count, 200), (325, 4, count, 200)]
    return directory(sides + places).ljust(200, b"\0") + struct.pack("<I", 1) * count


def run_lengths(width: int, height: int, content: bytes) -> bytes:
    size = 54 + 1024
    head = struct.pack("<2sIHHI", b"BM", size + len(content), 0, 0, size)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(content), 0, 0, 256, 0)
    return head + bytes(1024) + content


def webp(width: int, height: int) -> bytes:
    packed = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return (
        b"RIFF" + struct.pack("<I", 40) + b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f" + packed + bytes(20)
    )


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "tall strip": (lambda: blank_png(1, 90_000_000, 1, 0, 1), "sides of at most 65,535"),
    "wide strip": (lambda: blank_png(90_000_000, 1, 1, 0, 11_250_000), "sides of at most 65,535"),
    "blank bits": (lambda: blank_png(10_000, 10_000, 1, 0, 1250), "more than 200 per byte"),
    "blank deep colours": (lambda: blank_png(4000, 4000, 16, 6, 32_000), "more than 8 per byte"),
    "chunks": (lambda: png(SQUARE, chunk(b"abCd") * 5000), "thousands of chunks"),
    "texts": (lambda: png(SQUARE, packed_text(b"zTXt", 10**6, 200)), "thousands of chunks"),
    "profiles behind": (lambda: png(SQUARE, b"", packed_text(b"iCCP", 10**6, 200)), "thousands of chunks"),
    "empty pixels": (lambda: png(SQUARE, chunk(b"IDAT") * 510_000), "too many small parts"),
    "comments": (lambda: b"P6\n" + b"# more\n" * 100_000 + b"16 16\n255\n" + bytes(768), "too many small"),
    "spaces": (lambda: b"P6" + b" " * 10**6 + b"16 16\n255\n" + bytes(768), "too many small parts"),
    "long plain map": (lambda: b"P2 4000 4000 9\n" + b"1 " * 100, "16,000,000 values as text"),
    "scans": (lambda: many_scans(64, 3000), "in over 100 scans"),
    "scans of a large one": (lambda: many_scans(1600, 90), "in over 24 scans"),
    "segments": (lambda: segments(b"\xfe", b"", 10_000), "more than 2,000 segments"),
    "fill": (lambda: b"\xff\xd8" + b"\xff" * 10**6 + encoded(GREY, "JPEG")[2:], "too many small parts"),
    "exif": (
        lambda: segments(b"\xe1", b"Exif\0\0" + many_tags(3000, 60_000).ljust(65_000, b"\0")),
        "a directory of tags that name",
    ),
    "second pictures": (
        lambda: segments(b"\xe2", b"MPF\0" + many_tags(3000, 60_000).ljust(65_000, b"\0")),
        "a directory of tags that name",
    ),
    "gif comments": (
        lambda: encoded(GREY, "GIF")[:13] + b"!\xfe\1a\0" * 100_000 + b";",
        "too many small parts",
    ),
    "blank gif": (lambda: encoded(Image.new("L", (4100, 4100)), "GIF"), "more than 200 per byte"),
    "tags": (lambda: many_tags(60_000, 700_000), "a directory of 60,000 tags"),
    "large tags": (lambda: many_tags(4000, 10**6) + bytes(10**6), "a directory of tags that name"),
    "tiles": (lambda: tiles(200_000), "200,000 strips or tiles"),
    "blank fax": (
        lambda: encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4"),
        "more than 200 per byte",
    ),
    "largest webp": (lambda: webp(16_383, 16_383), "has 16383x16383 pixels; at most 100,000,000"),
    "blank webp": (
        lambda: encoded(Image.new("RGB", (4100, 4100)), "WEBP", lossless=True, method=0),
        "more than 200 per byte",
    ),
    "ends of lines": (lambda: run_lengths(60_000, 200, b"\1\1\0\0" * 200 + b"\0\1"), "in run lengths"),
    "single runs": (lambda: run_lengths(2000, 2000, b"\1\1" * 10**6), "too many small parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_too_much_is_refused_in_one_line_and_quickly(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    content = make()
    start = time.process_time()
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        prepared(content, tmp_path)
    assert time.process_time() - start < MAX_S
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "picture"))


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (png(SQUARE, packed_text(b"zTXt", 2**25)), "held a text of more than 1,048,576 bytes"),
        (png(SQUARE, packed_text(b"iTXt", 2**25)), "held a text of more than"),
        (png(SQUARE, b"", packed_text(b"zTXt", 2**25)), "held a text of more than"),
        (png(SQUARE, packed_text(b"iCCP", 2**25)), "held a colour profile of more than"),
        (png(SQUARE, chunk(b"tEXt", b"k\0" + b"a" * 10**7)), ""),
        (png(SQUARE, chunk(b"eXIf", many_tags(60_000, 700_000, ">"))), ""),
        (png(SQUARE, chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff")), ""),
    ],
    ids=["zTXt", "iTXt", "zTXt behind", "iCCP", "tEXt", "eXIf", "broken eXIf"],
)
def test_notes_that_are_too_large_do_not_cost_the_picture(
    content: bytes, remark: str, tmp_path: Path
) -> None:
    start = time.process_time()
    array, remarks = prepared(content, tmp_path)
    assert time.process_time() - start < MAX_S
    assert (array == 90).all()
    assert len(remarks) == bool(remark)
    assert all(one.startswith(remark) for one in remarks)


def test_many_frames_and_pages_cost_no_more_than_the_first(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((16, 16), 90 + index % 100, np.uint8)) for index in range(600)]
    for kind in ("GIF", "PNG", "TIFF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        array, _ = prepared(content, tmp_path)
        assert (array == 90).all(), kind


def test_a_few_more_scans_than_usual_are_decoded(tmp_path: Path) -> None:
    array, _ = prepared(many_scans(64, 60), tmp_path)
    assert (array == 0).all()


def test_pixels_of_small_run_lengths_are_decoded(tmp_path: Path) -> None:
    array, _ = prepared(run_lengths(16, 16, b"\x10\1\0\0" * 16 + b"\0\1"), tmp_path)
    assert (array == 0).all()
