"""Kinds of pixels that Pillow gives in part, the wrong way around, or slowly."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from gan_infer import DataError
from gan_infer.decoding import ranges
from gan_infer.decoding.decode import open_image, prepare
from tests.picture_files import chunk, encoded, png

GREY = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
GREY[0, :2] = 0, 255
COLOUR = np.dstack([GREY, GREY.T, GREY[::-1]])


def shown(content: bytes, channels: int = 1, value_range: str | None = None) -> np.ndarray:
    with open_image(io.BytesIO(content), len(content)) as image:
        array = prepare(image, (16, 16, channels), "crop", ranges.read(value_range))
    return array[..., 0] if channels == 1 else array


def tiff(values: np.ndarray, bits: int, kind: int = 1, photometric: int = 1) -> bytes:
    """Return an uncompressed TIFF; `kind` is 1 for unsigned, 2 for signed numbers, 3 for floats."""
    body = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = [(256, 16), (257, 16), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1)]
    tags += [(278, 16), (279, len(body)), (339, kind)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(body)) + body
    return head + struct.pack("<H", len(tags)) + table + bytes(4)


def twelve_bits(values: np.ndarray) -> np.ndarray:
    """Return two numbers of 12 bits in three bytes each."""
    first, second = values.reshape(-1)[::2], values.reshape(-1)[1::2]
    parts = (first >> 4, (first & 15) << 4 | second >> 8, second & 255)
    return np.stack(parts, -1).astype(np.uint8)


def scaled(white: int) -> np.ndarray:
    return (GREY * (white / 255)).round().astype(np.int64)


@pytest.mark.parametrize(
    ("content", "value_range"),
    [
        (tiff(scaled(65535).astype(np.uint16), 16), None),
        (tiff(scaled(4095).astype(np.int16), 16, kind=2), None),
        (tiff(scaled(32767).astype(np.int16), 16, kind=2), None),
        (tiff((scaled(65535) - 32768).astype(np.int16), 16, kind=2), "-32768:32767"),
        (tiff(scaled(2**32 - 1).astype(np.uint32), 32), "0:4294967295"),
        (tiff(255 - GREY, 8, photometric=0), None),
        (tiff((4095 - scaled(4095)).astype(np.uint16), 16, photometric=0), None),
        (tiff((1 - GREY / 255).astype(np.float32), 32, kind=3, photometric=0), None),
        (tiff(twelve_bits(scaled(4095)), 12), None),
    ],
    ids=[
        *("unsigned", "12 bits, signed", "15 bits, signed", "from below 0", "32 bits"),
        *("white is 0, 8 bits", "white is 0, 12 bits", "white is 0, floats", "12 bits, packed"),
    ],
)
def test_greys_of_every_kind_show_the_same(content: bytes, value_range: str | None) -> None:
    assert np.array_equal(shown(content, 1, value_range), GREY)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tiff(GREY.astype(np.int8), 8, kind=2), "signed bytes"),
        (tiff(GREY.astype(np.float64), 64, kind=3), "a kind of pixels that is not read"),
        (tiff(scaled(2**32 - 1).astype(np.uint32), 32), "--value-range=0:4294967295"),
        (b"P2 16 16 255\n1 2 3", "cut short: it holds 3 of 256 values"),
        (b"P2 16 16 255\n" + b"-1 " * 256, "expected whole numbers"),
        (b"P2 16 16 255\n" + b"300 " * 256, "holds 300, above the 255"),
        (b"P1 16 16\n" + b"2" * 256, "something else than 0 and 1"),
        (b"P5 16 16 100\n" + bytes(20), "cut short: it holds 20 of 256 values"),
    ],
    ids=["signed", "long floats", "32 bits", "short", "negative", "above", "no bits", "cut"],
)
def test_kinds_that_are_not_read_are_refused_by_name(content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        shown(content)


@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_no_byte_of_deep_colours_is_lost(white: int, bands: int) -> None:
    values = (COLOUR.astype(float) * (white / 255)).round().astype(np.uint16)
    clear = np.full((16, 16, 1), 65535, np.uint16)
    array = {
        1: values[..., 0],
        2: np.dstack([values[..., :1], clear]),
        3: values,
        4: np.dstack([values, clear]),
    }
    for kept in (1, 3, 4):
        expected = shown(encoded(Image.fromarray(COLOUR if bands > 2 else GREY)), kept)
        assert np.array_equal(shown(png(array[bands]), kept), expected)


def test_a_transparent_value_of_16_bits_is_seen() -> None:
    deep = GREY.astype(np.uint16) * 257
    found = shown(png(deep, chunk(b"tRNS", struct.pack(">H", 65535))), 4)
    assert np.array_equal(found[..., 3] == 0, GREY == 255)
    white = (COLOUR == 255).all(-1)
    found = shown(png(COLOUR.astype(np.uint16) * 257, chunk(b"tRNS", struct.pack(">HHH", *[65535] * 3))), 4)
    assert np.array_equal(found[..., 3] == 0, white)


@pytest.mark.parametrize("white", [1, 31, 100, 255, 4095, 65535])
def test_maps_are_scaled_by_the_white_that_they_name(white: int) -> None:
    values = np.arange(768).reshape(16, 16, 3) % (white + 1)
    stored = values.astype(">u2" if white > 255 else np.uint8)
    expected = (values / white * 255).round()
    plain = b"P3 16 # wide\n16 %d\n" % white + b"\n".join(b"%d" % value for value in values.reshape(-1))
    assert np.array_equal(shown(plain, 3), expected)
    assert np.array_equal(shown(b"P6 16 16 %d\n" % white + stored.tobytes(), 3), expected)
    bits = b"P1\n16 16\n" + b"".join(b"%d" % (value & 1) for value in values[..., 0].reshape(-1))
    assert np.array_equal(shown(bits), np.where(values[..., 0] & 1, 0, 255))
