"""One picture to one array of a wanted size: every hazard of real pictures is met here.

Orientation by EXIF is applied; transparency is laid on white or kept; 16-bit levels are scaled to
8; palettes and CMYK become RGB; of an animation the first frame is taken. It knows no folders and
no archives. The messages of its errors say what is wrong, to be read after the picture's name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from gan_infer.errors import DataError

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS: Final = 100_000_000
MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}

_DEEP_WHITE: Final = 65535
# By a table: of a large picture, floats would fill memory.
_EIGHT_BITS: Final = (np.arange(_DEEP_WHITE + 1) * (255 / _DEEP_WHITE)).round().astype(np.uint8)

_LARGE_PIXELS: Final = 16_000_000
_one_large_at_a_time = threading.Lock()

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a picture's header says: size as shown, Pillow's name of the pixel format, file format."""

    height: int
    width: int
    mode: str
    format: str
    colour: bool
    transparent: bool


@contextlib.contextmanager
def opened(stream: BinaryIO, size: int) -> Iterator[Image.Image]:
    """Open a picture of `size` bytes; what the stream holds decides its format, never a name.

    Raises:
        DataError: it is no picture of a known format, or is too large.
    """
    if size == 0:
        raise DataError("is empty")
    try:
        image = Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        raise DataError(f"is no picture of a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise DataError(f"has more pixels than the {MAX_PIXELS:,} that are read at most") from None
    # Pillow's readers meet foreign bytes with errors of every class there is.
    except Exception as error:
        raise DataError(f"cannot be opened: {plain(error)}") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"has {image.width}x{image.height} pixels; at most {MAX_PIXELS:,} are read")
        if not image.width * image.height:
            raise DataError("has no pixels")
        yield image


def read(path: Path, shape: tuple[int, int, int], fit: str) -> npt.NDArray[np.uint8]:
    """Read a picture file and give it as `prepare` does.

    Raises:
        DataError: it cannot be opened or used; names it.
    """
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            raise DataError("is no file" if path.exists() else "is not there")
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.filterwarnings("ignore", module="PIL")  # what matters in them is met as an error
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with opened(file, os.fstat(file.fileno()).st_size) as image:
                return prepare(image, shape, fit)
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened: {plain(error)}") from None


def look(image: Image.Image) -> Look:
    """Give what the header of an opened picture says, without decoding it.

    Raises:
        DataError: the header is damaged.
    """
    try:
        height, width = image.height, image.width
        # Asked for it, Pillow reads a PNG to its end; what stands in the header is enough here.
        # A TIFF's size it gives as shown.
        turns = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        if turns and _orientation(image) in (5, 6, 7, 8):  # by a quarter
            height, width = width, height
        grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
        transparent = image.has_transparency_data
        return Look(height, width, image.mode, image.format or "pixels", not grey, transparent)
    except Exception as error:
        raise DataError(f"is damaged: {plain(error)}") from None


def prepare(image: Image.Image, shape: tuple[int, int, int], fit: str) -> npt.NDArray[np.uint8]:
    """Decode an opened picture and give it as uint8 of `shape`, which is (height, width, channels).

    Args:
        fit: "crop" cuts the centre to the wanted shape, "pad" adds borders (white; transparent
            where there are 4 channels) to the whole picture. Both average by area, or enlarge
            bicubically.

    Raises:
        DataError: it is damaged.
    """
    large = image.width * image.height > _LARGE_PIXELS
    with _one_large_at_a_time if large else contextlib.nullcontext():  # or threads together fill memory
        try:
            image.load()
            shown = _to_eight_bits(image)
            if (turn := _TURNS.get(_orientation(image))) is not None:
                shown = shown.transpose(turn)
            coloured = _to_mode(shown, MODES[shape[2]])
            fitted = (_padded if fit == "pad" else _cropped)(coloured, shape[0], shape[1])
            array = np.array(fitted, np.uint8).reshape(shape)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"is damaged: {plain(error)}") from None
    if shape[2] == 4:  # what lies under full transparency is never seen, and should not be learnt
        array[array[..., 3] == 0] = (255, 255, 255, 0)
    return array


def preparation(channels: int, fit: str) -> str:
    """Say in a sentence what `prepare` does, for people and for a model's metadata."""
    border = "transparency" if channels == 4 else "white"
    shape = f"padded with {border} to shape" if fit == "pad" else "centre-cropped to shape"
    alpha = "kept" if channels == 4 else "on white"
    return f"{shape}, averaged by area, transparency {alpha}, orientation applied"


def plain(error: BaseException) -> str:
    """Give an error's own words on one line, without paths."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a picture is good to look at whatever its notes are worth
        return 1


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale deep grey to 0..255; Pillow's own conversion would clip it to white."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    levels = np.asarray(image)
    if levels.dtype.kind == "f":
        levels = np.nan_to_num(levels, posinf=np.inf, neginf=-np.inf)
    low, high = levels.min(), levels.max()
    # A range is nowhere said of floats; it is one of three in use.
    ranges = (1, 255, _DEEP_WHITE) if levels.dtype.kind == "f" else (_DEEP_WHITE,)
    white = next((most for most in ranges if high <= most), None)
    if low < 0 or white is None:
        raise DataError(f"has levels from {low:g} to {high:g}; expected 0 to {' or '.join(map(str, ranges))}")
    if levels.dtype.kind == "f":
        levels = levels * np.float32(_DEEP_WHITE / white)
        levels = levels.round(out=levels).astype(np.uint16)
    return Image.fromarray(_EIGHT_BITS[levels])


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if mode != "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # By way of RGB: not every conversion is there in one step.
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _cropped(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    cut_width, cut_height = width * scale, height * scale
    # Sums of fractions may end a hair outside.
    left, top = max(0.0, (image.width - cut_width) / 2), max(0.0, (image.height - cut_height) / 2)
    box = (left, top, min(left + cut_width, image.width), min(top + cut_height, image.height))
    return _resized(image, height, width, box)


def _padded(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = max(image.width / width, image.height / height)
    inner_height = min(height, max(1, round(image.height / scale)))
    inner_width = min(width, max(1, round(image.width / scale)))
    inner = _resized(image, inner_height, inner_width, (0, 0, image.width, image.height))
    canvas = Image.new(image.mode, (width, height), "#ffffff00" if image.mode == "RGBA" else "white")
    canvas.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return canvas


def _resized(
    image: Image.Image, height: int, width: int, box: tuple[float, float, float, float]
) -> Image.Image:
    """Resize a part; Pillow weighs colours by their alpha here, so that no hidden colour bleeds in."""
    smaller = box[2] - box[0] >= width and box[3] - box[1] >= height
    method = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
    return image.resize((width, height), method, box=box)
