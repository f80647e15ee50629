"""Chooses the pictures to hold out, and those that represent the rest, every class in proportion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int64]

_HELD_SHARE: Final = 0.2
_MOST_HELD: Final = 10_000
_SEED: Final = 0


def split(count: int, classes: Classes | None) -> tuple[Indices, Indices]:
    """Split a data set into (held-out, the rest), every class in proportion.

    The same for the same classes, whatever the seed of a run: a fifth is held out, at most 10,000.

    Args:
        classes: int64 [count], or None.

    Returns:
        int64 indices, each sorted, disjoint, together 0 ... count - 1.
    """
    order = spread(classes if classes is not None else np.zeros(count, np.int64))
    held = np.sort(order[: min(_MOST_HELD, round(_HELD_SHARE * count))])
    return held, np.setdiff1d(np.arange(count), held)


def part(indices: Indices, classes: Classes | None, most: int) -> Indices:
    """Return at most `most` of the indices, every class in proportion, sorted."""
    if len(indices) <= most:
        return indices
    own = classes[indices] if classes is not None else np.zeros(len(indices), np.int64)
    return np.sort(indices[spread(own)[:most]])


def spread(classes: Classes) -> Indices:
    """Return a random order in which every beginning of the set holds the classes in proportion.

    Item i of a class of m, in a random order, is put at (i + u) / m on a line from 0 to 1, with u
    drawn once per class.
    """
    random = np.random.default_rng(_SEED)
    place = np.empty(len(classes))
    for members in _members(classes):
        shuffled = random.permutation(members)
        place[shuffled] = (np.arange(len(members)) + random.uniform()) / len(members)
    return np.argsort(place, kind="stable").astype(np.int64)


def like(classes: Classes, count: int) -> Classes:
    """Return `count` classes in the proportions of others: equal numbers where those are equal."""
    order = classes[spread(classes)]
    if count <= len(order):
        return order[:count]
    return np.resize(order, count)


def _members(classes: Classes) -> Iterator[Indices]:
    for value in np.unique(classes):
        yield np.flatnonzero(classes == value).astype(np.int64)
