"""A walk through the latent space: the pictures on the way from seed to seed, and back to the first."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from gan_infer.latent import seeds
from gan_infer.outputs import image
from gan_train.networks import pixels
from gan_train.reports import sheet

_SEEDS: Final = 4
_STEPS: Final = 8
_MOST_WALKS: Final = 6
_MILLISECONDS: Final = 120
_MOST_PIXELS: Final = 2**17  # of a frame
# Up to so many bytes of pixels a lossless file stays small, and pictures of few pixels need it.
_LOSSLESS_BYTES: Final = 2**22
_QUALITY: Final = 85


def draw(
    generator: nn.Module, latent_dim: int, distribution: str, classes: int, device: torch.device
) -> npt.NDArray[np.uint8]:
    """Return the frames of a closed walk, uint8 [frames, height, width, channels].

    Each frame shows several pictures side by side: with classes, one of each of the first six, all at
    the same latent; without, three walks from other seeds. Of large pictures there are fewer.
    """
    one = torch.from_numpy(_path(latent_dim, distribution, 0)[:1]).to(device)
    first_label = torch.zeros(1, dtype=torch.int64, device=device) if classes else None
    height, width = pixels.draw(generator, one, first_label).shape[1:3]
    count = count_walks(height, width, classes)
    starts = [0] * count if classes else [index * _SEEDS for index in range(count)]
    paths = [_path(latent_dim, distribution, start) for start in starts]
    latent = torch.from_numpy(np.stack(paths, axis=1).reshape(-1, latent_dim))  # frame by frame
    labels = torch.arange(len(latent), device=device) % count if classes else None
    drawn = pixels.draw(generator, latent.to(device), labels)
    frames = drawn.reshape(-1, count, *drawn.shape[1:])
    factor = sheet.factor(height, width)
    return np.stack([image.enlarge(image.tile(frame, count), factor) for frame in frames])


def count_walks(height: int, width: int, classes: int) -> int:
    """Return how many walks are shown side by side, of pictures of a size."""
    room = _MOST_PIXELS // (height * width * sheet.factor(height, width) ** 2)
    return max(1, min(classes or 3, _MOST_WALKS, room))


def animation(frames: npt.NDArray[np.uint8]) -> bytes:
    """Return frames as the bytes of a WebP that plays round and round; lossless where they are small."""
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


def _path(latent_dim: int, distribution: str, start: int) -> npt.NDArray[np.float32]:
    """Return float32 [seeds * steps, latent_dim] on great circles through seeds, or on straight lines.

    Latents of a normal distribution lie near a sphere, which a straight line would leave (White
    2016, "Sampling generative networks", section 2.1); uniform ones fill a cube.
    """
    corners = seeds.latents(range(start, start + _SEEDS), latent_dim, distribution).astype(np.float64)
    parts = []
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        share = np.arange(_STEPS)[:, None] / _STEPS
        cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
        angle = np.arccos(np.clip(cosine, -1, 1))
        if distribution == "normal" and np.sin(angle) > 1e-6:
            parts.append((np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle))
        else:
            parts.append((1 - share) * one + share * other)
    return np.concatenate(parts).astype(np.float32)
