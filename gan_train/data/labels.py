"""Tables of labels (CSV, JSON, JSON lines) to a label a picture; it knows names alone and opens no file."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from gan_infer.errors import DataError
from gan_train.data.listing import examples, shown

# Found where they lie, without being named: Hugging Face's image folders, and StyleGAN's data sets.
FOUND_BY_NAME: Final = ("metadata.csv", "metadata.jsonl", "dataset.json")
MAX_BYTES: Final = 512 * 1024**2
FILE_COLUMNS: Final = ("file_name", "file", "filename", "path", "image")
LABEL_COLUMNS: Final = ("label", "labels", "class", "category", "class_name")

Pairs = list[tuple[str, str]]


class OtherTableError(DataError):
    """It is a table of something else than labels."""


def parse(content: bytes, name: str) -> Pairs:
    """Read a table of (file name, label) from its content; a file without a label has "".

    A CSV (comma, semicolon or tab) has a file column and a label column, named in its first line
    by one of FILE_COLUMNS and of LABEL_COLUMNS; without such a line it has these two columns.
    JSON is {"labels": [[file, label], ...]}, {file: label, ...} or a list of objects with the
    columns; JSON lines is one such object a line.

    Args:
        name: of the table, for messages; its ending tells the kind.

    Raises:
        OtherTableError: it is a table of something else.
        DataError: it cannot be read as such.
    """
    try:
        text = content.decode("utf-8-sig")
        if name.lower().endswith(".jsonl"):
            return _of_objects([json.loads(line) for line in text.splitlines() if line.strip()], name)
        if name.lower().endswith(".json"):
            return _of_json(json.loads(text), name)
        return _of_csv(text, name)
    except (ValueError, RecursionError, csv.Error) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{shown(name)} cannot be read as a table of labels: {reason}; {_EXPECTED}") from None


_EXPECTED: Final = "expected a CSV or JSON file with a file name and a label a picture, in UTF-8"


def _of_csv(text: str, name: str) -> Pairs:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    if not rows:
        raise DataError(f"{shown(name)} is empty; {_EXPECTED}")
    header = [cell.strip().lower() for cell in rows[0]]
    file = next((header.index(column) for column in FILE_COLUMNS if column in header), None)
    label = next((header.index(column) for column in LABEL_COLUMNS if column in header), None)
    if file is None and label is None and len(header) == 2:
        file, label = 0, 1
    elif file is None or label is None:
        raise _lacks(name, header)
    else:
        rows = rows[1:]
    if short := [number for number, row in enumerate(rows, 1) if len(row) <= max(file, label)]:
        raise DataError(f"{shown(name)} has a row with too few columns (row {short[0]} of its data)")
    return [(row[file].strip(), row[label].strip()) for row in rows]


def _of_json(tree: object, name: str) -> Pairs:
    if isinstance(tree, dict) and "labels" in tree:
        tree = tree["labels"]
        if tree is None:  # how StyleGAN's tools say that there are no classes
            return []
        if isinstance(tree, list) and all(isinstance(row, list) and len(row) == 2 for row in tree):
            return [(_text(row[0], name), _text(row[1], name)) for row in tree]
    if isinstance(tree, dict):
        return [(file, _text(label, name)) for file, label in tree.items()]
    if isinstance(tree, list):
        return _of_objects(tree, name)
    raise DataError(f"{shown(name)} holds no table of labels; {_EXPECTED}")


def _of_objects(rows: Sequence[object], name: str) -> Pairs:
    pairs: Pairs = []
    for row in rows:
        if not isinstance(row, dict):
            raise DataError(f"{shown(name)} holds {shown(repr(row)[:50])} in place of an object; {_EXPECTED}")
        file = next((column for column in FILE_COLUMNS if column in row), None)
        label = next((column for column in LABEL_COLUMNS if column in row), None)
        if file is None or label is None:
            raise _lacks(name, list(map(str, row)))
        pairs.append((_text(row[file], name), _text(row[label], name)))
    if not pairs:
        raise DataError(f"{shown(name)} is empty; {_EXPECTED}")
    return pairs


def _lacks(name: str, columns: Sequence[str]) -> OtherTableError:
    return OtherTableError(
        f"{shown(name)} has columns {examples(columns)}; expected one of {', '.join(FILE_COLUMNS)} "
        f"and one of {', '.join(LABEL_COLUMNS)}"
    )


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value).strip()
    raise DataError(f"{shown(name)} has {shown(repr(value)[:50])} where a text or whole number is expected")


def assign(pairs: Pairs, table: str, names: Sequence[str], known: Sequence[str]) -> tuple[list[str], str]:
    """Give each name the label that a table has for it, "" for none, and a note ("" for none).

    Args:
        table: the table's place in the source; its file names are taken from its folder, else
            from the root, else in whatever folder where only one picture has such a name.
        names: of the pictures to label.
        known: the names of all pictures there are, so that files of another split do not count
            as missing.

    Raises:
        DataError: two labels for one picture, or fewer than half of the pictures have one.
    """
    find = _Finder(known, table)
    labels: dict[str, str] = {}
    missing = []
    for file, label in pairs:
        found = find(file)
        if found is None:
            missing.append(file)
        elif labels.setdefault(found, label) != label:
            both = f"{shown(labels[found])!r} and {shown(label)!r}"
            raise DataError(f"{shown(table)} gives {shown(found)} two labels, {both}; expected one a picture")
    given = [labels.get(name, "") for name in names]
    without = [name for name, label in zip(names, given, strict=True) if not label]
    if 2 * len(without) > len(names):
        asked = f"; it names {examples(missing, 3)}, not there" if missing else ""
        raise DataError(
            f"{shown(table)} labels only {len(names) - len(without):,} of {len(names):,} pictures, "
            f"not {examples(without, 3)}{asked}; give the table of these pictures with --labels, or remove it"
        )
    notes = []
    if without:
        notes.append(f"{len(without):,} pictures without a label are left out ({examples(without, 3)})")
    if missing:
        notes.append(f"{len(missing):,} files that it names are not there ({examples(missing, 3)})")
    return given, f"by {shown(table)}, {'; '.join(notes)}" if notes else ""


class _Finder:
    """Finds the picture that a table means by a file name."""

    def __init__(self, known: Sequence[str], table: str) -> None:
        self._exact = {_composed(name): name for name in known}
        self._folder = _composed(table).rpartition("/")[0]
        by_last: Mapping[str, list[str]] = defaultdict(list)
        for name in known:
            by_last[_composed(name).rpartition("/")[2]].append(name)
        self._last = {last: names[0] for last, names in by_last.items() if len(names) == 1}

    def __call__(self, file: str) -> str | None:
        tidy = _composed(str(PurePosixPath(file.replace("\\", "/"))))
        below = f"{self._folder}/{tidy}" if self._folder else tidy
        # A name without a folder alone: with one, it may well mean a picture that is not there.
        return self._exact.get(below) or self._exact.get(tidy) or self._last.get(tidy)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
