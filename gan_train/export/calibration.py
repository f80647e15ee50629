"""Calibrates a critic's logits to probabilities, and measures how well they match the truth.

The measures are not those of torchmetrics. Its area under the curve maps logits through a sigmoid first,
where those above 36 become equal: for logits that spread by 60 it is 0.0006 off, by 300 0.002. Its
expected error has a separate bin for a realness of exactly 1, which the curve in the file has not.
`real` always says which pictures are real, bool [n].
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int64]

BINS: Final = 15
_STEPS: Final = 100
_DRAWS: Final = 100


def fit(logits: Values, real: Flags, given: Classes | None, classes: int) -> tuple[float, Values]:
    """Fit (slope, intercepts): sigmoid(slope * logit + intercepts[class]) is the chance of being real.

    The middle of its class is subtracted from each logit first: a relativistic or Wasserstein loss leaves
    the middle of each class free, and differences between classes then say nothing about realness.

    Args:
        given: the class of each, int64 [n], with as many real as generated ones; None without classes.
        classes: the number of classes, 0 for none.

    Returns:
        slope, and intercepts float64 [classes], [1] without classes.
    """
    middle = centres(logits, given, classes) if given is not None else np.zeros(1)
    own = logits - (middle[given] if given is not None else 0.0)
    slope, intercept = platt(own, real)
    return slope, intercept - slope * middle


def centres(logits: Values, given: Classes, classes: int) -> Values:
    """Return the mean logit of each class, float64 [classes], shrunk towards the mean of all.

    The estimate of Efron and Morris (1975): a class's own mean counts by the share of the spread
    between classes in its variance, which is that spread and the spread within over its pictures.
    """
    overall = float(logits.mean())
    counts = np.bincount(given, minlength=classes)
    known = np.maximum(counts, 1)
    means = np.where(counts > 0, np.bincount(given, logits, classes) / known, overall)
    within = float(((logits - means[given]) ** 2).mean())
    apart = float(np.average((means - overall) ** 2, weights=counts)) - within * float((1 / known).mean())
    apart = max(0.0, apart)
    share = apart / (apart + within / known) if apart else np.zeros(classes)
    result: Values = overall + share * (means - overall)
    return result


def platt(logits: Values, real: Flags) -> tuple[float, float]:
    """Fit (slope, intercept) so that sigmoid(slope * logit + intercept) is the chance of being real.

    Platt (1999), with his targets (n + 1) / (n + 2) and 1 / (n + 2) instead of 1 and 0, which keep
    the slope finite if a line separates the two kinds; the cross-entropy is minimised by
    Newton's method with halved steps (Lin, Lin and Weng 2007).
    """
    ones, zeros = int(real.sum()), int((~real).sum())
    target = np.where(real, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    centre, spread = float(logits.mean()), float(logits.std()) or 1.0
    columns = np.stack([(logits - centre) / spread, np.ones(len(logits))], axis=1)
    weights = np.array([0.0, np.log((ones + 1) / (zeros + 1))])
    loss = _cross_entropy(columns @ weights, target)
    for _ in range(_STEPS):
        chance = sigmoid(columns @ weights)
        gradient = columns.T @ (chance - target)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while scale > 1e-9 and _cross_entropy(columns @ (weights - scale * step), target) > loss:
            scale /= 2
        weights = weights - scale * step
        before, loss = loss, _cross_entropy(columns @ weights, target)
        if before - loss < 1e-10 * len(logits):
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * centre


def sigmoid(values: Values) -> Values:
    """Return 1 / (1 + exp(-values)) without overflow."""
    result: Values = np.exp(-np.logaddexp(0.0, -values))
    return result


def expected_error(realness: Values, real: Flags, bins: int = BINS) -> float:
    """Return the expected calibration error, from 0 to 1.

    The mean distance, over bins of equal width weighted by their pictures, between the share that
    is real and the mean realness (Naeini et al. 2015; Guo et al. 2017, equation 3).
    """
    rows = curve(realness, real, bins)
    return float(sum(row["count"] * abs(row["real"] - row["mean"]) for row in rows)) / len(realness)


def error_by_chance(realness: Values, bins: int = BINS) -> float:
    """Return the expected calibration error of a perfect calibration on this few pictures.

    The mean over draws in which each picture is real with the probability of its realness: a bin of few
    pictures is off by chance, so the error is never 0 and rises with fewer pictures (Roelofs et al. 2022).
    """
    chance = np.random.default_rng(0)
    drawn = (chance.random(len(realness)) < realness for _ in range(_DRAWS))
    return float(np.mean([expected_error(realness, real, bins) for real in drawn]))


def curve(realness: Values, real: Flags, bins: int = BINS) -> list[dict[str, Any]]:
    """Return the calibration curve.

    Returns:
        a row per bin, the lowest first: "from" and "to" (realness), "count" (of pictures), "mean" (their
        realness) and "real" (the share that is). For an empty bin both are its middle.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, realness, side="right") - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        own = place == index
        middle = (edges[index] + edges[index + 1]) / 2
        rows.append(
            {
                "from": round(float(edges[index]), 6),
                "to": round(float(edges[index + 1]), 6),
                "count": int(own.sum()),
                "mean": float(realness[own].mean()) if own.any() else float(middle),
                "real": float(real[own].mean()) if own.any() else float(middle),
            }
        )
    return rows


def separation(logits: Values, real: Flags) -> float:
    """Return the chance that a real picture's logit is above a generated one's, ties counted half.

    The area under the receiver operating characteristic, by ranks (Mann and Whitney 1947).
    """
    _, inverse, counts = np.unique(logits, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]
    ones, zeros = int(real.sum()), int((~real).sum())
    return float((ranks[real].sum() - ones * (ones + 1) / 2) / max(1, ones * zeros))


def _cross_entropy(scores: Values, target: Values) -> float:
    return float((np.logaddexp(0.0, scores) - target * scores).sum())
