"""Line charts as SVG text: numbers in, a picture out; they know nothing of runs."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Sequence
from typing import Final

from gan_infer.text.escaping import plain

# Units of the drawing are about pixels on a phone, so that its text can be read there.
WIDTH: Final = 400
HEIGHT: Final = 214
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 14, 38
_MOST_POINTS: Final = 400  # more than a screen can show of a curve
_MOST_NUMBERED: Final = 9
_WIDE: Final = math.log10(3)  # a logarithmic axis over a wider range ends at round numbers

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve: its name, and (x, y) by rising x; `level` is a y to hold it against, all along."""

    name: str
    points: Sequence[Point]
    level: float | None = None


@dataclasses.dataclass(frozen=True)
class Mark:
    """Something that happened at x, and what it was."""

    x: float
    text: str


@dataclasses.dataclass(frozen=True)
class Chart:
    """Curves over images seen.

    Attributes:
        limits: the lowest and the highest y; None where the data decides.
        marks: each a thin upright line, numbered from 1 where they are few.
        best: the x at which every curve is ringed.
        logarithmic: draw y by its logarithm; all y must be above 0.
    """

    title: str
    lines: Sequence[Line]
    limits: tuple[float, float] | None = None
    marks: Sequence[Mark] = ()
    best: float | None = None
    logarithmic: bool = False


def escape(text: str) -> str:
    """Return a text as HTML that shows it and nothing else, in its order of writing."""
    return html.escape(plain(text))


def draw(chart: Chart) -> str:
    """Return a figure with an SVG chart and its legend, "" where no line has two finite points.

    The page's script finds the places of points in the drawing, and their values by `data-scale`.
    """
    whole = [dataclasses.replace(line, points=_finite(line.points)) for line in chart.lines]
    whole = [line for line in whole if len(line.points) > 1]
    if not whole:
        return ""
    scale = _Scale(chart, whole)
    body = [*_grid(scale), *_marks(scale, chart.marks)]
    for index, line in enumerate(whole):
        if line.level is not None:
            y = f"{scale.y(line.level):.1f}"
            body.append(
                f'<line class="level c{index}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            )
        places = " ".join(f"{scale.x(x):.1f},{scale.y(y):.2f}" for x, y in thinned(line.points, _MOST_POINTS))
        body.append(f'<polyline class="line c{index}" points="{places}"/>')
        body += [
            f'<circle class="best c{index}" cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="4.5"/>'
            for x, y in line.points
            if x == chart.best
        ]
    return (
        f'<figure class="chart" data-scale="{scale.told()}">'
        f"<figcaption><b>{escape(chart.title)}</b> {'log scale ' if chart.logarithmic else ''}"
        f"{_legend(whole)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" aria-label="{_spoken(chart, whole)}">'
        f"{''.join(body)}</svg></figure>"
    )


def number(value: float) -> str:
    """Write a number with about three digits: 2e-4, 0.0123, 4.57, 1,240, 500k, 3.1M."""
    size = abs(value)
    if 0 < size < 0.00995:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    if size >= 999_500:
        return f"{value / 1e6:.3g}M" if size < 1e9 else f"{value:.3g}"
    if size >= 9999.5:
        return f"{value / 1e3:.3g}k"
    return f"{value:,.0f}" if size >= 999.5 else f"{value:.3g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers that cut low .. high into at most `most` parts: steps of 1, 2 or 5 times 10**k."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = _step(span, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def ticks_around(low: float, high: float, most: int = 4) -> list[float]:
    """Return round numbers, the first at or below `low`, the last at or above `high` > `low`.

    low .. high itself is at most `most` of their steps.
    """
    step = _step(high - low, most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _step(span: float, most: int) -> float:
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most)


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points (4 or more) that look like all of them.

    They are both ends, and of each stretch between them the lowest and the highest.
    """
    if len(points) <= most:
        return list(points)
    inner, parts = points[1:-1], (most - 2) // 2
    chosen = [points[0]]
    for index in range(parts):
        stretch = inner[index * len(inner) // parts : (index + 1) * len(inner) // parts]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        chosen += sorted(ends)
    return [*chosen, points[-1]]


class _Scale:
    """From values to places on the paper."""

    def __init__(self, chart: Chart, lines: Sequence[Line]) -> None:
        self.logarithmic = chart.logarithmic
        values = [self._bent(y) for line in lines for _, y in line.points]
        values += [self._bent(line.level) for line in lines if line.level is not None]
        low, high = chart.limits or (min(values), max(values))
        if not chart.limits and not chart.logarithmic and 0 < low < 0.5 * high:
            low = 0.0
        if high - low < 1e-12 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        self._heights = ticks(low, high)
        if not chart.limits and not chart.logarithmic:
            self._heights = ticks_around(low, high)
            low, high = self._heights[0], self._heights[-1]
        if chart.logarithmic and high - low > _WIDE:
            low, high = _rounded(low, math.floor), _rounded(high, math.ceil)
        self.low, self.high = low, high
        self.end = max(x for line in lines for x, _ in line.points) or 1.0

    def x(self, value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * value / self.end

    def y(self, value: float) -> float:
        share = (self._bent(value) - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share

    def told(self) -> str:
        """Return what undoes x and y: where the paper's inside lies, and the values at its edges."""
        edges = (_LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM, _TOP)
        values = (f"{value:.7g}" for value in (self.end, self.low, self.high))
        return " ".join((*map(str, edges), *values, str(int(self.logarithmic))))

    def heights(self) -> list[float]:
        """Return the values that a line of the grid stands at."""
        if not self.logarithmic:
            return self._heights
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
            values = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in values if self.low <= math.log10(value) <= self.high]
            if len(inside) >= 3:
                return inside[:: math.ceil(len(inside) / 6)]
        return ticks(10**self.low, 10**self.high)

    def _bent(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def _rounded(power: float, way: Callable[[float], int]) -> float:
    """Return the logarithm of the nearest number of one digit, on the way, to 10**power."""
    whole = math.floor(power)
    digit: int = way(round(10 ** (power - whole), 9))
    return whole + math.log10(digit)


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for value in scale.heights():
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for value in ticks(0, scale.end, 4):
        x = scale.x(value)
        anchor = "end" if x > WIDTH - 40 else "middle"
        place = f"{min(x, WIDTH - 2) if anchor == 'end' else x:.1f}"
        parts.append(f'<text x="{place}" y="{HEIGHT - 20}" text-anchor="{anchor}">{number(value)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">images seen</text>'
    )
    return parts


def _marks(scale: _Scale, marks: Sequence[Mark]) -> list[str]:
    parts = []
    for index, mark in enumerate(marks, 1):
        if not 0 <= mark.x <= scale.end:
            continue
        x = f"{scale.x(mark.x):.1f}"
        named = f'<text x="{x}" y="{_TOP - 4}" text-anchor="middle">{index}</text>'
        parts.append(
            f'<g class="mark"><title>{escape(mark.text)}</title>'
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f"{named if len(marks) <= _MOST_NUMBERED else ''}</g>"
        )
    return parts


def _legend(lines: Sequence[Line]) -> str:
    keys = (
        f'<span class="key c{index}">{escape(line.name)} <output>{number(line.points[-1][1])}</output>'
        f"{'' if line.level is None else f' (real {number(line.level)})'}</span>"
        for index, line in enumerate(lines)
    )
    return " ".join(keys)


def _spoken(chart: Chart, lines: Sequence[Line]) -> str:
    ends = ", ".join(
        f"{line.name} from {number(line.points[0][1])} to {number(line.points[-1][1])}" for line in lines
    )
    return escape(f"{chart.title} over images seen: {ends}")


def _finite(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
