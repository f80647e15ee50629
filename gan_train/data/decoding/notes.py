"""Writes notes for people on how pictures were prepared, and on the bad ones among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gan_infer.decoding import decode, ranges
from gan_train.config.options import DataOptions
from gan_train.data.decoding.findings import PictureFindings
from gan_train.data.decoding.survey import Preparation, Shape, Survey
from gan_train.data.listing import Listing
from gan_train.data.names import escape, list_names

_WHAT_TO_DO: Final = "mend or remove them, or leave them out with --on-bad skip"


def find_notes(plan: Preparation, findings: PictureFindings) -> list[str]:
    """Return notes for a person on how the pictures were prepared."""
    notes = []
    for name, found in plan.surveys.items():
        notes += _mark(plan, name, _note_transparency(plan.options, found))
    notes += _note_duplicates(plan.listing, findings.duplicates())
    notes += _note_range(plan)
    for name, found in plan.surveys.items():
        notes += _mark(plan, name, _note_sizes(plan.options, found, plan.shapes[name]))
        notes += _mark(plan, name, _note_kinds(plan.options, found, findings, name))
    for (name, remark), numbers in findings.remarks.items():
        named = list_names([plan.listing.names[number] for number in numbers[:3]])
        notes += _mark(plan, name, [f"{len(numbers):,} pictures {remark} ({named})"])
    return notes


def explain_refusal(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Return why the pictures are refused if some are bad, or ""."""
    if not bad or options.on_bad == "skip":
        return ""
    return f"{list_bad(listing, bad)}; {_WHAT_TO_DO} (gan-train data check lists them all)"


def explain_refusal_in_short(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Return the same without the names, for a report that lists them."""
    return f"{_count_bad(listing, bad)}; {_WHAT_TO_DO}" if explain_refusal(listing, bad, options) else ""


def list_bad(listing: Listing, bad: Mapping[int, str]) -> str:
    """Return how many pictures are bad, and the first of them with what is wrong."""
    named = [f"{listing.place}/{escape(listing.names[number])} {bad[number]}" for number in sorted(bad)[:5]]
    more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    return f"{_count_bad(listing, bad)}: {'; '.join(named)}{more}"


def _count_bad(listing: Listing, bad: Mapping[int, str]) -> str:
    return f"{len(bad):,} of {len(listing.names):,} pictures cannot be used"


def _mark(plan: Preparation, name: str, notes: list[str]) -> list[str]:
    """Put the column's name before notes, if there are several columns of pictures."""
    return [f"{name}: {note}" for note in notes] if len(plan.surveys) > 1 else notes


def _note_duplicates(listing: Listing, groups: list[list[int]]) -> list[str]:
    if not groups:
        return []
    extra = sum(len(group) - 1 for group in groups)
    named = list_names([" = ".join(listing.names[number] for number in group[:3]) for group in groups], 3)
    return [f"{extra:,} pictures repeat others, as prepared ({named}); all are kept"]


def _note_range(plan: Preparation) -> list[str]:
    given = plan.options.value_range != ranges.AUTO
    count = sum(len(found.deep) for found in plan.surveys.values())
    if not count:
        return [
            f"no picture has more than 8 bits; --value-range {plan.options.value_range} changes nothing"
        ] * given
    if plan.ranges is None:
        return []
    how = "as asked" if given else "by all of them together; --value-range LOW:HIGH says otherwise"
    return [f"{count:,} pictures have more than 8 bits: {decode.describe_range(str(plan.ranges))} ({how})"]


def _note_sizes(options: DataOptions, found: Survey, shape: Shape) -> list[str]:
    notes = []
    if len(found.sizes) > 1 and options.height is None:
        common = f"{shape[0]}x{shape[1]} (--size says otherwise)"
        notes.append(f"pictures are of {len(found.sizes):,} sizes; all become {common}")
    small = sum(
        n for (height, width), n in found.sizes.items() if 2 * min(height / shape[0], width / shape[1]) <= 1
    )
    if small:
        notes.append(
            f"{small:,} pictures have half of {shape[0]}x{shape[1]} pixels per side or less, and are "
            "enlarged; a smaller --size may suit them"
        )
    return notes


def _note_kinds(options: DataOptions, found: Survey, findings: PictureFindings, name: str) -> list[str]:
    notes = []
    if found.moving:
        notes.append(f"{found.moving:,} pictures are animations or have several pages; the first is taken")
    if findings.numbers and name not in findings.coloured and options.channels is None:
        notes.append(
            "all pictures are grey, though saved in colour; --channels 1 learns the same at less cost"
        )
    if findings.flat[name]:
        notes.append(f"{findings.flat[name]:,} pictures are of one colour all over")
    return notes


def _note_transparency(options: DataOptions, found: Survey) -> list[str]:
    """Return a note that transparency is lost, if nobody asked for that."""
    if options.channels is not None or not found.transparent:
        return []
    return [
        f"{found.transparent:,} pictures may be transparent; they are laid on white (--channels 4 keeps it)"
    ]
