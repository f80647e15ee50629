"""`gan-infer morph`: changes one picture from a class to another and back, as an animation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from gan_infer.commands import moving, shared
from gan_infer.errors import OptionError


@click.command()
@shared.model
@shared.device
@shared.foreign
@shared.psi
@shared.conditions_of_ends
@click.option("--seed", type=int, default=0, show_default=True, help="The picture's seed.")
@moving.options
def morph(
    model: str,
    device: str,
    psi: float,
    given: dict[str, Any],
    seed: int,
    seconds: float,
    rate: int,
    sheet: int | None,
    scale: int | None,
    provenance: bool,
    to: Path,
    **foreign: str | None,
) -> None:
    """Change one class into another and back; with --sheet, without the way back."""
    import numpy as np

    moving.check(to, sheet, seconds, rate)
    generator = shared.load_for_pictures(model, device, **foreign)
    shared.check_names(generator, given)
    if not generator.conditional:
        raise OptionError(
            f"model {generator.name!r} has no classes to go between; use gan-infer walk, to go between seeds"
        )

    def draw(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if sheet is not None:
            return generator.interpolate(seed, seed, count, psi=psi, **given)
        return generator.loop([seed, seed], count, psi=psi, **given)

    record = None
    if provenance:
        record = dataclasses.replace(
            generator.provenance([seed, seed], psi=psi, **given),
            kind="morph",
            more={"way": "loop" if sheet is None else "interpolate"},
        )
    moving.write(draw, generator.image_shape, to, seconds, rate, sheet, scale, record)
