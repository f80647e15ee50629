"""Which pictures are held out, and which stand for the rest; it knows indices and labels alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]

_HELD_SHARE: Final = 0.2
_MOST_HELD: Final = 10_000
_SEED: Final = 0


def split(count: int, labels: Labels | None) -> tuple[Indices, Indices]:
    """Part a data set into (held-out, the rest), every class in proportion.

    The same for the same labels, whatever the seed of a run: a fifth is held out, at most 10,000.

    Args:
        labels: int64 [count], or None.

    Returns:
        int64 indices, each sorted, disjoint, together 0 ... count - 1.
    """
    order = spread(labels if labels is not None else np.zeros(count, np.int64))
    held = np.sort(order[: min(_MOST_HELD, round(_HELD_SHARE * count))])
    return held, np.setdiff1d(np.arange(count), held)


def part(indices: Indices, labels: Labels | None, most: int) -> Indices:
    """Return at most so many of the indices, every class in proportion, sorted."""
    if len(indices) <= most:
        return indices
    own = labels[indices] if labels is not None else np.zeros(len(indices), np.int64)
    return np.sort(indices[spread(own)[:most]])


def spread(labels: Labels) -> Indices:
    """Order a set so that every beginning of it holds the classes in proportion, at random within.

    Item i of a class of m, in a random order, takes the place (i + u) / m of a line from 0 to 1,
    with u drawn once a class.
    """
    random = np.random.default_rng(_SEED)
    place = np.empty(len(labels))
    for members in _classes(labels):
        shuffled = random.permutation(members)
        place[shuffled] = (np.arange(len(members)) + random.uniform()) / len(members)
    return np.argsort(place, kind="stable").astype(np.int64)


def like(labels: Labels, count: int) -> Labels:
    """Return `count` labels in the proportions of others: equal numbers where those are equal."""
    order = labels[spread(labels)]
    if count <= len(order):
        return order[:count]
    return np.resize(order, count)


def _classes(labels: Labels) -> Iterator[Indices]:
    for label in np.unique(labels):
        yield np.flatnonzero(labels == label).astype(np.int64)
