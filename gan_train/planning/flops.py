"""What a config costs before a step is taken: parameters and operations; it measures no time."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_train import distributed
from gan_train.config.settled import Settled
from gan_train.data import PictureSet
from gan_train.data.batches import Batches
from gan_train.networks import make_pictures
from gan_train.planning.device import shape_of
from gan_train.tasks.generate import Controls, Players, make_players, step


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters, and floating-point operations (a multiplication and an addition are two) an image."""

    generator_parameters: int
    discriminator_parameters: int
    generator_flops: float
    training_flops: float


def count(config: Settled, pictures: PictureSet) -> Cost:
    """Count for a settled config; matrix products and convolutions alone, as is the custom.

    Training is both players' steps on one image, with the penalties' share.
    """
    device = torch.device(config.machine.device)
    with torch.random.fork_rng(devices=[]):
        players = make_players(config, shape_of(pictures), device)
    batch_size = config.optimizer.batch_size
    # Operations grow by the same with each picture: two small batches tell those of one that may be too
    # large for this machine.
    small = 2 * distributed.size()
    few, more = (_operations(players, config, pictures, size) for size in (small, 2 * small))
    drawing, training = (a + (b - a) * (batch_size / small - 1) for a, b in zip(few, more, strict=True))
    return Cost(
        _parameters(players.generator),
        _parameters(players.discriminator),
        drawing / batch_size,
        training / config.optimizer.images_a_step,
    )


def _operations(
    players: Players, config: Settled, pictures: PictureSet, batch_size: int
) -> tuple[float, float]:
    """Count those of drawing a batch of this size, and of one step of each player on it."""
    config = dataclasses.replace(
        config, optimizer=dataclasses.replace(config.optimizer, batch_size=batch_size)
    )
    turns = config.optimizer.discriminator_steps
    batch = Batches(pictures, config, torch.device(config.machine.device)).at(0)
    with _Counter() as drawing, torch.no_grad():
        make_pictures(players.generator, batch.latents[0], batch.condition)
    steps = {}
    for penalise in (False, True):
        with _Counter() as counter:
            step(players, config, [batch] * turns, Controls(0.0, 1.0, 0.0, (penalise,) * turns))
        steps[penalise] = counter.total
    share = 1 / config.loss.penalty_interval
    return drawing.total, steps[True] * share + steps[False] * (1 - share)


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


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
