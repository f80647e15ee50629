"""Recorder: writes a run's folder, and reads it again to resume.

The whole history that later decisions or files depend on goes into the checkpoints, so that a run that is
killed between any two writes resumes from the newest whole one as if it had got no further. Of several
processes that share a run, one writes; the others follow its decisions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from gan_infer import files
from gan_infer.errors import OptionError
from gan_train import distributed, interruption, seeding
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.metrics.evaluator import Evaluator, Scores
from gan_train.planning.device import describe
from gan_train.reports import html
from gan_train.reports.status import Watcher
from gan_train.runs import checkpoint, journal
from gan_train.runs.checkpoint import Checkpoint
from gan_train.tasks import Task, state
from gan_train.tasks.base import Players
from gan_train.training import checkpoints, rollback, samples
from gan_train.training.checkpoints import Checkpoints, Progress
from gan_train.training.log import Log, Outcome, agree_on
from gan_train.training.run_folder import Folder
from gan_train.training.samples import Snapshot
from gan_train.training.watchdog import Alarm

_PENDING: Final = "log.pending"


class StoppedError(Exception):
    """A report was stopped before any of it was saved."""


class Recorder:
    """Keeps a run's folder, and reports to a watcher.

    Attributes:
        progress: how far the run is.
    """

    def __init__(self, task: Task, config: Settled, data: DataSet, run: Path, watcher: Watcher) -> None:
        self._task, self._config, self._run, self._watcher = task, config, run, watcher
        self._device = torch.device(config.machine.device)
        self._writes = distributed.rank() == 0
        self._log = Log(run, task.figures)
        self._folder = Folder(run, config, self._log.journals, watcher.note)
        self._checkpoints = Checkpoints(run, watcher.note)
        self._pictures, self._data = data, checkpoints.describe_data(data)
        self._good = True
        self._evaluator: Evaluator | None = None
        self._baseline: dict[str, float] = {}
        self.progress = Progress()

    def resume(self, players: Players) -> list[Outcome]:
        """Restore networks, optimizers and progress from the newest whole checkpoint, if there is one.

        Returns:
            the outcomes of steps that are in no line of the log yet.

        Raises:
            OptionError: there are checkpoints, and none is whole; or they are of other networks.
        """
        found = distributed.share_object(self._checkpoints.find_newest() if self._writes else None)
        outcomes: list[Outcome] = []
        if found is not None:
            self._take(players, found)
            rows = found.tensors.get(_PENDING)
            outcomes = [] if rows is None else self._log.unstack(rows.to(self._device))
            best = checkpoints.describe_best(self.progress.history)
            self._watcher.note(f"resuming {self._run} at {self.progress.images_seen:,} images{best}")
            self._note_other_machine(found)
        batch_size = self._config.optimizer.batch_size
        logged = self.progress.images_seen - len(outcomes) * self._task.batches_per_step * batch_size
        self._log.start_from(logged)
        if self._writes:
            self._read_folder(logged)
        if self._writes and found is not None:
            self._folder.write(self._finish_newest)
        if self._writes and self._config.evaluation.samples != 0 and self._task.scored:
            self._prepare_evaluator()
        self._log.restart_clock()
        return outcomes

    def log(self, outcomes: Sequence[Outcome], seen: int, rate: float, done: float, seconds: float) -> bool:
        """Write a line of the log from the outcomes since the last; see `Log.summarise`.

        Returns:
            False if a figure is not finite; then nothing is written.
        """
        status = self._log.summarise(outcomes, seen, rate, done, seconds)
        if status is not None and self._writes:
            self._log.add(status, self._folder.write)
            self._watcher.status(status)
        return status is not None

    def report(self, players: Players, seen: int, seconds: float) -> Alarm | None:
        """Measure and draw samples, check the run, and save its state if nothing is wrong.

        Returns:
            the alarm, if the run should go back; then nothing is saved.

        Raises:
            StoppedError: a signal came while samples were measured or drawn; nothing is saved then either.
        """
        # Other processes would wait for one that stopped here, so with several of them none does.
        alone = distributed.size() == 1
        try:
            with interruption.allow() if alone else contextlib.nullcontext():
                self._task.recalibrate(players)
                snapshot = (
                    samples.take_snapshot(self._task, players, self._evaluator) if self._writes else None
                )
        except KeyboardInterrupt:
            if not interruption.is_requested():
                raise
            raise StoppedError from None
        self.progress.owed = False
        alarm = self._keep_or_find_alarm(players, snapshot, seen, seconds) if snapshot is not None else None
        return distributed.share_object(alarm)

    def roll_back(self, players: Players, alarm: Alarm) -> None:
        """Restore networks, optimizers and progress from the newest good checkpoint, or start again.

        Raises:
            TrainingError: the run has been rolled back as often as it may be.
        """
        most, before = self._config.rollbacks, self.progress
        rollback.check_allowed(alarm, before.rollbacks, most)
        good = distributed.share_object(self._checkpoints.find_newest_good() if self._writes else None)
        rollbacks = before.rollbacks + 1
        if good is None:
            rollback.begin_again(self._task, players, self._config.seed, rollbacks, self._device)
            self.progress = Progress()
        else:
            self._take(players, good)
        where = self.progress.images_seen
        self.progress.rollbacks, self.progress.events = rollbacks, before.events
        self._event(where, "rollback", rollback.describe(alarm, where, rollbacks, most))
        self._log.start_from(where)
        if self._writes:
            self._folder.write(lambda: self._drop_after(None if good is None else where))

    def interrupt(
        self, players: Players, outcomes: Sequence[Outcome], seen: int, seconds: float, owed: bool = False
    ) -> None:
        """Save the state between two reports, so that the run can resume as if nothing had happened.

        Args:
            outcomes: of steps that are in no line of the log yet.
            owed: a report is due here, and was stopped.
        """
        table = agree_on(self._log.stack(outcomes)) if outcomes else None
        if not self._writes:
            return
        extra = {} if table is None else {_PENDING: table}
        self.progress.images_seen, self.progress.seconds = seen, seconds
        self.progress.owed = owed
        self._log.add_time(seen, seconds, self._folder.write)

        def write() -> None:
            name = self._save(players, extra, good=False, interim=True)
            checkpoint.point(self._run, name, self._checkpoints.name_best(self.progress.history, name))

        self._folder.write(write)

    def finish(self, players: Players) -> None:
        """Make sure that `last` and `best` of a complete run can be loaded; write again what was lost.

        Raises:
            OptionError: it cannot be written.
        """
        if self._writes:
            self._folder.write(lambda: self._complete(players))

    def close(self) -> None:
        """Release a folder that had to be made again."""
        self._folder.close()

    # Resuming.

    def _take(self, players: Players, found: Checkpoint) -> None:
        """Restore networks, optimizers and progress from a checkpoint."""
        state.restore(players, found.tensors)
        facts = found.facts
        try:
            progress = Progress.of_facts(facts)
            progress.seconds = progress.seconds or self._log.seconds_until(progress.images_seen)
            self.progress = progress
            self._log.means = dict(facts.get("means", {}))
            self._data = dict(facts["data"])
            self._good = facts["good"]
            # Moved pictures may have another name now; files keep the name from before.
            self._pictures = dataclasses.replace(self._pictures, name=self._data["name"])
        except (KeyError, TypeError) as error:
            raise OptionError(
                f"the newest checkpoint of {self._run} has no {error} among its facts: another version wrote "
                "it; go on with that one, or give another --out to start a new run"
            ) from None

    def _note_other_machine(self, found: Checkpoint) -> None:
        """Note that a run resumes on another machine than it began on: results depend on that."""
        before, now = found.facts.get("machine", {}), describe()
        changes = [
            f"{key} {before[key]} -> {now[key]}" for key in now if before.get(key, now[key]) != now[key]
        ]
        if changes:
            self._watcher.note(
                f"note: another machine than before ({'; '.join(changes)}); "
                "from here on the run is not bit for bit what it would have been there"
            )

    def _read_folder(self, logged: int) -> None:
        """Read the files that grow, note which are damaged, and drop what came after the progress."""
        self._folder.begin()
        self._log.read(self._folder.write, self._watcher.note)
        for name in (checkpoint.METRICS, checkpoint.EVENTS):
            if journal.read(self._run / name)[1]:
                self._watcher.note(f"note: {self._run / name} is damaged; written again")
        self._folder.write(lambda: self._rewrite(logged))

    def _prepare_evaluator(self) -> None:
        evaluation = self._config.evaluation
        self._evaluator = samples.prepare_evaluator(
            self._pictures,
            evaluation.network,
            evaluation.samples,
            seeding.derive(self._config.seed, "evaluation"),
            self.progress,
            self._device,
            self._watcher.note,
        )
        choice = self._evaluator.choice
        self.progress.network = {"network": choice.network.name, "why": choice.why}
        self._baseline = self._evaluator.comparable_baseline

    # Writing.

    def _rewrite(self, logged: int) -> None:
        """Write the files that grow again, as the progress has them; drop what came after it.

        Args:
            logged: the images up to which the log keeps its lines.
        """
        seen = self.progress.images_seen
        self._log.keep_until(logged, seen)
        _write_lines(self._run / checkpoint.METRICS, self.progress.history)
        _write_lines(self._run / checkpoint.EVENTS, self.progress.events)
        samples.drop_after(self._run, seen)

    def _finish_newest(self) -> None:
        """Repeat all that follows the writing of a checkpoint: a kill may have come in between."""
        name = checkpoint.name_of(self.progress.images_seen)
        self._checkpoints.point_and_tidy(name, self._checkpoints.name_best(self.progress.history, name))
        self._write_report()

    def _drop_after(self, images_seen: int | None) -> None:
        """Drop what belongs to more images; every checkpoint for None."""
        self._checkpoints.drop_after(images_seen, self.progress.history)
        self._rewrite(self.progress.images_seen)

    def _keep_or_find_alarm(
        self, players: Players, snapshot: Snapshot, seen: int, seconds: float
    ) -> Alarm | None:
        progress = self.progress
        measured = None if snapshot.measured is None else self._line(snapshot.measured, seen)
        values: Mapping[str, float] = {} if measured is None else measured["values"]
        before = [line["values"] for line in progress.history]
        alarm = rollback.find_alarm(self._task, self._log.means, values, before, snapshot.broken)
        if rollback.is_due(alarm, progress.strikes):
            return alarm
        progress.strikes = 0 if alarm is None else progress.strikes + 1
        progress.images_seen, progress.seconds = seen, seconds
        if alarm is not None:
            self._event(seen, "warning", alarm.text)
        if measured is not None:
            progress.history.append(measured)
        self._folder.write(lambda: self._write_snapshot(players, snapshot, seen, good=alarm is None))
        if measured is not None:
            name = checkpoint.name_of(seen)
            best = self._checkpoints.name_best(progress.history, name)
            self._watcher.metrics(seen, values, best == name)
        return None

    def _write_snapshot(self, players: Players, snapshot: Snapshot, seen: int, *, good: bool) -> None:
        samples.write(self._run, seen, snapshot, self._watcher.sheet)
        name = self._save(players, {}, good=good, interim=False)
        self._checkpoints.point_and_tidy(name, self._checkpoints.name_best(self.progress.history, name))
        self._rewrite(seen)
        self._log.start_from(seen)
        self._write_report()

    def _line(self, scores: Scores, seen: int) -> dict[str, Any]:
        measured = {"images_seen": seen, "values": dict(scores.values), "protocol": dict(scores.protocol)}
        return {**measured, "baseline": self._baseline} if self._baseline else measured

    def _save(self, players: Players, extra: Mapping[str, Tensor], *, good: bool, interim: bool) -> str:
        progress, self._good = self.progress, good
        facts = progress.facts(good=good, interim=interim)
        facts |= {"data": self._data, "machine": describe()}
        if self._config.budget.images is None:  # what such a run does depends on its clock
            facts["seconds"] = progress.seconds
        if progress.owed:
            facts |= {"owed": True, "means": self._log.means}
        return checkpoint.save(self._run, Checkpoint({**state.tensors(players), **extra}, facts))

    def _complete(self, players: Players) -> None:
        seen, history = self.progress.images_seen, self.progress.history
        name = checkpoint.name_of(seen)
        if damage := self._checkpoints.describe_damage(name):
            self._watcher.note(f"{damage}; writing it again")
            self._save(players, {}, good=self._good, interim=False)
        checkpoint.point(self._run, name, self._checkpoints.make_sure_of_best(history, name))
        if not (self._run / checkpoint.REPORT).is_file():
            self._rewrite(seen)
            self._write_report()

    def _write_report(self) -> None:
        page = html.render(self._run, self._config, self._task.figures)
        # The name of a folder need not be text.
        files.write(self._run / checkpoint.REPORT, page.encode("utf-8", "surrogateescape"))

    def _event(self, seen: int, kind: str, text: str) -> None:
        self.progress.events.append({"images_seen": seen, "kind": kind, "text": text})
        self._watcher.event(kind, text)


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    files.write(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
