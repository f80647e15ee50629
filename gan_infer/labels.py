"""The classes of a model: from a label as people give it to an index; it knows no pictures."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_infer.errors import LabelError

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.int64]
    Label = int | str
    LabelSpec = Label | Sequence[Label] | npt.NDArray[np.integer[Any]] | None


class Classes:
    """The class names of one model, in the order of their indices; none for an unconditional one."""

    def __init__(self, names: tuple[str, ...], model: str) -> None:
        """Hold the names; `model` names the model in messages."""
        self.names = names
        self.model = model
        self._indices = range(len(names))
        self._index = {name: index for index, name in enumerate(names)}

    def index(self, label: Label) -> int:
        """Give the index of a class named by index, by name, or by an index written as text.

        A text is first looked up as a name, then read as an index.

        Raises:
            LabelError: no such class, or the model is unconditional.
        """
        if not self.names:
            raise LabelError(
                f"label {label!r} was given, but model {self.model!r} is unconditional; leave it out"
            )
        if isinstance(label, str):
            if label in self._index:
                return self._index[label]
            if label.isascii() and label.isdigit() and len(label) < 10:
                return self.index(int(label))
            raise self.no_such(label)
        try:
            index = operator.index(label)
        except TypeError:
            raise self.no_such(label) from None
        if isinstance(label, bool) or index not in self._indices:
            raise self.no_such(label)
        return index

    def each(self, label: LabelSpec, count: int) -> Labels | int | None:
        """Give one index for all of `count` pictures, one each, or None where no label is given.

        Raises:
            LabelError: as `index`, or labels of another number.
        """
        if label is None:
            return None
        if isinstance(label, str) or np.ndim(label) == 0:
            return self.index(label)  # type: ignore[arg-type]
        each = np.array([self.index(item) for item in label], np.int64)  # type: ignore[union-attr]
        if len(each) != count:
            raise LabelError(f"{len(each)} labels were given for {count} pictures; give one, or one each")
        return each

    def checked(
        self, labels: npt.ArrayLike | None, count: int, wanted: str = "one a latent"
    ) -> Labels | None:
        """Give the labels of a raw batch as int64 [count], None for an unconditional model.

        Raises:
            LabelError: they are missing, not wanted, of another shape or out of range.
        """
        if not self.names:
            if labels is not None:
                raise LabelError(
                    f"labels were given, but model {self.model!r} is unconditional; leave them out"
                )
            return None
        if labels is None:
            raise LabelError(
                f"model {self.model!r} needs labels: integers [n], from 0 to {len(self.names) - 1}"
            )
        array = np.asarray(labels)
        if array.dtype.kind not in "iu" or array.shape != (count,):
            raise LabelError(
                f"labels of shape {array.shape} and type {array.dtype} were given; "
                f"expected {count} integers, {wanted}"
            )
        array = np.ascontiguousarray(array, np.int64)
        # As unsigned numbers negative labels are huge, so the largest tells of both ends.
        if (array.item() if count == 1 else array.view(np.uint64).max()) not in self._indices:
            raise self.no_such(int(array[(array < 0) | (array >= len(self.names))][0]))
        return array

    def no_such(self, label: object) -> LabelError:
        """Give the error for a label that is no class."""
        count = len(self.names)
        shown = ", ".join(self.names[:20]) + (", ..." if count > 20 else "")
        return LabelError(
            f"label {label!r} is no class of model {self.model!r}; "
            f"give a name ({shown}) or an index from 0 to {count - 1}"
        )
