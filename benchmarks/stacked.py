"""Measures on stacked digits how many of 1,000 modes a preset covers without labels.

    python -m benchmarks.stacked --data MNIST_FOLDER --preset relativistic --images 400000

Three random digits are the red, green and blue channels of a 28x28 picture: 1,000 modes, equally likely
(Metz et al., ICLR 2017). After training, 26,000 pictures are drawn and each channel is read by a digit
classifier trained separately (see `benchmarks.judge`); a mode counts as covered if at least one picture
shows it, and the Kullback-Leibler divergence of the modes' shares from equal ones is given, in nats
(the protocol of PacGAN, Lin et al., NeurIPS 2018). The first line is for real test pictures, stacked:
equal shares themselves give about 0.019 with this few pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import judge, lines, training
from gan_infer.errors import TrainingError
from gan_train import data
from gan_train.config.options import DataOptions, parse
from gan_train.data import PictureSet
from gan_train.runs import trained

SAMPLES: Final = 26_000
_DIGITS: Final = 10
_CHANNELS: Final = 3
MODES: Final = _DIGITS**_CHANNELS

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Modes seen at least once, and the divergence of their shares from equal ones, in nats."""

    modes: int
    divergence: float


def stack(images: Pixels, count: int, seed: int) -> PictureSet:
    """Return triples of pictures [n, 28, 28] as a PictureSet of [count, 28, 28, 3] without labels."""
    chance = np.random.default_rng(seed)
    triples = images[chance.integers(len(images), size=(_CHANNELS, count))]
    return PictureSet.from_arrays("stacked digits", np.ascontiguousarray(np.moveaxis(triples, 0, -1)))


def modes(judged: judge.DigitClassifier, pictures: Pixels) -> Labels:
    """Return the mode 0..999 of each picture [n, 28, 28, 3]: its red, green and blue digit in a row."""
    digits = [judge.classify(judged, pictures[..., channel])[1] for channel in range(_CHANNELS)]
    return np.array(digits[0] * _DIGITS**2 + digits[1] * _DIGITS + digits[2], np.int64)


def coverage(found: Labels) -> Coverage:
    """Count the modes in numbers 0..999, and return sum p log(p / (1 / 1000)) over their shares p."""
    counts = np.bincount(found, minlength=MODES)
    shares = counts[counts > 0] / counts.sum()
    return Coverage(int((counts > 0).sum()), float((shares * np.log(shares * MODES)).sum()))


def train(arguments: argparse.Namespace, pictures: PictureSet) -> tuple[trained.Trained, str]:
    """Train the preset that the options name; if the run gave up, return its last good state."""
    asked = dict(parse(text) for text in arguments.set)
    fixed = {
        "budget.images": arguments.images,
        "machine.threads": arguments.threads,
        "seed": arguments.seed,
        "reports": arguments.reports,
    }
    options = training.settle(arguments.preset, {**fixed, **asked}, pictures)
    run = arguments.out or Path("runs", f"stacked-{arguments.preset}-{arguments.seed}")
    try:
        return training.train(options, pictures, run, training.Reporter(arguments.preset), anew=False), ""
    except TrainingError as error:
        return trained.load(run, "last"), str(error)


def line(what: str, images: int, seed: int, found: Coverage, note: str = "") -> lines.Line:
    """Return the result line of a model."""
    told = {"model": what, "images": images, "seed": seed, "modes": found.modes}
    return {**told, "divergence": round(found.divergence, 4), "samples": SAMPLES, "note": note}


def markdown(kept: list[lines.Line]) -> str:
    """Return the table of result lines."""
    rows = [
        (each["model"], each["images"] or None, each["modes"], f"{each['divergence']:.3f}") for each in kept
    ]
    return lines.table(rows, ["model", "images seen", f"modes of {MODES:,}", "divergence, nats"])


def main() -> None:
    arguments = _arguments()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept.all))
        return
    torch.set_num_threads(arguments.threads)
    scorer, _ = judge.make_scorer_of_options(arguments)
    if kept.find(model="real test pictures") is None:
        real = stack(judge.read(arguments.data, "t10k")[0], SAMPLES, arguments.seed)
        kept.add(
            line("real test pictures", 0, arguments.seed, coverage(modes(scorer.classifier, real.images)))
        )
    name = " ".join([arguments.preset, *arguments.set])
    if kept.find(model=name, images=arguments.images, seed=arguments.seed) is not None:
        return
    source = (
        data.load(DataOptions()).images[..., 0]
        if arguments.built_in
        else judge.read(arguments.data, "train")[0]
    )
    pictures = stack(source, arguments.pictures, seed=0)
    made, note = train(arguments, pictures)
    drawn, _ = training.draw(made, SAMPLES)
    kept.add(line(name, arguments.images, arguments.seed, coverage(modes(scorer.classifier, drawn)), note))


def _arguments() -> argparse.Namespace:
    parser = lines.parser(__doc__, "runs/stacked.jsonl")
    judge.add_options(parser)
    parser.add_argument("--preset", default="resnet")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--images", type=int, default=400_000, help="seen in training")
    parser.add_argument("--pictures", type=int, default=100_000, help="triples in the training set")
    parser.add_argument("--built-in", action="store_true", help="stack the built-in 10,000 digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--reports", type=int, default=10, help="checkpoints, from which a killed run resumes"
    )
    parser.add_argument("--out", type=Path, help="the run's folder  [default: runs/stacked-PRESET-SEED]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
