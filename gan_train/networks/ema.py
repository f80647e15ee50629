"""The generator's running average, which is shown and exported."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """Return the weight of the old average after one step on `batch` images.

    The half-life, in images, is the smaller of `half_life` and `ramp` * images_seen: an average
    that forgets the first, bad generators quickly (Karras et al., StyleGAN2-ADA 2020).
    """
    effective = min(half_life, ramp * images_seen)
    return float(0.5 ** (batch / max(effective, 1e-8)))


@torch.no_grad()
def update(average: nn.Module, current: nn.Module, weight: float | Tensor) -> None:
    """Set every parameter of `average` to weight * average + (1 - weight) * current."""
    old: list[Tensor] = list(average.parameters())
    new: list[Tensor] = list(current.parameters())
    if isinstance(weight, Tensor):
        torch._foreach_mul_(old, weight)
        torch._foreach_add_(old, list(torch._foreach_mul(new, 1.0 - weight)))
    else:
        torch._foreach_lerp_(old, new, 1.0 - weight)


def has_statistics(network: nn.Module) -> bool:
    """Return whether a network holds batch statistics, which are wrong for averaged weights."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@torch.no_grad()
def recalibrate(average: nn.Module, run_batch: Callable[[int], Tensor], batches: int = 32) -> None:
    """Measure batch-normalisation statistics again for averaged weights.

    Args:
        run_batch: calls `average` on fresh latents; its argument counts from 0 to batches - 1.
            The statistics become the plain mean over these batches.
    """
    norms = [module for module in average.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = average.training
    average.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    for index in range(batches):
        run_batch(index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    average.train(was_training)
