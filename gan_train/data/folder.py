"""A folder of picture files, with or without a subfolder a class, to one PictureSet."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError
from gan_train.config import MAX_SIDE, MIN_SIDE
from gan_train.data import cache, decode
from gan_train.data.pictures import PictureSet

_DEFAULT_SIDE: Final = 64
Progress = Callable[[int, int], None]
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Found:
    """The picture files of a folder; `classes` holds one index a file, or is None."""

    files: tuple[Path, ...]
    classes: tuple[int, ...] | None
    class_names: tuple[str, ...]


def find(root: Path) -> Found:
    """List a folder's picture files by their endings, in a fixed order.

    Hidden files and links to folders are passed over. Subfolders are classes where the pictures
    lie in more than one of them and none lies beside them.

    Raises:
        DataError: no picture is there, or some lie in subfolders and some beside them.
    """
    files: list[Path] = []
    for folder, names, entries in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        files += [
            Path(folder, entry)
            for entry in sorted(entries)
            if not entry.startswith(".") and entry.lower().endswith(decode.SUFFIXES)
        ]
    if not files:
        raise DataError(
            f"{root} holds no pictures; expected files ending in {', '.join(decode.SUFFIXES)}, "
            "in it or in a subfolder a class"
        )
    tops = [file.relative_to(root).parts[0] if file.parent != root else "" for file in files]
    names = sorted(set(tops))
    if len(names) == 1:
        return Found(tuple(files), None, ())
    if "" in names:
        raise DataError(
            f"{root} holds {tops.count('')} pictures beside subfolders with pictures; "
            "move them into a subfolder (its name is the class), or all into one folder"
        )
    index = {name: place for place, name in enumerate(names)}
    return Found(tuple(files), tuple(index[top] for top in tops), tuple(names))


def read(
    root: Path,
    height: int | None,
    width: int | None,
    channels: int | None,
    skip_bad: bool,
    progress: Progress,
) -> PictureSet:
    """Decode a folder into memory, from the cache where nothing has changed since.

    Args:
        height, width: in pixels; None takes the files' own size where they agree on one from
            16 to 128, else 64x64.
        channels: 1 or 3; None takes 1 where every file is grey.
        skip_bad: leave bad files out, with a warning, in place of refusing.
        progress: called with (files done, files in all).

    Raises:
        DataError: nothing usable, or bad files and not `skip_bad`; names them.
    """
    found = find(root)
    key = cache.key(root, found.files, (height, width, channels, skip_bad))
    name = root.resolve().name or "pictures"
    stored = cache.load(root, key)
    if stored is None:
        bad: dict[Path, str] = {}
        looks = _each(decode.look, found.files, bad, lambda done, total: None)
        good = [look for look in looks if look is not None]
        if height is None or width is None:
            height, width = _agreed_size(good)
        if channels is None:
            channels = 3 if any(colour for _, _, colour in good) else 1
        wanted = (height, width, channels)
        arrays = _each(
            lambda path: None if path in bad else decode.decode(path, *wanted),
            found.files,
            bad,
            progress,
        )
        stored = _gathered(root, found, arrays, bad, wanted, skip_bad)
        cache.store(root, key, stored)
    has_classes = found.classes is not None
    return PictureSet(
        name=name,
        images=stored.images,
        labels=stored.labels if has_classes else None,
        class_names=found.class_names if has_classes else (),
        preparation=decode.PREPARATION,
        warnings=stored.warnings,
    )


def _agreed_size(looks: Iterable[tuple[int, int, bool]]) -> tuple[int, int]:
    sizes = Counter((height, width) for height, width, _ in looks)
    if len(sizes) == 1:
        ((height, width),) = sizes
        if min(height, width) >= MIN_SIDE and max(height, width) <= MAX_SIDE:
            return height, width
    return _DEFAULT_SIDE, _DEFAULT_SIDE


def _each(
    work: Callable[[Path], Result | None],
    files: Sequence[Path],
    bad: dict[Path, str],
    progress: Progress,
) -> list[Result | None]:
    """Do `work` on every file, in threads (decoding leaves Python's lock); collect what is bad."""

    def attempt(path: Path) -> Result | None:
        try:
            return work(path)
        except DataError as error:
            bad[path] = str(error)
            return None

    results: list[Result | None] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(attempt, files):
            results.append(result)
            progress(len(results), len(files))
    return results


def _gathered(
    root: Path,
    found: Found,
    arrays: Sequence[npt.NDArray[np.uint8] | None],
    bad: dict[Path, str],
    wanted: tuple[int, int, int],
    skip_bad: bool,
) -> cache.Stored:
    if bad:
        listed = "; ".join(bad[path] for path in sorted(bad)[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        summary = f"{len(bad)} of {len(found.files)} files in {root} cannot be used: {listed}{more}"
        if not skip_bad:
            raise DataError(f"{summary}; mend or remove them, or leave them out with --on-bad skip")
    keep = [index for index, array in enumerate(arrays) if array is not None]
    images = np.empty((len(keep), *wanted), np.uint8)
    for place, array in enumerate(array for array in arrays if array is not None):
        images[place] = array
    classes = np.array(found.classes or [0] * len(arrays), np.int64)[keep]
    return cache.Stored(images, classes, (summary,) if bad else ())
