"""Runs a foreign file by our contract: converts our inputs to the file's, and its output to ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.modelfile import metadata
from gan_infer.modelfile.metadata import Metadata
from gan_infer.runtime.session import Session

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# How a label enters: as the index of a class, or as a row with a one at its place.
INDEX: Final = "index"
ONE_HOT: Final = "one-hot"


@dataclasses.dataclass(frozen=True)
class Constant:
    """An input that always gets the same value.

    Attributes:
        value: has the input's type and rank; a side of 1 is repeated to that of `shape`.
        shape: the input's shape; the first side is None if it is the batch.
    """

    value: Array
    shape: tuple[int | None, ...]

    def feed(self, batch: int) -> Array:
        """Return the value for a batch of `batch` pictures."""
        sides = tuple(batch if side is None else side for side in self.shape)
        return np.ascontiguousarray(np.broadcast_to(self.value, sides))


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to convert our inputs to the file's, and its output to ours.

    Attributes:
        latent_shape, label_shape: the shape of one item, as the file takes it.
        label_type: the type of the input in numpy.
        label_form: INDEX or ONE_HOT; "" without labels.
        constants: the other inputs.
        batch: the number of pictures that the file draws at once; None for any number.
        picture: (height, width, channels) or (channels, height, width), in the order of the file's values.
        channels_last: says which of the two.
        value_range: the values for black and white; None if the file gives uint8.
    """

    latent_input: str
    latent_shape: tuple[int, ...]
    latent_type: Any
    output: str
    label_input: str = ""
    label_shape: tuple[int, ...] = ()
    label_type: Any = np.int64
    label_form: str = ""
    classes: int = 0
    constants: Mapping[str, Constant] = dataclasses.field(default_factory=dict)
    batch: int | None = None
    picture: tuple[int, int, int] = (1, 1, 1)
    channels_last: bool = False
    value_range: tuple[float, float] | None = None

    @property
    def latent_dim(self) -> int:
        """Elements in a latent."""
        return int(np.prod(self.latent_shape))

    @property
    def mixes(self) -> bool:
        """True if a label can be a mix of classes."""
        return self.label_form == ONE_HOT and np.issubdtype(self.label_type, np.floating)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        first, second, third = self.picture
        return self.picture if self.channels_last else (second, third, first)


class AdaptedSession:
    """A session of a foreign file that works like one of our files, with the attributes of `Session`.

    Attributes:
        plan: how inputs and output are converted.
    """

    def __init__(self, session: Session, plan: Plan, described: Metadata) -> None:
        self._session = session
        self.plan = plan
        self.note = session.note
        self.device = session.device
        self.providers = session.providers
        self.threads = session.threads
        self.metadata = {metadata.KEY: described.to_json()}
        self.inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "latent": ("tensor(float)", (None, described.latent_dim))
        }
        self.optional_inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {}
        if plan.classes:
            self.inputs["label"] = ("tensor(int64)", (None,))
        if plan.mixes:
            self.optional_inputs["label_weights"] = ("tensor(float)", (None, plan.classes))
        self.outputs: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "image": ("tensor(uint8)", (None, *described.image_shape))
        }

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return [image], uint8 [n, height, width, channels], for `latent` and `label` as in our files.

        Raises:
            ModelError, DeviceError: as `Session.run`.
        """
        weights, labels = feeds.get("label_weights"), feeds.get("label")
        parts = iter_parts(self._session, self.plan, feeds["latent"], labels, weights)
        pictures = [to_pixels(part, self.plan) for part in parts]
        return [pictures[0] if len(pictures) == 1 else np.concatenate(pictures)]

    def values(self, latent: Array, labels: Array | None) -> Array:
        """Return the file's own output for latents [n, latent_dim] and class indices [n].

        Raises:
            ModelError, DeviceError: as `Session.run`.
        """
        return run_file(self._session, self.plan, latent, labels)

    def sha256(self) -> str:
        """Return the SHA-256 of the model's bytes, in hexadecimal."""
        return self._session.sha256()

    def body(self) -> bytes:
        """Return the file's bytes."""
        return self._session.body()

    def close(self) -> None:
        """Free the model."""
        self._session.close()


def run_file(
    session: Session, plan: Plan, latent: Array, labels: Array | None, weights: Array | None = None
) -> Array:
    """Return the file's own output for latents [n, z] and, if there are classes, labels or weights.

    Raises:
        ModelError, DeviceError: as `Session.run`.
    """
    parts = list(iter_parts(session, plan, latent, labels, weights))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def iter_parts(
    session: Session, plan: Plan, latent: Array, labels: Array | None, weights: Array | None = None
) -> Iterator[Array]:
    """Yield the file's own output in parts, each with as many pictures as the file takes at once.

    Raises:
        ModelError, DeviceError: as `Session.run`.
    """
    given = {plan.latent_input: latent.astype(plan.latent_type).reshape(-1, *plan.latent_shape)}
    if plan.classes:
        rows = labels
        if plan.label_form == ONE_HOT:
            rows = np.eye(plan.classes)[labels] if weights is None else weights
        assert rows is not None
        given[plan.label_input] = rows.astype(plan.label_type).reshape(-1, *plan.label_shape)
    count = len(latent)
    size = plan.batch or count
    constants = {name: constant.feed(size) for name, constant in plan.constants.items()}
    if plan.batch is None:
        yield session.run([plan.output], {**given, **constants})[0]
        return
    for start in range(0, count, size):
        chosen = np.minimum(np.arange(start, start + size), count - 1)  # the last fills the batch up
        feeds = {name: array[chosen] for name, array in given.items()}
        yield session.run([plan.output], {**feeds, **constants})[0][: count - start]


def to_pixels(values: Array, plan: Plan) -> npt.NDArray[np.uint8]:
    """Return values as pixel values, uint8 [n, height, width, channels]; NaN becomes white."""
    values = values.reshape(-1, *plan.picture)
    if not plan.channels_last:
        values = values.transpose(0, 2, 3, 1)
    if plan.value_range is None:
        return np.ascontiguousarray(values, np.uint8)
    low, high = plan.value_range
    pictures = np.empty(values.shape, np.uint8)
    for picture, own in zip(pictures, values, strict=True):  # one by one, because floats need much memory
        scaled = own.astype(np.float32)
        scaled -= np.float32(low)
        scaled *= np.float32(255.0 / (high - low))
        np.fmax(np.fmin(scaled, 255.0, out=scaled), 0.0, out=scaled)
        picture[...] = np.rint(scaled, out=scaled)
    return pictures
