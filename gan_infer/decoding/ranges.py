"""Decides which values of deep pictures are black and white, once for all pictures of a set.

Files of more than 8 bits seldom say it: cameras store 10, 12 or 14 bits in 16, and the range of floats
is a convention. A guess for each picture would make pictures of one set differ.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError, OptionError

AUTO: Final = "auto"
EXPECTED: Final = (
    'expected "auto", LOW:HIGH such as 0:4095, or one for whole numbers and one for floats, as 0:4095,0:1'
)
_DEPTHS: Final = (8, 10, 12, 14, 16)
_MASK: Final = 1  # only 0 and 1
FULL: Final = 65535  # white of all 16 bits
# Resampling overshoots; values just outside a usual range belong to that range and are clipped.
_OVERSHOOT: Final = 1.25
_OVERSHOOT_OF_INTEGERS: Final = 1.05
_DIMMEST: Final = 16  # a range is not believed if only a smaller part than 1/16 of it is used
_PART: Final = 2**22  # values at a time, to bound memory for the floats of a large picture


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """The values that become black and white."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.9g}:{self.high:.9g}"


@dataclasses.dataclass(frozen=True, slots=True)
class Ranges:
    """The range of pictures of integers, and that of pictures of floats."""

    whole: Range
    real: Range

    def __str__(self) -> str:
        return str(self.whole) if self.whole == self.real else f"{self.whole},{self.real}"


@dataclasses.dataclass(frozen=True, slots=True)
class ValueStats:
    """What the values of one deep picture are like.

    Attributes:
        real: whether they are floats.
        low, high: the least and the largest finite value.
        used: the bits of all values, combined by "or"; 0 for floats and negative numbers.
        bits: how many bits are significant by the file; 0 if it does not say.
        signed: whether the file could hold negative numbers.
    """

    real: bool
    low: float
    high: float
    used: int = 0
    bits: int = 0
    signed: bool = False


def parse(text: str) -> Ranges | None:
    """Read a range as a person writes it, None for "auto".

    Raises:
        OptionError: it has another form, or high is not above low.
    """
    if text.strip().lower() == AUTO:
        return None
    try:
        found = [_parse_one(part) for part in text.split(",")]
        if not 1 <= len(found) <= 2:
            raise ValueError
    except ValueError:
        raise OptionError(f"the value range is {text[:80]!r}; {EXPECTED}") from None
    return Ranges(found[0], found[-1])


def read(value: str | tuple[float, float] | Ranges | None) -> Ranges | None:
    """Return the range that a caller gives as a text, a pair or a Ranges; None for None and "auto".

    Raises:
        OptionError: it is anything else.
    """
    if value is None or isinstance(value, Ranges):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return parse(f"{value[0]}:{value[1]}")
    if isinstance(value, str):
        return parse(value)
    raise OptionError(f"the value range is {value!r:.80}; {EXPECTED}, or (low, high)")


def of_recipe(recipe: Mapping[str, Any]) -> Ranges | None:
    """Return the range that a model was trained with, from the recipe in its file; None if it names none."""
    data = recipe.get("data")
    text = data.get("value_range") if isinstance(data, dict) else None
    try:
        return parse(text) if isinstance(text, str) else None
    except OptionError:  # a model file is not trusted
        return None


def _parse_one(text: str) -> Range:
    low, high = map(float, text.split(":"))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(text)
    return Range(low, high)


def measure(values: npt.NDArray[Any], bits: int = 0, signed: bool = False) -> ValueStats:
    """Measure the values of a picture, for `settle`.

    Raises:
        DataError: none of them is finite.
    """
    if values.dtype.kind == "f":
        low, high = math.inf, -math.inf
        for part in _split(values):
            finite = part[np.isfinite(part)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if low > high:
            raise DataError("holds no value that is a finite number")
        return ValueStats(True, low, high)
    low, high = float(values.min()), float(values.max())
    used = int(np.bitwise_or.reduce(values, axis=None)) if low >= 0 else 0
    return ValueStats(False, low, high, used, bits, signed)


def settle(pictures: Mapping[str, ValueStats]) -> Ranges:
    """Decide the ranges of a set of deep pictures, given by name.

    Raises:
        DataError: their values are in no usual range; the message says what to give.
    """
    whole = {name: stats for name, stats in pictures.items() if not stats.real}
    real = {name: stats for name, stats in pictures.items() if stats.real}
    one = _settle_whole(whole) if whole else None
    other = _settle_real(real) if real else None
    first = one or other or Range(0, FULL)
    return Ranges(one or first, other or first)


def _settle_whole(pictures: Mapping[str, ValueStats]) -> Range:
    low, high = _find_extremes(pictures.values())
    used = 0
    for stats in pictures.values():
        used |= stats.used
    bits = max(stats.bits for stats in pictures.values())
    if low < 0 or high > FULL:
        raise _make_error(pictures, low, high, "0 to 65535")
    if bits and high < 2**bits:
        return Range(0, 2**bits - 1)
    if used and used % 256 == 0 and high > FULL // 2:  # 8 bits, stored in the upper byte
        return Range(0, 255 * 256)
    # A file with values above its significant bits was scaled to 16 bits, as PNG requires.
    depth = 16 if bits or not used else next(depth for depth in (_MASK, *_DEPTHS) if used < 2**depth)
    signed = all(stats.signed for stats in pictures.values())
    return Range(0, 2**15 - 1 if signed and depth == 16 and high < 2**15 else 2**depth - 1)


def _settle_real(pictures: Mapping[str, ValueStats]) -> Range:
    low, high = _find_extremes(pictures.values())
    if high <= _OVERSHOOT and low >= 1 - _OVERSHOOT:
        return Range(0, 1)
    if high <= _OVERSHOOT and low >= -_OVERSHOOT:
        return Range(-1, 1)
    for white in (2**depth - 1 for depth in _DEPTHS):
        spare = white * (_OVERSHOOT_OF_INTEGERS - 1)
        if white / _DIMMEST < high <= white + spare and low >= -spare:
            return Range(0, white)
    raise _make_error(pictures, low, high, "0 to 1, 255, 1023, 4095, 16383 or 65535, or -1 to 1")


def _find_extremes(pictures: Iterable[ValueStats]) -> tuple[float, float]:
    known = list(pictures)
    return min(stats.low for stats in known), max(stats.high for stats in known)


def _make_error(pictures: Mapping[str, ValueStats], low: float, high: float, usual: str) -> DataError:
    lowest = min(pictures, key=lambda name: pictures[name].low)
    highest = max(pictures, key=lambda name: pictures[name].high)
    where = f" ({lowest}, {highest})" if lowest != highest else f" ({highest})" if highest else ""
    return DataError(
        f"has values from {low:.10g} to {high:.10g}{where}; expected {usual}: say which are black and "
        f"white, such as --value-range={low:.10g}:{high:.10g} (value_range in Python)"
    )


def to_eight_bits(values: npt.NDArray[Any], wanted: Ranges) -> npt.NDArray[np.uint8]:
    """Scale values so that a range becomes 0 to 255; what lies outside is clipped, NaN becomes black.

    Args:
        values: integers or floats of any shape.

    Returns:
        uint8 of the same shape.
    """
    chosen = wanted.real if values.dtype.kind == "f" else wanted.whole
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        table = _scale(np.arange(FULL + 1), chosen)
        return np.take(table, values)
    result = np.empty(values.shape, np.uint8)
    flat, target = values.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _PART):
        target[start : start + _PART] = _scale(flat[start : start + _PART], chosen)
    return result


def _scale(values: npt.NDArray[Any], chosen: Range) -> npt.NDArray[np.uint8]:
    scaled = (values.astype(np.float64) - chosen.low) * (255 / (chosen.high - chosen.low))
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).round().clip(0, 255)
    pixels: npt.NDArray[np.uint8] = scaled.astype(np.uint8)
    return pixels


def _split(values: npt.NDArray[Any]) -> Iterable[npt.NDArray[Any]]:
    flat = values.reshape(-1)
    return (flat[start : start + _PART] for start in range(0, flat.size, _PART))
