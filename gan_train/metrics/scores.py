"""The table of all metrics, which drives evaluator, reports, panels and trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gan_train.metrics import classifier, copies, cover, frechet, kernel, variety
from gan_train.metrics.measure import Measure, Metric

# In the order of reports and of metrics.jsonl, which keeps its bytes.
METRICS: Final[dict[str, Metric]] = {
    "frechet": frechet.METRIC,
    "frechet within classes": frechet.WITHIN_CLASSES,
    "kernel": kernel.METRIC,
    "cover": cover.METRIC,
    "variety": variety.METRIC,
    "accuracy": classifier.METRIC,
    "copies": copies.METRIC,
}


class _Measures(Mapping[str, Measure]):
    """The measures of all metrics by name, in the order of the table as it is at the moment."""

    def __getitem__(self, name: str) -> Measure:
        return self._list()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._list())

    def __len__(self) -> int:
        return len(self._list())

    def _list(self) -> dict[str, Measure]:
        return {measure.name: measure for metric in METRICS.values() for measure in metric.measures}


MEASURES: Final[Mapping[str, Measure]] = _Measures()
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
