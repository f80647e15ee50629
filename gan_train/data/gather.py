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

from gan_infer import decode
from gan_infer.errors import DataError, OptionError
from gan_train.config import MAX_SIDE, MIN_SIDE, DataOptions
from gan_train.data import cache
from gan_train.data.listing import Listing, Progress, examples, shown
from gan_train.data.pictures import PictureSet, digest

Pixels = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]
Result = TypeVar("Result")

_DEFAULT_SIDE: Final = 64
_MOST_THREADS: Final = 16
_WHAT_TO_DO: Final = "mend or remove them, or leave them out with --on-bad skip"
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
    """

    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    formats: Counter[str]
    colour: int
    transparent: int
    bad: Mapping[int, str]


@dataclasses.dataclass
class Findings:
    """What decoding brings to light: filled while `rows` are drawn."""

    bad: dict[int, str] = dataclasses.field(default_factory=dict)
    digests: list[int] = dataclasses.field(default_factory=list)
    numbers: list[int] = dataclasses.field(default_factory=list)

    def duplicates(self) -> list[list[int]]:
        """Give the numbers of pictures that are equal as prepared, in groups."""
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
        images, notes = stored, tuple(duplicates_note(listing, findings.duplicates()))
    else:
        images, bad, notes = _decoded(listing, options, progress)
    labels, class_names, dropped = usable_classes(listing, bad)
    skipped = [_summary(listing, bad)] if bad else []
    return PictureSet(
        name=listing.name,
        images=images,
        labels=labels,
        class_names=class_names,
        licence=listing.licence,
        preparation=preparation(listing, options, images.shape[3]),
        warnings=(*listing.notes, *skipped, *dropped, *notes),
    ).checked()


def survey(listing: Listing) -> Survey:
    """Look at the header of every picture; an array's are all alike."""
    found = Survey(Counter(), Counter(), Counter(), 0, 0, dict(listing.bad))
    bad = dict(listing.bad)
    colour = transparent = 0
    alike = len(listing.names) if listing.array is not None else 1
    numbers = range(len(listing.names))[:: max(1, alike)]

    def look(number: int) -> decode.Look:
        with listing.open(number) as image:
            return decode.look(image)

    for number, result in _each(look, listing, numbers):
        if isinstance(result, str):
            bad[number] = result
            continue
        found.sizes[result.height, result.width] += alike
        found.modes[result.mode] += alike
        found.formats[result.format] += alike
        colour += result.colour * alike
        transparent += result.transparent * alike
    return dataclasses.replace(found, colour=colour, transparent=transparent, bad=bad)


def shape_of(options: DataOptions, found: Survey) -> Shape:
    """Give (height, width, channels): as asked, else the pictures' own where they agree, else 64x64."""
    height, width, channels = options.height, options.width, options.channels
    if height is None or width is None:
        height = width = _DEFAULT_SIDE
        if len(found.sizes) == 1:
            (own,) = found.sizes
            if min(own) >= MIN_SIDE and max(own) <= MAX_SIDE:
                height, width = own
    return height, width, channels or (3 if found.colour else 1)


def as_stored(listing: Listing, options: DataOptions) -> Pixels | None:
    """Give a source's own array where it has the shape that is asked for."""
    if listing.array is None or not len(listing.array):
        return listing.array
    fits = listing.array.shape[1:] == shape_of(options, survey(listing))
    return listing.array if fits else None


def preparation(listing: Listing, options: DataOptions, channels: int) -> str:
    """Say what is done to the pictures."""
    if as_stored(listing, options) is not None:
        return "as stored"
    return decode.preparation(channels, options.fit)


def rows(
    listing: Listing, shape: Shape, fit: str, findings: Findings, progress: Progress
) -> Iterator[Pixels]:
    """Give the usable pictures in order, each uint8 of `shape`; what cannot be used goes to `findings`."""

    def prepare(number: int) -> Pixels:
        with listing.open(number) as image:
            return decode.prepare(image, shape, fit)

    def good() -> Iterator[tuple[int, Pixels]]:
        total = len(listing.names)
        for number, result in _each(prepare, listing, range(total)):
            if isinstance(result, str):
                findings.bad[number] = result
            else:
                yield number, result
            progress(number + 1, total)

    return _noted(good(), findings)


def refusal(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Give the reason why the pictures are refused because of bad ones, or ""."""
    if not bad or options.on_bad == "skip":
        return ""
    return f"{_summary(listing, bad)}; {_WHAT_TO_DO} (gan-train data check lists them all)"


def refusal_in_short(listing: Listing, bad: Mapping[int, str], options: DataOptions) -> str:
    """Give the same without the names, for a report that lists them."""
    return f"{_count(listing, bad)}; {_WHAT_TO_DO}" if refusal(listing, bad, options) else ""


def usable_classes(
    listing: Listing, bad: Mapping[int, str]
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...], list[str]]:
    """Give the labels of the pictures that are not bad, the names of classes that have any, and notes."""
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
    """Tell whether the prepared pictures are kept on disk alone, and give a note, "" for none.

    Raises:
        DataError: they fit neither there nor in memory.
    """
    size = len(listing.names) * shape[0] * shape[1] * shape[2]
    if size <= cache.IN_MEMORY_BYTES:
        return False, ""
    reason = cache.room_for(size)
    return not reason, _held_in_memory(size, reason) if reason else ""


def _held_in_memory(size: int, reason: str) -> str:
    """Give a note that pictures that should lie on disk are held in memory, where there is enough."""
    if size > cache.memory_bytes() / 2:
        raise DataError(
            f"the prepared pictures take {size / 1e9:,.1f} GB, more than half of this machine's memory, and "
            f"cannot be kept on disk ({reason}); name a disk with room by GANFORGE_HOME, or a smaller --size"
        )
    return f"the {size / 1e9:,.1f} GB of prepared pictures are held in memory, for want of a disk: {reason}"


def _decoded(
    listing: Listing, options: DataOptions, progress: Progress
) -> tuple[Pixels, Mapping[int, str], tuple[str, ...]]:
    """Give images, what was bad and notes, from the cache or by decoding."""
    asked = (options.height, options.width, options.channels)
    known = (listing.place, listing.fingerprint, options.fit, asked, len(listing.names))
    kept = cache.load(*known)
    if kept is not None and not refusal(listing, kept[0].bad, options):
        return kept[1], kept[0].bad, kept[0].notes
    found = survey(listing)
    shape = shape_of(options, found)
    notes = transparency_note(options, found)
    findings = Findings()

    def record() -> cache.Record:
        if reason := refusal(listing, findings.bad, options):
            raise DataError(reason)
        told = (*notes, *duplicates_note(listing, findings.duplicates()))
        return cache.Record(listing.fingerprint, options.fit, asked, shape, findings.bad, told)

    on_disk, note = size_on_disk(listing, shape)
    if on_disk:
        drawn = rows(listing, shape, options.fit, findings, progress)
        try:
            images = cache.write(listing.place, shape, drawn, record)
            return images, findings.bad, record().notes
        except (OSError, OptionError) as error:  # the disk filled up on the way
            size = len(listing.names) * shape[0] * shape[1] * shape[2]
            note = _held_in_memory(size, str(error))
            findings = Findings()
    images = np.empty((len(listing.names), *shape), np.uint8)
    count = 0
    for count, row in enumerate(rows(listing, shape, options.fit, findings, progress), 1):
        images[count - 1] = row
    images = images[:count]
    made = record()
    if not note:
        with contextlib.suppress(OSError, OptionError):
            cache.write(listing.place, shape, (images,), record)
    return images, made.bad, (*made.notes, note) if note else made.notes


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
        findings.digests.append(digest(row))
        findings.numbers.append(number)
        yield row


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
