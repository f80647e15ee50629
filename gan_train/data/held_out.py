"""Finds the split of a source that a run did not train on, if there is one."""

from __future__ import annotations

import dataclasses
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data.layout import folders, splits
from gan_train.data.sources import archive, idx, unused


def find_beside(options: DataOptions) -> DataOptions | None:
    """Return the options of the test or validation split beside the training split of a source.

    For IDX files these have "t10k" or "test" in their names instead of "train"; for a folder or zip file
    with subfolders train and test (val, validation ...), or for such a train folder, it is the other one.

    Returns:
        options for the pictures held out, or None if none are found.
    """
    path = Path(options.source)
    found = [_find_idx(path)]
    if options.split == "auto":
        found += [_find_folders(path), _find_in_zip(path, options)]
    for place in itertools.chain(*found):
        return dataclasses.replace(
            options, source=str(place), labels="", file_column="", label_column="", sha256=""
        )
    return None


def _find_idx(path: Path) -> Iterator[Path]:
    pair = idx.find_pair_in(path) if path.is_dir() else idx.find_pair(path)
    if pair is None or "train" not in pair[0].name:
        return
    for other in ("t10k", "test"):
        found = pair[0].with_name(pair[0].name.replace("train", other))
        if idx.find_pair(found):
            yield found


def _find_folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    inside = _list_folders(path)
    while len(inside) == 1 and splits.find_part(inside[0]) is None:
        path /= inside[0]
        inside = _list_folders(path)
    if take := splits.decide(inside).take:
        yield from (path / name for name in splits.find_held_out(inside, take))
        return
    here = path.absolute()
    for place in (here, here.parent):  # of seg_train/seg_train the outer one lies beside its tests
        if splits.find_part(place.name) is not None:
            yield from (
                place.parent / name for name in splits.find_held_out(_list_folders(place.parent), place.name)
            )


def _list_folders(folder: Path) -> list[str]:
    try:
        names = [child.name for child in sorted(folder.iterdir()) if child.is_dir()]
    except OSError:
        return []
    return [name for name in names if not unused.is_left_behind(name, folder=True)]


def _find_in_zip(path: Path, options: DataOptions) -> Iterator[Path]:
    place, inside = archive.split_path(path)
    if not zipfile.is_zipfile(place):
        return
    with archive.open_archive(place) as opened:
        files = archive.list_files(opened, place, options.zip_encoding)
    taken = archive.select_folder(files, inside)
    try:
        found = folders.read_layout([member.name for member in taken.members], taken.folders)
    except DataError:  # splits, but none to train on
        return
    parts = found.base.rstrip("/").split("/")
    for depth in reversed(range(len(parts))):
        above = "/".join(parts[:depth])
        beside = [name.rpartition("/")[2] for name in files.folders if name.rpartition("/")[0] == above]
        held = splits.find_held_out(beside, parts[depth])
        yield from (place / "/".join(filter(None, (above, name))) for name in held)
