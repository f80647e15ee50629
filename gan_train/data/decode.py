"""One picture file to one array of a wanted size: every hazard of real files is met here.

Orientation by EXIF is applied; transparency is laid on white; 16-bit levels are scaled to 8;
palettes and CMYK become RGB; of an animation the first frame is taken; the centre is cut to the
wanted shape and averaged by area down (or bicubically up) to the wanted size.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_infer.errors import DataError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS: Final = 100_000_000
PREPARATION: Final = "centre-cropped to shape, averaged by area, transparency on white, orientation applied"


def look(path: Path) -> tuple[int, int, bool]:
    """Give (height, width, has colour) as shown, from the header alone where possible.

    Raises:
        DataError: the file is no picture of a known format, or is too large.
    """
    with _opened(path) as image:
        width, height = image.size
        # Asked for it, Pillow reads a PNG to its end; what stands in the header is enough here.
        if image.format != "PNG" or "exif" in image.info:
            try:
                turn = image.getexif().get(0x0112, 1)
            except (OSError, ValueError, SyntaxError, EOFError) as error:
                raise DataError(f"{path} is damaged: {_plain(error)}") from None
            if turn in (5, 6, 7, 8):  # by a quarter
                width, height = height, width
        grey = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
        return height, width, not grey


def decode(path: Path, height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    """Give uint8 [height, width, channels] of a picture file.

    Raises:
        DataError: names the file and says what is wrong with it.
    """
    with _opened(path) as image:
        try:
            image.load()
            shown = _to_eight_bits(ImageOps.exif_transpose(image))
            mode = "L" if channels == 1 else "RGB"
            if shown.mode == "P" or shown.has_transparency_data or shown.mode in ("LA", "PA"):
                shown = shown.convert("RGBA")
            if shown.mode == "RGBA":
                shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
            fitted = _fit(shown.convert("RGB").convert(mode), height, width)
        except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
            raise DataError(f"{path} is damaged: {_plain(error)}") from None
    return np.asarray(fitted, np.uint8).reshape(height, width, channels)


def fit_array(
    picture: npt.NDArray[np.uint8], height: int, width: int, channels: int
) -> npt.NDArray[np.uint8]:
    """Give uint8 [height, width, channels] of a decoded picture of another size or colour."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    fitted = _fit(image.convert("L" if channels == 1 else "RGB"), height, width)
    return np.asarray(fitted, np.uint8).reshape(height, width, channels)


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; ours is an error
            image = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty") from None
        raise DataError(f"{path} is no picture of a known format ({', '.join(FORMATS)})") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be opened: {_plain(error)}") from None
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise DataError(f"{path} has {image.width}x{image.height} pixels; at most {MAX_PIXELS:,} are read")
    return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale deep grey to 0..255; Pillow's own conversion would clip it to white."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    levels = np.asarray(image, np.float64)
    if image.mode == "F" and levels.size and levels.max() <= 1.0:
        levels = levels * 65535.0
    return Image.fromarray((levels / 257.0).round().clip(0, 255).astype(np.uint8))


def _fit(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    cut_width, cut_height = width * scale, height * scale
    left, top = (image.width - cut_width) / 2, (image.height - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    method = Image.Resampling.BOX if scale >= 1 else Image.Resampling.BICUBIC
    return image.resize((width, height), method, box=box)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
