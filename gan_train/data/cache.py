"""Decoded pictures kept on disk between runs: one array a source and a note beside it, used while fresh.

The array is written row by row, so that it may be larger than memory, and read as a view of the
file. The note is written last and names its array: without it, or with another, there is no cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from gan_infer import files
from gan_infer.decoding import ranges
from gan_infer.errors import DataError, OptionError

# Up to here arrays are read into memory whole.
IN_MEMORY_BYTES: Final = 1024**3

_VERSION: Final = 3
_DAY_S: Final = 86_400
_SPARE: Final = 1.02

Pixels = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]
Asked = tuple[int | None, int | None, int | None]


@dataclasses.dataclass(frozen=True)
class Record:
    """What the note says of an array of pictures.

    Attributes:
        fingerprint: of the source, see `listing.fingerprint`.
        fit: "crop" or "pad".
        asked: the (height, width, channels) that were asked for; None was filled in.
        shape: those of the array.
        asked_range: of values, as it was asked for, "auto" where it was settled.
        value_range: the one that was taken, "" where no picture is deep.
        bad: from the number of a picture that is not in the array to the reason.
        notes: what was found while decoding.
    """

    fingerprint: str
    fit: str
    asked: Asked
    shape: Shape
    bad: Mapping[int, str]
    notes: tuple[str, ...]
    asked_range: str = ranges.AUTO
    value_range: str = ""

    def answers(self, fingerprint: str, fit: str, asked: Asked, asked_range: str = ranges.AUTO) -> bool:
        """Return whether decoding what is asked for would give this again."""
        same_range = asked_range in (self.asked_range, *([self.value_range] if self.value_range else []))
        return (
            same_range
            and (self.fingerprint, self.fit) == (fingerprint, fit)
            and all(
                (before is None) if now is None else (now == side)
                for now, before, side in zip(asked, self.asked, self.shape, strict=True)
            )
        )


def directory() -> Path:
    """Return the cache's directory, in the folder of all that is kept between runs."""
    return files.home() / "pictures"


def load(
    place: Path, fingerprint: str, fit: str, asked: Asked, count: int, asked_range: str = ranges.AUTO
) -> tuple[Record, Pixels] | None:
    """Return what is kept of a source of `count` pictures, or None; what is damaged counts as none."""
    try:
        tree = json.loads(_note(place).read_text(encoding="utf-8"))
        record = _record(tree)
        if not record.answers(fingerprint, fit, asked, asked_range):
            return None
        images = _mapped(directory() / Path(tree["array"]).name)
        if images.shape != (count - len(record.bad), *record.shape):
            return None
        return record, images
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


def write(place: Path, shape: Shape, rows: Iterable[Pixels], describe: Callable[[], Record]) -> Pixels:
    """Keep rows, each uint8 of `shape` or several of it, and give them back as a view of the file.

    What was kept of the same source is replaced. `describe` is called after the last row.

    Raises:
        OptionError: the directory cannot be written, or is full.
        Anything that `rows` and `describe` raise; nothing is kept then.
    """
    stem = _stem(place)
    array = directory() / f"{stem}-{os.urandom(6).hex()}.npy"
    old = _array_of(place)
    with files.stage(array) as part, part.open("wb", buffering=2**20) as file:
        _write_rows(file, shape, rows)
        record = describe()
    tree = {**dataclasses.asdict(record), "version": _VERSION, "source": str(place), "array": array.name}
    files.write(_note(place), json.dumps(tree).encode())
    images = _mapped(array)
    _tidy(stem, array, old)
    return images


def room_for(size: int) -> str:
    """Return the reason why so many bytes cannot be kept, or "" where they can."""
    try:
        files.check_writable(directory() / "try.npy")
        free = shutil.disk_usage(directory()).free
    except (OSError, OptionError) as error:
        return str(error)
    return "" if size * _SPARE < free else f"{directory()} has {free / 1e9:,.1f} GB free"


def memory_bytes() -> float:
    """Return the memory of this machine, infinite where it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # not every system tells
        return float("inf")


def _write_rows(file: BinaryIO, shape: Shape, rows: Iterable[Pixels]) -> None:
    """Write a .npy file whose number of rows is known at its end: its header leaves room for that."""
    count = 0
    _write_header(file, (0, *shape))
    begin = file.tell()
    for row in rows:
        count += 1 if row.ndim == 3 else len(row)
        file.write(np.ascontiguousarray(row).data)
    file.seek(0)
    _write_header(file, (count, *shape))
    if file.tell() != begin:
        raise DataError(f"the header of {count:,} pictures does not fit; this is an error of ours")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _mapped(path: Path) -> Pixels:
    size = path.stat().st_size
    array: Pixels = np.load(path, mmap_mode="r" if size > IN_MEMORY_BYTES else None, allow_pickle=False)
    if array.dtype != np.uint8 or array.ndim != 4:
        raise ValueError("no array of pictures")
    return array


def _record(tree: Any) -> Record:
    if tree["version"] != _VERSION:
        raise ValueError("of another version")
    return Record(
        fingerprint=tree["fingerprint"],
        fit=tree["fit"],
        asked=tuple(tree["asked"]),
        shape=tuple(tree["shape"]),
        bad={int(number): str(reason) for number, reason in tree["bad"].items()},
        notes=tuple(map(str, tree["notes"])),
        asked_range=str(tree["asked_range"]),
        value_range=str(tree["value_range"]),
    )


def _array_of(place: Path) -> Path | None:
    try:
        return directory() / Path(json.loads(_note(place).read_text(encoding="utf-8"))["array"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tidy(stem: str, kept: Path, replaced: Path | None) -> None:
    """Remove the array that was replaced, and what runs that were killed have left of the same source."""
    left = [*directory().glob(f".{stem}-*.part*"), *directory().glob(f"{stem}-*.npy")]
    for path in left:
        with contextlib.suppress(OSError):
            if path == replaced or (path != kept and time.time() - path.stat().st_mtime > _DAY_S):
                path.unlink()


def _note(place: Path) -> Path:
    return directory() / f"{_stem(place)}.json"


def _stem(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]
