"""Space: from seeds, latents and labels as people give them to what a model is fed; it draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.errors import LabelError, OptionError
from gan_infer.latent import directions, interpolation
from gan_infer.latent import seeds as latents
from gan_infer.outputs import image, sheets
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.labels import Classes, Labels, LabelSpec, Weights
    from gan_infer.latent.directions import Direction
    from gan_infer.latent.seeds import Seeds
    from gan_infer.modelfile.metadata import Metadata

    Latents = npt.NDArray[np.float32]
    # A seed, or the latent itself, float [latent_dim].
    Point = int | npt.NDArray[np.floating[Any]]
    # Latents float32 [n, latent_dim], and their labels, None for an unconditional model.
    Feed = tuple[Latents, Labels | Weights | None]

# What one array may hold, in bytes; more pictures than that go through iter_batches.
MAX_ARRAY_BYTES: Final = 2 * 1024**3


class Space:
    """The latents and labels that one model can be asked for.

    Attributes:
        directions: the ways to edit a picture that its file names, in the file's order.
    """

    def __init__(self, metadata: Metadata, classes: Classes) -> None:
        self.directions: dict[str, Direction] = {
            direction.name: direction for direction in metadata.directions
        }
        self._latent_dim = metadata.latent_dim
        self._distribution = metadata.latent_distribution
        self._classes = classes
        self._rows = image.rows_that_fit(metadata.height, metadata.width)  # of a sheet with a row a class
        self._levels = metadata.height * metadata.width * metadata.channels  # of one picture

    def count(self, n: object, name: str = "n") -> int:
        """Return a number of pictures as an int.

        Raises:
            OptionError: it is no whole number of at least 1, or their array would be too large.
        """
        count = arguments.whole_number(n, name)
        if count * self._levels > MAX_ARRAY_BYTES:
            way_out = "take them in parts with iter_batches" if name == "n" else f"ask for fewer {name}"
            raise OptionError(
                f"{count:,} pictures would fill more than {MAX_ARRAY_BYTES // 1024**3} GiB; {way_out}"
            )
        return count

    def latents(self, seeds: Seeds) -> Latents:
        """Return the latents of seeds, float32 [number of seeds, latent_dim].

        Raises:
            OptionError: a seed is no integer or not in 0 <= seed < 2**63.
        """
        return latents.latents(seeds, self._latent_dim, self._distribution)

    def between(self, a: Point, b: Point, count: int, mode: str | None, label: LabelSpec, psi: float) -> Feed:
        """Return `count` latents and labels from one point to another, both ends among them.

        Raises:
            OptionError, LabelError: as `Generator.interpolate`.
        """
        corners = np.stack([self._point(a), self._point(b)])
        way = interpolation.between(corners[0], corners[1], count, self._mode(mode))
        classes = self._corner_labels(label, [a, b])
        if classes is not None:
            classes = self._classes.blended(classes, np.zeros(count, int), np.linspace(0.0, 1.0, count))
        return truncated(way, psi), classes

    def around(
        self,
        points: Sequence[Point] | npt.NDArray[Any],
        count: int,
        mode: str | None,
        label: LabelSpec,
        psi: float,
    ) -> Feed:
        """Return `count` latents and labels of a closed walk through points, from the first back to it.

        Raises:
            OptionError, LabelError: as `Generator.loop`.
        """
        try:
            given = list(points)
        except TypeError:
            raise OptionError(f"points were {abridge(points)}; give a list of seeds or latents") from None
        if not given:
            raise OptionError("no points were given; give at least one seed or latent")
        way = interpolation.loop(np.stack([self._point(point) for point in given]), count, self._mode(mode))
        classes = self._corner_labels(label, given)
        if classes is not None:
            classes = self._classes.blended(classes, *interpolation.loop_positions(len(given), count))
        return truncated(way, psi), classes

    def edited(
        self,
        seed: Seeds | npt.NDArray[np.floating[Any]],
        label: LabelSpec,
        amounts: Mapping[str | int, directions.Amount],
        psi: float,
    ) -> Feed:
        """Return latents moved along directions, and their labels.

        Raises:
            OptionError, LabelError: as `Generator.edit`.
        """
        checked, each = directions.check_amounts(self.directions, amounts)
        start, seeds = self._points(seed)
        count = self.count(max(each, len(start)))
        if len(start) not in (1, count) or each not in (1, count):
            raise OptionError(
                f"{len(start)} seeds and {each} amounts do not go together; give one, or one each"
            )
        classes = self._labels(label, np.resize(seeds, count) if seeds is not None else None, count)
        moved = directions.move(
            np.repeat(start, count // len(start), axis=0),
            self.directions,
            checked,
            None if classes is None else self._classes.as_weights(classes),
            keep_length=self._distribution == "normal",
        )
        return truncated(moved, psi), classes

    def sheet(
        self, label: LabelSpec, seeds: Seeds | None, rows: int | None, columns: int | None
    ) -> tuple[npt.NDArray[np.uint64], Labels | Weights | None, int]:
        """Return the seeds and labels of a sheet, in layout order, and its columns.

        Of more classes than make a sheet that viewers open, the first are laid out.

        Raises:
            OptionError, LabelError: as `Generator.grid`.
        """
        by_class = label is None and rows is None and bool(self._classes.names)
        chosen = None if seeds is None else latents.seed_array(seeds)
        count = None if chosen is None else len(chosen)
        shown = min(len(self._classes.names), self._rows) if by_class else 0
        down, across = sheets.layout(count, rows, columns, shown)
        if down * across * self._levels > image.MAX_SHEET_BYTES:
            raise OptionError(f"a sheet of {down:,} by {across:,} pictures is too large; ask for fewer")
        if chosen is None:
            chosen = np.arange(across if by_class else down * across, dtype=np.uint64)
        if by_class:
            return np.tile(chosen, shown), np.repeat(np.arange(shown), len(chosen)), across
        return chosen, self._classes.of_seeds(self._classes.each(label, len(chosen)), chosen), across

    def _mode(self, mode: str | None) -> str:
        if mode is None:
            return "lerp" if self._distribution == "uniform" else "slerp"
        return mode

    def _points(
        self, given: Seeds | npt.NDArray[np.floating[Any]]
    ) -> tuple[Latents, npt.NDArray[np.uint64] | None]:
        """Return latents [n, latent_dim] of seeds or latents, and the seeds, where they were seeds."""
        try:
            array = np.asarray(given)
        except (TypeError, ValueError, OverflowError):
            raise OptionError(f"{abridge(given)} is no seed and no latent; give one") from None
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

    def _point(self, given: Point) -> Latents:
        found = self._points(given)[0]
        if len(found) != 1:
            raise OptionError(f"{len(found)} latents were given where one is expected")
        point: Latents = found[0]
        return point

    def _corner_labels(self, label: LabelSpec, points: Sequence[Point]) -> Labels | Weights | None:
        """Return the labels of the corners of a way, one each, None for an unconditional model."""
        seeds = [self._points(point)[1] for point in points]
        known = [seed for seed in seeds if seed is not None]
        return self._labels(label, np.concatenate(known) if len(known) == len(seeds) else None, len(points))

    def _labels(
        self, label: LabelSpec, seeds: npt.NDArray[np.uint64] | None, count: int
    ) -> Labels | Weights | None:
        spec = self._classes.each(label, count)
        if spec is None and seeds is None and self._classes.names:
            raise LabelError(
                f"a latent names no class, and model {self._classes.model!r} needs one; give a label"
            )
        return self._classes.of_seeds(spec, np.zeros(count, np.uint64) if seeds is None else seeds)


def as_latents(values: npt.ArrayLike) -> Latents:
    """Return a C-contiguous float32 array; no copy where it already is one.

    Raises:
        OptionError: it is no array of numbers.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        return np.ascontiguousarray(values)
    try:
        array = np.asarray(values)
    except Exception:  # whatever an object of the caller's raises, it is no array
        array = np.array(None)
    if array.dtype.kind not in "fiu":
        raise OptionError("latents were given that are no array of numbers; give float [n, latent_dim]")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def truncated(array: Latents, psi: float) -> Latents:
    """Return latents scaled by `psi`, see `paths.check_psi`."""
    factor = interpolation.check_psi(psi)
    return array if factor == 1.0 else array * np.float32(factor)
