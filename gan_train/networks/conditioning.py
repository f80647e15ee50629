"""How a condition enters a network, by its kind.

A condition is what an output is made or judged under: named tensors, none for an unconditional model.
Networks hold the modules below and never look inside a condition, so that a new kind (a picture, a
text) or a new way in is added here alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer.conditions.spec import CLASS
from gan_train.networks.normalization import BatchNorm

# What a batch is made or judged under: tensors [batch, ...] by the name of their kind.
# "class" is int64 [batch]; {} is the condition of an unconditional model.
Condition = Mapping[str, Tensor]
# What a model file calls the input that a class is fed by.
CLASS_INPUT: Final = "label"


def of_class(label: Tensor | None) -> Condition:
    """Return the condition of classes int64 [batch]; of None, that of an unconditional model."""
    return {} if label is None else {CLASS: label}


def repeat(condition: Condition, times: int) -> Condition:
    """Return the condition of the batch laid end to end so many times."""
    return {name: tensor.repeat(times, *[1] * (tensor.dim() - 1)) for name, tensor in condition.items()}


@dataclasses.dataclass(frozen=True)
class ConditionSpec:
    """Which conditions a network takes, and how.

    Attributes:
        classes: the number of labels, 0 for none (then the rest has no meaning).
        generator: "one_hot" or "embedding" joined to the latent, or "batch_norm".
        discriminator: "concatenation", "projection" or "auxiliary".
    """

    classes: int = 0
    generator: str = "embedding"
    discriminator: str = "projection"


class LatentInput(nn.Module):
    """Joins a latent and its condition to one vector: latent, then the label's one-hot or embedding.

    Embeddings are normalised to `length`, so that the condition neither drowns the latent (whose
    length is about sqrt(latent_dim)) nor fades during training.
    """

    def __init__(self, latent_dim: int, spec: ConditionSpec, length: float) -> None:
        super().__init__()
        self.classes = spec.classes if spec.generator == "one_hot" else 0
        embedded = spec.classes > 0 and spec.generator == "embedding"
        self.embedding = nn.Embedding(spec.classes, latent_dim) if embedded else None
        self.length = length
        self.features = latent_dim + self.classes + (latent_dim if embedded else 0)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return float [batch, self.features] of latent [batch, latent_dim]."""
        if self.classes:
            return torch.cat([latent, one_hot(condition, self.classes)], dim=1)
        if self.embedding is not None:
            # The whole table is normalised before the look-up: at export it folds to a constant.
            table = F.normalize(self.embedding.weight, dim=1) * self.length
            return torch.cat([latent, F.embedding(condition[CLASS], table)], dim=1)
        return latent


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose scale and shift are the label's own, where the spec says so.

    Dumoulin et al. (ICLR 2017), equation 5; without such a spec, plain batch normalisation.
    """

    def __init__(self, channels: int, spec: ConditionSpec) -> None:
        super().__init__()
        by_label = spec.classes > 0 and spec.generator == "batch_norm"
        self.norm = BatchNorm(channels, affine=not by_label)
        self.scale = nn.Embedding(spec.classes, channels) if by_label else None
        self.shift = nn.Embedding(spec.classes, channels) if by_label else None
        if self.scale is not None and self.shift is not None:
            nn.init.ones_(self.scale.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Return [batch, channels, height, width], normalised."""
        normalised: Tensor = self.norm(x)
        if self.scale is None or self.shift is None:
            return normalised
        scale, shift = self.scale(condition[CLASS]), self.shift(condition[CLASS])
        result: Tensor = normalised * scale[:, :, None, None] + shift[:, :, None, None]
        return result


class PictureInput(nn.Module):
    """Joins pictures and their condition: with "concatenation", one more channel learnt per label."""

    def __init__(self, size: tuple[int, int], channels: int, spec: ConditionSpec) -> None:
        super().__init__()
        joined = spec.classes > 0 and spec.discriminator == "concatenation"
        self.size = size
        self.plane = nn.Embedding(spec.classes, size[0] * size[1]) if joined else None
        self.channels = channels + joined

    def forward(self, pictures: Tensor, condition: Condition) -> Tensor:
        """Return [batch, self.channels, height, width] of pictures [batch, channels, height, width]."""
        if self.plane is None:
            return pictures
        plane = self.plane(condition[CLASS]).unflatten(1, (1, *self.size)).to(pictures.dtype)
        return torch.cat([pictures, plane], dim=1)


class Verdict(NamedTuple):
    """What a discriminator says of pictures.

    Attributes:
        logits: float32 [batch], higher for more real.
        features: float32 [batch, features], what the logits were made of.
        classes: float32 [batch, classes], logits of the labels, with an auxiliary classifier alone.
    """

    logits: Tensor
    features: Tensor
    classes: Tensor | None = None

    def split(self, count: int) -> tuple[Verdict, Verdict]:
        """Return the verdicts on the first `count` pictures and on the others."""
        first, rest = (
            [None if part is None else part[where] for part in self]
            for where in (slice(None, count), slice(count, None))
        )
        return Verdict(*first), Verdict(*rest)  # type: ignore[arg-type]


class Judgement(nn.Module):
    """From features to the verdict: a linear term, with "projection" plus the label's own.

    The projection discriminator of Miyato and Koyama (ICLR 2018), equation 3, with the inner
    product divided by the square root of the number of features; the auxiliary classifier of
    Odena et al. (ICML 2017).
    """

    def __init__(self, features: int, spec: ConditionSpec) -> None:
        super().__init__()
        kind = spec.discriminator if spec.classes else ""
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Embedding(spec.classes, features) if kind == "projection" else None
        self.classifier = nn.Linear(features, spec.classes) if kind == "auxiliary" else None
        self.scale = 1 / math.sqrt(features)

    def forward(self, features: Tensor, condition: Condition) -> Verdict:
        """Return the verdict on features [batch, features].

        In float32 even under autocast: the relativistic loss takes differences of logits, and
        leaves their common part free to grow past what bfloat16 resolves.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            logits = self.linear(features)[:, 0]
            if self.embedding is not None:
                logits = logits + (self.embedding(condition[CLASS]) * features).sum(dim=1) * self.scale
            classes = None if self.classifier is None else self.classifier(features)
            return Verdict(logits, features, classes)


def one_hot(condition: Condition, classes: int) -> Tensor:
    """Return float32 [batch, classes] with a 1 at each label."""
    return F.one_hot(condition[CLASS], classes).float()
