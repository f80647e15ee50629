"""Measures the speed of steps, trains a preset and draws its pictures, for the benchmarks that train."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from gan_infer import console
from gan_infer.errors import OptionError
from gan_infer.latent import seeds
from gan_train import seeding, tasks
from gan_train.config import presets
from gan_train.config.options import leaves, replace, write
from gan_train.config.settled import Settled, read
from gan_train.data import PictureSet
from gan_train.planning import budget
from gan_train.planning.device import set_up
from gan_train.reports.status import Status
from gan_train.runs import checkpoint, trained
from gan_train.runs.trained import Trained
from gan_train.tasks.base import Controls
from gan_train.training import execution, loop

# One report, at the end: no choice among checkpoints and no rollback, since others have none.
PLAIN: Final[Mapping[str, Any]] = {"evaluation.samples": 0, "reports": 1}
_SAY_EVERY_S: Final = 30.0


class Reporter:
    """Prints the status of a run to stderr now and then, under a name."""

    def __init__(self, name: str) -> None:
        self._name, self._said = name, time.monotonic()

    def note(self, text: str) -> None:
        """Say a line of text."""
        console.say(f"{self._name}: {text}")

    def status(self, status: Status) -> None:
        """Print how far the run is, if the last line was long ago."""
        if time.monotonic() - self._said > _SAY_EVERY_S:
            self._said = time.monotonic()
            self.note(
                f"{status.images_seen:,} images, {status.progress:.0%}, {status.seconds_left:.0f} s left"
            )

    def sheet(self, path: Path) -> None:
        """Ignore a new sheet."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Print the scores."""
        self.note(f"{images_seen:,} images: {', '.join(f'{k} {v:.3g}' for k, v in values.items())}")

    def event(self, kind: str, text: str) -> None:
        """Print an event."""
        self.note(text)

    def stop_asked(self) -> bool:
        """Return False: a benchmark never stops a run."""
        return False


def settle(preset: str, changes: Mapping[str, Any], pictures: PictureSet) -> Settled:
    """Return a preset with options changed and every open choice closed."""
    return budget.settle(presets.make(preset, {**PLAIN, **changes}), pictures, console.say)


def fastest_rate(step: Callable[[], object], images_per_step: int, seconds: float, block: int = 1) -> float:
    """Return images per second of the fastest block of steps, of as many as fit in some seconds.

    The fastest, because other work on the machine can only make it slower.

    Args:
        block: steps that belong together, such as those between two penalties.
    """
    for _ in range(block):  # the first ones set up what later ones find
        step()
    finish()
    best, start = math.inf, time.perf_counter()
    while time.perf_counter() - start < seconds or best == math.inf:
        begun = time.perf_counter()
        for _ in range(block):
            step()
        finish()
        best = min(best, time.perf_counter() - begun)
    return images_per_step * block / best


def images_per_second(options: Settled, pictures: PictureSet, seconds: float = 5.0) -> float:
    """Measure how fast a settled config trains, penalties and the drawing of batches included."""
    step, images = steps(options, pictures)
    # A whole interval of the penalties, however many of them are in one step.
    turns, interval = options.optimizer.discriminator_steps, options.loss.penalty_interval
    return fastest_rate(step, images, seconds, block=interval // math.gcd(turns, interval))


def finish() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def steps(options: Settled, pictures: PictureSet) -> tuple[Callable[[], object], int]:
    """Return a function that takes the next step of a fresh run, and the images per step."""
    device = torch.device(options.machine.device)
    set_up(options)
    torch.manual_seed(seeding.derive(options.seed, "weights"))
    task = tasks.make(options, pictures.columns)
    players = task.make_players(device)
    phases = execution.prepare(players, task.phases(players), options.machine.steps)
    batches, size, turns = task.batches(device), options.optimizer.batch_size, task.batches_per_step
    counter = itertools.count()

    def step() -> object:
        first = next(counter) * turns
        controls = Controls(options.optimizer.learning_rate, 0.999, 0.0)
        drawn = [batches.at((first + turn) * size) for turn in range(turns)]
        figures: dict[str, torch.Tensor] = {}
        for phase in phases:
            costly = (first + phase.batch) % phase.interval == 0
            figures.update(phase.run(drawn[phase.batch], controls, costly))
        return figures

    return step, size * turns


def train(options: Settled, pictures: PictureSet, run: Path, watcher: Reporter, anew: bool = True) -> Trained:
    """Train a settled config in its own folder, and return its last generator.

    Args:
        anew: False resumes a run of the same options.

    Raises:
        OptionError: the folder holds something else than a run.
        TrainingError: the run went wrong.
    """
    stored = None if anew else _stored(options, run)
    if stored is None:
        _clear(run)
        write(options, run / checkpoint.CONFIG)
    set_up(options)
    loop.train(stored or options, pictures, run, watcher)
    return trained.load(run, "last")


def _clear(run: Path) -> None:
    if not run.exists():
        return
    if not (run / checkpoint.CONFIG).exists():
        raise OptionError(f"{run} holds something else than a run; give an empty or new folder")
    shutil.rmtree(run)


def _stored(options: Settled, run: Path) -> Settled | None:
    """Return the config of a run if it differs only in what settling may close differently."""
    if not (run / checkpoint.CONFIG).exists():
        return None
    found = read(run / checkpoint.CONFIG)
    closed = dict(leaves(found))
    same = replace(options, {place: closed[place] for place in budget.SETTLED})
    return found if same == found else None


def draw(generator: Trained, count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """Draw pictures uint8 [count, height, width, channels] of the seeds from 0, and their labels in turn."""
    network, classes = generator.options.network, len(generator.class_names)
    latent = seeds.latents(range(count), network.latent_dim, network.latent_distribution)
    labels = np.arange(count, dtype=np.int64) % classes if classes else None
    return generator.pictures(latent, labels), labels


def images_in(minutes: float, rate: float) -> int:
    """Turn minutes at a number of images per second into a number of images, at least one."""
    return max(1, round(minutes * 60 * rate))
