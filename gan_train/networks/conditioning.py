"""Brings a condition into a network, by its kind.

A condition is what an output is made or scored under: named tensors, none for an unconditional model.
Networks hold the modules below and never see inside a condition, so that a new kind (a number, a
text) is a file with its ways and one line in `KINDS`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer.conditions.spec import CLASS, Input
from gan_train.networks.normalization import BatchNorm
from gan_train.networks.ways import Condition, Given, Way, WaysIn

# Only for model files, beside a class: float32 [batch, classes]. A row that is not all zeros stands for
# the weighted mean of the classes, instead of the class.
CLASS_WEIGHTS: Final = "class_weights"
# What a model file calls a class and its weights, in the order in which it takes them.
NAMES: Final = ("label", "label_weights")


def of_class(label: Tensor | None) -> Condition:
    """Return the condition of classes int64 [batch]; of None, that of an unconditional model."""
    return {} if label is None else {CLASS: label}


def of_tensors(given: Sequence[Tensor | None], names: Sequence[str] = NAMES) -> Condition:
    """Return the condition of what a model file is fed for it, in the order of the names of its inputs."""
    own = dict(zip(NAMES, (CLASS, CLASS_WEIGHTS), strict=True))
    fed = zip(names, given, strict=False)
    return {own.get(name, name): tensor for name, tensor in fed if tensor is not None}


def class_inputs(class_names: Sequence[str], mixed: bool = False) -> tuple[Input, ...]:
    """Return the inputs of a model file for its classes; none without classes.

    Args:
        mixed: with the optional weights that mix classes in one picture.
    """
    if not class_names:
        return ()
    label, weights = NAMES
    chosen = Input(label, CLASS, "int64", (), {"class_names": list(class_names)})
    mixing = Input(weights, CLASS, "float32", (len(class_names),), {"of": label}, optional=True)
    return (chosen, mixing) if mixed else (chosen,)


def repeat(condition: Condition, times: int) -> Condition:
    """Return the condition of the batch repeated `times` times, end to end."""
    return {name: tensor.repeat(times, *[1] * (tensor.dim() - 1)) for name, tensor in condition.items()}


@dataclasses.dataclass(frozen=True)
class ConditionSpec:
    """Which conditions a network takes, and how.

    Attributes:
        classes: the number of classes, 0 for none (then the next two have no meaning).
        generator: "one_hot" or "embedding" joined to the latent, or "batch_norm".
        discriminator: "concatenation", "projection" or "auxiliary".
        others: conditions of other kinds.
    """

    classes: int = 0
    generator: str = "embedding"
    discriminator: str = "projection"
    others: tuple[Given, ...] = ()

    @property
    def given(self) -> tuple[Given, ...]:
        """All conditions, the class first."""
        if not self.classes:
            return self.others
        ways = {"generator": self.generator, "discriminator": self.discriminator}
        return (Given(CLASS, CLASS, {"classes": self.classes, **ways}), *self.others)


class _Part(nn.Module):
    """A part of a network that conditions enter; it owns the modules of its ways."""

    def __init__(self) -> None:
        super().__init__()
        self.ways: dict[str, Way] = {}

    def add_way(self, name: str, way: Way | None) -> None:
        """Add the way in of a condition, if it has one here."""
        if way is None:
            return
        self.ways[name] = way
        for child, module in way.modules.items():
            self.add_module(child, module)

    @property
    def is_conditional(self) -> bool:
        """Whether any condition enters here."""
        return bool(self.ways)

    def enter(self, condition: Condition, *more: Tensor) -> Iterator[Any]:
        """Return what each condition makes enter here."""
        return (way(condition, *more) for way in self.ways.values())


class LatentInput(_Part):
    """Joins a latent and its conditions to one vector."""

    def __init__(self, latent_dim: int, spec: ConditionSpec, length: float) -> None:
        """Make the ways in.

        Args:
            length: of the embedding of a class, so that it neither drowns the latent (whose length is
                about sqrt(latent_dim)) nor fades during training.
        """
        super().__init__()
        for given in spec.given:
            self.add_way(given.name, KINDS[given.kind].latent(given, latent_dim, length))
        self.features = latent_dim + sum(way.size for way in self.ways.values())

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return float [batch, self.features] of latent [batch, latent_dim]."""
        return torch.cat([latent, *self.enter(condition)], dim=1) if self.ways else latent


class ConditionalBatchNorm(_Part):
    """Batch normalisation whose scale and shift are the condition's own, where the spec says so.

    Dumoulin et al. (ICLR 2017), equation 5; without such a spec, plain batch normalisation.
    """

    def __init__(self, channels: int, spec: ConditionSpec) -> None:
        super().__init__()
        ways = {given.name: KINDS[given.kind].norm(given, channels) for given in spec.given}
        self.norm = BatchNorm(channels, affine=not any(ways.values()))
        for name, way in ways.items():
            self.add_way(name, way)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Return [batch, channels, height, width], normalised."""
        normalised: Tensor = self.norm(x)
        for scale, shift in self.enter(condition):
            normalised = normalised * scale[:, :, None, None] + shift[:, :, None, None]
        return normalised


class PictureInput(_Part):
    """Joins pictures and their conditions, which become further channels."""

    def __init__(self, size: tuple[int, int], channels: int, spec: ConditionSpec) -> None:
        super().__init__()
        for given in spec.given:
            self.add_way(given.name, KINDS[given.kind].picture(given, size))
        self.channels = channels + sum(way.size for way in self.ways.values())

    def forward(self, pictures: Tensor, condition: Condition) -> Tensor:
        """Return [batch, self.channels, height, width] of pictures [batch, channels, height, width]."""
        if not self.ways:
            return pictures
        planes = [plane.to(pictures.dtype) for plane in self.enter(condition)]
        return torch.cat([pictures, *planes], dim=1)


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator.

    Attributes:
        logits: float32 [batch], higher for more real.
        features: float32 [batch, features], from which the logits were computed.
        classes: float32 [batch, classes], logits of the classes; only with an auxiliary classifier.
    """

    logits: Tensor
    features: Tensor
    classes: Tensor | None = None

    def split(self, count: int) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Return the outputs for the first `count` pictures and for the others."""
        return self._part(slice(None, count)), self._part(slice(count, None))

    def _part(self, where: slice) -> DiscriminatorOutput:
        classes = None if self.classes is None else self.classes[where]
        return DiscriminatorOutput(self.logits[where], self.features[where], classes)


class OutputHead(_Part):
    """Maps features to the output: a linear term, plus a term for each condition where the spec says so.

    The auxiliary classifier is that of Odena et al. (ICML 2017).
    """

    def __init__(self, features: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        for given in spec.given:
            self.add_way(given.name, KINDS[given.kind].score(given, features))
        guesses = spec.classes > 0 and spec.discriminator == "auxiliary"
        self.classifier = nn.Linear(features, spec.classes) if guesses else None
        self.scale = 1 / math.sqrt(features)

    def forward(self, features: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for features [batch, features].

        In float32 even under autocast: the relativistic loss takes differences of logits, and
        leaves their common part free to grow beyond the precision of bfloat16.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            logits = self.linear(features)[:, 0]
            for term in self.enter(condition, features):
                logits = logits + term * self.scale
            classes = None if self.classifier is None else self.classifier(features)
            return DiscriminatorOutput(logits, features, classes)


def look_up(table: Tensor, condition: Condition) -> Tensor:
    """Return the row of each class, [batch, features], from a table [classes, features]."""
    rows = F.embedding(condition[CLASS], table)
    return _mix(rows, table, condition[CLASS_WEIGHTS]) if CLASS_WEIGHTS in condition else rows


def own_values(values: Tensor, condition: Condition) -> Tensor:
    """Return the value of each picture's class from values [classes], or the only value without classes."""
    return values if CLASS not in condition or len(values) == 1 else values[condition[CLASS]]


def one_hot(condition: Condition, classes: int) -> Tensor:
    """Return float32 [batch, classes] with a 1 at each class."""
    rows = F.one_hot(condition[CLASS], classes).float()
    return _mix(rows, None, condition[CLASS_WEIGHTS]) if CLASS_WEIGHTS in condition else rows


def _mix(rows: Tensor, table: Tensor | None, weights: Tensor) -> Tensor:
    """Return the weighted means of a table's rows, or the given row where all weights are 0.

    A given row is copied and not computed, so that its picture stays the same to the bit.
    """
    mixed = weights if table is None else weights @ table
    return torch.where(weights.amax(dim=1, keepdim=True).to(torch.bool), mixed, rows)


# The ways in of a class.


class _OneHot(Way):
    """A vector with a 1 at the class."""

    def __init__(self, classes: int) -> None:
        super().__init__({}, classes)

    def __call__(self, condition: Condition, *more: Tensor) -> Tensor:
        return one_hot(condition, self.size)


class _Embedding(Way):
    """A learnt vector per class, normalised to a length."""

    def __init__(self, classes: int, latent_dim: int, length: float) -> None:
        self._table, self._length = nn.Embedding(classes, latent_dim), length
        super().__init__({"embedding": self._table}, latent_dim)

    def __call__(self, condition: Condition, *more: Tensor) -> Tensor:
        # The whole table is normalised before the look-up: at export it folds to a constant.
        table = F.normalize(self._table.weight, dim=1) * self._length
        return look_up(table, condition)


class _ScaleAndShift(Way):
    """A learnt scale and shift per class and channel."""

    def __init__(self, classes: int, channels: int) -> None:
        self._scale, self._shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self._scale.weight)
        nn.init.zeros_(self._shift.weight)
        super().__init__({"scale": self._scale, "shift": self._shift}, channels)

    def __call__(self, condition: Condition, *more: Tensor) -> tuple[Tensor, Tensor]:
        return look_up(self._scale.weight, condition), look_up(self._shift.weight, condition)


class _Plane(Way):
    """One more channel, learnt per class."""

    def __init__(self, classes: int, size: tuple[int, int]) -> None:
        self._plane, self._sides = nn.Embedding(classes, size[0] * size[1]), size
        super().__init__({"plane": self._plane}, 1)

    def __call__(self, condition: Condition, *more: Tensor) -> Tensor:
        plane: Tensor = self._plane(condition[CLASS]).unflatten(1, (1, *self._sides))
        return plane


class _Projection(Way):
    """The inner product of the features and a learnt vector per class.

    The projection discriminator of Miyato and Koyama (ICLR 2018), equation 3; `OutputHead` divides the
    product by the square root of the number of features.
    """

    def __init__(self, classes: int, features: int) -> None:
        self._table = nn.Embedding(classes, features)
        super().__init__({"embedding": self._table}, features)

    def __call__(self, condition: Condition, *more: Tensor) -> Tensor:
        (features,) = more
        product: Tensor = (self._table(condition[CLASS]) * features).sum(dim=1)
        return product


def _class_to_latent(given: Given, latent_dim: int, length: float) -> Way | None:
    classes, way = given.facts["classes"], given.facts["generator"]
    if way == "one_hot":
        return _OneHot(classes)
    return _Embedding(classes, latent_dim, length) if way == "embedding" else None


def _class_to_norm(given: Given, channels: int) -> Way | None:
    by_class = given.facts["generator"] == "batch_norm"
    return _ScaleAndShift(given.facts["classes"], channels) if by_class else None


def _class_to_picture(given: Given, size: tuple[int, int]) -> Way | None:
    joined = given.facts["discriminator"] == "concatenation"
    return _Plane(given.facts["classes"], size) if joined else None


def _class_to_score(given: Given, features: int) -> Way | None:
    projected = given.facts["discriminator"] == "projection"
    return _Projection(given.facts["classes"], features) if projected else None


KINDS: Final[dict[str, WaysIn]] = {
    CLASS: WaysIn(_class_to_latent, _class_to_norm, _class_to_picture, _class_to_score),
}
