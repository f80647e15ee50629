"""An operator with what is known about its inputs, and the form that an operator must have."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gan_infer.modelfile.safety.graph import BOOL, FLOAT16, FLOAT32, FLOAT64, INT32, INT64, MAX_SIDE
from gan_infer.modelfile.safety.protobuf import RefusedError
from gan_infer.modelfile.safety.sides import Shape, Side, fixed, words

Values = np.ndarray[Any, Any]  # of objects: bool, or Side
Results = list[tuple[Shape, int]]  # shape and type of each

FLOATS: Final = frozenset({FLOAT32, FLOAT16, FLOAT64})
NUMBERS: Final = FLOATS | {INT32, INT64}
ALL: Final = NUMBERS | {BOOL, 2, 3}
# What an element costs, measured in multiplications of a matrix product: moved or added, and of a
# function such as tanh or a power.
PLAIN: Final = 80
SLOW: Final = 1200

# Above this, integers are not computed with: far under the edges of int64.
MAX_VALUE: Final = MAX_SIDE
# The largest batch of one call; all that is bounded grows at most as it does.
MAX_BATCH: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known about a value.

    Attributes:
        value: its elements, if they are few integers or booleans that depend only on the file and the
            shapes of inputs, never on the values of inputs.
        constant: True if it depends only on the file, so that the runtime computes it on loading.
        floats: its elements, if they are few floats in the file.
    """

    shape: Shape
    kind: int
    value: Values | None = None
    constant: bool = False
    floats: np.ndarray[Any, Any] | None = None

    @property
    def words(self) -> int:
        """Its size for one picture, in units of 4 bytes."""
        return words(self.shape, self.kind)


@dataclasses.dataclass(slots=True)
class Call:
    """An operator with its inputs and attributes.

    Attributes:
        outputs: the number of requested results.
        memory: the memory that it needs in addition to its results, in units of 4 bytes.
        kept: the memory that the runtime keeps for it after loading, in units of 4 bytes.
        work: its time, in multiplications of a matrix product.
    """

    op: str
    opset: int
    inputs: tuple[Known | None, ...]
    attributes: Mapping[str, Any]
    outputs: int
    memory: int = 0
    kept: int = 0
    work: int = 0

    def has(self, index: int) -> bool:
        """Return whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def __getitem__(self, index: int) -> Known:
        """Return a required input."""
        known = self.inputs[index] if index < len(self.inputs) else None
        if known is None:
            raise RefusedError(f"lacks input {index}")
        return known

    def number(self, name: str, default: int) -> int:
        """Return an integer attribute; its `Form` has the range."""
        return int(self.attributes.get(name, default))

    def numbers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return a list of integers, an attribute."""
        return list(self.attributes.get(name, default))

    def sides(self, index: int) -> list[Side]:
        """Return the sizes in an input, which must not be an input of the model."""
        value = self[index].value
        if value is None:
            raise RefusedError(f"takes sizes from input {index} that the file does not fix")
        need(value.ndim <= 1, f"takes sizes from input {index} of {value.ndim} dimensions")
        return list(value.reshape(-1))

    def integers(self, name: str, index: int) -> list[int] | None:
        """Return integers that older files have as an attribute and newer ones as an input, if any."""
        if self.has(index):
            need(name not in self.attributes, f"gives {name} twice")
            return fixed(self.sides(index))
        return self.numbers(name, ()) if name in self.attributes else None


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """The form that an operator must have, and the rule for its results and costs.

    Attributes:
        rule: returns the shapes and types of a call's results, and sets the costs in the call.
        inputs: the least and the most inputs.
        attributes: name -> whether a value is accepted; others are refused.
        kinds: the types that the first input can have.
        alike: indices of inputs that must have the first one's type.
        outputs: the most outputs.
    """

    rule: Callable[[Call], Results]
    inputs: tuple[int, int]
    attributes: Mapping[str, Callable[[Any], bool]]
    kinds: Collection[int]
    alike: tuple[int, ...] = ()
    outputs: int = 1

    def check(self, call: Call) -> None:
        """Refuse a call of another form.

        Raises:
            RefusedError: the message says what is different.
        """
        low, high = self.inputs
        need(low <= len(call.inputs) <= high, f"has {len(call.inputs)} inputs; {low} to {high} are taken")
        need(
            1 <= call.outputs <= self.outputs, f"gives {call.outputs} results; up to {self.outputs} are taken"
        )
        for name, value in call.attributes.items():
            right = self.attributes.get(name)
            need(right is not None, f"has the attribute {name[:40]!r}, which is not taken")
            assert right is not None
            need(right(value), f"has {str(value)[:40]} for {name}, which is not taken")
        if low:
            kind = call[0].kind
            need(kind in self.kinds, f"computes in a type ({kind}) that is not taken")
            others = [call[place].kind for place in self.alike if call.has(place)]
            need(all(other == kind for other in others), "mixes types")


def add_forms(forms: dict[str, Form], names: str, form: Form) -> None:
    """Accept all operators with some names, in one form."""
    forms.update(dict.fromkeys(names.split(), form))


# Attributes.


def whole(low: int, high: int) -> Callable[[Any], bool]:
    """Return a test for an integer within a range."""
    return lambda value: type(value) is int and low <= value <= high


def wholes(low: int, high: int, most: int = 16) -> Callable[[Any], bool]:
    """Return a test for a list of integers within a range, at least one and at most `most`."""
    one = whole(low, high)
    return lambda value: type(value) is list and 1 <= len(value) <= most and all(map(one, value))


def texts(*taken: str) -> Callable[[Any], bool]:
    """Return a test for one of some texts."""
    wanted = {text.encode() for text in taken}
    return lambda value: isinstance(value, bytes) and value in wanted


def real(value: Any) -> bool:
    """Return whether an attribute is a finite number with a fraction."""
    return type(value) is float and math.isfinite(value)


# Shapes.


def axis_of(axis: int, rank: int) -> int:
    """Return the index of an axis, which may count from the end."""
    need(-rank <= axis < rank, f"has axis {axis} for {rank} dimensions")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Return the indices of axes, at least one and all different."""
    places = [axis_of(axis, rank) for axis in axes]
    need(0 < len(places) == len(set(places)), f"has axes {list(axes)[:8]}, none or one of them twice")
    return places


def need(right: bool, what: str) -> None:
    """Refuse the operator unless `right`; `what` says what it does."""
    if not right:
        raise RefusedError(what)
