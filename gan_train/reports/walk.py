"""Draws a walk through the latent space: from seed to seed, and back to the first."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.conditions.spec import IMAGE
from gan_infer.latent import interpolation
from gan_infer.outputs import image
from gan_train.reports import sheet
from gan_train.reports.views import VIEWS, Pictures, Walker
from gan_train.tasks.base import Drawer

_SEEDS: Final = 4
_STEPS: Final = 8
_MOST_WALKS: Final = 6
_MILLISECONDS: Final = 120
_MOST_PIXELS: Final = 2**17  # of a frame
# Up to this many bytes of pixels a lossless file stays small, and pictures of few pixels need it.
_LOSSLESS_BYTES: Final = 2**22
_QUALITY: Final = 85


def draw(drawer: Drawer, kind: str = IMAGE) -> Pictures | None:
    """Return the frames of a closed walk.

    Each frame shows several pictures side by side: with classes, one of each of the first six, all at
    the same latent; without, three walks from other seeds. Large pictures are fewer.

    Args:
        kind: the kind of the generator's output, see `views.VIEWS`.

    Returns:
        uint8 [frames, height, width, channels]; None if outputs of the kind have no pictures, or
        the drawer cannot draw latents.
    """
    view = VIEWS.get(kind)
    if view is None or not isinstance(drawer, Walker):
        return None
    classes = drawer.classes
    first = np.zeros(1, np.int64) if classes else None
    height, width = view(drawer.draw_latents(_path(drawer, 0)[:1], first)).shape[1:3]
    count = count_walks(height, width, classes)
    paths = [_path(drawer, 0 if classes else index * _SEEDS) for index in range(count)]
    latents = np.stack(paths, axis=1).reshape(-1, paths[0].shape[1])  # frame by frame
    given = np.arange(len(latents)) % count if classes else None
    drawn = view(drawer.draw_latents(latents, given))
    frames = drawn.reshape(-1, count, *drawn.shape[1:])
    factor = sheet.factor(height, width)
    return np.stack([image.enlarge(image.tile(frame, count), factor) for frame in frames])


def count_walks(height: int, width: int, classes: int) -> int:
    """Return the number of walks that are shown side by side, for pictures of a size."""
    room = _MOST_PIXELS // (height * width * sheet.factor(height, width) ** 2)
    return max(1, min(classes or 3, _MOST_WALKS, room))


def animation(frames: npt.NDArray[np.uint8]) -> bytes:
    """Return frames as the bytes of a WebP that plays in a loop; lossless if they are small."""
    first, *rest = (Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame) for frame in frames)
    body = io.BytesIO()
    first.save(
        body,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=_MILLISECONDS,
        loop=0,
        lossless=frames.nbytes <= _LOSSLESS_BYTES,
        quality=_QUALITY,
        method=2,
    )
    return body.getvalue()


def _path(walker: Walker, start: int) -> npt.NDArray[np.float32]:
    """Return float32 [seeds * steps, latent_dim] on arcs through seeds, or on straight lines.

    Latents of a normal distribution lie near a sphere, which a straight line would leave (White
    2016, "Sampling generative networks", section 2.1); uniform ones fill a cube.
    """
    corners = walker.latents(range(start, start + _SEEDS)).cpu().numpy()
    mode = "slerp" if walker.distribution == "normal" else "lerp"
    return interpolation.loop(corners, _SEEDS * _STEPS, mode)
