"""Trains a small classifier of the data, whose features and predictions score samples.

It is trained when first needed, on the CPU, the same for the same data and number of threads, and kept
on disk. A part of the data is held out of its training, so that its accuracy is known.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_train import seeding
from gan_train.data.columns import CLASS, IMAGE
from gan_train.data.pictures import PictureSet
from gan_train.metrics import store
from gan_train.metrics.measure import HIGH, SHARE, Comparison, Measure, Metric
from gan_train.metrics.network import Classes, FeatureNetwork, Pictures, shrink
from gan_train.metrics.split import split
from gan_train.runs.progress import Say

NAME: Final = "classifier"
FEATURES: Final = 128
# What a protocol calls the classes that samples were drawn of.
DRAWN: Final = "labels"
_VERSION: Final = 1
# Larger pictures are averaged down: the cost of training stays the same.
SIDE: Final = 32
_BATCH: Final = 100
# Pictures that training goes through, at most.
MOST_IMAGES: Final = 70_000
_MOST_EPOCHS: Final = 40
_LEARNING_RATE: Final = 3e-3
_SHIFT: Final = 2


class Classifier(nn.Module):
    """Pictures float32 [n, channels, height, width] in -1 .. 1 to (features [n, 128], logits).

    Three convolutions, each at half the side of the one before, then 128 features and a linear layer.
    """

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(channels, 16), nn.MaxPool2d(2), *_block(16, 32), nn.MaxPool2d(2), *_block(32, 64)
        )
        self.features = nn.Linear(64 * (height // 4) * (width // 4), FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features after their rectifier, and the logits."""
        features = F.relu(self.features(self.body(pictures).flatten(1)))
        return features, self.head(features)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on held-out pictures."""

    network: Classifier
    accuracy: float
    identity: str


def prepare(batch: Tensor) -> Tensor:
    """Return float32 [n, channels, height, width] in -1 .. 1, sides at most 32, of uint8 [n, h, w, c]."""
    return shrink(batch.permute(0, 3, 1, 2).float(), SIDE) / 127.5 - 1


def train(pictures: PictureSet, classes: Classes, sha256: str, say: Say) -> TrainedClassifier:
    """Return the classifier of a data set: from the store, or trained now.

    Args:
        pictures: the data, whose `class_names` are known.
        classes: of the pictures, int64 [n].
        sha256: of the pictures.
        say: prints a line before the training and after it.
    """
    key = hashlib.sha256(f"{_VERSION} {sha256}".encode()).hexdigest()[:32]
    kept = store.load("classifier", key)
    if kept is not None:
        accuracy = kept.pop("accuracy")
        network = _make(pictures)
        network.load_state_dict(kept)
        return TrainedClassifier(network.eval(), float(accuracy), key)
    say(f"training a small classifier on {pictures.name} to judge by, once for this data")
    start = time.monotonic()
    network = fit(pictures, classes)
    held, _ = split(len(pictures), classes)
    accuracy = torch.tensor(_accuracy(network, pictures.images, classes, held), dtype=torch.float64)
    store.keep("classifier", key, {**network.state_dict(), "accuracy": accuracy})
    seconds = time.monotonic() - start
    say(f"it names {float(accuracy):.1%} of {len(held):,} held-out pictures rightly ({seconds:.0f} s)")
    return TrainedClassifier(network, float(accuracy), key)


def fit(pictures: PictureSet, classes: Classes) -> Classifier:
    """Train on pictures that are not held out, 70,000 in all, shifted by up to two pixels."""
    _, rest = split(len(pictures), classes)
    targets, own = torch.from_numpy(np.asarray(classes)), torch.from_numpy(rest)
    network = _make(pictures).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = max(1, min(MOST_IMAGES, _MOST_EPOCHS * len(rest)) // _BATCH)
    optimizer = torch.optim.Adam(network.parameters(), _LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, steps + 1)
    random = seeding.generator(0, "classifier", "order")
    queue = own[:0]
    for _ in range(steps):
        while len(queue) < min(_BATCH, len(own)):
            queue = torch.cat([queue, own[torch.randperm(len(own), generator=random)]])
        index, queue = queue[:_BATCH], queue[_BATCH:]
        down, right = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=random).tolist()
        batch = _shift(prepare(torch.from_numpy(pictures.images[index.numpy()])), down, right)
        batch = batch.contiguous(memory_format=torch.channels_last)  # faster, as in training
        _, logits = network(batch)
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits, targets[index], label_smoothing=0.05))
        optimizer.step()
        schedule.step()
    trained: Classifier = network.eval().requires_grad_(False)
    return trained


def _shift(batch: Tensor, down: int, right: int) -> Tensor:
    height, width = batch.shape[2:]
    padded = F.pad(batch, (_SHIFT,) * 4, mode="replicate")
    return padded[:, :, _SHIFT + down :, _SHIFT + right :][:, :, :height, :width]


def as_network(trained: TrainedClassifier, device: torch.device) -> FeatureNetwork:
    """Return the classifier as a feature network."""
    network = trained.network.to(device)

    def extract(batch: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = network(prepare(batch.to(device)))
        return features, logits

    return FeatureNetwork(
        name=NAME,
        identity=f"{NAME}/{trained.identity}",
        resizer=f"as they are, sides over {SIDE} averaged by area to {SIDE}",
        extract=extract,
        notes={"classifier_accuracy": trained.accuracy},
    )


def _make(pictures: PictureSet) -> Classifier:
    sides = (min(SIDE, pictures.height), min(SIDE, pictures.width))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeding.derive(0, "classifier", "weights"))
        return Classifier(pictures.channels, *sides, max(1, len(pictures.class_names)))


def _accuracy(network: Classifier, images: Pictures, classes: Classes, held: Classes) -> float:
    _, predicted = as_network(TrainedClassifier(network, 0.0, ""), torch.device("cpu"))(images, held)
    assert predicted is not None
    return float((predicted == classes[held]).mean())


def _score(compared: Comparison) -> dict[str, float]:
    """Return the share of samples that the classifier takes for the class that they were drawn for."""
    wanted, predicted = compared.samples.classes, compared.samples.predicted
    if wanted is None or predicted is None:
        return {}
    return {_MEASURE.name: float((wanted == predicted).mean())}


_MEASURE: Final = Measure(
    "label_accuracy", "label accuracy", ".2%", HIGH, limits=SHARE, chart="Label accuracy", brief=".1%"
)
METRIC: Final = Metric((_MEASURE,), _score, needs=frozenset((IMAGE, CLASS)))
