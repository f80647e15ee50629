"""`gan-infer edit`: changes one picture along directions, and writes a sheet with a row for each."""

from __future__ import annotations

import dataclasses
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
@click.option("--seed", type=int, help="The picture's seed.  [default: 0]")
@click.option("--latent", type=console.FilePath(), help="The picture's latent, as gan-train invert wrote it.")
@click.option(
    "--direction",
    "chosen",
    multiple=True,
    help="What to change, by name or number; may be repeated, with a row for each.  [default: all]",
)
@click.option(
    "--range",
    "ends",
    default="-3:3",
    show_default=True,
    help="The first and the last amount, in units of the direction.",
)
@click.option("--steps", type=click.IntRange(1, 1000), default=7, show_default=True, help="Pictures per row.")
@shared.provenance
@click.option(
    "--scale", type=click.IntRange(1, 64), help="How often to repeat each pixel, in both directions."
)
@click.option(
    "--to",
    type=console.FilePath(),
    default=Path("edit.png"),
    show_default=True,
    help="The file to write; its ending selects the format.",
)
def edit(
    model: str,
    device: str,
    given: dict[str, Any],
    psi: float,
    seed: int | None,
    latent: Path | None,
    chosen: tuple[str, ...],
    ends: str,
    steps: int,
    scale: int | None,
    provenance: bool,
    to: Path,
    **foreign: str | None,
) -> None:
    """Change one picture step by step along directions that the model file names."""
    import numpy as np

    from gan_infer.errors import OptionError
    from gan_infer.latent import directions
    from gan_infer.outputs import image

    kind = image.format_of(to)  # a bad name is refused before the work
    if seed is not None and latent is not None:
        raise OptionError("both --seed and --latent were given; give one")
    start: Any = seed or 0
    found = None
    if latent is not None:
        start, found = directions.read_latent(latent)
    amounts = np.linspace(*directions.parse_range(ends), steps)
    generator = shared.load_for_pictures(model, device, **foreign)
    shared.check_names(generator, given)
    given = shared.with_class(given, generator, found)
    names = chosen or tuple(generator.directions) or ("1",)  # "1" is refused, with what to do
    factor = scale or image.factor_for(*generator.image_shape[:2])
    image.check_sheet(len(names), steps, generator.image_shape, factor, kind)
    rows = [generator.edit(start, amounts={name: amounts}, psi=psi, **given) for name in names]
    sheet = image.tile(np.concatenate(rows), steps)
    record = None
    if provenance:
        record = dataclasses.replace(
            generator.provenance(seed or 0, psi=psi, scale=factor, **given),
            kind="edit",
            columns=steps,
            more={"directions": list(names), "amounts": amounts.tolist()},
        )
        if latent is not None:  # it has no seed
            record = dataclasses.replace(record.without_lists(), kind="edited latent")
    image.save(image.enlarge(sheet, factor), to, record)
    if len(names) > 1:
        named = (directions.find(generator.directions, name).name for name in names)
        console.say(f"rows, from the top: {', '.join(named)}")
    console.echo(to)
