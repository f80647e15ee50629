"""Line charts as SVG text: numbers in, a picture out; they know nothing of runs."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence
from typing import Final, TypeVar

WIDTH: Final = 560
HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 30
_MOST_POINTS: Final = 400  # more than a screen can show of a curve

Point = tuple[float, float]
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve: its name, and (x, y) by rising x."""

    name: str
    points: Sequence[Point]


@dataclasses.dataclass(frozen=True)
class Chart:
    """Curves over images seen.

    Attributes:
        limits: the lowest and the highest y; None where the data decides.
        marks: x of what happened, each a thin upright line.
        best: a point to be ringed.
        logarithmic: draw y by its logarithm; all y must be above 0.
    """

    title: str
    lines: Sequence[Line]
    limits: tuple[float, float] | None = None
    marks: Sequence[float] = ()
    best: Point | None = None
    logarithmic: bool = False


def draw(chart: Chart) -> str:
    """Give a figure with an SVG chart and its legend, "" where no line has two points."""
    lines = [Line(line.name, _thinned(line.points)) for line in chart.lines if len(line.points) > 1]
    if not lines:
        return ""
    scale = _Scale(chart, lines)
    body = [*_grid(scale), *(_mark(scale, x) for x in chart.marks)]
    for index, line in enumerate(lines):
        places = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line.points)
        body.append(f'<polyline class="line c{index}" points="{places}"/>')
    if chart.best is not None:
        x, y = chart.best
        body.append(f'<circle class="best" cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="5"/>')
    title = html.escape(chart.title)
    return (
        f'<figure class="chart"><figcaption><b>{title}</b> {_legend(lines)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_spoken(chart, lines)}">'
        f"{''.join(body)}</svg></figure>"
    )


def number(value: float) -> str:
    """Write a number with about three digits: 0.0123, 4.57, 1,240, 3.1M."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Give round numbers that cut low .. high into at most `most` parts: steps of 1, 2 or 5 times 10**k."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


class _Scale:
    """From values to places on the paper."""

    def __init__(self, chart: Chart, lines: Sequence[Line]) -> None:
        self.logarithmic = chart.logarithmic
        values = [self._bent(y) for line in lines for _, y in line.points]
        low, high = chart.limits or (min(values), max(values))
        if chart.limits is None and not chart.logarithmic:
            low = min(low, 0.0) if low < 0 or low < 0.5 * high else low
        if high - low < 1e-12 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        self.low, self.high = low, high
        self.end = max(x for line in lines for x, _ in line.points) or 1.0

    def x(self, value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * value / self.end

    def y(self, value: float) -> float:
        share = (self._bent(value) - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share

    def heights(self) -> list[float]:
        """Give the values that a line of the grid stands at."""
        if not self.logarithmic:
            return ticks(self.low, self.high)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        round_ones = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        inside = [value for value in round_ones if self.low <= math.log10(value) <= self.high]
        every = max(1, math.ceil(len(inside) / 6))
        return inside[::every] or [10**self.low, 10**self.high]

    def _bent(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for value in scale.heights():
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for value in ticks(0, scale.end, 4):
        x = scale.x(value)
        anchor = "end" if x > WIDTH - 40 else "middle"
        label = "0" if value == 0 else number(value)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{label}</text>')
    return parts


def _mark(scale: _Scale, x: float) -> str:
    place = f"{scale.x(x):.1f}"
    return f'<line class="mark" x1="{place}" x2="{place}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'


def _legend(lines: Sequence[Line]) -> str:
    return " ".join(
        f'<span class="key c{index}">{html.escape(line.name)} {number(line.points[-1][1])}</span>'
        for index, line in enumerate(lines)
    )


def _spoken(chart: Chart, lines: Sequence[Line]) -> str:
    ends = ", ".join(
        f"{line.name} from {number(line.points[0][1])} to {number(line.points[-1][1])}" for line in lines
    )
    return html.escape(f"{chart.title} over images seen: {ends}")


def _thinned(points: Sequence[Point]) -> list[Point]:
    finite = [point for point in points if math.isfinite(point[1])]
    return spread(finite, _MOST_POINTS)


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Give at most `most` items, evenly spread, the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
