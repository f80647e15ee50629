"""Reads the rows of a file (CSV, TSV, JSON, JSON lines), one after the other."""

from __future__ import annotations

import codecs
import csv
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, Final
from zipfile import BadZipFile

from gan_infer.decoding.decode import explain
from gan_infer.errors import DataError
from gan_infer.text.escaping import one_line
from gan_train.data import encodings
from gan_train.data.names import escape

ENDINGS: Final = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
# JSON as a whole takes ten times its size in memory; the other forms are read row by row.
MAX_JSON_BYTES: Final = 64 * 1024**2
MAX_LINE: Final = 1024**2
MAX_COLUMNS: Final = 10_000
SAMPLE: Final = 100

EXPECTED: Final = "expected a CSV or JSON file with a file name and a label for each picture, in UTF-8"

# A row of a CSV, of JSON objects, or a pair of file and label.
Row = Sequence[str] | Mapping[str, Any]

_SNIFFED_BYTES: Final = 65_536
_OTHERS: Final = {
    b"PK\3\4": "a zip file or an Excel workbook; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"PAR1": "a Parquet file; save it as CSV",
    b"\x1f\x8b": "compressed; unpack it",
    b"SQLi": "a database; save the table as CSV",
    b"%PDF": "a PDF; save the table as CSV",
}


class Table:
    """The rows of an open file, which can be read once.

    Attributes:
        name: of the file, for messages.
        columns: the names of the columns in the first row; empty if rows are pairs.
        rows: the rows; for a CSV with the first one. They raise DataError if the file is damaged.
        is_csv: whether the first row may be one of names.
        notes: how the file was read.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.notes: list[str] = []
        self.columns: tuple[str, ...] = ()
        self.is_csv = not name.lower().endswith((".json", ".jsonl", ".ndjson"))
        self.rows = self._guard(self._read(stream))
        first = list(islice(self.rows, SAMPLE))
        self.sample = first
        self.rows = chain(first, self.rows)
        if first:
            self.columns = tuple(first[0]) if self.is_csv or isinstance(first[0], Mapping) else ()

    def _read(self, stream: BinaryIO) -> Iterator[Row]:
        beginning = stream.read(_SNIFFED_BYTES)
        for magic, what in _OTHERS.items():
            if beginning.startswith(magic):
                raise DataError(f"{escape(self.name)} is {what}")
        encoding = self._find_encoding(beginning)
        if self.name.lower().endswith(".json"):
            content = beginning + stream.read(MAX_JSON_BYTES + 1 - len(beginning))
            if len(content) > MAX_JSON_BYTES:
                raise DataError(
                    f"{escape(self.name)} is larger than the {MAX_JSON_BYTES:,} bytes that are read of JSON; "
                    "save it as JSON lines or CSV, which may be of any size"
                )
            yield from _read_tree(json.loads(content.decode(encoding)), self.name)
            return
        lines = _read_lines(beginning, stream, encoding, self.name)
        if self.is_csv:
            yield from self._read_csv(lines)
        else:
            yield from (_check_object(json.loads(line), self.name) for line in lines if line.strip())

    def _read_csv(self, lines: Iterator[str]) -> Iterator[list[str]]:
        first = next((line for line in lines if line.strip()), "")
        if first.lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's note to itself
            first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        if "|" in first and not first.count(delimiter):
            delimiter = "|"
        if self.name.lower().endswith(".txt") and not first.count(delimiter) and len(first.split()) == 2:
            delimiter = " "
        for row in csv.reader(chain([first], lines), delimiter=delimiter):
            if len(row) > MAX_COLUMNS:
                raise DataError(
                    f"{escape(self.name)} has a row of {len(row):,} columns; at most {MAX_COLUMNS:,}"
                )
            if any(row):
                yield row

    def _find_encoding(self, beginning: bytes) -> str:
        for mark, encoding in (
            (codecs.BOM_UTF8, "utf-8-sig"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if beginning.startswith(mark):
                return encoding
        if len(beginning) > 3 and not beginning[1] and not beginning[3] and beginning[0]:
            return "utf-16-le"
        if len(beginning) > 3 and not beginning[0] and not beginning[2] and beginning[1]:
            return "utf-16-be"
        try:
            codecs.getincrementaldecoder("utf-8")().decode(beginning)
        except ValueError:
            found = encodings.guess(beginning.splitlines())
            self.notes.append(f"{escape(self.name)} is not in UTF-8, and read as {found}")
            return found
        return "utf-8"

    def _guard(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows; raise errors of a damaged file as our own."""
        try:
            yield from rows
        except (ValueError, RecursionError, csv.Error) as error:
            reason = one_line(error)
            raise DataError(
                f"{escape(self.name)} cannot be read as a table of labels: {reason}; {EXPECTED}"
            ) from None
        except (OSError, EOFError, zlib.error, BadZipFile, NotImplementedError) as error:
            raise DataError(f"{escape(self.name)} cannot be read: {explain(error)}") from None


def _read_lines(beginning: bytes, stream: BinaryIO, encoding: str, name: str) -> Iterator[str]:
    """Return the lines of a text, each of a bounded length, however long the text is."""
    reader = io.TextIOWrapper(io.BufferedReader(_Joined(beginning, stream)), encoding, newline="")
    try:
        for number, line in enumerate(iter(lambda: reader.readline(MAX_LINE), ""), 1):
            if len(line) >= MAX_LINE:
                raise DataError(
                    f"{escape(name)} has a line (line {number:,}) of over {MAX_LINE:,} letters; {EXPECTED}"
                )
            yield line
    finally:
        reader.detach()


class _Joined(io.RawIOBase):
    """A stream that begins again with the bytes that were already read from it."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning = memoryview(beginning)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._beginning[: len(buffer)] or self._stream.read(len(buffer))
        self._beginning = self._beginning[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def _read_tree(tree: object, name: str) -> Iterable[Row]:
    if isinstance(tree, dict) and {"images", "annotations"} <= set(tree):
        raise DataError(f"{escape(name)} tells where things lie in pictures, as COCO's do; {EXPECTED}")
    if isinstance(tree, dict) and "labels" in tree:
        tree = tree["labels"]
        if tree is None:  # how StyleGAN's tools say that there are no classes
            return []
        if isinstance(tree, list) and all(isinstance(row, list) and len(row) == 2 for row in tree):
            return ((_to_text(row[0], name), _to_text(row[1], name)) for row in tree)
    if isinstance(tree, dict):
        return ((file, _to_text(label, name)) for file, label in tree.items())
    if isinstance(tree, list):
        if not tree:
            raise DataError(f"{escape(name)} is empty; {EXPECTED}")
        if all(isinstance(row, list) and len(row) == 2 for row in tree):
            return ((_to_text(row[0], name), _to_text(row[1], name)) for row in tree)
        return (_check_object(row, name) for row in tree)
    raise DataError(f"{escape(name)} holds no table of labels; {EXPECTED}")


def _check_object(row: object, name: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{escape(name)} holds {escape(repr(row)[:50])} instead of an object; {EXPECTED}")
    return row


def cell(row: Row, at: int | str, name: str) -> str:
    """Return the value of a row in a column as text; "" for nothing.

    Raises:
        DataError: it holds a list or an object.
    """
    if isinstance(row, Mapping):
        return _to_text(row[str(at)], name)
    return row[int(at)].strip()


def _to_text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (str, int, float)):
        return str(value).strip()
    raise DataError(f"{escape(name)} has {escape(repr(value)[:50])} where a text or whole number is expected")
