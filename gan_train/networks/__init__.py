"""The table of network families: a name in the config to a generator and a discriminator."""

from __future__ import annotations

import dataclasses
from typing import Final, Protocol, cast

from torch import Tensor, nn

from gan_train.networks import dcgan, mlp, r3, resnet, sngan
from gan_train.networks.conditioning import ConditionSpec, DiscriminatorOutput, of_class
from gan_train.networks.pyramid import Size
from gan_train.networks.ways import Condition

__all__ = [
    "FAMILIES",
    "Condition",
    "ConditionSpec",
    "Family",
    "DiscriminatorOutput",
    "discriminate",
    "make_pictures",
    "of_class",
]


class MakeGenerator(Protocol):
    """Makes a module (latent [n, latent_dim], Condition) -> pictures [n, c, h, w] in [-1, 1]."""

    def __call__(
        self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec
    ) -> nn.Module: ...


class MakeDiscriminator(Protocol):
    """Makes a module (pictures [n, c, h, w] in [-1, 1], Condition) -> DiscriminatorOutput."""

    def __call__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> nn.Module: ...


@dataclasses.dataclass(frozen=True)
class Family:
    """A pair of networks that belong together.

    Attributes:
        width: that they are made for.
        generator_batch_norm, discriminator_batch_norm: whether it normalises by the batch, so that what
            it makes of one picture in training depends on the others.
    """

    generator: MakeGenerator
    discriminator: MakeDiscriminator
    width: int
    generator_batch_norm: bool = False
    discriminator_batch_norm: bool = False


FAMILIES: Final[dict[str, Family]] = {
    "mlp": Family(mlp.Generator, mlp.Discriminator, 128),
    "dcgan": Family(dcgan.Generator, dcgan.Discriminator, 128, True, True),
    "resnet": Family(resnet.Generator, resnet.Discriminator, 16),
    "sngan": Family(sngan.Generator, sngan.Discriminator, 64, generator_batch_norm=True),
    "r3": Family(r3.Generator, r3.Discriminator, 192),
}


def make_pictures(generator: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
    """Call a generator, typed."""
    return cast(Tensor, generator(latent, condition))


def discriminate(discriminator: nn.Module, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
    """Call a discriminator, typed."""
    return cast(DiscriminatorOutput, discriminator(pictures, condition))
