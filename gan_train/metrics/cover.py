"""The metric of precision, recall, density and coverage."""

from __future__ import annotations

import dataclasses
from typing import Final

from gan_train.metrics import neighbours
from gan_train.metrics.measure import HIGH, SHARE, Comparison, Measure, Metric

_MOST: Final = 10_000
_FIRST_CHART, _SECOND_CHART = "Precision and recall", "Density and coverage"


def _compute(compared: Comparison) -> dict[str, float]:
    if compared.count <= neighbours.NEIGHBOURS:
        return {}
    reference, count = compared.reference, min(compared.count, _MOST)
    # The reference has as many pictures as there are samples.
    real = reference.once(
        ("manifold", count), lambda: neighbours.manifold(reference.seen.part(count).features)
    )
    return dataclasses.asdict(neighbours.cover(real, compared.samples.part(count).features))


def _protocol(samples: int, reference: int, full: bool) -> str:
    return f"{neighbours.NEIGHBOURS}, {min(samples, reference, _MOST):,} pictures against as many"


METRIC: Final = Metric(
    (
        Measure(
            "precision",
            "precision",
            ".3f",
            HIGH,
            limits=SHARE,
            chart=_FIRST_CHART,
            curve="precision",
            brief=".2f",
        ),
        Measure("recall", "recall", ".3f", HIGH, limits=SHARE, chart=_FIRST_CHART, curve="recall"),
        Measure("density", "density", ".3f", HIGH, chart=_SECOND_CHART, curve="density"),
        Measure("coverage", "coverage", ".3f", HIGH, chart=_SECOND_CHART, curve="coverage", brief=".2f"),
    ),
    _compute,
    protocol=_protocol,
    protocol_name="neighbours",
)
