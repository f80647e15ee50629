"""`gan-train export`: a run's generator to one checked model file."""

from __future__ import annotations

from pathlib import Path

import click

from gan_infer import console, files
from gan_infer.errors import OptionError
from gan_train.commands.shared import RUNS


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--run", type=click.Path(path_type=Path), help="The run's folder.  [default: the newest]")
@click.option(
    "--checkpoint", "which", default="best", show_default=True, help="best, last, or a checkpoint's name."
)
@click.option("--name", help="The model's name.  [default: the run's]")
@click.option("--licence", default="", help="Of the model, for its metadata.")
@click.option("--intended-use", default="", help="For its metadata.")
@click.option(
    "--truncation",
    type=click.FloatRange(0, 2, min_open=True),
    help="Scale latents in the file: less gives surer, less varied pictures; 1 keeps all.  [default: 0.9]",
)
def export(
    to: Path,
    run: Path | None,
    which: str,
    name: str | None,
    licence: str,
    intended_use: str,
    truncation: float | None,
) -> None:
    """Write the newest run's generator to one checked ONNX file."""
    if to.suffix.lower() != ".onnx":
        raise OptionError(f"{to} does not end in .onnx; give a name that does")
    if run is not None and not run.is_dir():
        raise OptionError(f"no run at {run}; give the folder of a run that gan-train fit wrote")
    files.check_writable(to)
    from gan_train import checkpoint
    from gan_train import export as exporter

    folder = run or checkpoint.newest_run(RUNS)
    console.say(f"exporting {folder}")
    written = exporter.export(
        folder,
        to,
        which=which,
        name=name,
        licence=licence,
        intended_use=intended_use,
        truncation=exporter.TRUNCATION if truncation is None else truncation,
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
    click.echo(f"truncation  {metadata.truncation:g} of every latent")
    click.echo(
        f"difference  at most {written.difference} of 256 levels from PyTorch, in "
        f"{written.differing:.4%} of values, at batches {', '.join(map(str, exporter.VERIFIED_BATCHES))}"
    )
