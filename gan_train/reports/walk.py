"""A walk through the latent space: the pictures on the way from seed to seed, and back to the first."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from gan_infer import images, latents
from gan_train.networks.pixels import PixelGenerator

_SEEDS = 4
_STEPS = 8
_MOST_WALKS = 6
_MILLISECONDS = 120


def draw(
    generator: nn.Module, latent_dim: int, distribution: str, classes: int, device: torch.device
) -> npt.NDArray[np.uint8]:
    """Give the frames of a closed walk, uint8 [frames, height, width, channels].

    Each frame shows several pictures side by side: with classes, one of each of the first six, all at
    the same latent; without, three walks from other seeds.
    """
    count = min(classes, _MOST_WALKS) or 3
    starts = [0] * count if classes else [index * _SEEDS for index in range(count)]
    paths = [_path(latent_dim, distribution, start) for start in starts]
    latent = np.stack(paths, axis=1).reshape(-1, latent_dim)  # frame by frame
    labels = torch.arange(len(latent), device=device) % count if classes else None
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        pictures = PixelGenerator(generator)(torch.from_numpy(latent).to(device), labels).cpu().numpy()
    generator.train(was_training)
    frames = pictures.reshape(-1, count, *pictures.shape[1:])
    factor = images.factor_for(*pictures.shape[1:3])
    return np.stack([images.enlarge(images.tile(frame, count), factor) for frame in frames])


def animation(frames: npt.NDArray[np.uint8]) -> bytes:
    """Give frames as the bytes of a lossless WebP that plays round and round."""
    first, *rest = (Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame) for frame in frames)
    body = io.BytesIO()
    first.save(body, "WEBP", save_all=True, append_images=rest, duration=_MILLISECONDS, loop=0, lossless=True)
    return body.getvalue()


def _path(latent_dim: int, distribution: str, start: int) -> npt.NDArray[np.float32]:
    """Give float32 [seeds * steps, latent_dim] on great circles through seeds, or on straight lines.

    Latents of a normal distribution lie near a sphere, which a straight line would leave (White
    2016, "Sampling generative networks", section 2.1); uniform ones fill a cube.
    """
    corners = latents.latents(range(start, start + _SEEDS), latent_dim, distribution).astype(np.float64)
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
