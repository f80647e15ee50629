"""Decodes one picture to one array of a wanted size, whatever a real file may hold.

Orientation by EXIF is applied; colours become sRGB; transparency is laid on white or kept; deep
pictures are scaled to 8 bits by the range of their set; the first frame of an animation is used. The
messages of its errors say what is wrong, to be read after the picture's name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from gan_infer.decoding import bounds, colour, deep, formats
from gan_infer.decoding import ranges as value_ranges
from gan_infer.decoding.ranges import Ranges, ValueStats
from gan_infer.errors import DataError
from gan_infer.text.escaping import one_line

MAX_PIXELS: Final = bounds.MAX_PIXELS

# Remarks on a picture that is used nevertheless, to be read after "pictures".
COMPLETED: Final = "are JPEGs whose end is missing, but show whole"
UNSEEN: Final = "are transparent everywhere"
UNSEEN_ON_WHITE: Final = "are transparent everywhere, so they are learnt as white"
NOT_FINITE: Final = "hold values that are no finite numbers; NaN became black, infinities black or white"

_LARGE_PIXELS: Final = 16_000_000
_one_large_at_a_time = threading.Lock()

_TURNED: Final = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
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
class Header:
    """What a picture's header says.

    Attributes:
        height, width: in pixels, after orientation.
        mode: Pillow's name of the pixel format.
        format: the format of the file.
        colour: whether it may have colour.
        transparent: whether it has an alpha channel or a transparent colour.
        deep: whether it has more than 8 bits per channel, so that the range of its set counts.
        moving: whether it is an animation or has several pages.
    """

    height: int
    width: int
    mode: str
    format: str
    colour: bool
    transparent: bool
    deep: bool = False
    moving: bool = False


@contextlib.contextmanager
def open_image(stream: BinaryIO, size: int) -> Iterator[Image.Image]:
    """Open a picture of `size` bytes; its content decides the format, never its name.

    Raises:
        DataError: it is not a picture of a known format, is too large, or would take too long.
    """
    if size == 0:
        raise DataError("is empty")
    try:
        bounded = bounds.bound(stream, size)
        image = Image.open(cast(BinaryIO, bounded), formats=formats.READ)
        bounded.allow_pixels()
    except DataError:
        raise
    except UnidentifiedImageError:
        if bounds.is_tiff(stream):
            raise DataError(
                "is a TIFF that is damaged or of a kind of pixels that is not read (such as floats of 16 or "
                "64 bits); save it with 8 or 16 bits, or floats of 32"
            ) from None
        raise DataError(f"is no picture of a known format ({', '.join(formats.READ)})") from None
    except Image.DecompressionBombError:
        raise DataError(f"has more pixels than the {MAX_PIXELS:,} that are read at most") from None
    # Pillow's readers raise errors of any class on foreign bytes.
    except Exception as error:
        raise DataError(f"cannot be opened: {explain(error)}") from None
    with image:
        bounds.check_pixels(image.width, image.height, size, deep.is_deep(image))
        bounds.check_codec(str(image.tile[0][0]) if image.tile else "", image.width * image.height)
        yield image


def read(
    path: Path,
    shape: tuple[int, int, int],
    fit: str,
    ranges: Ranges | None = None,
    remarks: list[str] | None = None,
) -> npt.NDArray[np.uint8]:
    """Read a picture file and return it as `prepare` does.

    Raises:
        DataError: it cannot be opened or used; the message names it.
    """
    with _open_file(path) as image:
        return prepare(image, shape, fit, ranges, remarks)


def settle_ranges(pictures: Iterable[object]) -> Ranges | None:
    """Decide which values of deep pictures are black and white, for all of them together.

    Args:
        pictures: paths, or Pillow's pictures; what is neither, or bad, does not count.

    Returns:
        None if none is deep.

    Raises:
        DataError: their values are in no usual range; the message says what to give.
    """
    known: dict[str, ValueStats] = {}
    for number, picture in enumerate(pictures):
        found = None
        with contextlib.suppress(DataError):  # reported when it is prepared
            if isinstance(picture, (str, os.PathLike)):
                with _open_file(Path(picture)) as image:
                    found = measure(image)
            elif isinstance(picture, Image.Image):
                found = measure(picture)
        if found is not None:
            known[str(picture) if isinstance(picture, (str, os.PathLike)) else f"picture {number}"] = found
    if not known:
        return None
    try:
        return value_ranges.settle(known)
    except DataError as error:
        raise DataError(f"the pictures together {error}".replace("together has", "together have")) from None


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[Image.Image]:
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise DataError("is no file" if path.exists() else "is not there")
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.filterwarnings("ignore", module="PIL")  # what matters is raised as an error
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open_image(file, os.fstat(file.fileno()).st_size) as image:
                yield image
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened: {explain(error)}") from None


def read_header(image: Image.Image) -> Header:
    """Read the header of an open picture, without decoding it.

    Raises:
        DataError: the header is damaged.
    """
    try:
        height, width = image.height, image.width
        if _orientation(image) in (5, 6, 7, 8):  # quarter turns
            height, width = width, height
        grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
        grey = grey or deep.is_grey_alpha(image)
        return Header(
            height,
            width,
            image.mode,
            image.format or "pixels",
            not grey,
            image.has_transparency_data,
            deep.is_deep(image),
            _is_moving(image),
        )
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"is damaged: {explain(error)}") from None


def _is_moving(image: Image.Image) -> bool:
    if image.format == "MPO":  # a phone's photo often holds a second picture, of depth or brightness
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # of later pictures; only the first counts
        return False


def measure(image: Image.Image) -> ValueStats | None:
    """Decode an open picture and measure its values, for the range of its set; None for 8 bits.

    Raises:
        DataError: it is damaged.
    """
    if not deep.is_deep(image):
        return None
    with _guard_decoding(image):
        bits, signed = deep.declared_bits(image), deep.is_signed(image)
        return value_ranges.measure(_drop_alpha(deep.read_values(image)), bits, signed)


def prepare(
    image: Image.Image,
    shape: tuple[int, int, int],
    fit: str,
    ranges: Ranges | None = None,
    remarks: list[str] | None = None,
) -> npt.NDArray[np.uint8]:
    """Decode an open picture and return it as uint8 of `shape`, which is (height, width, channels).

    Args:
        fit: "crop" cuts the centre to the wanted shape, "pad" adds borders (white; transparent
            where there are 4 channels) to the whole picture. Both average by area, or enlarge
            bicubically.
        ranges: which values of a deep picture are black and white; None decides it by this picture.
        remarks: a list; what a person should know of this picture is added.

    Raises:
        DataError: it is damaged.
    """
    remarks = [] if remarks is None else remarks
    with _guard_decoding(image):
        decoded = _decode(image, ranges, remarks)
        decoded = colour.to_srgb(decoded, image.info, remarks)
        if (turn := _TURNS.get(_orientation(image))) is not None:
            decoded = decoded.transpose(turn)
        coloured = _convert(decoded, formats.MODES[shape[2]], remarks)
        fitted = (_pad if fit == "pad" else _crop)(coloured, shape[0], shape[1])
        array = np.array(fitted, np.uint8).reshape(shape)
    if shape[2] == 4:  # hidden under full transparency, and not to be learnt
        array[array[..., 3] == 0] = (255, 255, 255, 0)
    return array


@contextlib.contextmanager
def _guard_decoding(image: Image.Image) -> Iterator[None]:
    """Turn all errors into DataError, and let only one large picture be decoded at a time."""
    large = image.width * image.height > _LARGE_PIXELS
    with _one_large_at_a_time if large else contextlib.nullcontext():  # or threads would fill memory together
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"is damaged: {explain(error)}") from None


def _decode(image: Image.Image, ranges: Ranges | None, remarks: list[str]) -> Image.Image:
    """Return the pixels with 8 bits per channel."""
    stream = getattr(image, "fp", None)
    if isinstance(stream, bounds.BoundedStream) and stream.facts.dropped:
        remarks.append(f"held {stream.facts.dropped}, which was not read")
    if deep.is_plain_map(image):
        return deep.read_map(image)
    if deep.is_deep(image):
        return _to_eight_bits(image, ranges, remarks)
    if deep.is_signed(image):
        raise DataError("is a TIFF of signed bytes, which cannot be read; save it with unsigned bytes")
    # Pillow reads the inks of every CMYK JPEG as Adobe writes them.
    plain_inks = image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info
    decoded = _load(image, remarks)
    if plain_inks:
        remarks.append(colour.PLAIN_CMYK)
        return colour.invert(decoded)
    return decoded


def _load(image: Image.Image, remarks: list[str]) -> Image.Image:
    content = b""
    stream = getattr(image, "fp", None)
    if (
        image.format in ("JPEG", "MPO")
        and isinstance(stream, bounds.BoundedStream)
        and not stream.facts.ended
    ):
        content = stream.content()
    decoded = image
    try:
        image.load()
    except OSError:
        completed = _complete(content) if content else None
        if completed is None:
            raise
        decoded = completed
    if content:
        remarks.append(COMPLETED)
    return decoded


def _complete(content: bytes) -> Image.Image | None:
    """Return a JPEG without its end marker, if no pixel is missing.

    It is decoded with several endings: if data are missing, the results differ.
    """
    body = content.removesuffix(b"\xff")
    images = []
    for filler in (b"", b"\xa5\x3c\x69" * 64, b"\x5a\xc3\x96" * 64):
        image = Image.open(io.BytesIO(body + filler + b"\xff\xd9"), formats=("JPEG",))
        image.load()
        images.append(image)
    return images[0] if len({image.tobytes() for image in images}) == 1 else None


def _to_eight_bits(image: Image.Image, ranges: Ranges | None, remarks: list[str]) -> Image.Image:
    """Scale a deep picture to 0..255; Pillow's own conversion would clip it, or drop the lower byte."""
    bits, signed, negative = deep.declared_bits(image), deep.is_signed(image), deep.is_negative(image)
    values = deep.read_values(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        remarks.append(NOT_FINITE)
    colours = _drop_alpha(values)
    settled = ranges or value_ranges.settle({"": value_ranges.measure(colours, bits, signed)})
    scaled = value_ranges.to_eight_bits(colours, settled)
    if colours is not values:
        scaled = np.dstack([scaled, _scale_alpha(values[..., -1], settled)])
    clear = image.info.get("transparency")
    if isinstance(clear, (int, tuple)) and values.dtype.kind != "f":
        hidden = values == np.array(clear, values.dtype)
        alpha = np.where(hidden if values.ndim == 2 else hidden.all(-1), 0, 255).astype(np.uint8)
        scaled = np.dstack([scaled, alpha])
    # Only greys are ever stored inverted.
    return Image.fromarray(255 - scaled if negative and scaled.ndim == 2 else scaled)


def describe_range(value_range: str) -> str:
    """Describe what a range of values, as a text, does to deep pictures."""
    whole, comma, real = value_range.partition(",")
    each = f"{whole} of whole numbers and {real} of floats" if comma else whole
    return f"values {each} taken as black and white"


def describe_preparation(channels: int, fit: str, value_range: str = "") -> str:
    """Describe in a sentence what `prepare` does, for people and for a model's metadata.

    Args:
        value_range: the range of deep pictures, "" if there are none.
    """
    border = "transparency" if channels == 4 else "white"
    shape = f"padded with {border} to shape" if fit == "pad" else "centre-cropped to shape"
    alpha = "kept" if channels == 4 else "on white"
    sentence = f"{shape}, averaged by area, transparency {alpha}, orientation applied"
    return f"{sentence}, {describe_range(value_range)}" if value_range else sentence


def explain(error: BaseException) -> str:
    """Return an error's own words in one line, without paths."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error)


def _orientation(image: Image.Image) -> int:
    """Return the orientation that remains to be applied; for a TIFF, Pillow has applied it."""
    if image.format == "TIFF":
        return 1
    exif = image.info.get("exif")
    if exif is None and "Raw profile type exif" in image.info:
        with contextlib.suppress(ValueError):
            exif = bytes.fromhex("".join(str(image.info["Raw profile type exif"]).split("\n")[3:]))
    if isinstance(exif, bytes) and (found := bounds.orientation(exif)):
        return found
    packet: Any = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    packet = packet.encode(errors="replace") if isinstance(packet, str) else packet
    named = _TURNED.search(packet) if isinstance(packet, bytes) else None
    return int(named[1]) if named else 1


def _drop_alpha(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values without alpha, to which the range does not apply."""
    return values[..., :-1] if values.ndim == 3 and values.shape[2] in (2, 4) else values


def _scale_alpha(values: npt.NDArray[Any], settled: Ranges) -> npt.NDArray[np.uint8]:
    """Scale alpha like the colours if it fits, else by all 16 bits: programs differ."""
    white = settled.whole.high if values.max() <= settled.whole.high else value_ranges.FULL
    whole = value_ranges.Range(0, white)
    return value_ranges.to_eight_bits(values, Ranges(whole, whole))


def _convert(image: Image.Image, mode: str, remarks: list[str]) -> Image.Image:
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if image.getchannel("A").getextrema() == (0, 0):
            remarks.append(UNSEEN if mode == "RGBA" else UNSEEN_ON_WHITE)
        if mode != "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # By way of RGB: Pillow does not have every conversion in one step.
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _crop(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    cut_width, cut_height = width * scale, height * scale
    # Sums of fractions may lie slightly outside.
    left, top = max(0.0, (image.width - cut_width) / 2), max(0.0, (image.height - cut_height) / 2)
    box = (left, top, min(left + cut_width, image.width), min(top + cut_height, image.height))
    return _resize(image, height, width, box)


def _pad(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = max(image.width / width, image.height / height)
    inner_height = min(height, max(1, round(image.height / scale)))
    inner_width = min(width, max(1, round(image.width / scale)))
    inner = _resize(image, inner_height, inner_width, (0, 0, image.width, image.height))
    canvas = Image.new(image.mode, (width, height), "#ffffff00" if image.mode == "RGBA" else "white")
    canvas.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return canvas


def _resize(
    image: Image.Image, height: int, width: int, box: tuple[float, float, float, float]
) -> Image.Image:
    """Resize a part; Pillow weighs colours by alpha here, so that no hidden colour bleeds in."""
    smaller = box[2] - box[0] >= width and box[3] - box[1] >= height
    method = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
    return image.resize((width, height), method, box=box)
