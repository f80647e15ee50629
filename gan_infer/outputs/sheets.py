"""Computes how many rows and columns a sheet has."""

from __future__ import annotations

from gan_infer import arguments
from gan_infer.errors import OptionError


def layout(
    count: int | None, rows: object = None, columns: object = None, classes: int = 0
) -> tuple[int, int]:
    """Return (rows, columns) of a sheet.

    Args:
        count: the number of pictures, or None for as many as the sheet holds.
        rows, columns: as requested; None if they are to be computed.
        classes: if not 0, each class is a row, `rows` does not count, and there are `count` pictures
            per row.

    Raises:
        OptionError: rows or columns is not a whole number of at least 1, or `count` pictures do not fit.
    """
    down = None if rows is None else arguments.whole_number(rows, "rows")
    across = None if columns is None else arguments.whole_number(columns, "columns")
    if classes:
        down, across = classes, across or count or 8
    elif across is None:
        across = min(8, count or 8) if down is None or count is None else -(-count // down)
    if down is None:
        down = 8 if count is None else -(-count // across)
    if count is not None and count > (across if classes else down * across):
        raise OptionError(
            f"{count} seeds do not fit in {across} columns{'' if classes else f' of {down}'}; "
            "give more rows or columns"
        )
    return down, count if classes and count is not None else across
