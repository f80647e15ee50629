"""`gan-infer check`: compares what a model file gives with what it says."""

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
    """Check that a model FILE gives here what it says.

    Its golden pictures (or a critic's golden scores) are compared with what it gives. The exit code is 0
    if all come out as the file says, with pixel values at most 1 of 256 off, else 1.
    """
    from gan_infer.apps import checking

    report = checking.check(file, device, trust=shared.is_trusted())
    if as_json:
        facts = {**dataclasses.asdict(report), "device": device, "detail": report.detail()}
        for each in facts["compared"]:
            if each["off"] is not None and not math.isfinite(each["off"]):
                each["off"] = None  # JSON has no NaN
        console.echo_json(facts)
    else:
        console.echo(f"{report.result}: {report.file}: {report.detail()}")
    return 0 if report.good else 1
