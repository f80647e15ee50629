"""Decides which checkpoints of a run are kept, which is the best, and from which one it resumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_infer.errors import OptionError
from gan_train.data import DataSet
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.metrics.scores import LEADING
from gan_train.runs import checkpoint
from gan_train.runs.checkpoint import Checkpoint
from gan_train.runs.progress import Say


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        seconds: of training, over all sessions.
        rollbacks: how many times it went back to an earlier checkpoint.
        strikes: how many reports in a row something looked wrong.
        history: a line per measurement, as in metrics.jsonl.
        events: what happened besides, as in events.jsonl.
        network: the feature network that measures, and why it was chosen; empty before that.
        owed: True if a report was due and was stopped in the middle: it comes before the next step.
    """

    images_seen: int = 0
    seconds: float = 0.0
    rollbacks: int = 0
    strikes: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    network: dict[str, str] = dataclasses.field(default_factory=dict)
    owed: bool = False

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Progress:
        """Return the progress that a checkpoint's facts hold.

        Raises:
            KeyError: one is missing.
        """
        return cls(
            images_seen=facts["images_seen"],
            seconds=facts.get("seconds", 0.0),
            rollbacks=facts["rollbacks"],
            strikes=facts["strikes"],
            history=list(facts["history"]),
            events=list(facts["events"]),
            network=dict(facts.get("judge", {})),
            owed=facts.get("owed", False),
        )

    def facts(self, *, good: bool, interim: bool) -> dict[str, Any]:
        """Return the facts for a checkpoint, but for the seconds.

        Args:
            good: whether all was well at the report.
            interim: whether it is saved between two reports.
        """
        return {
            "images_seen": self.images_seen,
            "rollbacks": self.rollbacks,
            "strikes": self.strikes,
            "good": good,
            "interim": interim,
            "metrics": self.history[-1] if self.history and not interim else None,
            "history": self.history,
            "events": self.events,
            "judge": self.network,
        }


class Checkpoints:
    """The checkpoints of one run's folder."""

    def __init__(self, run: Path, note: Say) -> None:
        self._run, self._note = run, note
        self._unusable: set[str] = set()

    def find_newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, and say what is wrong with newer ones; None in a fresh run.

        Raises:
            OptionError: there are some, and none is whole.
        """
        checkpoint.sweep(self._run)
        found, troubles = checkpoint.load_newest(self._run)
        # A kill leaves half of the first checkpoint at most.
        if found is None and (checkpoint.names(self._run) or len(troubles) > 1):
            raise OptionError(
                f"{self._run} has {len(troubles)} checkpoints and none is whole ({'; '.join(troubles)}); "
                "put a whole one back, or give another --out to start a new run"
            )
        back = "beginning again" if found is None else "going back to the checkpoint before"
        for trouble in troubles:
            self._note(f"{trouble}; {back}")
        return found

    def find_newest_good(self) -> Checkpoint | None:
        """Return the newest whole checkpoint at which nothing was wrong; None if there is none."""
        for name in self._good_names():
            try:
                return checkpoint.load(self._run, name)
            except OptionError as error:
                self._note(f"{error}; going back to the one before")
        return None

    def point_and_tidy(self, newest: str, best: str) -> None:
        """Point at the newest checkpoint and the best, and drop those that are not needed any more."""
        checkpoint.point(self._run, newest, best)
        for interim in checkpoint.interims(self._run):
            if interim < newest:
                checkpoint.drop(self._run, interim)
        good = next(self._good_names(), best)
        checkpoint.keep(self._run, {best, good})

    def drop_after(self, images_seen: int | None, history: Sequence[Mapping[str, Any]]) -> None:
        """Drop the checkpoints of more images; all of them for None."""
        for name in checkpoint.names(self._run):
            if images_seen is None or name > checkpoint.name_of(images_seen):
                checkpoint.drop(self._run, name)
        if images_seen is not None:
            checkpoint.point(self._run, checkpoint.name_of(images_seen), self.name_best(history))

    def name_best(self, history: Sequence[Mapping[str, Any]], newest: str | None = None) -> str:
        """Name the checkpoint of the smallest distance; the newest where none was measured."""
        names = set(checkpoint.names(self._run)) - self._unusable
        lines = [(distance, checkpoint.name_of(seen)) for distance, seen in list_distances(history)]
        kept = [line for line in lines if line[1] in names]
        return min(kept)[1] if kept else newest or max(names)

    def make_sure_of_best(self, history: Sequence[Mapping[str, Any]], newest: str) -> str:
        """Name the best checkpoint that can be loaded, and say which cannot."""
        best = self.name_best(history, newest)
        while damage := self.describe_damage(best):
            self._unusable.add(best)
            best = self.name_best(history, newest)
            self._note(f"{damage}; best is now {best}")
        return best

    def describe_damage(self, name: str) -> str:
        """Return what is wrong with a checkpoint; "" if it is whole."""
        try:
            checkpoint.load(self._run, name)
        except OptionError as error:
            return str(error)
        return ""

    def _good_names(self) -> Iterator[str]:
        """List the checkpoints at which nothing was wrong, newest first."""
        for name in reversed(checkpoint.names(self._run)):
            if checkpoint.facts(self._run, name).get("good"):
                yield name


def list_distances(history: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """Return the distances that were measured, each with the images seen."""
    name = LEADING.name
    return [(line["values"][name], line["images_seen"]) for line in history if name in line["values"]]


def describe_best(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the best measurement so far, as the end of a sentence; "" without measurements."""
    measured = list_distances(history)
    if not measured:
        return ""
    distance, seen = min(measured)
    return f"; the best so far: {LEADING.title} {distance:.4g}, at {seen:,} images"


def describe_data(data: DataSet) -> dict[str, Any]:
    """Return what a checkpoint says of the data; export writes it into the model file."""
    columns = data.columns
    described = {
        "name": data.name,
        "pictures": len(data),
        "class_names": list(columns[CLASS].facts["class_names"]) if CLASS in columns else [],
        "licence": data.licence,
        "preparation": data.preparation,
    }
    if columns.keys() <= {IMAGE, CLASS}:  # whose specs follow from the rest and the options
        return described
    return {**described, "columns": {name: _describe_column(column) for name, column in columns.items()}}


def _describe_column(column: Column) -> dict[str, Any]:
    """Return the spec of a column without its values, as `trained` reads it."""
    return {
        "kind": column.kind,
        "dtype": str(column.values.dtype),
        "shape": list(column.shape),
        "facts": dict(column.facts),
    }
