"""What a look at a source finds, before any training: a report as data. It keeps and prints nothing."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from typing import Final

from gan_infer.decoding import ranges
from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data.decoding import decode_all
from gan_train.data.listing import Listing, Progress, shown
from gan_train.data.pictures import concerns
from gan_train.data.sources import open_source

_ANY_RANGE: Final = ranges.Ranges(ranges.Range(0, 1), ranges.Range(0, 1))


@dataclasses.dataclass(frozen=True)
class Report:
    """What is in a source, and what training would do with it.

    Attributes:
        source: as it was named.
        kind: "digits", "folder", "zip", "npz" or "idx"; "" where nothing could be listed.
        pictures: how many were found.
        usable: how many of them can be used.
        classes: from the name of a class to its usable pictures; empty where there are none.
        sizes: from "HEIGHTxWIDTH", as shown, to how many there are, the most frequent first.
        modes: from Pillow's name of the pixel format to how many there are.
        formats: from the file format to how many there are.
        bad: from a picture's name to what is wrong with it.
        duplicates: groups of names of pictures that are equal as prepared.
        passed_over: names of files that are no pictures.
        left_behind: names of files, and of folders (ending in "/"), that systems leave behind.
        notes: what a person should know.
        height, width, channels: of the prepared pictures; 0 where nothing is usable.
        preparation: what is done to the pictures, in a sentence.
        value_range: which values of deep pictures become black and white, "" where none is deep.
        size_bytes: of the prepared pictures.
        accepted: whether training would take the source.
        verdict: that in words; where it is refused, why.
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


def check(options: DataOptions, progress: Progress = lambda done, total: None) -> Report:
    """Look at every picture of a source and decode it, as training would; a source that fails is reported.

    Args:
        options: as of `data.load`.
        progress: called with (pictures done, pictures in all).
    """
    try:
        with open_source.opened(options) as listing:
            return _report(listing, options, progress)
    except DataError as error:
        return Report(source=shown(options.source), verdict=f"refused: {shown(str(error))}")


def _report(listing: Listing, options: DataOptions, progress: Progress) -> Report:
    found = decode_all.survey(listing)
    shape = decode_all.shape_of(options, found)
    findings = decode_all.Findings()
    chosen, refused = _range(listing, options, found)
    # Without a range there is no picture to show, but all else can still be looked at.
    used = chosen or (_ANY_RANGE if refused else None)
    deque(decode_all.rows(listing, shape, options.fit, used, findings, progress), maxlen=0)
    bad, groups = findings.bad, findings.duplicates()
    usable = len(listing.names) - len(bad)
    labels, class_names, dropped = decode_all.usable_classes(listing, bad)
    counts = {} if labels is None else dict.fromkeys(class_names, 0)
    for number in [] if labels is None else labels.tolist():
        counts[class_names[number]] += 1
    notes = [
        *listing.notes,
        *dropped,
        *decode_all.notes_on(listing, options, found, shape, chosen, findings),
    ]
    refused = refused or decode_all.refusal_in_short(listing, bad, options)
    try:
        if decode_all.as_stored(listing, options) is None:
            notes += filter(None, [decode_all.size_on_disk(listing, shape)[1]])
        notes += concerns(listing.name, usable, labels, class_names)
        notes += listing.remarks
    except DataError as error:
        refused = refused or str(error)
    names = [shown(name) for name in listing.names] if bad or groups else []
    return Report(
        source=shown(options.source),
        kind=listing.kind,
        pictures=len(listing.names),
        usable=usable,
        classes=counts,
        sizes={f"{height}x{width}": count for (height, width), count in found.sizes.most_common()},
        modes=dict(found.modes.most_common()),
        formats=dict(found.formats.most_common()),
        bad={names[number]: shown(bad[number]) for number in sorted(bad)},
        duplicates=tuple(tuple(names[number] for number in group) for group in groups),
        passed_over=tuple(map(shown, listing.passed_over)),
        left_behind=tuple(map(shown, listing.left_behind)),
        notes=tuple(map(shown, notes)),
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        preparation=decode_all.preparation(listing, options, shape[2], str(chosen or "")),
        value_range=str(chosen or ""),
        size_bytes=usable * shape[0] * shape[1] * shape[2],
        accepted=not refused,
        verdict=f"refused: {shown(refused)}" if refused else "accepted",
    )


def _range(
    listing: Listing, options: DataOptions, found: decode_all.Survey
) -> tuple[ranges.Ranges | None, str]:
    """Return the range of deep pictures, and the reason why there is none, "" where there need be none."""
    try:
        return decode_all.settle_ranges(listing, options, found), ""
    except DataError as error:
        return None, str(error)
