"""`gan-train directions`: adds named directions and the mixing of classes to a model file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from gan_infer import console, files
from gan_infer.commands.shared import is_trusted, trust
from gan_infer.errors import OptionError
from gan_infer.latent.seeds import check_seed, parse_seeds
from gan_train.commands.shared import TAKEN_NAMES, describe_mixing

_ATTRIBUTES: Final = ("thickness", "slant", "brightness", "width", "height")


@click.command()
@click.option("--model", required=True, help="A model file, or the name of a shipped model.")
@click.option("--to", type=console.FilePath(), required=True, help="The model file to write.")
@click.option(
    "--attribute",
    "chosen",
    multiple=True,
    type=click.Choice(_ATTRIBUTES),
    help="What to measure on sampled pictures; may be given several times.",
)
@click.option(
    "--with",
    "having",
    type=console.FilePath(str),
    help="Seeds whose pictures have something, like 0,4-6, or a folder of seed*.png.",
)
@click.option(
    "--without", "lacking", type=console.FilePath(str), help="Seeds, or a folder, whose pictures lack it."
)
@click.option("--name", help="The direction's name.  [default: the attribute's]")
@click.option(
    "--samples",
    type=click.IntRange(2, 1_000_000),
    default=10_000,
    show_default=True,
    help="Pictures to measure an attribute on.",
)
@trust
def directions(
    model: str,
    to: Path,
    chosen: tuple[str, ...],
    having: str | None,
    lacking: str | None,
    name: str | None,
    samples: int,
) -> None:
    """Add directions for editing to a model file; its pictures stay the same.

    Without --attribute and examples the file gets what a new export has: the strongest
    directions of its first layer, and the input for mixing classes.
    """
    if to.suffix.lower() != ".onnx":
        raise OptionError(f"{to} does not end in .onnx; give a name that does")
    if (having is None) != (lacking is None):
        raise OptionError("only one of --with and --without was given; give both")
    wanted = [*dict.fromkeys(chosen), *(["examples"] if having else [])]
    if name is not None and len(wanted) != 1:
        raise OptionError(f"--name was given for {len(wanted)} directions; it names one")
    if having is not None and name is None:
        raise OptionError("a direction from examples needs a name; give --name")
    if name is not None and (not name.isidentifier() or name in TAKEN_NAMES or len(name) > 64):
        raise OptionError(f"{name!r} cannot name a direction; give one word of letters, digits and _")
    examples = None if having is None or lacking is None else (_seeds(having), _seeds(lacking))
    files.check_writable(to)
    from gan_infer.models.generator import Generator
    from gan_train.graphs import amend
    from gan_train.latent import directions as finder

    generator = Generator.load(model, device="cpu", trust=is_trusted())
    amend.read_own(Path(generator.source))  # a file of another tool is refused before the work
    found = []
    if chosen:
        measured = finder.measure(generator, list(dict.fromkeys(chosen)), samples, _progress)
        found = [finder.by_attribute(measured, each, name or each) for each in measured.values]
    if examples and name:
        found.append(finder.by_examples(generator, *examples, name))
    written = amend.amend(Path(generator.source), to, [each.direction for each in found], trust=is_trusted())
    console.echo(f"file        {to}, {to.stat().st_size / 1e6:.2f} MB")
    console.echo(f"directions  {', '.join(written.directions) or '-'}")
    for each in found:
        if each.explained is not None:
            share = f"{each.explained:.0%} of its variance within a class explained"
            console.echo(f"{each.direction.name:<11} {share}")
    if written.conditional:
        console.echo(describe_mixing(written))


def _seeds(text: str) -> list[int]:
    """Read seeds, or find them in the names of the pictures of a folder, as gan-infer sample writes them."""
    folder = Path(text)
    if not folder.is_dir():
        return parse_seeds(text)
    matches = (re.fullmatch(r"seed(\d{1,19})\.\w+", path.name, re.ASCII) for path in sorted(folder.iterdir()))
    seeds = [check_seed(int(match[1])) for match in matches if match]
    if not seeds:
        raise OptionError(
            f"{folder} holds no pictures named by their seed; give such as gan-infer sample writes"
        )
    return seeds


def _progress(done: int, total: int) -> None:
    if done == total or done % 2048 == 0:
        console.say(f"measured {done:,} of {total:,} pictures")
