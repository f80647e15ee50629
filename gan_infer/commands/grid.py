"""`gan-infer grid`: one sheet of pictures."""

from __future__ import annotations

from pathlib import Path

import click

from gan_infer import console
from gan_infer.commands import shared


@click.command()
@shared.model
@shared.device
@shared.foreign
@shared.label
@shared.psi
@click.option("--seeds", help="Like 0,1,4-6; by default 0, 1, ... as many as the sheet holds.")
@click.option("--rows", type=click.IntRange(1, 1000), help="Rows of the sheet.")
@click.option("--cols", type=click.IntRange(1, 1000), help="Pictures in a row.")
@click.option("--scale", type=click.IntRange(1, 64), help="Enlarge pixels so many times.")
@shared.provenance
@shared.sign
@click.option(
    "--to",
    type=console.FilePath(),
    default=Path("grid.png"),
    show_default=True,
    help="The file to write; its ending picks the format.",
)
def grid(
    model: str,
    device: str,
    label: str | None,
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
    """Write one sheet of pictures; without --label and --rows, a row a class."""
    from gan_infer.latent.seeds import parse_seeds
    from gan_infer.outputs import image

    kind = image.format_of(to)  # a bad name is told before the work, not after
    signer = shared.signer(sign)
    chosen = None if seeds is None else parse_seeds(seeds)
    generator = shared.load(model, device, **foreign)
    factor = scale or image.factor_for(*generator.image_shape[:2])
    told = generator.grid_provenance(label, chosen, rows, cols, psi=psi, scale=factor)
    down, classes = -(-len(told.seeds) // told.columns), len(generator.class_names)
    image.check_sheet(down, told.columns, generator.image_shape, factor, kind)
    sheet = generator.grid(label, chosen, rows, cols, psi=psi)
    image.save(image.enlarge(sheet, factor), to, told if provenance else None, signer)
    if label is None and rows is None and down < classes:
        console.say(
            f"rows are the first {down:,} of {classes:,} classes; choose another by --label, or give --rows "
            "and --cols, and --seeds, whose classes follow one another"
        )
    console.echo(to)
