"""Kinds of outputs: how the arrays that a model makes are converted, saved and laid out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from gan_infer import arguments
from gan_infer.conditions.spec import IMAGE, Output
from gan_infer.errors import ModelError, OptionError
from gan_infer.outputs import image
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.provenance.record import Provenance

    Array = npt.NDArray[Any]
    Sign = Callable[[bytes, str], bytes]


class OutputKind(Protocol):
    """What can be done with the arrays [n, ...] of one kind of output."""

    def check_form(self, form: object) -> None:
        """Refuse a form that `convert` does not know.

        Raises:
            OptionError: it does not know the form.
        """
        ...

    def check_pictures(self) -> None:
        """Refuse to show items side by side if they are not pictures.

        Raises:
            OptionError: they are not pictures.
        """
        ...

    def convert(self, items: Array, form: str) -> Any:
        """Return the items in a form; "np" is the array itself."""
        ...

    def save(
        self, item: Array, target: str | os.PathLike[str], record: Provenance | None, sign: Sign | None
    ) -> None:
        """Write one item to a file, whole or not at all.

        Raises:
            OptionError: it cannot be written.
        """
        ...

    def lay_out(self, items: Array, columns: int) -> Array:
        """Return the items side by side, in rows of `columns`, as one picture.

        Raises:
            OptionError: as `check_pictures`.
        """
        ...

    def compare(self, got: Array, expected: Array) -> float:
        """Return the largest difference of two arrays; infinity if their shapes differ."""
        ...


class ImageOutput:
    """Pictures, uint8 [n, height, width, channels]."""

    def check_form(self, form: object) -> None:
        """Refuse other forms than "np" and "pil"."""
        arguments.check_output(form)

    def check_pictures(self) -> None:
        """Accept."""

    def convert(self, items: Array, form: str) -> Any:
        """Return the array, or a list of Pillow images."""
        return items if form == "np" else [image.to_pil(item) for item in items]

    def save(
        self,
        item: Array,
        target: str | os.PathLike[str],
        record: Provenance | None = None,
        sign: Sign | None = None,
    ) -> None:
        """Write one picture; the ending of the name selects the format."""
        image.save(item, target, record, sign)

    def lay_out(self, items: Array, columns: int) -> Array:
        """Return a sheet, uint8 [height, width, channels]."""
        return image.tile(items, columns)

    def compare(self, got: Array, expected: Array) -> float:
        """Return the largest difference of pixel values, 0 to 255."""
        return _largest_difference(got, expected)


class ArrayOutput:
    """Arrays that are not pictures and have no file format yet."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def check_form(self, form: object) -> None:
        """Refuse other forms than "np"."""
        if not isinstance(form, str) or form != "np":
            raise OptionError(
                f"output {abridge(form)} was given, and the model makes {self._kind}; give 'np'"
            )

    def check_pictures(self) -> None:
        """Refuse.

        Raises:
            OptionError: always.
        """
        raise OptionError(f"a sheet was requested, and the model makes {self._kind}, no pictures; use sample")

    def convert(self, items: Array, form: str) -> Any:
        """Return the array."""
        return items

    def save(
        self, item: Array, target: str | os.PathLike[str], record: Provenance | None, sign: Sign | None
    ) -> None:
        """Refuse, as there is no file format.

        Raises:
            OptionError: always.
        """
        raise OptionError(f"{self._kind} has no file format in this version; save the array by numpy.save")

    def lay_out(self, items: Array, columns: int) -> Array:
        """Refuse, as `check_pictures`."""
        self.check_pictures()
        return items

    def compare(self, got: Array, expected: Array) -> float:
        """Return the largest difference, in units of the array."""
        return _largest_difference(got, expected)


# Kind of output -> what can be done with it.
OUTPUTS: Final[dict[str, OutputKind]] = {
    IMAGE: ImageOutput(),
}


def find_kind(output: Output, model: str) -> OutputKind:
    """Return what can be done with an output; `model` names the model in messages.

    Raises:
        ModelError: this version does not know the kind of the output.
    """
    found = OUTPUTS.get(output.kind)
    if found is None:
        raise ModelError(
            f"model {model!r} gives an output {output.name!r} of kind {output.kind!r}, which this ganforge "
            f"does not know (it knows {', '.join(OUTPUTS)}); update it with: pip install --upgrade ganforge"
        )
    return found


def _largest_difference(got: Array, expected: Array) -> float:
    if got.shape != expected.shape:
        return np.inf
    return float(np.abs(got.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))
