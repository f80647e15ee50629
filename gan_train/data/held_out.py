"""Finds the split of a source that a run did not train on, where there is one; it reads no pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from gan_train.config import DataOptions
from gan_train.data import idx
from gan_train.data.layout import OTHER_SPLITS, TRAIN


def beside(options: DataOptions) -> DataOptions | None:
    """Name the test or validation split that lies beside the training split of a source.

    Of IDX files those whose names have "t10k" or "test" for "train"; of a folder with subfolders train
    and test (val, validation ...), or of such a train folder itself, the other subfolder.

    Returns:
        options for the pictures held out, or None where none are found.
    """
    path = Path(options.source)
    for found in (*_idx_files(path), *_folders(path)):
        return dataclasses.replace(options, source=str(found), labels="", sha256="")
    return None


def _idx_files(path: Path) -> Iterator[Path]:
    pair = idx.pair_in(path) if path.is_dir() else idx.pair(path)
    if pair is None or "train" not in pair[0].name:
        return
    for other in ("t10k", "test"):
        found = pair[0].with_name(pair[0].name.replace("train", other))
        if idx.pair(found):
            yield found


def _folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    inside = {child.name.lower(): child for child in sorted(path.iterdir()) if child.is_dir()}
    if not TRAIN & set(inside):
        if path.name.lower() not in TRAIN:
            return
        inside = {child.name.lower(): child for child in sorted(path.absolute().parent.iterdir())}
    yield from (inside[name] for name in sorted(OTHER_SPLITS & set(inside)) if inside[name].is_dir())
