"""Settles a config for a data set, a machine and a budget: the width and the batch that suit them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from gan_train import machine
from gan_train.config import Config
from gan_train.data import PictureSet
from gan_train.networks import FAMILIES

BATCH: Final = 64


# What settling closes; a resumed run takes it from its own config.json.
SETTLED: Final = (
    "data.height",
    "data.width",
    "data.channels",
    "network.width",
    "optimizer.batch_size",
    "machine.device",
    "machine.precision",
    "machine.threads",
    "machine.steps",
)


def _silent(text: str) -> None:
    pass


def settle(config: Config, pictures: PictureSet, say: Callable[[str], None] = _silent) -> Config:
    """Give the config with every open choice closed: by the data, the machine and the budget.

    Args:
        say: is told what was picked, and why.
    """
    data = dataclasses.replace(
        config.data,
        height=pictures.height,
        width=pictures.width,
        channels=pictures.channels,
        sha256=pictures.sha256(),
    )
    network = dataclasses.replace(
        config.network, width=config.network.width or FAMILIES[config.network.family].width
    )
    optimizer = dataclasses.replace(config.optimizer, batch_size=config.optimizer.batch_size or BATCH)
    filled = dataclasses.replace(config, data=data, network=network, optimizer=optimizer)
    return machine.settle(filled, pictures)


def images_a_second(config: Config, pictures: PictureSet) -> float:
    """Measure how fast a settled config trains here, penalties apart, for about a second."""
    device = torch.device(config.machine.device)
    assert config.optimizer.batch_size is not None
    images = config.optimizer.batch_size * config.optimizer.discriminator_steps
    return images / machine.seconds_a_step(config, pictures, device)
