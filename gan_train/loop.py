"""train(config, pictures, run): the whole of a run from settled options to the last checkpoint.

It knows neither the command line nor the screen: a `Watcher` is told how the run goes, and may
ask it to stop.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any, Final

import torch

from gan_infer import files, images, latents
from gan_infer.errors import TrainingError
from gan_train import checkpoint, ema, machine, seeding, state
from gan_train.batches import Batches
from gan_train.checkpoint import Checkpoint
from gan_train.config import Config, OptimizerOptions
from gan_train.data import PictureSet
from gan_train.networks import Condition
from gan_train.reports import html, sheet
from gan_train.reports.status import Status, Watcher
from gan_train.step import Outcome, Players, make_players, step

# A line of the log is the mean over about so many images.
_LOG_IMAGES: Final = 4096
_WHAT_TO_TRY: Final = (
    "checkpoints from before are kept; train in another --out with a lower --learning-rate, "
    "or in --precision fp32"
)


def train(config: Config, pictures: PictureSet, run: Path, watcher: Watcher) -> bool:
    """Train to the end of the budget, or until the watcher asks to stop; resume what is there.

    Args:
        config: settled, see `machine.settle`.
        run: the run's folder, with `config.json` already in it.

    Returns:
        True where the run is complete, False where it was stopped before.

    Raises:
        TrainingError: a loss or a weight is no longer finite; checkpoints stay as they were.
    """
    # Players, from the seed or from the newest checkpoint.
    device = torch.device(config.machine.device)
    shape = machine.shape_of(pictures)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(config.seed, "weights"))
        players = make_players(config, shape, device)
    resumed, troubles = checkpoint.load_newest(run)
    for trouble in troubles:
        watcher.note(f"{trouble}; going back to the checkpoint before")
    seen, seconds = 0, 0.0
    if resumed is not None:
        state.restore(players, resumed.tensors)
        seen, seconds = resumed.facts["images_seen"], resumed.facts["seconds"]
        watcher.note(f"resuming {run} at {seen:,} images")
    log = _Log(run / checkpoint.LOG, seen, config.optimizer.batch_size)

    # What the run depends on besides.
    network, optimizer = config.network, config.optimizer
    batch_size = optimizer.batch_size
    batches = Batches(
        pictures, batch_size, network.latent_dim, network.latent_distribution, config.seed, device
    )
    clock = _Clock(config, seconds)
    pending: list[Outcome] = []
    tick = math.floor(clock.progress(seen) * config.reports) + 1

    # The game.
    while (progress := clock.progress(seen)) < 1.0 and not watcher.stop_asked():
        index = seen // batch_size
        rate = learning_rate(optimizer, progress)
        outcome = step(
            players,
            config.loss,
            batches.at(seen),
            learning_rate=rate,
            average_weight=ema.decay(
                batch_size, seen + batch_size, optimizer.ema_half_life_images, optimizer.ema_ramp
            ),
            penalise=index % config.loss.penalty_interval == 0,
            bf16=config.machine.precision == "bf16",
        )
        pending.append(outcome)
        seen += batch_size

        # Say how it stands.
        if seen % max(batch_size, _LOG_IMAGES // batch_size * batch_size) == 0:
            log.add(watcher, pending, clock, seen, rate)

        # Show and keep it.
        if (progress := clock.progress(seen)) * config.reports >= tick:
            tick = math.floor(progress * config.reports) + 1
            log.add(watcher, pending, clock, seen, rate)
            _save(run, config, pictures, players, clock, seen, watcher)

    # The end, or a stop on request.
    log.add(watcher, pending, clock, seen, learning_rate(optimizer, clock.progress(seen)))
    if checkpoint.names(run)[-1:] != [f"{seen:012d}"] and seen > 0:
        _save(run, config, pictures, players, clock, seen, watcher)
    return clock.progress(seen) >= 1.0


def learning_rate(optimizer: OptimizerOptions, progress: float) -> float:
    """Give the learning rate at a fraction of the run: a linear warm-up, times a half cosine.

    The cosine falls from `learning_rate` at 0 to `final_learning_rate` at 1.
    """
    high, low = optimizer.learning_rate, optimizer.final_learning_rate
    fallen = low + (high - low) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0)))
    # Never quite 0, so that the first step of a run does something.
    warm = min(1.0, max(progress, 1e-3) / optimizer.warmup) if optimizer.warmup > 0 else 1.0
    return fallen * warm


class _Clock:
    """Turns images and seconds into the fraction of the run that is done."""

    def __init__(self, config: Config, seconds_before: float) -> None:
        self._budget = config.budget
        self._before = seconds_before
        self._start = time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start

    def progress(self, images_seen: int) -> float:
        if self._budget.images is not None:
            return images_seen / self._budget.images
        assert self._budget.minutes is not None
        return self.seconds() / (60.0 * self._budget.minutes)


class _Log:
    """Writes log.jsonl; on resume, lines from after the checkpoint are dropped."""

    def __init__(self, path: Path, images_seen: int, batch_size: int) -> None:
        self._path, self._batch_size = path, batch_size
        self._images, self._time = images_seen, time.monotonic()
        kept = [line for line in html.read_log(path) if line["images_seen"] <= images_seen]
        files.write(path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def add(self, watcher: Watcher, pending: list[Outcome], clock: _Clock, seen: int, rate: float) -> None:
        if not pending:
            return
        means = _means(pending, seen // self._batch_size)
        pending.clear()
        now = time.monotonic()
        speed = (seen - self._images) / max(now - self._time, 1e-9)
        self._images, self._time = seen, now
        progress, seconds = clock.progress(seen), clock.seconds()
        left = seconds / max(progress, 1e-9) * (1.0 - progress)
        status = Status(seen, progress, seconds, speed, max(0.0, left), rate, **means)
        with self._path.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(status)) + "\n")
        watcher.status(status)


def _means(pending: list[Outcome], steps_done: int) -> dict[str, float]:
    """Give the mean of each figure; this is where the device is waited for.

    Raises:
        TrainingError: names the network and the step whose loss is not finite.
    """
    names = [field.name for field in dataclasses.fields(Outcome)]
    table = torch.stack([torch.stack([getattr(o, name) for name in names]) for o in pending]).cpu()
    for row, values in enumerate(table.tolist()):
        for name, value in zip(names, values, strict=True):
            if not math.isfinite(value):
                raise TrainingError(
                    f"the {name.replace('_', ' ')} became {value} at step "
                    f"{steps_done - len(pending) + row + 1:,}; {_WHAT_TO_TRY}"
                )
    return dict(zip(names, table.double().mean(0).tolist(), strict=True))


def _save(
    run: Path,
    config: Config,
    pictures: PictureSet,
    players: Players,
    clock: _Clock,
    seen: int,
    watcher: Watcher,
) -> None:
    """Write a checkpoint, a sample sheet and the report; refuse weights that are not finite."""
    broken = state.first_non_finite(players)
    if broken is not None:
        raise TrainingError(
            f"a weight of the {broken} is no longer finite at step "
            f"{seen // config.optimizer.batch_size:,}; {_WHAT_TO_TRY}"
        )
    network, device = config.network, torch.device(config.machine.device)
    classes = len(pictures.class_names)
    if ema.has_statistics(players.average):
        recalibrate(config, players, classes)
    facts = {
        "images_seen": seen,
        "seconds": clock.seconds(),
        "data": describe_data(pictures),
        "machine": machine.describe(),
    }
    checkpoint.save(run, Checkpoint(state.tensors(players), facts))
    picture = sheet.draw(players.average, network.latent_dim, network.latent_distribution, classes, device)
    path = run / checkpoint.SAMPLES / f"{seen:012d}.png"
    images.save(picture, path)
    watcher.sheet(path)
    files.write(run / checkpoint.REPORT, html.render(run, config).encode())


def recalibrate(config: Config, players: Players, classes: int) -> None:
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
    """Give what export writes about the data into the model file."""
    return {
        "name": pictures.name,
        "pictures": len(pictures),
        "class_names": list(pictures.class_names),
        "licence": pictures.licence,
        "preparation": pictures.preparation,
    }
