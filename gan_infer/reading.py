"""How a model file of other tools is to be read; it reads none."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a foreign file is to be read; None where it shall be recognised.

    Attributes:
        latent_input, label_input, output: names in the file.
        class_names: names in the order of their indices.
        value_range: (-1, 1), (0, 1) or (0, 255): the output values that mean black and white.
    """

    latent_input: str | None = None
    label_input: str | None = None
    output: str | None = None
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None

    def given(self) -> list[str]:
        """Give the names of the fields that are not left to be recognised."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]
