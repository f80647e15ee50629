"""Opens a source by its name: finds its kind, its layout and its labels, and lists its examples."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.decoding.decode import explain
from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data import encodings
from gan_train.data.columns import CLASS, IMAGE, Column, by_name
from gan_train.data.layout import folders
from gan_train.data.listing import SUFFIXES, Files, Listing, PictureFiles, fingerprint, stamp
from gan_train.data.names import clean_class_name, escape, list_names, number_classes
from gan_train.data.sources import archive, folder, idx, npz, unused
from gan_train.data.tables import labels
from gan_train.data.tables.finder import Finder
from gan_train.data.tables.table import ENDINGS, SAMPLE, Table

BUILT_IN: Final = "digits"

_Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None, tuple[str, ...]]

_WANTED: Final = f"give a folder or zip file of pictures, an .npz or IDX file, or {BUILT_IN!r}"
_MOST_TABLES: Final = 5
_IDX_BEGINNINGS: Final = (b"\0\0\x08\3", b"\0\0\x08\4")


@contextlib.contextmanager
def open_source(options: DataOptions) -> Iterator[Listing]:
    """Return the listing of a source; its pictures can be opened inside the block.

    Raises:
        DataError: there is nothing, or nothing usable.
    """
    path = Path(options.source)
    if options.source == BUILT_IN:
        built_in = Path(__file__).parent.parent / BUILT_IN / "images-idx3-ubyte.gz"
        listing = _list_idx(built_in, *(idx.find_pair(built_in) or (built_in, None)), options)
        yield dataclasses.replace(
            listing, kind=BUILT_IN, name=BUILT_IN, licence="CC BY-SA 3.0 (MNIST)", notes=()
        )
        return
    path, inside = archive.split_path(path)
    kind = _find_kind(path, options.source)
    if inside and kind != "zip":
        raise DataError(f"{path} is a file and has no folder {escape(inside)}; {_WANTED}")
    if kind == "folder":
        pair = idx.find_pair_in(path)
        yield (
            _list_idx(path, *pair, options)
            if pair
            else _list_files(folder.list_files(path, options.follow_links), options)
        )
    elif kind == "idx":
        yield _list_idx(path, *(idx.find_pair(path) or (path, None)), options)
    else:
        with archive.open_archive(path) as opened_archive:
            if npz.holds_arrays(opened_archive):
                found = npz.read(opened_archive, path, inside)
                arrays = (found.images, found.labels, found.class_names)
                yield _list_arrays("npz", path, arrays, options, path.stem, (path,), found.notes)
            else:
                yield _list_files(
                    archive.select_folder(
                        archive.list_files(opened_archive, path, _check_encoding(options)), inside
                    ),
                    options,
                )


def _find_kind(path: Path, source: str) -> str:
    """Return "folder", "idx" or "zip", by what a file holds rather than by its name."""
    try:
        if source and path.is_dir():
            return "folder"
        if not source or not path.exists():
            raise DataError(f"no data at {escape(source)!r}; {_WANTED}")
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder; {_WANTED}")
        with path.open("rb") as file:
            beginning = file.read(32)
    except (OSError, ValueError) as error:
        raise DataError(f"{escape(source)} cannot be read: {explain(error)}; {_WANTED}") from None
    if idx.find_pair(path) or beginning[:4] in _IDX_BEGINNINGS:
        return "idx"
    named_so = path.suffix.lower() in (".zip", ".npz")
    if beginning[:2] == b"PK" or (named_so and not unused.find_advice_on("", beginning)):
        return "zip"
    what = "a single picture" if path.name.lower().endswith(SUFFIXES) else "a file of no kind that is read"
    todo = unused.find_advice_on(path.name, beginning)
    raise DataError(f"{path} is {what}; {todo or _WANTED}")


def _list_idx(place: Path, images: Path, table: Path | None, options: DataOptions) -> Listing:
    pixels, numbers = idx.read_pair(images, table)
    names: tuple[str, ...] = ()
    if numbers is not None:
        numbers, names = number_classes([str(number) for number in numbers.tolist()])
    paths = (images, table) if table else (images,)
    return _list_arrays("idx", place, (pixels, numbers, names), options, images.resolve().parent.name, paths)


def _list_arrays(
    kind: str,
    place: Path,
    arrays: _Arrays,
    options: DataOptions,
    name: str,
    paths: Sequence[Path],
    more: Sequence[str] = (),
) -> Listing:
    images, numbers, class_names = arrays
    if options.labels:
        raise DataError(f"{place} holds arrays, whose labels lie with them; leave out --labels")
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.absolute()!r} {status.st_size} {stamp(status)}".encode())

    @contextlib.contextmanager
    def open_row(number: int) -> Iterator[Image.Image]:
        row = images[number]
        yield Image.fromarray(np.ascontiguousarray(row[:, :, 0] if row.shape[2] == 1 else row))

    given, notes = _make_classes(numbers, class_names)
    return Listing(
        kind=kind,
        place=place,
        name=name,
        names=_Rows(len(images)),
        fingerprint=digest.hexdigest()[:32],
        pictures={IMAGE: PictureFiles(open_row, images)},
        given=given,
        notes=(*more, *notes),
    )


class _Rows(Sequence[str]):
    """The names of an array's pictures, which are many and made on demand."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> str: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...

    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        if isinstance(number, slice):
            return [self[at] for at in range(self._count)[number]]
        return f"picture {range(self._count)[number]}"


def _list_files(files: Files, options: DataOptions) -> Listing:
    good = [member.name for member in files.members if member.name not in files.bad]
    if not files.members:
        raise DataError(_explain_nothing(files))
    found = folders.read_layout(good, files.folders, _name_place(files), options.split == "auto")
    names = [good[place] for place in found.chosen]
    given, table, notes = _find_labels(files, found, names, options)
    used: dict[str, str | None] = (
        dict.fromkeys(names) if given is None else dict(zip(names, given, strict=True))
    )
    split = len(names) < len(good)
    members = [
        member
        for member in files.members
        if used.get(member.name, "") != ""
        or (member.name in files.bad and (not split or found.holds(member.name)))
    ]
    columns: dict[str, Column] = {}
    if given is not None:
        # Unusable ones get any class: they are never trained on.
        filler = next(label for label in given if label)
        numbered = number_classes([used.get(member.name) or filler for member in members])
        columns, more = _make_classes(*numbered)
        notes += more
    others = tuple(name for name in files.others if name != table)
    return Listing(
        kind=files.kind,
        place=files.place,
        name=_name_set(files),
        names=tuple(member.name for member in members),
        fingerprint=fingerprint(files, members),
        pictures={IMAGE: PictureFiles(lambda number: files.open(members[number].name))},
        given=columns,
        bad={at: files.bad[member.name] for at, member in enumerate(members) if member.name in files.bad},
        notes=(*found.notes, *notes),
        passed_over=others,
        left_behind=tuple(files.left_behind),
        remarks=(
            *(*files.notes, *_note_tables_beside(files, found, table, good)),
            *unused.make_notes(others, files.left_behind),
        ),
    )


def _name_place(files: Files) -> str:
    return "/".join(filter(None, (str(files.place), files.inside)))


def _explain_nothing(files: Files) -> str:
    """Return the message on a source without pictures: what it holds instead."""
    held = [f"only {unused.count_kinds(files.others)}"] if files.others else []
    held += [f"what systems leave behind ({list_names(files.left_behind, 3)})"] if files.left_behind else []
    todo = unused.find_advice(files.others)
    return (
        f"{_name_place(files)} holds no pictures{', ' if held else ''}{' and '.join(held)}"
        f"{''.join(f'; {note}' for note in files.notes)}; expected files such as .png or .jpg, "
        f"in it or in a subfolder for each class{f'; {todo}' if todo else ''}"
    )


def _check_encoding(options: DataOptions) -> str:
    return encodings.check(options.zip_encoding) if options.zip_encoding else ""


def _find_labels(
    files: Files, found: folders.Layout, names: Sequence[str], options: DataOptions
) -> tuple[Sequence[str] | None, str, list[str]]:
    """Return a label for each name ("" for none; None without classes), the table's name, and notes."""
    name, stream, notes = _find_table(files, found, options)
    if stream is None and found.beside:
        raise DataError(
            f"{_name_place(files)} holds {found.beside:,} pictures beside subfolders with pictures; "
            "move them into a subfolder (its name is the class), or all into one folder"
        )
    if stream is None:
        if options.file_column or options.label_column:
            raise DataError(
                f"--column names a column, and {_name_place(files)} has no table; name it with --labels"
            )
        return found.classes, "", notes
    known = [member.name for member in files.members]
    try:
        with stream as opened_table:
            table = Table(opened_table, name)
            finder = Finder(known, name, _find_root(files), found.base)
            return _read_labels(table, finder, names, options, notes)
    except labels.OtherTableError as error:
        if options.labels or options.file_column or options.label_column or found.beside:
            raise
        return found.classes, "", [*notes, f"not used for labels: {error}"]


def _read_labels(
    table: Table,
    finder: Finder,
    names: Sequence[str],
    options: DataOptions,
    notes: list[str],
) -> tuple[Sequence[str] | None, str, list[str]]:
    columns = labels.TableColumns(options.file_column, options.label_column)
    rows, choices = labels.read_pairs(
        table, columns, lambda file: finder(file) is not None, bool(options.labels)
    )
    first = next(rows, None)
    if first is None and not table.columns:
        return None, table.name, [*notes, f"{escape(table.name)} says that there are no classes"]
    every = rows if first is None else itertools.chain([first], rows)
    given, note = labels.assign(every, table.name, names, finder)
    if not any(given):  # of no pictures at all
        return None, table.name, notes
    read = "; ".join((f"classes are read from {escape(table.name)}", *table.notes, *choices))
    return given, table.name, [*notes, read, *([note] if note else [])]


def _find_root(files: Files) -> str:
    """Return the path that names in a table may begin with."""
    place = files.place.resolve()
    return (place if files.kind == "folder" else place.with_suffix("")).as_posix()


def _find_table(
    files: Files, found: folders.Layout, options: DataOptions
) -> tuple[str, AbstractContextManager[BinaryIO] | None, list[str]]:
    """Find the table of labels: its name in the source (or on disk), its content or None, and notes."""
    others = set(files.others)
    above = _list_above(found.base)
    if not options.labels:
        inside = [base + name for base in above for name in labels.FOUND_BY_NAME if base + name in others]
        notes = [f"{list_names(inside[1:])} not used for labels, {inside[0]} is"] if inside[1:] else []
        return (inside[0], files.stream(inside[0]), notes) if inside else ("", None, [])
    for base in above:
        if base + options.labels in others:
            return base + options.labels, files.stream(base + options.labels), []
    for path in (Path(options.labels), files.place.parent / options.labels):
        if _is_file(path):
            try:
                name = path.resolve().relative_to(files.place.resolve()).as_posix()
            except ValueError:
                name = path.name
            return name, folder.open_table(path), []
    raise DataError(
        f"no table of labels {escape(options.labels)!r}, in {files.place} or beside it; "
        "give a CSV or JSON file with a file name and a label for each picture"
    )


def _list_above(base: str) -> list[str]:
    """Return a folder, ending in "/", and those above it, the last of them ""."""
    above = [base]
    while above[-1]:
        above.append(above[-1].rstrip("/").rpartition("/")[0])
        above[-1] += "/" if above[-1] else ""
    return above


def _note_tables_beside(files: Files, found: folders.Layout, used: str, known: Sequence[str]) -> list[str]:
    """Return notes on files that look like tables of the pictures' labels, and are not used."""
    above = _list_above(found.base)
    near = [name for name in files.others if name[: name.rfind("/") + 1] in above and name != used]
    notes = []
    for name in [name for name in near if name.lower().endswith(ENDINGS)][:_MOST_TABLES]:
        if name.rpartition("/")[2] in labels.FOUND_BY_NAME:
            continue
        finder = Finder(known, name, _find_root(files), found.base)
        knows = functools.cache(lambda file, finder=finder: finder(file) is not None)
        with contextlib.suppress(DataError), files.stream(name) as stream:
            table = Table(stream, name)
            rows, _ = labels.read_pairs(table, labels.TableColumns(), knows, asked_for=True)
            some = list(itertools.islice(rows, SAMPLE))
            if some and 2 * sum(knows(file) for file, _ in some) >= len(some):
                short = name.removeprefix(found.base)
                notes.append(
                    f"{escape(name)} looks like a table of labels, and is not used; "
                    f"--labels {escape(short)} learns by it"
                )
    return notes


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _make_classes(
    numbers: npt.NDArray[np.int64] | None, class_names: tuple[str, ...]
) -> tuple[dict[str, Column], list[str]]:
    """Return the column of classes by its name, none if all are of one class, and notes."""
    if numbers is None:
        return {}, []
    if len(class_names) > 1:
        return by_name(Column(CLASS, CLASS, numbers, {"class_names": class_names})), []
    notes = [f"all pictures are of one class, {class_names[0]!r}, so none is learnt"] if class_names else []
    return {}, notes


def _name_set(files: Files) -> str:
    name = files.place.resolve().name if files.kind == "folder" else files.place.stem
    name = files.inside.rpartition("/")[2] or name
    return clean_class_name(name) if name else "pictures"
