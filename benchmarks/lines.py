"""Keeps results as JSON lines in a file, so that a long measurement can go on, and prints them as a table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_infer import files

Line = dict[str, Any]


class Lines:
    """The lines of a file; each is kept, whole or not at all, as soon as it is added."""

    def __init__(self, path: Path) -> None:
        """Read the lines of the file, if it exists.

        Raises:
            json.JSONDecodeError: a line is no JSON.
        """
        self._path = path
        text = path.read_text() if path.exists() else ""
        self.all: list[Line] = [json.loads(line) for line in text.splitlines() if line.strip()]

    def add(self, line: Mapping[str, Any]) -> None:
        """Keep a line and print it to stdout."""
        self.all.append(dict(line))
        files.write(self._path, "".join(json.dumps(each) + "\n" for each in self.all).encode())
        print(json.dumps(line), flush=True)

    def find(self, **wanted: Any) -> Line | None:
        """Return the newest line with all of these values, None if there is none."""
        matching = [line for line in self.all if wanted.items() <= line.items()]
        return matching[-1] if matching else None


def table(rows: Iterable[Sequence[Any]], headings: Sequence[str]) -> str:
    """Return a Markdown table; None becomes a dash, whole numbers get commas."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if type(value) is int else str(value)


def figure(value: float | None) -> str | None:
    """Return a positive figure with three significant digits, or more before the point."""
    if value is None:
        return None
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float | None) -> str | None:
    """Return a share of 1 as a percentage with two digits after the point."""
    return None if share is None else f"{share * 100:.2f} %"


def numbers(text: str) -> list[float]:
    """Read "1,3,10", for argparse."""
    return [float(part) for part in text.split(",")]


def whole_numbers(text: str) -> list[int]:
    """Read "8,16,32", for argparse."""
    return [int(part) for part in text.split(",")]


def parser(documentation: str | None, results: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark that keeps its lines."""
    made = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--results", type=Path, default=Path(results), help="where lines are kept")
    made.add_argument(
        "--markdown", action="store_true", help="print the table of the lines kept; measure none"
    )
    return made
