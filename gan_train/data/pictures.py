"""PictureSet, the common data set: pictures of one size, each with a class or none."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError
from gan_train.data.columns import CLASS, IMAGE, Column, by_name
from gan_train.data.data_set import DataSet


@dataclasses.dataclass(frozen=True)
class PictureSet(DataSet):
    """A data set with a column "image", and often one of classes, "class"; others are welcome."""

    @classmethod
    def from_arrays(
        cls,
        name: str,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] = (),
        licence: str = "",
        preparation: str = "",
    ) -> Self:
        """Return the set of pictures uint8 [n, height, width, channels], and of classes int64 [n] or None.

        Args:
            class_names: in the order of the labels; not used without labels.
        """
        columns = [Column(IMAGE, IMAGE, images)]
        if labels is not None:
            columns.append(Column(CLASS, CLASS, labels, {"class_names": tuple(class_names)}))
        return cls(name, by_name(*columns), licence, preparation)

    @classmethod
    def of(cls, data: DataSet) -> Self:
        """Return a data set as pictures.

        Raises:
            DataError: it has no column of them.
        """
        if isinstance(data, cls):
            return data
        if IMAGE not in data.columns or data.columns[IMAGE].kind != IMAGE:
            raise DataError(
                f"{data.name} has the columns {', '.join(data.columns)}; a column {IMAGE!r} of pictures is "
                "needed; give other data"
            )
        return cls(data.name, data.columns, data.licence, data.preparation, data.warnings, data.value_range)

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """uint8 [n, height, width, channels]; a read-only np.memmap if they are many."""
        return self.columns[IMAGE].values

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """int64 [n], or None without classes."""
        return self.columns[CLASS].values if CLASS in self.columns else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes by index; empty without classes."""
        return tuple(self.columns[CLASS].facts["class_names"]) if CLASS in self.columns else ()

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.images.shape[1])

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.images.shape[2])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour, 4 for colour with alpha."""
        return int(self.images.shape[3])
