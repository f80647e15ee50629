"""Small charts as PNG or SVG files: histograms and calibration curves; they know no models."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import files
from gan_infer.errors import OptionError
from gan_infer.text.escaping import plain

if TYPE_CHECKING:
    import numpy.typing as npt

ENDINGS: Final = (".png", ".svg")
BINS: Final = 20

_WIDTH, _HEIGHT = 420, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 16, 34, 44
_TEXT: Final = 12
_SHARPNESS: Final = 2  # pixels of a PNG a unit of the drawing
_INK, _FAINT, _BARS, _LINE = "#222222", "#d8d8d8", "#9db8d9", "#b3402a"


@dataclasses.dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    colour: str


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A line through points."""

    points: Sequence[tuple[float, float]]
    colour: str
    width: float = 1.0


@dataclasses.dataclass(frozen=True)
class Words:
    """A line of text: at the left ("start"), centre ("middle") or right ("end") of (x, y), its foot."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


Shape = Box | Stroke | Words


def check_ending(target: Path) -> None:
    """Refuse a chart's file name before long work.

    Raises:
        OptionError: its ending is none of ENDINGS, or it cannot be written.
    """
    if target.suffix.lower() not in ENDINGS:
        raise OptionError(f"{target} ends in no kind of chart; give a name that ends in .png or .svg")
    files.check_writable(target)


def save(shapes: Sequence[Shape], target: Path) -> None:
    """Write a chart, whole or not at all; the name's ending picks PNG or SVG.

    Raises:
        OptionError: as `check_ending`.
    """
    check_ending(target)
    if target.suffix.lower() == ".svg":
        files.write(target, svg(shapes).encode())
        return
    image = _painted(shapes)
    files.write(target, lambda file: image.save(file, "PNG"))


def histogram(values: npt.NDArray[Any], title: str) -> list[Shape]:
    """Draw how many of `values`, float [n] from 0 to 1, fall into each of BINS equal bins."""
    counts = np.histogram(values, BINS, (0.0, 1.0))[0]
    most = max(1, int(counts.max()))
    heights = (0, most // 2, most) if most % 2 == 0 else (0, most)
    shapes = _frame(title, "realness", [(height, f"{height:,}") for height in heights], most)
    for index, count in enumerate(counts):
        left, right = _x(index / BINS) + 1, _x((index + 1) / BINS) - 1
        shapes.append(Box(left, _y(count / most), right, _y(0), _BARS))
    return shapes


def calibration(curve: Sequence[Mapping[str, float]], title: str) -> list[Shape]:
    """Draw a calibration curve over the line on which it would lie if it were perfect.

    Args:
        curve: bins with "from", "to" (realness), "count" (pictures), "mean" (their mean realness)
            and "real" (which share of them is real). Bars show the counts.
    """
    shapes = _frame(title, "realness", [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)], 1)
    most = max([row["count"] for row in curve], default=1) or 1
    for row in curve:
        height = 0.3 * row["count"] / most
        shapes.append(Box(_x(row["from"]) + 1, _y(height), _x(row["to"]) - 1, _y(0), _BARS))
    shapes.append(Stroke([(_x(0), _y(0)), (_x(1), _y(1))], _FAINT, 2.0))
    points = [(_x(row["mean"]), _y(row["real"])) for row in curve if row["count"]]
    shapes.append(Stroke(points, _LINE, 2.0))
    shapes += [Box(x - 2.5, y - 2.5, x + 2.5, y + 2.5, _LINE) for x, y in points]
    shapes.append(Words(_LEFT + 6, _TOP + 14, "share that is real", "start"))
    return shapes


def svg(shapes: Sequence[Shape]) -> str:
    """Return a chart as the text of an SVG file."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="{_TEXT}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for shape in shapes:
        if isinstance(shape, Box):
            parts.append(
                f'<rect x="{shape.left:.1f}" y="{shape.top:.1f}" width="{shape.right - shape.left:.1f}" '
                f'height="{shape.bottom - shape.top:.1f}" fill="{shape.colour}"/>'
            )
        elif isinstance(shape, Stroke):
            places = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            parts.append(
                f'<polyline points="{places}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width:g}"/>'
            )
        else:
            parts.append(
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}" fill="{_INK}">'
                f"{html.escape(shape.text)}</text>"
            )
    return "\n".join([*parts, "</svg>", ""])


def _painted(shapes: Sequence[Shape]) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (_WIDTH * _SHARPNESS, _HEIGHT * _SHARPNESS), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(_TEXT * _SHARPNESS)
    for shape in shapes:
        if isinstance(shape, Box):
            corners = [shape.left, shape.top, shape.right, max(shape.top, shape.bottom)]
            pen.rectangle([side * _SHARPNESS for side in corners], fill=shape.colour)
        elif isinstance(shape, Stroke):
            places = [(x * _SHARPNESS, y * _SHARPNESS) for x, y in shape.points]
            pen.line(places, fill=shape.colour, width=round(shape.width * _SHARPNESS))
        else:
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            place = (shape.x * _SHARPNESS, shape.y * _SHARPNESS)
            pen.text(place, shape.text, fill=_INK, font=font, anchor=anchor)
    return image


def _frame(title: str, below: str, heights: Sequence[tuple[float, str]], most: float) -> list[Shape]:
    shapes: list[Shape] = [Words(_WIDTH / 2, 20, plain(title))]
    for value, text in heights:
        y = _y(value / most)
        shapes.append(Stroke([(_x(0), y), (_x(1), y)], _FAINT))
        shapes.append(Words(_LEFT - 6, y + 4, text, "end"))
    for share in (0, 0.25, 0.5, 0.75, 1):
        shapes.append(Words(_x(share), _HEIGHT - _BOTTOM + 16, f"{share:g}"))
    shapes.append(Words(_x(0.5), _HEIGHT - 10, below))
    return shapes


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share
