"""The command line of training: fit, export, presets. PyTorch is imported where it is used."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import __version__, console, files
from gan_infer.errors import GanError, OptionError
from gan_train import config as options

if TYPE_CHECKING:
    from gan_train.reports.live import Screen

_DEFAULT_MINUTES: Final = 20.0
_RUNS: Final = Path("runs")
_NEEDED: Final = ("torch", "onnx", "onnxscript", "safetensors", "rich")
# What settling fills in; a resumed run takes it from the run's own config.json.
_SETTLED: Final = (
    "data.height",
    "data.width",
    "data.channels",
    "machine.device",
    "machine.precision",
    "machine.threads",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gan-train")
def cli() -> None:
    """Train a generator on pictures and export it. Add --debug for tracebacks."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise GanError(
            f"training needs {', '.join(missing)}, not installed here; "
            "install with: pip install 'ganforge[train]'"
        )


def _size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter("write it like 64, or 48x32 (height x width)")
    return int(parts[0]), int(parts[-1])


@cli.command()
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@click.option("--preset", default="resnet", show_default=True, help="See gan-train presets.")
@click.option("--minutes", type=float, help=f"Train so long.  [default: {_DEFAULT_MINUTES:g}]")
@click.option("--images", type=int, help="Train on so many images, in place of --minutes.")
@click.option("--size", callback=_size, help="Side of the pictures, or HEIGHTxWIDTH, 16 to 128.")
@click.option("--channels", type=int, help="1 for grey, 3 for colour.")
@click.option("--on-bad", type=click.Choice(["refuse", "skip"]), help="What to do about bad files.")
@click.option("--width", type=int, help="Channels of the networks at full size.")
@click.option("--batch-size", type=int, help="Images a step.")
@click.option("--learning-rate", type=float, help="Of Adam, at its highest.")
@click.option("--seed", type=int, help="Of weights, order and latents.")
@click.option("--device", help="auto, cpu, cuda or cuda:1.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="auto takes the faster.")
@click.option("--threads", type=int, help="CPU threads.")
@click.option("--reports", type=int, help="Sample sheets and checkpoints over the run.  [default: 20]")
def fit(
    data: str,
    out: Path | None,
    preset: str,
    size: tuple[int, int] | None,
    minutes: float | None,
    images: int | None,
    **given: Any,
) -> int:
    """Train on DATA: `digits`, a folder of pictures (subfolders are classes), or IDX files.

    The same command again goes on where the run stopped.
    """
    if minutes is None and images is None:
        minutes = _DEFAULT_MINUTES
    height, width = size or (None, None)
    named = {
        "data.source": data,
        "data.height": height,
        "data.width": width,
        "budget.minutes": minutes,
        "budget.images": images,
        **{_PLACES[name]: value for name, value in given.items()},
    }
    changes = {place: value for place, value in named.items() if value is not None}
    wanted = options.make(preset, changes)
    console.say("loading PyTorch")
    return _fit(wanted, out)


_PLACES: Final = {
    "channels": "data.channels",
    "on_bad": "data.on_bad",
    "width": "network.width",
    "batch_size": "optimizer.batch_size",
    "learning_rate": "optimizer.learning_rate",
    "seed": "seed",
    "device": "machine.device",
    "precision": "machine.precision",
    "threads": "machine.threads",
    "reports": "reports",
}


def _fit(wanted: options.Config, out: Path | None) -> int:
    from gan_train import checkpoint, data, loop, machine
    from gan_train.reports.live import Screen

    run = out or _RUNS / _name(wanted.data.source)
    stored = _stored(run)
    pictures = data.load(_filled(wanted, stored).data if stored else wanted.data, _decoding)
    for warning in pictures.warnings:
        console.say(f"note: {warning}")
    if stored:
        settled = _resumed(wanted, stored, pictures.sha256(), run)
        machine.pick_device(settled.machine.device)
        machine.use_threads(settled)
    else:
        settled = machine.settle(wanted, pictures)
        options.write(settled, run / checkpoint.CONFIG)
    classes = f", {len(pictures.class_names)} classes" if pictures.class_names else ""
    console.say(
        f"{len(pictures):,} pictures of {pictures.height}x{pictures.width}x{pictures.channels}{classes}; "
        f"{settled.network.family} on {settled.machine.device} in {settled.machine.precision}; run {run}"
    )
    with Screen(str(run)) as screen, _interruptible(screen):
        complete = loop.train(settled, pictures, run, screen)
    if not complete:
        console.say(f"stopped and saved in {run}; the same command goes on from here")
        return 130
    console.say(f"complete; look at {run / checkpoint.REPORT}")
    console.say(f"export it with: gan-train export --to gen.onnx --run {run}")
    click.echo(run)
    return 0


@cli.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--run", type=click.Path(path_type=Path), help="The run's folder.  [default: the newest]")
@click.option("--name", help="The model's name.  [default: the run's]")
@click.option("--licence", default="", help="Of the model, for its metadata.")
@click.option("--intended-use", default="", help="For its metadata.")
@click.option(
    "--truncation",
    type=click.FloatRange(0, 2, min_open=True),
    default=1.0,
    show_default=True,
    help="Scale latents in the file: below 1 gives surer, less varied pictures.",
)
def export(
    to: Path, run: Path | None, name: str | None, licence: str, intended_use: str, truncation: float
) -> None:
    """Write the newest run's generator to one checked ONNX file."""
    if to.suffix.lower() != ".onnx":
        raise OptionError(f"{to} does not end in .onnx; give a name that does")
    if run is not None and not run.is_dir():
        raise OptionError(f"no run at {run}; give the folder of a run that gan-train fit wrote")
    files.check_writable(to)
    from gan_train import checkpoint
    from gan_train import export as exporter

    folder = run or checkpoint.newest_run(_RUNS)
    console.say(f"exporting {folder}")
    written = exporter.export(
        folder, to, name=name, licence=licence, intended_use=intended_use, truncation=truncation
    )
    metadata = written.metadata
    label = ", label int64 [batch]" if metadata.conditional else ""
    click.echo(f"file        {written.path}, {written.size_bytes / 1e6:.2f} MB")
    click.echo(f"inputs      latent float32 [batch, {metadata.latent_dim}]{label}")
    click.echo(f"output      image uint8 [batch, {metadata.height}, {metadata.width}, {metadata.channels}]")
    if metadata.conditional:
        names = ", ".join(metadata.class_names[:10]) + (", ..." if len(metadata.class_names) > 10 else "")
        click.echo(f"classes     {names}")
    click.echo(f"trained on  {metadata.data_name}, {metadata.images_seen:,} images seen")
    click.echo(
        f"difference  at most {written.difference} of 256 levels from PyTorch, in "
        f"{written.differing:.4%} of values, at batches {', '.join(map(str, exporter.VERIFIED_BATCHES))}"
    )


@cli.command()
def presets() -> None:
    """List the known-good sets of options."""
    for name, (purpose, _) in options.PRESETS.items():
        click.echo(f"{name:<14} {purpose}")


def _name(source: str) -> str:
    path = Path(source)
    return (path.resolve().name if path.is_dir() else path.name.split(".")[0]) or "run"


def _stored(run: Path) -> options.Config | None:
    from gan_train import checkpoint

    if run.exists() and not run.is_dir():
        raise OptionError(f"cannot write a run to {run}: it is a file; give the name of a folder")
    path = run / checkpoint.CONFIG
    if path.exists():
        return options.read(path)
    if run.exists() and any(run.iterdir()):
        raise OptionError(f"{run} holds something else than a run; give an empty or new folder as --out")
    return None


def _filled(wanted: options.Config, stored: options.Config) -> options.Config:
    """Give the wanted options, with what was left to be settled taken from the run."""
    changes: dict[str, Any] = {}
    for place in _SETTLED:
        group, name = place.split(".")
        if getattr(getattr(wanted, group), name) in (None, "auto"):
            changes[place] = getattr(getattr(stored, group), name)
    return options.replace(wanted, changes)


def _resumed(wanted: options.Config, stored: options.Config, sha256: str, run: Path) -> options.Config:
    filled = options.replace(_filled(wanted, stored), {"data.sha256": sha256})
    changed = options.differences(stored, filled)
    if changed:
        raise OptionError(
            f"run {run} was started with other options ({'; '.join(changed)}); "
            "give the same ones to go on, or another --out to start anew"
        )
    return stored


def _decoding(done: int, total: int) -> None:
    if done == total or done % 1000 == 0:
        console.say(f"decoded {done:,} of {total:,} pictures")


@contextlib.contextmanager
def _interruptible(screen: Screen) -> Iterator[None]:
    """Turn the first Ctrl-C (or SIGTERM) into a wish to save and stop; a second one is obeyed at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        if screen.stopping:
            raise KeyboardInterrupt
        screen.stopping = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command line."""
    console.run(cli, "gan-train")
