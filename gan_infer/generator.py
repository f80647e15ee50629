"""Generator: load a model file, then seeds and labels in, pictures out; it knows no runtime."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, overload

import numpy as np

from gan_infer import catalog, images, latents
from gan_infer.devices import Providers
from gan_infer.errors import LabelError, ModelError, OptionError
from gan_infer.metadata import KEY, Metadata
from gan_infer.session import Session, as_float32

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort
    from PIL import Image

    Pictures = npt.NDArray[np.uint8]
    Latents = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int64]
    Label = int | str
    LabelSpec = Label | Sequence[Label] | npt.NDArray[np.integer[Any]] | None
    # What was asked for, the file that it was, device, providers, threads.
    _Loaded = tuple[str, str, str, Providers | None, int | None]

# Pictures in one call of the runtime: past this a CPU gains nothing and memory only grows.
BATCH: Final = 64
# What one array may hold, in bytes; more pictures than that go through iter_batches.
MAX_ARRAY_BYTES: Final = 2 * 1024**3


class Generator:
    """A generator of pictures from a model file. Make one with `Generator.load`.

    The same model, seed and label give the same pixels, whatever the batch size, the position
    in the batch, the number of threads or the process: byte for byte on one machine and
    execution provider, at most one of 256 levels apart between them.

    Threads may share one. A process forked from this one opens the model anew at its first picture.
    Pickled, it is its file's name and SHA-256 and the options it was loaded with. As a context
    manager it closes itself.

    Attributes:
        metadata: all that the file says of itself.
        source: where the model came from, a path.
    """

    def __init__(self, session: Session, metadata: Metadata, source: str) -> None:
        self.metadata = metadata
        self.source = source
        self._session = session
        self._run = session.run
        self._loaded: _Loaded | None = None
        self._classes = len(metadata.class_names)
        self._levels = metadata.height * metadata.width * metadata.channels  # of one picture
        self._indices = range(self._classes)
        self._index = {name: index for index, name in enumerate(metadata.class_names)}

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] = catalog.DEFAULT,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
        threads: int | None = None,
    ) -> Generator:
        """Load a model file.

        Args:
            source: a path, a folder that holds one .onnx file, the name of a shipped model, or
                hf://owner/repository[@revision][/file] (needs the extra `hub`).
            device: "auto" takes an NVIDIA GPU where one works and else the CPU; "cpu"; "cuda" or
                "cuda:1" takes that GPU or raises, as do "coreml" and "dml" where the installed
                runtime has them.
            providers: onnxruntime's own list of execution providers, in place of `device`.
            session_options: onnxruntime's own options, handed on as they are.
            threads: 1 to 1,024, over which the CPU's work on a batch is split; by default as many
                as the cores that affinity and control groups leave to this process.

        Raises:
            ModelError: no such file, it is refused by `gan_infer.vet`, or it is no generator that
                this version can read.
            DeviceError: the asked-for device cannot be had; says what is missing.
            OptionError: `device` is none that there is, `threads` is out of range or stands beside
                `session_options`, or an hf:// address was given without the extra `hub`.
        """
        from gan_infer import vet

        path, model = catalog.read(source)
        vet.check(model, str(path))  # the very bytes that the runtime gets
        session = Session(
            model,
            source=str(path),
            device=device,
            providers=providers,
            session_options=session_options,
            threads=threads,
        )
        if KEY not in session.metadata:
            raise ModelError(
                f"{path} is an ONNX model without {KEY!r} metadata, so not one of our generators; "
                "give a file that gan-train export wrote"
            )
        metadata = Metadata.from_json(session.metadata[KEY])
        _check_signature(session, metadata, str(path))
        generator = cls(session, metadata, str(path))
        if session_options is None:
            generator._loaded = (str(source), str(path.absolute()), device, providers, threads)
        return generator

    # The end, and other processes.

    def close(self) -> None:
        """Free the model. Calls that are under way end first; later ones raise ModelError."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the file's name and hash; copies, too, open the file anew.

        Raises:
            OptionError: it was not loaded from a file, or with `session_options`, which stay here.
            ModelError: it is closed.
        """
        if self._loaded is None:
            raise OptionError(
                f"generator {self.name!r} cannot be pickled: it was not loaded from a file, or with "
                "session_options; load it by Generator.load with device, providers and threads alone"
            )
        asked, path, device, providers, threads = self._loaded
        shipped = catalog.shipped_models().get(asked) == Path(path)
        source = asked if shipped or "://" in asked else path  # another machine has its own copy
        return _load_again, (source, self._session.sha256(), device, providers, threads)

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
        checked = self._check_labels(labels, count)
        if count <= BATCH:
            return self._pictures(array, checked)
        parts = (
            self._pictures(array[i : i + BATCH], None if checked is None else checked[i : i + BATCH])
            for i in range(0, count, BATCH)
        )
        return self._joined(parts, count)

    @overload
    def sample(
        self, n: int = 1, label: LabelSpec = None, seed: int | None = None, output: Literal["np"] = "np"
    ) -> Pictures: ...
    @overload
    def sample(
        self, n: int = 1, label: LabelSpec = None, seed: int | None = None, *, output: Literal["pil"]
    ) -> list[Image.Image]: ...
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        output: Literal["np", "pil"] = "np",
    ) -> Pictures | list[Image.Image]:
        """Make n pictures, those of the seeds seed, seed + 1, ... seed + n - 1.

        Args:
            n: how many, at least 1.
            label: a class by index or by name, one for all or one each (n of them). None lets
                the seed choose: class seed % number of classes.
            seed: 0 <= seed < 2**63; None takes a fresh one each time.
            output: "np" or "pil".

        Returns:
            uint8 [n, height, width, channels], or a list of n Pillow images.

        Raises:
            OptionError: n, seed or output is out of range, or n pictures would fill more than
                2 GiB (use `iter_batches`).
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
        first = latents.fresh_seed(count) if seed is None else latents.check_seed(seed)
        if first + count > latents.SEED_LIMIT:
            raise OptionError(f"seeds {first} and the {count - 1} after it run past 2**63 - 1")
        return self._batches(first, count, self._resolve(label, count), size)

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
            classes = self._labels_of(self._resolve(label, len(chosen)), chosen, 0)
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
        if not self._classes:
            raise LabelError(
                f"label {label!r} was given, but model {self.name!r} is unconditional; leave it out"
            )
        if isinstance(label, str):
            if label in self._index:
                return self._index[label]
            if label.isascii() and label.isdigit() and len(label) < 10:
                return self.label_index(int(label))
            raise self._no_such_class(label)
        try:
            index = operator.index(label)
        except TypeError:
            raise self._no_such_class(label) from None
        if isinstance(label, bool) or not 0 <= index < self._classes:
            raise self._no_such_class(label)
        return index

    # Inside.

    def _pictures(self, array: Latents, labels: Labels | None) -> Pictures:
        feeds: dict[str, npt.NDArray[Any]] = {"latent": array}
        if labels is not None:
            feeds["label"] = labels
        result: Pictures = self._run(["image"], feeds)[0]
        return result

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

    def _resolve(self, label: LabelSpec, count: int) -> Labels | int | None:
        """Give one index for all, one each, or None where the seeds choose or none are taken."""
        if label is None:
            return None
        if isinstance(label, str) or np.ndim(label) == 0:
            return self.label_index(label)  # type: ignore[arg-type]
        each = np.array([self.label_index(item) for item in label], np.int64)  # type: ignore[union-attr]
        if len(each) != count:
            raise LabelError(f"{len(each)} labels were given for {count} pictures; give one, or one each")
        return each

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

    def _check_labels(self, labels: npt.ArrayLike | None, count: int) -> Labels | None:
        if not self._classes:
            if labels is not None:
                raise LabelError(
                    f"labels were given, but model {self.name!r} is unconditional; leave them out"
                )
            return None
        if labels is None:
            raise LabelError(f"model {self.name!r} needs labels: integers [n], from 0 to {self._classes - 1}")
        array = np.asarray(labels)
        if array.dtype.kind not in "iu" or array.shape != (count,):
            raise LabelError(
                f"labels of shape {array.shape} and type {array.dtype} were given; "
                f"expected {count} integers, one a latent"
            )
        array = np.ascontiguousarray(array, np.int64)
        # As unsigned numbers negative labels are huge, so the largest tells of both ends.
        if (array.item() if count == 1 else array.view(np.uint64).max()) not in self._indices:
            bad = array[(array < 0) | (array >= self._classes)][0]
            raise self._no_such_class(int(bad))
        return array

    def _no_such_class(self, label: object) -> LabelError:
        shown = ", ".join(self.class_names[:20]) + (", ..." if self._classes > 20 else "")
        return LabelError(
            f"label {label!r} is no class of model {self.name!r}; "
            f"give a name ({shown}) or an index from 0 to {self._classes - 1}"
        )

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
    def _count(value: object, name: str = "n") -> int:
        try:
            count = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            count = 0
        if isinstance(value, bool) or not 1 <= count < latents.SEED_LIMIT:
            raise OptionError(f"{name} was {value!r}; give a whole number of at least 1")
        return count


def _load_again(
    source: str, sha256: str, device: str, providers: Providers | None, threads: int | None
) -> Generator:
    """Load the file that a pickled generator was made of.

    Raises:
        ModelError: the file is missing or is another one than it was.
        DeviceError: the device cannot be had in this process.
    """
    generator = Generator.load(source, device, providers, threads=threads)
    if (found := generator._session.sha256()) != sha256:
        generator.close()
        raise ModelError(
            f"{source} changed since the generator was pickled (SHA-256 {found[:12]}..., then "
            f"{sha256[:12]}...); give this process the same file, or pickle it again"
        )
    return generator


def _check_signature(session: Session, metadata: Metadata, source: str) -> None:
    wanted: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "latent": ("tensor(float)", (None, metadata.latent_dim))
    }
    if metadata.conditional:
        wanted["label"] = ("tensor(int64)", (None,))
    image = session.outputs.get("image")
    if session.inputs != wanted or image is None or image[0] != "tensor(uint8)" or len(image[1]) != 4:
        raise ModelError(
            f"{source} has inputs {_shown(session.inputs)} and outputs {_shown(session.outputs)}; "
            f"its metadata says {_shown(wanted)} and image uint8 [batch, height, width, channels]; "
            "export it again"
        )
    if image[1][1:] != metadata.image_shape:
        raise ModelError(
            f"{source} makes pictures of {list(image[1][1:])}, its metadata says "
            f"{list(metadata.image_shape)}; export it again"
        )


def _shown(signature: dict[str, tuple[str, tuple[int | None, ...]]]) -> str:
    return ", ".join(f"{name} {kind}{list(shape)}" for name, (kind, shape) in signature.items())
