"""`gan-infer info`: prints what a model file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gan_infer import console
from gan_infer.commands import shared


@click.command()
@shared.model
@shared.device
@shared.foreign
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(model: str, device: str, as_json: bool, **foreign: str | None) -> None:
    """Print what a model file says about itself.

    Also print the device that it runs on here, and whether its golden pictures come out right.
    """
    from gan_infer.apps import checking
    from gan_infer.modelfile import golden
    from gan_infer.runtime.devices import runtime_version

    generator = shared.load(model, device, **foreign)
    metadata = json.loads(generator.metadata.to_json())
    for each in metadata["golden"]:
        each["png"] = bool(each["png"])  # only whether there is one: the picture itself is long
    compared = checking.compare(generator)
    facts = {
        "file": generator.source,
        "bytes": Path(generator.source).stat().st_size,
        "sha256": generator.sha256,
        "device": generator.device,
        "device_note": generator.device_note,
        "file_note": generator.file_note,
        "golden_result": golden.worst(compared),
        "providers": list(generator.providers),
        "runtime": runtime_version(),
        **metadata,
    }
    if as_json:
        console.echo_json(facts, indent=2)
        return
    facts["golden"] = checking.describe(compared, generator.metadata.kind) if compared else ""
    del facts["golden_result"]
    facts["directions"] = ", ".join(generator.directions)
    for name in ("height", "width", "channels"):
        facts.pop(name, None)
    for name in ("inputs", "outputs"):
        facts[name] = [_describe_array(each) for each in facts[name]]
    if any(generator.image_shape):
        facts["image"] = f"{'x'.join(map(str, generator.image_shape))} (height x width x channels)"
    for name, value in facts.items():
        if value not in ("", [], {}):
            console.echo(f"{name.replace('_', ' '):<20} {_to_text(value)}")


def _describe_array(spec: Mapping[str, Any]) -> str:
    sides = [side if isinstance(side, int) else f"{side['low']}-{side['high']}" for side in spec["shape"]]
    optional = " (optional)" if spec.get("optional") else ""
    return f"{spec['name']} {spec['dtype']} {['batch', *sides]}{optional}".replace("'", "")


def _to_text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_to_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_to_text(item) for item in value)
    return str(value)
