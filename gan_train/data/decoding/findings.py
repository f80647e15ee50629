"""Collects the findings of decoding: bad pictures, duplicates, grey and flat ones."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from gan_train.data.fingerprint import digest

Pixels = npt.NDArray[np.uint8]

_GREY_DIFFERENCE: Final = 2  # between the channels of a grey JPEG, say


@dataclasses.dataclass
class PictureFindings:
    """Findings on the pictures, collected while they are decoded.

    Attributes:
        bad: from an example's number to what is wrong with it.
        digests, numbers: of the usable examples.
        remarks: from a column and a remark on some of its pictures to their numbers.
        coloured: the columns with a picture that has other than three channels, or has colour.
        flat: from a column to how many of its pictures have only one colour.
    """

    bad: dict[int, str] = dataclasses.field(default_factory=dict)
    digests: list[int] = dataclasses.field(default_factory=list)
    numbers: list[int] = dataclasses.field(default_factory=list)
    remarks: dict[tuple[str, str], list[int]] = dataclasses.field(default_factory=dict)
    coloured: set[str] = dataclasses.field(default_factory=set)
    flat: Counter[str] = dataclasses.field(default_factory=Counter)

    def note(self, number: int, row: Mapping[str, Pixels]) -> None:
        """Note the findings on the pictures of a usable example."""
        self.digests.append(digest(*row.values()))
        self.numbers.append(number)
        for name, picture in row.items():
            if name not in self.coloured and not (picture.shape[2] == 3 and _is_grey(picture)):
                self.coloured.add(name)
            if (picture[-1, -1] == picture[0, 0]).all() and (picture == picture[0, 0]).all():
                self.flat[name] += 1

    def duplicates(self) -> list[list[int]]:
        """Return the numbers of examples whose pictures are equal as prepared, in groups."""
        digests, numbers = np.array(self.digests, np.uint64), np.array(self.numbers, np.int64)
        order = np.argsort(digests, kind="stable")
        ends = np.flatnonzero(np.diff(digests[order])) + 1
        groups = [group.tolist() for group in np.split(numbers[order], ends) if len(group) > 1]
        return sorted(groups)


def _is_grey(picture: Pixels) -> bool:
    wide = picture.astype(np.int16)
    return all(int(np.abs(wide[..., 0] - wide[..., at]).max()) <= _GREY_DIFFERENCE for at in (1, 2))
