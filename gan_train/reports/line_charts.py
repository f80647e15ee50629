"""Draws line charts over images seen, as figures of a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gan_infer.outputs import drawing
from gan_infer.outputs.drawing import Dot, Element, Frame, Group, Rule, Stroke, Words
from gan_train.reports import templates

if TYPE_CHECKING:
    from markupsafe import Markup

# Units of the drawing are about pixels on a phone, so that its text can be read there.
_PAPER: Final = Frame(400, 214, left=50, right=14, top=14, bottom=38)
_LEFT, _RIGHT = _PAPER.left, _PAPER.width - _PAPER.right
_TOP, _BOTTOM = _PAPER.top, _PAPER.height - _PAPER.bottom
_MOST_POINTS: Final = 400  # more than a screen can show of a curve
_MOST_NUMBERED: Final = 9
_COLOURS: Final = 6  # of page.css
_WIDE: Final = math.log10(3)  # a logarithmic axis over a wider range ends at round numbers

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve: its name, and (x, y) by rising x; `level` is a y drawn across for comparison."""

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
        limits: the lowest and the highest y; None lets the data decide.
        marks: each a thin upright line, numbered from 1 if they are few.
        best: the x at which every curve gets a ring.
        logarithmic: draw y by its logarithm; all y must be above 0.
    """

    title: str
    lines: Sequence[Line]
    limits: tuple[float, float] | None = None
    marks: Sequence[Mark] = ()
    best: float | None = None
    logarithmic: bool = False


def draw(chart: Chart) -> Markup | str:
    """Return a figure with an SVG chart and its legend, "" where no line has two finite points.

    The page's script finds the points in the drawing, and their values by `data-scale`.
    """
    whole = [dataclasses.replace(line, points=_keep_finite(line.points)) for line in chart.lines]
    whole = [line for line in whole if len(line.points) > 1]
    if not whole:
        return ""
    scale = _Scale(chart, whole)
    elements = [*_grid(scale), *_marks(scale, chart.marks)]
    for index, line in enumerate(whole):
        elements += _curve(scale, line, f"c{index % _COLOURS}", chart.best)
    return templates.render(
        "chart.html.j2",
        chart=chart,
        lines=whole,
        paper=_PAPER,
        scale=scale.edges(),
        elements=[templates.trust(drawing.svg_element(element)) for element in elements],
        number=number,
        colours=_COLOURS,
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
    """Return round numbers that cut low .. high into at most `most` parts by steps of 1, 2 or 5 * 10**k."""
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


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points (4 or more) that look like all of them.

    Kept are both ends, and the lowest and highest of each stretch between them.
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
    """Maps values to positions in the drawing."""

    def __init__(self, chart: Chart, lines: Sequence[Line]) -> None:
        self.logarithmic = chart.logarithmic
        values = [self._bend(y) for line in lines for _, y in line.points]
        values += [self._bend(line.level) for line in lines if line.level is not None]
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
            low, high = _round(low, math.floor), _round(high, math.ceil)
        self.low, self.high = low, high
        self.end = max(x for line in lines for x, _ in line.points) or 1.0

    def x(self, value: float) -> float:
        return _PAPER.x(value / self.end)

    def y(self, value: float) -> float:
        return _PAPER.y((self._bend(value) - self.low) / (self.high - self.low))

    def edges(self) -> str:
        """Return the inverse of x and y: the edges of the plot in the drawing, and the values there."""
        places = (_LEFT, _RIGHT, _BOTTOM, _TOP)
        values = (f"{value:.7g}" for value in (self.end, self.low, self.high))
        return " ".join((*map(str, places), *values, str(int(self.logarithmic))))

    def heights(self) -> list[float]:
        """Return the values of the grid's lines."""
        if not self.logarithmic:
            return self._heights
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
            values = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in values if self.low <= math.log10(value) <= self.high]
            if len(inside) >= 3:
                return inside[:: math.ceil(len(inside) / 6)]
        return ticks(10**self.low, 10**self.high)

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def _round(power: float, way: Callable[[float], int]) -> float:
    """Return the logarithm of the number of one digit that is nearest to 10**power."""
    whole = math.floor(power)
    digit: int = way(round(10 ** (power - whole), 9))
    return whole + math.log10(digit)


def _grid(scale: _Scale) -> list[Element]:
    elements: list[Element] = []
    for value in scale.heights():
        y = scale.y(value)
        elements.append(Rule(_LEFT, y, _RIGHT, y, name="grid"))
        elements.append(Words(_LEFT - 6, y + 4, number(value), "end", "tick"))
    for value in ticks(0, scale.end, 4):
        x = scale.x(value)
        at_edge = x > _PAPER.width - 40
        place = min(x, _PAPER.width - 2) if at_edge else x
        elements.append(
            Words(place, _PAPER.height - 20, number(value), "end" if at_edge else "middle", "tick")
        )
    elements.append(Words((_LEFT + _RIGHT) / 2, _PAPER.height - 4, "images seen", name="axis"))
    return elements


def _marks(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    elements: list[Element] = []
    for index, mark in enumerate(marks, 1):
        if not 0 <= mark.x <= scale.end:
            continue
        x = scale.x(mark.x)
        inside: list[Rule | Words] = [Rule(x, _TOP, x, _BOTTOM, name="upright")]
        if len(marks) <= _MOST_NUMBERED:
            inside.append(Words(x, _TOP - 4, str(index), name="number"))
        elements.append(Group(inside, mark.text, name="mark"))
    return elements


def _curve(scale: _Scale, line: Line, colour: str, best: float | None) -> list[Element]:
    """Draw a line with its level, and a ring at the best point."""
    elements: list[Element] = []
    if line.level is not None:
        y = scale.y(line.level)
        elements.append(Rule(_LEFT, y, _RIGHT, y, name=f"level {colour}"))
    places = [(scale.x(x), scale.y(y)) for x, y in thin(line.points, _MOST_POINTS)]
    elements.append(Stroke(places, name=f"line {colour}"))
    rings = (Dot(scale.x(x), scale.y(y), 4.5, name=f"best {colour}") for x, y in line.points if x == best)
    return [*elements, *rings]


def _keep_finite(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
