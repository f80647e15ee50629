"""What generators and critics share: an open model file that describes itself, runs, closes and pickles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np

from gan_infer.conditions.base import WithClasses, of_inputs
from gan_infer.errors import ModelError, OptionError
from gan_infer.modelfile import catalog, signature
from gan_infer.modelfile.metadata import CriticMetadata, Metadata
from gan_infer.runtime.session import BATCH, AnySession

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed

MetadataT = TypeVar("MetadataT", Metadata, CriticMetadata)


class Model(WithClasses, Generic[MetadataT]):
    """An open model file; subclasses have a `load` that opens one.

    Attributes:
        metadata: what the file says about itself.
        source: where the model comes from: a path, or "<bytes>".
        file_note: the part of `note` about the file.
    """

    def __init__(
        self,
        session: AnySession,
        metadata: MetadataT,
        source: str,
        batch: int = BATCH,
    ) -> None:
        """Hold an open session; `batch` is the largest number of pictures in one call of it."""
        self.metadata: MetadataT = metadata
        self.source = source
        self._session = session
        self._run = session.run
        self._batch = batch
        self._inputs = signature.find_inputs(session, metadata.inputs)
        self._outputs = [metadata.outputs[0].name]
        self._conditions = of_inputs(self._inputs, metadata.main_kind, metadata.name)
        self._classes = self._conditions.classes
        self.file_note = ""
        self._loaded: tuple[str | bytes, str, dict[str, Any]] | None = None

    # Closing, and other processes.

    def close(self) -> None:
        """Free the model. Running calls end first; later ones raise ModelError."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remember(self, source: catalog.Source, **options: Any) -> None:
        """Keep the arguments of `load`, which pickling needs."""
        if self.source == catalog.FROM_BYTES:
            self._loaded = b"", self.source, options
        else:
            self._loaded = str(source), str(Path(self.source).absolute()), options

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the file's name and hash; a copy opens the file again.

        A model that was loaded from bytes, or from an open file, is pickled with its bytes.

        Raises:
            OptionError: it was not loaded from a file, or with `session_options`, which cannot be pickled.
            ModelError: it is closed.
        """
        if self._loaded is None:
            kind = type(self).__name__
            raise OptionError(
                f"{kind.lower()} {self.name!r} cannot be pickled: it was not loaded from a file, or with "
                f"session_options; load it by {kind}.load with device, providers and threads alone"
            )
        given, path, options = self._loaded
        if isinstance(given, bytes):
            return _load_again, (type(self), self._session.body(), self.sha256, options)
        shipped = catalog.shipped_models().get(given) == Path(path)
        source = given if shipped or "://" in given else path  # another machine has its own copy
        return _load_again, (type(self), source, self.sha256, options)

    # What the file says about itself.

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata.name

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model file, in hexadecimal; computed at first use."""
        return self._session.sha256()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a picture."""
        return self.metadata.image_shape

    @property
    def device(self) -> str:
        """The device that the model runs on: "cpu", "cuda:0"."""
        return self._session.device

    @property
    def providers(self) -> tuple[str, ...]:
        """The runtime's execution providers in use, first choice first."""
        return self._session.providers

    @property
    def device_note(self) -> str:
        """The reason why device="auto" did not take a GPU; "" if there is nothing to say."""
        return self._session.note

    @property
    def note(self) -> str:
        """What the user should know about the file and the device; "" if there is nothing to say."""
        return "; ".join(filter(None, (self.file_note, self.device_note)))

    def __repr__(self) -> str:
        sides = self.image_shape if any(self.image_shape) else self.metadata.outputs[0].shape
        classes = f", {len(self.class_names)} classes" if self.conditional else ""
        kind = type(self).__name__
        return f"<{kind} {self.name!r}: {'x'.join(map(str, sides))}{classes}, on {self.device}>"

    def _run_all(self, feeds: Iterable[Feed], count: int) -> npt.NDArray[Any]:
        """Run feeds one after another, each small enough for one call; return all `count` results."""
        result: npt.NDArray[Any] | None = None
        done = 0
        for feed in feeds:
            part: npt.NDArray[Any] = self._run(self._outputs, feed)[0]
            if len(part) == count:
                return part
            if result is None:
                result = np.empty((count, *part.shape[1:]), part.dtype)
            result[done : done + len(part)] = part
            done += len(part)
        assert result is not None
        return result


def _load_again(kind: Any, source: str | bytes, sha256: str, options: dict[str, Any]) -> Any:
    """Load the file of a pickled model.

    Raises:
        ModelError: the file is missing or has changed.
        DeviceError: the device is not available in this process.
    """
    model = kind.load(source, **options)
    if (found := model.sha256) != sha256:
        path = model.source
        model.close()
        raise ModelError(
            f"{path} changed since the {kind.__name__.lower()} was pickled (SHA-256 {found[:12]}..., then "
            f"{sha256[:12]}...); give this process the same file, or pickle it again"
        )
    return model
