"""PictureSet: decoded pictures in memory; it knows no files and no networks."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError

# Fewer teach a network nothing but themselves.
MIN_PICTURES: Final = 10


@dataclasses.dataclass(frozen=True)
class PictureSet:
    """Pictures of one size, with a class each or none.

    Attributes:
        name: of the data, for people.
        images: uint8 [n, height, width, channels].
        labels: int64 [n], or None.
        class_names: in the order of the labels; empty where there are none.
        licence: of the data, "" where it is not known.
        preparation: what was done to the files to get these arrays, in a sentence.
        warnings: what a person should know before training on them.
    """

    name: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    licence: str = ""
    preparation: str = ""
    warnings: tuple[str, ...] = ()

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
        """1 for grey, 3 for colour."""
        return int(self.images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def sha256(self) -> str:
        """Give the hash of pixels, labels and class names: equal exactly for equal training data."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        digest.update(self.images.tobytes())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def checked(self) -> PictureSet:
        """Give the set itself, with warnings about its classes added.

        Raises:
            DataError: too few pictures, or a label outside the class names.
        """
        if len(self) < MIN_PICTURES:
            raise DataError(
                f"{self.name} holds {len(self)} usable picture{'s' * (len(self) != 1)}; "
                f"give at least {MIN_PICTURES}, better some hundreds"
            )
        if self.labels is None:
            return self
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        warnings = list(self.warnings)
        tiny = [f"{self.class_names[i]!r} ({counts[i]})" for i in np.flatnonzero(counts < 10)]
        if tiny:
            warnings.append(f"classes with under 10 pictures will be learnt badly: {', '.join(tiny[:10])}")
        if counts.max() > 10 * max(1, counts.min()):
            warnings.append(
                f"classes differ in size by more than 10:1 ({counts.min()} to {counts.max()} pictures)"
            )
        return dataclasses.replace(self, warnings=tuple(warnings))
