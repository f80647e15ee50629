"""Generator: load a model file, then seeds and labels in, pictures out; it knows no runtime."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import numpy as np

from gan_infer import catalog, images, latents, loading
from gan_infer.errors import ModelError, OptionError
from gan_infer.labels import Classes
from gan_infer.loading import BATCH
from gan_infer.metadata import GENERATOR, Metadata
from gan_infer.session import Providers, Session, as_float32

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort
    from PIL import Image

    from gan_infer.critic import Critic
    from gan_infer.labels import Label, Labels, LabelSpec

    Pictures = npt.NDArray[np.uint8]
    Latents = npt.NDArray[np.float32]

# What one array may hold, in bytes; more pictures than that go through iter_batches.
MAX_ARRAY_BYTES: Final = 2 * 1024**3


class Generator:
    """A generator of pictures from a model file. Make one with `Generator.load`.

    The same model, seed and label give the same pixels, whatever the batch size, the position
    in the batch, the number of threads or the process: byte for byte on one machine and
    execution provider, at most one of 256 levels apart between them.

    Attributes:
        metadata: all that the file says of itself.
        source: where the model came from, a path.
    """

    def __init__(self, session: Session, metadata: Metadata, source: str) -> None:
        self.metadata = metadata
        self.source = source
        self._session = session
        self._run = session.run
        self._classes = len(metadata.class_names)
        self._levels = metadata.height * metadata.width * metadata.channels  # of one picture
        self._known = Classes(metadata.class_names, metadata.name)

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] = catalog.DEFAULT,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
    ) -> Generator:
        """Load a model file.

        Args:
            source: a path, or the name of a shipped model.
            device: "auto" takes a GPU where one works and else the CPU; "cpu"; "cuda" or
                "cuda:1" takes that GPU or raises.
            providers: onnxruntime's own list of execution providers, in place of `device`.
            session_options: onnxruntime's own options, handed on as they are.

        Raises:
            ModelError: no such file, or it is no generator that this version can read.
            DeviceError: the asked-for device cannot be had; says what is missing.
            OptionError: `device` is none that there is.
        """
        opened = loading.opened(source, GENERATOR, device, providers, session_options)
        metadata = Metadata.from_json(opened.text)
        _check_signature(opened.session, metadata, opened.source)
        return cls(opened.session, metadata, opened.source)

    # What the file says of itself.

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata.name

    @property
    def latent_dim(self) -> int:
        """Elements in a latent."""
        return self.metadata.latent_dim

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their indices; empty for an unconditional model."""
        return self.metadata.class_names

    @property
    def conditional(self) -> bool:
        """True where the model takes a label."""
        return self._classes > 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a picture."""
        return self.metadata.image_shape

    @property
    def device(self) -> str:
        """Where the model really runs: "cpu", "cuda:0"."""
        return self._session.device

    @property
    def providers(self) -> tuple[str, ...]:
        """The runtime's execution providers in use, first choice first."""
        return self._session.providers

    @property
    def device_note(self) -> str:
        """Why device="auto" did not take a GPU; "" where there is nothing to say."""
        return self._session.note

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        classes = f", {self._classes} classes" if self._classes else ""
        return f"<Generator {self.name!r}: {height}x{width}x{channels}{classes}, on {self.device}>"

    # Pictures.

    def __call__(self, latents: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> Pictures:
        """Give the pictures of latents, for those who hold latents rather than seeds.

        Args:
            latents: float [n, latent_dim], n >= 1.
            labels: integer [n], class indices; needed by a conditional model, refused by others.

        Returns:
            uint8 [n, height, width, channels].

        Raises:
            OptionError: `latents` is of another shape.
            LabelError: `labels` are missing, not wanted, of another shape or out of range.
        """
        array = as_float32(latents)
        count = len(array) if array.ndim == 2 else 0
        if count == 0 or array.shape[1] != self.metadata.latent_dim:
            raise OptionError(
                f"latents of shape {array.shape} were given; "
                f"expected [n, {self.metadata.latent_dim}] with n >= 1"
            )
        checked = self._known.checked(labels, count)
        if count <= BATCH:
            return self._pictures(array, checked)
        parts = (
            self._pictures(array[i : i + BATCH], None if checked is None else checked[i : i + BATCH])
            for i in range(0, count, BATCH)
        )
        return self._joined(parts, count)

    @overload
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        output: Literal["np"] = "np",
        *,
        best_of: int = 1,
        critic: Critic | None = None,
    ) -> Pictures: ...
    @overload
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        *,
        output: Literal["pil"],
        best_of: int = 1,
        critic: Critic | None = None,
    ) -> list[Image.Image]: ...
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        output: Literal["np", "pil"] = "np",
        *,
        best_of: int = 1,
        critic: Critic | None = None,
    ) -> Pictures | list[Image.Image]:
        """Make n pictures, those of the seeds seed, seed + 1, ... seed + n - 1.

        Args:
            n: how many, at least 1.
            label: a class by index or by name, one for all or one each (n of them). None lets
                the seed choose: class seed % number of classes.
            seed: 0 <= seed < 2**63; None takes a fresh one each time.
            output: "np" or "pil".
            best_of: of so many candidates a seed, all under its label, give the one that `critic`
                holds most real; which they are stands in `latents.candidate_seeds`, so that a
                seed still names a picture.
            critic: of pictures of the same shape and, where it takes labels, the same classes.

        Returns:
            uint8 [n, height, width, channels], or a list of n Pillow images.

        Raises:
            OptionError: n, seed, output or best_of is out of range, n pictures would fill more
                than 2 GiB (use `iter_batches`), or the critic is missing or judges others.
            LabelError: no such class, another number of labels, or the model takes none.
        """
        if output not in ("np", "pil"):
            raise OptionError(f"output {output!r} is unknown; give 'np' or 'pil'")
        count = self._count(n)
        if count * self._levels > MAX_ARRAY_BYTES:
            raise OptionError(
                f"{count:,} pictures would fill more than {MAX_ARRAY_BYTES // 1024**3} GiB; "
                "take them in parts with iter_batches"
            )
        if best_of != 1 or critic is not None:
            pictures = self._chosen(count, label, seed, self._count(best_of, "best_of"), critic)
        else:
            pictures = self._joined(self.iter_batches(count, label, seed), count)
        return pictures if output == "np" else [images.to_pil(picture) for picture in pictures]

    def iter_batches(
        self, n: int, label: LabelSpec = None, seed: int | None = None, batch_size: int = BATCH
    ) -> Iterator[Pictures]:
        """Make n pictures as `sample` does, in batches, in memory that does not grow with n.

        Arguments are checked at the call, before the first batch is asked for.

        Returns:
            an iterator over uint8 [batch_size, height, width, channels]; the last may be shorter.

        Raises:
            OptionError, LabelError: as `sample`.
        """
        count = self._count(n)
        size = self._count(batch_size, "batch_size")
        return self._batches(self._first(count, seed), count, self._known.each(label, count), size)

    @overload
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        output: Literal["np"] = "np",
    ) -> Pictures: ...
    @overload
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        *,
        output: Literal["pil"],
    ) -> Image.Image: ...
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        output: Literal["np", "pil"] = "np",
    ) -> Pictures | Image.Image:
        """Lay pictures out on one sheet.

        On a conditional model without `label`, and without `rows`, each row is a class and each
        column a seed. Otherwise the seeds fill the sheet row by row.

        Args:
            label: as in `sample`; one for all, or one a seed.
            seeds: the seeds to show; by default 0, 1, ... as many as the sheet holds.
            rows, columns: the sheet's shape; by default 8 columns and as many rows as needed
                (8 where no seeds are given).
            output: "np" or "pil".

        Returns:
            uint8 [height, width, channels] of the whole sheet, or a Pillow image.

        Raises:
            OptionError: more seeds than places, or rows, columns or a seed out of range.
            LabelError: as `sample`.
        """
        if output not in ("np", "pil"):
            raise OptionError(f"output {output!r} is unknown; give 'np' or 'pil'")
        by_class = label is None and rows is None and self.conditional
        chosen = None if seeds is None else latents.seed_array(seeds)
        down, across = self._layout(None if chosen is None else len(chosen), rows, columns, by_class)
        if chosen is None:
            chosen = np.arange(across if by_class else down * across, dtype=np.uint64)
        if by_class:
            classes: Labels | None = np.repeat(np.arange(self._classes), len(chosen))
            chosen = np.tile(chosen, self._classes)
        else:
            classes = self._labels_of(self._known.each(label, len(chosen)), chosen, 0)
        sheet = images.tile(self(self.latents(chosen), classes), across)
        return sheet if output == "np" else images.to_pil(sheet)

    def latents(self, seeds: latents.Seeds) -> Latents:
        """Give the latents of seeds, float32 [number of seeds, latent_dim].

        Raises:
            OptionError: a seed is no integer or not in 0 <= seed < 2**63.
        """
        return latents.latents(seeds, self.metadata.latent_dim, self.metadata.latent_distribution)

    def label_index(self, label: Label) -> int:
        """Give the index of a class named by index, by name, or by an index written as text.

        A text is first looked up as a name, then read as an index.

        Raises:
            LabelError: no such class, or the model is unconditional.
        """
        return self._known.index(label)

    # Inside.

    def _pictures(self, array: Latents, labels: Labels | None) -> Pictures:
        feeds: dict[str, npt.NDArray[Any]] = {"latent": array}
        if labels is not None:
            feeds["label"] = labels
        result: Pictures = self._run(["image"], feeds)[0]
        return result

    def _chosen(
        self, count: int, label: LabelSpec, seed: int | None, best_of: int, critic: Critic | None
    ) -> Pictures:
        from gan_infer import choice  # most callers never choose

        first = self._first(count, seed)
        seeds = np.arange(first, first + count, dtype=np.uint64)
        labels = self._labels_of(self._known.each(label, count), seeds, 0)
        judge = choice.check(critic, self.image_shape, self.class_names, best_of)
        names = self.class_names
        return choice.most_convincing(self._of_seeds, judge, seeds, labels, names, best_of)[0]

    def _of_seeds(self, seeds: npt.NDArray[np.uint64], labels: Labels | None) -> Pictures:
        return self._pictures(self.latents(seeds), labels)

    def _joined(self, batches: Iterator[Pictures], count: int) -> Pictures:
        if count <= BATCH:
            return next(batches)
        pictures = np.empty((count, *self.image_shape), np.uint8)
        done = 0
        for batch in batches:
            pictures[done : done + len(batch)] = batch
            done += len(batch)
        return pictures

    def _batches(self, first: int, count: int, spec: Labels | int | None, size: int) -> Iterator[Pictures]:
        for start in range(0, count, size):
            stop = min(start + size, count)
            seeds = np.arange(first + start, first + stop, dtype=np.uint64)
            yield self._pictures(self.latents(seeds), self._labels_of(spec, seeds, start))

    def _labels_of(
        self, spec: Labels | int | None, seeds: npt.NDArray[np.uint64], start: int
    ) -> Labels | None:
        if not self._classes:
            return None
        if spec is None:
            return (seeds % np.uint64(self._classes)).astype(np.int64)
        if isinstance(spec, int):
            return np.full(len(seeds), spec, np.int64)
        return spec[start : start + len(seeds)]

    def _layout(
        self, count: int | None, rows: int | None, columns: int | None, by_class: bool
    ) -> tuple[int, int]:
        """Give (rows, columns) of a sheet for `count` seeds, or for as many as it holds (None)."""
        down = None if rows is None else self._count(rows, "rows")
        across = None if columns is None else self._count(columns, "columns")
        if by_class:
            down, across = self._classes, across or count or 8
        elif across is None:
            across = min(8, count or 8) if down is None or count is None else -(-count // down)
        if down is None:
            down = 8 if count is None else -(-count // across)
        places = across if by_class else down * across
        if count is not None and count > places:
            raise OptionError(
                f"{count} seeds do not fit in {across} columns{'' if by_class else f' of {down}'}; "
                "give more rows or columns"
            )
        if down * across * self._levels > images.MAX_SHEET_BYTES:
            raise OptionError(f"a sheet of {down:,} by {across:,} pictures is too large; ask for fewer")
        return down, count if by_class and count is not None else across

    @staticmethod
    def _first(count: int, seed: int | None) -> int:
        first = latents.fresh_seed(count) if seed is None else latents.check_seed(seed)
        if first + count > latents.SEED_LIMIT:
            raise OptionError(f"seeds {first} and the {count - 1} after it run past 2**63 - 1")
        return first

    @staticmethod
    def _count(value: object, name: str = "n") -> int:
        try:
            count = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            count = 0
        if isinstance(value, bool) or not 1 <= count < latents.SEED_LIMIT:
            raise OptionError(f"{name} was {value!r}; give a whole number of at least 1")
        return count


def _check_signature(session: Session, metadata: Metadata, source: str) -> None:
    wanted: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "latent": ("tensor(float)", (None, metadata.latent_dim))
    }
    if metadata.conditional:
        wanted["label"] = ("tensor(int64)", (None,))
    image = session.outputs.get("image")
    if session.inputs != wanted or image is None or image[0] != "tensor(uint8)" or len(image[1]) != 4:
        raise ModelError(
            f"{source} has inputs {loading.shown(session.inputs)} and outputs "
            f"{loading.shown(session.outputs)}; "
            f"its metadata says {loading.shown(wanted)} and image uint8 [batch, height, width, channels]; "
            "export it again"
        )
    if image[1][1:] != metadata.image_shape:
        raise ModelError(
            f"{source} makes pictures of {list(image[1][1:])}, its metadata says "
            f"{list(metadata.image_shape)}; export it again"
        )
