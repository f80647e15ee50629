"""The condition of kind "class": from labels, as a person gives them, to the arrays that a model gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from gan_infer.conditions import mixes
from gan_infer.conditions.names import Names
from gan_infer.errors import GanError, LabelError, ModelError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.int64]
    Weights = npt.NDArray[np.float32]
    from gan_infer.conditions.names import Label
    from gan_infer.conditions.spec import Feed, Input

    Mix = Mapping[Label, float]
    LabelSpec = Label | Mix | Sequence[Label | Mix] | npt.NDArray[np.integer[Any]] | None


# The input of the classes that a file names, and the one that takes weights of them.
LABEL: Final = "label"
LABEL_WEIGHTS: Final = "label_weights"
_INT64: Final = np.dtype(np.int64)


def classes_of_seeds(seeds: npt.NDArray[np.integer[Any]], classes: int) -> Labels:
    """Return the class that each seed chooses if no label is given, int64: seed % number of classes.

    This is part of the contract of model files: a seed without a label still names one picture.
    """
    return (np.asarray(seeds, np.uint64) % np.uint64(classes)).astype(np.int64)


class ClassReader:
    """Reads the labels of one model, by its class names in the order of their indices.

    Attributes:
        names: empty if the model is unconditional.
        mixes: True if the model takes weights of several classes for one picture.
    """

    def __init__(self, names: tuple[str, ...], model: str, *, mixes: bool = False) -> None:
        """Hold the names; `model` names the model in messages."""
        self.names = names
        self.model = model
        self.mixes = mixes
        self._indices = range(len(names))
        self._known = Names(names, model)

    def index(self, label: Label) -> int:
        """Return the index of the class that a label names, by the rule of `names.Names`.

        Raises:
            LabelError: there is no such class, a number could mean two, or the model is unconditional.
        """
        if not self.names:
            raise LabelError(
                f"label {abridge(label)} was given, but model {self.model!r} is unconditional; leave it out"
            )
        return self._known.index(label)

    def each(self, label: LabelSpec, count: int) -> Labels | Weights | int | None:
        """Return what a label says for `count` pictures, or None if no label is given.

        Returns:
            for all pictures, a class index or the weights float32 [classes]; if each picture has a label of
            its own, indices int64 [count] or weights float32 [count, classes].

        Raises:
            LabelError: as `index`; the number of labels is wrong, or a mix is not valid.
        """
        if label is None:
            return None
        listed = isinstance(label, Sequence) and not isinstance(label, (str, bytes, bytearray))
        if not listed and not getattr(label, "ndim", 0):
            return self.one(label)  # type: ignore[arg-type]
        each = [self.one(item) for item in label]  # type: ignore[union-attr]
        if len(each) != count:
            raise LabelError(f"{len(each)} labels were given for {count} pictures; give one, or one each")
        if all(isinstance(item, int) for item in each):
            return np.array(each, np.int64)
        return np.stack([self.as_weights(item) for item in each])

    def one(self, label: Label | Mix) -> int | Weights:
        """Return the index of a class, or the weights float32 [classes] of a mix of several.

        Raises:
            LabelError: as `each`.
        """
        if not self.names:
            return self.index(label)  # type: ignore[arg-type]  # which refuses it
        if not isinstance(label, Mapping):
            if not isinstance(label, str) or not self._known.may_be_mix(label):
                return self.index(label)
            label = mixes.parse(label, self._known)  # type: ignore[assignment]
            assert isinstance(label, Mapping)
        mix: dict[int, float] = {}
        for key, weight in label.items():
            index = self.index(key)
            if index in mix:
                raise LabelError(f"the label mix names class {self.names[index]!r} twice; name it once")
            mix[index] = weight
        weights = mixes.weights(mix, len(self.names))
        if (weights > 0).sum() == 1:  # the class itself, which every model can draw
            return int(weights.argmax())
        self.need_mixing("several labels for one picture")
        return weights

    def check(
        self, labels: npt.ArrayLike | Mix | None, count: int, wanted: str = "one per latent"
    ) -> Labels | Weights | None:
        """Return the labels of a raw batch, int64 [count] or float32 [count, classes]; None without classes.

        Raises:
            LabelError: they are missing, not expected, of a wrong shape or out of range.
        """
        if not self.names:
            if labels is not None:
                raise LabelError(
                    f"labels were given, but model {self.model!r} is unconditional; leave them out"
                )
            return None
        if labels is None:
            raise LabelError(
                f"model {self.model!r} needs labels: integers [n], from 0 to {len(self.names) - 1}"
            )
        # A single label of the graph's own type: of a small model's picture the rest would be 1 % or 2 %.
        if count == 1 and isinstance(labels, np.ndarray) and labels.dtype is _INT64 and labels.shape == (1,):
            if labels.item() not in self._indices:
                raise self._known.make_error(labels.item())
            return labels
        try:
            array = np.asarray(labels)
        except (TypeError, ValueError):
            raise LabelError(
                f"labels were given that are no array; give {count} integers, {wanted}"
            ) from None
        if array.dtype.kind not in "iu" or array.shape != (count,):
            return self._read_other(labels, array, count, wanted)
        array = np.ascontiguousarray(array, np.int64)
        # As unsigned numbers negative labels are huge, so the largest tells of both ends.
        if array.view(np.uint64).max() not in self._indices:
            raise self._known.make_error(int(array[(array < 0) | (array >= len(self.names))][0]))
        return array

    def as_weights(self, labels: Labels | Weights | int) -> Weights:
        """Return the weights float32 [..., classes] of class indices; weights are returned unchanged."""
        if isinstance(labels, np.ndarray) and labels.dtype == np.float32:
            return cast("Weights", labels)
        weights: Weights = np.eye(len(self.names), dtype=np.float32)[labels]
        return weights

    def need_mixing(self, what: str) -> None:
        """Refuse what needs a mix if the model cannot mix labels.

        Raises:
            LabelError: the model cannot mix labels.
        """
        if not self.mixes:
            raise LabelError(
                f"{what} were given, but the file of model {self.model!r} cannot mix labels; give one class, "
                "or mend a file that gan-train wrote by: gan-train directions --model MODEL --to MODEL"
            )

    def _read_other(
        self, labels: npt.ArrayLike | Mix, array: npt.NDArray[Any], count: int, wanted: str
    ) -> Labels | Weights:
        """Return labels that are no class indices: one label for all, or weights."""
        if array.ndim == 0:
            one = self.one(labels)  # type: ignore[arg-type]
            return np.full(count, one) if isinstance(one, int) else np.tile(one, (count, 1))
        classes = len(self.names)
        if array.dtype.kind != "f" or array.shape != (count, classes):
            floats = f", or floats [{count}, {classes}]" if self.mixes else ""
            raise LabelError(
                f"labels of shape {array.shape} and type {array.dtype} were given; "
                f"expected {count} integers, {wanted}{floats}"
            )
        self.need_mixing("weights of labels")
        return np.stack([mixes.weights(dict(enumerate(row.tolist())), classes) for row in array])


class ClassCondition:
    """A class of the model, or a mix of several; if none is given, the seed chooses.

    Attributes:
        inputs: class indices int64 [batch] and, if the model mixes them, weights float32 [batch, classes].
        choices: the number of classes.
        classes: reads labels.
    """

    def __init__(self, inputs: Sequence[Input], model: str) -> None:
        """Take the inputs, the class indices first; `model` names the model in messages.

        Raises:
            ModelError: the inputs do not fit a class.
        """
        main, others = inputs[0], inputs[1:]
        names = tuple(main.facts.get("class_names", ()))
        right = main.dtype == "int64" and main.shape == () and len(others) <= 1
        if (
            not names
            or not right
            or any(_describe_form(each) != ("float32", (len(names),), True) for each in others)
        ):
            raise ModelError(
                f"model {model!r} has an input {main.name!r} that is no class: expected int64 [batch] with "
                "class names, and at most one optional input, float32 [batch, classes]; export it again"
            )
        self.inputs = tuple(inputs)
        self.choices = len(names)
        self.classes = ClassReader(names, model, mixes=bool(others))
        self._name = main.name
        self._weights = others[0].name if others else ""

    def encode(self, value: LabelSpec, count: int) -> Feed:
        """Return the feed of one label for all (arrays of length 1) or of `count` labels.

        Raises:
            LabelError: as `ClassReader.each`.
        """
        found = self.classes.each(value, count)
        if isinstance(found, int):
            return {self._name: np.array([found], np.int64)}
        assert found is not None
        return self._feed(found[None] if found.dtype == np.float32 and found.ndim == 1 else found)

    def default(self, seeds: npt.NDArray[np.uint64]) -> Feed:
        """Return the feed of the classes that seeds choose."""
        return {self._name: classes_of_seeds(seeds, self.choices)}

    def missing(self) -> GanError:
        """Return the error for latents, which cannot choose a class."""
        return LabelError(
            f"a latent names no class, and model {self.classes.model!r} needs one; give a label"
        )

    def check(self, value: Any, count: int, item: str = "latent") -> Feed:
        """Return the feed of a raw batch: class indices, one label for all, or weights.

        Raises:
            LabelError: as `ClassReader.check`.
        """
        labels = self.classes.check(value, count, f"one per {item}")
        assert labels is not None
        return self._feed(labels)

    def choice(self, numbers: npt.NDArray[np.int64]) -> Feed:
        """Return the feed of classes by their indices."""
        return {self._name: numbers}

    def blend(self, corners: Feed, legs: npt.NDArray[np.int64], rest: npt.NDArray[np.float64]) -> Feed:
        """Return the feed on a path between corners: class indices if the corners have the same class.

        Raises:
            LabelError: the corners differ and the model cannot mix labels.
        """
        plain = corners[self._name]
        if self._weights not in corners and (plain == plain[0]).all():
            return {self._name: np.full(len(legs), plain[0])}
        self.classes.need_mixing("labels that differ")
        weights = self.weights(corners).astype(np.float64)
        share = rest[:, None]
        blended = weights[legs] * (1.0 - share) + weights[(legs + 1) % len(weights)] * share
        return self._feed(blended.astype(np.float32))

    def describe(self, feed: Feed) -> tuple[str | dict[str, float], ...]:
        """Return, for each picture of a feed, its class name, or name -> weight of the weights over 0."""
        names = self.classes.names
        if self._weights not in feed:
            return tuple(names[index] for index in feed[self._name].tolist())
        return tuple(
            {name: weight for name, weight in zip(names, row, strict=True) if weight > 0}
            for row in feed[self._weights].tolist()
        )

    def weights(self, feed: Feed) -> Weights:
        """Return the weights of each class, float32 [n, classes]."""
        return self.classes.as_weights(feed[self._weights] if self._weights in feed else feed[self._name])

    def _feed(self, labels: Labels | Weights) -> Feed:
        if labels.ndim == 1:
            return {self._name: labels}
        return {self._name: np.zeros(len(labels), np.int64), self._weights: labels}


def _describe_form(spec: Input) -> tuple[str, tuple[Any, ...], bool]:
    return spec.dtype, spec.shape, spec.optional
