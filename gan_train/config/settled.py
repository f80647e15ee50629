"""The options of a run with every open choice closed; networks and steps are made from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from gan_infer.errors import OptionError
from gan_train.config import options
from gan_train.config.options import (
    MAX_SIDE,
    MIN_SIDE,
    Config,
    DataOptions,
    MachineOptions,
    NetworkOptions,
    OptimizerOptions,
    option,
)


@dataclasses.dataclass(frozen=True)
class SettledData(DataOptions):
    """Which pictures, with their size."""

    height: int = option(MIN_SIDE, MIN_SIDE, MAX_SIDE)
    width: int = option(MIN_SIDE, MIN_SIDE, MAX_SIDE)
    channels: int = option(1, one_of=(1, 3, 4))


@dataclasses.dataclass(frozen=True)
class SettledNetwork(NetworkOptions):
    """The networks, with their width."""

    width: int = option(1, 1, 4096)


@dataclasses.dataclass(frozen=True)
class SettledOptimizer(OptimizerOptions):
    """Adam and its schedule, with the batch."""

    batch_size: int = option(2, 2, 65536)

    @property
    def images_per_step(self) -> int:
        """Real pictures that one step of the loop takes."""
        return self.batch_size * self.discriminator_steps


@dataclasses.dataclass(frozen=True)
class SettledMachine(MachineOptions):
    """Where and how it runs; nothing is `auto` any more."""

    precision: str = option("fp32", one_of=("fp32", "bf16"))
    steps: str = option("eager", one_of=("eager", "compiled", "graphed"))


@dataclasses.dataclass(frozen=True)
class Settled(Config):
    """A whole run, as its `config.json` has it."""

    data: SettledData = SettledData()
    network: SettledNetwork = SettledNetwork()
    optimizer: SettledOptimizer = SettledOptimizer()
    machine: SettledMachine = SettledMachine()


# What the networks and the steps of a run are made from.
_NEEDED: Final = (
    *("data.height", "data.width", "data.channels", "network.width", "optimizer.batch_size"),
    *("machine.device", "machine.precision", "machine.steps"),
)


def close(config: Config) -> Settled:
    """Return a config in which no choice is open.

    Raises:
        OptionError: an option is still open.
    """
    values = dict(options.leaves(config))
    still_open = [place for place in _NEEDED if values[place] in (None, "auto")]
    if config.budget.minutes is None and config.budget.images is None:
        still_open.append("budget.images")
    if still_open:
        raise OptionError(f"option {still_open[0]} is not settled, as it is in a run")
    return options.from_tree(dataclasses.asdict(config), Settled)


def read(path: Path) -> Settled:
    """Read the `config.json` of a run.

    Raises:
        OptionError: as `options.read`; or an option was left open.
    """
    config = options.read(path)
    try:
        return close(config)
    except OptionError as error:
        raise OptionError(
            f"{path}: {error}; restore the file, or give another --out to start a new run"
        ) from None
