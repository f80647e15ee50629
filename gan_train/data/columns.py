"""A column of a data set: a value for every example, with its kind and the facts that the kind needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IMAGE: Final = "image"
CLASS: Final = "class"
NUMBER: Final = "number"
AUDIO: Final = "audio"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: a value for every example.

    Attributes:
        name: "image", "class", "target", ...
        kind: what the values are, a key of `kinds.KINDS`: "image" (uint8 [n, height, width, channels],
            which may be a read-only np.memmap), "class" (int64 [n], indices of facts["class_names"]),
            "number" (float32 [n]), "audio" (float32 [n, samples]).
        values: [n, ...].
        facts: what else the kind needs, as JSON: class names, a unit, the lowest and the highest number.
    """

    name: str
    kind: str
    values: npt.NDArray[Any] | np.memmap[Any, Any]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        return tuple(self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.values)

    def only(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Column:
        """Return the column of the examples that bool [n], or their numbers int64 [k], name."""
        return dataclasses.replace(self, values=self.values[which])


def by_name(*columns: Column) -> dict[str, Column]:
    """Return columns by their names, in their order."""
    return {column.name: column for column in columns}
