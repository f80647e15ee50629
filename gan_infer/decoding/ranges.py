"""Which values of deep pictures are black and white: settled once for all pictures of a set.

Files of more than 8 bits seldom say it: cameras store 10, 12 or 14 bits in 16, and floats have a range
by custom alone. To guess for each picture would make neighbours differ.
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
_MASK: Final = 1  # of 0 and 1 alone
FULL: Final = 65535  # white of all 16 bits
# Resampling overshoots; what lies so little beyond a usual range is of that range, and clipped.
_OVERSHOOT: Final = 1.25
_OVERSHOOT_OF_LEVELS: Final = 1.05
_DIMMEST: Final = 16  # a range of which no more than so small a part is used is not believed
_PART: Final = 2**22  # values at a time, so that floats of a large picture do not fill memory


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """The values that become black and white."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.9g}:{self.high:.9g}"


@dataclasses.dataclass(frozen=True, slots=True)
class Ranges:
    """The range of pictures of whole numbers, and that of floats."""

    whole: Range
    real: Range

    def __str__(self) -> str:
        return str(self.whole) if self.whole == self.real else f"{self.whole},{self.real}"


@dataclasses.dataclass(frozen=True, slots=True)
class Levels:
    """The values of one deep picture.

    Attributes:
        real: they are floats.
        low, high: of those that are finite.
        used: the bits of all of them, by "or"; 0 for floats and negative numbers.
        bits: how many the file says that they have; 0 where it does not say.
        signed: the file could hold negative numbers too.
    """

    real: bool
    low: float
    high: float
    used: int = 0
    bits: int = 0
    signed: bool = False


def parse(text: str) -> Ranges | None:
    """Read what a person gives as the range, None for "auto".

    Raises:
        OptionError: it is of another form, or high is not above low.
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


def read(given: str | tuple[float, float] | Ranges | None) -> Ranges | None:
    """Return the range that a caller gives as a text, a pair or itself; None for None and "auto".

    Raises:
        OptionError: it is something else.
    """
    if given is None or isinstance(given, Ranges):
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return parse(f"{given[0]}:{given[1]}")
    if isinstance(given, str):
        return parse(given)
    raise OptionError(f"the value range is {given!r:.80}; {EXPECTED}, or (low, high)")


def of_recipe(recipe: Mapping[str, Any]) -> Ranges | None:
    """Return the range that a model was trained with, by the recipe in its file; None where it names none."""
    data = recipe.get("data")
    given = data.get("value_range") if isinstance(data, dict) else None
    try:
        return parse(given) if isinstance(given, str) else None
    except OptionError:  # a model file is not trusted
        return None


def _parse_one(text: str) -> Range:
    low, high = map(float, text.split(":"))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(text)
    return Range(low, high)


def levels_of(values: npt.NDArray[Any], bits: int = 0, signed: bool = False) -> Levels:
    """Return what the range is settled by, of the values of a picture.

    Raises:
        DataError: none of them is a finite number.
    """
    if values.dtype.kind == "f":
        low, high = math.inf, -math.inf
        for part in _parts(values):
            finite = part[np.isfinite(part)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if low > high:
            raise DataError("holds no value that is a finite number")
        return Levels(True, low, high)
    low, high = float(values.min()), float(values.max())
    used = int(np.bitwise_or.reduce(values, axis=None)) if low >= 0 else 0
    return Levels(False, low, high, used, bits, signed)


def settle(pictures: Mapping[str, Levels]) -> Ranges:
    """Return the ranges of a set of deep pictures, by name.

    Raises:
        DataError: their values are in no usual range; says what to give.
    """
    whole = {name: levels for name, levels in pictures.items() if not levels.real}
    real = {name: levels for name, levels in pictures.items() if levels.real}
    one = _settle_whole(whole) if whole else None
    other = _settle_real(real) if real else None
    first = one or other or Range(0, FULL)
    return Ranges(one or first, other or first)


def _settle_whole(pictures: Mapping[str, Levels]) -> Range:
    low, high = _reach(pictures.values())
    used = 0
    for levels in pictures.values():
        used |= levels.used
    bits = max(levels.bits for levels in pictures.values())
    if low < 0 or high > FULL:
        raise _unusual(pictures, low, high, "0 to 65535")
    if bits and high < 2**bits:
        return Range(0, 2**bits - 1)
    if used and used % 256 == 0 and high > FULL // 2:  # 8 bits that were moved to the upper half
        return Range(0, 255 * 256)
    # A file whose values are above what it says to have was scaled to 16 bits, as PNG wants it.
    depth = 16 if bits or not used else next(depth for depth in (_MASK, *_DEPTHS) if used < 2**depth)
    signed = all(levels.signed for levels in pictures.values())
    return Range(0, 2**15 - 1 if signed and depth == 16 and high < 2**15 else 2**depth - 1)


def _settle_real(pictures: Mapping[str, Levels]) -> Range:
    low, high = _reach(pictures.values())
    if high <= _OVERSHOOT and low >= 1 - _OVERSHOOT:
        return Range(0, 1)
    if high <= _OVERSHOOT and low >= -_OVERSHOOT:
        return Range(-1, 1)
    for white in (2**depth - 1 for depth in _DEPTHS):
        spare = white * (_OVERSHOOT_OF_LEVELS - 1)
        if white / _DIMMEST < high <= white + spare and low >= -spare:
            return Range(0, white)
    raise _unusual(pictures, low, high, "0 to 1, 255, 1023, 4095, 16383 or 65535, or -1 to 1")


def _reach(pictures: Iterable[Levels]) -> tuple[float, float]:
    known = list(pictures)
    return min(levels.low for levels in known), max(levels.high for levels in known)


def _unusual(pictures: Mapping[str, Levels], low: float, high: float, usual: str) -> DataError:
    lowest = min(pictures, key=lambda name: pictures[name].low)
    highest = max(pictures, key=lambda name: pictures[name].high)
    where = f" ({lowest}, {highest})" if lowest != highest else f" ({highest})" if highest else ""
    return DataError(
        f"has values from {low:.10g} to {high:.10g}{where}; expected {usual}: say which are black and "
        f"white, such as --value-range={low:.10g}:{high:.10g} (value_range in Python)"
    )


def to_eight_bits(values: npt.NDArray[Any], wanted: Ranges) -> npt.NDArray[np.uint8]:
    """Scale values so that a range becomes 0 to 255; what lies beyond is clipped, NaN becomes black.

    Args:
        values: whole numbers or floats of any shape.

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
    levels = (values.astype(np.float64) - chosen.low) * (255 / (chosen.high - chosen.low))
    levels = np.nan_to_num(levels, nan=0.0, posinf=255.0, neginf=0.0).round().clip(0, 255)
    scaled: npt.NDArray[np.uint8] = levels.astype(np.uint8)
    return scaled


def _parts(values: npt.NDArray[Any]) -> Iterable[npt.NDArray[Any]]:
    flat = values.reshape(-1)
    return (flat[start : start + _PART] for start in range(0, flat.size, _PART))
