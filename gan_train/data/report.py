"""Reports on a source before any training: what is in it, and what training would do with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from gan_infer.decoding import ranges
from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data.columns import CLASS, Column
from gan_train.data.data_set import find_concerns
from gan_train.data.decoding import decode_all
from gan_train.data.decoding.findings import PictureFindings
from gan_train.data.decoding.notes import explain_refusal_in_short, find_notes
from gan_train.data.decoding.survey import Preparation, read_headers, settle_ranges
from gan_train.data.kinds import count_classes, kind_of
from gan_train.data.listing import Listing, Progress
from gan_train.data.names import escape
from gan_train.data.sources import open_source

_ANY_RANGE: Final = ranges.Ranges(ranges.Range(0, 1), ranges.Range(0, 1))


@dataclasses.dataclass(frozen=True)
class DataReport:
    """What is in a source, and what training would do with it.

    Attributes:
        source: as it was named.
        kind: "digits", "folder", "zip", "npz" or "idx"; "" if nothing could be listed.
        pictures: how many were found.
        usable: how many of them can be used.
        classes: from the name of a class to its usable pictures; empty without classes.
        sizes: from "HEIGHTxWIDTH", as shown, to how many there are, the most frequent first.
        modes: from Pillow's name of the pixel format to how many there are.
        formats: from the file format to how many there are.
        bad: from a picture's name to what is wrong with it.
        duplicates: groups of names of pictures that are equal as prepared.
        passed_over: names of files that are not pictures.
        left_behind: names of files, and of folders (ending in "/"), that systems leave behind.
        notes: what a person should know.
        height, width, channels: of the prepared pictures; 0 if nothing is usable.
        preparation: how the pictures are prepared, in a sentence.
        value_range: which values of deep pictures become black and white, "" if none is deep.
        size_bytes: of the prepared pictures.
        accepted: whether training would accept the source.
        verdict: the same in words, with the reason of a refusal.
        columns: from the name of a column to its content, in words.
    """

    source: str
    kind: str = ""
    pictures: int = 0
    usable: int = 0
    classes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    formats: Mapping[str, int] = dataclasses.field(default_factory=dict)
    bad: Mapping[str, str] = dataclasses.field(default_factory=dict)
    duplicates: tuple[tuple[str, ...], ...] = ()
    passed_over: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    channels: int = 0
    preparation: str = ""
    value_range: str = ""
    size_bytes: int = 0
    accepted: bool = False
    verdict: str = ""
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


def check(options: DataOptions, progress: Progress = lambda done, total: None) -> DataReport:
    """Decode every picture of a source as training would, and report on it, also if it is refused.

    Args:
        options: as of `data.load`.
        progress: called with (pictures done, pictures in total).
    """
    try:
        with open_source.open_source(options) as listing:
            return _report(listing, options, progress)
    except DataError as error:
        return DataReport(source=escape(options.source), verdict=f"refused: {escape(str(error))}")


def _report(listing: Listing, options: DataOptions, progress: Progress) -> DataReport:
    plan, refused = _make_plan(listing, options)
    # Without a range there are no pixels, but all else can still be checked.
    findings = decode_all.drain(dataclasses.replace(plan, ranges=_ANY_RANGE) if refused else plan, progress)
    usable = len(listing.names) - len(findings.bad)
    given, dropped = decode_all.select_usable(listing, findings.bad)
    refused = refused or explain_refusal_in_short(listing, findings.bad, options)
    more, too_few = _find_more_notes(plan, usable, given)
    refused = refused or too_few
    height, width, channels = next(iter(plan.shapes.values()), (0, 0, 0))
    value_range = str(plan.ranges or "")
    return DataReport(
        source=escape(options.source),
        kind=listing.kind,
        pictures=len(listing.names),
        usable=usable,
        classes=next((count_classes(each) for each in given.values() if each.kind == CLASS), {}),
        **_count_headers(plan),
        **_name_pictures(listing, findings),
        passed_over=tuple(map(escape, listing.passed_over)),
        left_behind=tuple(map(escape, listing.left_behind)),
        notes=tuple(map(escape, (*listing.notes, *dropped, *find_notes(plan, findings), *more))),
        height=height,
        width=width,
        channels=channels,
        preparation=decode_all.describe_preparation(listing, options, channels, value_range),
        value_range=value_range,
        size_bytes=usable * plan.row_bytes,
        accepted=not refused,
        verdict=f"refused: {escape(refused)}" if refused else "accepted",
        columns=_describe_columns(plan, usable, given),
    )


def _find_more_notes(plan: Preparation, usable: int, given: Mapping[str, Column]) -> tuple[list[str], str]:
    """Return notes on room, classes and files, and why the set cannot be used, "" if it can."""
    notes: list[str] = []
    try:
        if decode_all.find_stored(plan.listing, plan.options) is None:
            notes += filter(None, [decode_all.check_room(plan)[1]])
        notes += find_concerns(plan.listing.name, usable, given)
        notes += plan.listing.remarks
    except DataError as error:
        return notes, str(error)
    return notes, ""


def _name_pictures(listing: Listing, findings: PictureFindings) -> dict[str, Any]:
    """Return the bad pictures and the groups of equal ones by their names."""
    bad, groups = findings.bad, findings.duplicates()
    names = [escape(name) for name in listing.names] if bad or groups else []
    return {
        "bad": {names[number]: escape(bad[number]) for number in sorted(bad)},
        "duplicates": tuple(tuple(names[number] for number in group) for group in groups),
    }


def _count_headers(plan: Preparation) -> dict[str, Any]:
    """Return how many pictures there are of each size, mode and format, the most frequent first."""
    sizes, modes, formats = Counter[tuple[int, int]](), Counter[str](), Counter[str]()
    for found in plan.surveys.values():
        sizes += found.sizes
        modes += found.modes
        formats += found.formats
    return {
        "sizes": {f"{height}x{width}": count for (height, width), count in sizes.most_common()},
        "modes": dict(modes.most_common()),
        "formats": dict(formats.most_common()),
    }


def _describe_columns(plan: Preparation, usable: int, given: Mapping[str, Column]) -> dict[str, str]:
    """Return a description of each column, by its name."""
    pictures = {
        name: f"{usable:,} of {height}x{width}x{channels}"
        for name, (height, width, channels) in plan.shapes.items()
    }
    return pictures | {name: kind_of(column).describe(column) for name, column in given.items()}


def _make_plan(listing: Listing, options: DataOptions) -> tuple[Preparation, str]:
    """Return how to prepare the pictures, and why their range cannot be settled, "" if it can."""
    plan = read_headers(listing, options)
    try:
        return dataclasses.replace(plan, ranges=settle_ranges(plan)), ""
    except DataError as error:
        return plan, str(error)
