"""`gan-infer edit`: one seed changed along directions, a row each, on one sheet."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gan_infer.commands import shared


@click.command()
@shared.model
@shared.device
@shared.label
@shared.psi
@click.option("--seed", type=int, default=0, show_default=True, help="The picture's seed.")
@click.option(
    "--direction",
    "chosen",
    multiple=True,
    help="What to change, by name or number; several give a row each.  [default: all]",
)
@click.option("--range", "ends", default="-3:3", show_default=True, help="From where to where, in units.")
@click.option(
    "--steps", type=click.IntRange(1, 1000), default=7, show_default=True, help="Pictures in a row."
)
@shared.provenance
@click.option("--scale", type=click.IntRange(1, 64), help="Enlarge pixels so many times.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("edit.png"),
    show_default=True,
    help="The file to write; its ending picks the format.",
)
def edit(
    model: str,
    device: str,
    label: str | None,
    psi: float,
    seed: int,
    chosen: tuple[str, ...],
    ends: str,
    steps: int,
    scale: int | None,
    provenance: bool,
    to: Path,
) -> None:
    """Change one picture step by step along directions that the model file names."""
    import numpy as np

    from gan_infer import edits, images

    images.format_of(to)  # a bad name is told before the work, not after
    amounts = np.linspace(*edits.parse_range(ends), steps)
    generator = shared.load(model, device)
    names = chosen or tuple(generator.directions) or ("1",)  # the last is refused, with what to do
    rows = [generator.edit(seed, label, {name: amounts}, psi=psi) for name in names]
    sheet = images.tile(np.concatenate(rows), steps)
    factor = scale or images.factor_for(*generator.image_shape[:2])
    told = None
    if provenance:
        told = dataclasses.replace(
            generator.provenance(seed, label, psi=psi, scale=factor),
            kind="edit",
            columns=steps,
            more={"directions": list(names), "amounts": amounts.tolist()},
        )
    images.save(images.enlarge(sheet, factor), to, told)
    click.echo(to)
