"""What is trained: one file per task, and the table of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from gan_infer.errors import OptionError
from gan_train.config import options
from gan_train.config.options import Config
from gan_train.config.settled import Settled
from gan_train.data.columns import Column
from gan_train.tasks.base import Task
from gan_train.tasks.generate import Generate

__all__ = ["TASKS", "Task", "check_name", "check_options", "find_suited", "make"]

# The first that takes a data set's columns is the one that the data asks for.
TASKS: Final[dict[str, type[Task]]] = {
    "generate": Generate,
}


def make(config: Settled, columns: Mapping[str, Column]) -> Task:
    """Make the task of a run.

    Args:
        columns: of its data; where a run is only opened again, of no examples.

    Raises:
        OptionError: there is no such task, an option does not suit it, or the data lack a column that
            it needs.
    """
    check_options(config)
    _check_columns(config.task, columns)
    return TASKS[config.task](config, columns)


def find_suited(columns: Mapping[str, Column]) -> str:
    """Name the task that the columns of a data set ask for: the first that takes all of them.

    Raises:
        OptionError: none does.
    """
    for name, task in TASKS.items():
        known = {**task.needs, **task.takes}
        others = (each for each in columns.values() if each.name not in known)
        kinds = set(task.conditions) - set(known.values())  # those are taken by their names alone
        if all(each.kind in kinds for each in others) and not _list_missing(name, columns):
            return name
    raise OptionError(
        f"the data have the columns {_describe(columns)}, and no task takes exactly these; "
        f"name one with --task: {', '.join(TASKS)}"
    )


def _check_columns(name: str, columns: Mapping[str, Column]) -> None:
    if missing := _list_missing(name, columns):
        raise OptionError(
            f"the data have the columns {_describe(columns)}; task {name} needs {', '.join(missing)}; "
            "give other data, or another --task"
        )


def _list_missing(name: str, columns: Mapping[str, Column]) -> list[str]:
    """List the columns that a task needs and the data lack, or have of another kind."""
    needs = TASKS[name].needs
    return [
        f"{column} (of kind {kind})"
        for column, kind in needs.items()
        if column not in columns or columns[column].kind != kind
    ]


def _describe(columns: Mapping[str, Column]) -> str:
    return ", ".join(columns) or "(none)"


def check_options(config: Config) -> None:
    """Refuse options that no run of their task can have.

    Raises:
        OptionError: there is no such task, a name is not in the table that the task takes it from, or
            options do not go together.
    """
    check_name(config.task)
    task, values = TASKS[config.task], dict(options.leaves(config))
    for place, names in task.choices.items():
        if values[place] not in names:
            raise OptionError(
                f"option {place} is {options.shorten(values[place])}; expected one of {', '.join(names)}"
            )
    task.check(config)


def check_name(name: str) -> None:
    """Refuse the name of no task.

    Raises:
        OptionError: there is no such task.
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, 1)
        hint = f"is {near[0]} meant?" if near else f"give one of {', '.join(TASKS)}"
        raise OptionError(f"task {name!r} is given, and there is none of that name; {hint}")
