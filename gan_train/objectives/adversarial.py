"""The table of adversarial losses: functions of real and fake logits."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_train.objectives.loss import LINEAR_SCORES, SIGMOID_SCORES, Loss, share_above


def _non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 1).square().mean() + (fake + 1).square().mean()) / 2


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


LOSSES: Final[dict[str, Loss]] = {
    # Goodfellow et al. 2014, equation 1, both networks: the generator minimises log(1 - D(G(z))),
    # which saturates while the discriminator is sure.
    "minimax": Loss(
        _non_saturating_discriminator, lambda real, fake: -F.softplus(fake).mean(), *SIGMOID_SCORES
    ),
    # The same, section 3: the generator maximises log D(G(z)).
    "non_saturating": Loss(
        _non_saturating_discriminator, lambda real, fake: F.softplus(-fake).mean(), *SIGMOID_SCORES
    ),
    # Mao et al. 2017, equation 9 (targets 0, 1, 1), with logits moved so that the targets are -1 and 1.
    "least_squares": Loss(
        _least_squares_discriminator,
        lambda real, fake: (fake - 1).square().mean() / 2,
        *LINEAR_SCORES,
    ),
    # Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    "hinge": Loss(_hinge_discriminator, lambda real, fake: -fake.mean(), *LINEAR_SCORES),
    # Arjovsky et al. 2017, equation 2. Only the order of logits has a meaning, so scores are of that. The
    # better the critic the better the gradient (section 3): it may be sure from the first step on.
    "wasserstein": Loss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
        score_of_real=share_above,
        score_of_fake=lambda real, fake: share_above(fake, real),
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
