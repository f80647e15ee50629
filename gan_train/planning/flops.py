"""Counts the parameters and operations of a config before a step is taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_infer.conditions.spec import Free, Input
from gan_train import distributed, tasks
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.networks.deployment import Deployment
from gan_train.planning.device import take_step
from gan_train.tasks.base import Players, Task


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters of each network, and floating-point operations per image.

    A multiplication and an addition are two operations.
    """

    parameters: Mapping[str, int]
    drawing_flops: float
    training_flops: float


def count(config: Settled, pictures: DataSet) -> Cost:
    """Count for a settled config; matrix products and convolutions alone, as is the custom.

    Training is all phases of a step on one image, with the penalties' share.
    """
    device = torch.device(config.machine.device)
    with torch.random.fork_rng(devices=[]):
        players = tasks.make(config, pictures.columns).make_players(device)
    batch_size = config.optimizer.batch_size
    # Operations grow linearly with the pictures: from two small batches follow those of one that may be
    # too large for this machine.
    small = 2 * distributed.size()
    few, more = (_count_operations(players, config, pictures, size) for size in (small, 2 * small))
    drawing, training = (a + (b - a) * (batch_size / small - 1) for a, b in zip(few, more, strict=True))
    return Cost(
        {name: _count_parameters(network) for name, network in players.networks.items()},
        drawing / batch_size,
        training / config.optimizer.images_per_step,
    )


def _count_operations(
    players: Players, config: Settled, pictures: DataSet, batch_size: int
) -> tuple[float, float]:
    """Count the operations of drawing a batch of this size, and of one step on it."""
    smaller = dataclasses.replace(config.optimizer, batch_size=batch_size)
    task = tasks.make(dataclasses.replace(config, optimizer=smaller), pictures.columns)
    device = torch.device(config.machine.device)
    batch, phases = task.batches(device).at(0), task.phases(players)
    with _Counter() as drawing, torch.no_grad():
        deployment = _deploy(task, players)
        given = (each for each in deployment.inputs if not each.optional)
        deployment.module(*(_example(each, batch_size, device) for each in given))
    steps = {}
    for costly in (False, True):
        with _Counter() as counter:
            take_step(phases, batch, costly)
        steps[costly] = counter.total
    share = 1 / max(phase.interval for phase in phases)
    return drawing.total, steps[True] * share + steps[False] * (1 - share)


def _deploy(task: Task, players: Players) -> Deployment:
    networks = {**players.networks, **players.averages}
    return task.deploy({name: networks[name] for name in task.deployed})


def _example(given: Input, batch_size: int, device: torch.device) -> torch.Tensor:
    """Return zeros of an input's type and shape, its free sides as small as allowed."""
    sides = (side.low if isinstance(side, Free) else side for side in given.shape)
    return torch.zeros((batch_size, *sides), dtype=getattr(torch, given.dtype), device=device)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations of what runs under it.

    torch's own FlopCounterMode follows modules by hooks, which the penalties' gradients do not admit.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        count_flops = flop_registry.get(func.overloadpacket)
        if count_flops is not None:
            self.total += int(count_flops(*args, **kwargs, out_val=result))
        return result


def _count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
