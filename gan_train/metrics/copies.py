"""The metric of near copies: the shares of samples that copy the data, by features and by pixels."""

from __future__ import annotations

from typing import Final

from gan_train.metrics import neighbours, pixel_features
from gan_train.metrics.measure import Comparison, Measure, Metric

_AIM, _CHART = "about 1 %", "Near copies"


def _compute(compared: Comparison) -> dict[str, float]:
    data, samples = compared.reference, compared.pictures
    assert samples is not None
    by_pixels = pixel_features.averages(samples)
    return {
        "memorised": neighbours.share_of_copies(compared.samples.features, data.held(), data.rest()),
        "memorised_pixels": neighbours.share_of_copies(by_pixels, data.held_pixels(), data.rest_pixels()),
    }


METRIC: Final = Metric(
    (
        Measure("memorised", "near copies, by features", ".2%", aim=_AIM, chart=_CHART, curve="by features"),
        Measure(
            "memorised_pixels", "near copies, by pixels", ".2%", aim=_AIM, chart=_CHART, curve="by pixels"
        ),
    ),
    _compute,
    costly=True,
    of_samples=True,
)
