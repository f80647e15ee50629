"""One picture to one array of a wanted size: every hazard of real pictures is met here.

Orientation by EXIF is applied; colours become sRGB; transparency is laid on white or kept; deep
pictures are scaled to 8 bits by the range of their set; of an animation the first frame is taken. It
knows no folders and no archives. The messages of its errors say what is wrong, to be read after the
picture's name.
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
from gan_infer.decoding.ranges import Levels, Ranges
from gan_infer.errors import DataError

MAX_PIXELS: Final = bounds.MAX_PIXELS

# What is said of a picture that was taken all the same, to be read after "pictures".
COMPLETED: Final = "are JPEGs whose end is missing, but show whole"
UNSEEN: Final = "are transparent everywhere"
UNSEEN_ON_WHITE: Final = "are transparent everywhere, so white is learnt of them"
NOT_FINITE: Final = "hold values that are no finite numbers; NaN was taken for black, infinities for the ends"

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
class Look:
    """What a picture's header says.

    Attributes:
        height, width: in pixels, as shown.
        mode: Pillow's name of the pixel format.
        format: of the file.
        colour: it may have colour.
        transparent: it has an alpha channel or a transparent colour.
        deep: it has more than 8 bits a channel, so that the range of its set counts.
        moving: it is an animation or has several pages.
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
def opened(stream: BinaryIO, size: int) -> Iterator[Image.Image]:
    """Open a picture of `size` bytes; what the stream holds decides its format, never a name.

    Raises:
        DataError: it is no picture of a known format, is too large, or would take unduly long.
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
    # Pillow's readers meet foreign bytes with errors of every class there is.
    except Exception as error:
        raise DataError(f"cannot be opened: {plain(error)}") from None
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
    """Read a picture file and give it as `prepare` does.

    Raises:
        DataError: it cannot be opened or used; names it.
    """
    with _of_file(path) as image:
        return prepare(image, shape, fit, ranges, remarks)


def settle_ranges(pictures: Iterable[object]) -> Ranges | None:
    """Return which values of deep pictures are black and white, by all of them together.

    Args:
        pictures: paths, or pictures as Pillow gives them; what is neither, or bad, does not count.

    Returns:
        None where none is deep.

    Raises:
        DataError: their values are in no usual range; says what to give.
    """
    known: dict[str, Levels] = {}
    for number, picture in enumerate(pictures):
        found = None
        with contextlib.suppress(DataError):  # met again, and said, when it is prepared
            if isinstance(picture, (str, os.PathLike)):
                with _of_file(Path(picture)) as image:
                    found = levels(image)
            elif isinstance(picture, Image.Image):
                found = levels(picture)
        if found is not None:
            known[str(picture) if isinstance(picture, (str, os.PathLike)) else f"picture {number}"] = found
    if not known:
        return None
    try:
        return value_ranges.settle(known)
    except DataError as error:
        raise DataError(f"the pictures together {error}".replace("together has", "together have")) from None


@contextlib.contextmanager
def _of_file(path: Path) -> Iterator[Image.Image]:
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            raise DataError("is no file" if path.exists() else "is not there")
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.filterwarnings("ignore", module="PIL")  # what matters in them is met as an error
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with opened(file, os.fstat(file.fileno()).st_size) as image:
                yield image
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened: {plain(error)}") from None


def look(image: Image.Image) -> Look:
    """Return what the header of an opened picture says, without decoding it.

    Raises:
        DataError: the header is damaged.
    """
    try:
        height, width = image.height, image.width
        if _orientation(image) in (5, 6, 7, 8):  # by a quarter
            height, width = width, height
        grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
        grey = grey or deep.is_grey_alpha(image)
        return Look(
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
        raise DataError(f"is damaged: {plain(error)}") from None


def _is_moving(image: Image.Image) -> bool:
    if image.format == "MPO":  # a phone's photo often holds a second picture, for depth or brightness
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # of what follows the first picture, which alone counts
        return False


def levels(image: Image.Image) -> Levels | None:
    """Decode an opened picture and give what the range of its set is settled by; None for 8 bits.

    Raises:
        DataError: it is damaged.
    """
    if not deep.is_deep(image):
        return None
    with _decoding(image):
        bits, signed = deep.declared_bits(image), deep.is_signed(image)
        return value_ranges.levels_of(_colours(deep.values(image)), bits, signed)


def prepare(
    image: Image.Image,
    shape: tuple[int, int, int],
    fit: str,
    ranges: Ranges | None = None,
    remarks: list[str] | None = None,
) -> npt.NDArray[np.uint8]:
    """Decode an opened picture and give it as uint8 of `shape`, which is (height, width, channels).

    Args:
        fit: "crop" cuts the centre to the wanted shape, "pad" adds borders (white; transparent
            where there are 4 channels) to the whole picture. Both average by area, or enlarge
            bicubically.
        ranges: which values of a deep picture are black and white; None settles it by this picture.
        remarks: what a person should know of this picture is added here.

    Raises:
        DataError: it is damaged.
    """
    remarks = [] if remarks is None else remarks
    with _decoding(image):
        shown = _decoded(image, ranges, remarks)
        shown = colour.to_srgb(shown, image.info, remarks)
        if (turn := _TURNS.get(_orientation(image))) is not None:
            shown = shown.transpose(turn)
        coloured = _to_mode(shown, formats.MODES[shape[2]], remarks)
        fitted = (_padded if fit == "pad" else _cropped)(coloured, shape[0], shape[1])
        array = np.array(fitted, np.uint8).reshape(shape)
    if shape[2] == 4:  # what lies under full transparency is never seen, and should not be learnt
        array[array[..., 3] == 0] = (255, 255, 255, 0)
    return array


@contextlib.contextmanager
def _decoding(image: Image.Image) -> Iterator[None]:
    """Turn all errors into ours, and let only one large picture be decoded at a time."""
    large = image.width * image.height > _LARGE_PIXELS
    with _one_large_at_a_time if large else contextlib.nullcontext():  # or threads together fill memory
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"is damaged: {plain(error)}") from None


def _decoded(image: Image.Image, ranges: Ranges | None, remarks: list[str]) -> Image.Image:
    """Return the pixels with 8 bits a channel."""
    stream = getattr(image, "fp", None)
    if isinstance(stream, bounds.Bounded) and stream.facts.dropped:
        remarks.append(f"held {stream.facts.dropped}, which was left out")
    if deep.is_plain_map(image):
        return deep.read_map(image)
    if deep.is_deep(image):
        return _to_eight_bits(image, ranges, remarks)
    if deep.is_signed(image):
        raise DataError("is a TIFF of signed bytes, which are not read; save it with unsigned ones")
    # Pillow takes the inks of every such JPEG as Adobe writes them.
    plain_inks = image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info
    shown = _loaded(image, remarks)
    if plain_inks:
        remarks.append(colour.PLAIN_CMYK)
        return colour.invert(shown)
    return shown


def _loaded(image: Image.Image, remarks: list[str]) -> Image.Image:
    content = b""
    stream = getattr(image, "fp", None)
    if image.format in ("JPEG", "MPO") and isinstance(stream, bounds.Bounded) and not stream.facts.ended:
        content = stream.content()
    shown = image
    try:
        image.load()
    except OSError:
        completed = _completed(content) if content else None
        if completed is None:
            raise
        shown = completed
    if content:
        remarks.append(COMPLETED)
    return shown


def _completed(content: bytes) -> Image.Image | None:
    """Return a JPEG without its end marker, if no pixel is missing.

    Where data are missing, what stands in their place shows: so it is decoded with several endings.
    """
    body = content.removesuffix(b"\xff")
    images = []
    for filler in (b"", b"\xa5\x3c\x69" * 64, b"\x5a\xc3\x96" * 64):
        image = Image.open(io.BytesIO(body + filler + b"\xff\xd9"), formats=("JPEG",))
        image.load()
        images.append(image)
    return images[0] if len({image.tobytes() for image in images}) == 1 else None


def _to_eight_bits(image: Image.Image, ranges: Ranges | None, remarks: list[str]) -> Image.Image:
    """Scale a deep picture to 0..255; Pillow's own conversion would clip it, or cut the lower byte off."""
    bits, signed, negative = deep.declared_bits(image), deep.is_signed(image), deep.is_negative(image)
    values = deep.values(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        remarks.append(NOT_FINITE)
    colours = _colours(values)
    settled = ranges or value_ranges.settle({"": value_ranges.levels_of(colours, bits, signed)})
    scaled = value_ranges.to_eight_bits(colours, settled)
    if colours is not values:
        scaled = np.dstack([scaled, _alpha(values[..., -1], settled)])
    clear = image.info.get("transparency")
    if isinstance(clear, (int, tuple)) and values.dtype.kind != "f":
        hidden = values == np.array(clear, values.dtype)
        alpha = np.where(hidden if values.ndim == 2 else hidden.all(-1), 0, 255).astype(np.uint8)
        scaled = np.dstack([scaled, alpha])
    # Only greys are ever stored the other way around.
    return Image.fromarray(255 - scaled if negative and scaled.ndim == 2 else scaled)


def describe(value_range: str) -> str:
    """Say what a range of values, as a text, does to deep pictures."""
    whole, comma, real = value_range.partition(",")
    each = f"{whole} of whole numbers and {real} of floats" if comma else whole
    return f"values {each} taken as black and white"


def preparation(channels: int, fit: str, value_range: str = "") -> str:
    """Say in a sentence what `prepare` does, for people and for a model's metadata.

    Args:
        value_range: the range of deep pictures, "" where there are none.
    """
    border = "transparency" if channels == 4 else "white"
    shape = f"padded with {border} to shape" if fit == "pad" else "centre-cropped to shape"
    alpha = "kept" if channels == 4 else "on white"
    sentence = f"{shape}, averaged by area, transparency {alpha}, orientation applied"
    return f"{sentence}, {describe(value_range)}" if value_range else sentence


def plain(error: BaseException) -> str:
    """Return an error's own words on one line, without paths."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    """Return the orientation that is still to be applied; of a TIFF, Pillow has done so."""
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


def _colours(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values without alpha, of which the range says nothing."""
    return values[..., :-1] if values.ndim == 3 and values.shape[2] in (2, 4) else values


def _alpha(values: npt.NDArray[Any], settled: Ranges) -> npt.NDArray[np.uint8]:
    """Scale alpha as the colours where it fits in, else to all 16 bits: programs differ."""
    white = settled.whole.high if values.max() <= settled.whole.high else value_ranges.FULL
    whole = value_ranges.Range(0, white)
    return value_ranges.to_eight_bits(values, Ranges(whole, whole))


def _to_mode(image: Image.Image, mode: str, remarks: list[str]) -> Image.Image:
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if image.getchannel("A").getextrema() == (0, 0):
            remarks.append(UNSEEN if mode == "RGBA" else UNSEEN_ON_WHITE)
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
