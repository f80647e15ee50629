"""Settles a config for a data set, a machine and a budget: the width and the batch that suit them."""

from __future__ import annotations

import dataclasses
from typing import Final

import torch

from gan_train import distributed, tasks
from gan_train.config.options import MIN_SIDE, Config
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.data.columns import IMAGE
from gan_train.networks import FAMILIES
from gan_train.planning import device as machine
from gan_train.planning import speeds
from gan_train.planning.speeds import Speeds
from gan_train.runs.progress import Say, silent

# Batches that a budget of minutes may pick; the first one is the batch of all other runs. Half as many
# steps on twice the batch need this many times the images for the same result; see `_batch`.
BATCHES: Final = (64, 128, 256, 512)
BATCH: Final = BATCHES[0]
_WORTH_OF_DOUBLING: Final = 1.5
# The batch of a run that sees fewer images than this: it needs the steps more (docs/figures.md).
SMALL_BATCH: Final = 32
_FEW_IMAGES: Final = 20_000
# A step as long as this keeps the machine busy: a larger one could not be faster by that much.
_BUSY_S: Final = 0.5
# Widths of the default networks that a budget may pick, and how many images make one worth its
# cost; see `images_needed`.
WIDTHS: Final = (8, 12, 16, 24, 32, 48, 64)
_NEEDED_AT_16: Final = 200_000
_GROWTH: Final = 2.0
# What settling closes; a resumed run takes it from its own config.json.
SETTLED: Final = (
    "data.height",
    "data.width",
    "data.channels",
    "data.value_range",
    "network.width",
    "optimizer.batch_size",
    "machine.device",
    "machine.precision",
    "machine.threads",
    "machine.steps",
)


def settle(config: Config, pictures: DataSet, say: Say = silent) -> Settled:
    """Return the config with every open choice closed: by the data, the machine and the budget.

    Args:
        say: is told what was picked, and why.

    Raises:
        OptionError: an option does not suit the task.
    """
    tasks.check_options(config)
    height, width, channels = _sides(pictures)
    data = dataclasses.replace(
        config.data,
        height=height,
        width=width,
        channels=channels,
        sha256=pictures.sha256(),
        value_range=pictures.value_range or config.data.value_range,
    )
    network, optimizer = config.network, config.optimizer
    filled = dataclasses.replace(
        config,
        data=data,
        network=dataclasses.replace(network, width=network.width or FAMILIES[network.family].width),
        optimizer=dataclasses.replace(optimizer, batch_size=optimizer.batch_size or BATCH),
    )
    settled = machine.settle(filled)
    if config.machine.precision == "auto":
        why = machine.why_precision(torch.device(settled.machine.device))
        say(
            f"picked {settled.machine.precision}, {settled.machine.threads} CPU threads: {why}; "
            "--precision and --threads take others"
        )
    if IMAGE in pictures.columns and config.network.family == "resnet" and config.budget.minutes:
        known = Speeds(images_per_second)
        if config.network.width is None:
            settled = _with_width(settled, _width(settled, config.budget.minutes, pictures, known, say))
        if config.optimizer.batch_size is None:
            settled = _with_batch(settled, _batch(settled, config.budget.minutes, pictures, known, say))
        if known.kept:
            say(f"speeds are those measured here before; to measure again, remove {speeds.directory()}")
    return settled


def _sides(data: DataSet) -> tuple[int, int, int]:
    """Return (height, width, channels) of the pictures; without any, the least, which mean nothing then."""
    if IMAGE not in data.columns:
        return MIN_SIDE, MIN_SIDE, 1
    height, width, channels = data.columns[IMAGE].shape
    return height, width, channels


def images_needed(width: int) -> float:
    """Return how many images a run must see for this width to be worth its cost.

    A wider network learns more from each image and sees fewer in the same minutes. On digits, by
    single runs (benchmarks/budget.py), widths 8 and 12 were ahead at half a minute and one and a half,
    and at five all from 8 to 24 lay within 12 %; how the number grows with the width is a guess.
    """
    return _NEEDED_AT_16 * float((width / 16) ** _GROWTH)


def _width(settled: Settled, minutes: float, pictures: DataSet, known: Speeds, say: Say) -> int:
    """Measure the machine at rising widths; give the widest that sees enough images in the budget."""
    picked, why = WIDTHS[0], ""
    for width in WIDTHS:
        images = 60 * minutes * known.images_per_second(_with_width(settled, width), pictures)
        enough = images >= images_needed(width)
        text = f"width {width} sees about {images:,.0f} images in {minutes:g} min here"
        if not enough and why:
            why = f"{why}; {text}, fewer than the {images_needed(width):,.0f} it is worth"
            break
        picked, why = width, f"picked width {width}: {text}"
        if not enough:
            break
    say(f"{why}; --width takes another")
    return picked


def _batch(settled: Settled, minutes: float, pictures: DataSet, known: Speeds, say: Say) -> int:
    """Return a small batch to few images; else double it while that is worth the steps it costs.

    A processor is as fast on small batches as on large ones, and stays at the first one; a GPU, which
    spends a small step mostly on launching kernels, does not.
    """
    picked, rate = BATCH, known.images_per_second(settled, pictures)
    images = 60 * minutes * rate
    if images < _FEW_IMAGES and SMALL_BATCH % distributed.size() == 0:
        say(
            f"picked batch {SMALL_BATCH}: of about {images:,.0f} images, fewer than {_FEW_IMAGES:,}, "
            "more and smaller steps make more; --batch-size takes another"
        )
        return SMALL_BATCH
    if picked / rate > _BUSY_S:
        say(
            f"picked batch {picked}: a step takes {picked / rate:.1f} s, which larger ones would not speed up"
        )
        return picked
    why = ""
    for batch in BATCHES[1:]:
        faster = known.images_per_second(_with_batch(settled, batch), pictures) / rate
        why = f"batch {batch} sees {faster:.2f} times the images"
        if faster < _WORTH_OF_DOUBLING:
            why = f"{why}, fewer than the {_WORTH_OF_DOUBLING:g} times that make up for half the steps"
            break
        picked, rate = batch, rate * faster
    say(f"picked batch {picked}: {why}; --batch-size takes another")
    return picked


def _with_width(config: Settled, width: int) -> Settled:
    return dataclasses.replace(config, network=dataclasses.replace(config.network, width=width))


def _with_batch(config: Settled, batch: int) -> Settled:
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, batch_size=batch))


def images_per_second(config: Settled, pictures: DataSet) -> float:
    """Measure how fast a settled config trains here, its share of penalties included."""
    device = torch.device(config.machine.device)
    images = config.optimizer.images_per_step
    plain = machine.seconds_per_step(config, pictures, device)
    loss = config.loss
    if loss.r1_gamma + loss.r2_gamma + loss.gradient_penalty == 0:
        return images / plain
    penalised = machine.seconds_per_step(config, pictures, device, costly=True)
    share = 1 / loss.penalty_interval
    return images / (plain * (1 - share) + penalised * share)
