"""`gan-infer verify`: checks that a picture is what its file says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gan_infer import console
from gan_infer.commands import shared
from gan_infer.errors import DataError
from gan_infer.modelfile import catalog

if TYPE_CHECKING:
    from gan_infer.apps.verification import Verdict
    from gan_infer.models.generator import Generator


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=console.FilePath())
@click.option("--model", help="The model file, if it is not a shipped one.  [default: the one in the record]")
@shared.device
@shared.foreign
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture.")
def verify(
    pictures: Sequence[Path], model: str | None, device: str, as_json: bool, **foreign: str | None
) -> int:
    """Draw PICTURES again from their records, and compare.

    A record names the model, the seeds and the conditions. A picture is the same if any viewer
    shows it the same. The exit code is 0 if all are, else 1.
    """
    from gan_infer.apps.verification import NOTHING, SAME, UNKNOWN, Verdict
    from gan_infer.apps.verification import verify as compare
    from gan_infer.provenance.record import read

    loaded: dict[str, Generator] = {}

    def verify_one(path: Path) -> Verdict:
        record = read(path)
        if record is None:
            return Verdict(NOTHING, "carries no provenance")
        name = model or record.model
        if model is None and name not in catalog.shipped_models():
            made = f"was made by model {name!r} of SHA-256 {record.model_sha256[:12]}..."
            return Verdict(UNKNOWN, f"{made}, which is not shipped; give it by --model", record)
        if name not in loaded:
            loaded[name] = shared.load(name, device, **foreign)
        return compare(path, loaded[name])

    good = True
    for path in pictures:
        try:
            verdict = verify_one(path)
        except DataError as error:
            console.say(f"gan-infer: {error}")
            good = False
            continue
        good = good and verdict.result == SAME
        if as_json:
            console.echo_json(_list_facts(path, verdict))
        else:
            console.echo(f"{verdict.result}: {path}: {verdict.detail}")
    return 0 if good else 1


def _list_facts(path: Path, verdict: Verdict) -> dict[str, Any]:
    facts: dict[str, Any] = {"picture": str(path)}
    for field in dataclasses.fields(verdict):
        if field.name != "record":
            facts[field.name] = getattr(verdict, field.name)
    facts["provenance"] = None if verdict.record is None else json.loads(verdict.record.to_json())
    return facts
