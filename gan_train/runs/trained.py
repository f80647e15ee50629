"""The networks out of a run's checkpoint, ready for use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn
from torch.nn.utils import parametrize

from gan_infer.conditions.spec import LATENT, Output
from gan_infer.errors import OptionError
from gan_train import tasks
from gan_train.config import settled
from gan_train.config.settled import Settled
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.networks.deployment import Deployment
from gan_train.networks.sampler import Sampler
from gan_train.runs import checkpoint
from gan_train.runs.progress import Say, silent
from gan_train.tasks import Task, state


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a run deploys: networks or averages in eval mode on the CPU.

    Attributes:
        options: the run's own.
        facts: what the checkpoint says of itself: images seen, the data, the machine.
        class_names: in the order of their indices; empty for an unconditional model.
        task: the run's.
        networks: those that the task deploys, by name.
    """

    options: Settled
    facts: Mapping[str, Any]
    class_names: tuple[str, ...]
    task: Task
    networks: Mapping[str, nn.Module]

    def deploy(self, truncation: float = 1.0) -> Deployment:
        """Return what becomes a model file; see `Task.deploy`."""
        return self.task.deploy(self.networks, truncation)

    @property
    def generator(self) -> nn.Module:
        """The averaged generator of pictures.

        Raises:
            OptionError: the run makes none.
        """
        if self.task.draws != IMAGE:
            raise OptionError(
                f"the run's task is {self.options.task}, which makes {self.task.draws}, and pictures are "
                "needed here; give a run that makes pictures"
            )
        return self.networks[self.task.deployed[0]]

    def sampler(self, truncation: float = 1.0) -> Sampler:
        """Return what draws the pictures of seeds.

        Raises:
            OptionError: as `generator`.
        """
        network = self.options.network
        return Sampler(
            self.generator,
            network.latent_dim,
            network.latent_distribution,
            len(self.class_names),
            truncation=truncation,
            others=tuple(each for each in self.deploy().inputs if each.kind not in (LATENT, CLASS)),
        )

    def pictures(
        self, latent: npt.NDArray[np.float32], given: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Return uint8 [n, height, width, channels] of latents [n, latent_dim] and classes [n] (or None)."""
        return self.sampler().draw_latents(latent, given)


def load(run: Path, which: str = "best", say: Say = silent) -> Trained:
    """Load what a run deploys.

    Args:
        which: "best", "last", or a checkpoint's name.
        say: prints a note if another checkpoint had to be used.

    Raises:
        OptionError: the folder holds no whole run, or no such checkpoint.
    """
    options, saved, names, task = _read(run, which, say)
    networks = {name: _load_network(task, saved, name) for name in task.deployed}
    return Trained(options, saved.facts, names, task, networks)


def discriminator(run: Path, which: str = "best") -> nn.Module:
    """Load the discriminator of a run, in eval mode on the CPU, its spectral norms folded.

    Args:
        which: "best", "last", or a checkpoint's name.

    Raises:
        OptionError: as `load`; or the run's task has none that judges single pictures.
    """
    options, saved, _, task = _read(run, which)
    if not task.critic:
        raise OptionError(
            f"the run's task is {options.task}, which has no discriminator of pictures to export; "
            "leave out --critic, or give another --run"
        )
    if others := saved.facts["data"].get("columns", {}).keys() - {IMAGE, CLASS}:
        raise OptionError(
            f"the run has {', '.join(sorted(others))} beside pictures and classes, and a critic judges by "
            "pictures and classes alone; leave out --critic, or give another --run"
        )
    made = _load_network(task, saved, task.critic)
    for module in list(made.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return made


def image_shape(output: Output) -> tuple[int, int, int]:
    """Return (height, width, channels) of an output; zeros where it is of no pictures of one size."""
    sides = tuple(side for side in output.shape if isinstance(side, int))
    if output.kind != IMAGE or len(sides) != 3:
        return (0, 0, 0)
    height, width, channels = sides
    return height, width, channels


def _load_network(task: Task, saved: checkpoint.Checkpoint, name: str) -> nn.Module:
    network = task.make_network(name)
    state.load_network(network, saved.tensors, name)
    return network.eval()


def _read(
    run: Path, which: str, say: Say = silent
) -> tuple[Settled, checkpoint.Checkpoint, tuple[str, ...], Task]:
    options = settled.read(run / checkpoint.CONFIG)
    saved = checkpoint.load_named(run, which, say)
    described = saved.facts.get("data", {})
    if missing := {"name", "class_names", "licence", "preparation"} - set(described):
        raise OptionError(
            f"the checkpoint of {run} has no {min(missing)} of its data among its facts: another version "
            "wrote it; use that one"
        )
    names = tuple(described["class_names"])
    names = names if options.condition.generator != "none" else ()
    return options, saved, names, tasks.make(options, _columns_of(options, described, names))


def _columns_of(options: Settled, described: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Column]:
    """Return the columns that a run was trained on, without their values."""
    if "columns" in described:
        return {
            name: Column(
                name, each["kind"], np.empty((0, *each["shape"]), np.dtype(each["dtype"])), each["facts"]
            )
            for name, each in described["columns"].items()
        }
    data = options.data
    shape = (0, data.height, data.width, data.channels)
    columns = {IMAGE: Column(IMAGE, IMAGE, np.empty(shape, np.uint8))}
    if names:
        columns[CLASS] = Column(CLASS, CLASS, np.empty(0, np.int64), {"class_names": names})
    return columns
