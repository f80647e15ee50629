"""Computes distances between two sets of features, as distributions.

Features are float [n, d]. The values are those of torchmetrics, in float64. Its metrics are given
features instead of pictures, do not exchange values with other processes of a run, and draw their
subsets without touching torch's global random state.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan_infer.errors import DataError

Features = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.int64]

# With fewer pictures a class has no useful covariance.
MIN_IN_CLASS: Final = 10


class _Unchanged(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(first: Features, second: Features) -> float:
    """Return the Frechet distance (Heusel et al. 2017, equation 6) of features [n, d] and [m, d], >= 0.

    It falls as n and m grow: compare only values of equal numbers.

    Raises:
        DataError: fewer than 2 rows, or other numbers of features.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    _check(first, second, 2)
    metric = FrechetInceptionDistance(_Unchanged(first.shape[1]), sync_on_compute=False)
    # Sums of squares lose digits if the mean is far from 0; the distance does not depend on the origin.
    origin = first.mean(0, dtype=np.float64)
    metric.update(torch.from_numpy(first - origin), real=True)
    metric.update(torch.from_numpy(second - origin), real=False)
    return max(0.0, float(metric.compute()))


def kernel(
    first: Features, second: Features, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the kernel distance and its spread (Binkowski et al. 2018, section 3).

    The squared maximum mean discrepancy by the kernel (x.y / d + 1)^3, unbiased (so it can be
    under 0), averaged over random subsets; the spread is the standard deviation over them.

    Args:
        first, second: [n, d] and [m, d].
        subset_size: at most; never more than half of the smaller set, so that subsets differ.

    Raises:
        DataError: fewer than 4 rows, or other numbers of features.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    _check(first, second, 4)
    size = min(subset_size, min(len(first), len(second)) // 2)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message=".*will save all extracted features")
        torch.default_generator.manual_seed(seed)
        metric = KernelInceptionDistance(
            _Unchanged(first.shape[1]), subsets=subsets, subset_size=size, sync_on_compute=False
        )
        metric.update(torch.from_numpy(first.astype(np.float64)), real=True)
        metric.update(torch.from_numpy(second.astype(np.float64)), real=False)
        mean, spread = metric.compute()
    return float(mean), float(spread)


def intra_class_frechet(
    first: Features, first_classes: Classes, second: Features, second_classes: Classes
) -> float:
    """Return the mean over the classes of the Frechet distance within a class.

    Classes with under 10 rows in either set are left out; nan if all are.

    Raises:
        DataError: as `frechet`.
    """
    _check(first, second, 2)
    distances = []
    for value in np.union1d(first_classes, second_classes):
        one, other = first[first_classes == value], second[second_classes == value]
        if min(len(one), len(other)) >= MIN_IN_CLASS:
            distances.append(frechet(one, other))
    return float(np.mean(distances)) if distances else float("nan")


def variety(
    samples: Features, sample_classes: Classes | None, real: Features, real_classes: Classes | None
) -> float:
    """Return the spread of samples as a ratio to that of real pictures: 1 if equal, 0 without any.

    The spread is the root of the summed variances of the features, within each class if both
    have classes (a mean over the classes of at least 2 rows each), over all otherwise.
    """
    if sample_classes is None or real_classes is None:
        return _spread(samples) / max(_spread(real), 1e-12)
    pairs = [(samples[sample_classes == i], real[real_classes == i]) for i in np.unique(real_classes)]
    pairs = [pair for pair in pairs if min(map(len, pair)) >= 2]
    if not pairs:
        return _spread(samples) / max(_spread(real), 1e-12)
    return sum(_spread(one) for one, _ in pairs) / max(sum(_spread(other) for _, other in pairs), 1e-12)


def _spread(features: Features) -> float:
    return float(np.sqrt(features.astype(np.float64).var(0).sum()))


def _check(first: Features, second: Features, least: int) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            f"features of shapes {first.shape} and {second.shape} were given; expected [n, d] and [m, d]; "
            "give features of one network"
        )
    if min(len(first), len(second)) < least:
        raise DataError(
            f"{len(first)} and {len(second)} pictures are too few to compare; give at least {least} each"
        )
