"""`gan-train fit`: makes a settled config of the options that were given, and trains a run."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console, files
from gan_infer.errors import DataError, OptionError
from gan_train.commands import shared
from gan_train.config import options, presets
from gan_train.config import settled as settling
from gan_train.config.settled import Settled

if TYPE_CHECKING:
    from gan_train.data import DataSet

_DEFAULT_MINUTES: Final = 20.0
# Options that have a flag of their own: the flag's name to the option's.
_PLACES: Final = {
    "task": "task",
    "channels": "data.channels",
    "fit_": "data.fit",
    "value_range": "data.value_range",
    "on_bad": "data.on_bad",
    "width": "network.width",
    "batch_size": "optimizer.batch_size",
    "learning_rate": "optimizer.learning_rate",
    "flip": "augment.flip",
    "seed": "seed",
    "device": "machine.device",
    "precision": "machine.precision",
    "threads": "machine.threads",
    "reports": "reports",
}


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What was asked for beside the config.

    Attributes:
        out: where the run lies.
        task_by_data: no task was named; the data decides.
        allowed: options that may differ from those that the run began with.
    """

    out: Path | None
    dry_run: bool
    allowed: tuple[str, ...]
    trackers: tuple[str, ...]
    task_by_data: bool = True


@click.command()
@click.argument("data", required=False, type=console.FilePath(str))
@click.option("--out", type=console.FilePath(), help="The run's folder.  [default: runs/NAME]")
@click.option("--task", help="What to train, such as generate.  [default: what the data suits]")
@click.option("--preset", help="See gan-train presets.  [default: resnet]")
@click.option(
    "--config",
    "base",
    type=console.FilePath(),
    help="A config.json to start from, instead of a preset.",
)
@click.option("--minutes", type=float, help=f"Train for this long.  [default: {_DEFAULT_MINUTES:g}]")
@click.option("--images", type=int, help="Train on this many images, instead of --minutes.")
@click.option("--size", callback=shared.size, help="Side of the pictures, or HEIGHTxWIDTH, 8 to 256.")
@click.option("--channels", type=int, help="1 for grey, 3 for colour, 4 with transparency.")
@shared.layout_options
@click.option(
    "--fit", "fit_", type=click.Choice(["crop", "pad"]), help="How to bring other shapes to the size."
)
@click.option(
    "--value-range",
    metavar="LOW:HIGH",
    callback=shared.value_range,
    help="Which values of pictures over 8 bits are black and white.  [default: found]",
)
@click.option(
    "--flip", is_flag=True, default=None, help="Mirror half of the pictures; not for letters or digits."
)
@click.option("--on-bad", type=click.Choice(["refuse", "skip"]), help="What to do about bad files.")
@click.option("--width", type=int, help="Channels of the networks at full size.")
@click.option("--batch-size", type=int, help="Images per step.")
@click.option("--learning-rate", type=float, help="The highest learning rate of Adam.")
@click.option("--seed", type=int, help="Seed of weights, order and latents.")
@click.option("--device", help="auto, cpu, cuda or cuda:1.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="auto picks the faster one.")
@click.option("--threads", type=int, help="CPU threads.")
@click.option(
    "--reports", type=int, help="How many reports (sheet, scores, checkpoint) in the run.  [default: 20]"
)
@click.option(
    "--set", "assignments", multiple=True, metavar="OPTION=VALUE", help="Set any option of config.json."
)
@click.option(
    "--allow-changed", "allowed", multiple=True, metavar="OPTION", help="Go on although this option changed."
)
@click.option(
    "--log",
    "trackers",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb"]),
    help="Also write curves and sheets there.",
)
@click.option("--dry-run", is_flag=True, help="Print config, networks, cost and speed; train nothing.")
def fit(
    data: str | None,
    preset: str | None,
    base: Path | None,
    minutes: float | None,
    images: int | None,
    size: tuple[int, int] | None,
    assignments: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    allowed: tuple[str, ...],
    trackers: tuple[str, ...],
    **given: Any,
) -> int:
    """Train on DATA: `digits`, a folder or zip of pictures (subfolders are classes), npz or IDX files.

    Give the same command again to go on where the run stopped.
    """
    height, width = size or (None, None)
    named = {
        "data.source": data,
        "data.height": height,
        "data.width": width,
        "budget.minutes": minutes,
        "budget.images": images,
        **{place: given[name] for name, place in _PLACES.items()},
        **shared.layout_changes(given),
    }
    changes = {place: value for place, value in named.items() if value is not None}
    changes.update(options.parse(text) for text in assignments)
    wanted = _expand(_collect(preset, base, changes))
    if data is None and base is None:
        raise OptionError("no DATA is given; give a folder of pictures, or digits")
    console.say("loading PyTorch")
    by_data = base is None and "task" not in changes
    return _fit(wanted, Wishes(out, dry_run, allowed, trackers, by_data))


def _collect(preset: str | None, base: Path | None, changes: Mapping[str, Any]) -> options.Config:
    """Return the options of the preset or the file, with those that were asked for put over them."""
    if base is None:
        if not {"budget.minutes", "budget.images"} & set(changes):
            changes = {**changes, "budget.minutes": _DEFAULT_MINUTES}
        return presets.make(preset or "resnet", changes)
    if preset is not None:
        raise OptionError("both --preset and --config are given; give one of them")
    changes = dict(changes)
    for one, other in (("budget.minutes", "budget.images"), ("budget.images", "budget.minutes")):
        if changes.get(one) is not None:
            changes.setdefault(other, None)
    if {*options.PATHS, *options.LAYOUT, "data.height", "data.channels"} & set(changes):
        changes.setdefault("data.sha256", "")
    return options.replace(options.read(base), changes)


def _expand(wanted: options.Config) -> options.Config:
    """Return the options with "~" expanded in their paths, which a file or --set may name."""
    places = dict(options.leaves(wanted))
    return options.replace(wanted, {place: files.expand(places[place]) for place in options.PATHS})


def _fit(wanted: options.Config, wishes: Wishes) -> int:
    from gan_train import distributed, tasks
    from gan_train.planning import device
    from gan_train.runs import checkpoint

    tasks.check_options(wanted)
    _check_outside(wishes.out or shared.RUNS, wanted.data.source)
    run = wishes.out or shared.RUNS / _name_run(wanted.data.source)
    _check_allowed(wishes.allowed)
    if distributed.count_started() > 1:
        if wanted.machine.device.startswith("cuda:"):
            raise OptionError(
                f"--device {wanted.machine.device} names one GPU for {distributed.count_started()} "
                "processes; give cuda, and each takes its own"
            )
        if wanted.machine.device in ("auto", "cuda"):
            # Without a number: each process has its own, and the config is shared by all.
            wanted = options.replace(wanted, {"machine.device": device.pick_device("auto").type})
    wanted = options.replace(wanted, {"machine.processes": distributed.count_started()})
    with contextlib.ExitStack() as stack:
        stack.enter_context(distributed.join(on_cuda=wanted.machine.device.startswith("cuda")))
        if distributed.rank() == 0 and not wishes.dry_run:
            stack.enter_context(checkpoint.only_writer(run))
        stored = distributed.share_object(_read_stored(run) if distributed.rank() == 0 else None)
        pictures, settled = _load_and_settle(wanted, stored, run, wishes)
        if wishes.dry_run:
            _print_plan(settled, pictures)
            return 0
        if distributed.rank() == 0 and settled != stored:
            options.write(settled, run / checkpoint.CONFIG)
        return _train(settled, pictures, run, wishes)


def _load_and_settle(
    wanted: options.Config, stored: Settled | None, run: Path, wishes: Wishes
) -> tuple[Any, Settled]:
    """Load the data, and return them with every open choice closed."""
    from gan_train import data, distributed, tasks
    from gan_train.planning import budget, device, resume

    first = resume.fill(wanted, stored) if stored else wanted
    pictures = data.load(first.data, shared.decoding) if distributed.rank() == 0 else None
    distributed.share_object(None)  # the others find the cache that the first one made
    pictures = pictures or data.load(first.data, shared.decoding)
    for warning in pictures.warnings:
        _say(f"note: {warning}")
    if wanted.data.sha256 and wanted.data.sha256 != pictures.sha256():
        raise OptionError(
            f"{wanted.data.source} holds other pictures than the config was made for; "
            "give --set data.sha256= to train on them all the same"
        )
    if wishes.task_by_data and stored is None:
        wanted = options.replace(wanted, {"task": tasks.find_suited(pictures.columns)})
    elif wishes.task_by_data and stored is not None:
        wanted = options.replace(wanted, {"task": stored.task})
    if stored is None:
        settled = budget.settle(wanted, pictures, _say)
        return pictures, distributed.share_object(settled)
    settled = resume.settle(wanted, stored, pictures, run, wishes.allowed, _say)
    device.pick_device(settled.machine.device)
    device.set_up(settled)
    return pictures, settled


def _train(settled: Settled, pictures: Any, run: Path, wishes: Wishes) -> int:
    from gan_train import distributed, tasks
    from gan_train.reports.live import Screen
    from gan_train.reports.status import Quiet
    from gan_train.reports.trackers import TRACKERS, Several
    from gan_train.runs import checkpoint
    from gan_train.training import loop

    _say(
        f"{_describe_data(pictures)}; {_describe_networks(settled)} on {settled.machine.device} in "
        f"{settled.machine.precision}; run {run}"
    )
    if distributed.rank() > 0:
        return 0 if loop.train(settled, pictures, run, Quiet()) else 130
    newest = checkpoint.names(run)[-1:] or ["0"]
    figures = tasks.make(settled, pictures.columns).figures
    with contextlib.ExitStack() as stack:
        trackers = [TRACKERS[name](run, settled, int(newest[0]), figures) for name in wishes.trackers]
        for tracker in trackers:
            stack.callback(tracker.close)
        screen = stack.enter_context(Screen(str(run), figures))
        complete = loop.train(settled, pictures, run, Several([screen, *trackers]))
    if not complete:
        _say(f"stopped and saved in {run}; the same command goes on from here")
        return 130
    _say(f"complete; look at {run / checkpoint.REPORT}")
    _say(f"export it with: gan-train export --to gen.onnx --run {run}")
    console.echo(run)
    return 0


def _describe_data(data: DataSet) -> str:
    """Return what a run learns from: "1,797 pictures of 28x28x1, 10 classes"."""
    from gan_train.data.kinds import kind_of

    told = []
    for column in data.columns.values():
        if kind_of(column).identifies:
            told.append(f"{len(column):,} {kind_of(column).noun}s of {'x'.join(map(str, column.shape))}")
        elif names := column.facts.get("class_names"):
            told.append(f"{len(names)} classes")
        else:
            told.append(column.name)
    return ", ".join(told)


def _describe_networks(settled: Settled) -> str:
    """Return what learns: the family of networks, where the task has a choice of them."""
    from gan_train import tasks

    named = "network.family" in tasks.TASKS[settled.task].choices
    return settled.network.family if named else f"task {settled.task}"


def _say(text: str) -> None:
    """Say a line once, however many processes share the run."""
    from gan_train import distributed

    if distributed.rank() == 0:
        console.say(text)


def _print_plan(settled: Settled, pictures: Any) -> None:
    """Print what would be done, and what it would cost."""
    from gan_train.planning import budget, flops

    click.echo(settled.to_json(), nl=False)
    cost = flops.count(settled, pictures)
    speed = budget.images_per_second(settled, pictures)
    for name, parameters in cost.parameters.items():
        click.echo(f"{name:<15} {parameters:,} parameters")
    click.echo(f"                {cost.drawing_flops / 1e6:,.1f} MFLOP to draw an image")
    click.echo(f"training        {cost.training_flops / 1e6:,.0f} MFLOP per image, penalties included")
    console.echo(
        f"speed           about {speed:,.0f} images/s on {settled.machine.device} here, for a moment"
    )
    if settled.budget.images is not None:
        click.echo(f"time            about {settled.budget.images / speed / 60:,.1f} minutes")
    elif settled.budget.minutes is not None:
        click.echo(f"images          about {settled.budget.minutes * 60 * speed:,.0f}")


def _name_run(source: str) -> str:
    path = Path(source)
    return (path.resolve().name if path.is_dir() else path.name.split(".")[0]) or "run"


def _check_outside(run: Path, source: str) -> None:
    """Refuse a run's folder among its pictures: its sheets would be taken for pictures the next time.

    Raises:
        OptionError: the run's folder lies in the folder of the pictures.
        DataError: the source has a name that no file can have.
    """
    from gan_train import data

    try:
        folder = source != data.BUILT_IN and Path(source).is_dir()
    except OSError as error:
        raise DataError(f"{source[:80]!r} cannot be read: {error.strerror}; give another path") from None
    if folder and run.resolve().is_relative_to(Path(source).resolve()):
        raise OptionError(
            f"the run's folder {run} lies among the pictures of {source}; name one outside of it with --out"
        )


def _read_stored(run: Path) -> Settled | None:
    from gan_train.runs import checkpoint

    if run.exists() and not run.is_dir():
        raise OptionError(f"cannot write a run to {run}: it is a file; give the name of a folder")
    path = run / checkpoint.CONFIG
    if path.exists():
        return settling.read(path)
    if checkpoint.names(run):
        raise OptionError(
            f"{run} has checkpoints and no {checkpoint.CONFIG}; put that back to go on, "
            "or give another --out to start a new run"
        )
    if run.exists() and not all(map(files.is_part, run.iterdir())):
        raise OptionError(f"{run} holds something else than a run; give an empty or new folder as --out")
    return None


def _check_allowed(allowed: tuple[str, ...]) -> None:
    known = [place for place, _ in options.leaves(options.Config())]
    for place in allowed:
        if place not in known:
            near = difflib.get_close_matches(place, known, 1)
            hint = f"is {near[0]} meant?" if near else "give a name from config.json, like loss.r1_gamma"
            raise OptionError(f"--allow-changed {place} names no option; {hint}")
