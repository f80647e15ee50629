"""Adversarial losses: functions of real and fake logits."""

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
    """What both networks minimise. Each function takes logits of real and of fake, float [n].

    Attributes:
        discriminator, generator: (real, fake) -> the network's loss, a scalar.
        score_of_real, score_of_fake: (real, fake) -> the mean score of the real (the fake) pictures, from 0
            (fake) to 1 (real); 0.5 each where the discriminator cannot tell them apart.
        relative: True if only the difference of a real and a fake logit has a meaning.
        pairs_real: True if the generator's loss needs the real logits as well.
        teaches_when_sure: True if a discriminator that tells every pair apart still gives a useful gradient.
    """

    discriminator: Pair
    generator: Pair
    score_of_real: Pair
    score_of_fake: Pair
    relative: bool = False
    pairs_real: bool = False
    teaches_when_sure: bool = False


def _non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 1).square().mean() + (fake + 1).square().mean()) / 2


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _linear_score(logits: Tensor) -> Tensor:
    """Return the mean position of logits between the targets -1 and 1, from 0 to 1."""
    return ((logits + 1) / 2).clamp(0, 1).mean()


def _share_above(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of pairs in which the first has the higher logit, ties counted half."""
    return ((first > second).float() + (first >= second).float()).mean() / 2


_SIGMOID_SCORES: Final = (
    lambda real, fake: torch.sigmoid(real).mean(),
    lambda real, fake: torch.sigmoid(fake).mean(),
)
_LINEAR_SCORES: Final = (
    lambda real, fake: _linear_score(real),
    lambda real, fake: _linear_score(fake),
)

LOSSES: Final[dict[str, Loss]] = {
    # Goodfellow et al. 2014, equation 1, both networks: the generator minimises log(1 - D(G(z))),
    # which saturates while the discriminator is sure.
    "minimax": Loss(
        _non_saturating_discriminator, lambda real, fake: -F.softplus(fake).mean(), *_SIGMOID_SCORES
    ),
    # The same, section 3: the generator maximises log D(G(z)).
    "non_saturating": Loss(
        _non_saturating_discriminator, lambda real, fake: F.softplus(-fake).mean(), *_SIGMOID_SCORES
    ),
    # Mao et al. 2017, equation 9 (targets 0, 1, 1), with logits moved so that the targets are -1 and 1.
    "least_squares": Loss(
        _least_squares_discriminator,
        lambda real, fake: (fake - 1).square().mean() / 2,
        *_LINEAR_SCORES,
    ),
    # Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    "hinge": Loss(_hinge_discriminator, lambda real, fake: -fake.mean(), *_LINEAR_SCORES),
    # Arjovsky et al. 2017, equation 2. Only the order of logits has a meaning, so scores are of that. The
    # better the critic the better the gradient (section 3): it may be sure from the first step on.
    "wasserstein": Loss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
        score_of_real=_share_above,
        score_of_fake=lambda real, fake: _share_above(fake, real),
        relative=True,
        teaches_when_sure=True,
    ),
    # Relativistic pairing (Jolicoeur-Martineau 2018; Huang et al., R3GAN, NeurIPS 2024, equation 2):
    # only the difference of a real and a fake logit has a meaning, so scores are of pairs.
    "relativistic": Loss(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
        score_of_real=lambda real, fake: torch.sigmoid(real - fake).mean(),
        score_of_fake=lambda real, fake: torch.sigmoid(fake - real).mean(),
        relative=True,
        pairs_real=True,
    ),
}
