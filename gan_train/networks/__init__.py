"""The table of network families: a name in the config to a generator and a discriminator."""

from __future__ import annotations

import dataclasses
from typing import Final, Protocol, cast

from torch import Tensor, nn

from gan_train.networks import dcgan, resnet
from gan_train.networks.condition import Condition, ConditionSpec
from gan_train.networks.pyramid import Size

__all__ = ["FAMILIES", "Condition", "ConditionSpec", "Family"]


class MakeGenerator(Protocol):
    """Makes a module (latent [n, latent_dim], Condition) -> pictures [n, c, h, w] in [-1, 1]."""

    def __call__(
        self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec
    ) -> nn.Module: ...


class MakeDiscriminator(Protocol):
    """Makes a module (pictures [n, c, h, w], Condition) -> logits [n], higher for more real."""

    def __call__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> nn.Module: ...


@dataclasses.dataclass(frozen=True)
class Family:
    """A pair of networks that belong together."""

    generator: MakeGenerator
    discriminator: MakeDiscriminator


FAMILIES: Final[dict[str, Family]] = {
    "resnet": Family(resnet.Generator, resnet.Discriminator),
    "dcgan": Family(dcgan.Generator, dcgan.Discriminator),
}


def make_pictures(generator: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
    """Call a generator, typed."""
    return cast(Tensor, generator(latent, condition))


def judge(discriminator: nn.Module, pictures: Tensor, condition: Condition) -> Tensor:
    """Call a discriminator, typed."""
    return cast(Tensor, discriminator(pictures, condition))
