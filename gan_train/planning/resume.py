"""Settles the options that a run resumes with: its own, but for those that may change on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan_infer.errors import OptionError
from gan_train import data
from gan_train.config import options
from gan_train.config import settled as settling
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.data.columns import CLASS
from gan_train.planning import budget
from gan_train.runs import checkpoint
from gan_train.runs.progress import Say, silent

_SHOWN: int = 6


def fill(wanted: options.Config, stored: Settled) -> options.Config:
    """Return the wanted options, with those left open taken from the run."""
    before, now = dict(options.leaves(stored)), dict(options.leaves(wanted))
    return options.replace(
        wanted, {place: before[place] for place in budget.SETTLED if now[place] in (None, "auto")}
    )


def settle(
    wanted: options.Config,
    stored: Settled,
    pictures: DataSet,
    run: Path,
    allowed: tuple[str, ...],
    say: Say = silent,
) -> Settled:
    """Return the options to resume with.

    Data count as equal by their content, not by the text that names them: equal data may have another
    name, or lie elsewhere.

    Args:
        stored: the options of the run.
        allowed: options that may differ from those.

    Raises:
        OptionError: other options differ.
    """
    filled = options.replace(fill(wanted, stored), {"data.sha256": pictures.sha256()})
    equal = filled.data.sha256 == stored.data.sha256
    if equal:
        filled = _name_as_before(filled, stored, say)
    moved = set(options.PATHS) if equal else set()
    changed = [each for each in options.differences(stored, filled) if each[0] not in moved]
    refused = [
        f"{place}: {_compare_data(run, pictures) if place == 'data.sha256' else f'{was!r} -> {now!r}'}"
        for place, was, now in changed
        if place not in allowed
    ]
    if refused:
        raise OptionError(
            f"run {run} was started with other options ({'; '.join(refused)}); "
            "give the same ones to go on, another --out to start a new run, "
            "or --allow-changed OPTION to go on with it changed"
        )
    return settling.close(filled)


def _name_as_before(filled: options.Config, stored: Settled, say: Say) -> options.Config:
    """Name the same data as the run does, if its name for them leads to the same place."""
    before = dict(options.leaves(stored))
    filled = options.replace(filled, {"data.class_names": before["data.class_names"]})
    if _is_same_place(stored.data.source, filled.data.source):
        return options.replace(filled, {place: before[place] for place in options.PATHS})
    say(
        f"note: the pictures of {stored.data.source} are those of {filled.data.source} now, "
        "equal in all that is learnt"
    )
    return filled


def _is_same_place(one: str, other: str) -> bool:
    if data.BUILT_IN in (one, other):
        return one == other
    try:
        return one == other or Path(one).resolve() == Path(other).resolve()
    except (OSError, ValueError):
        return False


def _compare_data(run: Path, pictures: DataSet) -> str:
    """Say how the data differ from those that a run began with, as far as its checkpoints tell."""
    newest = checkpoint.names(run)[-1:]
    before = checkpoint.facts(run, newest[0]).get("data", {}) if newest else {}
    column = pictures.columns.get(CLASS)
    now = [] if column is None else list(column.facts["class_names"])
    changes = _list_changes(before, len(pictures), now)
    return f"the pictures changed ({'; '.join(changes)})"


def _list_changes(before: Any, count: int, names: list[str]) -> list[str]:
    changes = []
    if before.get("pictures", count) != count:
        changes.append(f"{before['pictures']:,} then and {count:,} now")
    old = before.get("class_names", names)
    if old != names:
        more, less = sorted(set(names) - set(old)), sorted(set(old) - set(names))
        marked = [*(f"+{name}" for name in more), *(f"-{name}" for name in less)]
        changes.append(f"classes {', '.join(marked[:_SHOWN])}")
    return changes or ["as many; some pixels or classes, or their order, are not those of then"]
