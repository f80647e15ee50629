"""A data set as named columns of equal length, each with a spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IMAGE: Final = "image"
CLASS: Final = "class"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: a value for every example.

    Attributes:
        name: "image", "class", "target", ...
        kind: what the values are: "image" (uint8 [n, height, width, channels], which may be a read-only
            np.memmap), "class" (int64 [n], indices of facts["class_names"]), "number", "text", "audio".
        values: [n, ...].
        facts: what else the kind needs, as JSON: class names, a unit and a range.
    """

    name: str
    kind: str
    values: npt.NDArray[Any] | np.memmap[Any, Any]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        return tuple(self.values.shape[1:])
