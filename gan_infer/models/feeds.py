"""Makes the feeds of a generator from the seeds, latents and conditions that a person gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.errors import OptionError
from gan_infer.latent import directions, interpolation
from gan_infer.latent import seeds as latents
from gan_infer.outputs import image, sheets
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.base import Conditions, Rows
    from gan_infer.conditions.spec import Feed
    from gan_infer.latent.directions import Direction
    from gan_infer.latent.seeds import Seeds
    from gan_infer.modelfile.metadata import Metadata

    Latents = npt.NDArray[np.float32]
    SeedArray = npt.NDArray[np.uint64]
    # A seed, or the latent itself, float [latent_dim].
    Point = int | npt.NDArray[np.floating[Any]]
    # Condition name -> value as a person gives it; None means not given.
    Given = Mapping[str, Any]

# The most bytes in one array; for more pictures there is iter_batches.
MAX_ARRAY_BYTES: Final = 2 * 1024**3


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What a sheet shows, in layout order.

    Attributes:
        seeds: uint64 [n].
        conditions: the feed of the conditions, arrays [n, ...].
        columns: pictures per row.
        rows: the number of classes that have a row each; 0 if seeds fill the sheet.
        choices: the number of all classes.
    """

    seeds: SeedArray
    conditions: Feed
    columns: int
    rows: int = 0
    choices: int = 0


class Feeder:
    """Makes the feeds of one generator.

    Attributes:
        directions: the directions to edit pictures along, by name, in the file's order.
    """

    def __init__(self, metadata: Metadata, conditions: Conditions) -> None:
        self.directions: dict[str, Direction] = {
            direction.name: direction for direction in metadata.directions
        }
        self._latent_dim = metadata.latent_dim
        self._distribution = metadata.latent_distribution
        self._conditions = conditions
        output = metadata.outputs[0]
        sides = [side if isinstance(side, int) else side.high for side in output.shape]
        self._item_bytes = math.prod(sides) * np.dtype(output.dtype).itemsize
        self._sides = metadata.height, metadata.width

    def count(self, n: object, name: str = "n") -> int:
        """Return a number of pictures as an int.

        Raises:
            OptionError: it is not a whole number of at least 1, or the array would be too large.
        """
        count = arguments.whole_number(n, name)
        if count * self._item_bytes > MAX_ARRAY_BYTES:
            way_out = "take them in parts with iter_batches" if name == "n" else f"ask for fewer {name}"
            raise OptionError(
                f"{count:,} pictures would fill more than {MAX_ARRAY_BYTES // 1024**3} GiB; {way_out}"
            )
        return count

    def latents(self, seeds: Seeds) -> Latents:
        """Return the latents of seeds, float32 [number of seeds, latent_dim].

        Raises:
            OptionError: a seed is not an integer or not in 0 <= seed < 2**63.
        """
        return latents.latents(seeds, self._latent_dim, self._distribution)

    def from_seeds(self, seeds: SeedArray, rows: Rows, psi: float, start: int = 0) -> Feed:
        """Return the feed of seeds, uint64 [n]; `start` is the first seed's index in the rows.

        Raises:
            OptionError: psi is out of its range.
        """
        return self.with_latents(self.latents(seeds), self._conditions.feed(rows, seeds, start), psi)

    def with_latents(self, array: Latents, conditions: Feed, psi: float = 1.0) -> Feed:
        """Return the feed of latents, scaled by psi, and conditions.

        Raises:
            OptionError: psi is out of its range.
        """
        factor = interpolation.check_psi(psi)
        return {"latent": array if factor == 1.0 else array * np.float32(factor), **conditions}

    def iter_seeds(self, first: int, count: int, rows: Rows, psi: float, size: int) -> Iterator[Feed]:
        """Yield the feeds of consecutive seeds, at most `size` seeds each."""
        for start in range(0, count, size):
            seeds = np.arange(first + start, first + min(start + size, count), dtype=np.uint64)
            yield self.from_seeds(seeds, rows, psi, start)

    def interpolate(self, a: Point, b: Point, count: int, mode: str | None, given: Given, psi: float) -> Feed:
        """Return the feed of `count` pictures from one point to another, including both.

        Raises:
            GanError: as `Generator.interpolate`.
        """
        corners = np.stack([self._read_point(a), self._read_point(b)])
        path = interpolation.between(corners[0], corners[1], count, self._choose_mode(mode))
        ends = self._read_corners(given, [a, b])
        steps = np.zeros(count, np.int64), np.linspace(0.0, 1.0, count)
        return self.with_latents(path, self._conditions.blend(ends, *steps), psi)

    def loop(
        self,
        points: Sequence[Point] | npt.NDArray[Any],
        count: int,
        mode: str | None,
        given: Given,
        psi: float,
    ) -> Feed:
        """Return the feed of `count` pictures on a closed path through points.

        Raises:
            GanError: as `Generator.loop`.
        """
        try:
            each = list(points)
        except TypeError:
            raise OptionError(f"points were {abridge(points)}; give a list of seeds or latents") from None
        if not each:
            raise OptionError("no points were given; give at least one seed or latent")
        path = interpolation.loop(
            np.stack([self._read_point(point) for point in each]), count, self._choose_mode(mode)
        )
        steps = interpolation.loop_positions(len(each), count)
        return self.with_latents(path, self._conditions.blend(self._read_corners(given, each), *steps), psi)

    def edit(
        self,
        seed: Seeds | npt.NDArray[np.floating[Any]],
        given: Given,
        amounts: Mapping[str | int, directions.Amount],
        psi: float,
    ) -> Feed:
        """Return the feed of latents moved along directions.

        Raises:
            GanError: as `Generator.edit`.
        """
        checked, each = directions.check_amounts(self.directions, amounts)
        start, seeds = self._read_points(seed)
        count = self.count(max(each, len(start)))
        if len(start) not in (1, count) or each not in (1, count):
            raise OptionError(
                f"{len(start)} seeds and {each} amounts do not go together; give one, or one each"
            )
        conditions = self._read(given, np.resize(seeds, count) if seeds is not None else None, count)
        moved = directions.move(
            np.repeat(start, count // len(start), axis=0),
            self.directions,
            checked,
            self._conditions.class_weights(conditions),
            keep_length=self._distribution == "normal",
        )
        return self.with_latents(moved, conditions, psi)

    def sheet(self, given: Given, seeds: Seeds | None, rows: int | None, columns: int | None) -> Sheet:
        """Return what a sheet shows.

        Of too many classes for a sheet that viewers can open, only the first are shown.

        Raises:
            GanError: as `Generator.grid`.
        """
        name, choices = self._conditions.to_list(given) if rows is None else ("", 0)
        chosen = None if seeds is None else latents.seed_array(seeds)
        count = None if chosen is None else len(chosen)
        shown = min(choices, image.rows_that_fit(*self._sides)) if choices else 0
        down, across = sheets.layout(count, rows, columns, shown)
        if down * across * self._item_bytes > image.MAX_SHEET_BYTES:
            raise OptionError(f"a sheet of {down:,} by {across:,} pictures is too large; ask for fewer")
        if chosen is None:
            chosen = np.arange(across if shown else down * across, dtype=np.uint64)
        values: dict[str, Feed] = {}
        if shown:
            values[name] = self._conditions.each[name].choice(np.repeat(np.arange(shown), len(chosen)))
            chosen = np.tile(chosen, shown)
        values |= self._conditions.read(given, len(chosen))
        return Sheet(chosen, self._conditions.feed(values, chosen), across, shown, choices)

    def _choose_mode(self, mode: str | None) -> str:
        if mode is None:
            return "lerp" if self._distribution == "uniform" else "slerp"
        return mode

    def _read_points(self, given: Seeds | npt.NDArray[np.floating[Any]]) -> tuple[Latents, SeedArray | None]:
        """Return the latents [n, latent_dim] of seeds or latents, and the seeds, None for latents."""
        try:
            array = np.asarray(given)
        except (TypeError, ValueError, OverflowError):
            raise OptionError(f"{abridge(given)} is neither a seed nor a latent; give one") from None
        if array.dtype.kind != "f" or array.ndim == 0:
            seeds = latents.seed_array(given)  # type: ignore[arg-type]
            return self.latents(seeds), seeds
        if array.ndim not in (1, 2) or array.size == 0 or array.shape[-1] != self._latent_dim:
            raise OptionError(
                f"a latent of shape {array.shape} was given; expected [{self._latent_dim}], or a seed"
            )
        found = as_latents(np.atleast_2d(array))
        if not np.isfinite(found).all():
            raise OptionError("latents hold numbers that are not finite as float32; give finite ones")
        return found, None

    def _read_point(self, given: Point) -> Latents:
        found = self._read_points(given)[0]
        if len(found) != 1:
            raise OptionError(f"{len(found)} latents were given where one is expected")
        point: Latents = found[0]
        return point

    def _read_corners(self, given: Given, points: Sequence[Point]) -> Feed:
        """Return the feed of the conditions at the corners of a path."""
        seeds = [self._read_points(point)[1] for point in points]
        known = [seed for seed in seeds if seed is not None]
        return self._read(given, np.concatenate(known) if len(known) == len(seeds) else None, len(points))

    def _read(self, given: Given, seeds: SeedArray | None, count: int) -> Feed:
        """Return the feed of the conditions of `count` pictures; `seeds` is None if they have none."""
        rows = self._conditions.read(given, count)
        if seeds is None:
            self._conditions.need_all(rows)
        return self._conditions.feed(rows, np.zeros(count, np.uint64) if seeds is None else seeds)


def as_latents(values: npt.ArrayLike) -> Latents:
    """Return values as a C-contiguous float32 array, without a copy if they are one.

    Raises:
        OptionError: they are not an array of numbers.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        return np.ascontiguousarray(values)
    try:
        array = np.asarray(values)
    except Exception:  # an object of the caller can raise anything
        array = np.array(None)
    if array.dtype.kind not in "fiu":
        raise OptionError("latents were given that are not an array of numbers; give float [n, latent_dim]")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def split(feed: Feed, size: int) -> Iterator[Feed]:
    """Yield the parts of a feed, at most `size` pictures each."""
    count = len(next(iter(feed.values())))
    for start in range(0, count, size):
        yield {name: array[start : start + size] for name, array in feed.items()}
