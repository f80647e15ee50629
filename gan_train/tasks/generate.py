"""One step of each player: what is computed on one batch; it knows no schedules and no files."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_train import distributed
from gan_train.config.options import policies
from gan_train.config.settled import Settled
from gan_train.networks import FAMILIES, Condition, ConditionSpec, Verdict, ema, judge, make_pictures
from gan_train.objectives import penalties
from gan_train.objectives.adversarial import LOSSES
from gan_train.objectives.augment import adapted, augment
from gan_train.tasks.figures import LOSS, SCORE, SHARE, Figure

FIGURES: Final = (
    Figure("generator_loss", "generator", LOSS, "generator"),
    Figure("discriminator_loss", "discriminator", LOSS, "discriminator"),
    Figure("belief_in_real", "real pictures", SCORE, "discriminator", of_real=True),
    Figure("belief_in_fake", "generated pictures", SCORE, "discriminator", of_real=False),
    Figure("augment_strength", "strength of augmentation", SHARE),
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the data asks of the networks: sides in pixels, channels, and classes (0 for none)."""

    height: int
    width: int
    channels: int
    classes: int


@dataclasses.dataclass
class Players:
    """Both networks, the generator's running average, their optimisers, the augmentation's strength."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    strength: Tensor


def condition_spec(config: Settled, classes: int) -> ConditionSpec:
    """Return how labels enter the networks of a run on data with so many classes."""
    condition = config.condition
    if condition.generator == "none":
        return ConditionSpec()
    return ConditionSpec(classes, condition.generator, condition.discriminator)


def make_generator(config: Settled, shape: Shape) -> nn.Module:
    """Make a fresh generator for a settled config."""
    network = config.network
    size, spec = (shape.height, shape.width), condition_spec(config, shape.classes)
    make = FAMILIES[network.family].generator
    return make(size, shape.channels, network.width, network.latent_dim, spec)


def make_discriminator(config: Settled, shape: Shape) -> nn.Module:
    """Make a fresh discriminator for a settled config."""
    network = config.network
    size, spec = (shape.height, shape.width), condition_spec(config, shape.classes)
    discriminator = FAMILIES[network.family].discriminator(size, shape.channels, network.width, spec)
    if network.spectral_norm:
        for module in list(discriminator.modules()):
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
                spectral_norm(module)
        # The label's embedding is then no longer than 1, and needs no dividing.
        discriminator.head.scale = 1.0  # type: ignore[union-attr]
    return discriminator


def make_players(config: Settled, shape: Shape, device: torch.device) -> Players:
    """Make fresh networks and optimisers; weights come from torch's default generator."""
    optimizer = config.optimizer
    generator, discriminator = make_generator(config, shape), make_discriminator(config, shape)
    # channels_last is what the convolutions of oneDNN and cuDNN run fastest on.
    generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    discriminator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    betas = (optimizer.beta1, optimizer.beta2)

    def adam(network: nn.Module) -> torch.optim.Adam:
        if config.machine.steps == "graphed":
            # A graph replays what it recorded: what changes from step to step must be a tensor.
            rate = torch.tensor(optimizer.learning_rate, device=device)
            return torch.optim.Adam(network.parameters(), rate, betas, capturable=True)
        return torch.optim.Adam(network.parameters(), optimizer.learning_rate, betas)

    strength = torch.tensor(config.augment.strength, device=device)
    return Players(generator, discriminator, average, adam(generator), adam(discriminator), strength)


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch for both steps: this process's share of it.

    Attributes:
        real: uint8 [batch, channels, height, width].
        condition: of the real pictures, and what the fakes are made under.
        mismatch: another than the real picture's own, at random.
        latents: float32 [2, batch, latent_dim], the discriminator's first.
        draws: float32 [3, batch, augment.DRAWS] in [0, 1), for the real pictures, the
            discriminator's fakes and the generator's.
        mix: float32 [batch] in [0, 1), see `penalties.distance_from_one`.
    """

    real: Tensor
    condition: Condition
    mismatch: Condition
    latents: Tensor
    draws: Tensor
    mix: Tensor


@dataclasses.dataclass(frozen=True)
class Controls:
    """What changes from step to step; tensors where the step is replayed from a graph.

    Attributes:
        learning_rate: of both players.
        average_weight: of the old average, see `ema.decay`.
        strength_step: see `augment.adapted`.
        penalise: for each of the discriminator's batches, whether the penalties are taken.
    """

    learning_rate: float | Tensor
    average_weight: float | Tensor
    strength_step: float | Tensor
    penalise: tuple[bool, ...]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one step of each player gave: scalars on the device, read only when they are needed."""

    generator_loss: Tensor
    discriminator_loss: Tensor
    belief_in_real: Tensor
    belief_in_fake: Tensor
    augment_strength: Tensor


def step(players: Players, config: Settled, batches: Sequence[Batch], controls: Controls) -> Outcome:
    """Teach the discriminator on each batch, then the generator on the last; move the average.

    Under bfloat16 forward and backward passes are computed in it where that is safe; weights,
    losses, penalties and optimisers stay float32.
    """
    for optimizer in (players.discriminator_optimizer, players.generator_optimizer):
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].copy_(torch.as_tensor(controls.learning_rate))
            else:
                group["lr"] = controls.learning_rate
    for batch, penalise in zip(batches, controls.penalise, strict=True):
        told = _discriminator_step(players, config, batch, penalise, controls.strength_step)
    generator_loss = _generator_step(players, config, batches[-1])
    ema.update(players.average, players.generator, controls.average_weight)
    return Outcome(generator_loss, *told, players.strength.clone())


def _discriminator_step(
    players: Players, config: Settled, batch: Batch, penalise: bool, strength_step: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Teach the discriminator; give its loss and both its beliefs, from before the update."""
    loss, game = config.loss, LOSSES[config.loss.name]
    policy = policies(config.augment)
    real, device = to_range(batch.real), batch.real.device
    with torch.no_grad(), _precision(config, device):
        fake = make_pictures(players.generator, batch.latents[0], batch.condition).float()
    real = augment(real, batch.draws[0], players.strength, policy)
    fake = augment(fake, batch.draws[1], players.strength, policy)
    players.discriminator_optimizer.zero_grad(set_to_none=True)
    with _precision(config, device):
        on_real, on_fake = _judge_both(players.discriminator, real, fake, batch.condition)
    value = game.discriminator(on_real.logits, on_fake.logits)
    total = value + config.condition.auxiliary_weight * (
        _mistakes(on_real, batch.condition) + _mistakes(on_fake, batch.condition)
    )
    if config.condition.mismatch_weight > 0 and config.condition.discriminator == "projection":
        total = total + config.condition.mismatch_weight * _mismatch(players.discriminator, on_real, batch)
    if penalise:  # in float32: squared gradients of gradients lose too much in bfloat16
        for gamma, pictures in ((loss.r1_gamma, real), (loss.r2_gamma, fake)):
            if gamma > 0:
                norm = penalties.squared_norm(players.discriminator, pictures, batch.condition)
                total = total + gamma / 2 * loss.penalty_interval * norm
        if loss.gradient_penalty > 0:
            distance = penalties.distance_from_one(
                players.discriminator, real, fake, batch.mix, batch.condition
            )
            total = total + loss.gradient_penalty * loss.penalty_interval * distance
    total.backward()  # type: ignore[no-untyped-call]
    distributed.average_gradients(players.discriminator.parameters())
    players.discriminator_optimizer.step()
    with torch.no_grad():
        logits = on_real.logits, on_fake.logits
        if config.augment.target is not None:
            right = torch.sign(logits[0] - logits[1] if game.relative else logits[0]).mean()
            players.strength.copy_(
                adapted(players.strength, distributed.mean(right), config.augment.target, strength_step)
            )
        return value.detach(), game.belief_in_real(*logits), game.belief_in_fake(*logits)


def _generator_step(players: Players, config: Settled, batch: Batch) -> Tensor:
    """Teach the generator; give its loss from before the update."""
    game, policy = LOSSES[config.loss.name], policies(config.augment)
    players.discriminator.requires_grad_(False)
    players.generator_optimizer.zero_grad(set_to_none=True)
    with _precision(config, batch.real.device):
        fake = make_pictures(players.generator, batch.latents[1], batch.condition)
        fake = augment(fake, batch.draws[2], players.strength, policy)
        verdict = judge(players.discriminator, fake, batch.condition)
        real_logits = verdict.logits.detach()
        if game.pairs_real:
            with torch.no_grad():
                real = augment(to_range(batch.real), batch.draws[0], players.strength, policy)
                real_logits = judge(players.discriminator, real, batch.condition).logits
    value = game.generator(real_logits, verdict.logits)
    total = value + config.condition.auxiliary_weight * _mistakes(verdict, batch.condition)
    total.backward()  # type: ignore[no-untyped-call]
    distributed.average_gradients(players.generator.parameters())
    players.generator_optimizer.step()
    players.discriminator.requires_grad_(True)
    return value.detach()


def to_range(pictures: Tensor) -> Tensor:
    """Map levels 0..255 of uint8 pictures to float32 in [-1, 1]."""
    return (pictures.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def _judge_both(
    discriminator: nn.Module, real: Tensor, fake: Tensor, condition: Condition
) -> tuple[Verdict, Verdict]:
    if ema.has_statistics(discriminator):  # batch statistics must not mix the two
        return judge(discriminator, real, condition), judge(discriminator, fake, condition)
    return judge(discriminator, torch.cat([real, fake]), condition.repeat(2)).split(len(real))


def _mismatch(discriminator: nn.Module, on_real: Verdict, batch: Batch) -> Tensor:
    """Return the loss of taking real pictures under another label for real, 0 without labels.

    The matching-aware discriminator of Reed et al. (ICML 2016), section 4.2. With a projection head
    only the head is computed again.
    """
    if batch.mismatch.label is None:
        return on_real.logits.new_zeros(())
    head: nn.Module = discriminator.head  # type: ignore[assignment]
    verdict: Verdict = head(on_real.features, batch.mismatch)
    return F.softplus(verdict.logits).mean()


def _mistakes(verdict: Verdict, condition: Condition) -> Tensor:
    """Return the auxiliary classifier's cross-entropy (Odena et al. 2017, equation 3), 0 without one."""
    if verdict.classes is None or condition.label is None:
        return verdict.logits.new_zeros(())
    return F.cross_entropy(verdict.classes, condition.label)


def _precision(config: Settled, device: torch.device) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16, enabled=config.machine.precision == "bf16")
