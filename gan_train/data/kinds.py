"""Checks, hashes and describes columns by their kind: a new kind is one class and one line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from gan_infer.errors import DataError
from gan_train.data.columns import AUDIO, CLASS, IMAGE, NUMBER, Column
from gan_train.data.names import list_names

_HASHED_BYTES: Final = 2**24
_SMALL_CLASS: Final = 10


class Kind:
    """A kind of column; subclasses define what differs.

    Attributes:
        noun: the word for one value.
        dtype: numpy's name of the values' type.
        sides: the number of dimensions of one value: 0 for a number, 3 for a picture.
        identifies: whether two examples of equal values are the same example, as two equal pictures
            are; a class or an age does not.
    """

    noun: str = "example"
    dtype: str = "float32"
    sides: int = 0
    identifies: bool = False

    def check(self, column: Column) -> None:
        """Check the type, the sides and the values of a column.

        Raises:
            DataError: they are not of this kind.
        """
        values = column.values
        if values.dtype != np.dtype(self.dtype) or values.ndim != 1 + self.sides:
            raise DataError(
                f"the column {column.name!r} is {values.dtype} {list(values.shape)}; a column of kind "
                f"{column.kind!r} is {self.dtype} with {1 + self.sides} dimensions; convert its values"
            )

    def concerns(self, column: Column, noun: str) -> list[str]:
        """Return what a person should know before training on it; `noun` is the word for one example."""
        return []

    def drop_unused(self, column: Column) -> tuple[Column, list[str]]:
        """Return the column without facts that no example needs any more, and notes on these."""
        return column, []

    def bytes_of(self, column: Column) -> Iterator[memoryview]:
        """Return the bytes of the values part by part, little-endian, for a hash."""
        values = column.values
        kept = np.dtype(values.dtype).newbyteorder("<")
        step = max(1, _HASHED_BYTES // max(1, values.itemsize * math.prod(values.shape[1:])))
        for start in range(0, len(values), step):
            yield np.ascontiguousarray(values[start : start + step], kept).data

    def describe(self, column: Column) -> str:
        """Return the content of the column for people: its shape and its type."""
        sides = "x".join(map(str, column.shape))
        return f"{len(column):,} of {sides} {self.dtype}" if sides else f"{len(column):,} of {self.dtype}"


class Images(Kind):
    """Pictures: uint8 [n, height, width, channels]."""

    noun = "picture"
    dtype = "uint8"
    sides = 3
    identifies = True

    def describe(self, column: Column) -> str:
        """Return how many pictures there are, and their size."""
        return f"{len(column):,} of {'x'.join(map(str, column.shape))}"


class Classes(Kind):
    """Classes: int64 [n], each an index of facts["class_names"]."""

    noun = "class"
    dtype = "int64"

    def check(self, column: Column) -> None:
        """Check as `Kind.check`, and that every class has a name."""
        super().check(column)
        names = column.facts.get("class_names", ())
        if len(column) and not 0 <= int(column.values.min()) <= int(column.values.max()) < len(names):
            raise DataError(
                f"the column {column.name!r} goes from {column.values.min()} to {column.values.max()}, "
                f"and has {len(names)} class names; give a name to each class"
            )

    def concerns(self, column: Column, noun: str) -> list[str]:
        """Return warnings about classes that are small, or differ much in size."""
        names = column.facts["class_names"]
        counts = np.bincount(column.values, minlength=len(names))
        notes = []
        if small := [f"{names[i]!r} ({counts[i]})" for i in np.flatnonzero(counts < _SMALL_CLASS)]:
            more = f" and {len(small) - 10} more" if len(small) > 10 else ""
            notes.append(
                f"classes with under {_SMALL_CLASS} {noun}s will be learnt badly: "
                f"{', '.join(small[:10])}{more}"
            )
        if counts.max() > 10 * max(1, counts.min()):
            notes.append(
                f"classes differ in size by more than 10:1 ({counts.min()} to {counts.max()} {noun}s)"
            )
        return notes

    def drop_unused(self, column: Column) -> tuple[Column, list[str]]:
        """Return the column without classes that no example has, numbered again, and a note on them."""
        names = column.facts["class_names"]
        used, values = np.unique(column.values, return_inverse=True)
        kept = tuple(names[number] for number in used)
        lost = [name for name in names if name not in set(kept)]
        notes = [f"classes without a usable picture are left out: {list_names(lost)}"] if lost else []
        facts = {**column.facts, "class_names": kept}
        return dataclasses.replace(column, values=values.reshape(-1).astype(np.int64), facts=facts), notes

    def describe(self, column: Column) -> str:
        """Return the number of examples of each class."""
        counts = count_classes(column)
        named = [f"{name}: {count:,}" for name, count in list(counts.items())[:12]]
        return ", ".join(named) + (f" and {len(counts) - 12:,} more" if len(counts) > 12 else "")


class Numbers(Kind):
    """Numbers: float32 [n], with facts["unit"], facts["low"] and facts["high"] where they are known."""

    noun = "number"

    def check(self, column: Column) -> None:
        """Check as `Kind.check`, and that the numbers are finite and within their range."""
        super().check(column)
        _check_finite(column)
        low, high = column.facts.get("low", -math.inf), column.facts.get("high", math.inf)
        if len(column) and not low <= float(column.values.min()) <= float(column.values.max()) <= high:
            raise DataError(
                f"the column {column.name!r} goes from {column.values.min():g} to {column.values.max():g}; "
                f"its range is {low:g} to {high:g}; correct the numbers or give a larger range"
            )

    def describe(self, column: Column) -> str:
        """Return the lowest and highest number, and the unit."""
        unit = f" {column.facts['unit']}" if column.facts.get("unit") else ""
        if not len(column):
            return "0 numbers"
        return f"{len(column):,} from {column.values.min():g} to {column.values.max():g}{unit}"


class Sounds(Kind):
    """Sounds of one length: float32 [n, samples] in -1 to 1, with facts["sample_rate"] in hertz."""

    noun = "sound"
    sides = 1
    identifies = True

    def check(self, column: Column) -> None:
        """Check as `Kind.check`, and that samples are finite and within -1 to 1."""
        super().check(column)
        _check_finite(column)
        if len(column) and max(float(column.values.max()), -float(column.values.min())) > 1:
            raise DataError(
                f"the column {column.name!r} goes from {column.values.min():g} to {column.values.max():g}; "
                "samples of sound lie between -1 and 1; divide them by their largest value"
            )

    def describe(self, column: Column) -> str:
        """Return how many sounds there are, and how long each is."""
        rate = column.facts.get("sample_rate")
        length = f"{column.shape[0] / rate:g} s at {rate:,} Hz" if rate else f"{column.shape[0]:,} samples"
        return f"{len(column):,} of {length}"


KINDS: Final[dict[str, Kind]] = {
    IMAGE: Images(),
    CLASS: Classes(),
    NUMBER: Numbers(),
    AUDIO: Sounds(),
}


def kind_of(column: Column) -> Kind:
    """Return the kind of a column.

    Raises:
        DataError: its kind is not known.
    """
    return find_kind(column.name, column.kind)


def find_kind(name: str, kind: str) -> Kind:
    """Return a kind by its name; `name` is the column's, for the message.

    Raises:
        DataError: the kind is not known.
    """
    if kind not in KINDS:
        raise DataError(
            f"the column {name!r} is of kind {kind!r}; the kinds are {', '.join(KINDS)}; give one of these"
        )
    return KINDS[kind]


def count_classes(column: Column) -> dict[str, int]:
    """Return how many examples each class of a column has, by the class's name."""
    names: tuple[str, ...] = column.facts["class_names"]
    counts = np.bincount(column.values, minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def _check_finite(column: Column) -> None:
    values: Any = column.values
    if not np.isfinite(values).all():
        raise DataError(
            f"the column {column.name!r} holds values that are not finite; every value is to be a finite "
            "number; leave these examples out"
        )
