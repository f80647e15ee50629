"""`gan-infer walk`: writes a closed path through seeds, as an animation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import click

from gan_infer.commands import moving, shared


@click.command()
@shared.model
@shared.device
@shared.foreign
@shared.conditions
@shared.psi
@click.option("--seeds", default="1-8", show_default=True, help="The seeds on the path, in order.")
@click.option("--mode", type=click.Choice(["slerp", "lerp"]), help="Arcs or straight lines.")
@moving.options
def walk(
    model: str,
    device: str,
    given: dict[str, Any],
    psi: float,
    seeds: str,
    mode: str | None,
    seconds: float,
    rate: int,
    sheet: int | None,
    scale: int | None,
    provenance: bool,
    to: Path,
    **foreign: str | None,
) -> None:
    """Go from seed to seed and back to the first; unless a class is given, also from class to class."""
    from gan_infer.latent.seeds import parse_seeds

    moving.check(to, sheet, seconds, rate)
    chosen = parse_seeds(seeds, limit=10_000)
    generator = shared.load_for_pictures(model, device, **foreign)
    shared.check_names(generator, given)
    record = None
    if provenance:
        record = dataclasses.replace(
            generator.provenance(chosen, psi=psi, **given), kind="walk", more={"way": "loop", "mode": mode}
        )
    moving.write(
        lambda count: generator.loop(chosen, count, cast(Any, mode), psi=psi, **given),
        generator.image_shape,
        to,
        seconds,
        rate,
        sheet,
        scale,
        record,
    )
