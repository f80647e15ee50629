"""An operator with what it is given, and what its functions ask of that; it knows no operator.

`RefusedError` says what of a call is wrong, to stand after the operator's name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_infer.vet.graph import MAX_SIDE
from gan_infer.vet.wire import RefusedError

Shape = tuple[int, ...]
Array = np.ndarray[Any, Any]
Given = list[tuple[Shape, int]]  # shape and type of each result


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of a value: its shape at batch 1, its type, and the value where it is small.

    `fixed` says that it follows from the file alone, so that the runtime works it out on loading.
    """

    shape: Shape
    kind: int
    value: Array | None
    fixed: bool

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(slots=True)
class Call:
    """An operator with what it is given; `work` is how many elements it reads, writes or multiplies."""

    op: str
    inputs: tuple[Known | None, ...]
    attributes: Mapping[str, Any]
    outputs: int
    work: int = 0

    def has(self, index: int) -> bool:
        """Tell whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def __getitem__(self, index: int) -> Known:
        """Give an input that must be there."""
        known = self.inputs[index] if index < len(self.inputs) else None
        if known is None:
            raise RefusedError(f"lacks input {index}")
        return known

    def number(self, name: str, default: int, low: int = -MAX_SIDE, high: int = MAX_SIDE) -> int:
        """Give an integer attribute within its range."""
        value = self.attributes.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value

    def numbers(self, name: str, default: Sequence[int] | None, low: int = -MAX_SIDE) -> list[int]:
        """Give a list of integers, an attribute."""
        value = self.attributes.get(name, None if default is None else list(default))
        if not isinstance(value, list) or not all(
            type(item) is int and low <= item <= MAX_SIDE for item in value
        ):
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value[:]

    def text(self, name: str, default: str) -> str:
        """Give a text, an attribute."""
        value = self.attributes.get(name, default.encode())
        if not isinstance(value, bytes):
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value.decode("ascii", "replace")

    def values(self, index: int) -> Array:
        """Give the value of an input that the file must fix, one-dimensional."""
        value = self[index].value
        if value is None:
            raise RefusedError(f"takes sizes from input {index} that the file does not fix")
        return value.reshape(-1)

    def sides(self, index: int, low: int = -(2**63)) -> list[int]:
        """Give the integers of an input that the file must fix."""
        values = self.values(index)
        if values.dtype.kind not in "iu":
            raise RefusedError(f"takes sizes from input {index} that are no integers")
        sides = [int(item) for item in values]
        if any(not low <= side for side in sides):
            raise RefusedError(f"takes a size of {min(sides)} from input {index}")
        return sides

    def listed(self, name: str, index: int, default: Sequence[int] | None = None) -> list[int] | None:
        """Give integers that older files have as an attribute and newer ones as an input."""
        if self.has(index):
            return self.sides(index)
        return (
            self.numbers(name, ()) if name in self.attributes else None if default is None else list(default)
        )


def checked_axis(axis: int, rank: int) -> int:
    """Give the place of an axis that may count from the end."""
    if not -rank <= axis < rank:
        raise RefusedError(f"has axis {axis} for {rank} dimensions")
    return axis % rank


def checked_axes(axes: Sequence[int], rank: int) -> list[int]:
    """Give the places of axes, no two of them the same."""
    places = [checked_axis(axis, rank) for axis in axes]
    if len(set(places)) != len(places):
        raise RefusedError(f"has axes {list(axes)[:8]}, one of them twice")
    return places


def need(right: bool, what: str) -> None:
    """Refuse the operator, saying what it does, unless all is right."""
    if not right:
        raise RefusedError(what)


def together(shapes: Sequence[Shape]) -> Shape:
    """Give the shape of several broadcast to one."""
    rank = max(map(len, shapes))
    result = [1] * rank
    for shape in shapes:
        for place, side in enumerate(shape, rank - len(shape)):
            if side != 1:
                need(result[place] in (1, side), f"takes shapes {listing(shapes)} together")
                result[place] = side
    return tuple(result)


def listing(shapes: Sequence[Shape]) -> str:
    """Show the first few of several shapes."""
    return " and ".join(str(list(shape)) for shape in shapes[:3])


def table(*rows: tuple[Callable[[Call], Given], str]) -> dict[str, Callable[[Call], Given]]:
    """Give operator -> function from rows of a function and its operators' names."""
    return {op: function for function, ops in rows for op in ops.split()}
