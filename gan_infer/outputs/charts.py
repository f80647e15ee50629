"""Small charts as PNG or SVG files: histograms and calibration curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import files
from gan_infer.errors import OptionError
from gan_infer.outputs import drawing
from gan_infer.outputs.drawing import FAINT, Box, Element, Frame, Rule, Stroke, Words

if TYPE_CHECKING:
    import numpy.typing as npt

ENDINGS: Final = (".png", ".svg")
BINS: Final = 20
_PAPER: Final = Frame(420, 320, left=54, right=16, top=34, bottom=44)
_BARS: Final = "#9db8d9"
_LINE: Final = "#b3402a"


def check_ending(target: Path) -> None:
    """Refuse the file name of a chart before long work starts.

    Raises:
        OptionError: the ending is not one of ENDINGS, or the file cannot be written.
    """
    if target.suffix.lower() not in ENDINGS:
        raise OptionError(f"{target} is not the name of a chart; give a name that ends in .png or .svg")
    files.check_writable(target)


def save(elements: Sequence[Element], target: Path) -> None:
    """Write a chart, whole or not at all; the ending of the name selects PNG or SVG.

    Raises:
        OptionError: as `check_ending`.
    """
    check_ending(target)
    if target.suffix.lower() == ".svg":
        files.write(target, drawing.svg(_PAPER, elements).encode())
        return
    image = drawing.paint(_PAPER, elements)
    files.write(target, lambda file: image.save(file, "PNG"))


def histogram(values: npt.NDArray[Any], title: str) -> list[Element]:
    """Draw a histogram of values, float [n] from 0 to 1, in BINS equal bins."""
    counts = np.histogram(values, BINS, (0.0, 1.0))[0]
    most = max(1, int(counts.max()))
    heights = (0, most // 2, most) if most % 2 == 0 else (0, most)
    elements = _axes(title, "realness", [(height, f"{height:,}") for height in heights], most)
    bars = (_bar(index / BINS, (index + 1) / BINS, count / most) for index, count in enumerate(counts))
    return [*elements, *bars]


def calibration(curve: Sequence[Mapping[str, float]], title: str) -> list[Element]:
    """Draw a calibration curve, and the line of perfect calibration.

    Args:
        curve: bins with "from" and "to" (realness), "count" (pictures), "mean" (their mean realness)
            and "real" (the fraction that is real). Bars show the counts.
    """
    elements = _axes(title, "realness", [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)], 1)
    most = max([row["count"] for row in curve], default=1) or 1
    elements += [_bar(row["from"], row["to"], 0.3 * row["count"] / most) for row in curve]
    elements.append(Stroke([(_PAPER.x(0), _PAPER.y(0)), (_PAPER.x(1), _PAPER.y(1))], FAINT, 2.0))
    points = [(_PAPER.x(row["mean"]), _PAPER.y(row["real"])) for row in curve if row["count"]]
    elements.append(Stroke(points, _LINE, 2.0))
    elements += [Box(x - 2.5, y - 2.5, x + 2.5, y + 2.5, _LINE) for x, y in points]
    elements.append(Words(_PAPER.left + 6, _PAPER.top + 14, "share that is real", "start"))
    return elements


def _axes(title: str, below: str, heights: Sequence[tuple[float, str]], most: float) -> list[Element]:
    """Draw a title, grid lines at heights (value, text) from 0 to `most`, and an axis from 0 to 1."""
    elements: list[Element] = [Words(_PAPER.width / 2, 20, title)]
    for value, text in heights:
        y = _PAPER.y(value / most)
        elements.append(Rule(_PAPER.x(0), y, _PAPER.x(1), y))
        elements.append(Words(_PAPER.left - 6, y + 4, text, "end"))
    foot = _PAPER.height - _PAPER.bottom
    elements += [Words(_PAPER.x(share), foot + 16, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    elements.append(Words(_PAPER.x(0.5), _PAPER.height - 10, below))
    return elements


def _bar(left: float, right: float, height: float) -> Box:
    """Draw a bar between two points of the axis, with a small gap at each side."""
    return Box(_PAPER.x(left) + 1, _PAPER.y(height), _PAPER.x(right) - 1, _PAPER.y(0), _BARS)
