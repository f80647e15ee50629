"""Decodes all pictures of a listing, or takes them from the cache, and makes the data set."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from gan_infer.decoding import decode, ranges
from gan_infer.errors import DataError, OptionError
from gan_train.config.options import DataOptions
from gan_train.data import cache
from gan_train.data.columns import IMAGE, Column, by_name
from gan_train.data.data_set import DataSet
from gan_train.data.decoding import notes
from gan_train.data.decoding.findings import PictureFindings
from gan_train.data.decoding.survey import Preparation, make_plan, read_headers
from gan_train.data.decoding.threads import run_in_order
from gan_train.data.kinds import kind_of
from gan_train.data.listing import Listing, Progress

Pixels = npt.NDArray[np.uint8]
Row = Mapping[str, Pixels]
Made = TypeVar("Made", bound=DataSet)


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """The columns of pictures, and the notes on them."""

    arrays: Mapping[str, npt.NDArray[np.generic]]
    bad: Mapping[int, str]
    notes: tuple[str, ...]
    value_range: str = ""


def load_set(listing: Listing, options: DataOptions, progress: Progress, made: type[Made]) -> Made:
    """Decode a listing, or take it from the cache if nothing has changed.

    Args:
        made: the class of the set to return.

    Raises:
        DataError: nothing usable; bad pictures and `on_bad` is "refuse"; no room.
    """
    stored = find_stored(listing, options)
    decoded = _decode(listing, options, progress) if stored is None else _take(listing, options, stored)
    given, dropped = select_usable(listing, decoded.bad)
    pictures = [Column(name, IMAGE, values) for name, values in decoded.arrays.items()]
    skipped = [notes.list_bad(listing, decoded.bad)] if decoded.bad else []
    channels = next((values.shape[3] for values in decoded.arrays.values()), 0)
    return made(
        name=listing.name,
        columns=by_name(*pictures, *given.values()),
        licence=listing.licence,
        preparation=describe_preparation(listing, options, channels, decoded.value_range),
        warnings=(*listing.notes, *skipped, *dropped, *decoded.notes, *listing.remarks),
        value_range=decoded.value_range,
    ).check()


def draw_rows(plan: Preparation, findings: PictureFindings, progress: Progress) -> Iterator[Row]:
    """Return the pictures of the usable examples in order, by column, each uint8 of its column's shape.

    Pictures that cannot be used go to `findings`.
    """
    listing, fit = plan.listing, plan.options.fit

    def prepare(number: int) -> tuple[Row, dict[str, list[str]]]:
        row: dict[str, Pixels] = {}
        remarks: dict[str, list[str]] = {}
        for name, files in listing.pictures.items():
            remarks[name] = []
            with _name_column(listing, name), files.open(number) as image:
                row[name] = decode.prepare(image, plan.shapes[name], fit, plan.ranges, remarks[name])
        return row, remarks

    total = len(listing.names)
    for number, result in run_in_order(prepare, listing, range(total)):
        if isinstance(result, str):
            findings.bad[number] = result
        else:
            for name, said in result[1].items():
                for remark in said:
                    findings.remarks.setdefault((name, remark), []).append(number)
            findings.note(number, result[0])
            yield result[0]
        progress(number + 1, total)


@contextlib.contextmanager
def _name_column(listing: Listing, name: str) -> Iterator[None]:
    """Name the column in errors, if there are several columns of pictures."""
    try:
        yield
    except DataError as error:
        raise DataError(f"has a {name} that {error}") if len(listing.pictures) > 1 else error from None


def select_usable(listing: Listing, bad: Mapping[int, str]) -> tuple[dict[str, Column], list[str]]:
    """Return the given columns of the examples that are not bad, and notes on what they lost."""
    keep = np.ones(len(listing.names), bool)
    keep[list(bad)] = False
    columns, lost = [], []
    for column in listing.given.values():
        selected, said = kind_of(column).drop_unused(column.only(keep))
        columns.append(selected)
        lost += said
    return by_name(*columns), lost


def find_stored(listing: Listing, options: DataOptions) -> Mapping[str, Pixels] | None:
    """Return a source's own arrays if they have the shapes that are asked for, else None."""
    arrays = {name: files.array for name, files in listing.pictures.items() if files.array is not None}
    if len(arrays) < len(listing.pictures):
        return None
    if not len(listing.names):
        return arrays
    shapes = read_headers(listing, options).shapes
    return arrays if all(values.shape[1:] == shapes[name] for name, values in arrays.items()) else None


def describe_preparation(listing: Listing, options: DataOptions, channels: int, value_range: str) -> str:
    """Return a sentence on how the pictures are prepared."""
    if find_stored(listing, options) is not None:
        return "as stored"
    return decode.describe_preparation(channels, options.fit, value_range)


def check_room(plan: Preparation) -> tuple[bool, str]:
    """Return whether the prepared pictures are kept on disk alone, and a note, "" for none.

    Raises:
        DataError: they fit neither on disk nor in memory.
    """
    size = len(plan.listing.names) * plan.row_bytes
    if size <= cache.IN_MEMORY_BYTES:
        return False, ""
    reason = cache.room_for(size)
    return not reason, _note_memory(size, reason) if reason else ""


def _note_memory(size: int, reason: str) -> str:
    """Return a note that pictures for which there is no disk are held in memory, if there is enough."""
    if size > cache.memory_bytes() / 2:
        raise DataError(
            f"the prepared pictures take {size / 1e9:,.1f} GB, more than half of this machine's memory, and "
            f"cannot be kept on disk ({reason}); name a disk with room by GANFORGE_HOME, or a smaller --size"
        )
    return f"the {size / 1e9:,.1f} GB of prepared pictures are held in memory, for want of a disk: {reason}"


def _take(listing: Listing, options: DataOptions, stored: Mapping[str, Pixels]) -> _Decoded:
    """Use a source's own arrays as they are: there is nothing to decode and nothing to cache."""
    plan, findings = read_headers(listing, options), PictureFindings()
    for number in range(len(listing.names) if stored else 0):
        findings.note(number, {name: values[number] for name, values in stored.items()})
    return _Decoded(stored, {} if stored else listing.bad, tuple(notes.find_notes(plan, findings)))


def _decode(listing: Listing, options: DataOptions, progress: Progress) -> _Decoded:
    """Return the pictures from the cache, or decode them."""
    request = cache.Request(
        place=listing.place,
        fingerprint=listing.fingerprint,
        fit=options.fit,
        asked=(options.height, options.width, options.channels),
        asked_range=str(ranges.parse(options.value_range) or ranges.AUTO),
        count=len(listing.names),
        kinds=dict.fromkeys(listing.pictures, IMAGE),
    )
    kept = cache.load(request)
    if kept is not None and not notes.explain_refusal(listing, kept[0].bad, options):
        return _Decoded(kept[1], kept[0].bad, kept[0].notes, kept[0].value_range)
    plan = make_plan(listing, options)
    on_disk, note = check_room(plan)
    if on_disk:
        try:
            return _decode_to_disk(plan, request, progress)
        except (OSError, OptionError) as error:  # the disk filled up on the way
            note = _note_memory(len(listing.names) * plan.row_bytes, str(error))
    return _decode_to_memory(plan, request, progress, note)


def _decode_to_disk(plan: Preparation, request: cache.Request, progress: Progress) -> _Decoded:
    findings = PictureFindings()
    rows = draw_rows(plan, findings, progress)
    arrays = cache.write(request, plan.shapes, rows, lambda: _record(plan, request, findings))
    return _Decoded(arrays, findings.bad, _record(plan, request, findings).notes, str(plan.ranges or ""))


def _decode_to_memory(plan: Preparation, request: cache.Request, progress: Progress, note: str) -> _Decoded:
    """Decode into memory; without a `note` on why they are not on disk, keep them in the cache as well."""
    findings = PictureFindings()
    arrays = {name: np.empty((request.count, *shape), np.uint8) for name, shape in plan.shapes.items()}
    count = 0
    for count, row in enumerate(draw_rows(plan, findings, progress), 1):
        for name, picture in row.items():
            arrays[name][count - 1] = picture
    arrays = {name: values[:count] for name, values in arrays.items()}
    record = _record(plan, request, findings)
    if not note:
        with contextlib.suppress(OSError, OptionError):
            cache.write(request, plan.shapes, (arrays,), lambda: record)
    said = (*record.notes, note) if note else record.notes
    return _Decoded(arrays, record.bad, said, record.value_range)


def _record(plan: Preparation, request: cache.Request, findings: PictureFindings) -> cache.Record:
    """Return the record of decoded pictures for the cache.

    Raises:
        DataError: some are bad and `on_bad` is "refuse".
    """
    if reason := notes.explain_refusal(plan.listing, findings.bad, plan.options):
        raise DataError(reason)
    return cache.Record(
        fingerprint=request.fingerprint,
        fit=request.fit,
        asked=request.asked,
        shapes=plan.shapes,
        bad=findings.bad,
        notes=tuple(notes.find_notes(plan, findings)),
        asked_range=request.asked_range,
        value_range=str(plan.ranges or ""),
    )


def drain(plan: Preparation, progress: Progress) -> PictureFindings:
    """Decode all pictures for their findings, and keep none."""
    findings = PictureFindings()
    deque(draw_rows(plan, findings, progress), maxlen=0)
    return findings
