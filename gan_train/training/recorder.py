"""Recorder: everything that a run writes, and what it reads again to go on; it takes no steps.

All of a run's history that later decisions or files depend on goes into its checkpoints, so that a run
killed between any two writes goes on from the newest whole one as if it had never got further. Of
several processes that share a run, one writes; the others follow its decisions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from gan_infer import files
from gan_infer.errors import OptionError, TrainingError
from gan_infer.latent import seeds as latents
from gan_infer.outputs import image
from gan_train import distributed, interruption, seeding
from gan_train.config import options
from gan_train.config.settled import Settled
from gan_train.data import PictureSet
from gan_train.metrics.evaluator import Draw, Evaluator, Scores
from gan_train.metrics.feature_networks import AUTO
from gan_train.networks import Condition, ema, pixels
from gan_train.objectives.adversarial import LOSSES
from gan_train.planning.device import describe, shape_of
from gan_train.reports import html, sheet, walk
from gan_train.reports.status import Status, Watcher
from gan_train.runs import checkpoint, journal
from gan_train.runs.checkpoint import Checkpoint
from gan_train.runs.sampler import Sampler
from gan_train.tasks import state
from gan_train.tasks.generate import FIGURES, Outcome, Players, make_players
from gan_train.training import watchdog
from gan_train.training.watchdog import Alarm

_FIGURES: Final = tuple(figure.name for figure in FIGURES)
_PENDING: Final = "log.pending"
_NEIGHBOURLY: Final = 12
# How often a folder that is being removed is made anew for one write.
_TRIES: Final = 4
_LOST: Final = (FileNotFoundError, NotADirectoryError, FileExistsError)
# What says when, or how fast: kept in a file of its own, so that all others are the same in every run.
_TIMES: Final = ("seconds", "images_per_second", "seconds_left")


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        seconds: of training, over all its sittings.
        rollbacks: how often it went back to an earlier checkpoint.
        strikes: how many reports in a row something looked wrong.
        history: a line a measurement, as in metrics.jsonl.
        events: what happened besides, as in events.jsonl.
        pending: outcomes of steps that no line of the log speaks of yet.
        judge: the feature network that measures, and why it was taken; empty before one was.
        owed: True where a report was due and stopped in the middle: it comes before the next step.
    """

    images_seen: int = 0
    seconds: float = 0.0
    rollbacks: int = 0
    strikes: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    pending: list[Outcome] = dataclasses.field(default_factory=list)
    judge: dict[str, str] = dataclasses.field(default_factory=dict)
    owed: bool = False


class StoppedError(Exception):
    """A report was stopped before anything of it was kept."""


@dataclasses.dataclass(frozen=True)
class _Look:
    """What a report sees of the players: nothing of it is kept yet."""

    broken: str | None
    measured: Scores | None
    sheet: npt.NDArray[np.uint8] | None
    walk: bytes | None
    neighbours: npt.NDArray[np.uint8] | None


class Recorder:
    """Keeps a run's folder, and tells a watcher how the run goes."""

    def __init__(self, config: Settled, pictures: PictureSet, run: Path, watcher: Watcher) -> None:
        self._config, self._pictures, self._run, self._watcher = config, pictures, run, watcher
        self._device = torch.device(config.machine.device)
        self._writes = distributed.rank() == 0
        self._conditional = bool(pictures.class_names) and config.condition.generator != "none"
        self._means: dict[str, float] = {}
        self._logged, self._logged_at = 0, time.monotonic()
        self._log, self._times = (journal.Journal(run / name) for name in (checkpoint.LOG, checkpoint.TIMES))
        self._data = describe_data(pictures)
        self._good = True
        self._place: tuple[int, int] | None = None
        self._held = contextlib.ExitStack()
        self._unusable: set[str] = set()
        self._evaluator: Evaluator | None = None
        self._level: dict[str, float] = {}
        self.progress = Progress()

    def resume(self, players: Players) -> None:
        """Set players and progress to the newest whole checkpoint, if there is one.

        Raises:
            OptionError: there are checkpoints, and none is whole; or they are of other networks.
        """
        found = distributed.share_object(self._newest() if self._writes else None)
        if found is not None:
            self._take(players, found)
            self._watcher.note(
                f"resuming {self._run} at {self.progress.images_seen:,} images{self._best_so_far()}"
            )
            self._note_other_machine(found)
        if self._writes:
            self._place = checkpoint.place_of(self._run)
            self._read_journals()
            self._keep(self._rewrite)
        else:
            self._rewrite()
        if self._writes and found is not None:
            self._keep(self._finish_newest)
        if self._writes and self._config.evaluation.samples != 0:
            judge = self._judge()
            self._evaluator = Evaluator.prepare(
                self._pictures,
                judge.get("network", self._config.evaluation.network),
                self._config.evaluation.samples,
                seeding.derive(self._config.seed, "evaluation"),
                self._watcher.note,
                self._device,
                why=judge.get("why", ""),
            )
            choice = self._evaluator.choice
            self.progress.judge = {"network": choice.network.name, "why": choice.why}
            self._level = self._evaluator.level
        self._logged_at = time.monotonic()  # what was prepared is not training

    def log(self, pending: list[Outcome], seen: int, rate: float, done: float, seconds: float) -> bool:
        """Write a line of the log from the outcomes since the last, and forget them.

        Returns:
            False where a figure is not finite; then nothing is written.
        """
        table = _table(pending)
        pending.clear()
        means = agreed(table).mean(0).tolist()
        self._means = dict(zip(_FIGURES, means, strict=True))
        if not all(math.isfinite(value) for value in means):
            return False
        now = time.monotonic()
        speed = (seen - self._logged) / max(now - self._logged_at, 1e-9)
        self._logged, self._logged_at = seen, now
        left = seconds / max(done, 1e-9) * (1.0 - done)
        status = Status(seen, done, seconds, speed, max(0.0, left), rate, self._means)
        if self._writes:
            line = {"images_seen": seen, "progress": done, "learning_rate": rate, **self._means}
            times = {"images_seen": seen, **{name: getattr(status, name) for name in _TIMES}}
            self._keep(lambda: self._log.add(line))
            self._keep(lambda: self._times.add(times))
            self._watcher.status(status)
        return True

    def report(self, players: Players, seen: int, seconds: float) -> Alarm | None:
        """Measure the generator, judge the run, and keep both where all is well.

        Returns:
            what is wrong, where the run should go back; then nothing is kept.

        Raises:
            StoppedError: a signal came while it was measured or drawn; nothing is kept then either.
        """
        # Others would wait for a process that stopped here: where there are some, none does.
        alone = distributed.size() == 1
        try:
            with interruption.at_once() if alone else contextlib.nullcontext():
                if ema.has_statistics(players.average):
                    recalibrate(self._config, players, self._classes)
                look = self._look(players) if self._writes else None
        except KeyboardInterrupt:
            if not interruption.asked():
                raise
            raise StoppedError from None
        self.progress.owed = False
        alarm = self._kept_or_alarm(players, look, seen, seconds) if look is not None else None
        return distributed.share_object(alarm)

    def roll_back(self, players: Players, alarm: Alarm) -> None:
        """Set players and progress to the newest checkpoint at which all was well, or to the start.

        Raises:
            TrainingError: the run has been rolled back as often as it may be.
        """
        config, progress = self._config, self.progress
        if progress.rollbacks >= config.rollbacks:
            raise TrainingError(
                f"{alarm.text}; rollbacks so far: {progress.rollbacks}, as many as are allowed; "
                f"try {watchdog.WHAT_TO_TRY[alarm.kind]}, in another --out"
            )
        good = distributed.share_object(self._newest_good() if self._writes else None)
        rollbacks, events = progress.rollbacks + 1, progress.events
        if good is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seeding.derive(config.seed, "weights", rollbacks))
                fresh = make_players(config, shape_of(self._pictures), self._device)
            state.put_back(players, state.tensors(fresh))
            self.progress = Progress()
        else:
            self._take(players, good)
        where = self.progress.images_seen
        text = (
            f"{alarm.text}; going back to {where:,} images with half the learning rate "
            f"(rollback {rollbacks} of {config.rollbacks})"
        )
        self.progress.rollbacks, self.progress.events = rollbacks, events
        self._event(where, "rollback", text)
        if self._writes:
            self._keep(lambda: self._drop_after(None if good is None else where))
        else:
            self._rewrite()

    def interrupt(
        self, players: Players, pending: list[Outcome], seen: int, seconds: float, owed: bool = False
    ) -> None:
        """Keep the state between two reports, so that going on is as if nothing had happened.

        Args:
            owed: a report is due here, and was stopped.
        """
        table = agreed(_table(pending)) if pending else None
        if not self._writes:
            return
        extra = {} if table is None else {_PENDING: table}
        self.progress.images_seen, self.progress.seconds = seen, seconds
        self.progress.owed = owed
        self._keep(lambda: self._times.add({"images_seen": seen, "seconds": seconds}))

        def write() -> None:
            name = self._save(players, extra, good=False, interim=True)
            checkpoint.point(self._run, name, self._best(name))

        self._keep(write)

    def finish(self, players: Players) -> None:
        """Make sure of a complete run that `last` and `best` can be loaded; write anew what was lost.

        Raises:
            OptionError: it cannot be written.
        """
        if self._writes:
            self._keep(lambda: self._complete(players))

    def close(self) -> None:
        """Let go of a folder that had to be made anew."""
        self._held.close()

    def _complete(self, players: Players) -> None:
        name = checkpoint.name_of(self.progress.images_seen)
        if damage := self._damage(name):
            self._watcher.note(f"{damage}; writing it anew")
            self._save(players, {}, good=self._good, interim=False)
        best = self._best(name)
        while damage := self._damage(best):
            self._unusable.add(best)
            best = self._best(name)
            self._watcher.note(f"{damage}; best is now {best}")
        checkpoint.point(self._run, name, best)
        if not (self._run / checkpoint.REPORT).is_file():
            self._rewrite()
            self._write_report()

    def _damage(self, name: str) -> str:
        try:
            checkpoint.load(self._run, name)
        except OptionError as error:
            return str(error)
        return ""

    def _keep(self, write: Callable[[], object]) -> None:
        """Write to the run's folder by a function, once more where the folder was lost under its hands.

        Raises:
            OptionError: it cannot be written.
            TrainingError: as `_mend`.
        """
        for more in reversed(range(_TRIES)):
            try:
                self._mend()
                write()
                if self._is_there():
                    return
            except (OptionError, OSError) as error:
                lost = isinstance(error, _LOST) or isinstance(error.__cause__, _LOST)
                if not lost or not more:
                    raise
        raise OptionError(
            f"the run's folder {self._run} is removed again and again while it is written; "
            "see what does that, or give another --out"
        )

    def _drop_after(self, images_seen: int | None) -> None:
        """Drop what speaks of more images; every checkpoint where None is given."""
        for name in checkpoint.names(self._run):
            if images_seen is None or name > checkpoint.name_of(images_seen):
                checkpoint.drop(self._run, name)
        if images_seen is not None:
            checkpoint.point(self._run, checkpoint.name_of(images_seen), self._best())
        self._rewrite()

    def _mend(self) -> None:
        """Put back what the run's folder has lost since it was written to last.

        Raises:
            TrainingError: the folder was renamed, or another run has taken its place.
        """
        if self._is_there():
            return
        if checkpoint.place_of(self._run) != self._place:
            if self._place and (name := checkpoint.renamed_to(self._run, self._place)):
                raise TrainingError(
                    f"the run's folder {self._run} was renamed to {name} while training; give the same "
                    f"command with --out {self._run.with_name(name)} to go on from its newest checkpoint"
                )
            if self._place:
                self._watcher.note(f"the run's folder {self._run} was removed; making it anew")
            self._held.enter_context(checkpoint.only_writer(self._run))
            self._place = checkpoint.place_of(self._run)
        self._log.restore()
        self._times.restore()
        options.write(self._config, self._run / checkpoint.CONFIG)

    def _is_there(self) -> bool:
        return checkpoint.place_of(self._run) == self._place and (self._run / checkpoint.CONFIG).exists()

    @property
    def _classes(self) -> int:
        return len(self._pictures.class_names) if self._conditional else 0

    def _take(self, players: Players, found: Checkpoint) -> None:
        """Set players and progress to a checkpoint."""
        state.restore(players, found.tensors)
        facts = found.facts
        rows = found.tensors.get(_PENDING)
        try:
            self.progress = Progress(
                images_seen=facts["images_seen"],
                seconds=facts.get("seconds", 0.0) or self._seconds_until(facts["images_seen"]),
                rollbacks=facts["rollbacks"],
                strikes=facts["strikes"],
                history=list(facts["history"]),
                events=list(facts["events"]),
                pending=[] if rows is None else [Outcome(*row) for row in rows.to(self._device)],
                judge=dict(facts.get("judge", {})),
                owed=facts.get("owed", False),
            )
            self._means = dict(facts.get("means", {}))
            self._data = dict(facts["data"])
            self._good = facts["good"]
            # Moved pictures may have another name now; what is written speaks of them as before.
            self._pictures = dataclasses.replace(self._pictures, name=self._data["name"])
        except (KeyError, TypeError) as error:
            raise OptionError(
                f"the newest checkpoint of {self._run} has no {error} among its facts: another version wrote "
                "it; go on with that one, or give another --out to start anew"
            ) from None

    def _seconds_until(self, images_seen: int) -> float:
        """Return the seconds of training that are written down up to so many images; 0 where none are."""
        lines, _ = journal.read(self._run / checkpoint.TIMES, _is_time)
        return max((line["seconds"] for line in lines if line["images_seen"] <= images_seen), default=0.0)

    def _note_other_machine(self, found: Checkpoint) -> None:
        """Say where the run goes on on another machine than it began on: results depend on that."""
        before, now = found.facts.get("machine", {}), describe()
        told = [f"{key} {before[key]} -> {now[key]}" for key in now if before.get(key, now[key]) != now[key]]
        if told:
            self._watcher.note(
                f"note: another machine than before ({'; '.join(told)}); "
                "from here on the run is not bit for bit what it would have been there"
            )

    def _newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, and say what is wrong with newer ones; None in a fresh run."""
        checkpoint.sweep(self._run)
        found, troubles = checkpoint.load_newest(self._run)
        # A kill leaves half of the first checkpoint at most.
        if found is None and (checkpoint.names(self._run) or len(troubles) > 1):
            raise OptionError(
                f"{self._run} has {len(troubles)} checkpoints and none is whole ({'; '.join(troubles)}); "
                "put a whole one back, or give another --out to start anew"
            )
        back = "beginning anew" if found is None else "going back to the checkpoint before"
        for trouble in troubles:
            self._watcher.note(f"{trouble}; {back}")
        return found

    def _rewrite(self) -> None:
        """Make the files that grow say what the progress says; what came after it is dropped."""
        seen = self.progress.images_seen - self._unlogged()
        self._logged, self._logged_at = seen, time.monotonic()
        if not self._writes:
            return
        self._log.keep_until(seen)
        self._times.keep_until(self.progress.images_seen)
        _write_lines(self._run / checkpoint.METRICS, self.progress.history)
        _write_lines(self._run / checkpoint.EVENTS, self.progress.events)
        for path in (self._run / checkpoint.SAMPLES).glob("[0-9]*.png"):
            if path.stem > checkpoint.name_of(self.progress.images_seen) and path.is_file():
                path.unlink()

    def _read_journals(self) -> None:
        """Read the files that grow, and say which are damaged."""
        for name, fits in ((checkpoint.LOG, _is_status), (checkpoint.TIMES, _is_time)):
            lines, wrong = journal.read(self._run / name, fits)
            if wrong:
                self._watcher.note(f"note: {self._run / name} is damaged; {_count(wrong)} left out")
            kept = self._log if name == checkpoint.LOG else self._times
            self._keep(functools.partial(kept.begin, lines))
        for name in (checkpoint.METRICS, checkpoint.EVENTS):
            if journal.read(self._run / name)[1]:
                self._watcher.note(f"note: {self._run / name} is damaged; written anew")

    def _judge(self) -> dict[str, str]:
        """Return the network that measures and why, as settled before: figures of two do not compare.

        A changed `evaluation.network` counts all the same. Older checkpoints tell it by their history.
        """
        told = self.progress.judge
        if not told and self.progress.history:
            protocol = self.progress.history[-1]["protocol"]
            told = {"network": protocol["network"], "why": protocol["why"]}
        wanted = self._config.evaluation.network
        return told if wanted in (AUTO, told.get("network")) else {}

    def _finish_newest(self) -> None:
        """Do what follows the writing of a checkpoint, all of it: a kill may have come in between."""
        name = checkpoint.name_of(self.progress.images_seen)
        self._point_and_tidy(name, self._best(name))
        self._write_report()

    def _point_and_tidy(self, name: str, best: str) -> None:
        """Point at the newest checkpoint and the best, and drop those that are not needed any more."""
        checkpoint.point(self._run, name, best)
        for interim in checkpoint.interims(self._run):
            if interim < name:
                checkpoint.drop(self._run, interim)
        checkpoint.keep(self._run, {best, self._newest_good_name() or best})

    def _write_report(self) -> None:
        page = html.render(self._run, self._config, FIGURES)
        # The name of a folder need not be text.
        files.write(self._run / checkpoint.REPORT, page.encode("utf-8", "surrogateescape"))

    def _unlogged(self) -> int:
        return len(self.progress.pending) * self._config.optimizer.images_a_step

    def _look(self, players: Players) -> _Look:
        """Measure the average and draw what is shown of it."""
        network = self._config.network
        broken = state.first_non_finite(players)
        measured = (
            None
            if broken or self._evaluator is None
            else self._evaluator.score(self._drawer(players), self._conditional)
        )
        asked = (network.latent_dim, network.latent_distribution, self._classes, self._device)
        sampler = Sampler(players.average, *asked)
        drawn, frames = sheet.draw(sampler), walk.draw(sampler)
        nearest = None
        if self._evaluator is not None:
            shown = self._drawer(players)(_NEIGHBOURLY, self._evaluator.labels_for(_NEIGHBOURLY))
            nearest = self._evaluator.nearest_pictures(shown)
        film = None if frames is None else walk.animation(frames)
        return _Look(broken, measured, drawn, film, nearest)

    def _kept_or_alarm(self, players: Players, look: _Look, seen: int, seconds: float) -> Alarm | None:
        progress, broken = self.progress, look.broken
        measured = None if look.measured is None else self._line(look.measured, seen)
        values: Mapping[str, float] = {} if measured is None else measured["values"]
        before = [line["values"] for line in progress.history]
        sure = LOSSES[self._config.loss.name].teaches_when_sure
        alarm = watchdog.check(FIGURES, self._means, values, before, sure)
        if broken is not None:
            alarm = Alarm("diverged", f"a weight of the {broken} is no longer finite", at_once=True)
        if alarm is not None and (alarm.at_once or progress.strikes + 1 >= watchdog.STRIKES):
            return alarm
        progress.strikes = 0 if alarm is None else progress.strikes + 1
        progress.images_seen, progress.seconds = seen, seconds
        if alarm is not None:
            self._event(seen, "warning", alarm.text)
        if measured is not None:
            progress.history.append(measured)
        self._keep(lambda: self._write_look(players, look, seen, good=alarm is None))
        if measured is not None:
            name = checkpoint.name_of(seen)
            self._watcher.metrics(seen, values, self._best(name) == name)
        return None

    def _write_look(self, players: Players, look: _Look, seen: int, *, good: bool) -> None:
        self._write_pictures(look, seen)
        name = self._save(players, {}, good=good, interim=False)
        self._point_and_tidy(name, self._best(name))
        self._rewrite()
        self._write_report()

    def _line(self, scores: Scores, seen: int) -> dict[str, Any]:
        measured = {"images_seen": seen, "values": dict(scores.values), "protocol": dict(scores.protocol)}
        return {**measured, "baseline": self._level} if self._level else measured

    def _drawer(self, players: Players) -> Draw:
        """Return a function that draws the average's pictures of the seeds from 0 up."""
        network = self._config.network

        def draw(count: int, labels: npt.NDArray[np.int64] | None) -> npt.NDArray[np.uint8]:
            if labels is None and self._conditional:
                labels = np.arange(count, dtype=np.int64) % self._classes
            latent = latents.latents(range(count), network.latent_dim, network.latent_distribution)
            given = None if labels is None else torch.from_numpy(labels).to(self._device)
            return pixels.draw(players.average, torch.from_numpy(latent).to(self._device), given)

        return draw

    def _write_pictures(self, look: _Look, seen: int) -> None:
        if look.sheet is not None:
            path = self._run / checkpoint.SAMPLES / f"{checkpoint.name_of(seen)}.png"
            image.save(look.sheet, path)
            self._watcher.sheet(path)
        if look.walk is not None:
            files.write(self._run / checkpoint.WALK, look.walk)
        if look.neighbours is not None:
            image.save(look.neighbours, self._run / checkpoint.NEIGHBOURS)

    def _save(self, players: Players, extra: Mapping[str, torch.Tensor], *, good: bool, interim: bool) -> str:
        progress, self._good = self.progress, good
        facts: dict[str, Any] = {
            "images_seen": progress.images_seen,
            "rollbacks": progress.rollbacks,
            "strikes": progress.strikes,
            "good": good,
            "interim": interim,
            "metrics": progress.history[-1] if progress.history and not interim else None,
            "history": progress.history,
            "events": progress.events,
            "judge": progress.judge,
            "data": self._data,
            "machine": describe(),
        }
        if self._config.budget.images is None:  # what such a run does depends on its clock
            facts["seconds"] = progress.seconds
        if progress.owed:
            facts |= {"owed": True, "means": self._means}
        return checkpoint.save(self._run, Checkpoint({**state.tensors(players), **extra}, facts))

    def _best_so_far(self) -> str:
        """Say what a watcher who has just come has not been told: the best that was measured."""
        measured = _distances(self.progress.history)
        if not measured:
            return ""
        frechet, seen = min(measured)
        return f"; the best so far: Frechet distance {frechet:.4g}, at {seen:,} images"

    def _best(self, newest: str | None = None) -> str:
        """Name the checkpoint of the smallest Frechet distance; the newest where none was measured."""
        names = set(checkpoint.names(self._run)) - self._unusable
        lines = [(frechet, checkpoint.name_of(seen)) for frechet, seen in _distances(self.progress.history)]
        kept = [line for line in lines if line[1] in names]
        return min(kept)[1] if kept else newest or max(names)

    def _newest_good_name(self) -> str | None:
        for name in reversed(checkpoint.names(self._run)):
            if checkpoint.facts(self._run, name).get("good"):
                return name
        return None

    def _newest_good(self) -> Checkpoint | None:
        for name in reversed(checkpoint.names(self._run)):
            if checkpoint.facts(self._run, name).get("good"):
                try:
                    return checkpoint.load(self._run, name)
                except OptionError as error:
                    self._watcher.note(f"{error}; going back to the one before")
        return None

    def _event(self, seen: int, kind: str, text: str) -> None:
        self.progress.events.append({"images_seen": seen, "kind": kind, "text": text})
        self._watcher.event(kind, text)


def recalibrate(config: Settled, players: Players, classes: int) -> None:
    """Measure the average's batch statistics anew, on latents that never change."""
    device = torch.device(config.machine.device)
    size = config.optimizer.batch_size

    def run_batch(index: int) -> torch.Tensor:
        seeds = range(index * size, (index + 1) * size)
        drawn = latents.latents(seeds, config.network.latent_dim, config.network.latent_distribution)
        label = torch.arange(size, device=device) % classes if classes else None
        result: torch.Tensor = players.average(torch.from_numpy(drawn).to(device), Condition(label))
        return result

    ema.recalibrate(players.average, run_batch)


def describe_data(pictures: PictureSet) -> dict[str, Any]:
    """Return what export writes about the data into the model file."""
    return {
        "name": pictures.name,
        "pictures": len(pictures),
        "class_names": list(pictures.class_names),
        "licence": pictures.licence,
        "preparation": pictures.preparation,
    }


def _distances(history: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """Return the Frechet distances that were measured, each with the images seen."""
    return [
        (line["values"]["frechet"], line["images_seen"]) for line in history if "frechet" in line["values"]
    ]


def _table(outcomes: list[Outcome]) -> torch.Tensor:
    """Return float32 [steps, figures]; this is where the device is waited for."""
    return torch.stack([torch.stack([getattr(o, name) for name in _FIGURES]) for o in outcomes])


def agreed(table: torch.Tensor) -> torch.Tensor:
    """Return the mean of a table over the processes.

    In float64, where the mean of equal float32 values is that value: a table that was agreed on before
    a stop stays as it is.
    """
    return distributed.mean(table.double()).float()


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    files.write(path, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _is_status(line: journal.Line) -> bool:
    """Return whether a line of the log has all that one has; lines of before hold their times as well."""
    return journal.is_count(line.get("images_seen")) and all(
        journal.is_number(line.get(name, 0.0)) for name in ("progress", "learning_rate", *_FIGURES)
    )


def _is_time(line: journal.Line) -> bool:
    return journal.is_count(line.get("images_seen")) and journal.is_number(line.get("seconds"))


def _count(lines: int) -> str:
    return "1 line is" if lines == 1 else f"{lines:,} lines are"
