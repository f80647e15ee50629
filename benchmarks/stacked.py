"""Stacked digits: how many of 1,000 modes a preset covers when it is told no labels.

    python -m benchmarks.stacked --data MNIST_FOLDER --preset relativistic --images 400000

Three random digits stand in the red, green and blue of a 28x28 picture: 1,000 modes, equally likely
(Metz et al., ICLR 2017). After training, 26,000 pictures are drawn and each channel is named by a digit
classifier trained apart (see `benchmarks.judge`); a mode counts as covered where one picture or more
is of it, and the Kullback-Leibler divergence of the modes' shares from equal ones is given, in nats
(the protocol of PacGAN, Lin et al., NeurIPS 2018). The first line is of real test pictures, stacked:
equal shares themselves come out at about 0.019 with so few pictures.
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


def modes(judged: judge.Judge, pictures: Pixels) -> Labels:
    """Return the mode 0..999 of each picture [n, 28, 28, 3]: its red, green and blue digit in a row."""
    digits = [judge.look(judged, pictures[..., channel])[1] for channel in range(_CHANNELS)]
    return np.array(digits[0] * _DIGITS**2 + digits[1] * _DIGITS + digits[2], np.int64)


def coverage(found: Labels) -> Coverage:
    """Count the modes in numbers 0..999, and give sum p log(p / (1 / 1000)) over their shares p."""
    counts = np.bincount(found, minlength=MODES)
    shares = counts[counts > 0] / counts.sum()
    return Coverage(int((counts > 0).sum()), float((shares * np.log(shares * MODES)).sum()))


def train(arguments: argparse.Namespace, pictures: PictureSet) -> tuple[trained.Trained, str]:
    """Train the preset that the options name; where the run gave up, give its last good state."""
    asked = dict(parse(text) for text in arguments.set)
    fixed = {
        "budget.images": arguments.images,
        "machine.threads": arguments.threads,
        "seed": arguments.seed,
        "reports": arguments.reports,
    }
    options = training.settled(arguments.preset, {**fixed, **asked}, pictures)
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
    court, _ = judge.of_options(arguments)
    if kept.find(model="real test pictures") is None:
        real = stack(judge.read(arguments.data, "t10k")[0], SAMPLES, arguments.seed)
        kept.add(line("real test pictures", 0, arguments.seed, coverage(modes(court.judge, real.images))))
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
    kept.add(line(name, arguments.images, arguments.seed, coverage(modes(court.judge, drawn)), note))


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
        "--reports", type=int, default=10, help="checkpoints, from which a killed run goes on"
    )
    parser.add_argument("--out", type=Path, help="the run's folder  [default: runs/stacked-PRESET-SEED]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
