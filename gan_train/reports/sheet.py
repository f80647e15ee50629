"""Draws the sample sheet: the same seeds every time, a row per class, so that sheets can be compared."""

from __future__ import annotations

from typing import Final

import numpy as np

from gan_infer.conditions.spec import IMAGE
from gan_infer.outputs import image
from gan_train.reports.views import VIEWS, Indices, Pictures
from gan_train.tasks.base import Drawer

_COLUMNS: Final = 8
_MOST_ROWS: Final = 16
_MOST_PIXELS: Final = 2**21
_LONGEST_SIDE: Final = 256


def draw(drawer: Drawer, kind: str = IMAGE) -> Pictures | None:
    """Return a sheet of a generator's outputs for seeds 0, 1, ...

    With classes, row r is class r and column c seed c, just as `gan-infer grid` lays them out;
    without, the seeds follow each other row by row. Large pictures are fewer, see `layout`.

    Args:
        kind: the kind of the generator's output, see VIEWS.

    Returns:
        uint8 [height, width, channels]; None if outputs of the kind have no pictures.
    """
    view = VIEWS.get(kind)
    if view is None:
        return None
    classes = drawer.classes
    height, width = view(drawer.draw(*_choose_seeds(1, 1, classes))).shape[1:3]
    rows, columns = layout(height, width, classes)
    drawn = view(drawer.draw(*_choose_seeds(rows, columns, classes)))
    return image.enlarge(image.tile(drawn, columns), factor(height, width))


def layout(height: int, width: int, classes: int) -> tuple[int, int]:
    """Return the rows and columns of a sheet of pictures of a size.

    16 classes (or all, if fewer) by 8 seeds, or 8 by 8 without classes; halved one way or the other
    until about two million pixels are enough, and each side is one that viewers open.
    """
    rows, columns = min(classes, _MOST_ROWS) or 8, _COLUMNS
    while rows > 1 and rows * (height + image.GAP) * factor(height, width) > image.VIEWABLE_SIDE:
        rows = -(-rows // 2)
    while columns > 1 and columns * (width + image.GAP) * factor(height, width) > image.VIEWABLE_SIDE:
        columns = -(-columns // 2)
    area = height * width * factor(height, width) ** 2
    while rows * columns * area > _MOST_PIXELS and rows * columns > 4:
        if rows > columns or (rows == columns and not classes):
            rows = -(-rows // 2)
        else:
            columns = -(-columns // 2)
    return rows, columns


def factor(height: int, width: int) -> int:
    """Return how many times a pixel is repeated both ways, so that small pictures can be seen."""
    return max(1, min(image.factor_for(height, width), _LONGEST_SIDE // max(height, width)))


def _choose_seeds(rows: int, columns: int, classes: int) -> tuple[Indices, Indices | None]:
    """Return the seeds of a sheet and their classes."""
    if classes:
        return np.tile(np.arange(columns), rows), np.repeat(np.arange(rows), columns)
    return np.arange(rows * columns), None
