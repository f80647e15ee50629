"""The metric of variety: how varied samples are, compared with real pictures."""

from __future__ import annotations

from typing import Final

from gan_train.metrics import distance
from gan_train.metrics.measure import Comparison, Measure, Metric


def _compute(compared: Comparison) -> dict[str, float]:
    samples, real = compared.samples, compared.reference.seen
    return {"variety": distance.variety(samples.features, samples.classes, real.features, real.classes)}


METRIC: Final = Metric(
    (Measure("variety", "variety", ".3f", aim="as real", chart="Variety (1: as the real pictures)"),),
    _compute,
)
