"""Compares the width and batch that `gan-train fit` picks for a budget with fixed ones, on the digits.

    python -m benchmarks.budget --data MNIST_FOLDER --minutes 1,3,10 --widths 8,16,24,32
    python -m benchmarks.budget --data MNIST_FOLDER --minutes 0.5,1.5 --widths 8 --batches 32,64,128

For every budget, the preset is trained at each fixed width and batch and as `budget.settle` picks them.
Minutes become images at the speed measured here for that width, so that a busy machine costs time and not
quality. 10,000 pictures of the last generator are scored (see `benchmarks.judge`). The table marks the pick
and gives its distance as a ratio to the best fixed one's.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import judge, lines, training
from gan_infer import console
from gan_train import data
from gan_train.config.options import DataOptions, parse, replace
from gan_train.config.settled import Settled
from gan_train.data import PictureSet


def settle(
    arguments: argparse.Namespace,
    minutes: float,
    width: int | None,
    batch_size: int | None,
    pictures: PictureSet,
) -> Settled:
    """Return the preset's options for a budget, at the given width and batch or at picked ones."""
    changes: dict[str, Any] = dict(parse(text) for text in arguments.set)
    changes |= {
        "budget.minutes": minutes,
        "network.width": width,
        "optimizer.batch_size": batch_size,
        "seed": arguments.seed,
        "machine.threads": arguments.threads,
    }
    return training.settle(arguments.preset, changes, pictures)


def size(options: Settled) -> dict[str, Any]:
    """Return the values in which settled configs of this benchmark differ."""
    return {"width": options.network.width, "batch_size": options.optimizer.batch_size}


def speed_of(kept: lines.Lines, options: Settled, pictures: PictureSet) -> lines.Line:
    """Return the kept speed of a settled config, or measure it now."""
    told = {**size(options), "seed": options.seed}
    speed = kept.find(kind="speed", **told)
    if speed is None:
        rate = round(training.images_per_second(options, pictures), 1)
        speed = {"kind": "speed", **told, "images_per_second": rate, "precision": options.machine.precision}
        kept.add(speed)
    return speed


def measure(
    kept: lines.Lines, options: Settled, minutes: float, pictures: PictureSet, scorer: judge.Scorer
) -> None:
    """Train at one width and batch on as many images as fit into the minutes, and keep the score."""
    told = {**size(options), "seed": options.seed}
    speed = speed_of(kept, options, pictures)
    images = training.images_in(minutes, speed["images_per_second"])
    if kept.find(kind="score", minutes=minutes, **told) is not None:
        return
    fixed = {"budget.minutes": None, "budget.images": images, "machine.precision": speed["precision"]}
    name = f"width {told['width']}, batch {told['batch_size']}, {minutes:g} minutes"
    with tempfile.TemporaryDirectory() as folder:
        made = training.train(replace(options, fixed), pictures, Path(folder, "run"), training.Reporter(name))
    drawn, labels = training.draw(made, judge.SAMPLES)
    found = scorer.score(drawn[..., 0], labels)
    score = {"distance": round(found.distance, 3), "label_accuracy": found.accuracy}
    kept.add({"kind": "score", "minutes": minutes, **told, "images": images, **score})


def markdown(kept: lines.Lines) -> str:
    """Return the table: a row per budget and size, the pick in bold, with its ratio to the best fixed one."""
    rows: list[tuple[Any, ...]] = []
    scores = [line for line in kept.all if line["kind"] == "score"]
    for minutes in sorted({line["minutes"] for line in scores}):
        own = sorted((line for line in scores if line["minutes"] == minutes), key=size_of)
        pick = kept.find(kind="pick", minutes=minutes)
        asked = {tuple(line["fixed"]) for line in kept.all if line["kind"] == "fixed"}
        fixed = [line["distance"] for line in own if (line["width"], line["batch_size"]) in asked]
        for line in own:
            is_pick = pick is not None and size_of(line) == size_of(pick)
            width, batch = (f"**{side}**" if is_pick else str(side) for side in size_of(line))
            ratio = f"{line['distance'] / min(fixed):.2f}" if is_pick and fixed else None
            distance, accuracy = lines.figure(line["distance"]), lines.percent(line["label_accuracy"])
            rows.append((f"{minutes:g}", width, batch, line["images"], distance, accuracy, ratio))
    headings = ["minutes", "width", "batch", "images", "distance", "label accuracy", "pick / best fixed"]
    return lines.table(rows, headings)


def size_of(line: lines.Line) -> tuple[int, int]:
    """Return (width, batch size) of a line."""
    return line["width"], line["batch_size"]


def main() -> None:
    arguments = _arguments()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept))
        return
    torch.set_num_threads(arguments.threads)
    pictures = data.load(DataOptions())
    wanted = [
        (minutes, options)
        for minutes in arguments.minutes
        for options in list_configs(arguments, kept, minutes, pictures)
    ]
    for _, options in wanted:
        speed_of(kept, options, pictures)
    if arguments.speeds_only:
        return
    scorer, _ = judge.make_scorer_of_options(arguments)
    for minutes, options in wanted:
        width, batch = size(options).values()
        console.say(f"a budget of {minutes:g} minutes, width {width}, batch {batch}")
        measure(kept, options, minutes, pictures, scorer)


def list_configs(
    arguments: argparse.Namespace, kept: lines.Lines, minutes: float, pictures: PictureSet
) -> list[Settled]:
    """Return the configs of a budget: at every fixed width and batch, and the picked one (which is kept)."""
    pick = kept.find(kind="pick", minutes=minutes)
    if pick is None:
        chosen = settle(arguments, minutes, None, None, pictures)
        pick = {"kind": "pick", "minutes": minutes, **size(chosen)}
        kept.add(pick)
    sizes = itertools.product(arguments.widths, arguments.batches)
    configs = [settle(arguments, minutes, width, batch, pictures) for width, batch in sizes]
    for options in configs:
        fixed = list(size(options).values())
        if kept.find(kind="fixed", fixed=fixed) is None:
            kept.add({"kind": "fixed", "fixed": fixed})
    return [*configs, settle(arguments, minutes, pick["width"], pick["batch_size"], pictures)]


def _arguments() -> argparse.Namespace:
    parser = lines.parser(__doc__, "runs/budget.jsonl")
    judge.add_options(parser)
    parser.add_argument("--preset", default="resnet")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--minutes", type=lines.numbers, default=[1.0, 3.0, 10.0])
    parser.add_argument("--widths", type=lines.whole_numbers, default=[8, 16, 24, 32])
    parser.add_argument("--batches", type=lines.whole_numbers, default=[64])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--speeds-only", action="store_true", help="measure only speeds and picks")
    return parser.parse_args()


if __name__ == "__main__":
    main()
