"""Brings the classes of one data set into the order of a model's; it knows no files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from gan_train.data.pictures import PictureSet


def matched(
    pictures: PictureSet, class_names: tuple[str, ...], say: Callable[[str], object]
) -> tuple[PictureSet, bool]:
    """Return the pictures with their classes in the model's order, and whether their labels can be used.

    Names decide; where they differ and their number is the same, the order decides, with a note to
    `say`. Where the number differs too, the pictures are taken without labels, with a note.
    """
    if not class_names or pictures.labels is None:
        return pictures, False
    own = pictures.class_names
    if set(own) == set(class_names) and len(own) == len(class_names):
        index = np.array([class_names.index(name) for name in own], np.int64)
        return dataclasses.replace(pictures, labels=index[pictures.labels], class_names=class_names), True
    if len(own) == len(class_names):
        say("note: the data's classes have other names than the model's; taken in their order")
        return pictures, True
    say(f"note: the data has {len(own)} classes and the model {len(class_names)}; taken without labels")
    return dataclasses.replace(pictures, labels=None, class_names=()), False
