"""A run's file of JSON lines: read in spite of damage, kept in memory too, restored if it was lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_infer import files
from gan_infer.errors import OptionError

Line = Mapping[str, Any]


def read(path: Path, fits: Callable[[Line], bool] = lambda line: True) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a file that are objects and fit, and how many others there are.

    A last line without its end, as a kill leaves it, is not counted.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return [], int(path.exists())
    *whole, torn = text.split("\n")
    found = [_parse(line) for line in whole if line.strip()]
    lines = [line for line in found if line is not None and fits(line)]
    wrong = len(found) - len(lines)
    last = _parse(torn)
    if last is not None and fits(last):
        lines.append(last)
    return lines, wrong


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_count(value: object) -> bool:
    """Return whether a JSON value is a whole number of images: 0 to 10**15, and no true or false."""
    return type(value) is int and 0 <= value <= 10**15


def is_number(value: object) -> bool:
    """Return whether a JSON value is a finite number, and no true or false."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


class Journal:
    """A file that grows line by line; lost lines come back with the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[Line] = []
        self._size = 0

    def begin(self, lines: Sequence[Line]) -> None:
        """Write these lines instead of what is there.

        Raises:
            OptionError: the file cannot be written.
        """
        body = b"".join(map(_encode, lines))
        files.write(self._path, body)
        self._lines, self._size = list(lines), len(body)

    def restore(self) -> None:
        """Write again what was written so far, if anything was.

        Raises:
            OptionError: the file cannot be written.
        """
        if self._lines:
            self.begin(self._lines)

    def keep_until(self, images_seen: int) -> None:
        """Drop the lines of more images.

        Raises:
            OptionError: the file cannot be written.
        """
        self.begin([line for line in self._lines if line["images_seen"] <= images_seen])

    def add(self, line: Line) -> None:
        """Add a line, or make sure that it is there if it was the last one added.

        Raises:
            OptionError: the file cannot be written.
        """
        again = bool(self._lines) and self._lines[-1] is line
        lines = self._lines if again else [*self._lines, line]
        short = self._path.is_file() and self._path.stat().st_size < self._size
        if again or short or not self._path.exists():
            self.begin(lines)
            return
        body = _encode(line)
        try:
            files.append(self._path, body)
        except OptionError:
            if self._path.exists():
                raise
            self.begin(lines)  # removed in between
            return
        self._lines.append(line)
        self._size += len(body)


def _encode(line: Line) -> bytes:
    return f"{json.dumps(line)}\n".encode()
