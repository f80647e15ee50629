"""The command line of the SDK: grid, sample, info. Heavy parts are imported where they are used."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gan_infer import __version__, catalog, console

if TYPE_CHECKING:
    from gan_infer.generator import Generator

_MOST_FILES: Final = 1_000_000

_model = click.option(
    "--model",
    default=catalog.DEFAULT,
    show_default=True,
    help="A model file, or the name of a shipped model.",
)
_device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
_label = click.option("--label", help="A class, by name or index.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gan-infer")
def cli() -> None:
    """Make pictures with an exported generator. Add --debug for tracebacks."""


@cli.command()
@_model
@_device
@_label
@click.option("--seeds", help="Like 0,1,4-6; by default 0, 1, ... as many as the sheet holds.")
@click.option("--rows", type=click.IntRange(1, 1000), help="Rows of the sheet.")
@click.option("--cols", type=click.IntRange(1, 1000), help="Pictures in a row.")
@click.option("--scale", type=click.IntRange(1, 64), help="Enlarge pixels so many times.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("grid.png"),
    show_default=True,
    help="The file to write; its ending picks the format.",
)
def grid(
    model: str,
    device: str,
    label: str | None,
    seeds: str | None,
    rows: int | None,
    cols: int | None,
    scale: int | None,
    to: Path,
) -> None:
    """Write one sheet of pictures; without --label, a row a class."""
    from gan_infer import images, latents

    images.format_of(to)  # a bad name is told before the work, not after
    chosen = None if seeds is None else latents.parse_seeds(seeds)
    generator = _load(model, device)
    sheet = generator.grid(label, chosen, rows, cols)
    factor = scale or images.factor_for(*generator.image_shape[:2])
    images.save(images.enlarge(sheet, factor), to)
    click.echo(to)


@cli.command()
@click.argument("n", type=int)
@_model
@_device
@_label
@click.option("--seed", type=int, help="The first picture's seed; fresh by default.")
@click.option(
    "--to", type=click.Path(path_type=Path), required=True, help="The folder to write PNG files to."
)
def sample(n: int, model: str, device: str, label: str | None, seed: int | None, to: Path) -> None:
    """Write N pictures to a folder, each named by its seed."""
    from concurrent.futures import ThreadPoolExecutor

    from gan_infer import images, latents
    from gan_infer.errors import OptionError

    if to.exists() and not to.is_dir():
        raise OptionError(f"cannot write into {to}: it is a file; give the name of a folder")
    if n > _MOST_FILES:
        raise OptionError(f"{n:,} files are too many for one call; ask for at most {_MOST_FILES:,}")
    generator = _load(model, device)
    first = latents.fresh_seed(max(1, n)) if seed is None else seed
    batches = generator.iter_batches(n, label, first)
    done, start, shown = 0, time.monotonic(), 0.0
    with ThreadPoolExecutor() as pool:  # encoding leaves Python's lock, and is half of the work
        for batch in batches:
            names = [to / f"seed{first + done + i:06d}.png" for i in range(len(batch))]
            for _ in pool.map(images.save, batch, names):
                pass
            done += len(batch)
            spent = time.monotonic() - start
            if spent - shown > 2.0:
                shown = spent
                left = spent / done * (n - done)
                console.say(f"{done:,} of {n:,} pictures, {left:.0f} s left")
    click.echo(to)


@cli.command()
@_model
@_device
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(model: str, device: str, as_json: bool) -> None:
    """Print what a model file says of itself, and what it runs on here."""
    from gan_infer.session import runtime_version

    generator = _load(model, device)
    metadata = json.loads(generator.metadata.to_json())
    facts = {
        "file": generator.source,
        "bytes": Path(generator.source).stat().st_size,
        "device": generator.device,
        "device_note": generator.device_note,
        "providers": list(generator.providers),
        "runtime": runtime_version(),
        **metadata,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    facts["golden"] = f"{len(generator.metadata.golden)} pictures"
    height, width, channels = generator.image_shape
    for name in ("height", "width", "channels"):
        del facts[name]
    facts["image"] = f"{height}x{width}x{channels} (height x width x channels)"
    for name, value in facts.items():
        if value not in ("", [], {}):
            click.echo(f"{name.replace('_', ' '):<20} {_in_words(value)}")


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_in_words(item) for item in value)
    return str(value)


def _load(model: str, device: str) -> Generator:
    from gan_infer.generator import Generator

    return Generator.load(model, device=device)


def main() -> None:
    """Run the command line."""
    console.run(cli, "gan-infer")
