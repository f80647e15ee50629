"""Makes pictures small enough for data URIs inside a page."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image, ImageSequence

_MOST_PIXELS: Final = 2**20
# A picture of fewer pixels is shown enlarged, so each counts; a larger one is shown like a photograph.
_LOSSLESS_PIXELS: Final = 100_000
_QUALITY: Final = 80
_KEPT: Final = 64
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Embedded:
    """A picture inside a page.

    Attributes:
        uri: of a WebP, to stand in `src`.
        size: width and height in pixels for showing it: those of its file.
        frames: the number of pictures of that size, one below the other.
    """

    uri: str
    size: tuple[int, int]
    frames: int = 1


def picture(path: Path, factor: int = 1) -> Embedded:
    """Return the picture of a file.

    It is cached while the file stays the same.

    Args:
        factor: how often each pixel of the file is repeated both ways; the page can do that itself.
    """
    state = path.stat()
    return _picture(path, state.st_mtime_ns, state.st_size, factor)


def film(path: Path, factor: int = 1) -> Embedded:
    """Return the frames of a moving picture, one below the other, so that the page can stop at each."""
    with Image.open(path) as image:
        size = image.size
        frames = [_drop_alpha(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]
    width, height = _fit_bounds(_undo_repeat(size, factor), len(frames))
    way = Image.Resampling.NEAREST if size[0] % width == 0 else Image.Resampling.BOX
    mode = "RGBA" if any(frame.mode == "RGBA" for frame in frames) else "RGB"
    strip = Image.new(mode, (width, height * len(frames)))
    for index, frame in enumerate(frames):
        strip.paste(frame.resize((width, height), way), (0, index * height))
    return Embedded(_encode(strip), size, len(frames))


def thin(items: Sequence[Item], most: int) -> list[Item]:
    """Return every 1st, 2nd, 4th, 8th ... item, at most `most` + 1 of them, the last among them.

    As a list grows, items are dropped and the last one changes; the others stay.
    """
    stride = 1
    while len(items) > most * stride:
        stride *= 2
    chosen = list(items[::stride])
    return chosen if (len(items) - 1) % stride == 0 else [*chosen, items[-1]]


@functools.lru_cache(maxsize=_KEPT)
def _picture(path: Path, changed_ns: int, length: int, factor: int) -> Embedded:
    with Image.open(path) as image:
        size = image.size
        own = _undo_repeat(size, factor)
        small = image.resize(own, Image.Resampling.NEAREST) if own != size else image.copy()
    bounded = _fit_bounds(own, 1)
    if bounded != own:
        small = small.resize(bounded, Image.Resampling.BOX)
    return Embedded(_encode(small), size)


def _undo_repeat(size: tuple[int, int], factor: int) -> tuple[int, int]:
    width, height = size
    return (width // factor, height // factor) if width % factor == height % factor == 0 else size


def _fit_bounds(size: tuple[int, int], frames: int) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(_MOST_PIXELS / (size[0] * size[1] * frames)))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _drop_alpha(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing: Pillow adds one to every moving WebP."""
    return image.convert("RGB") if image.getchannel("A").getextrema() == (255, 255) else image


def _encode(image: Image.Image) -> str:
    body = io.BytesIO()
    if image.width * image.height <= _LOSSLESS_PIXELS:
        image.save(body, "WEBP", lossless=True, method=2)
    else:
        image.save(body, "WEBP", quality=_QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(body.getvalue()).decode()}"
