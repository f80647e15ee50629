"""Settings for reading a model file of other tools."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gan_infer.errors import OptionError
from gan_infer.text.escaping import abridge

# Characters in the name of an input or output.
_LONGEST_NAME: Final = 1_024

# What an input that stays constant can be set to: a number or a flag, or several.
Setting = float | bool | Sequence[float] | Sequence[bool]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How to read a foreign file; what is None is recognised.

    Attributes:
        latent_input, label_input, output: names in the file.
        class_names: names in the order of their indices.
        value_range: the output values for black and white: (-1, 1), (0, 1) or (0, 255).
        image_shape: (height, width), (height, width, channels) or (channels, height, width), in the
            order of the file's values.
        set_inputs: input name -> its constant value.
    """

    latent_input: str | None = None
    label_input: str | None = None
    output: str | None = None
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None
    image_shape: Sequence[int] | None = None
    set_inputs: Mapping[str, Setting] | None = None

    def given(self) -> list[str]:
        """Return the names of the fields that are not None."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]


def make_reading(
    latent_input: object,
    label_input: object,
    output: object,
    class_names: Any,
    value_range: Any,
    image_shape: Any = None,
    set_inputs: Any = None,
) -> Reading:
    """Return a Reading of the arguments that a person gives.

    Raises:
        OptionError: a name is not a text, the class names are not a list of texts, or the range is unknown.
    """
    named = {"latent_input": latent_input, "label_input": label_input, "output": output}
    for field, name in named.items():
        if name is not None and (not isinstance(name, str) or len(name) > _LONGEST_NAME):
            raise OptionError(f"{field} was {abridge(name)}; give the name of an input or output, a text")
    classes = None
    if class_names is not None:
        try:
            classes = () if isinstance(class_names, (str, bytes, dict)) else tuple(class_names)
        except Exception:  # an object of the caller can raise anything
            classes = ()
        if not classes or not all(isinstance(name, str) for name in classes):
            raise OptionError(
                f"class_names was {abridge(class_names)}; give a list of names, as ['cat', 'dog'], by index"
            )
    reading = Reading(
        latent_input,  # type: ignore[arg-type]
        label_input,  # type: ignore[arg-type]
        output,  # type: ignore[arg-type]
        classes,
        image_shape=image_shape,
        set_inputs=set_inputs,
    )
    if value_range is None:
        return reading
    try:
        low, high = map(float, value_range)
    except Exception:  # an object of the caller can raise anything
        low = high = 0.0
    if isinstance(value_range, (str, bytes)) or (low, high) not in ((-1, 1), (0, 1), (0, 255)):
        raise OptionError(f"value_range was {abridge(value_range)}; give (-1, 1), (0, 1) or (0, 255)")
    return dataclasses.replace(reading, value_range=(low, high))
