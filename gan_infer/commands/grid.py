"""`gan-infer grid`: writes one sheet of pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from gan_infer import console
from gan_infer.commands import shared


@click.command()
@shared.model
@shared.device
@shared.foreign
@shared.conditions
@shared.psi
@click.option("--seeds", help="The seeds, like 0,1,4-6.  [default: 0, 1, ... until the sheet is full]")
@click.option("--rows", type=click.IntRange(1, 1000), help="Rows of the sheet.")
@click.option("--cols", type=click.IntRange(1, 1000), help="Pictures per row.")
@click.option(
    "--scale", type=click.IntRange(1, 64), help="How often to repeat each pixel, in both directions."
)
@shared.provenance
@shared.sign
@click.option(
    "--to",
    type=console.FilePath(),
    default=Path("grid.png"),
    show_default=True,
    help="The file to write; its ending selects the format.",
)
def grid(
    model: str,
    device: str,
    given: dict[str, Any],
    psi: float,
    seeds: str | None,
    rows: int | None,
    cols: int | None,
    scale: int | None,
    provenance: bool,
    sign: tuple[Path, Path] | None,
    to: Path,
    **foreign: str | None,
) -> None:
    """Write one sheet of pictures: one row per class, unless a class or --rows is given."""
    from gan_infer.latent.seeds import parse_seeds
    from gan_infer.outputs import image

    kind = image.format_of(to)  # a bad name is refused before the work
    signer = shared.signer(sign)
    chosen = None if seeds is None else parse_seeds(seeds)
    generator = shared.load_for_pictures(model, device, **foreign)
    shared.check_names(generator, given)
    factor = scale or image.factor_for(*generator.image_shape[:2])
    record = generator.grid_provenance(seeds=chosen, rows=rows, columns=cols, psi=psi, scale=factor, **given)
    down, classes = -(-len(record.seeds) // record.columns), len(generator.class_names)
    image.check_sheet(down, record.columns, generator.image_shape, factor, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the message below says what is left out
        sheet = generator.grid(seeds=chosen, rows=rows, columns=cols, psi=psi, **given)
    image.save(image.enlarge(sheet, factor), to, record if provenance else None, signer)
    shared.say_what_is_left(given, rows, down, classes)
    console.echo(to)
