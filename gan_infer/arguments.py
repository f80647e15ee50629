"""What several calls ask of their arguments, in the same words; it knows no models."""

from __future__ import annotations

import operator

from gan_infer.errors import OptionError
from gan_infer.latents import SEED_LIMIT


def whole_number(value: object, name: str = "n") -> int:
    """Give a count as an int.

    Raises:
        OptionError: it is no whole number of at least 1.
    """
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if isinstance(value, bool) or not 1 <= count < SEED_LIMIT:
        raise OptionError(f"{name} was {value!r}; give a whole number of at least 1")
    return count


def check_output(output: object) -> None:
    """Refuse what is no form of output.

    Raises:
        OptionError: it is neither "np" nor "pil".
    """
    if output not in ("np", "pil"):
        raise OptionError(f"output {output!r} is unknown; give 'np' or 'pil'")
