"""Checks of arguments that several calls share, with the same messages."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import OptionError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

_MOST: Final = 2**63 - 1
_CHANNELS: Final = (1, 3, 4)


def whole_number(value: Any, name: str = "n", least: int = 1, most: int = _MOST) -> int:
    """Return a count as an int.

    Raises:
        OptionError: it is not a whole number from `least` to `most`.
    """
    try:
        count = operator.index(value)
    except Exception:  # an object of the caller's may raise anything: it is not a number
        count = least - 1
    if isinstance(value, bool) or not least <= count <= most:
        above = "" if most == _MOST else f", at most {most:,}"
        raise OptionError(f"{name} was {abridge(value)}; give a whole number of at least {least}{above}")
    return count


def check_output(output: object) -> None:
    """Check the form of output that a caller asks for.

    Raises:
        OptionError: it is neither "np" nor "pil".
    """
    if not isinstance(output, str) or output not in ("np", "pil"):
        raise OptionError(f"output {abridge(output)} is unknown; give 'np' or 'pil'")


def numbers(values: object, name: str) -> npt.NDArray[np.float64]:
    """Return an array of float64, of any shape.

    Raises:
        OptionError: it holds anything but integers and floats.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "fiu":
            return array.astype(np.float64)
    except Exception:  # an object of the caller's may raise anything: it is not an array
        pass
    raise OptionError(f"{name} was {abridge(values)}; give numbers")


def picture(value: Any, name: str = "a picture", *, batch: bool = False) -> npt.NDArray[np.uint8]:
    """Return an array if it is a picture, or with `batch` several pictures.

    Raises:
        OptionError: it is not uint8 [height, width, 1, 3 or 4], or [n, height, width, 1, 3 or 4].
    """
    wanted = "[n, height, width, 1, 3 or 4] with n >= 1" if batch else "[height, width, 1, 3 or 4]"
    if not isinstance(value, np.ndarray):
        raise OptionError(f"{name} was {abridge(value)}; give an array, uint8 {wanted}")
    if (
        value.dtype != np.uint8
        or value.ndim != 3 + batch
        or value.shape[-1] not in _CHANNELS
        or not value.size
    ):
        raise OptionError(
            f"{name} of shape {value.shape} and type {abridge(value.dtype)} was given; "
            f"expected uint8 {wanted}"
        )
    return value


def path(value: object, name: str = "a path") -> Path:
    """Return the path of a file.

    Raises:
        OptionError: it is not a path that any system accepts.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise OptionError(f"{name} was {abridge(value)}; give the path of a file, as a text")
    try:
        text = os.fspath(value)
        os.fsencode(text)
    except Exception:  # raised by a caller's object, or for a lone surrogate
        text = ""
    if not isinstance(text, str) or not text or "\0" in text or len(text) > 4096:
        raise OptionError(f"{name} was {abridge(value)}; give the path of a file")
    return Path(text)
