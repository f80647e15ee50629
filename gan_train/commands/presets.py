"""`gan-train presets`: lists the known-good sets of options."""

from __future__ import annotations

import json

import click

from gan_train.config import presets as known


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the options that differ.")
def presets(as_json: bool) -> None:
    """List the known-good sets of options, with purpose and source."""
    if as_json:
        table = {
            name: {"purpose": preset.purpose, "source": preset.source, "options": dict(preset.changes)}
            for name, preset in known.PRESETS.items()
        }
        click.echo(json.dumps(table, indent=2))
        return
    for name, preset in known.PRESETS.items():
        click.echo(f"{name:<14} {preset.purpose}\n{'':<14} {preset.source}")
