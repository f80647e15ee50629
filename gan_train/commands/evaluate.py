"""`gan-train evaluate`: scores any checkpoint or exported file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np
import numpy.typing as npt

from gan_infer import console, files
from gan_infer.commands.shared import is_trusted, trust
from gan_infer.conditions.spec import IMAGE
from gan_infer.decoding import ranges
from gan_infer.errors import DataError, OptionError
from gan_train.commands.shared import RUNS, decoding
from gan_train.commands.shared import value_range as value_range_option
from gan_train.config.options import DataOptions

if TYPE_CHECKING:
    from gan_train.data import PictureSet
    from gan_train.metrics.evaluator import Evaluator, Scores

Pictures = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.int64]

_ONLY_PICTURES: Final = "pictures are scored here, against pictures of the data"
# Samples on the sheet of nearest pictures.
_SHOWN: Final = 16


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A generator to score.

    Attributes:
        name: for people.
        shape: (height, width, channels) of its pictures.
        class_names: in the order of its classes; empty for an unconditional generator.
        draw: (count, classes) -> pictures of the seeds from 0 up, uint8 [n, height, width, channels];
            classes are int64 [n], or None for those of the seeds, or for none.
        data: what it was trained on, None where that is not known.
        value_range: which values of deep pictures were black and white in training, "auto" if not known.
    """

    name: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    draw: Callable[[int, Classes | None], Pictures]
    data: DataOptions | None = None
    value_range: str = ranges.AUTO


@click.command()
@click.option("--run", type=console.FilePath(), help="The run's folder.  [default: the newest]")
@click.option("--model", help="An exported file, or a shipped model's name, instead of a run.")
@click.option("--checkpoint", "which", help="best, last, or a checkpoint's name.  [default: best]")
@click.option(
    "--data",
    type=console.FilePath(str),
    help="Real pictures to compare with, as for fit.  [default: the run's own data]",
)
@click.option(
    "--value-range",
    metavar="LOW:HIGH",
    callback=value_range_option,
    help="Which values of pictures over 8 bits are black and white.  [default: as in training]",
)
@click.option(
    "--samples",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="Samples to draw and score.",
)
@click.option("--network", default="auto", show_default=True, help="The network that computes features.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--to", type=console.FilePath(), help="Write a sheet of samples and their nearest real pictures."
)
@trust
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    run: Path | None,
    model: str | None,
    which: str | None,
    data: str | None,
    value_range: str | None,
    samples: int,
    network: str,
    device: str,
    to: Path | None,
    as_json: bool,
) -> None:
    """Score samples of a run or an exported model against real pictures.

    The column `real` scores held-out real pictures: what a perfect generator would reach in as many.
    """
    if model is not None and (run is not None or which is not None):
        raise OptionError("--model was given with --run or --checkpoint; give a model or a run")
    from gan_infer.outputs import image

    if to is not None:
        image.format_of(to)
        files.check_writable(to)
    candidate = _open_model(model) if model is not None else _open_run(run, which or "best")
    options = candidate.data if data is None else _options(data, candidate.shape)
    if options is None:
        raise OptionError(
            f"what {candidate.name} was trained on is not known here; name pictures with --data"
        )
    options = dataclasses.replace(options, value_range=value_range or candidate.value_range)
    pictures, conditional = match(_read(options, candidate.shape), candidate.class_names)
    console.say(f"comparing {candidate.name} with {len(pictures):,} pictures of {pictures.name}")
    evaluator = _prepare(pictures, network, samples, device)

    console.say(f"drawing {samples:,} samples, then scoring them")
    scores = evaluator.score(candidate.draw, conditional)
    if to is not None:
        image.save(evaluator.draw_nearest(candidate.draw, _SHOWN, conditional), to)
        console.say(
            f"each row of {to}: a sample, its 3 nearest pictures by features, its 3 nearest by pixels"
        )
    for line in _json(candidate, scores, evaluator) if as_json else _table(candidate, scores, evaluator):
        console.echo(line)


def match(pictures: PictureSet, class_names: tuple[str, ...]) -> tuple[PictureSet, bool]:
    """Return the pictures with their classes in the model's order, and whether those can be drawn."""
    from gan_train.data import matching

    return matching.match_classes(pictures, class_names, console.say)


def _open_model(source: str) -> Candidate:
    from gan_infer.models.generator import Generator

    generator = Generator.load(source, trust=is_trusted())
    (output, *_) = generator.metadata.outputs
    if output.kind != IMAGE:
        raise OptionError(
            f"model {generator.name} makes {output.kind}; {_ONLY_PICTURES}, so give another --model"
        )

    def draw(count: int, classes: Classes | None) -> Pictures:
        if classes is None:
            return generator.sample(count, seed=0)
        return generator(generator.latents(range(count)), classes)

    return Candidate(
        name=f"model {generator.name}",
        shape=generator.image_shape,
        class_names=generator.class_names,
        draw=draw,
        value_range=str(ranges.of_recipe(generator.metadata.recipe) or ranges.AUTO),
    )


def _open_run(run: Path | None, which: str) -> Candidate:
    if run is not None and not run.is_dir():
        raise OptionError(f"no run at {run}; give the folder of a run that gan-train fit wrote")
    console.say("loading PyTorch")
    from gan_train.runs import checkpoint, trained

    folder = run or checkpoint.newest_run(RUNS)
    loaded = trained.load(folder, which, console.say)
    if not loaded.task.scored:
        raise OptionError(
            f"the task of run {folder} is {loaded.options.task}, which makes {loaded.task.draws}; "
            f"{_ONLY_PICTURES}, so give another --run"
        )
    data, sampler = loaded.options.data, loaded.sampler()
    return Candidate(
        name=f"run {folder}, checkpoint {which}",
        shape=(data.height, data.width, data.channels),
        class_names=loaded.class_names,
        draw=lambda count, classes: sampler.draw(range(count), classes),
        data=data,
        value_range=data.value_range,
    )


def _options(source: str, shape: tuple[int, int, int]) -> DataOptions:
    height, width, channels = shape
    return DataOptions(source=source, height=height, width=width, channels=channels)


def _read(options: DataOptions, shape: tuple[int, int, int]) -> PictureSet:
    from gan_train import data

    pictures = data.load(options, decoding)
    if pictures.images.shape[1:] != shape:
        raise DataError(
            f"{options.source} gives pictures of {pictures.images.shape[1:]}; the model draws {shape}; "
            "name pictures of its own kind with --data"
        )
    return pictures


def _prepare(pictures: PictureSet, network: str, samples: int, device: str) -> Evaluator:
    from gan_train.metrics.evaluator import Evaluator
    from gan_train.planning.device import pick_device

    return Evaluator.prepare(
        pictures, network, samples, say=console.say, device=pick_device(device), full=True
    )


def _json(candidate: Candidate, scores: Scores, evaluator: Evaluator) -> list[str]:
    real = evaluator.baseline
    result = {
        "subject": candidate.name,
        **dataclasses.asdict(scores),
        "baseline": {"values": real.values, "protocol": real.protocol},
    }
    return [json.dumps(result, sort_keys=True)]


def _table(candidate: Candidate, scores: Scores, evaluator: Evaluator) -> list[str]:
    from gan_train.metrics.scores import table

    count, few = scores.protocol["samples"], evaluator.baseline.protocol["samples"]
    columns = {f"{count:,} samples": scores.values}
    if few < count:
        columns[f"{few:,} samples"] = scores.as_baseline
    columns[f"{few:,} real"] = evaluator.baseline.values
    return [candidate.name, *table(columns), *scores.describe()]
