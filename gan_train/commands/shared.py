"""Options that several commands share: where runs lie, how data are read, which class to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_infer.errors import LabelError

if TYPE_CHECKING:
    from gan_infer.models.generator import Generator

RUNS: Final = Path("runs")
# Arguments of Generator.edit, which a direction of that name could not be given beside.
TAKEN_NAMES: Final = ("seed", "label", "amounts", "psi", "output")

_COLUMNS: Final = {"file": "data.file_column", "label": "data.label_column"}


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read "64" or "48x32" as (height, width), for click."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter("write it like 64, or 48x32 (height x width)")
    return int(parts[0]), int(parts[-1])


def value_range(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Read "0:4095" as the text that options hold, for click."""
    from gan_infer.decoding import ranges

    return None if value is None else str(ranges.parse(value) or ranges.AUTO)


def decoding(done: int, total: int) -> None:
    """Say how many pictures have been decoded."""
    if done == total or done % max(1000, total // 10) == 0:
        console.say(f"decoded {done:,} of {total:,} pictures")


# Which classes to look among.
condition = click.option(
    "--label", "given", default="auto", show_default=True, help="A class, by name or index; auto: try all."
)


def find_choices(class_names: tuple[str, ...], given: str, name: str) -> list[int] | None:
    """Return the indices of the classes that `condition` names, None for an unconditional generator.

    Raises:
        LabelError: there is no such class.
    """
    from gan_infer.conditions.labels import ClassReader

    if not class_names:
        if given != "auto":
            raise LabelError(f"label {given!r} was given, but {name} is unconditional; leave it out")
        return None
    if given == "auto" and "auto" not in class_names:
        return list(range(len(class_names)))
    return [ClassReader(class_names, name).index(given)]


def describe_choice(class_names: tuple[str, ...], index: int | None) -> dict[str, Any]:
    """Return what JSON says of a class."""
    return {"label": None if index is None else class_names[index], "label_index": index}


def describe_mixing(generator: Generator) -> str:
    """Return the line that says whether a picture can be of several classes."""
    return f"label mixes {'yes' if generator.mixes_labels else 'no'}"


def layout_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to read folders, archives and tables; see `layout_changes`."""
    for option in reversed(
        (
            click.option(
                "--labels",
                type=console.FilePath(str),
                help="A CSV or JSON file of labels.  [default: found by the layout]",
            ),
            click.option(
                "--column",
                "columns",
                multiple=True,
                metavar="label=NAME",
                help="The table's column of labels (label=NAME) or of files (file=NAME), by name or number.",
            ),
            click.option(
                "--split",
                type=click.Choice(["auto", "none"]),
                help="none: folders such as train and test are classes.  [default: auto]",
            ),
            click.option(
                "--zip-encoding",
                metavar="NAME",
                help="Encoding of names in a zip file, such as gbk.  [default: guessed]",
            ),
            click.option(
                "--follow-links",
                is_flag=True,
                default=None,
                help="Follow links to folders that lie outside of the source.",
            ),
        )
    ):
        command = option(command)
    return command


def layout_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config's options that `layout_options` set, None for those that were not given."""
    changes: dict[str, Any] = {
        "data.labels": given["labels"],
        "data.split": given["split"],
        "data.zip_encoding": given["zip_encoding"],
        "data.follow_links": given["follow_links"],
    }
    return {**changes, **_columns(given["columns"])}


def _columns(texts: Sequence[str]) -> dict[str, str]:
    """Read "label=age" or "file=id", or the name of the label column alone."""
    changes: dict[str, str] = {}
    for text in texts:
        kind, equals, name = text.partition("=")
        place = _COLUMNS.get(kind.strip().lower()) if equals else None
        if place is None:
            place, name = _COLUMNS["label"], text
        if not name.strip() or place in changes:
            raise click.BadParameter(
                f"{text!r}; give --column label=NAME and --column file=NAME, each at most once"
            )
        changes[place] = name.strip()
    return changes
