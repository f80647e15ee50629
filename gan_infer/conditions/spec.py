"""Describes the inputs and outputs of a model: the name, kind, type and shape of each array.

A model file (format 1.1) lists its inputs and outputs in this form, and is checked against the list.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from gan_infer.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# What a model gets: input name -> array [batch, ...].
Feed = dict[str, "npt.NDArray[Any]"]

# The kinds of inputs; `conditions.base.KINDS` has the conditions.
LATENT: Final = "latent"
CLASS: Final = "class"
IMAGE: Final = "image"
# Another kind of output: how real a picture looks to a critic.
SCORE: Final = "score"
# The fact that names the input to whose condition another input belongs.
OF: Final = "of"

DTYPES: Final = ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")
# Limits of every list: arrays per model, sides per array, elements along a side.
MOST_SPECS: Final = 64
MOST_SIDES: Final = 6
LONGEST_SIDE: Final = 2**24
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclasses.dataclass(frozen=True)
class Free:
    """A side that the caller of a model chooses: from `low` to `high`, a multiple of `multiple`."""

    low: int
    high: int
    multiple: int = 1


Side = int | Free


@dataclasses.dataclass(frozen=True)
class Spec:
    """One array of a model.

    Attributes:
        name: the name in the file.
        kind: the meaning: "latent", "class", "image", ...
        dtype: the type, by its name in numpy: "float32", "int64", "uint8".
        shape: the sides without the batch, which is the first dimension of every array.
        facts: more that the kind needs, as JSON: class names, the distribution of latents, a unit.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[Side, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Input(Spec):
    """An array that a model takes; an `optional` one has a default value in the file."""

    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Output(Spec):
    """An array that a model returns."""


def is_name(value: object) -> bool:
    """Return whether a value can be the name of an array, which is also the name of an argument in Python."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def are_specs(value: object) -> bool:
    """Return whether JSON is a list of 1 to 64 arrays with different names, all within the limits."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_SPECS:
        return False
    if not all(isinstance(item, dict) and _is_spec(item) for item in value):
        return False
    return len({item["name"] for item in value}) == len(value)


def read_inputs(items: Sequence[Mapping[str, Any]]) -> tuple[Input, ...]:
    """Return the inputs in JSON that `are_specs` accepts."""
    return tuple(Input(**_fields(item), optional=item.get("optional", False)) for item in items)


def read_outputs(items: Sequence[Mapping[str, Any]]) -> tuple[Output, ...]:
    """Return the outputs in JSON that `are_specs` accepts."""
    return tuple(Output(**_fields(item)) for item in items)


def read_side(side: object) -> Side | None:
    """Return a side of a shape in JSON: an integer, or low, high and multiple in an object; None of others.

    Whether a multiple lies between low and high is not checked.
    """
    if not isinstance(side, dict):
        return side if _is_length(side) else None
    low, high, multiple = side.get("low"), side.get("high"), side.get("multiple", 1)
    if not (_is_length(low) and _is_length(high) and _is_length(multiple)):
        return None
    return Free(low, high, multiple) if low <= high else None


def check_sides(spec: Spec, array: npt.NDArray[np.generic]) -> None:
    """Refuse an array [batch, ...] that does not fit its spec.

    Raises:
        OptionError: a side or the type is wrong; the message names the input.
    """
    sides = array.shape[1:]
    if len(sides) != len(spec.shape) or str(array.dtype) != spec.dtype:
        raise OptionError(
            f"{spec.name} of shape {list(array.shape)} and type {array.dtype} was given; expected "
            f"{spec.dtype} {['n', *map(write_side, spec.shape)]}"
        )
    for side, wanted in zip(sides, spec.shape, strict=True):
        if not fits(side, wanted):
            raise OptionError(f"{spec.name} has a side of {side}; expected {write_side(wanted)}")


def fits(side: int, wanted: Side) -> bool:
    """Return whether a spec allows a side of an array."""
    if isinstance(wanted, int):
        return side == wanted
    return wanted.low <= side <= wanted.high and side % wanted.multiple == 0


def write_side(side: Side) -> str:
    """Return a side as text: "28", or "16 to 1024 in steps of 4"."""
    if isinstance(side, int):
        return str(side)
    steps = f" in steps of {side.multiple}" if side.multiple > 1 else ""
    return f"{side.low} to {side.high}{steps}"


def _is_spec(item: Mapping[str, Any]) -> bool:
    return (
        is_name(item.get("name"))
        and is_name(item.get("kind"))
        and item.get("dtype") in DTYPES
        and isinstance(shape := item.get("shape", []), list)
        and len(shape) <= MOST_SIDES
        and all(map(_is_side, shape))
        and isinstance(item.get("facts", {}), dict)
        and isinstance(item.get("optional", False), bool)
    )


def _is_side(side: object) -> bool:
    found = read_side(side)
    if isinstance(found, Free):
        return found.low % found.multiple == found.high % found.multiple == 0
    return found is not None


def _is_length(value: object) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= LONGEST_SIDE


def _fields(item: Mapping[str, Any]) -> dict[str, Any]:
    shape = tuple(side for side in map(read_side, item.get("shape", [])) if side is not None)
    named = {name: item[name] for name in ("name", "kind", "dtype")}
    return {**named, "shape": shape, "facts": dict(item.get("facts", {}))}
