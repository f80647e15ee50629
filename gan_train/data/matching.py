"""Brings the classes of a data set into the order of a model's classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from gan_train.data.columns import CLASS
from gan_train.data.pictures import PictureSet


def match_classes(
    pictures: PictureSet, class_names: tuple[str, ...], say: Callable[[str], object]
) -> tuple[PictureSet, bool]:
    """Return the pictures with their classes in the model's order, and whether their classes can be used.

    Names decide; if they differ and their number is the same, the order decides, with a note to
    `say`. If the number differs too, the pictures are used without classes, with a note.
    """
    if not class_names or CLASS not in pictures.columns:
        return pictures, False
    column = pictures.columns[CLASS]
    own = pictures.class_names
    if set(own) == set(class_names) and len(own) == len(class_names):
        index = np.array([class_names.index(name) for name in own], np.int64)
        facts = {**column.facts, "class_names": class_names}
        turned = dataclasses.replace(column, values=index[column.values], facts=facts)
        return pictures.with_columns(turned), True
    if len(own) == len(class_names):
        say("note: the data's classes have other names than the model's; taken in their order")
        return pictures, True
    say(f"note: the data has {len(own)} classes and the model {len(class_names)}; taken without labels")
    return pictures.without(CLASS), False
