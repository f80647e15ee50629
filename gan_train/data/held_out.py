"""Finds the split of a source that a run did not train on, where there is one; it decodes no pictures."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gan_train.config import DataOptions
from gan_train.data import archive, idx, layout
from gan_train.data.layout import OTHER_SPLITS, TRAIN


def beside(options: DataOptions) -> DataOptions | None:
    """Name the test or validation split that lies beside the training split of a source.

    Of IDX files those whose names have "t10k" or "test" for "train"; of a folder or zip file with
    subfolders train and test (val, validation ...), or of such a train folder itself, the other one.

    Returns:
        options for the pictures held out, or None where none are found.
    """
    path = Path(options.source)
    for found in (*_idx_files(path), *_folders(path), *_zipped(path)):
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


def _zipped(path: Path) -> Iterator[Path]:
    place, inside = archive.parted(path)
    if not zipfile.is_zipfile(place):
        return
    with archive.opened(place) as opened:
        files = archive.read(opened, place)
    taken = archive.within(files, inside)
    base = layout.of([member.name for member in taken.members], taken.folders).base.rstrip("/")
    above, _, split = base.rpartition("/")
    if split.lower() in TRAIN:
        inside_above = [name for name in files.folders if name.rpartition("/")[0] == above]
        yield from (place / name for name in inside_above if name.rpartition("/")[2].lower() in OTHER_SPLITS)
