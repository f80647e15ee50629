"""A data set: named columns of equal length."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError
from gan_train.data import fingerprint
from gan_train.data.columns import Column
from gan_train.data.kinds import kind_of

# From fewer a network learns only these by heart.
MIN_EXAMPLES: Final = 10


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Examples, as columns of equal length.

    Attributes:
        name: of the data, for people.
        columns: by name, such as "image" and "class".
        licence: of the data, "" if it is not known.
        preparation: how the files became these values, in a sentence.
        warnings: what a person should know before training on them.
        value_range: which values of deep picture files became black and white, "" if none is deep.
    """

    name: str
    columns: Mapping[str, Column]
    licence: str = ""
    preparation: str = ""
    warnings: tuple[str, ...] = ()
    value_range: str = ""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            listed = ", ".join(f"{name}: {length:,}" for name, length in lengths.items()) or "none"
            raise DataError(f"{self.name} has columns of lengths {listed}; give each example a value in each")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def noun(self) -> str:
        """The word for one example: "picture", "sound", else "example"."""
        kinds = [kind_of(column) for column in self.columns.values()]
        return next((kind.noun for kind in kinds if kind.identifies), "example")

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Return the values of a column, [n, ...]; None where there is no such column."""
        column = self.columns.get(name)
        return None if column is None else column.values

    def sha256(self) -> str:
        """Return the hash of all columns: equal exactly for equal training data."""
        return fingerprint.hash_columns(self.columns)

    def in_common(self, other: DataSet) -> npt.NDArray[np.bool_]:
        """Return for each example whether another set has it too; bool [n].

        Only columns whose values identify an example are compared: pictures and sounds, bit for bit.
        """
        own, others = self._identifying(), other._identifying()
        if not own or _layout(own) != _layout(others):
            return np.zeros(len(self), np.bool_)
        digests = [fingerprint.digest(*values) for values in zip(*own.values(), strict=True)]
        known = frozenset(digests).intersection(
            fingerprint.digest(*(others[name][at] for name in own)) for at in range(len(other))
        )
        return np.array([each in known for each in digests], np.bool_)

    def only(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Self:
        """Return the examples that bool [n], or their numbers int64 [k], name; the facts stay."""
        return self.with_columns(*(column.only(which) for column in self.columns.values()))

    def with_columns(self, *columns: Column) -> Self:
        """Return the set with columns added; they replace those of the same names."""
        return dataclasses.replace(
            self, columns={**self.columns, **{column.name: column for column in columns}}
        )

    def with_values(self, name: str, values: npt.NDArray[Any]) -> Self:
        """Return the set with other values in one of its columns; kind and facts stay."""
        return self.with_columns(dataclasses.replace(self.columns[name], values=values))

    def without(self, *names: str) -> Self:
        """Return the set without columns of these names, if it has them."""
        kept = {name: column for name, column in self.columns.items() if name not in names}
        return dataclasses.replace(self, columns=kept)

    def check(self) -> Self:
        """Check all columns, and return the set with warnings about them added.

        Raises:
            DataError: too few examples, or values that are not of their column's kind.
        """
        for column in self.columns.values():
            kind_of(column).check(column)
        more = find_concerns(self.name, len(self), self.columns, self.noun)
        return dataclasses.replace(self, warnings=(*self.warnings, *more))

    def _identifying(self) -> dict[str, npt.NDArray[np.generic]]:
        return {
            name: column.values for name, column in sorted(self.columns.items()) if kind_of(column).identifies
        }


def find_concerns(name: str, count: int, columns: Mapping[str, Column], noun: str = "picture") -> list[str]:
    """Return what a person should know of the number of examples, and of each column.

    Raises:
        DataError: too few examples.
    """
    if count < MIN_EXAMPLES:
        raise DataError(
            f"{name} holds {count} usable {noun}{'s' * (count != 1)}; "
            f"give at least {MIN_EXAMPLES}, better some hundreds"
        )
    return [note for column in columns.values() for note in kind_of(column).concerns(column, noun)]


def _layout(columns: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (values.shape[1:], values.dtype.name) for name, values in columns.items()}
