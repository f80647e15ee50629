"""Reads mixes of labels, such as 4:0.7,9:0.3, as weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import LabelError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.names import Names

    Part = tuple[str, float]

_EXAMPLE: Final = "write it like 4:0.7,9:0.3"
_CLEAR: Final = "give indices, like index:4:0.7,index:9:0.3"
# Nobody types a longer mix, and reading it would take long.
_MOST_PIECES: Final = 1000


def parse(text: str, names: Names) -> dict[str, float]:
    """Read "4:0.7,9:0.3" as {"4": 0.7, "9": 0.3}.

    Each part is a label, as `names` reads it, a colon and a weight; commas separate the parts. Names
    may contain colons and commas: the text is split in the way that makes every part a class of the
    model.

    Raises:
        LabelError: a part is not a label, a colon and a number; a label is there twice; or the text can
            be split in two ways.
    """
    pieces = text.split(",")
    if len(pieces) > _MOST_PIECES:
        raise LabelError(f"the label mix {abridge(text)} has {len(pieces):,} parts; give fewer")
    commas = max(name.count(",") for name in names.names)
    ways = _find_ways(pieces, names, commas + 1) if commas else []
    if len(ways) > 1:
        raise LabelError(
            f"the label mix {abridge(text)} can be read in two ways: {ways[0]} or {ways[1]}; {_CLEAR}"
        )
    if ways:
        return _join(ways[0], text)
    parts = []
    for piece in pieces:
        part = _read_part(piece, names)
        if part is None:
            raise LabelError(
                f"the label mix {abridge(text)} does not parse at {abridge(piece.strip())}; {_EXAMPLE}"
            )
        parts.append(part)
    return _join(parts, text)


def _find_ways(pieces: list[str], names: Names, most: int) -> list[list[Part]]:
    """Return up to two ways to join pieces, `most` at a time or fewer, into parts that are all classes."""
    # From the last piece back: at most two ways to read all pieces from an index on.
    ways: list[list[list[Part]]] = [[] for _ in pieces] + [[[]]]
    for first in range(len(pieces) - 1, -1, -1):
        for last in range(first, min(first + most, len(pieces))):
            if not ways[last + 1] or len(ways[first]) == 2:
                continue
            part = _read_part(",".join(pieces[first : last + 1]), names)
            if part is not None and names.is_class(part[0]):
                ways[first] += [[part, *rest] for rest in ways[last + 1]]
        del ways[first][2:]
    return ways[0]


def _read_part(piece: str, names: Names) -> Part | None:
    """Return the label and the weight of one part; None if it has another form."""
    label, colon, weight = piece.rpartition(":")
    try:
        value = float(weight) if colon and weight.isascii() and "_" not in weight else math.nan
    except ValueError:
        value = math.nan
    if names.find_named(label) is None:  # spaces may belong to a name
        label = label.strip()
    return None if not label or math.isnan(value) else (label, value)


def _join(parts: list[Part], text: str) -> dict[str, float]:
    mix = dict(parts)
    if len(mix) != len(parts):
        twice = next(label for label, _ in parts if [part[0] for part in parts].count(label) > 1)
        raise LabelError(f"the label mix {abridge(text)} has {abridge(twice)} twice; give each class once")
    return mix


def weights(mix: Mapping[int, Any], classes: int) -> npt.NDArray[np.float32]:
    """Return the weights of a mix, which sum to 1: float32 [classes].

    Args:
        mix: class index -> weight, 0 or more; any sum over 0.

    Raises:
        LabelError: a weight is not a number, is negative or not finite, or all weights are 0.
    """
    result = np.zeros(classes, np.float64)
    for index, weight in mix.items():
        number = isinstance(weight, (int, float, np.integer, np.floating)) and not isinstance(weight, bool)
        try:
            value = float(weight) if number else math.nan
        except OverflowError:  # integers have no limit
            value = math.inf
        if not 0 <= value < math.inf:
            raise LabelError(
                f"the label mix has weight {weight!r} for class {index}; give numbers of at least 0"
            )
        result[index] = value
    most = result.max(initial=0.0)
    if most == 0:
        raise LabelError("the weights of the label mix sum to 0; at least one must be over 0")
    result /= most  # first, so that the sum cannot overflow
    normalised: npt.NDArray[np.float32] = (result / result.sum()).astype(np.float32)
    return normalised
