"""Recognises a foreign file's output: which it is, the order of its values, and their range."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import OptionError
from gan_infer.modelfile import metadata
from gan_infer.modelfile.foreign.inputs import FLOATS, PASSING
from gan_infer.modelfile.foreign.plan import Plan
from gan_infer.modelfile.foreign.unclear import Ends, UnclearError, show_sides
from gan_infer.modelfile.reading import Reading
from gan_infer.modelfile.safety import graph

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

RANGES: Final = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
_BOUNDED: Final = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0)}
_LIKE_A_PICTURE: Final = re.compile(r"image|img|picture|sample|fake|rgb|^x$|^out(put)?$", re.IGNORECASE)
# The three sides of a picture, in the file's order.
_Sides = tuple[int, int, int]


def find_output(outputs: Ends, reading: Reading) -> str:
    """Return the output that is the picture.

    Raises:
        UnclearError: none or several can be.
    """
    if reading.output is not None:
        return reading.output
    kinds = {*FLOATS, "tensor(uint8)"}
    able = {name: shape for name, (kind, shape) in outputs.items() if kind in kinds}
    if len(able) == 1:
        return next(iter(able))
    found: list[str] = []
    for rank in (4, 3, 2, 5):
        found = [name for name, shape in able.items() if len(shape) == rank and _may_show(shape)]
        if found:
            break
    for likely in (_LIKE_A_PICTURE.search, lambda name: _is_square(able[name])):
        if len(found) > 1:
            found = [name for name in found if likely(name)] or found
    if len(found) != 1:
        raise UnclearError(
            f"{len(found)} of its outputs could be the picture", "say which by output (--output)"
        )
    return found[0]


def _may_show(shape: tuple[int | None, ...]) -> bool:
    """Return whether values of a shape can be pictures with 1, 3 or 4 channels."""
    if len(shape) == 4:
        return bool({shape[1], shape[3]} & {*metadata.CHANNELS, None})
    return len(shape) != 2 or shape[1] is None or _guess_square(shape[1]) is not None


def _is_square(shape: tuple[int | None, ...]) -> bool:
    """Return whether values of a shape can only be square pictures with 1, 3 or 4 channels."""
    if len(shape) != 4 or None in shape[1:]:
        return False
    _, first, second, third = shape
    return (first in metadata.CHANNELS and second == third) or (
        third in metadata.CHANNELS and first == second
    )


def add_picture(plan: Plan, values: Array, reading: Reading, probes: int) -> tuple[Plan, list[str]]:
    """Return the plan with the order of a picture's values, and notes on it.

    Raises:
        UnclearError: the order cannot be recognised.
        OptionError: `image_shape` does not fit.
    """
    if len(values) != probes or values.ndim < 2:
        raise UnclearError(
            f"its output {plan.output!r} is of shape {list(values.shape)} for {probes} latents, no pictures",
            "export it with a free batch, or name another output by output (--output)",
        )
    item, notes = values.shape[1:], []
    if reading.image_shape is not None:
        sides, last = _read_image_shape(item, tuple(reading.image_shape))
    elif (seen := _recognise_sides(item)) is not None:
        sides, last = seen
    elif (guessed := _guess_sides(item)) is not None:
        sides, last = guessed
        notes.append(
            f"{math.prod(item)} values taken for {_describe_sides(sides, last)}, a guess; if it is wrong, "
            "give image_shape (--image-shape)"
        )
    else:
        raise UnclearError(
            f"its output {plan.output!r} is of shape {show_sides(item)}, no pictures with 1, 3 or 4 "
            "channels, first or last",
            "say how its values lie by image_shape (--image-shape 28x28x1 or 3x32x32), or name another "
            "output by output (--output)",
        )
    if max(sides) > metadata.MAX_SIDE:
        raise UnclearError(
            f"its pictures are of {sides} pixels", f"give one of at most {metadata.MAX_SIDE} per side"
        )
    return dataclasses.replace(plan, picture=sides, channels_last=last), notes


def _recognise_sides(item: tuple[int, ...]) -> tuple[_Sides, bool] | None:
    """Return the sides of a picture in the file's order, and whether channels are last; None if unclear."""
    while len(item) > 3 and 1 in item:
        place = item.index(1)
        item = item[:place] + item[place + 1 :]
    if len(item) == 2 and min(item) > 4:
        return (item[0], item[1], 1), True
    if len(item) != 3 or sum(side > 1 for side in item) == 1:
        return None
    first, last = item[0] in metadata.CHANNELS, item[2] in metadata.CHANNELS
    if not first and not last:
        return None
    if first and last and item[0] != item[1] and item[1] == item[2]:
        last = False
    elif first and last:
        last = item[0] == item[1]
    return (item[0], item[1], item[2]), last


def _guess_sides(item: tuple[int, ...]) -> tuple[_Sides, bool] | None:
    """Guess a square picture from the number of its values, or of those per channel."""
    if len(item) == 2 and item[0] in (3, 4):
        side = math.isqrt(item[1])
        return ((item[0], side, side), False) if side * side == item[1] and side > 4 else None
    return _guess_square(math.prod(item)) if sum(side > 1 for side in item) <= 1 else None


def _guess_square(count: int) -> tuple[_Sides, bool] | None:
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side >= 4 and channels * side * side == count:
            return ((side, side, 1), True) if channels == 1 else ((3, side, side), False)
    return None


def _describe_sides(sides: _Sides, last: bool) -> str:
    height, width = sides[:2] if last else sides[1:]
    if (sides[2] if last else sides[0]) == 1:
        return f"{height}x{width} grey"
    return f"{height}x{width} with {sides[2] if last else sides[0]} channels {'last' if last else 'first'}"


def _read_image_shape(item: tuple[int, ...], given: tuple[int, ...]) -> tuple[_Sides, bool]:
    wanted = (*given, 1) if len(given) == 2 else given
    if math.prod(wanted) != math.prod(item):
        raise OptionError(
            f"image_shape was {'x'.join(map(str, given))}, and the output has {show_sides(item)}: "
            f"{math.prod(item)} values a picture; give a shape of as many"
        )
    sides = (wanted[0], wanted[1], wanted[2])
    last = sides[2] in metadata.CHANNELS
    dense = _drop_ones(item)
    turned = (sides[2], sides[0], sides[1])
    if last and len(dense) > 1 and dense == _drop_ones(turned) != _drop_ones(sides):
        return turned, False  # the file's own sides show its order
    return sides, last


def _drop_ones(sides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in sides if side != 1)


def add_range(
    plan: Plan, values: Array, model: graph.Graph, reading: Reading, probes: int
) -> tuple[Plan, list[str]]:
    """Return the plan with the values for black and white: as given, by the last operator, or by pictures.

    Raises:
        UnclearError: the range cannot be recognised.
    """
    if values.dtype == np.uint8:
        return plan, ["levels as they are"]
    if reading.value_range is not None:
        low, high = map(float, reading.value_range)
        note = f"values from {low:g} to {high:g}, as told"
        return dataclasses.replace(plan, value_range=(low, high)), [note]
    last = _last_operator(model, plan.output)
    found = _BOUNDED.get(last)
    why = f"as its last operator is {last}"
    if found is None:
        least, most = float(values.min()), float(values.max())
        found = _find_range(least, most)
        if found is None:
            raise UnclearError(
                f"its values, from {least:.4g} to {most:.4g} in {probes} pictures, are of no known range",
                "give value_range (--value-range -1:1, 0:1 or 0:255)",
            )
        why = f"judged by {probes} pictures with values from {least:.4g} to {most:.4g}"
    return dataclasses.replace(plan, value_range=found), [f"values from {found[0]:g} to {found[1]:g}, {why}"]


def _find_range(least: float, most: float) -> tuple[float, float] | None:
    """Return the range of values; None if unknown. Values slightly outside a range will be clipped."""
    if not (np.isfinite(least) and np.isfinite(most)):
        return None
    if least >= -0.01 and most <= 1.01:
        return RANGES[1]
    if least >= -8 and 8 < most <= 263:
        return RANGES[2]
    return RANGES[0] if least < -0.01 and max(-least, most) <= 4 else None


def _last_operator(model: graph.Graph, output: str) -> str:
    made_by = {name: node for node in model.nodes for name in node.outputs}
    node = made_by.get(output)
    for _ in range(len(model.nodes)):
        if node is None or node.op not in PASSING or not node.inputs:
            break
        node = made_by.get(node.inputs[0])
    return node.op if node is not None else ""
