"""Computes precision, recall, density, coverage and copies from the nearest neighbours of features.

Distances are Euclidean, in float64, in blocks of rows, so that memory grows with n and not with n squared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_infer.errors import DataError

Features = npt.NDArray[np.floating[Any]]
Distances = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NEIGHBOURS: Final = 5
# Elements of a block of distances: 64 MiB in float64.
MOST_AT_ONCE: Final = 2**23
_COPY_PERCENTILE: Final = 1.0


@dataclasses.dataclass(frozen=True)
class Manifold:
    """Real features [n, d], each with the distance to its k-th nearest other one."""

    features: Features
    radii: Distances
    k: int


@dataclasses.dataclass(frozen=True)
class Cover:
    """How two sets of features cover one another.

    Attributes:
        precision: share of samples among the real ones (Kynkaanniemi et al. 2019, equation 3).
        recall: share of real ones among the samples (the same, equation 4).
        density: mean count over k of real balls that a sample lies in (Naeem et al. 2020,
            equation 3); may be over 1.
        coverage: share of real balls with a sample in them (the same, equation 4).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(features: Features, k: int = NEIGHBOURS) -> Manifold:
    """Measure the ball around each of features [n, d] that just reaches its k-th nearest other.

    Raises:
        DataError: there are not more than k.
    """
    if len(features) <= k:
        raise DataError(f"{len(features)} pictures have no {k} neighbours each; give at least {k + 1}")
    radii = np.empty(len(features))
    for rows, block in _blocks(features, features):
        radii[rows] = block.topk(k + 1, largest=False).values[:, k].numpy()
    return Manifold(features, radii, k)


def cover(real: Manifold, samples: Features) -> Cover:
    """Return precision, recall, density and coverage of samples [m, d].

    A ball holds what is nearer than its radius, as Naeem et al. write it.

    Raises:
        DataError: there are not more than k samples.
    """
    own = torch.from_numpy(manifold(samples, real.k).radii)
    radii = torch.from_numpy(real.radii)
    balls = torch.zeros(len(samples), dtype=torch.int64)
    recalled = covered = 0
    for rows, block in _blocks(real.features, samples):
        inside = block < radii[rows, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((block < own).any(1).sum())
    return Cover(
        precision=float((balls > 0).double().mean()),
        recall=recalled / len(real.features),
        density=float(balls.double().mean()) / real.k,
        coverage=covered / len(real.features),
    )


def nearest(queries: Features, others: Features, count: int = 1) -> tuple[Distances, Indices]:
    """Return distances and indices, both [n, count], of the nearest of others [m, d], nearest first."""
    distances = np.empty((len(queries), count))
    places = np.empty((len(queries), count), np.int64)
    for rows, block in _blocks(queries, others):
        found = block.topk(count, largest=False)
        distances[rows], places[rows] = found.values.numpy(), found.indices.numpy()
    return distances, places


def share_of_copies(samples: Features, held: Features, rest: Features) -> float:
    """Return the share of samples that lie nearer to a real picture than unseen real pictures do.

    The limit is the distance to the rest that 99 % of the held-out pictures exceed: new pictures of the
    same kind score about 0.01, copies 1. After the comparison of distances by Meehan, Chaudhuri and
    Dasgupta 2020 (A non-parametric test to detect data-copying in generative models), reduced to
    one share.

    Args:
        samples: features [n, d] of the samples, compared with `held` and `rest` alike.
        held, rest: features [h, d] and [m, d] of the data's two parts.
    """
    usual = nearest(held, rest)[0][:, 0]
    # If the data holds duplicates the limit is 0, and equal features differ by rounding.
    limit = float(np.percentile(usual, _COPY_PERCENTILE)) + 1e-6 * float(np.median(usual))
    found = np.minimum(nearest(samples, rest)[0], nearest(samples, held)[0])
    return float((found <= limit).mean())


def _blocks(rows: Features, columns: Features) -> Iterator[tuple[slice, Tensor]]:
    """Yield the distances float64 [n, m] a few rows at a time."""
    origin = columns.mean(0, dtype=np.float64)  # near 0, products lose fewer digits
    others = torch.from_numpy(columns - origin)
    size = max(1, MOST_AT_ONCE // max(1, len(columns)))
    for start in range(0, len(rows), size):
        own = slice(start, min(start + size, len(rows)))
        part = torch.from_numpy(rows[own] - origin)
        yield own, torch.cdist(part, others, compute_mode="use_mm_for_euclid_dist")
