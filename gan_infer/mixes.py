"""Mixes of labels, as people write them, to weights; it knows no models and no class names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_infer.errors import LabelError

if TYPE_CHECKING:
    import numpy.typing as npt

_EXAMPLE = "write it like 4:0.7,9:0.3"


def parse(text: str) -> dict[str, float]:
    """Read "4:0.7,9:0.3" as {"4": 0.7, "9": 0.3}; names may hold colons, but no commas.

    Raises:
        LabelError: a part is no name, colon and number, or a name stands there twice.
    """
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.rpartition(":")
        try:
            value = float(weight) if colon and weight.isascii() and "_" not in weight else math.nan
        except ValueError:
            value = math.nan
        if not name.strip() or math.isnan(value):
            raise LabelError(f"the label mix {text!r} does not parse at {part.strip()!r}; {_EXAMPLE}")
        if name.strip() in mix:
            raise LabelError(f"the label mix {text!r} has {name.strip()!r} twice; give each class once")
        mix[name.strip()] = value
    return mix


def weights(mix: Mapping[int, Any], classes: int) -> npt.NDArray[np.float32]:
    """Give the weights of a mix, which sum to 1: float32 [classes].

    Args:
        mix: class index -> weight, 0 or more; any sum over 0.

    Raises:
        LabelError: a weight is no number, below 0 or not finite, or all of them are 0.
    """
    result = np.zeros(classes, np.float64)
    for index, weight in mix.items():
        number = isinstance(weight, (int, float, np.integer, np.floating)) and not isinstance(weight, bool)
        try:
            value = float(weight) if number else math.nan
        except OverflowError:  # integers have no end
            value = math.inf
        if not 0 <= value < math.inf:
            raise LabelError(
                f"the label mix has weight {weight!r} for class {index}; give numbers of at least 0"
            )
        result[index] = value
    most = result.max(initial=0.0)
    if most == 0:
        raise LabelError("the weights of the label mix sum to 0; at least one must be over 0")
    result /= most  # first, so that no sum is beyond what a float holds
    normalised: npt.NDArray[np.float32] = (result / result.sum()).astype(np.float32)
    return normalised
