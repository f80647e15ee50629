"""DiffAugment: transforms pictures on their way to the discriminator.

Every transformation can be differentiated, and is applied to real and generated pictures alike (Zhao
et al., NeurIPS 2020), to each picture with the probability `strength`, which may change during training
(Karras et al., StyleGAN2-ADA, NeurIPS 2020). Random numbers are an argument, so that only the caller
draws them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

# How many random numbers in [0, 1) a picture is given at least, so that all runs see the same chance
# whatever their policy.
DRAWS: Final = 10
_SHIFT: Final = 1 / 8
_CUT: Final = 1 / 2


def augment(pictures: Tensor, draws: Tensor, strength: Tensor, policies: tuple[str, ...]) -> Tensor:
    """Transform some of the pictures.

    Args:
        pictures: float [batch, channels, height, width] in [-1, 1].
        draws: float [batch, count_draws(policies)] in [0, 1).
        strength: a scalar, the probability of each transformation of each picture.
        policies: some of TRANSFORMS, which are done in the order of that table.

    Returns:
        float, of the same shape.
    """
    result = pictures
    for name, transform in TRANSFORMS.items():
        if name in policies:
            done = (draws[:, transform.decides] < strength)[:, None, None, None]
            result = torch.where(done, transform.run(result, draws[:, transform.takes]), result)
    return result


def count_draws(policies: tuple[str, ...]) -> int:
    """Return how many random numbers in [0, 1) a picture needs."""
    needed = (max(each.decides + 1, each.takes.stop) for each in (TRANSFORMS[name] for name in policies))
    return max(DRAWS, *needed) if policies else DRAWS


def adapt(strength: Tensor, rightness: Tensor, target: float, step: float | Tensor) -> Tensor:
    """Return the strength after one batch.

    Args:
        rightness: the mean sign of the real pictures' logits, in [-1, 1]: r_t of StyleGAN2-ADA,
            equation 1, which approaches 1 as the discriminator memorises the real pictures.
        target: the rightness to keep, 0.6 there.
        step: how much the strength changes.
    """
    return (strength + step * torch.sign(rightness - target)).clamp(0.0, 1.0)


def _colour(pictures: Tensor, draws: Tensor) -> Tensor:
    """Change brightness, saturation and contrast; an alpha channel stays as it is."""
    colours, alpha = pictures[:, :3], pictures[:, 3:]
    brightness, saturation, contrast = (draws[:, i, None, None, None] for i in range(3))
    colours = colours + (brightness - 0.5)
    grey = colours.mean(1, keepdim=True)
    colours = (colours - grey) * (2 * saturation) + grey
    mean = colours.mean((1, 2, 3), keepdim=True)
    colours = (colours - mean) * (0.5 + contrast) + mean
    return torch.cat([colours, alpha], 1)


def _translation(pictures: Tensor, draws: Tensor) -> Tensor:
    """Shift by up to an eighth of each side, filling with 0."""
    _, _, height, width = pictures.shape
    down, inside_down = _find_sources(height, draws[:, 0])
    right, inside_right = _find_sources(width, draws[:, 1])
    moved = pictures.gather(2, down[:, None, :, None].expand_as(pictures))
    moved = moved.gather(3, right[:, None, None, :].expand_as(pictures))
    return moved * (inside_down[:, None, :, None] & inside_right[:, None, None, :])


def _find_sources(side: int, draw: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each place along a side where its pixel comes from, and whether that lies inside."""
    most = int(side * _SHIFT + 0.5)
    offset = (draw * (2 * most + 1)).floor().long() - most
    source = torch.arange(side, device=draw.device) + offset[:, None]
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def _cutout(pictures: Tensor, draws: Tensor) -> Tensor:
    """Set a rectangle of half of each side to 0, wherever its centre lies."""
    _, _, height, width = pictures.shape
    rows, columns = _find_covered(height, draws[:, 0]), _find_covered(width, draws[:, 1])
    return pictures * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _find_covered(side: int, draw: Tensor) -> Tensor:
    cut = int(side * _CUT + 0.5)
    start = (draw * (side + 1 - cut % 2)).floor().long() - cut // 2
    place = torch.arange(side, device=draw.device) - start[:, None]
    return (place >= 0) & (place < cut)


@dataclasses.dataclass(frozen=True)
class Transform:
    """One transformation of pictures.

    Attributes:
        run: pictures [batch, channels, height, width] and its own random numbers [batch, ...] -> pictures.
        decides: the place of the random number that decides whether it is done to a picture.
        takes: the places of those that say how; no other transformation may have them.
    """

    run: Callable[[Tensor, Tensor], Tensor]
    decides: int
    takes: slice


TRANSFORMS: Final[dict[str, Transform]] = {
    "colour": Transform(_colour, 0, slice(3, 6)),
    "translation": Transform(_translation, 1, slice(6, 8)),
    "cutout": Transform(_cutout, 2, slice(8, 10)),
}
