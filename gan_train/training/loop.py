"""Trains a run, from settled options to its last checkpoint."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Final

import torch

from gan_train import distributed, interruption, seeding, tasks
from gan_train.config.options import OptimizerOptions
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.networks import ema
from gan_train.reports.status import Watcher
from gan_train.tasks.base import Controls, Players
from gan_train.training import execution
from gan_train.training.log import Outcome
from gan_train.training.recorder import Recorder, StoppedError

# A line of the log is the mean over about this many images.
_LOG_IMAGES: Final = 4096
# Training takes at least this many times as long as the report before it.
_TRAINING_A_REPORT: Final = 4.0


def train(config: Settled, pictures: DataSet, run: Path, watcher: Watcher) -> bool:
    """Train to the end of the budget, or until the watcher asks to stop; resume what is there.

    Args:
        config: settled, see `budget.settle`.
        run: the run's folder, with `config.json` already in it.

    Returns:
        True if the run is complete, False if it was stopped before.

    Raises:
        TrainingError: the run went wrong more often than it may be rolled back; checkpoints from
            before stay as they were.
    """
    # Networks and optimizers, from the seed or from the newest checkpoint.
    task, players = _make_players(config, pictures)
    record = Recorder(task, config, pictures, run, watcher)
    outcomes = record.resume(players)  # of steps that are in no line of the log yet
    phases = execution.prepare(players, task.phases(players), config.machine.steps)

    # What else the run needs.
    batches = task.batches(torch.device(config.machine.device))
    batch_size = config.optimizer.batch_size
    images_per_step = batch_size * task.batches_per_step
    log_images = max(1, _LOG_IMAGES // images_per_step) * images_per_step
    clock = _Clock(config, record.progress.seconds)
    seen = record.progress.images_seen
    done, stop = distributed.agree(clock.progress(seen), _stop_asked(watcher))
    tick = find_next_report(done, config)

    # Step by step.
    with contextlib.closing(record), interruption.defer():
        while (done < 1.0 or record.progress.owed) and not stop:
            owed = record.progress.owed  # a report that was stopped in the middle
            rollbacks = record.progress.rollbacks
            if not owed:
                controls = _controls(config, images_per_step, done, rollbacks, seen)
                places = range(seen, seen + images_per_step, batch_size)
                drawn = [batches.at(place, rollbacks) for place in places]
                outcome: Outcome = {}
                for phase in phases:
                    costly = (seen // batch_size + phase.batch) % phase.interval == 0
                    outcome |= phase.run(drawn[phase.batch], controls, costly)
                outcomes.append(outcome)
                seen += images_per_step
                done, stop = distributed.agree(clock.progress(seen), _stop_asked(watcher))
            due = owed or done * config.reports >= tick or done >= 1.0

            # Log the figures.
            finite = True
            if not owed and (seen % log_images == 0 or due):
                finite = record.log(outcomes, seen, float(controls.learning_rate), done, clock.seconds())
                outcomes = []

            # Show, measure and save the state; or go back to a good one.
            if due or not finite:
                try:
                    alarm = record.report(players, seen, clock.seconds())
                except StoppedError:
                    record.interrupt(players, outcomes, seen, clock.seconds(), owed=True)
                    return False
                if alarm is not None:
                    record.roll_back(players, alarm)
                    phases = execution.prepare(players, task.phases(players), config.machine.steps)
                    seen = record.progress.images_seen
                    done, stop = distributed.agree(clock.progress(seen), _stop_asked(watcher))
                (after,) = distributed.agree(clock.progress(seen))
                tick = find_next_report(done, config, after)
            elif stop:
                record.interrupt(players, outcomes, seen, clock.seconds())
        if done >= 1.0 and not record.progress.owed:
            record.finish(players)
    return done >= 1.0 and not record.progress.owed


def _make_players(config: Settled, pictures: DataSet) -> tuple[tasks.Task, Players]:
    """Make a run's task and fresh players, from the seed."""
    torch.use_deterministic_algorithms(config.machine.deterministic)
    task = tasks.make(config, pictures.columns)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(config.seed, "weights"))
        return task, task.make_players(torch.device(config.machine.device))


def _controls(config: Settled, images_per_step: int, done: float, rollbacks: int, seen: int) -> Controls:
    """Return the controls of a step, at a fraction of the run and after this many images."""
    optimizer = config.optimizer
    return Controls(
        learning_rate=learning_rate(optimizer, done) * 0.5**rollbacks,
        average_weight=ema.decay(
            images_per_step, seen + images_per_step, optimizer.ema_half_life_images, optimizer.ema_ramp
        ),
        share=images_per_step * done / seen if seen else 0.0,
    )


def _stop_asked(watcher: Watcher) -> bool:
    return interruption.is_requested() or watcher.stop_asked()


def learning_rate(optimizer: OptimizerOptions, progress: float) -> float:
    """Return the learning rate at a fraction of the run: a linear warm-up, times a half cosine.

    The cosine falls from `learning_rate` at 0 to `final_learning_rate` at 1.
    """
    high, low = optimizer.learning_rate, optimizer.final_learning_rate
    fallen = low + (high - low) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0)))
    # Never quite 0, so that the first step of a run does something.
    warm = min(1.0, max(progress, 1e-3) / optimizer.warmup) if optimizer.warmup > 0 else 1.0
    return fallen * warm


def find_next_report(done: float, config: Settled, after: float = 0.0) -> float:
    """Return when the next report is due, counted in reports from the start of the run.

    In a run by the clock, long reports put it off: four fifths of the time are for training.

    Args:
        done: the fraction of the run at which the last report began.
        after: the fraction at which it ended; no more than `done` where images are counted.
    """
    later = after + _TRAINING_A_REPORT * max(0.0, after - done)
    return max(math.floor(done * config.reports) + 1, later * config.reports)


class _Clock:
    """Turns images and seconds into the fraction of the run that is done."""

    def __init__(self, config: Settled, seconds_before: float) -> None:
        self._budget = config.budget
        self._before = seconds_before
        self._start = time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start

    def progress(self, images_seen: int) -> float:
        if self._budget.images is not None:
            return images_seen / self._budget.images
        return self.seconds() / (60.0 * (self._budget.minutes or 1.0))  # settled: one of them is there
