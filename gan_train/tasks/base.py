"""What a task is: what a run trains, step by step, and what it shows and deploys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan_train.config.options import Config
from gan_train.config.settled import Settled
from gan_train.data.batches import Batch, Batches
from gan_train.data.columns import Column
from gan_train.networks.deployment import Deployment
from gan_train.tasks.figures import Figure


@dataclasses.dataclass
class Players:
    """All that the steps of a run change. Names are those of a checkpoint's tensors.

    Attributes:
        networks: that are trained; a tensor of one is stored as "NAME.PARAMETER".
        averages: running averages of networks, stored likewise.
        optimizers: by the name of the network that each trains; stored as "NAME_optimizer.PARAMETER.ITEM".
        buffers: tensors of no network, stored by their names.
    """

    networks: dict[str, nn.Module]
    averages: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    buffers: dict[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Controls:
    """What changes from step to step; tensors where a phase is replayed from a graph.

    Attributes:
        learning_rate: of every optimizer.
        average_weight: of the old average, see `ema.decay`.
        share: the part of the run that this step is.
    """

    learning_rate: float | Tensor
    average_weight: float | Tensor
    share: float | Tensor


# (batch, controls, whether its costly part is due) -> scalars on the device, by a figure's name.
Run = Callable[[Batch, Controls, bool], Mapping[str, Tensor]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """One part of a step: some networks learn from one batch.

    Attributes:
        networks: that it trains, by name.
        run: does it, and gives figures.
        batch: which batch of the step it takes, from 0.
        interval: its costly part (penalties) is due on every so many-th batch of the run.
    """

    name: str
    networks: tuple[str, ...]
    run: Run
    batch: int = 0
    interval: int = 1


class Drawer(Protocol):
    """Draws what seeds name, the same in every report of a run."""

    @property
    def classes(self) -> int:
        """How many classes can be given, 0 for none."""
        ...

    def draw(self, seeds: Any, given: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """Return the outputs of seeds, [n, ...], as a model file gives them.

        Args:
            given: the classes to draw, int64 [n]; None lets each seed choose.
        """
        ...


class Task(Protocol):
    """What a run trains. It is made once from a run's settled options and its columns.

    Attributes:
        choices: options whose values are names in a table: option ("loss.name") to the table.
        needs: the columns that the data must have: name to kind.
        takes: those that it makes use of where they are there.
        conditions: kinds of columns that it takes as conditions besides, whatever their names.
        batches_per_step: batches of the data that one step takes.
        figures: what the phases of a step give, by name.
        deployed: which networks or averages `deploy` needs.
        draws: the kind of output that `drawer` gives.
        scored: whether `gan_train.metrics` can score what `drawer` draws against the data.
        critic: the network that can become a critic file, since it judges single pictures; "" for none.
        teaches_when_sure: see `loss.Loss`.
    """

    choices: ClassVar[Mapping[str, Collection[str]]]
    needs: ClassVar[Mapping[str, str]]
    takes: ClassVar[Mapping[str, str]]
    conditions: ClassVar[Collection[str]]
    batches_per_step: int
    figures: tuple[Figure, ...]
    deployed: tuple[str, ...]
    draws: str
    scored: bool
    critic: str
    teaches_when_sure: bool

    def __init__(self, config: Settled, columns: Mapping[str, Column]) -> None:
        """Take what the task needs of the options and the columns."""

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuse options that are each in range but do not go together for this task.

        Raises:
            OptionError: names them.
        """

    def make_network(self, name: str) -> nn.Module:
        """Make a fresh network, or one to hold an average; weights come from torch's default generator."""
        ...

    def make_players(self, device: torch.device) -> Players:
        """Make fresh networks and optimizers; weights come from torch's default generator."""
        ...

    def phases(self, players: Players) -> tuple[Phase, ...]:
        """Return the parts of a step in their order."""
        ...

    def batches(self, device: torch.device) -> Batches:
        """Return what draws batches of the columns."""
        ...

    def recalibrate(self, players: Players) -> None:
        """Bring what averaged weights make wrong (batch statistics) up to date, before a report."""
        ...

    def drawer(self, players: Players) -> Drawer | None:
        """Return what draws sheets and samples of these players; None where there is nothing to show."""
        ...

    def deploy(self, networks: Mapping[str, nn.Module], truncation: float = 1.0) -> Deployment:
        """Return what goes into a model file, of the networks named in `deployed`.

        Args:
            truncation: what latents are scaled by, where there are any.
        """
        ...
