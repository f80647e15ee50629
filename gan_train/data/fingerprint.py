"""Computes hashes that identify data sets and single examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.data.kinds import kind_of


def hash_columns(columns: Mapping[str, Column]) -> str:
    """Return the SHA-256 of columns in hex: equal exactly for equal training data.

    Pictures alone, or with classes, are hashed by shape, class names and bytes, as in existing runs.
    All others are hashed by name, kind, facts, shape, type and values of each column, ordered by name.
    """
    if {name: column.kind for name, column in columns.items()} in (
        {"image": IMAGE},
        {"image": IMAGE, "class": CLASS},
    ):
        return _hash_pictures(columns["image"], columns.get("class"))
    whole = hashlib.sha256()
    for name in sorted(columns):
        column = columns[name]
        facts = json.dumps(dict(column.facts), sort_keys=True)
        head = [name, column.kind, facts, list(column.values.shape), column.values.dtype.name]
        whole.update(json.dumps(head).encode() + b"\n")
        for part in kind_of(column).bytes_of(column):
            whole.update(part)
    return whole.hexdigest()


def digest(*values: npt.NDArray[Any]) -> int:
    """Return a number below 2**64 that identifies an example, of one shape and type in each column.

    Among a million examples, two different ones get the same number in one of ten million data sets.
    """
    whole = hashlib.blake2b(digest_size=8)
    for value in values:
        whole.update(np.ascontiguousarray(value).data)
    return int.from_bytes(whole.digest(), "little")


def _hash_pictures(images: Column, classes: Column | None) -> str:
    class_names = tuple(classes.facts["class_names"]) if classes else ()
    whole = hashlib.sha256(repr((images.values.shape, class_names)).encode())
    for column in (images, classes) if classes else (images,):
        for part in kind_of(column).bytes_of(column):
            whole.update(part)
    return whole.hexdigest()
