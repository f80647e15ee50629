"""The metrics of the Frechet distance, over all pictures and within classes."""

from __future__ import annotations

from typing import Final

import numpy as np

from gan_train.data.columns import CLASS, IMAGE
from gan_train.metrics import distance
from gan_train.metrics.measure import LOW, Comparison, Measure, Metric


def _over_all(compared: Comparison) -> dict[str, float]:
    return {"frechet": distance.frechet(compared.reference.seen.features, compared.samples.features)}


def _within_classes(compared: Comparison) -> dict[str, float]:
    real, samples = compared.reference.seen, compared.samples
    assert real.classes is not None
    assert samples.classes is not None
    within = distance.intra_class_frechet(real.features, real.classes, samples.features, samples.classes)
    return {"intra_class_frechet": within} if np.isfinite(within) else {}


METRIC: Final = Metric(
    (
        Measure(
            "frechet",
            "Frechet distance",
            ".3f",
            LOW,
            chart="Frechet distance (lower is better)",
            steep=True,
            brief=".4g",
        ),
    ),
    _over_all,
)
WITHIN_CLASSES: Final = Metric(
    (Measure("intra_class_frechet", "Frechet distance within classes", ".3f", LOW),),
    _within_classes,
    needs=frozenset((IMAGE, CLASS)),
    costly=True,
)
