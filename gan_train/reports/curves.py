"""Makes the charts of a report: a task's figures over the log, and the measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gan_train.metrics.measure import Measure
from gan_train.metrics.scores import MEASURES
from gan_train.reports.line_charts import Chart, Line, Mark, Point
from gan_train.tasks.figures import LOSS, SCORE, SHARE, Figure, by_network, of_kind

_SHARE: Final = (0.0, 1.0)
Lines = Sequence[Mapping[str, Any]]


def charts_of_figures(figures: Sequence[Figure], log: Lines, marks: Sequence[Mark]) -> list[Chart]:
    """Return a chart of each network's scores, of all losses, of the speeds, and of each share.

    Args:
        log: lines of log.jsonl, each with its times.
    """

    def plot(title: str, curves: Mapping[str, str], limits: tuple[float, float] | None = None) -> Chart:
        lines = [
            Line(name, _points((line["images_seen"], line.get(key)) for line in log))
            for key, name in curves.items()
        ]
        return Chart(title, lines, limits, marks)

    found = [
        plot(
            f"How real the {network.replace('_', ' ')} finds them (0.5: it cannot tell)", _titles(own), _SHARE
        )
        for network, own in by_network(figures, SCORE).items()
    ]
    found.append(plot("Losses", _titles(of_kind(figures, LOSS))))
    found.append(plot("Learning rate", {"learning_rate": "all networks"}))
    found.append(plot("Images per second", {"images_per_second": "training"}))
    shares = (
        plot(figure.title.capitalize(), _titles([figure]), _SHARE) for figure in of_kind(figures, SHARE)
    )
    return [*found, *(chart for chart in shares if _varies(chart))]


def charts_of_measures(
    measured: Lines, marks: Sequence[Mark], best: float | None, real: Mapping[str, float]
) -> list[Chart]:
    """Return a chart for each group of measures that share one.

    Args:
        measured: lines of metrics.jsonl.
        best: the images seen at the best checkpoint.
        real: the values of real pictures, by the measure's name.
    """
    groups: dict[str, list[Measure]] = {}
    for measure in MEASURES.values():
        if measure.chart:
            groups.setdefault(measure.chart, []).append(measure)
    found = []
    for title, measures in groups.items():
        lines = [
            Line(measure.curve, _points(_values(measured, measure.name)), real.get(measure.name))
            for measure in measures
        ]
        values = [y for line in lines for _, y in line.points]
        steep = measures[0].steep and bool(values) and min(values) > 0
        found.append(Chart(title, lines, measures[0].limits, marks, best, steep))
    return found


def marks_of_events(events: Lines) -> list[Mark]:
    """Return a mark for each line of events.jsonl."""
    return [Mark(event["images_seen"], f"{event['kind']}: {event['text']}") for event in events]


def _titles(figures: Sequence[Figure]) -> dict[str, str]:
    return {figure.name: figure.title for figure in figures}


def _values(measured: Lines, name: str) -> Iterable[tuple[float, float | None]]:
    return ((line["images_seen"], line["values"].get(name)) for line in measured)


def _points(pairs: Iterable[tuple[float, float | None]]) -> list[Point]:
    return [(x, y) for x, y in pairs if y is not None]


def _varies(share: Chart) -> bool:
    """Return whether a share is ever between 0 and 1: one that stays at an end says nothing."""
    return any(0 < y < 1 for line in share.lines for _, y in line.points)
