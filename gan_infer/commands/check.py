"""`gan-infer check`: does a model file give what it says it gives?"""

from __future__ import annotations

import dataclasses
import math

import click

from gan_infer import console
from gan_infer.commands import shared


@click.command()
@click.argument("file")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:1.")
@shared.trust
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(file: str, device: str, as_json: bool) -> int:
    """Compare the golden pictures (or a critic's judgements) in FILE with what it gives here.

    Exits with 0 where all came out as the file says, at most one level of 256 off, else with 1.
    """
    from gan_infer.apps import checking

    report = checking.check(file, device, trust=shared.trusted())
    if as_json:
        facts = {**dataclasses.asdict(report), "device": device, "detail": report.detail()}
        for each in facts["compared"]:
            if each["off"] is not None and not math.isfinite(each["off"]):
                each["off"] = None  # JSON knows no NaN
        console.echo_json(facts)
    else:
        console.echo(f"{report.result}: {report.file}: {report.detail()}")
    return 0 if report.good else 1
