"""`gan-train data check`: prints the report on a source, as text or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_train.commands.shared import decoding, layout_changes, layout_options
from gan_train.commands.shared import size as size_option
from gan_train.commands.shared import value_range as value_range_option
from gan_train.config import options

if TYPE_CHECKING:
    from gan_train.data.report import DataReport

_MOST_LINES: Final = 12
_MOST_ALIKE: Final = 5


@click.group()
def data() -> None:
    """Check pictures before training on them."""


@data.command()
@click.argument("source", metavar="PATH", type=console.FilePath(str))
@click.option("--size", callback=size_option, help="Side of the pictures, or HEIGHTxWIDTH, 8 to 256.")
@click.option("--channels", type=int, help="1 for grey, 3 for colour, 4 for colour with transparency.")
@click.option(
    "--fit", type=click.Choice(["crop", "pad"]), help="How to bring pictures to the shape.  [default: crop]"
)
@click.option(
    "--value-range",
    metavar="LOW:HIGH",
    callback=value_range_option,
    help="Which values of pictures with more than 8 bits are black and white.  [default: found]",
)
@layout_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def check(
    source: str,
    size: tuple[int, int] | None,
    channels: int | None,
    fit: str | None,
    value_range: str | None,
    as_json: bool,
    **layout: Any,
) -> int:
    """Report on PATH as `fit` would use it; exit with 0 if it would accept it, with 1 if not."""
    from gan_train.data import report

    height, width = size or (None, None)
    named = {
        "data.source": source,
        "data.height": height,
        "data.width": width,
        "data.channels": channels,
        "data.fit": fit,
        **layout_changes(layout),
        "data.value_range": value_range,
    }
    wanted = options.replace(
        options.Config(), {key: value for key, value in named.items() if value is not None}
    )
    found = report.check(wanted.data, decoding)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found)))
    else:
        for line in format_report(found):
            console.echo(line)
    return 0 if found.accepted else 1


def format_report(report: DataReport) -> Iterator[str]:
    """Yield the lines of a report: everything that is bad, and the first entries of long lists."""
    yield f"source      {report.source}" + (f", {report.kind}" if report.kind else "")
    if report.kind:
        yield f"pictures    {report.pictures:,}, {report.usable:,} usable"
        yield from (f"{name:<11} {text}" for name, text in report.columns.items())
        yield from _format_counts("sizes", report.sizes)
        yield from _format_counts("pixels", report.modes)
        yield from _format_counts("formats", report.formats)
        yield from _format_items(
            "bad", [f"{name} {reason}" for name, reason in report.bad.items()], len(report.bad)
        )
        yield from _format_items("duplicates", [_join_names(names) for names in report.duplicates])
        yield from _format_items("passed over", report.passed_over)
        yield from _format_items("left behind", report.left_behind)
        yield from _format_items("notes", report.notes, len(report.notes))
        classes = f"{len(report.classes):,} classes" if report.classes else "no classes"
        yield (
            f"to train on {report.usable:,} x {report.height}x{report.width}x{report.channels}, {classes}, "
            f"{report.size_bytes / 1e6:,.1f} MB"
        )
        yield f"prepared    {report.preparation}"
    yield f"verdict     {report.verdict}"


def _format_counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    parts = [f"{name}: {count:,}" for name, count in list(counts.items())[:_MOST_LINES]]
    more = len(counts) - len(parts)
    if counts:
        yield f"{title:<11} {', '.join(parts)}" + (f" and {more:,} more" if more else "")


def _format_items(title: str, items: Sequence[str], most: int = _MOST_LINES) -> Iterator[str]:
    if items:
        yield f"{title:<11} {len(items):,}"
    for item in items[:most]:
        yield f"  {item}"
    if len(items) > most:
        yield f"  and {len(items) - most:,} more"


def _join_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_ALIKE:,} more" if len(names) > _MOST_ALIKE else ""
    return " = ".join(names[:_MOST_ALIKE]) + more
