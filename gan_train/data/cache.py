"""Keeps decoded columns on disk between runs: an array for each column, and a note beside them.

Arrays are written row by row, so that they may be larger than memory, and read as views of their
files. The note is written last and names them: without it, or with another, there is no cache.
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
from gan_train.data.columns import IMAGE
from gan_train.data.kinds import Kind, find_kind

# Arrays up to this size are read into memory as a whole.
IN_MEMORY_BYTES: Final = 1024**3

# Notes on a single column "image" keep their first form, so that all versions find them.
_OF_IMAGES: Final = 3
_OF_COLUMNS: Final = 4
_IMAGES_ALONE: Final = {"image": IMAGE}
_DAY_S: Final = 86_400
_SPARE: Final = 1.02

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
# The sides of one value of a column.
Sides = tuple[int, ...]
Asked = tuple[int | None, int | None, int | None]


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to the cache.

    Attributes:
        place: of the source on disk.
        fingerprint: of the source, see `listing.fingerprint`.
        fit: "crop" or "pad".
        asked: the (height, width, channels) of pictures that were asked for, each None if it was not.
        count: the number of examples of the source, with the bad ones.
        kinds: of the columns, by name.
        asked_range: the range of values that was asked for, "auto" if it is still open.
    """

    place: Path
    fingerprint: str
    fit: str
    asked: Asked
    count: int
    kinds: Mapping[str, str]
    asked_range: str = ranges.AUTO


@dataclasses.dataclass(frozen=True)
class Record:
    """The content of a note on arrays.

    Attributes:
        fingerprint, fit, asked, asked_range: those of the request.
        shapes: of one value of each column, by the column's name.
        bad: from the number of an example that is not in the arrays to the reason.
        notes: findings of the decoding.
        value_range: the range that was used, "" if no picture is deep.
    """

    fingerprint: str
    fit: str
    asked: Asked
    shapes: Mapping[str, Sides]
    bad: Mapping[int, str]
    notes: tuple[str, ...]
    asked_range: str = ranges.AUTO
    value_range: str = ""

    def answers(self, request: Request) -> bool:
        """Return whether decoding for this request would give the same arrays."""
        same_range = request.asked_range in (
            self.asked_range,
            *([self.value_range] if self.value_range else []),
        )
        return (
            same_range
            and (self.fingerprint, self.fit) == (request.fingerprint, request.fit)
            and all(
                self._has_sides(request.asked, shape)
                for name, shape in self.shapes.items()
                if request.kinds[name] == IMAGE
            )
        )

    def _has_sides(self, asked: Asked, shape: Sides) -> bool:
        return all(
            (before is None) if now is None else (now == side)
            for now, before, side in zip(asked, self.asked, shape, strict=True)
        )


def directory() -> Path:
    """Return the cache's directory, in the folder for all that is kept between runs."""
    return files.home() / "pictures"


def load(request: Request) -> tuple[Record, Arrays] | None:
    """Return the cached columns of a source, or None; a damaged cache counts as none."""
    try:
        tree = json.loads(_find_note(request.place).read_text(encoding="utf-8"))
        found = _read_columns(tree)
        if {name: column["kind"] for name, column in found.items()} != dict(request.kinds):
            return None
        record = _read_record(tree, found)
        if not record.answers(request):
            return None
        arrays = _read_arrays(
            {name: directory() / Path(column["array"]).name for name, column in found.items()}, request.kinds
        )
        rows = request.count - len(record.bad)
        if any(values.shape != (rows, *record.shapes[name]) for name, values in arrays.items()):
            return None
        return record, arrays
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


def write(
    request: Request,
    shapes: Mapping[str, Sides],
    rows: Iterable[Mapping[str, Array]],
    describe: Callable[[], Record],
) -> Arrays:
    """Keep rows, and return them as views of their files, by column.

    Each row has a value of each column, or several of them. What was kept of the same source is
    replaced. `describe` is called after the last row.

    Raises:
        OptionError: the directory cannot be written, or is full.
        Anything that `rows` and `describe` raise; nothing is kept then.
    """
    stem = _make_stem(request.place)
    token = os.urandom(6).hex()
    alone = dict(request.kinds) == _IMAGES_ALONE
    paths = {
        name: directory() / (f"{stem}-{token}.npy" if alone else f"{stem}-{token}.{name}.npy")
        for name in request.kinds
    }
    replaced = _list_arrays(request.place)
    with contextlib.ExitStack() as stack:
        opened = {
            name: stack.enter_context(stack.enter_context(files.stage(path)).open("wb", buffering=2**20))
            for name, path in paths.items()
        }
        _write_rows(
            {name: _Writer(opened[name], shapes[name], kind) for name, kind in _list_kinds(request)}, rows
        )
        record = describe()
    _write_note(request, record, paths)
    arrays = _read_arrays(paths, request.kinds)
    _tidy(stem, list(paths.values()), replaced)
    return arrays


def _list_kinds(request: Request) -> list[tuple[str, Kind]]:
    return [(name, find_kind(name, kind)) for name, kind in request.kinds.items()]


def _write_note(request: Request, record: Record, paths: Mapping[str, Path]) -> None:
    tree = dataclasses.asdict(record)
    shapes = tree.pop("shapes")
    if dict(request.kinds) == _IMAGES_ALONE:
        keys = ("fingerprint", "fit", "asked")
        tree = {**{key: tree.pop(key) for key in keys}, "shape": shapes["image"], **tree}
        tree |= {"version": _OF_IMAGES, "source": str(request.place), "array": paths["image"].name}
    else:
        columns = {
            name: {"kind": request.kinds[name], "shape": shapes[name], "array": path.name}
            for name, path in paths.items()
        }
        tree |= {"version": _OF_COLUMNS, "source": str(request.place), "columns": columns}
    files.write(_find_note(request.place), json.dumps(tree).encode())


def room_for(size: int) -> str:
    """Return the reason why `size` bytes cannot be kept, or "" if they can."""
    try:
        files.check_writable(directory() / "try.npy")
        free = shutil.disk_usage(directory()).free
    except (OSError, OptionError) as error:
        return str(error)
    return "" if size * _SPARE < free else f"{directory()} has {free / 1e9:,.1f} GB free"


def memory_bytes() -> float:
    """Return the memory of this machine in bytes, infinite if it is not known."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # not every system knows
        return float("inf")


class _Writer:
    """Writes a .npy file whose number of rows is known at its end: its header leaves room for that."""

    def __init__(self, file: BinaryIO, shape: Sides, kind: Kind) -> None:
        self._file = file
        self._shape = shape
        self._dtype = np.dtype(kind.dtype)
        self._count = 0
        self._write_header()
        self._begin = file.tell()

    def add(self, values: Array) -> None:
        """Write one value, or several of them."""
        self._count += 1 if values.ndim == len(self._shape) else len(values)
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def finish(self) -> None:
        """Write the header again, now with the number of rows."""
        self._file.seek(0)
        self._write_header()
        if self._file.tell() != self._begin:
            raise DataError(f"the header of {self._count:,} examples does not fit; this is an error of ours")

    def _write_header(self) -> None:
        shape = (self._count, *self._shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def _write_rows(writers: Mapping[str, _Writer], rows: Iterable[Mapping[str, Array]]) -> None:
    for row in rows:
        for name, writer in writers.items():
            writer.add(row[name])
    for writer in writers.values():
        writer.finish()


def _read_arrays(paths: Mapping[str, Path], kinds: Mapping[str, str]) -> Arrays:
    """Return the arrays, as views of their files if they are large together."""
    large = sum(path.stat().st_size for path in paths.values()) > IN_MEMORY_BYTES
    arrays: Arrays = {}
    for name, path in paths.items():
        values: Array = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
        kind = find_kind(name, kinds[name])
        if values.dtype != np.dtype(kind.dtype) or values.ndim != 1 + kind.sides:
            raise ValueError("an array of another kind")
        arrays[name] = values
    return arrays


def _read_columns(tree: Any) -> dict[str, Any]:
    """Return from each column's name to its kind, shape and array, as a note has them."""
    if tree["version"] == _OF_IMAGES:
        return {"image": {"kind": IMAGE, "shape": tree["shape"], "array": tree["array"]}}
    if tree["version"] != _OF_COLUMNS:
        raise ValueError("of another version")
    return dict(tree["columns"])


def _read_record(tree: Any, columns: Mapping[str, Any]) -> Record:
    return Record(
        fingerprint=tree["fingerprint"],
        fit=tree["fit"],
        asked=tuple(tree["asked"]),
        shapes={name: tuple(column["shape"]) for name, column in columns.items()},
        bad={int(number): str(reason) for number, reason in tree["bad"].items()},
        notes=tuple(map(str, tree["notes"])),
        asked_range=str(tree["asked_range"]),
        value_range=str(tree["value_range"]),
    )


def _list_arrays(place: Path) -> list[Path]:
    """Return the arrays that the note on a source names."""
    try:
        tree = json.loads(_find_note(place).read_text(encoding="utf-8"))
        columns = tree["columns"].values() if "columns" in tree else [tree]
        return [directory() / Path(column["array"]).name for column in columns]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _tidy(stem: str, kept: list[Path], replaced: list[Path]) -> None:
    """Remove the arrays that were replaced, and files of the same source that killed runs have left."""
    left = [*directory().glob(f".{stem}-*.part*"), *directory().glob(f"{stem}-*.npy")]
    for path in left:
        with contextlib.suppress(OSError):
            old = time.time() - path.stat().st_mtime > _DAY_S
            if path in replaced or (path not in kept and old):
                path.unlink()


def _find_note(place: Path) -> Path:
    return directory() / f"{_make_stem(place)}.json"


def _make_stem(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]
