"""Scores generators of 28x28 grey pictures: label accuracy and Frechet distance by a separate classifier.

    python -m benchmarks.judge --data FOLDER MODEL.onnx ...

FOLDER holds MNIST, Fashion-MNIST or another set of four IDX files. A small convolutional classifier
is trained on its training split (about five minutes on two cores; kept in --keep), then 10,000
pictures of each model, equally many per class, are scored against the first 10,000 training pictures,
on the classifier's 128 features. Features are scaled so that the real test pictures lie at a fixed
distance from the same reference (0.35 for MNIST, 0.13 for Fashion-MNIST): classifiers trained
differently have features of different length, and only so can their distances be compared. Prints one
JSON line per model; the first line is for the real test pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import lines
from gan_infer import Generator, console, files
from gan_infer.errors import DataError, OptionError
from gan_infer.text.escaping import one_line
from gan_train.data.sources import idx

SAMPLES: Final = 10_000
_SIDE: Final = 28
_FEATURES: Final = 128
_REAL_DISTANCE: Final = 0.35
_REAL_DISTANCE_OF_FASHION: Final = 0.13

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Features = npt.NDArray[np.float64]


class DigitClassifier(nn.Module):
    """Maps pictures uint8 [n, 28, 28] to (features [n, 128], logits [n, classes])."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]

        self.body = nn.Sequential(
            *block(1, 24),
            nn.MaxPool2d(2),
            *block(24, 48),
            *block(48, 64),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(64 * 49, _FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(_FEATURES, classes)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the logits of a batch."""
        features = self.body(pictures.float()[:, None] / 255)
        return features, self.head(features)


@dataclasses.dataclass(frozen=True)
class Score:
    """The score of pictures; the accuracy is None for pictures without an expected label."""

    distance: float
    accuracy: float | None


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Scores pictures by a classifier.

    Attributes:
        reference: features of the first training pictures, float64 [10000, 128].
        scale: the factor for raw distances.
        classes: the number of labels.
    """

    classifier: DigitClassifier
    reference: Features
    scale: float
    classes: int

    def score(self, pictures: Pixels, labels: Labels | None = None) -> Score:
        """Score pictures uint8 [n, 28, 28] that should show the labels [n]."""
        features, predicted = classify(self.classifier, pictures)
        accuracy = None if labels is None else float((predicted == labels).mean())
        return Score(frechet(features, self.reference) * self.scale, accuracy)


def read(folder: Path, split: str) -> tuple[Pixels, Labels]:
    """Read pictures uint8 [n, 28, 28] and labels int64 [n] of the split "train" or "t10k".

    Raises:
        DataError: the files are not there or hold something else; names the file.
    """
    pair = [_plain_or_zipped(folder / f"{split}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    images, labels = idx.read_pair(*pair)
    assert labels is not None
    if images.shape[1:] != (_SIDE, _SIDE, 1):
        raise DataError(f"{pair[0]} holds pictures of {images.shape[1:]}; the judge takes (28, 28, 1)")
    return images[..., 0], labels


def _plain_or_zipped(path: Path) -> Path:
    return path if path.exists() else path.with_name(path.name + ".gz")


def train(images: Pixels, labels: Labels, seed: int, epochs: int) -> DigitClassifier:
    """Train a classifier on pictures shifted by up to two pixels; the result depends only on the seed."""
    pictures, targets = torch.tensor(images), torch.from_numpy(labels)
    torch.manual_seed(seed)
    judge = DigitClassifier(int(labels.max()) + 1)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    steps = epochs * math.ceil(len(images) / 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for epoch in range(epochs):
        judge.train()
        for index in torch.split(torch.randperm(len(images)), 128):
            down, right = torch.randint(-2, 3, (2,)).tolist()
            _, logits = judge(pictures[index].roll((down, right), (1, 2)))
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(logits, targets[index]))
            optimizer.step()
            schedule.step()
        console.say(f"judge: epoch {epoch + 1} of {epochs}")
    return judge.eval()


def train_or_load(
    keep: Path, images: Pixels, labels: Labels, seed: int = 0, epochs: int = 6
) -> DigitClassifier:
    """Return the classifier from a safetensors file; if there is none, train one and keep it.

    Raises:
        OptionError: the file holds something else.
    """
    if not keep.exists():
        judge = train(images, labels, seed, epochs)
        files.write(keep, safetensors.torch.save(judge.state_dict()))
        return judge
    judge = DigitClassifier(int(labels.max()) + 1)
    try:
        judge.load_state_dict(safetensors.torch.load(keep.read_bytes()))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise OptionError(
            f"{keep} is no judge of these classes ({one_line(error, 120)}); give another --judge"
        ) from None
    return judge.eval()


def make_scorer(
    data: Path, keep: Path, real_distance: float | None = None, seed: int = 0, epochs: int = 6
) -> tuple[Scorer, Score]:
    """Return the scorer for a data set, and the score of its real test pictures.

    Args:
        data: a folder with the four IDX files.
        keep: the file of the classifier.
        real_distance: the distance of the real test pictures; None takes it by the folder's name.
    """
    images, labels = read(data, "train")
    judge = train_or_load(keep, images, labels, seed, epochs)
    reference, _ = classify(judge, images[:SAMPLES])
    test_images, test_labels = read(data, "t10k")
    features, _ = classify(judge, test_images)
    wanted = real_distance_of(data) if real_distance is None else real_distance
    scorer = Scorer(judge, reference, wanted / frechet(features, reference), int(labels.max()) + 1)
    return scorer, scorer.score(test_images, test_labels)


def real_distance_of(data: Path) -> float:
    """Return the distance of a data set's test pictures, by the folder's name."""
    return _REAL_DISTANCE_OF_FASHION if "fashion" in data.resolve().name.lower() else _REAL_DISTANCE


@torch.inference_mode()
def classify(judge: DigitClassifier, pictures: Pixels) -> tuple[Features, Labels]:
    """Return (features float64 [n, 128], predicted labels int64 [n])."""
    parts = [judge(part) for part in torch.split(torch.tensor(pictures), 500)]
    features = torch.cat([part[0] for part in parts]).double().numpy()
    return features, torch.cat([part[1] for part in parts]).argmax(1).numpy()


def frechet(a: Features, b: Features) -> float:
    """Return the Frechet distance of two sets of features (Heusel et al. 2017, equation 6)."""
    gap = a.mean(0) - b.mean(0)
    first, second = np.cov(a.T), np.cov(b.T)
    # The trace of the product's square root is the sum of the roots of its eigenvalues.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * roots)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a scorer to a parser, see `make_scorer_of_options`."""
    parser.add_argument(
        "--data", "--mnist", type=Path, metavar="FOLDER", help="four IDX files of 28x28 pictures"
    )
    parser.add_argument(
        "--judge", "--keep", type=Path, help="the classifier's file, trained if it is not there yet"
    )
    parser.add_argument(
        "--real-distance", type=float, help="distance of the real test pictures; else by FOLDER's name"
    )
    parser.add_argument("--judge-seed", type=int, default=0)
    parser.add_argument("--judge-epochs", type=int, default=6)


def make_scorer_of_options(arguments: argparse.Namespace) -> tuple[Scorer, Score]:
    """Make the scorer that the options of `add_options` name.

    Raises:
        OptionError: no data is named.
    """
    if arguments.data is None:
        raise OptionError("no --data is given; give a folder with MNIST's four IDX files, or its like")
    keep = arguments.judge or Path("runs", f"judge-{arguments.data.resolve().name}.safetensors")
    return make_scorer(
        arguments.data, keep, arguments.real_distance, arguments.judge_seed, arguments.judge_epochs
    )


def draw(model: str, classes: int) -> tuple[Pixels, Labels | None]:
    """Draw a model file's pictures uint8 [10000, 28, 28], and return them with their labels, in turn.

    Raises:
        ModelError: it cannot be read.
        OptionError: it draws pictures of another size or of other classes.
    """
    generator = Generator.load(model, device="cpu")
    wanted = np.arange(SAMPLES) % classes if generator.class_names else None
    if wanted is not None and len(generator.class_names) != classes:
        raise OptionError(f"{model} draws {len(generator.class_names)} classes; the judge knows {classes}")
    pictures = generator.sample(SAMPLES, label=wanted, seed=0)
    if pictures.shape[1:] != (_SIDE, _SIDE, 1):
        raise OptionError(f"{model} draws pictures of {pictures.shape[1:]}; the judge takes (28, 28, 1)")
    return pictures[..., 0], wanted


def main() -> None:
    parser = lines.parser(__doc__, "runs/judged.jsonl")
    parser.add_argument("models", nargs="*", metavar="MODEL.onnx")
    add_options(parser)
    for name in ("seed", "epochs"):
        parser.add_argument(f"--{name}", dest=f"judge_{name}", type=int, default=argparse.SUPPRESS)
    arguments = parser.parse_args()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept.all))
        return
    scorer, real = make_scorer_of_options(arguments)
    data = arguments.data.resolve().name
    kept.add(line("real test pictures", data, real))
    for model in arguments.models:
        kept.add(line(model, data, scorer.score(*draw(model, scorer.classes))))


def line(model: str, data: str, score: Score) -> lines.Line:
    """Return the result line of a model."""
    accuracy = None if score.accuracy is None else round(score.accuracy, 4)
    told = {"model": model, "data": data, "distance": round(score.distance, 3), "label_accuracy": accuracy}
    return {**told, "samples": SAMPLES}


def markdown(kept: list[lines.Line]) -> str:
    """Return the table of result lines; of several lines on one model and data, the newest."""
    newest = {(each["data"], each["model"]): each for each in kept}
    rows = [
        (each["data"], each["model"], lines.percent(each["label_accuracy"]), lines.figure(each["distance"]))
        for each in newest.values()
    ]
    return lines.table(rows, ["data", "model", "label accuracy", "distance"])


if __name__ == "__main__":
    main()
