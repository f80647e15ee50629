"""The metric of the kernel distance and its spread."""

from __future__ import annotations

from typing import Final

from gan_train import seeding
from gan_train.metrics import distance
from gan_train.metrics.measure import LOW, Comparison, Measure, Metric

_SUBSET: Final = 1000
_CHEAP_SUBSETS, _FULL_SUBSETS = 10, 100
_FEWEST: Final = 4


def _compute(compared: Comparison) -> dict[str, float]:
    if compared.count < _FEWEST:
        return {}
    reference = compared.reference
    mean, spread = distance.kernel(
        reference.seen.features,
        compared.samples.features,
        subsets=_subsets(reference.full),
        subset_size=_SUBSET,
        seed=seeding.derive(reference.seed, "metrics", "kernel"),
    )
    return {"kernel": mean, "kernel_spread": spread}


def _protocol(samples: int, reference: int, full: bool) -> str:
    return f"{_subsets(full)} subsets of {min(_SUBSET, min(samples, reference) // 2):,}"


def _subsets(full: bool) -> int:
    return _FULL_SUBSETS if full else _CHEAP_SUBSETS


METRIC: Final = Metric(
    (
        Measure("kernel", "kernel distance", ".5f", LOW),
        Measure("kernel_spread", "its spread over subsets", ".5f"),
    ),
    _compute,
    protocol=_protocol,
    protocol_name="kernel",
)
