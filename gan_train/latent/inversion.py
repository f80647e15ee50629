"""Finds the latent whose picture is nearest to a given one.

Many random latents are drawn; the nearest are improved by a few steps of Adam, the best of those by some
more, and the best of all by L-BFGS, which still improves where Adam is slow: on digits it adds 5 dB in the
same time. (Creswell and Bharath 2018 descend from one random start; Karras et al., StyleGAN2, CVPR 2020,
section 5, from the mean.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_infer.errors import OptionError
from gan_infer.latent import seeds

Pixels = npt.NDArray[np.uint8]
# Latents [n, latent_dim] and classes int64 [n] (or None) to pixel values float [n, height, width, channels].
PixelValues = Callable[[Tensor, Tensor | None], Tensor]

_DRAWN_AT_ONCE: Final = 64
_RATE: Final = 0.1
# Lengths of latents as they are drawn spread by 1 / sqrt(2 latent_dim) about the mean one (normal).
TYPICAL_SPREADS: Final = 2.5
_PRIOR: Final = 10.0


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much work the search may do.

    Attributes:
        drawn: random latents, over all classes together.
        rounds: (starts to keep, steps of Adam for each), one round after the other.
        finished: (starts to keep, most iterations of L-BFGS for each).
    """

    drawn: int = 2048
    rounds: Sequence[tuple[int, int]] = ((16, 30), (4, 60))
    finished: tuple[int, int] = (1, 150)


@dataclasses.dataclass(frozen=True)
class Inversion:
    """The nearest picture and its latent.

    Attributes:
        latent: float32 [latent_dim].
        given: its class, None for an unconditional generator.
        picture: uint8 [height, width, channels].
        psnr: peak signal-to-noise ratio in dB, 10 log10(255^2 / mean squared difference); infinite
            for an equal picture.
        difference: mean absolute difference in pixel values of 256.
        length: of the latent, as a multiple of the mean length of random latents.
    """

    latent: npt.NDArray[np.float32]
    given: int | None
    picture: Pixels
    psnr: float
    difference: float
    length: float


def invert(
    pixel_values: PixelValues,
    target: Pixels,
    latent_dim: int,
    distribution: str = "normal",
    choices: Sequence[int] | None = None,
    effort: Effort = Effort(),
    seed: int = 0,
) -> Inversion:
    """Find the latent whose picture is nearest to `target` in squared differences of pixel values.

    A latent's length stays within that of random latents, so that its picture is one that the
    generator was trained to make; a uniform latent's elements stay within [-1, 1].

    Args:
        pixel_values: the generator, with a gradient with respect to latents.
        target: uint8 [height, width, channels].
        choices: the classes to search; None for an unconditional generator.
        seed: the seed of the first random latent.

    Raises:
        OptionError: `target` has another shape than the generator's pictures.
    """
    wanted = torch.from_numpy(target.astype(np.float32))
    latent, given = _draw(pixel_values, wanted, latent_dim, distribution, choices, effort, seed)
    for kept, steps in effort.rounds:
        latent, given = _keep_nearest(pixel_values, wanted, latent, given, kept)
        latent = _descend(pixel_values, wanted, latent, given, steps, distribution)
    kept, steps = effort.finished
    latent, given = _keep_nearest(pixel_values, wanted, latent, given, kept)
    latent = torch.cat(
        [
            _finish(pixel_values, wanted, latent[i : i + 1], _part(given, i), steps, distribution)
            for i in range(len(latent))
        ]
    )
    best = int(_distances(pixel_values, wanted, latent, given).argmin())
    own = _part(given, best)
    with torch.no_grad():
        picture = torch.round(pixel_values(latent[best : best + 1], own))[0].to(torch.uint8).numpy()
    return describe(latent[best].numpy(), None if own is None else int(own), picture, target, distribution)


def describe(
    latent: npt.NDArray[np.float32], given: int | None, picture: Pixels, target: Pixels, distribution: str
) -> Inversion:
    """Measure how near a latent's picture is to the target."""
    gap = picture.astype(np.float64) - target
    square = float((gap**2).mean())
    psnr = 10 * math.log10(255.0**2 / square) if square else math.inf
    length = float(np.linalg.norm(latent)) / _mean_length(len(latent), distribution)
    return Inversion(latent, given, picture, psnr, float(np.abs(gap).mean()), length)


@torch.no_grad()
def _draw(
    pixel_values: PixelValues,
    wanted: Tensor,
    latent_dim: int,
    distribution: str,
    choices: Sequence[int] | None,
    effort: Effort,
    seed: int,
) -> tuple[Tensor, Tensor | None]:
    """Return many random latents and their classes, the same latents under each class."""
    groups = len(choices) if choices else 1
    each = max(1, effort.drawn // groups)
    drawn = torch.from_numpy(seeds.latents(range(seed, seed + each), latent_dim, distribution))
    latent = drawn.repeat(groups, 1)
    given = torch.tensor(choices).repeat_interleave(each) if choices else None
    if (shape := pixel_values(latent[:1], None if given is None else given[:1]).shape[1:]) != wanted.shape:
        raise OptionError(
            f"a picture of {list(wanted.shape)} was given; the generator makes {list(shape)} "
            "(height, width, channels)"
        )
    return latent, given


def _keep_nearest(
    pixel_values: PixelValues, wanted: Tensor, latent: Tensor, given: Tensor | None, kept: int
) -> tuple[Tensor, Tensor | None]:
    order = _distances(pixel_values, wanted, latent, given).argsort()[:kept]
    return latent[order], None if given is None else given[order]


def _part(given: Tensor | None, index: int) -> Tensor | None:
    return None if given is None else given[index : index + 1]


@torch.no_grad()
def _distances(pixel_values: PixelValues, wanted: Tensor, latent: Tensor, given: Tensor | None) -> Tensor:
    """Return mean squared differences of pixel values, float [n], a part at a time."""
    parts = []
    for start in range(0, len(latent), _DRAWN_AT_ONCE):
        own = slice(start, start + _DRAWN_AT_ONCE)
        made = pixel_values(latent[own], None if given is None else given[own])
        parts.append((made - wanted).square().mean((1, 2, 3)))
    return torch.cat(parts)


def _descend(
    pixel_values: PixelValues,
    wanted: Tensor,
    latent: Tensor,
    given: Tensor | None,
    steps: int,
    distribution: str,
) -> Tensor:
    """Return latents after `steps` steps of Adam, each on its own, the rate falling to 0 by a cosine."""
    moving = latent.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([moving], _RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        total = _cost(pixel_values, wanted, moving, given, distribution)
        (moving.grad,) = torch.autograd.grad(total, [moving])
        optimizer.step()
        if distribution == "uniform":
            with torch.no_grad():
                moving.clamp_(-1.0, 1.0)
    return moving.detach()


def _finish(
    pixel_values: PixelValues,
    wanted: Tensor,
    latent: Tensor,
    given: Tensor | None,
    steps: int,
    distribution: str,
) -> Tensor:
    """Return one latent [1, latent_dim] after at most `steps` iterations of L-BFGS."""
    uniform = distribution == "uniform"
    # A uniform latent is a sine of what is optimised, so it cannot leave its cube.
    moving = torch.asin(latent.clamp(-0.999, 0.999)) if uniform else latent.clone()
    moving.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [moving],
        max_iter=steps,
        history_size=20,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def cost() -> float:
        at = torch.sin(moving) if uniform else moving
        total = _cost(pixel_values, wanted, at, given, distribution)
        (moving.grad,) = torch.autograd.grad(total, [moving])
        return float(total.detach())

    optimizer.step(cost)  # type: ignore[no-untyped-call]
    ended = torch.sin(moving) if uniform else moving
    return ended.detach() if bool(torch.isfinite(ended).all()) else latent


def _cost(
    pixel_values: PixelValues, wanted: Tensor, latent: Tensor, given: Tensor | None, distribution: str
) -> Tensor:
    apart = ((pixel_values(latent, given) - wanted) / 127.5).square().mean((1, 2, 3))
    return (apart + _PRIOR * _untypical(latent, distribution)).sum()


def _untypical(latent: Tensor, distribution: str) -> Tensor:
    """Return the squared distance of each latent's length from those of random latents; 0 within."""
    if distribution == "uniform":  # a cube has no typical length beyond its own sides
        return latent.new_zeros(len(latent))
    dim = latent.shape[1]
    away = (latent.norm(dim=1) / _mean_length(dim, distribution) - 1.0).abs()
    return torch.relu(away - TYPICAL_SPREADS / math.sqrt(2 * dim)).square()


def _mean_length(dim: int, distribution: str) -> float:
    return math.sqrt(dim if distribution == "normal" else dim / 3)
