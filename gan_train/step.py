"""One step of each player: what is computed on one batch; it knows no schedules and no files."""

from __future__ import annotations

import contextlib
import copy
import dataclasses

import torch
from torch import Tensor, nn

from gan_train import ema
from gan_train.config import Config, LossOptions
from gan_train.losses import LOSSES
from gan_train.networks import (
    FAMILIES,
    Condition,
    ConditionSpec,
    judge,
    make_pictures,
)
from gan_train.penalties import gradient_norm


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the data asks of the networks: sides in pixels, channels, and classes (0 for none)."""

    height: int
    width: int
    channels: int
    classes: int


@dataclasses.dataclass
class Players:
    """Both networks, the generator's running average, and their optimisers."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam


def make_players(config: Config, shape: Shape, device: torch.device) -> Players:
    """Make fresh networks and optimisers; weights come from torch's default generator."""
    network, optimizer = config.network, config.optimizer
    family = FAMILIES[network.family]
    size, spec = (shape.height, shape.width), ConditionSpec(shape.classes)
    generator = family.generator(size, shape.channels, network.width, network.latent_dim, spec)
    discriminator = family.discriminator(size, shape.channels, network.width, spec)
    # channels_last is what the convolutions of oneDNN and cuDNN run fastest on.
    generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    discriminator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    betas = (optimizer.beta1, optimizer.beta2)
    return Players(
        generator,
        discriminator,
        average,
        torch.optim.Adam(generator.parameters(), optimizer.learning_rate, betas),
        torch.optim.Adam(discriminator.parameters(), optimizer.learning_rate, betas),
    )


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch for both steps.

    Attributes:
        real: uint8 [batch, channels, height, width].
        condition: of the real pictures, and what the fakes are made under.
        latents: float32 [2, batch, latent_dim], the discriminator's first.
    """

    real: Tensor
    condition: Condition
    latents: Tensor


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one step of each player gave: scalars on the device, read only when they are needed."""

    generator_loss: Tensor
    discriminator_loss: Tensor
    belief_in_real: Tensor
    belief_in_fake: Tensor


def to_range(pictures: Tensor) -> Tensor:
    """Map levels 0..255 of uint8 pictures to float32 in [-1, 1]."""
    return (pictures.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def discriminator_step(
    players: Players, loss: LossOptions, batch: Batch, *, penalise: bool, bf16: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Teach the discriminator on one batch.

    Returns:
        its loss, its belief in the real and in the fake pictures, before the update.
    """
    game = LOSSES[loss.name]
    real = to_range(batch.real)
    count = len(real)
    with torch.no_grad(), _precision(real.device, bf16):
        fake = make_pictures(players.generator, batch.latents[0], batch.condition).float()
    players.discriminator_optimizer.zero_grad(set_to_none=True)
    with _precision(real.device, bf16):
        if ema.has_statistics(players.discriminator):  # batch statistics must not mix the two
            real_logits = judge(players.discriminator, real, batch.condition)
            fake_logits = judge(players.discriminator, fake, batch.condition)
        else:
            both = judge(players.discriminator, torch.cat([real, fake]), _doubled(batch.condition))
            real_logits, fake_logits = both[:count], both[count:]
    real_logits, fake_logits = real_logits.float(), fake_logits.float()
    value = game.discriminator(real_logits, fake_logits)
    penalty = torch.zeros((), device=value.device)
    if penalise:  # in float32: squared gradients of gradients lose too much in bfloat16
        for gamma, pictures in ((loss.r1_gamma, real), (loss.r2_gamma, fake)):
            if gamma > 0:
                norm = gradient_norm(players.discriminator, pictures, batch.condition)
                penalty = penalty + gamma / 2 * loss.penalty_interval * norm
    (value + penalty).backward()  # type: ignore[no-untyped-call]
    players.discriminator_optimizer.step()
    with torch.no_grad():
        beliefs = (
            game.belief_in_real(real_logits, fake_logits),
            game.belief_in_fake(real_logits, fake_logits),
        )
    return value.detach(), *beliefs


def generator_step(players: Players, loss: LossOptions, batch: Batch, *, bf16: bool) -> Tensor:
    """Teach the generator on one batch; returns its loss before the update."""
    game = LOSSES[loss.name]
    players.discriminator.requires_grad_(False)
    players.generator_optimizer.zero_grad(set_to_none=True)
    with _precision(batch.real.device, bf16):
        fake = make_pictures(players.generator, batch.latents[1], batch.condition)
        fake_logits = judge(players.discriminator, fake, batch.condition).float()
        real_logits = fake_logits.detach()
        if game.pairs_real:
            with torch.no_grad():
                real_logits = judge(players.discriminator, to_range(batch.real), batch.condition)
    value = game.generator(real_logits.float(), fake_logits)
    value.backward()  # type: ignore[no-untyped-call]
    players.generator_optimizer.step()
    players.discriminator.requires_grad_(True)
    return value.detach()


def step(
    players: Players,
    loss: LossOptions,
    batch: Batch,
    *,
    learning_rate: float,
    average_weight: float,
    penalise: bool,
    bf16: bool,
) -> Outcome:
    """One discriminator step, one generator step, one step of the running average.

    Args:
        learning_rate: of both players.
        average_weight: of the old average, see `ema.decay`.
        penalise: take the penalties in this step.
        bf16: compute forward and backward passes in bfloat16 where that is safe; weights, losses,
            penalties and optimisers stay float32.
    """
    for optimizer in (players.discriminator_optimizer, players.generator_optimizer):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
    discriminator_loss, belief_in_real, belief_in_fake = discriminator_step(
        players, loss, batch, penalise=penalise, bf16=bf16
    )
    generator_loss = generator_step(players, loss, batch, bf16=bf16)
    ema.update(players.average, players.generator, average_weight)
    return Outcome(generator_loss, discriminator_loss, belief_in_real, belief_in_fake)


def _precision(device: torch.device, bf16: bool) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def _doubled(condition: Condition) -> Condition:
    return Condition(None if condition.label is None else condition.label.repeat(2))
