"""Finds in a table (CSV, JSON, JSON lines) the label of each picture."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from gan_infer.errors import DataError
from gan_train.data.names import escape, list_names
from gan_train.data.tables.finder import Finder, Match
from gan_train.data.tables.table import EXPECTED, Table, cell

# Found without being named: those of Hugging Face's image folders, and of StyleGAN's data sets.
FOUND_BY_NAME: Final = ("metadata.csv", "metadata.jsonl", "dataset.json")
FILE_COLUMNS: Final = ("file_name", "file", "filename", "path", "image")
LABEL_COLUMNS: Final = ("label", "labels", "class", "category", "class_name")
# Only in a table that was asked for: in one that was found they may mean something else.
MORE_FILE_COLUMNS: Final = (
    *("image_path", "img_path", "file_path", "filepath", "image_name", "img_name", "image_file", "image_id"),
    *("img", "img_id", "id", "photo", "picture", "name", "images", "files", "url", "image_url"),
)
MORE_LABEL_COLUMNS: Final = (
    *("target", "class_id", "label_name", "label_id", "category_id", "category_name", "classname", "classes"),
    *("y", "species", "breed", "tag", "diagnosis", "emotion", "digit", "type"),
)

# Texts that mean "no value" in tables, as pandas reads them.
_NOTHING: Final = frozenset(
    {
        *(
            "#N/A",
            "#N/A N/A",
            "#NA",
            "-1.#IND",
            "-1.#QNAN",
            "-NaN",
            "-nan",
            "1.#IND",
            "1.#QNAN",
            "<NA>",
            "N/A",
        ),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
_NUMBER: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_WHOLE_AS_FRACTION: Final = re.compile(r"(-?[0-9]+)\.0*")
_MANY: Final = 10
_MANY_WHOLE: Final = 30

Pairs = list[tuple[str, str]]
Knows = Callable[[str], bool]


class OtherTableError(DataError):
    """The table holds something else than labels."""


@dataclasses.dataclass(frozen=True)
class TableColumns:
    """The columns that were asked for, by name or by number from 1; "" to find them."""

    file: str = ""
    label: str = ""


@dataclasses.dataclass(frozen=True)
class _Choice:
    file: int | str
    label: int | str
    has_header: bool
    notes: tuple[str, ...] = ()


def parse(content: bytes, name: str) -> Pairs:
    """Read a table of (file name, label) from its content; see `read_pairs`."""
    return list(
        read_pairs(Table(io.BytesIO(content), name), TableColumns(), lambda file: False, asked_for=False)[0]
    )


def read_pairs(
    table: Table, columns: TableColumns, knows: Knows, asked_for: bool
) -> tuple[Iterator[tuple[str, str]], tuple[str, ...]]:
    """Return the (file name, label) of each row, "" for no label, and notes on the columns.

    A CSV (comma, semicolon, tab or bar) has a file column and a label column, named in its first line
    by one of FILE_COLUMNS and of LABEL_COLUMNS; without such a line it has these two columns.
    JSON is {"labels": [[file, label], ...]}, {file: label, ...} or a list of objects with the
    columns; JSON lines is one such object on each line.

    Args:
        columns: those that were asked for.
        knows: returns whether a text names an existing picture.
        asked_for: whether a person named the table: then more names of columns count, and guesses.

    Raises:
        OtherTableError: it is a table of something else.
        DataError: it cannot be read as such; so may the iterator.
    """
    if not table.sample and (table.is_csv or not table.name.lower().endswith(".json")):
        raise DataError(f"{escape(table.name)} is empty; {EXPECTED}")
    if not table.columns:
        return ((str(row[0]), str(row[1])) for row in table.rows if not isinstance(row, Mapping)), ()
    chosen = _choose(table, columns, knows, asked_for)
    return _read_cells(table, chosen), chosen.notes


def _read_cells(table: Table, chosen: _Choice) -> Iterator[tuple[str, str]]:
    rows = iter(table.rows)
    if chosen.has_header:
        next(rows)
    for number, row in enumerate(rows, 1):
        try:
            yield cell(row, chosen.file, table.name), cell(row, chosen.label, table.name)
        except IndexError:
            raise DataError(
                f"{escape(table.name)} has a row with too few columns (row {number} of its data)"
            ) from None
        except KeyError:
            raise _make_error(table.name, [str(key) for key in row]) from None


def _choose(table: Table, columns: TableColumns, knows: Knows, asked_for: bool) -> _Choice:
    """Settle which columns hold the file and the label."""
    hits = [sum(map(knows, _sample_column(table, at))) for at in range(len(table.columns))]
    more = asked_for or bool(columns.file or columns.label)
    file, file_named = _find_column(table, columns.file, FILE_COLUMNS, MORE_FILE_COLUMNS if more else ())
    label, label_named = _find_column(table, columns.label, LABEL_COLUMNS, MORE_LABEL_COLUMNS if more else ())
    notes = []
    if not columns.file and any(hits) and (file is None or not hits[file]):
        better = [at for at, count in enumerate(hits) if count == max(hits) and at != label]
        if len(better) == 1 and (more or (file is None and label is None and len(hits) == 2)):
            file, file_named = better[0], False
    if label is None and len(hits) == 2 and table.is_csv and file is None:
        file = 0
    rest = [at for at in range(len(hits)) if at != file]
    if label is None and file is not None and len(rest) == 1 and (asked_for or not file_named):
        label = rest[0]
    if file is None or label is None or file == label:
        raise _make_error(table.name, table.columns)
    first = table.sample[0]
    has_header = table.is_csv and (
        file_named or label_named or (any(hits) and not knows(cell(first, file, table.name)))
    )
    usual = file_named and label_named and _is_usual(table.columns[file], table.columns[label])
    if has_header and not usual:
        notes.append(
            f"its columns {escape(table.columns[file])!r} and {escape(table.columns[label])!r} are taken"
        )
    others = [at for at in rest if at != label and _tidy(table.columns[at]) in LABEL_COLUMNS]
    if has_header and others and not columns.label:
        named = escape(table.columns[others[0]])
        notes.append(
            f"of its columns {escape(table.columns[label])!r} is learnt (--column label={named} learns that)"
        )
    if table.is_csv:
        return _Choice(file, label, has_header, tuple(notes))
    return _Choice(table.columns[file], table.columns[label], False, tuple(notes))


def _is_usual(file: str, label: str) -> bool:
    return _tidy(file) in FILE_COLUMNS and _tidy(label) in LABEL_COLUMNS


def _sample_column(table: Table, at: int) -> Iterator[str]:
    """Return the texts of a column in the first rows."""
    for row in table.sample:
        value = row.get(table.columns[at]) if isinstance(row, Mapping) else (row[at] if at < len(row) else "")
        if isinstance(value, (str, int)) and value != "":
            yield str(value)


def _find_column(
    table: Table, wanted: str, usual: Sequence[str], more: Sequence[str]
) -> tuple[int | None, bool]:
    """Return the index of a column, None for none, and whether its name decided.

    Raises:
        DataError: there is no column that was asked for.
    """
    names = [_tidy(name) for name in table.columns]
    if not wanted:
        found = next((names.index(name) for name in (*usual, *more) if name in names), None)
        return found, found is not None
    for known, sought in ((table.columns, wanted), (names, _tidy(wanted))):
        if sought in known:
            return list(known).index(sought), True
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1, False
    raise DataError(
        f"{escape(table.name)} has no column {escape(wanted)!r}; "
        f"its columns are {list_names(table.columns, 20)}"
    )


def _tidy(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().strip("\"'").lower())


def _make_error(name: str, columns: Sequence[str]) -> OtherTableError:
    return OtherTableError(
        f"{escape(name)} has columns {list_names(columns, 12)}; expected one of {', '.join(FILE_COLUMNS)} "
        f"and one of {', '.join(LABEL_COLUMNS)}, or --column file=NAME --column label=NAME"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """The label that a table gives to a picture."""

    label: str
    found: Match
    file: str


class _Matches:
    """The labels that a table's rows gave to pictures, and the rows that were left."""

    def __init__(self, table: str) -> None:
        self._table = table
        self.given: dict[str, _Given] = {}
        self.doubtful: dict[str, dict[str, _Given]] = {}
        self.nothing: Counter[str] = Counter()
        self.missing = 0
        self.missed: list[str] = []

    def add(self, file: str, label: str, found: Match | None) -> None:
        """Add a row and the picture that was found for it."""
        if found is None:
            self.miss(file)
            return
        if not label or label in _NOTHING:
            self.nothing[label] += 1
            label = ""
        taken = self.doubtful.setdefault(found.split, {}) if found.split else self.given
        before = taken.get(found.name)
        new = _Given(sys.intern(label), found, file)
        if before is None or found.rank < before.found.rank:
            taken[found.name] = new
        elif before.label != label and found.rank == before.found.rank:
            raise DataError(self._explain_two_labels(before, new))
        elif before.label != label:
            self.miss(file)

    def miss(self, file: str) -> None:
        """Add a row that names no picture."""
        self.missing += 1
        if len(self.missed) < 4:
            self.missed.append(file)

    def settle(self) -> None:
        """Use rows found under another split's folder only if the table has no other for the picture."""
        if not self.given and len(self.doubtful) == 1:
            (self.given,) = self.doubtful.values()
            return
        for given in self.doubtful.values():
            for each in given.values():
                self.miss(each.file)

    def describe(self) -> str:
        """Return how rows were matched, if more was needed than to compare names."""
        counts = Counter(given.found.how for given in self.given.values() if given.found.rank)
        texts = [f"{count:,} pictures are found {how}" for how, count in counts.most_common(3)]
        more = sum(counts.values()) - sum(count for _, count in counts.most_common(3))
        texts += [f"{more:,} in other ways"] if more else []
        return ", ".join(texts)

    def _explain_two_labels(self, one: _Given, other: _Given) -> str:
        both = f"{escape(one.label)!r} and {escape(other.label)!r}"
        by = f" (by {escape(one.file)} and {escape(other.file)})" if one.found.rank else ""
        named = f"{escape(self._table)} gives {escape(one.found.name)} two labels"
        return f"{named}, {both}{by}; expected one for each picture"


def assign(
    rows: Iterable[tuple[str, str]], table: str, names: Sequence[str], known: Finder | Sequence[str]
) -> tuple[list[str], str]:
    """Return for each name its label in a table, "" for none, and a note ("" for none).

    Args:
        rows: of the table, as (file, label).
        table: the table's place in the source.
        names: of the pictures to label.
        known: finds a picture by its name in the table, among all pictures, so that files of another
            split do not count as missing; or the names of all pictures.

    Raises:
        DataError: two labels for one picture, or fewer than half of the pictures have one.
    """
    matches = _Matches(table)
    find = known if isinstance(known, Finder) else Finder(known, table)
    for file, label in rows:
        matches.add(file, label, find(file))
    matches.settle()
    given = [matches.given[name].label if name in matches.given else "" for name in names]
    without = [name for name, label in zip(names, given, strict=True) if not label]
    nothing = ", ".join(f"{count:,} {word or 'empty'}" for word, count in matches.nothing.most_common(4))
    if 2 * len(without) > len(names):
        asked = f"; it names {list_names(matches.missed, 3)}, not there" if matches.missing else ""
        asked += f"; of its labels {nothing} are none" if nothing else ""
        raise DataError(
            f"{escape(table)} labels only {len(names) - len(without):,} of {len(names):,} pictures, "
            f"not {list_names(without, 3)}{asked}; give the table of these pictures with --labels "
            "(and its column of file names with --column file=NAME), or remove it"
        )
    notes = [matches.describe()]
    if without:
        none = f"; of its labels {nothing}" if nothing else ""
        notes.append(
            f"{len(without):,} pictures without a label are left out ({list_names(without, 3)}{none})"
        )
    if matches.missing:
        count = matches.missing
        notes.append(f"{count:,} files that it names are not there ({list_names(matches.missed[:3], 3)})")
    given, unified = _unify_numbers(given)
    notes = [
        note for note in (*notes, unified, _note_no_classes([label for label in given if label])) if note
    ]
    return given, f"by {escape(table)}, {'; '.join(notes)}" if notes else ""


def _unify_numbers(given: list[str]) -> tuple[list[str], str]:
    """Write 1.0 as 1 if all labels are numbers: they are one class."""
    known = {label for label in given if label}
    changed = {label: found[1] for label in known if (found := _WHOLE_AS_FRACTION.fullmatch(label))}
    if not changed or not all(map(_NUMBER.fullmatch, known)):
        return given, ""
    first = min(changed)
    return [
        changed.get(label, label) for label in given
    ], f"labels such as {first} are read as {changed[first]}"


def _note_no_classes(given: Sequence[str]) -> str:
    """Return a note that labels do not look like classes; "" if they do."""
    known = set(given)
    numeric = all(map(_NUMBER.fullmatch, known))
    whole = numeric and all(label.lstrip("+-").isdigit() for label in known)
    if numeric and not whole and len(known) > _MANY:
        what = "numbers with fractions"
    elif whole and len(known) >= _MANY_WHOLE and len(given) < 20 * len(known):
        what = "numbers with few pictures each"
    elif len(known) > _MANY and 2 * len(known) > len(given):
        what = "different for most pictures"
    else:
        return ""
    return (
        f"its {len(known):,} labels are {what}, as measures and names are rather than classes "
        "(--column label=NAME takes another column)"
    )
