"""Compares every preset, its published form and the peers on the built-in digits, at equal minutes.

    python -m benchmarks.presets --data MNIST_FOLDER --minutes 4 [--only NAMES] [--workers 2]

Each subject's speed is measured first, with all --threads, in float32 or bfloat16 as it trains (ours
take the faster, peers float32 as theirs do); the minutes become a number of images, so that a busy machine
costs time and not quality. Each is then trained on them and 10,000 pictures are scored, 1,000 per class
(see `benchmarks.judge`); without labels there is only a distance. Nothing is chosen among
checkpoints: the last generator counts.

A name is a preset ("resnet"), a preset's published form ("dcgan as published") or a peer ("peer acgan").
`ours` in --only means all presets, `published` and `peers` for the others. Lines that are kept
in --results are not measured again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import judge, lines, peers, training
from gan_infer import console
from gan_infer.errors import OptionError, TrainingError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.config.presets import PRESETS
from gan_train.data import PictureSet

_AS_PUBLISHED: Final = " as published"
_PEER: Final = "peer "

# R3GAN's options for CIFAR-10. Over 20,000,000 images its gamma falls to 0.005, its rate to 5e-5, and its
# augmentation rises from 0 to 0.55 and its average's half-life to 5,000,000: after as few as here they
# have hardly changed.
_R3GAN: Final[Mapping[str, Any]] = {
    "loss.penalty_interval": 1,
    "loss.r1_gamma": 0.05,
    "loss.r2_gamma": 0.05,
    "augment.policy": "",
    "optimizer.batch_size": 512,
    "optimizer.learning_rate": 2e-4,
    "optimizer.final_learning_rate": 2e-4,
    "optimizer.warmup": 0.0,
    "optimizer.beta2": 0.9,
    "optimizer.ema_half_life_images": 0.0,
}
# Presets made for one set of pictures, which is not the digits.
_OF_OTHER_DATA: Final = ("fashion", "cifar10")
# Options that are too slow on a CPU, and their replacements. r3 at its own width and batch of 512 does not
# finish its first step in a minute on two cores: its networks are made narrow, and trained like the other
# presets: by many small batches, at a higher rate, under lazy penalties; without augmentation, which is
# against an overfitting that no run this short reaches.
SMALLER: Final[Mapping[str, Mapping[str, Any]]] = {
    "r3": {
        "network.width": 8,
        "loss.penalty_interval": 8,
        "augment.policy": "",
        "optimizer.batch_size": 32,
        "optimizer.learning_rate": 1e-3,
        "optimizer.final_learning_rate": 2e-4,
    },
}
_NO_AVERAGE: Final = {"optimizer.ema_half_life_images": 0.0}
_ONE_RATE: Final = {"optimizer.warmup": 0.0, "loss.penalty_interval": 1}
_DCGAN: Final = {
    **_NO_AVERAGE,
    "network.width": 128,
    "optimizer.batch_size": 128,
    "optimizer.learning_rate": 2e-4,
    "optimizer.final_learning_rate": 2e-4,
    "optimizer.warmup": 0.0,
}
_NO_LABELS: Final = {"condition.generator": "none", "condition.discriminator": "none"}


@dataclasses.dataclass(frozen=True)
class Published:
    """The changes that bring a preset as near to its paper as the options allow."""

    source: str
    changes: Mapping[str, Any]


PUBLISHED: Final[Mapping[str, Published]] = {
    "resnet": Published(
        "GAN with R1 of Mescheder 2018, on our networks: gamma 10 at every step, rate 1e-4 throughout, "
        "average of 0.999 a step (at 64 images, a half-life of 693 steps); Adam in place of RMSprop",
        {
            **_ONE_RATE,
            "loss.r1_gamma": 10.0,
            "optimizer.batch_size": 64,
            "optimizer.learning_rate": 1e-4,
            "optimizer.final_learning_rate": 1e-4,
            "optimizer.ema_half_life_images": 693.0 * 64,
            "optimizer.ema_ramp": 1.0,
        },
    ),
    "relativistic": Published(
        "R3GAN, Huang 2024, its CIFAR-10 options on our networks: R1 and R2 at every step, gamma 0.05, "
        "rate 2e-4 from the first step, beta2 0.9, batches of 512, no average (nothing of it is left "
        "at the start of its schedule)",
        _R3GAN,
    ),
    "r3": Published(
        "R3GAN, Huang 2024, its CIFAR-10 options, as for relativistic, on the preset's networks at the "
        "width that stands in for it here; theirs, 768 channels at every size, end no step in minutes on "
        "two cores",
        _R3GAN,
    ),
    "few": Published(
        "DiffAugment of Zhao 2020 on our networks: all pictures, always",
        {"augment.strength": 1.0, "augment.target": None},
    ),
    "cgan": Published(
        "Mirza and Osindero 2014: the minimax loss, batches of 100, no penalty; with DCGAN's Adam in "
        "place of SGD with momentum, and without dropout, which our options do not have",
        {
            **_NO_AVERAGE,
            **_ONE_RATE,
            "loss.name": "minimax",
            "loss.r1_gamma": 0.0,
            "optimizer.batch_size": 100,
            "optimizer.learning_rate": 2e-4,
            "optimizer.final_learning_rate": 2e-4,
            "optimizer.beta1": 0.5,
            "optimizer.beta2": 0.999,
        },
    ),
    "dcgan": Published(
        "Radford 2016: width 128, Adam 2e-4 with 0.5, batches of 128, no labels, no average",
        {**_DCGAN, **_NO_LABELS},
    ),
    "lsgan": Published(
        "Mao 2017, as for handwritten characters: labels joined to both inputs, Adam 2e-4 with 0.5, "
        "batches of 64, no average",
        {
            **_DCGAN,
            "condition.generator": "one_hot",
            "condition.discriminator": "concatenation",
            "optimizer.batch_size": 64,
        },
    ),
    "acgan": Published(
        "Odena 2017, as for CIFAR-10: Adam 2e-4 with 0.5, batches of 100, no average; without dropout "
        "and noise in the discriminator, which our networks do not have",
        {**_DCGAN, "optimizer.batch_size": 100},
    ),
    "wgan-gp": Published(
        "Gulrajani 2017, algorithm 1, on our networks at width 32: no labels, rate 1e-4 throughout, five "
        "steps to one, no average",
        {
            **_NO_AVERAGE,
            **_NO_LABELS,
            **_ONE_RATE,
            "network.width": 32,
            "optimizer.discriminator_steps": 5,
            "optimizer.learning_rate": 1e-4,
            "optimizer.final_learning_rate": 1e-4,
        },
    ),
    "sngan": Published(
        "Miyato 2018, Miyato and Koyama 2018, at width 64: batches of 64, rate 2e-4, five steps to one, "
        "no average, no warm-up; the rate falls by a half cosine, theirs by a line",
        {
            **_NO_AVERAGE,
            "network.width": 64,
            "optimizer.batch_size": 64,
            "optimizer.discriminator_steps": 5,
            "optimizer.learning_rate": 2e-4,
            "optimizer.final_learning_rate": 0.0,
            "optimizer.warmup": 0.0,
        },
    ),
}


def subjects(only: str) -> list[str]:
    """Return the subjects of a list of names and groups, in the table's order.

    Raises:
        OptionError: a name is unknown.
    """
    groups = {
        "ours": [name for name in PRESETS if name not in _OF_OTHER_DATA],
        "published": [name + _AS_PUBLISHED for name in PUBLISHED],
        "peers": [_PEER + name for name in peers.PEERS],
    }
    every = [name for group in groups.values() for name in group]
    wanted = [name for part in only.split(",") for name in groups.get(part.strip(), [part.strip()])]
    if unknown := [name for name in wanted if name not in every]:
        raise OptionError(f"{unknown[0]!r} is no subject; give some of {', '.join([*groups, *every])}")
    return [name for name in every if name in wanted]


def options_of(subject: str) -> tuple[str, dict[str, Any]]:
    """Return the preset and the changes of a subject that is no peer."""
    preset = subject.removesuffix(_AS_PUBLISHED)
    changes = {**SMALLER.get(preset, {})}
    if subject.endswith(_AS_PUBLISHED):
        changes.update(PUBLISHED[preset].changes)
    return preset, changes


def speed_line(subject: str, pictures: PictureSet, seconds: float) -> lines.Line:
    """Measure how fast a subject trains here with all of torch's threads."""
    threads = torch.get_num_threads()
    if subject.startswith(_PEER):
        assert pictures.labels is not None
        run = peers.begin(subject.removeprefix(_PEER), pictures.images, pictures.labels, seed=0)
        rate, precision = training.fastest_rate(run.step, peers.BATCH, seconds), "fp32"
    else:
        preset, changes = options_of(subject)
        options = training.settle(
            preset, {**changes, "budget.images": 1, "machine.threads": threads}, pictures
        )
        rate, precision = training.images_per_second(options, pictures, seconds), options.machine.precision
    told = {"kind": "speed", "subject": subject, "threads": threads}
    return {**told, "images_per_second": round(rate, 1), "precision": precision}


@dataclasses.dataclass(frozen=True)
class Job:
    """A subject to train and score, with all that a separate process needs."""

    subject: str
    images: int
    precision: str
    seed: int
    threads: int
    scorer: judge.Scorer


def score(job: Job) -> tuple[judge.Score | None, str]:
    """Train and score a subject; return its score, or None and what went wrong."""
    torch.set_num_threads(job.threads)
    pictures = data.load(DataOptions())
    if job.subject.startswith(_PEER):
        peer = peers.train(job.subject.removeprefix(_PEER), pictures, job.images, job.seed)
        return peers.score(peer, job.scorer), ""
    preset, changes = options_of(job.subject)
    fixed = {
        "budget.images": job.images,
        "machine.precision": job.precision,
        "machine.threads": job.threads,
        "seed": job.seed,
    }
    options = training.settle(preset, {**changes, **fixed}, pictures)
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = training.train(options, pictures, Path(folder, "run"), training.Reporter(job.subject))
        except TrainingError as error:
            return None, str(error)
    drawn, labels = training.draw(made, judge.SAMPLES)
    return job.scorer.score(drawn[..., 0], labels), ""


def score_line(job: Job, minutes: float, told: tuple[judge.Score | None, str]) -> lines.Line:
    """Return the result line of a job."""
    found, note = told
    line: lines.Line = {"kind": "score", "subject": job.subject, "minutes": minutes, "seed": job.seed}
    line |= {"images": job.images, "distance": None, "label_accuracy": None, "note": note}
    if found is not None:
        line["distance"] = round(found.distance, 3)
        line["label_accuracy"] = None if found.accuracy is None else round(found.accuracy, 4)
    return line


def carry_out(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, tuple[judge.Score | None, str]]]:
    """Carry out jobs, `workers` at a time, each in its own process; yield them as they end."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, max_tasks_per_child=1) as pool:
        running = {pool.submit(score, job): job for job in jobs}
        for future in concurrent.futures.as_completed(running):
            yield running[future], future.result()


def markdown(kept: lines.Lines, minutes: float, seed: int) -> str:
    """Return the table of one budget, best distance first among equals in kind."""
    rows = []
    for subject in subjects("ours,published,peers"):
        speed = kept.find(kind="speed", subject=subject)
        line = kept.find(kind="score", subject=subject, minutes=minutes, seed=seed)
        if speed is None or line is None:
            continue
        preset = subject.removesuffix(_AS_PUBLISHED)
        name = subject + (f" (width {SMALLER[preset]['network.width']})" if preset in SMALLER else "")
        distance = lines.figure(line["distance"]) or line["note"]
        accuracy = lines.percent(line["label_accuracy"])
        rows.append((name, round(speed["images_per_second"]), line["images"], distance, accuracy))
    return lines.table(rows, ["what", "images/s", "images", "distance", "label accuracy"])


def main() -> None:
    arguments = _arguments()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept, arguments.minutes, arguments.seed))
        return
    torch.set_num_threads(arguments.threads)
    wanted, pictures = subjects(arguments.only), data.load(DataOptions())
    for subject in wanted:
        if kept.find(kind="speed", subject=subject) is None:
            console.say(f"measuring the speed of {subject}")
            kept.add(speed_line(subject, pictures, arguments.speed_seconds))
    if arguments.speeds_only:
        return
    scorer, _ = judge.make_scorer_of_options(arguments)
    jobs = []
    for subject in wanted:
        key = {"subject": subject, "minutes": arguments.minutes, "seed": arguments.seed}
        speed = kept.find(kind="speed", subject=subject)
        assert speed is not None
        if kept.find(kind="score", **key) is None:
            images = training.images_in(arguments.minutes, speed["images_per_second"])
            threads = arguments.threads if arguments.workers == 1 else 1
            jobs.append(Job(subject, images, speed["precision"], arguments.seed, threads, scorer))
    for job, told in carry_out(jobs, arguments.workers):
        kept.add(score_line(job, arguments.minutes, told))


def _arguments() -> argparse.Namespace:
    parser = lines.parser(__doc__, "runs/presets.jsonl")
    judge.add_options(parser)
    parser.add_argument("--only", default="ours,published,peers", help="names, with commas between")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="threads of the speed measurements"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="subjects at a time; with several, one thread each"
    )
    parser.add_argument("--speed-seconds", type=float, default=5.0)
    parser.add_argument("--speeds-only", action="store_true", help="measure the speeds, train nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
