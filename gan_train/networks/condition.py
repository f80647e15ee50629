"""How a condition enters a network; it knows no image sizes and no losses.

A condition is what a picture is made or judged under: nothing, or a label. Networks hold the two
modules below and never look inside a condition, so that a new kind is added here alone.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Condition:
    """The condition of a batch: `label` int64 [batch], or None for an unconditional model."""

    label: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class ConditionSpec:
    """Which conditions a network takes: `classes` labels, 0 for none."""

    classes: int = 0


class LatentInput(nn.Module):
    """Joins a latent and its condition to one vector: latent, then the label's embedding.

    Embeddings are normalised to `length`, so that the condition neither drowns the latent (whose
    length is about sqrt(latent_dim)) nor fades during training.
    """

    def __init__(self, latent_dim: int, spec: ConditionSpec, length: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.classes, latent_dim) if spec.classes else None
        self.length = length
        self.features = latent_dim * (2 if spec.classes else 1)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Give float [batch, self.features] of latent [batch, latent_dim]."""
        if self.embedding is None:
            return latent
        assert condition.label is not None
        # The whole table is normalised before the look-up: at export it folds to a constant.
        table = F.normalize(self.embedding.weight, dim=1) * self.length
        return torch.cat([latent, F.embedding(condition.label, table)], dim=1)


class Judgement(nn.Module):
    """From features to one logit a picture: a linear term plus the label's projection.

    The projection discriminator of Miyato and Koyama (ICLR 2018), equation 3, with the inner
    product divided by the square root of the number of features.
    """

    def __init__(self, features: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Embedding(spec.classes, features) if spec.classes else None
        self.scale = 1 / math.sqrt(features)

    def forward(self, features: Tensor, condition: Condition) -> Tensor:
        """Give float32 logits [batch] of features [batch, features].

        In float32 even under autocast: the relativistic loss takes differences of logits, and
        leaves their common part free to grow past what bfloat16 resolves.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            logits: Tensor = self.linear(features)[:, 0]
            if self.embedding is None:
                return logits
            assert condition.label is not None
            projection: Tensor = (self.embedding(condition.label) * features).sum(dim=1)
            return logits + projection * self.scale
