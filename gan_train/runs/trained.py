"""The networks out of a run's checkpoint, ready for use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils import parametrize

from gan_infer.errors import OptionError
from gan_train import tasks
from gan_train.config import settled
from gan_train.config.settled import Settled
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.networks import pixels
from gan_train.networks.deployment import Deployment
from gan_train.networks.sampler import Sampler
from gan_train.runs import checkpoint
from gan_train.runs.progress import Say, silent
from gan_train.tasks import Task, state


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's averaged generator, in eval mode on the CPU.

    Attributes:
        options: the run's own.
        facts: what the checkpoint says of itself: images seen, the data, the machine.
        class_names: by index; empty for an unconditional generator.
    """

    options: Settled
    facts: Mapping[str, Any]
    class_names: tuple[str, ...]
    generator: nn.Module

    def sampler(self, truncation: float = 1.0) -> Sampler:
        """Return what draws the pictures of seeds."""
        network = self.options.network
        return Sampler(
            self.generator,
            network.latent_dim,
            network.latent_distribution,
            len(self.class_names),
            truncation=truncation,
        )

    def pictures(
        self, latent: npt.NDArray[np.float32], given: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Return uint8 [n, height, width, channels] of latents [n, latent_dim] and classes [n]."""
        classes = None if given is None else torch.from_numpy(given)
        return pixels.draw(self.generator, torch.from_numpy(latent), classes)


def load(run: Path, which: str = "best", say: Say = silent) -> Trained:
    """Load the averaged generator of a run.

    Args:
        which: "best", "last", or a checkpoint's name.
        say: prints a note if another checkpoint had to be used.

    Raises:
        OptionError: the folder holds no whole run, or no such checkpoint.
    """
    options, saved, names, task = _read(run, which, say)
    generator = task.make_network("average")
    state.load_network(generator, saved.tensors, "average")
    return Trained(options, saved.facts, names, generator.eval())


def deploy(run: Path, which: str = "best", truncation: float = 1.0, say: Say = silent) -> Deployment:
    """Load what a run of any task puts into a model file, in eval mode on the CPU.

    Args:
        which: "best", "last", or a checkpoint's name.
        truncation: the factor that scales latents, if there are any.
        say: prints a note if another checkpoint had to be used.

    Raises:
        OptionError: as `load`.
    """
    _, saved, _, task = _read(run, which, say)
    networks = {name: task.make_network(name).eval() for name in task.deployed}
    for name, network in networks.items():
        state.load_network(network, saved.tensors, name)
    return task.deploy(networks, truncation)


def discriminator(run: Path, which: str = "best") -> nn.Module:
    """Load the discriminator of a run, in eval mode on the CPU, its spectral norms folded.

    Args:
        which: "best", "last", or a checkpoint's name.

    Raises:
        OptionError: as `load`.
    """
    _, saved, _, task = _read(run, which)
    made = task.make_network("discriminator")
    state.load_network(made, saved.tensors, "discriminator")
    made.eval()
    for module in list(made.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return made


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
