"""What goes into a model and what comes out: the name, kind, type and shape of one array.

A model file lists its inputs and outputs so (format 1.1); the file is checked against that list.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Final

# Kinds of inputs that this version knows; conditions of other kinds are added to `conditions.KINDS`.
LATENT: Final = "latent"
CLASS: Final = "class"
IMAGE: Final = "image"
_NOTHING: Final[Mapping[str, Any]] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Free:
    """A side that whoever feeds the model chooses: from `low` to `high`, a multiple of `multiple`."""

    low: int
    high: int
    multiple: int = 1


Side = int | Free


@dataclasses.dataclass(frozen=True)
class Spec:
    """One array of a model.

    Attributes:
        name: in the file.
        kind: what it means: "latent", "class", "image", ...
        dtype: numpy's name of its type: "float32", "int64", "uint8".
        shape: its sides without the batch, which is the first dimension of every array.
        facts: what else its kind needs, as JSON: class names, the distribution of latents, a unit.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[Side, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Input(Spec):
    """An array that is fed; an `optional` one has a value of its own in the file."""

    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Output(Spec):
    """An array that the model gives."""
