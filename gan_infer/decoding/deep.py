"""Reads pictures with more than 8 bits per channel, which Pillow reads only in part or slowly."""

from __future__ import annotations

import io
import re
import sys
import zlib
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.decoding import bounds
from gan_infer.errors import DataError

Values = npt.NDArray[Any]

# Pillow keeps the upper byte of each; read as of the other byte order, it gives the lower one.
_UPPER_BYTES: Final = {
    f"{mode};16{end}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for end, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
_GREY_ALPHA: Final = "LA;16B"
_WHITE_IS_ZERO: Final = 0
_PHOTOMETRIC: Final = 262
_BITS_PER_SAMPLE: Final = 258
_SAMPLE_FORMAT: Final = 339
_MAX_PLAIN_VALUES: Final = 10_000_000
_NO_NUMBER: Final = re.compile(rb"[^\s\d]")
_COMMENT: Final = re.compile(rb"#[^\r\n]*")


def is_deep(image: Image.Image) -> bool:
    """Return whether an open picture, not yet decoded, has more than 8 bits per channel."""
    grey = image.mode in ("I", "F") or image.mode.startswith("I;16")
    return (grey and not is_plain_map(image)) or _rawmode_of(image) in (*_UPPER_BYTES, _GREY_ALPHA)


def is_grey_alpha(image: Image.Image) -> bool:
    """Return whether it is a PNG of grey and alpha, 16 bits each, which Pillow calls RGBA."""
    return _rawmode_of(image) == _GREY_ALPHA


def declared_bits(image: Image.Image) -> int:
    """Return how many bits of the values are significant, by the file; 0 if it does not say."""
    stream = getattr(image, "fp", None)
    if isinstance(stream, bounds.BoundedStream) and stream.facts.bits:
        return stream.facts.bits
    stored = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return stored[0] if isinstance(stored, tuple) and 8 < stored[0] < 16 else 0


def is_signed(image: Image.Image) -> bool:
    """Return whether a TIFF says that its whole numbers are signed."""
    return getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT) in ((2,), 2)


def is_negative(image: Image.Image) -> bool:
    """Return whether a TIFF of deep grey counts from white to black; Pillow inverts only 8 bits."""
    return image.mode != "L" and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def read_values(image: Image.Image) -> Values:
    """Decode a deep picture to integers or floats, [height, width] or [height, width, bands].

    Raises:
        Exception: of any class, as Pillow's readers raise; the picture is damaged.
    """
    rawmode = _rawmode_of(image)
    if rawmode == _GREY_ALPHA:
        pairs = np.asarray(_open_grey_alpha_as_bytes(image)).astype(np.uint16)
        return pairs[..., 0::2] << 8 | pairs[..., 1::2]
    if rawmode in _UPPER_BYTES:
        other = _reopen(image)
        other.tile = [tile._replace(args=_swap_bytes(tile.args)) for tile in other.tile]
        image.load()
        both = np.asarray(image).astype(np.uint16)
        both <<= 8  # in place: it is large
        both |= np.asarray(other)
        return both
    unsigned = image.mode == "I" and getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, 1) in ((1,), 1)
    long = unsigned and getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) in ((32,), 32)
    image.load()
    array = np.asarray(image)
    return array.view(np.uint32) if long else array  # Pillow reads them as signed


def is_plain_map(image: Image.Image) -> bool:
    """Return whether it is a PPM (or PGM, PBM) in a form that Pillow decodes in Python, value by value."""
    return _codec_of(image) in ("ppm", "ppm_plain")


def read_map(image: Image.Image) -> Image.Image:
    """Decode such a PPM to 8 bits; its header says which value is white.

    Raises:
        DataError: it is cut short, or holds anything but numbers in range.
    """
    tile = cast(Any, image).tile[0]
    bands = len(image.getbands())
    count = image.width * image.height * bands
    plain = _codec_of(image) == "ppm_plain"
    if image.mode == "1":
        white, found = 1, _read_bits(_read_text(image, tile.offset, count), count)
    else:
        white = int(tile.args if isinstance(tile.args, int) else tile.args[-1])
        found = (
            _read_numbers(image, tile.offset, count)
            if plain
            else _read_packed(image, tile.offset, count, white)
        )
    if len(found) < count:
        raise DataError(f"is cut short: it holds {len(found):,} of {count:,} values")
    if found.max() > white and plain:
        raise DataError(f"holds {found.max()}, above the {white} that its header calls white")
    found = np.minimum(found, white)
    table = (np.arange(white + 1) / white * 255).round().astype(np.uint8)
    shape = (image.height, image.width) if bands == 1 else (image.height, image.width, bands)
    return Image.fromarray(table[found].reshape(shape))


def _read_packed(image: Image.Image, at: int, count: int, white: int) -> Values:
    kind = np.dtype(">u2" if white > 255 else "u1")
    content = _read_after(image, at, count * kind.itemsize)
    return np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)


def _read_numbers(image: Image.Image, at: int, count: int) -> Values:
    text = _read_text(image, at, count)
    if (strange := _NO_NUMBER.search(text)) is not None:
        raise DataError(f"holds {strange[0]!r}; expected whole numbers")
    if not text.strip():
        return np.zeros(0, np.int64)
    return np.fromstring(text.decode(), np.int64, sep=" ")[:count]


def _read_bits(text: bytes, count: int) -> Values:
    found = np.frombuffer(b"".join(text.split()), np.uint8)[:count]
    if not np.isin(found, (48, 49)).all():
        raise DataError("holds something else than 0 and 1")
    return 49 - found  # 1 is black


def _read_text(image: Image.Image, at: int, count: int) -> bytes:
    if count > _MAX_PLAIN_VALUES:
        raise DataError(f"has {count:,} values as text; at most {_MAX_PLAIN_VALUES:,} are read")
    return _COMMENT.sub(b" ", _read_after(image, at, 16 * count + 2**20))


def _read_after(image: Image.Image, at: int, most: int) -> bytes:
    stream = cast(Any, image).fp
    stream.seek(at)
    content: bytes = stream.read(most)
    return content


def _codec_of(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return str(tiles[0][0]) if tiles else ""


def _rawmode_of(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    is_ours = isinstance(
        getattr(image, "fp", None), bounds.BoundedStream
    )  # otherwise a caller's own, left to Pillow
    if not tiles or not is_ours or image.format not in ("PNG", "TIFF"):
        return ""
    args = tiles[0][3]
    return str(args[0] if isinstance(args, tuple) else args)


def _swap_bytes(args: Any) -> Any:
    return (_UPPER_BYTES[args[0]], *args[1:]) if isinstance(args, tuple) else _UPPER_BYTES[args]


def _read_content(image: Image.Image) -> bytes:
    stream: bounds.BoundedStream = cast(Any, image).fp
    return stream.content()


def _reopen(image: Image.Image) -> Any:
    return Image.open(io.BytesIO(_read_content(image)), formats=[str(image.format)])


def _open_grey_alpha_as_bytes(image: Image.Image) -> Image.Image:
    """Open a PNG of grey and alpha, 16 bits each, as one of four bytes: the same filters apply."""
    content = bytearray(_read_content(image))
    content[24:26] = b"\x08\x06"  # 8 bits; red, green, blue and alpha
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    image = Image.open(io.BytesIO(bytes(content)), formats=["PNG"])
    image.load()
    return image
