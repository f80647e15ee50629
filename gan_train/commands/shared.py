"""What several commands share: where runs lie, and how options of the data are written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from gan_infer import console

RUNS: Final = Path("runs")


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read "64" or "48x32" as (height, width), for click."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter("write it like 64, or 48x32 (height x width)")
    return int(parts[0]), int(parts[-1])


def value_range(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Read "0:4095" as the text that options hold, for click."""
    from gan_infer import ranges

    return None if value is None else str(ranges.parse(value) or ranges.AUTO)


def decoding(done: int, total: int) -> None:
    """Say how far the decoding of pictures is."""
    if done == total or done % max(1000, total // 10) == 0:
        console.say(f"decoded {done:,} of {total:,} pictures")
