"""Loss: an adversarial loss of both networks, and the scores that follow from its logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
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


def linear_score(logits: Tensor) -> Tensor:
    """Return the mean position of logits between the targets -1 and 1, from 0 to 1."""
    return ((logits + 1) / 2).clamp(0, 1).mean()


def share_above(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of pairs in which the first has the higher logit, ties counted half."""
    return ((first > second).float() + (first >= second).float()).mean() / 2


# (real, fake) -> the score of each, if a logit is that of a probability.
SIGMOID_SCORES: Final = (
    lambda real, fake: torch.sigmoid(real).mean(),
    lambda real, fake: torch.sigmoid(fake).mean(),
)
# The same for logits with targets -1 and 1.
LINEAR_SCORES: Final = (
    lambda real, fake: linear_score(real),
    lambda real, fake: linear_score(fake),
)
