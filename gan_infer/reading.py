"""How a model file of other tools is to be read; it reads none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

# What an input that stays constant can be set to: a number or a flag, or several.
Setting = float | bool | Sequence[float] | Sequence[bool]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a foreign file is to be read; None where it shall be recognised.

    Attributes:
        latent_input, label_input, output: names in the file.
        class_names: names in the order of their indices.
        value_range: (-1, 1), (0, 1) or (0, 255): the output values that mean black and white.
        image_shape: (height, width), (height, width, channels) or (channels, height, width), in the
            order of the file's values.
        set_inputs: input name -> the value that it is always given.
    """

    latent_input: str | None = None
    label_input: str | None = None
    output: str | None = None
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None
    image_shape: Sequence[int] | None = None
    set_inputs: Mapping[str, Setting] | None = None

    def given(self) -> list[str]:
        """Return the names of the fields that are not left to be recognised."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]
