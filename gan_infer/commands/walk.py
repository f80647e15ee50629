"""`gan-infer walk`: a closed walk through seeds, as an animation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gan_infer.commands import moving, shared


@click.command()
@shared.model
@shared.device
@shared.foreign
@shared.label
@shared.psi
@click.option("--seeds", default="1-8", show_default=True, help="The seeds to pass, in order.")
@click.option("--mode", type=click.Choice(["slerp", "lerp"]), help="Arcs or straight lines.")
@moving.options
def walk(
    model: str,
    device: str,
    label: str | None,
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
    """Walk through seeds and back to the first; without --label, through their classes as well."""
    from gan_infer.latent.seeds import parse_seeds

    moving.check(to, sheet, seconds, rate)
    chosen = parse_seeds(seeds, limit=10_000)
    generator = shared.load(model, device, **foreign)
    told = None
    if provenance:
        told = dataclasses.replace(
            generator.provenance(chosen, label, psi=psi), kind="walk", more={"way": "loop", "mode": mode}
        )
    moving.write(
        lambda count: generator.loop(chosen, count, mode, label, psi=psi),  # type: ignore[arg-type]
        generator.image_shape,
        to,
        seconds,
        rate,
        sheet,
        scale,
        told,
    )
