"""PictureSet: decoded pictures of one size; it knows no files and no networks."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError

# Fewer teach a network nothing but themselves.
MIN_PICTURES: Final = 10
_HASHED_BYTES: Final = 2**24


@dataclasses.dataclass(frozen=True)
class PictureSet:
    """Pictures of one size, with a class each or none.

    Attributes:
        name: of the data, for people.
        images: uint8 [n, height, width, channels]; a read-only np.memmap where they are many.
        labels: int64 [n], or None.
        class_names: in the order of the labels; empty where there are none.
        licence: of the data, "" where it is not known.
        preparation: what was done to the files to get these arrays, in a sentence.
        warnings: what a person should know before training on them.
        value_range: which values of deep files became black and white, "" where none is deep.
    """

    name: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    licence: str = ""
    preparation: str = ""
    warnings: tuple[str, ...] = ()
    value_range: str = ""

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

    def __len__(self) -> int:
        return len(self.images)

    def sha256(self) -> str:
        """Return the hash of pixels, labels and class names: equal exactly for equal training data."""
        whole = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        step = max(1, _HASHED_BYTES // max(1, math.prod(self.images.shape[1:])))
        for start in range(0, len(self), step):
            whole.update(np.ascontiguousarray(self.images[start : start + step]).data)
        if self.labels is not None:
            whole.update(self.labels.tobytes())
        return whole.hexdigest()

    def in_common(self, other: PictureSet) -> npt.NDArray[np.bool_]:
        """Tell of each picture whether it stands in another set, pixel for pixel; bool [n]."""
        if self.images.shape[1:] != other.images.shape[1:]:
            return np.zeros(len(self), np.bool_)
        own = [digest(picture) for picture in self.images]
        found = frozenset(own).intersection(map(digest, other.images))
        return np.array([each in found for each in own], np.bool_)

    def only(self, which: npt.NDArray[np.bool_]) -> PictureSet:
        """Return the pictures that bool [n] names; the classes stay."""
        labels = None if self.labels is None else self.labels[which]
        return dataclasses.replace(self, images=self.images[which], labels=labels)

    def checked(self) -> PictureSet:
        """Return the set itself, with warnings about its classes added.

        Raises:
            DataError: too few pictures.
        """
        told = concerns(self.name, len(self), self.labels, self.class_names)
        return dataclasses.replace(self, warnings=(*self.warnings, *told))


def digest(picture: npt.NDArray[np.uint8]) -> int:
    """Return a number below 2**64 that tells pictures of one shape apart.

    Among a million of them, it takes one pair for equal that is not in some ten million data sets.
    """
    found = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=8)
    return int.from_bytes(found.digest(), "little")


def concerns(
    name: str, count: int, labels: npt.NDArray[np.int64] | None, class_names: tuple[str, ...]
) -> list[str]:
    """Return what a person should know of the number of pictures, and of the classes' sizes.

    Raises:
        DataError: too few pictures.
    """
    if count < MIN_PICTURES:
        raise DataError(
            f"{name} holds {count} usable picture{'s' * (count != 1)}; "
            f"give at least {MIN_PICTURES}, better some hundreds"
        )
    if labels is None:
        return []
    told = []
    counts = np.bincount(labels, minlength=len(class_names))
    if tiny := [f"{class_names[i]!r} ({counts[i]})" for i in np.flatnonzero(counts < 10)]:
        more = f" and {len(tiny) - 10} more" if len(tiny) > 10 else ""
        told.append(f"classes with under 10 pictures will be learnt badly: {', '.join(tiny[:10])}{more}")
    if counts.max() > 10 * max(1, counts.min()):
        told.append(f"classes differ in size by more than 10:1 ({counts.min()} to {counts.max()} pictures)")
    return told
