"""`gan-train export`: writes a run's generator, its discriminator or both, each as one checked model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from gan_infer import console, files
from gan_infer.errors import OptionError
from gan_infer.outputs import charts
from gan_train.commands.shared import RUNS

if TYPE_CHECKING:
    from gan_train.export import Exported
    from gan_train.export.critic import ExportedCritic


@click.command()
@click.option("--to", type=console.FilePath(), help="The generator's file to write.")
@click.option("--critic", type=console.FilePath(), help="The discriminator's file to write.")
@click.option("--run", type=console.FilePath(), help="The run's folder.  [default: the newest]")
@click.option(
    "--checkpoint", "which", default="best", show_default=True, help="best, last, or a checkpoint's name."
)
@click.option("--name", help="The model's name.  [default: the run's]")
@click.option("--licence", default="", help="The model's licence, for its metadata.")
@click.option("--intended-use", default="", help="The intended use, for its metadata.")
@click.option(
    "--truncation",
    type=console.FloatRange(0, 2, min_open=True),
    help="Scale all latents: below 1 pictures are better and less varied; 1 keeps them.  [default: 0.9]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="fp16 halves the file, for GPUs; pixel values may differ by a few of 256.",
)
@click.option(
    "--calibrate",
    type=console.FilePath(str),
    default="",
    help="Real pictures that training did not see, for --critic.  [default: the test split beside the data]",
)
@click.option(
    "--calibration-curve", "curve", type=console.FilePath(), help="Draw the calibration curve, .png or .svg."
)
def export(
    to: Path | None,
    critic: Path | None,
    run: Path | None,
    which: str,
    name: str | None,
    licence: str,
    intended_use: str,
    truncation: float | None,
    precision: str,
    calibrate: str,
    curve: Path | None,
) -> None:
    """Write the newest run's generator (--to), its discriminator (--critic) or both to ONNX files.

    The critic says how real a picture looks, from 0 to 1, calibrated so that about 60 % of the
    pictures with a score of 0.6 are real, if half of all pictures shown are real.
    """
    if critic is None and (calibrate or curve):
        raise OptionError("--calibrate and --calibration-curve are for a critic; name its file with --critic")
    _check_targets(to, critic)
    if run is not None and not run.is_dir():
        raise OptionError(f"no run at {run}; give the folder of a run that gan-train fit wrote")
    if curve is not None:
        charts.check_ending(curve)
    from gan_train import export as exporter
    from gan_train.export import critic as of_critic
    from gan_train.runs import checkpoint

    folder = run or checkpoint.newest_run(RUNS)
    console.say(f"exporting {folder}")
    about: _About = {
        "which": which,
        "name": name,
        "licence": licence,
        "intended_use": intended_use,
        "truncation": exporter.TRUNCATION if truncation is None else truncation,
    }
    if to is not None:
        half = {"fp32": "float32", "fp16": "float16"}[precision]
        written = exporter.export(folder, to, precision=half, say=console.say, **about)
        _tell(written, exporter.VERIFIED_BATCHES)
    if critic is not None:
        made = of_critic.export(folder, critic, calibrate=calibrate, say=console.say, **about)
        _tell_critic(made)
        if curve is not None:
            title = f"{made.metadata.name}: {made.metadata.calibration['origin']}"
            charts.save(charts.calibration(made.metadata.calibration["curve"], title), curve)
            console.echo(f"curve       {curve}")


class _About(TypedDict):
    """What both kinds of file are made from."""

    which: str
    name: str | None
    licence: str
    intended_use: str
    truncation: float


def _check_targets(to: Path | None, critic: Path | None) -> None:
    if to is None and critic is None:
        raise OptionError("nothing is asked for; name a file to write with --to or --critic")
    if critic is not None and critic == to:
        raise OptionError("--to and --critic are the same file; give two names")
    for target in (to, critic):
        if target is not None and target.suffix.lower() != ".onnx":
            raise OptionError(f"{target} does not end in .onnx; give a name that does")
    for target in (to, critic):
        if target is not None:
            files.check_writable(target)


def _tell(written: Exported, batches: tuple[int, ...]) -> None:
    metadata = written.metadata
    _tell_file(written)
    _tell_origin(metadata.class_names, metadata.data_name, metadata.images_seen)
    console.echo(f"precision   {metadata.precision}")
    console.echo(f"truncation  {metadata.truncation:g} of every latent")
    unit = "of 256 levels" if written.outputs[0].dtype == "uint8" else "of full scale"
    console.echo(
        f"difference  at most {written.difference:g} {unit} from PyTorch, in "
        f"{written.differing:.4%} of values, at batches {', '.join(map(str, batches))}"
    )


def _tell_file(written: Exported | ExportedCritic) -> None:
    from gan_train.export.graph import describe_array

    console.echo(f"file        {written.path}, {written.size_bytes / 1e6:.2f} MB")
    needed = [describe_array(each) for each in written.inputs if not each.optional]
    console.echo(f"inputs      {', '.join(needed)}")
    console.echo(f"output      {', '.join(map(describe_array, written.outputs))}")


def _tell_critic(written: ExportedCritic) -> None:
    metadata, facts = written.metadata, written.metadata.calibration
    _tell_file(written)
    _tell_origin(metadata.class_names, metadata.data_name, metadata.images_seen)
    console.echo(f"difference  at most {written.difference:.2g} from PyTorch")
    seen = ", which training saw" if facts["seen_in_training"] else ""
    console.echo(
        f"calibrated  on {facts['origin']}{seen}, and as many generated at truncation {facts['truncation']:g}"
    )
    console.echo(
        f"error       {facts['expected_error']:.3f} expected on the half not used "
        f"({facts['expected_error_by_chance']:.3f} by chance alone on so many pictures; "
        f"uncalibrated {facts['expected_error_uncalibrated']:.3f})"
    )
    console.echo(
        f"separation  a real picture looks more real than a generated one in {facts['separation']:.0%} of "
        "pairs (50%: it cannot tell)"
    )


def _tell_origin(class_names: tuple[str, ...], data_name: str, images_seen: int) -> None:
    if class_names:
        names = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
        console.echo(f"classes     {names}")
    console.echo(f"trained on  {data_name}, {images_seen:,} images seen")
