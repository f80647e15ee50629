"""Reads the headers of all pictures, and settles their size and the range of their values."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Final

from gan_infer.decoding import decode, ranges
from gan_infer.decoding.ranges import Ranges, ValueStats
from gan_infer.errors import DataError
from gan_train.config.options import MAX_SIDE, MIN_SIDE, DataOptions
from gan_train.data.decoding.threads import run_in_order
from gan_train.data.listing import Listing, PictureFiles
from gan_train.data.names import escape

Shape = tuple[int, int, int]

_DEFAULT_SIDE: Final = 64


@dataclasses.dataclass(frozen=True)
class Survey:
    """A summary of the headers of a column's pictures.

    Attributes:
        sizes: how many there are of each (height, width), as shown.
        modes: how many of each of Pillow's pixel formats.
        formats: how many of each file format.
        colour: how many may have colour.
        transparent: how many have an alpha channel or a transparent colour.
        deep: the numbers of those with more than 8 bits per channel.
        moving: how many are animations or have several pages.
    """

    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    formats: Counter[str]
    colour: int = 0
    transparent: int = 0
    deep: tuple[int, ...] = ()
    moving: int = 0


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How to prepare the pictures of a listing.

    Attributes:
        listing: the examples.
        options: as they were given.
        surveys: of each column of pictures.
        shapes: of each column's prepared pictures.
        ranges: which values of deep pictures are black and white; None if none is deep.
    """

    listing: Listing
    options: DataOptions
    surveys: dict[str, Survey]
    shapes: dict[str, Shape]
    ranges: Ranges | None = None

    @property
    def row_bytes(self) -> int:
        """The bytes of one prepared example."""
        return sum(height * width * channels for height, width, channels in self.shapes.values())


def read_headers(listing: Listing, options: DataOptions) -> Preparation:
    """Read the header of every picture, and settle shapes; the range of values stays open."""
    surveys = {name: _survey_column(listing, files) for name, files in listing.pictures.items()}
    shapes = {name: settle_shape(options, found) for name, found in surveys.items()}
    return Preparation(listing, options, surveys, shapes)


def make_plan(listing: Listing, options: DataOptions) -> Preparation:
    """Read the header of every picture, and settle shapes and the range of values.

    Raises:
        DataError: the values of deep pictures are in no usual range; says what to give.
    """
    plan = read_headers(listing, options)
    return dataclasses.replace(plan, ranges=settle_ranges(plan))


def _survey_column(listing: Listing, files: PictureFiles) -> Survey:
    """Read the header of every picture of a column; those of an array are all alike."""
    found = Survey(Counter(), Counter(), Counter())
    colour = transparent = moving = 0
    deep: list[int] = []
    alike = len(listing.names) if files.array is not None else 1
    numbers = range(len(listing.names))[:: max(1, alike)]

    def read_header(number: int) -> decode.Header:
        with files.open(number) as image:
            return decode.read_header(image)

    for number, result in run_in_order(read_header, listing, numbers):
        if isinstance(result, str):  # found again, and reported, when pictures are decoded
            continue
        found.sizes[result.height, result.width] += alike
        found.modes[result.mode] += alike
        found.formats[result.format] += alike
        colour += result.colour * alike
        transparent += result.transparent * alike
        moving += result.moving
        deep += [number] if result.deep else []
    return dataclasses.replace(found, colour=colour, transparent=transparent, deep=tuple(deep), moving=moving)


def settle_shape(options: DataOptions, found: Survey) -> Shape:
    """Return (height, width, channels): as asked, else the pictures' own if they agree, else 64x64."""
    height, width, channels = options.height, options.width, options.channels
    if height is None or width is None:
        height = width = _DEFAULT_SIDE
        if len(found.sizes) == 1:
            (own,) = found.sizes
            if min(own) >= MIN_SIDE and max(own) <= MAX_SIDE:
                height, width = own
    return height, width, channels or (3 if found.colour else 1)


def settle_ranges(plan: Preparation) -> Ranges | None:
    """Return which values of deep pictures are black and white: as asked, else by all of them together.

    Returns:
        None if no picture is deep.

    Raises:
        DataError: their values are in no usual range; says what to give.
    """
    listing = plan.listing
    if not any(found.deep for found in plan.surveys.values()):
        return None
    if (asked := ranges.parse(plan.options.value_range)) is not None:
        return asked
    known: dict[str, ValueStats] = {}
    for name, found in plan.surveys.items():
        files = listing.pictures[name]

        def measure(number: int, files: PictureFiles = files) -> ValueStats | None:
            with files.open(number) as image:
                return decode.measure(image)

        mark = f" ({name})" if len(plan.surveys) > 1 else ""
        for number, result in run_in_order(measure, listing, found.deep):
            if isinstance(result, ValueStats):  # bad pictures are reported when they are decoded
                known[escape(listing.names[number]) + mark] = result
    try:
        return ranges.settle(known) if known else None
    except DataError as error:
        raise DataError(f"{listing.place} {error}") from None
