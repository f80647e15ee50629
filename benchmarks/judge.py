"""Judge digit generators: label accuracy and Frechet distance by a classifier trained apart.

    python -m benchmarks.judge --mnist MNIST_FOLDER MODEL.onnx ...

Trains a small convolutional classifier on MNIST's training split (about five minutes on two cores;
kept in --keep), then scores 10,000 pictures of each model, 1,000 a class, against the first 10,000
training pictures, on the classifier's 128 features. Features are scaled so that the real test
pictures lie at distance 0.35 from the same reference: classifiers trained differently have features
of different length, and only so do their distances compare. Prints one JSON line a model; the first
line is of the real test pictures.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer import Generator
from gan_train.data import idx

REAL_TEST_DISTANCE = 0.35
SAMPLES = 10_000


class Judge(nn.Module):
    """Pictures uint8 [n, 28, 28] to (features [n, 128], logits [n, 10])."""

    def __init__(self) -> None:
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
            nn.Linear(64 * 49, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, 10)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Give the features and the logits of a batch."""
        features = self.body(pictures.float()[:, None] / 255)
        return features, self.head(features)


def read(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    images, labels = idx.read_pair(
        folder / f"{split}-images-idx3-ubyte.gz", folder / f"{split}-labels-idx1-ubyte.gz"
    )
    assert labels is not None
    return torch.from_numpy(images[..., 0]), torch.from_numpy(labels)


def train(images: Tensor, labels: Tensor, seed: int, epochs: int) -> Judge:
    torch.manual_seed(seed)
    judge = Judge()
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    steps = epochs * math.ceil(len(images) / 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for epoch in range(epochs):
        judge.train()
        for index in torch.randperm(len(images)).split(128):
            down, right = torch.randint(-2, 3, (2,)).tolist()
            _, logits = judge(images[index].roll((down, right), (1, 2)))
            optimizer.zero_grad()
            F.cross_entropy(logits, labels[index]).backward()
            optimizer.step()
            schedule.step()
        print(f"judge: epoch {epoch + 1} of {epochs}", flush=True)
    return judge.eval()


@torch.inference_mode()
def look(judge: Judge, pictures: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Give (features float64 [n, 128], predicted labels [n])."""
    parts = [judge(part) for part in pictures.split(500)]
    features = torch.cat([part[0] for part in parts]).double().numpy()
    return features, torch.cat([part[1] for part in parts]).argmax(1).numpy()


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Give the Frechet distance of two sets of features (Heusel et al. 2017, equation 6)."""
    gap = a.mean(0) - b.mean(0)
    first, second = np.cov(a.T), np.cov(b.T)
    # The trace of the product's square root is the sum of the roots of its eigenvalues.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * roots)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--keep", type=Path, default=Path("runs/judge.pt"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    images, labels = read(arguments.mnist, "train")
    if arguments.keep.exists():
        judge = Judge()
        judge.load_state_dict(torch.load(arguments.keep, weights_only=True))
        judge.eval()
    else:
        judge = train(images, labels, arguments.seed, arguments.epochs)
        arguments.keep.parent.mkdir(parents=True, exist_ok=True)
        torch.save(judge.state_dict(), arguments.keep)
    reference, _ = look(judge, images[:SAMPLES])
    test_images, test_labels = read(arguments.mnist, "t10k")
    features, predicted = look(judge, test_images)
    scale = REAL_TEST_DISTANCE / frechet(features, reference)

    def report(name: str, features: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> None:
        distance, accuracy = frechet(features, reference) * scale, float((predicted == labels).mean())
        line = {"model": name, "distance": round(distance, 3), "label_accuracy": round(accuracy, 4)}
        print(json.dumps({**line, "samples": len(labels)}), flush=True)

    report("real test pictures", features, predicted, test_labels.numpy())
    for model in arguments.models:
        generator = Generator.load(model, device="cpu")
        wanted = np.arange(SAMPLES) % 10
        pictures = generator.sample(SAMPLES, label=wanted, seed=0)[..., 0]
        report(model, *look(judge, torch.from_numpy(pictures)), wanted)


if __name__ == "__main__":
    main()
