"""How a condition enters a network; it knows no losses.

A condition is what a picture is made or judged under: nothing, or a label. How it enters is a choice
made once, in a ConditionSpec; networks hold the modules below and never look inside a condition, so
that a new kind (a picture, a text) or a new way in is added here alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer.conditions.spec import CLASS, Input
from gan_train.networks.normalization import BatchNorm

# The tensors of a condition, in the order in which a network that is deployed takes them.
NAMES: Final = ("label", "label_weights")


@dataclasses.dataclass(frozen=True)
class Condition:
    """The condition of a batch: `label` int64 [batch], or None for an unconditional model.

    `label_weights` float32 [batch, classes] are for model files alone: a row that is not all zeros
    stands for the weighted mean of the classes in the place of the label.
    """

    label: Tensor | None = None
    label_weights: Tensor | None = None

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> Condition:
        """Return the condition of tensors by name; of none, that of an unconditional model."""
        return Condition(**tensors)

    def repeat(self, times: int) -> Condition:
        """Return the condition of the batch laid end to end so many times."""
        return Condition(None if self.label is None else self.label.repeat(times))


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


def class_inputs(class_names: Sequence[str], mixed: bool = False) -> tuple[Input, ...]:
    """Return the inputs of a model file by which its classes are given; none without classes.

    Args:
        mixed: with the optional weights by which a picture is of several classes.
    """
    if not class_names:
        return ()
    label, weights = NAMES
    chosen = Input(label, CLASS, "int64", (), {"class_names": list(class_names)})
    mixing = Input(weights, CLASS, "float32", (len(class_names),), {"of": label}, optional=True)
    return (chosen, mixing) if mixed else (chosen,)


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
            return torch.cat([latent, look_up(table, condition)], dim=1)
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
        scale, shift = look_up(self.scale.weight, condition), look_up(self.shift.weight, condition)
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
        plane = self.plane(condition.label).unflatten(1, (1, *self.size)).to(pictures.dtype)
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
                logits = logits + (self.embedding(condition.label) * features).sum(dim=1) * self.scale
            classes = None if self.classifier is None else self.classifier(features)
            return Verdict(logits, features, classes)


def look_up(table: Tensor, condition: Condition) -> Tensor:
    """Return the rows [batch, features] of a table [classes, features] that the condition picks."""
    assert condition.label is not None
    rows = F.embedding(condition.label, table)
    return rows if condition.label_weights is None else _mix(rows, table, condition.label_weights)


def own_values(values: Tensor, condition: Condition) -> Tensor:
    """Return each picture's own of values [classes], or the only value where there are no classes."""
    return values if condition.label is None or len(values) == 1 else values[condition.label]


def one_hot(condition: Condition, classes: int) -> Tensor:
    """Return float32 [batch, classes] with a 1 at each label."""
    assert condition.label is not None
    rows = F.one_hot(condition.label, classes).float()
    return rows if condition.label_weights is None else _mix(rows, None, condition.label_weights)


def _mix(rows: Tensor, table: Tensor | None, weights: Tensor) -> Tensor:
    """Return the weighted means of a table's rows, but the given row where all its weights are 0.

    A given row is picked and not computed, so that its picture stays the same to the bit.
    """
    mixed = weights if table is None else weights @ table
    return torch.where(weights.amax(dim=1, keepdim=True).to(torch.bool), mixed, rows)
