"""From a listing to one array: looks at every picture, decodes it in threads, and keeps the result.

Written once for all kinds of source. It knows neither folders nor labels' files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.decoding import image as decode
from gan_infer.decoding import ranges
from gan_infer.decoding.ranges import Ranges, ValueStats
from gan_infer.errors import DataError, OptionError
from gan_train.config.options import MAX_SIDE, MIN_SIDE, DataOptions
from gan_train.data import cache
from gan_train.data.index import Listing, Progress, examples, shown
from gan_train.data.pictures import PictureSet, digest

Pixels = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]
Result = TypeVar("Result")

_DEFAULT_SIDE: Final = 64
_MOST_THREADS: Final = 16
_WHAT_TO_DO: Final = "mend or remove them, or leave them out with --on-bad skip"
_GREY_LEVELS: Final = 2  # between the channels of a grey JPEG, say
_TASK: Final = 16  # pictures handed to a thread at once: small ones take less time than the handing


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the headers of a listing's pictures say together.

    Attributes:
        sizes: how many there are of each (height, width), as shown.
        modes: how many of each of Pillow's pixel formats.
        formats: how many of each file format.
        colour: how many may have colour.
        transparent: how many have an alpha channel or a transparent colour.
        bad: from a picture's number to what is wrong with it.
        deep: the numbers of those with more than 8 bits a channel.
        moving: how many are animations or have several pages.
    """

    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    formats: Counter[str]
    colour: int
    transparent: int
    bad: Mapping[int, str]
    deep: tuple[int, ...] = ()
    moving: int = 0


@dataclasses.dataclass
class Findings:
    """What decoding brings to light: filled while `rows` are drawn.

    Attributes:
        bad: from a picture's number to what is wrong with it.
        digests, numbers: of the usable pictures.
        remarks: from what is to be said of some pictures to their numbers.
        grey: all have three channels and no colour.
        flat: how many are of one colour all over.
    """

    bad: dict[int, str] = dataclasses.field(default_factory=dict)
    digests: list[int] = dataclasses.field(default_factory=list)
    numbers: list[int] = dataclasses.field(default_factory=list)
    remarks: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    grey: bool = True
    flat: int = 0

    def note(self, number: int, row: Pixels) -> None:
        """Take down what a usable picture looks like."""
        self.digests.append(digest(row))
        self.numbers.append(number)
        self.grey = self.grey and row.shape[2] == 3 and _is_grey(row)
        self.flat += bool((row[-1, -1] == row[0, 0]).all() and (row == row[0, 0]).all())

    def duplicates(self) -> list[list[int]]:
        """Return the numbers of pictures that are equal as prepared, in groups."""
        return _groups(np.array(self.digests, np.uint64), np.array(self.numbers, np.int64))


def pictures(listing: Listing, options: DataOptions, progress: Progress) -> PictureSet:
    """Decode a listing, from the cache where nothing has changed since.

    Raises:
        DataError: nothing usable; bad pictures and `on_bad` is "refuse"; no room.
    """
    stored = as_stored(listing, options)
    if stored is not None:
        # The source's own arrays stay as they are: there is nothing to decode and nothing to keep.
        findings = Findings()
        deque(_noted(enumerate(stored), findings), maxlen=0)
        bad: Mapping[int, str] = {}
        images, value_range = stored, ""
        notes = tuple(notes_on(listing, options, survey(listing), stored.shape[1:], None, findings))
    else:
        images, bad, notes, value_range = _decoded(listing, options, progress)
    labels, class_names, dropped = usable_classes(listing, bad)
    skipped = [_summary(listing, bad)] if bad else []
    return PictureSet(
        name=listing.name,
        images=images,
        labels=labels,
        class_names=class_names,
        licence=listing.licence,
        preparation=preparation(listing, options, images.shape[3], value_range),
        warnings=(*listing.notes, *skipped, *dropped, *notes, *listing.remarks),
        value_range=value_range,
    ).checked()


def survey(listing: Listing) -> Survey:
    """Look at the header of every picture; an array's are all alike."""
    found = Survey(Counter(), Counter(), Counter(), 0, 0, dict(listing.bad))
    bad = dict(listing.bad)
    colour = transparent = moving = 0
    deep: list[int] = []
    alike = len(listing.names) if listing.array is not None else 1
    numbers = range(len(listing.names))[:: max(1, alike)]

    def look(number: int) -> decode.Header:
        with listing.open(number) as image:
            return decode.read_header(image)

    for number, result in _each(look, listing, numbers):
        if isinstance(result, str):
            bad[number] = result
            continue
        found.sizes[result.height, result.width] += alike
        found.modes[result.mode] += alike
        found.formats[result.format] += alike
        colour += result.colour * alike
        transparent += result.transparent * alike
        moving += result.moving
        deep += [number] if result.deep else []
    return dataclasses.replace(
        found, colour=colour, transparent=transparent, bad=bad, deep=tuple(deep), moving=moving
    )


def settle_ranges(listing: Listing, options: DataOptions, found: Survey) -> Ranges | None:
    """Return which values of deep pictures are black and white: as asked, else by all of them together.

    Returns:
        None where no picture is deep.

    Raises:
        DataError: their values are in no usual range; says what to give.
    """
    if not found.deep:
        return None
    if (asked := ranges.parse(options.value_range)) is not None:
        return asked

    def measure(number: int) -> ValueStats | None:
        with listing.open(number) as image:
            return decode.measure(image)

    known: dict[str, ValueStats] = {}
    for number, result in _each(measure, listing, found.deep):
        if isinstance(result, ValueStats):  # what is bad is met when pictures are decoded
            known[shown(listing.names[number])] = result
    try:
        return ranges.settle(known) if known else None
    except DataError as error:
        raise DataError(f"{listing.place} {error}") from None


def shape_of(options: DataOptions, found: Survey) -> Shape:
    """Return (height, width, channels): as asked, else the pictures' own where they agree, else 64x64."""
    height, width, channels = options.height, options.width, options.channels
    if height is None or width is None:
        height = width = _DEFAULT_SIDE
        if len(found.sizes) == 1:
            (own,) = found.sizes
            if min(own) >= MIN_SIDE and max(own) <= MAX_SIDE:
                height, width = own
    return height, width, channels or (3 if found.colour else 1)


def as_stored(listing: Listing, options: DataOptions) -> Pixels | None:
    """Return a source's own array where it has the shape that is asked for."""
    if listing.array is None or not len(listing.array):
        return listing.array
    fits = listing.array.shape[1:] == shape_of(options, survey(listing))
    return listing.array if fits else None


def preparation(listing: Listing, options: DataOptions, channels: int, value_range: str) -> str:
    """Say what is done to the pictures."""
    if as_stored(listing, options) is not None:
        return "as stored"
    return decode.describe_preparation(channels, options.fit, value_range)


def rows(
    listing: Listing,
    shape: Shape,
    fit: str,
    chosen: Ranges | None,
    findings: Findings,
    progress: Progress,
) -> Iterator[Pixels]:
    """Return the usable pictures in order, each uint8 of `shape`; what cannot be used goes to `findings`."""

    def prepare(number: int) -> tuple[Pixels, list[str]]:
        remarks: list[str] = []
        with listing.open(number) as image:
            return decode.prepare(image, shape, fit, chosen, remarks), remarks

    def good() -> Iterator[tuple[int, Pixels]]:
        total = len(listing.names)
        for number, result in _each(prepare, listing, range(total)):
            if isinstance(result, str):
                findings.bad[number] = result
            else:
                for remark in result[1]:
                    findings.remarks.setdefault(remark, []).append(number)
                yield number, result[0]
            progress(number + 1, total)

    return _noted(good(), findings)


def refusal(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Return the reason why the pictures are refused because of bad ones, or ""."""
    if not bad or options.on_bad == "skip":
        return ""
    return f"{_summary(listing, bad)}; {_WHAT_TO_DO} (gan-train data check lists them all)"


def refusal_in_short(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Return the same without the names, for a report that lists them."""
    return f"{_count(listing, bad)}; {_WHAT_TO_DO}" if refusal(listing, bad, options) else ""


def usable_classes(
    listing: Listing, bad: Mapping[int, str]
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...], list[str]]:
    """Return the labels of the pictures that are not bad, the names of classes that have any, and notes."""
    if listing.labels is None:
        return None, (), []
    keep = np.ones(len(listing.labels), bool)
    keep[list(bad)] = False
    labels = listing.labels[keep]
    there, labels = np.unique(labels, return_inverse=True)
    names = tuple(listing.class_names[number] for number in there)
    lost = [name for name in listing.class_names if name not in set(names)]
    notes = [f"classes without a usable picture are left out: {examples(lost)}"] if lost else []
    return labels.reshape(-1).astype(np.int64), names, notes


def duplicates_note(listing: Listing, groups: list[list[int]]) -> list[str]:
    """Say how many pictures repeat others."""
    if not groups:
        return []
    extra = sum(len(group) - 1 for group in groups)
    named = examples([" = ".join(listing.names[number] for number in group[:3]) for group in groups], 3)
    return [f"{extra:,} pictures repeat others, as prepared ({named}); all are kept"]


def size_on_disk(listing: Listing, shape: Shape) -> tuple[bool, str]:
    """Return whether the prepared pictures are kept on disk alone, and give a note, "" for none.

    Raises:
        DataError: they fit neither there nor in memory.
    """
    size = len(listing.names) * shape[0] * shape[1] * shape[2]
    if size <= cache.IN_MEMORY_BYTES:
        return False, ""
    reason = cache.room_for(size)
    return not reason, _held_in_memory(size, reason) if reason else ""


def _held_in_memory(size: int, reason: str) -> str:
    """Return a note that pictures that should lie on disk are held in memory, where there is enough."""
    if size > cache.memory_bytes() / 2:
        raise DataError(
            f"the prepared pictures take {size / 1e9:,.1f} GB, more than half of this machine's memory, and "
            f"cannot be kept on disk ({reason}); name a disk with room by GANFORGE_HOME, or a smaller --size"
        )
    return f"the {size / 1e9:,.1f} GB of prepared pictures are held in memory, for want of a disk: {reason}"


def _decoded(
    listing: Listing, options: DataOptions, progress: Progress
) -> tuple[Pixels, Mapping[int, str], tuple[str, ...], str]:
    """Return images, what was bad, notes and the range of values, from the cache or by decoding."""
    asked = (options.height, options.width, options.channels)
    asked_range = str(ranges.parse(options.value_range) or ranges.AUTO)
    known = (listing.place, listing.fingerprint, options.fit, asked, len(listing.names), asked_range)
    kept = cache.load(*known)
    if kept is not None and not refusal(listing, kept[0].bad, options):
        return kept[1], kept[0].bad, kept[0].notes, kept[0].value_range
    found = survey(listing)
    shape = shape_of(options, found)
    chosen = settle_ranges(listing, options, found)
    value_range = str(chosen or "")
    findings = Findings()

    def record() -> cache.Record:
        if reason := refusal(listing, findings.bad, options):
            raise DataError(reason)
        told = tuple(notes_on(listing, options, found, shape, chosen, findings))
        return cache.Record(
            *(listing.fingerprint, options.fit, asked, shape, findings.bad, told, asked_range, value_range)
        )

    on_disk, note = size_on_disk(listing, shape)
    if on_disk:
        drawn = rows(listing, shape, options.fit, chosen, findings, progress)
        try:
            images = cache.write(listing.place, shape, drawn, record)
            return images, findings.bad, record().notes, value_range
        except (OSError, OptionError) as error:  # the disk filled up on the way
            size = len(listing.names) * shape[0] * shape[1] * shape[2]
            note = _held_in_memory(size, str(error))
            findings = Findings()
    images = np.empty((len(listing.names), *shape), np.uint8)
    count = 0
    for count, row in enumerate(rows(listing, shape, options.fit, chosen, findings, progress), 1):
        images[count - 1] = row
    images = images[:count]
    made = record()
    if not note:
        with contextlib.suppress(OSError, OptionError):
            cache.write(listing.place, shape, (images,), record)
    return images, made.bad, (*made.notes, note) if note else made.notes, value_range


def notes_on(
    listing: Listing,
    options: DataOptions,
    found: Survey,
    shape: tuple[int, ...],
    chosen: Ranges | None,
    findings: Findings,
) -> list[str]:
    """Return what a person should know of the pictures as they were prepared."""
    return [
        *transparency_note(options, found),
        *duplicates_note(listing, findings.duplicates()),
        *_range_note(options, found, chosen),
        *_size_notes(options, found, shape),
        *_kind_notes(options, found, findings),
        *(
            f"{len(numbers):,} pictures {remark} ({examples([listing.names[n] for n in numbers[:3]])})"
            for remark, numbers in findings.remarks.items()
        ),
    ]


def _range_note(options: DataOptions, found: Survey, chosen: Ranges | None) -> list[str]:
    given = options.value_range != ranges.AUTO
    if not found.deep:
        return [
            f"no picture has more than 8 bits; --value-range {options.value_range} changes nothing"
        ] * given
    if chosen is None:
        return []
    how = "as asked" if given else "by all of them together; --value-range LOW:HIGH says otherwise"
    return [
        f"{len(found.deep):,} pictures have more than 8 bits: {decode.describe_range(str(chosen))} ({how})"
    ]


def _size_notes(options: DataOptions, found: Survey, shape: tuple[int, ...]) -> list[str]:
    notes = []
    if len(found.sizes) > 1 and options.height is None:
        common = f"{shape[0]}x{shape[1]} (--size says otherwise)"
        notes.append(f"pictures are of {len(found.sizes):,} sizes; all become {common}")
    small = sum(
        n for (height, width), n in found.sizes.items() if 2 * min(height / shape[0], width / shape[1]) <= 1
    )
    if small:
        notes.append(
            f"{small:,} pictures have half of {shape[0]}x{shape[1]} pixels a side or less, and are enlarged; "
            "a smaller --size may suit them"
        )
    return notes


def _kind_notes(options: DataOptions, found: Survey, findings: Findings) -> list[str]:
    notes = []
    if found.moving:
        notes.append(f"{found.moving:,} pictures are animations or have several pages; the first is taken")
    if findings.numbers and findings.grey and options.channels is None:
        notes.append(
            "all pictures are grey, though saved in colour; --channels 1 learns the same at less cost"
        )
    if findings.flat:
        notes.append(f"{findings.flat:,} pictures are of one colour all over")
    return notes


def transparency_note(options: DataOptions, found: Survey) -> list[str]:
    """Say that transparency is lost where nobody asked for that."""
    if options.channels is not None or not found.transparent:
        return []
    return [
        f"{found.transparent:,} pictures may be transparent; they are laid on white (--channels 4 keeps it)"
    ]


def _each(
    work: Callable[[int], Result], listing: Listing, numbers: Iterable[int]
) -> Iterator[tuple[int, Result | str]]:
    """Do `work` in threads (decoding leaves Python's lock); give each result, or what is wrong, in order.

    Only so many are under way at once, so that memory stays bounded however slow the taker is.
    """
    stopped = threading.Event()

    def attempt(some: tuple[int, ...]) -> list[tuple[int, Result | str]]:
        return [(number, one(number)) for number in some if not stopped.is_set()]

    def one(number: int) -> Result | str:
        if number in listing.bad:
            return listing.bad[number]
        try:
            return work(number)
        except DataError as error:
            return str(error)

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[list[tuple[int, Result | str]]]] = deque()
    Image.init()  # once, before threads do it at the same time
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # what matters in them is met as an error
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        rest = iter(numbers)
        try:
            while some := tuple(itertools.islice(rest, _TASK)):
                waiting.append(pool.submit(attempt, some))
                if len(waiting) > 2 * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # whoever stops in between waits for the pictures in hand, and for no other
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _noted(numbered: Iterable[tuple[int, Pixels]], findings: Findings) -> Iterator[Pixels]:
    for number, row in numbered:
        findings.note(number, row)
        yield row


def _is_grey(row: Pixels) -> bool:
    wide = row.astype(np.int16)
    return all(int(np.abs(wide[..., 0] - wide[..., other]).max()) <= _GREY_LEVELS for other in (1, 2))


def _groups(digests: npt.NDArray[np.uint64], numbers: npt.NDArray[np.int64]) -> list[list[int]]:
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.diff(digests[order])) + 1
    groups = [group.tolist() for group in np.split(numbers[order], ends) if len(group) > 1]
    return sorted(groups)


def _summary(listing: Listing, bad: Mapping[int, str]) -> str:
    named = [f"{listing.place}/{shown(listing.names[number])} {bad[number]}" for number in sorted(bad)[:5]]
    more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    return f"{_count(listing, bad)}: {'; '.join(named)}{more}"


def _count(listing: Listing, bad: Mapping[int, str]) -> str:
    return f"{len(bad):,} of {len(listing.names):,} pictures cannot be used"
