"""The table of all measures, from which reports, panels and trackers draw titles and formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gan_train.metrics.measure import HIGH, LOW, OF_CLASSES, Measure

_SHARE: Final = (0.0, 1.0)
_ALL: Final = (
    Measure(
        "frechet",
        "Frechet distance",
        ".3f",
        LOW,
        chart="Frechet distance (lower is better)",
        steep=True,
        brief=".4g",
    ),
    Measure("intra_class_frechet", "Frechet distance within classes", ".3f", LOW, needs=OF_CLASSES),
    Measure("kernel", "kernel distance", ".5f", LOW),
    Measure("kernel_spread", "its spread over subsets", ".5f"),
    Measure(
        "precision",
        "precision",
        ".3f",
        HIGH,
        limits=_SHARE,
        chart="Precision and recall",
        curve="precision",
        brief=".2f",
    ),
    Measure("recall", "recall", ".3f", HIGH, limits=_SHARE, chart="Precision and recall", curve="recall"),
    Measure("density", "density", ".3f", HIGH, chart="Density and coverage", curve="density"),
    Measure("coverage", "coverage", ".3f", HIGH, chart="Density and coverage", curve="coverage", brief=".2f"),
    Measure(
        "label_accuracy",
        "label accuracy",
        ".2%",
        HIGH,
        limits=_SHARE,
        chart="Label accuracy",
        brief=".1%",
        needs=OF_CLASSES,
    ),
    Measure("variety", "variety", ".3f", aim="as real", chart="Variety (1: as the real pictures)"),
    Measure(
        "memorised",
        "near copies, by features",
        ".2%",
        aim="about 1 %",
        chart="Near copies",
        curve="by features",
    ),
    Measure(
        "memorised_pixels",
        "near copies, by pixels",
        ".2%",
        aim="about 1 %",
        chart="Near copies",
        curve="by pixels",
    ),
)
MEASURES: Final[dict[str, Measure]] = {measure.name: measure for measure in _ALL}
MEANINGS: Final = MEASURES  # the name in reports of today
# What the best checkpoint is best by.
LEADING: Final = MEASURES["frechet"]


def table(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return lines of a table: a row per measure, a column per set of values, and which way is better."""
    lines = [f"{'':<34}" + "".join(f"{title:>16}" for title in columns) + "  better"]
    for name, measure in MEASURES.items():
        cells = [format(values[name], measure.form) if name in values else "-" for values in columns.values()]
        if any(cell != "-" for cell in cells):
            lines.append(
                f"{measure.title:<34}{''.join(f'{cell:>16}' for cell in cells)}  {measure.better}".rstrip()
            )
    return lines
