"""The task of generating: latents, and a class where the data has them, become pictures like the data's."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import ClassVar, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_infer.conditions.spec import CLASS, IMAGE
from gan_infer.errors import OptionError
from gan_train import distributed
from gan_train.config.options import Config, policies
from gan_train.config.settled import Settled
from gan_train.data.batches import Batch, Batches, Draw, PictureBatches, find_others
from gan_train.data.columns import Column
from gan_train.networks import (
    FAMILIES,
    Condition,
    ConditionSpec,
    DiscriminatorOutput,
    discriminate,
    ema,
    make_pictures,
)
from gan_train.networks.conditioning import KINDS, OutputHead, repeat
from gan_train.networks.deployment import Deployment
from gan_train.networks.pixels import deploy_generator
from gan_train.networks.sampler import Sampler
from gan_train.networks.ways import Given
from gan_train.objectives import penalties
from gan_train.objectives.adversarial import LOSSES
from gan_train.objectives.augment import TRANSFORMS, adapt, augment, count_draws
from gan_train.objectives.loss import Loss
from gan_train.tasks.base import Controls, Phase, Players
from gan_train.tasks.figures import LOSS, SCORE, SHARE, Figure

GENERATOR: Final = "generator"
DISCRIMINATOR: Final = "discriminator"
AVERAGE: Final = "average"
STRENGTH: Final = "augment.strength"

FIGURES: Final = (
    Figure("generator_loss", "generator", LOSS, GENERATOR),
    Figure("discriminator_loss", "discriminator", LOSS, DISCRIMINATOR),
    Figure("belief_in_real", "real pictures", SCORE, DISCRIMINATOR, of_real=True),
    Figure("belief_in_fake", "generated pictures", SCORE, DISCRIMINATOR, of_real=False),
    Figure("augment_strength", "strength of augmentation", SHARE),
)
# The augmentation's strength may cross its whole range in this share of the run.
_STRENGTH_SHARE: Final = 0.2


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the networks are trained towards.

    Attributes:
        game: the adversarial loss.
        policies: see `augment.augment`.
        target: what the augmentation's strength is steered to, see `augment.adapt`; None leaves it.
        r1_gamma, r2_gamma, gradient_penalty: weights of the penalties.
        penalty_interval: they are taken on every so many-th batch, and weighted to make up for it.
        auxiliary_weight: of an auxiliary classifier's mistakes.
        mismatch_weight: of real pictures under another condition that are taken for real.
        bf16: whether forward and backward passes are computed in bfloat16 where that is safe; weights,
            losses, penalties and optimizers stay float32.
    """

    game: Loss
    policies: tuple[str, ...]
    target: float | None
    r1_gamma: float
    r2_gamma: float
    gradient_penalty: float
    penalty_interval: int
    auxiliary_weight: float
    mismatch_weight: float
    bf16: bool

    @classmethod
    def of_config(cls, config: Settled) -> Objective:
        """Return the objective of a run."""
        loss, condition = config.loss, config.condition
        return cls(
            game=LOSSES[loss.name],
            policies=policies(config.augment),
            target=config.augment.target,
            r1_gamma=loss.r1_gamma,
            r2_gamma=loss.r2_gamma,
            gradient_penalty=loss.gradient_penalty,
            penalty_interval=loss.penalty_interval,
            auxiliary_weight=condition.auxiliary_weight,
            mismatch_weight=condition.mismatch_weight if condition.discriminator == "projection" else 0.0,
            bf16=config.machine.precision == "bf16",
        )


class Generate:
    """One generator and one discriminator; see `base.Task`."""

    choices: ClassVar[Mapping[str, Collection[str]]] = {"network.family": FAMILIES, "loss.name": LOSSES}
    needs: ClassVar[Mapping[str, str]] = {IMAGE: IMAGE}
    takes: ClassVar[Mapping[str, str]] = {CLASS: CLASS}
    conditions: ClassVar[Collection[str]] = KINDS
    figures: tuple[Figure, ...] = FIGURES
    deployed: tuple[str, ...] = (AVERAGE,)
    draws = IMAGE
    scored = True
    critic = DISCRIMINATOR

    def __init__(self, config: Settled, columns: Mapping[str, Column]) -> None:
        """Take what the task needs of the options and the columns: "image", and all conditions there are."""
        conditional = CLASS in columns and config.condition.generator != "none"
        self._others = find_others(columns) if config.condition.generator != "none" else ()
        height, width, channels = columns[IMAGE].shape
        self.class_names: tuple[str, ...] = tuple(columns[CLASS].facts["class_names"]) if conditional else ()
        self.batches_per_step = config.optimizer.discriminator_steps
        self._columns = columns
        self._size, self._channels = (height, width), channels
        self._network, self._optimizer = config.network, config.optimizer
        self._strength = config.augment.strength
        self._graphed = config.machine.steps == "graphed"
        self._objective = Objective.of_config(config)
        self.teaches_when_sure = self._objective.game.teaches_when_sure
        self._draw = Draw(
            batch_size=config.optimizer.batch_size,
            seed=config.seed,
            flip=config.augment.flip,
            conditional=conditional,
            latent_dim=config.network.latent_dim,
            distribution=config.network.latent_distribution,
            draws=count_draws(policies(config.augment)),
            others=tuple(each.name for each in self._others),
        )
        condition, others = config.condition, tuple(map(Given.of_input, self._others))
        self._spec = ConditionSpec(others=others)
        if conditional:
            classes = len(self.class_names)
            self._spec = ConditionSpec(classes, condition.generator, condition.discriminator, others)

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuse options that do not go together; see `Task.check`."""
        network, loss = config.network, config.loss
        family = FAMILIES[network.family]
        penalised = loss.r1_gamma + loss.r2_gamma + loss.gradient_penalty > 0
        if family.discriminator_batch_norm and penalised:
            raise OptionError(
                "loss.r1_gamma, loss.r2_gamma and loss.gradient_penalty need a discriminator without batch "
                "normalisation, whose output for one picture does not depend on the others; "
                f"set them to 0 for {network.family}"
            )
        if config.condition.generator == "batch_norm" and not family.generator_batch_norm:
            fitting = [name for name, each in FAMILIES.items() if each.generator_batch_norm]
            raise OptionError(
                "condition.generator batch_norm needs a generator with batch normalisation "
                f"({', '.join(fitting)}), not {network.family}; give embedding or one_hot"
            )
        for name in policies(config.augment):
            if name not in TRANSFORMS:
                raise OptionError(f"augment.policy names {name!r}; expected some of {', '.join(TRANSFORMS)}")

    def make_network(self, name: str) -> nn.Module:
        """Make a generator ("generator" or "average") or a discriminator; see `Task.make_network`."""
        return self._make_discriminator() if name == DISCRIMINATOR else self._make_generator()

    def _make_generator(self) -> nn.Module:
        network = self._network
        make = FAMILIES[network.family].generator
        return make(self._size, self._channels, network.width, network.latent_dim, self._spec)

    def _make_discriminator(self) -> nn.Module:
        network = self._network
        make = FAMILIES[network.family].discriminator
        discriminator = make(self._size, self._channels, network.width, self._spec)
        if network.spectral_norm:
            for module in list(discriminator.modules()):
                if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
                    spectral_norm(module)
            # The class's embedding is then no longer than 1, and needs no dividing.
            _head_of(discriminator).scale = 1.0
        return discriminator

    def make_players(self, device: torch.device) -> Players:
        """Make the networks, the generator's running average and the optimizers."""
        networks = {name: self.make_network(name) for name in (GENERATOR, DISCRIMINATOR)}
        for network in networks.values():
            # channels_last is what the convolutions of oneDNN and cuDNN run fastest on.
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(networks[GENERATOR]).requires_grad_(False).eval()
        optimizers = {name: self._make_optimizer(network, device) for name, network in networks.items()}
        strength = torch.tensor(self._strength, device=device)
        return Players(networks, {AVERAGE: average}, optimizers, {STRENGTH: strength})

    def _make_optimizer(self, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
        options = self._optimizer
        betas = (options.beta1, options.beta2)
        if self._graphed:
            # A graph replays what it recorded: what changes from step to step must be a tensor.
            rate = torch.tensor(options.learning_rate, device=device)
            return torch.optim.Adam(network.parameters(), rate, betas, capturable=True)
        return torch.optim.Adam(network.parameters(), options.learning_rate, betas)

    def phases(self, players: Players) -> tuple[Phase, ...]:
        """Teach the discriminator on each batch, then the generator on the last; move the average."""
        learn = functools.partial(teach_discriminator, players, self._objective)
        turns = [
            Phase(DISCRIMINATOR, (DISCRIMINATOR,), learn, turn, self._objective.penalty_interval)
            for turn in range(self.batches_per_step)
        ]
        draw = functools.partial(teach_generator, players, self._objective)
        return (*turns, Phase(GENERATOR, (GENERATOR,), draw, self.batches_per_step - 1))

    def batches(self, device: torch.device) -> Batches:
        """Return what draws batches of pictures, see `PictureBatches`."""
        return PictureBatches(self._columns, self._draw, device)

    def recalibrate(self, players: Players) -> None:
        """Measure the average's batch statistics again, on latents that never change."""
        average, size = players.averages[AVERAGE], self._draw.batch_size
        if not ema.has_statistics(average):
            return
        sampler = self.drawer(players)
        condition = sampler.condition(range(size))  # the same for every batch

        def run_batch(index: int) -> Tensor:
            seeds = range(index * size, (index + 1) * size)
            return make_pictures(average, sampler.latents(seeds), condition)

        ema.recalibrate(average, run_batch)

    def drawer(self, players: Players) -> Sampler:
        """Return what draws the average's pictures of seeds."""
        average = players.averages[AVERAGE]
        device = players.buffers[STRENGTH].device
        return Sampler(
            average,
            self._draw.latent_dim,
            self._draw.distribution,
            len(self.class_names),
            device,
            others=self._others,
        )

    def deploy(self, networks: Mapping[str, nn.Module], truncation: float = 1.0) -> Deployment:
        """Return the average with the inputs and the output of the model-file contract."""
        return deploy_generator(
            networks[AVERAGE],
            latent_dim=self._draw.latent_dim,
            distribution=self._draw.distribution,
            image_shape=(*self._size, self._channels),
            class_names=self.class_names,
            others=self._others,
            truncation=truncation,
        )


def teach_discriminator(
    players: Players, objective: Objective, batch: Batch, controls: Controls, penalise: bool
) -> Mapping[str, Tensor]:
    """Teach the discriminator on one batch; return its loss and both its scores, from before the update.

    Args:
        penalise: whether the penalties are taken.
    """
    discriminator, optimizer = players.networks[DISCRIMINATOR], players.optimizers[DISCRIMINATOR]
    condition, game = batch.conditions["real"], objective.game
    real, fake = _pictures_to_judge(players, objective, batch)
    _set_rate(optimizer, controls.learning_rate)
    optimizer.zero_grad(set_to_none=True)
    with _precision(objective, real.device):
        on_real, on_fake = _judge_both(discriminator, real, fake, condition)
    loss = game.discriminator(on_real.logits, on_fake.logits)
    total = loss + objective.auxiliary_weight * (
        _mistakes(on_real, condition) + _mistakes(on_fake, condition)
    )
    if objective.mismatch_weight > 0:
        total = total + objective.mismatch_weight * _mismatch(discriminator, on_real, batch)
    if penalise:  # in float32: squared gradients of gradients lose too much in bfloat16
        total = _with_penalties(total, discriminator, objective, real, fake, batch)
    torch.autograd.backward(total)
    distributed.average_gradients(discriminator.parameters())
    optimizer.step()
    with torch.no_grad():
        logits = on_real.logits, on_fake.logits
        if objective.target is not None:
            right = torch.sign(logits[0] - logits[1] if game.relative else logits[0]).mean()
            strength, step = players.buffers[STRENGTH], controls.share / _STRENGTH_SHARE
            strength.copy_(adapt(strength, distributed.mean(right), objective.target, step))
        return {
            "discriminator_loss": loss.detach(),
            "belief_in_real": game.score_of_real(*logits),
            "belief_in_fake": game.score_of_fake(*logits),
        }


def _pictures_to_judge(players: Players, objective: Objective, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return real and fake pictures, both augmented."""
    strength = players.buffers[STRENGTH]
    real = to_range(batch["real"])
    with torch.no_grad(), _precision(objective, real.device):
        fake = make_pictures(
            players.networks[GENERATOR], batch["latents"][0], batch.conditions["real"]
        ).float()
    real = augment(real, batch["draws"][0], strength, objective.policies)
    return real, augment(fake, batch["draws"][1], strength, objective.policies)


def _with_penalties(
    total: Tensor, discriminator: nn.Module, objective: Objective, real: Tensor, fake: Tensor, batch: Batch
) -> Tensor:
    """Return the loss with what keeps the discriminator smooth added, weighted by the interval."""
    condition, interval = batch.conditions["real"], objective.penalty_interval
    for gamma, pictures in ((objective.r1_gamma, real), (objective.r2_gamma, fake)):
        if gamma > 0:
            norm = penalties.squared_norm(discriminator, pictures, condition)
            total = total + gamma / 2 * interval * norm
    if objective.gradient_penalty > 0:
        distance = penalties.distance_from_one(discriminator, real, fake, batch["mix"], condition)
        total = total + objective.gradient_penalty * interval * distance
    return total


def teach_generator(
    players: Players, objective: Objective, batch: Batch, controls: Controls, costly: bool = False
) -> Mapping[str, Tensor]:
    """Teach the generator on one batch, and move its average; return its loss from before the update."""
    generator, optimizer = players.networks[GENERATOR], players.optimizers[GENERATOR]
    discriminator, strength = players.networks[DISCRIMINATOR], players.buffers[STRENGTH]
    condition, game = batch.conditions["real"], objective.game
    _set_rate(optimizer, controls.learning_rate)
    discriminator.requires_grad_(False)
    optimizer.zero_grad(set_to_none=True)
    with _precision(objective, batch["real"].device):
        fake = make_pictures(generator, batch["latents"][1], condition)
        fake = augment(fake, batch["draws"][2], strength, objective.policies)
        output = discriminate(discriminator, fake, condition)
        real_logits = output.logits.detach()
        if game.pairs_real:
            with torch.no_grad():
                real = augment(to_range(batch["real"]), batch["draws"][0], strength, objective.policies)
                real_logits = discriminate(discriminator, real, condition).logits
    loss = game.generator(real_logits, output.logits)
    total = loss + objective.auxiliary_weight * _mistakes(output, condition)
    torch.autograd.backward(total)
    distributed.average_gradients(generator.parameters())
    optimizer.step()
    discriminator.requires_grad_(True)
    ema.update(players.averages[AVERAGE], generator, controls.average_weight)
    return {"generator_loss": loss.detach(), "augment_strength": strength.clone()}


def to_range(pictures: Tensor) -> Tensor:
    """Map pixel values 0..255 of uint8 pictures to float32 in [-1, 1]."""
    return (pictures.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(torch.as_tensor(rate))
        else:
            group["lr"] = rate


def _judge_both(
    discriminator: nn.Module, real: Tensor, fake: Tensor, condition: Condition
) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
    if ema.has_statistics(discriminator):  # batch statistics must not mix the two
        return discriminate(discriminator, real, condition), discriminate(discriminator, fake, condition)
    return discriminate(discriminator, torch.cat([real, fake]), repeat(condition, 2)).split(len(real))


def _mismatch(discriminator: nn.Module, on_real: DiscriminatorOutput, batch: Batch) -> Tensor:
    """Return the loss of taking real pictures under another condition for real, 0 without conditions.

    The matching-aware discriminator of Reed et al. (ICML 2016), section 4.2. With a projection head
    only the head is computed again.
    """
    if not batch.conditions["mismatch"]:
        return on_real.logits.new_zeros(())
    head = _head_of(discriminator)
    output: DiscriminatorOutput = head(on_real.features, batch.conditions["mismatch"])
    return F.softplus(output.logits).mean()


def _head_of(discriminator: nn.Module) -> OutputHead:
    return cast(OutputHead, discriminator.get_submodule("head"))


def _mistakes(output: DiscriminatorOutput, condition: Condition) -> Tensor:
    """Return the auxiliary classifier's cross-entropy (Odena et al. 2017, equation 3), 0 without one."""
    if output.classes is None or CLASS not in condition:
        return output.logits.new_zeros(())
    return F.cross_entropy(output.classes, condition[CLASS])


def _precision(objective: Objective, device: torch.device) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16, enabled=objective.bf16)
