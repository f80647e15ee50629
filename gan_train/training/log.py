"""Keeps the lines of a run's log: means of figures since the line before, and times in a second file."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from gan_train import distributed
from gan_train.reports.status import Status
from gan_train.runs import checkpoint, journal
from gan_train.runs.progress import Say
from gan_train.tasks.figures import Figure
from gan_train.training.run_folder import Write

# Times and speeds: kept in a file of their own, so that all other files are the same in every run.
_TIMES: Final = ("seconds", "images_per_second", "seconds_left")
# The figures of one step: scalars on the device by a figure's name, read only when they are needed.
Outcome = dict[str, Tensor]


class Log:
    """Keeps log.jsonl and times.jsonl.

    Attributes:
        means: means of the figures, since the line before the last.
        journals: both files.
    """

    def __init__(self, run: Path, figures: Sequence[Figure]) -> None:
        self.means: dict[str, float] = {}
        self._names = tuple(figure.name for figure in figures)
        self._log, self._times = (journal.Journal(run / name) for name in (checkpoint.LOG, checkpoint.TIMES))
        self.journals = (self._log, self._times)
        self._run = run
        self._seen, self._at = 0, time.monotonic()

    def read(self, write: Write, note: Say) -> None:
        """Read both files, and note which are damaged."""
        for kept, name, fits in (
            (self._log, checkpoint.LOG, self._is_status),
            (self._times, checkpoint.TIMES, _is_time),
        ):
            lines, wrong = journal.read(self._run / name, fits)
            if wrong:
                note(f"note: {self._run / name} is damaged; {_count(wrong)} left out")
            write(functools.partial(kept.begin, lines))

    def keep_until(self, logged: int, images_seen: int) -> None:
        """Drop the lines of more images; the log has lines up to `logged` images."""
        self._log.keep_until(logged)
        self._times.keep_until(images_seen)

    def start_from(self, images_seen: int) -> None:
        """Measure speed from these images on."""
        self._seen = images_seen
        self.restart_clock()

    def restart_clock(self) -> None:
        """Measure speed from now on: the time before was not training."""
        self._at = time.monotonic()

    def summarise(
        self, outcomes: Sequence[Outcome], seen: int, rate: float, done: float, seconds: float
    ) -> Status | None:
        """Return the status after these steps; None if a figure is not finite.

        Args:
            seen: images seen after them.
            rate: the learning rate of the last.
            done: the fraction of the run that is done, 0 to 1.
            seconds: of training so far.
        """
        means = agree_on(self.stack(outcomes)).mean(0).tolist()
        self.means = dict(zip(self._names, means, strict=True))
        if not all(math.isfinite(value) for value in means):
            return None
        now = time.monotonic()
        speed = (seen - self._seen) / max(now - self._at, 1e-9)
        self._seen, self._at = seen, now
        left = seconds / max(done, 1e-9) * (1.0 - done)
        return Status(seen, done, seconds, speed, max(0.0, left), rate, self.means)

    def add(self, status: Status, write: Write) -> None:
        """Write a line to each file."""
        seen = {"images_seen": status.images_seen}
        game = {"progress": status.progress, "learning_rate": status.learning_rate, **status.figures}
        line = {**seen, **game}
        times = {**seen, **{name: getattr(status, name) for name in _TIMES}}
        write(lambda: self._log.add(line))
        write(lambda: self._times.add(times))

    def add_time(self, images_seen: int, seconds: float, write: Write) -> None:
        """Write down when training stopped between two lines."""
        line = {"images_seen": images_seen, "seconds": seconds}
        write(lambda: self._times.add(line))

    def stack(self, outcomes: Sequence[Outcome]) -> Tensor:
        """Return float32 [steps, figures]; this waits for the device."""
        if not self._names:
            return torch.zeros(len(outcomes), 0)
        return torch.stack([torch.stack([each[name] for name in self._names]) for each in outcomes])

    def unstack(self, table: Tensor) -> list[Outcome]:
        """Return the outcomes from a table that `stack` made."""
        return [dict(zip(self._names, row, strict=True)) for row in table]

    def seconds_until(self, images_seen: int) -> float:
        """Return the seconds of training recorded up to this many images; 0 if none are."""
        lines, _ = journal.read(self._run / checkpoint.TIMES, _is_time)
        return max((line["seconds"] for line in lines if line["images_seen"] <= images_seen), default=0.0)

    def _is_status(self, line: journal.Line) -> bool:
        """Return whether a line is one of the log; lines of earlier versions hold their times as well."""
        return journal.is_count(line.get("images_seen")) and all(
            journal.is_number(line.get(name, 0.0)) for name in ("progress", "learning_rate", *self._names)
        )


def agree_on(table: Tensor) -> Tensor:
    """Return the mean of a table over the processes.

    In float64, where the mean of equal float32 values is that value: a table that was agreed on before
    a stop stays as it is.
    """
    return distributed.mean(table.double()).float()


def _is_time(line: journal.Line) -> bool:
    return journal.is_count(line.get("images_seen")) and journal.is_number(line.get("seconds"))


def _count(lines: int) -> str:
    return "1 line is" if lines == 1 else f"{lines:,} lines are"
