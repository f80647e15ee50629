"""Pictures as arrays: lays them out in sheets, converts them to Pillow, writes files.

A picture is uint8 [height, width, channels] with 1 (grey), 3 (RGB) or 4 (RGBA) channels; a batch
is uint8 [n, height, width, channels].
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments, files
from gan_infer.errors import OptionError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from gan_infer.provenance.record import Provenance

    Array = npt.NDArray[np.uint8]

# Pixels between and around the pictures of a sheet; records of provenance depend on it.
GAP: Final = 2
MAX_SHEET_BYTES: Final = 512 * 1024**2
_MOST_BYTES: Final = 4 * 1024**3
# The longest side of a sheet unless a larger one is requested: viewers and WebP accept it.
VIEWABLE_SIDE: Final = 16_383
# The longest side that a format can store, in pixels.
LONGEST_SIDE: Final = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "MP4": 16_384}
FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF"}


def tile(pictures: Array, columns: int, *, gap: int = GAP, background: int = 32) -> Array:
    """Lay out a batch in rows of `columns`, left to right and top to bottom.

    Args:
        pictures: uint8 [n, height, width, channels], n >= 1.
        columns: pictures per row, at least 1.
        gap: pixels between and around the pictures.
        background: pixel value, 0 to 255, of the gaps and of places without a picture.

    Returns:
        uint8 [rows * (height + gap) + gap, columns * (width + gap) + gap, channels].

    Raises:
        OptionError: the batch has another shape, or `columns` is under 1.
    """
    arguments.picture(pictures, "pictures", batch=True)
    columns = arguments.whole_number(columns, "columns")
    gap = arguments.whole_number(gap, "gap", 0, 4096)
    background = arguments.whole_number(background, "background", 0, 255)
    n, height, width, channels = pictures.shape
    rows = -(-n // columns)
    if (rows * (height + gap) + gap) * (columns * (width + gap) + gap) * channels > _MOST_BYTES:
        raise OptionError(f"a sheet of {rows:,} by {columns:,} pictures is too large; give fewer columns")
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), background, np.uint8
    )
    for index, picture in enumerate(pictures):
        top = gap + (index // columns) * (height + gap)
        left = gap + (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def to_pil(picture: Array) -> Image.Image:
    """Return a Pillow image (mode L, RGB or RGBA) of uint8 [height, width, channels]."""
    from PIL import Image

    arguments.picture(picture)
    if picture.shape[2] == 1:
        picture = picture[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(picture))


def enlarge(picture: Array, factor: int) -> Array:
    """Repeat every pixel `factor` times in both directions, so that small pictures become visible.

    Raises:
        OptionError: the result would fill more than 512 MiB.
    """
    arguments.picture(picture)
    factor = arguments.whole_number(factor, "factor")
    if picture.size * factor**2 > MAX_SHEET_BYTES:
        raise OptionError(
            f"a sheet of {picture.shape[1]}x{picture.shape[0]} pixels enlarged {factor} times is too large; "
            "ask for fewer pictures or a smaller scale"
        )
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def save(
    picture: Array,
    target: str | os.PathLike[str],
    provenance: Provenance | None = None,
    sign: Callable[[bytes, str], bytes] | None = None,
) -> None:
    """Write one picture, whole or not at all; the suffix of the name selects the format.

    Args:
        provenance: where the picture comes from, to be stored in the file; see `Generator.provenance`.
        sign: signs a file's bytes, given its bytes and format, as `gan_infer.provenance.c2pa.Signer`
            does.

    Raises:
        OptionError: the suffix is not one of FORMATS, the picture is too large for the format, or the
            path cannot be written.
    """
    path = arguments.path(target, "target")
    if sign is not None and not callable(sign):
        raise OptionError(f"sign was {abridge(sign)}; give a signing.Signer")
    kind = format_of(path)
    body = encode(picture, kind)
    if provenance is not None:
        from gan_infer.provenance.record import embed

        body = embed(body, provenance)
    files.write(path, body if sign is None else sign(body, kind))


def encode(picture: Array, kind: str) -> bytes:
    """Encode a picture as a file of a format that FORMATS names.

    Raises:
        OptionError: the picture is too large for the format.
    """
    arguments.picture(picture)
    check_side(picture.shape[0], picture.shape[1], kind)
    image = to_pil(picture)
    if kind == "JPEG" and image.mode == "RGBA":
        image = image.convert("RGB")
    # PNG level 1 takes a third of the time of the default 6 for a few per cent more bytes.
    options: dict[str, Any] = {"compress_level": 1} if kind == "PNG" else {}
    body = _NamedBuffer()
    body.name = f"picture.{kind.lower()}"
    image.save(body, **options)
    return body.getvalue()


def check_side(height: int, width: int, kind: str) -> None:
    """Check that a format can hold a picture of a size.

    Raises:
        OptionError: a side is too long.
    """
    height, width = (arguments.whole_number(side, "a side") for side in (height, width))
    if not isinstance(kind, str) or kind not in {*FORMATS.values(), *LONGEST_SIDE}:
        raise OptionError(f"format {abridge(kind)} is unknown; give one of {', '.join({*FORMATS.values()})}")
    longest = LONGEST_SIDE.get(kind)
    if longest is not None and max(height, width) > longest:
        raise OptionError(
            f"{width}x{height} pixels are too many for {kind}, whose files hold at most {longest:,} per side"
            "; ask for fewer pictures or a smaller scale, or give a name that ends in .png"
        )


def check_sheet(rows: int, columns: int, shape: tuple[int, int, int], factor: int, kind: str) -> None:
    """Check, before a sheet is drawn, that it can be held in memory and written.

    Args:
        rows: rows of pictures, as `tile` lays them out.
        columns: columns of pictures.
        shape: (height, width, channels) of a picture.
        factor: how often each pixel is repeated, as by `enlarge`.
        kind: a format that FORMATS names.

    Raises:
        OptionError: it would fill more than 512 MiB, or a side is too long for the format.
    """
    height, width = (
        factor * (count * (side + GAP) + GAP) for count, side in zip((rows, columns), shape, strict=False)
    )
    if height * width * shape[2] > MAX_SHEET_BYTES:
        raise OptionError(
            f"a sheet of {rows:,} by {columns:,} pictures, enlarged {factor} times, is too large: "
            f"{width:,}x{height:,} pixels; ask for fewer pictures or a smaller scale"
        )
    check_side(height, width, kind)


def rows_that_fit(height: int, width: int) -> int:
    """Return how many rows of pictures, enlarged for people, fit on a sheet that viewers can open."""
    return max(1, (VIEWABLE_SIDE // factor_for(height, width) - GAP) // (height + GAP))


class _NamedBuffer(io.BytesIO):
    """A file in memory with a name, by which Pillow selects the format and loads only that plugin."""

    name: str


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the picture format of a path, by its suffix.

    Raises:
        OptionError: the suffix is not one of FORMATS.
    """
    path = arguments.path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(f"{path} has no ending of a known picture format; give one of {', '.join(FORMATS)}")
    return kind


def factor_for(height: int, width: int, at_least: int = 64) -> int:
    """Return the smallest integer factor that makes the shorter side at least `at_least` pixels."""
    height, width = (arguments.whole_number(side, "a side") for side in (height, width))
    at_least = arguments.whole_number(at_least, "at_least")
    return max(1, -(-at_least // min(height, width)))
