"""The game's losses: functions of real and fake logits; they know no networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = Callable[[Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Loss:
    """What both players minimise. Each function takes logits of real and of fake, float [n].

    Attributes:
        discriminator, generator: (real, fake) -> the player's loss, a scalar.
        belief_in_real, belief_in_fake: (real, fake) -> how probable the discriminator holds it,
            on average, that the real (the fake) pictures are real; 0.5 each where it can't tell.
        pairs_real: True where the generator's loss needs the real logits as well.
    """

    discriminator: Pair
    generator: Pair
    belief_in_real: Pair
    belief_in_fake: Pair
    pairs_real: bool = False


def _non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real).mean()


LOSSES: Final[dict[str, Loss]] = {
    # Goodfellow et al. 2014, section 3: D by equation 1, G by maximising log D(G(z)).
    "non_saturating": Loss(
        discriminator=_non_saturating_discriminator,
        generator=lambda real, fake: F.softplus(-fake).mean(),
        belief_in_real=lambda real, fake: torch.sigmoid(real).mean(),
        belief_in_fake=lambda real, fake: torch.sigmoid(fake).mean(),
    ),
    # Relativistic pairing (Jolicoeur-Martineau 2018; Huang et al., R3GAN, NeurIPS 2024, equation 2):
    # only the difference of a real and a fake logit has a meaning, so beliefs are of pairs.
    "relativistic": Loss(
        discriminator=_relativistic_discriminator,
        generator=lambda real, fake: F.softplus(real - fake).mean(),
        belief_in_real=lambda real, fake: torch.sigmoid(real - fake).mean(),
        belief_in_fake=lambda real, fake: torch.sigmoid(fake - real).mean(),
        pairs_real=True,
    ),
}
