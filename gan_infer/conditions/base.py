"""Conditions: what a person asks a model for, and the arrays that the model gets for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.conditions.condition import Condition
from gan_infer.conditions.labels import LABEL, ClassCondition, ClassReader
from gan_infer.conditions.spec import CLASS, OF, check_sides
from gan_infer.errors import ModelError, OptionError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.names import Label
    from gan_infer.conditions.spec import Feed, Input

    # Condition name -> feed for one picture or for each. The seeds choose what is not there.
    Rows = Mapping[str, Feed]


# The other arguments of a model's methods: no condition can have one of these names.
RESERVED: Final = frozenset({
    "a", "amounts", "b", "batch_size", "best_of", "columns", "critic", "images", "labels", "latents", "mode",
    "n", "output", "pictures", "points", "psi", "rows", "scale", "seed", "seeds", "self", "steps",
    "value_range",
})  # fmt: skip

# Kind of input -> its condition, made from the inputs that belong together and the model's name.
KINDS: Final[dict[str, Callable[[Sequence[Input], str], Condition]]] = {
    CLASS: ClassCondition,
}


class Conditions:
    """All conditions of one model, by name.

    Attributes:
        each: name -> condition, in the order of the model's inputs.
    """

    def __init__(self, each: Mapping[str, Condition], model: str) -> None:
        """Hold the conditions; `model` names the model in messages."""
        self.each = dict(each)
        self.model = model
        self._checked = [
            spec
            for condition in each.values()
            for spec in condition.inputs
            if spec.shape or not isinstance(condition, ClassCondition)  # which checks its own
        ]

    @property
    def classes(self) -> ClassReader:
        """The classes of the model; none if it is unconditional."""
        found = self.each.get(LABEL)
        return found.classes if isinstance(found, ClassCondition) else ClassReader((), self.model)

    def know(self, names: Iterable[str]) -> None:
        """Check that the model has conditions of these names, or `label`, whose error the classes raise.

        Raises:
            OptionError: it has no such condition.
        """
        for name in names:
            if name not in self.each:
                self._refuse(name)

    def read(self, given: Mapping[str, Any], count: int) -> Rows:
        """Return the feeds of the values that a person gives for `count` pictures; None means not given.

        Raises:
            OptionError: the model has no such condition.
            GanError: as the condition's `encode`.
        """
        rows: dict[str, Feed] = {}
        for name, value in given.items():
            if value is None:
                continue
            if name not in self.each:
                self._refuse(name)
                self.classes.each(value, count)  # which no model without classes takes
            rows[name] = self._check(self.each[name].encode(value, count), 1, count)
        return rows

    def feed(self, rows: Rows, seeds: npt.NDArray[np.uint64], start: int = 0) -> Feed:
        """Return the feed of seeds, uint64 [n]; `start` is the first seed's index in the rows.

        Raises:
            OptionError: a condition chooses what the model does not take.
        """
        feed: Feed = {}
        for name, condition in self.each.items():
            own = rows.get(name)
            if own is None:
                feed |= self._check(condition.default(seeds), len(seeds))
            else:
                feed |= {key: _take(array, start, len(seeds)) for key, array in own.items()}
        return feed

    def need_all(self, rows: Rows) -> None:
        """Refuse rows that lack a condition, for pictures without seeds.

        Raises:
            GanError: as the condition's `missing`.
        """
        for name, condition in self.each.items():
            if name not in rows:
                raise condition.missing()

    def check(self, given: Mapping[str, Any], count: int, item: str = "latent") -> Feed:
        """Return the feed of a raw batch of `count` items; None means not given.

        Raises:
            OptionError: the model has no such condition.
            GanError: as the condition's `check`.
        """
        if not given.keys() <= self.each.keys():
            for name in [name for name in given if name not in self.each and given[name] is not None]:
                self._refuse(name)
                self.classes.check(given[name], count)
        feed: Feed = {}
        for name, condition in self.each.items():
            feed |= condition.check(given.get(name), count, item)
        return self._check(feed, count)

    def blend(self, corners: Feed, legs: npt.NDArray[np.int64], rest: npt.NDArray[np.float64]) -> Feed:
        """Return the feed of each step on a path between corners; see `Condition.blend`.

        Raises:
            GanError: a condition has no values between those of the corners.
        """
        feed: Feed = {}
        for condition in self.each.values():
            feed |= condition.blend(_own(condition, corners), legs, rest)
        return self._check(feed, len(legs))

    def describe(self, feed: Feed) -> dict[str, tuple[Any, ...]]:
        """Return condition name -> its values in a feed, one per picture."""
        return {name: condition.describe(_own(condition, feed)) for name, condition in self.each.items()}

    def class_weights(self, feed: Feed) -> npt.NDArray[np.float32] | None:
        """Return the weights of the model's classes, float32 [n, classes]; None if it has no classes."""
        found = self.each.get(LABEL)
        return found.weights(_own(found, feed)) if isinstance(found, ClassCondition) else None

    def to_list(self, given: Mapping[str, Any]) -> tuple[str, int]:
        """Return name and choices of the first condition that is not given and can be listed; else "", 0."""
        for name, condition in self.each.items():
            if condition.choices and given.get(name) is None:
                return name, condition.choices
        return "", 0

    def _refuse(self, name: str) -> None:
        """Refuse a name, except `label`: the error of the classes says more."""
        if name == LABEL:
            return
        known = f"give one of: {', '.join(self.each)}" if self.each else "leave it out"
        raise OptionError(f"{name!r} was given, and model {self.model!r} takes no such condition; {known}")

    def _check(self, feed: Feed, *counts: int) -> Feed:
        """Return a feed whose arrays fit the inputs and have one of these lengths; refuse others.

        Whatever a condition makes of values, nothing outside the bounds that the file states is run.
        """
        for spec in self._checked:
            if (array := feed.get(spec.name)) is None:
                continue
            check_sides(spec, array)
            if len(array) not in counts:
                raise OptionError(
                    f"{spec.name} of {len(array)} values was given; expected {counts[-1]}; give one for each"
                )
        return feed


class WithClasses:
    """What models with and without classes share."""

    _classes: ClassReader

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their indices; empty for an unconditional model."""
        return self._classes.names

    @property
    def conditional(self) -> bool:
        """True if the model takes a label."""
        return bool(self._classes.names)

    def label_index(self, label: Label) -> int:
        """Return the index of the class that a label names, by the rule of `names.Names`.

        A text that is the name of a class means that class. A number, or a text of digits, is an index; it is
        refused if it is also the name of another class. "index:1" and "name:1" say which is meant.

        Raises:
            LabelError: there is no such class, a number could mean two, or the model is unconditional.
        """
        return self._classes.index(label)


def of_inputs(inputs: Sequence[Input], own: str, model: str) -> Conditions:
    """Return the conditions of a model's inputs.

    An input with the fact `of` belongs to the condition of the input that the fact names.

    Args:
        own: the kind of the main input, which is no condition.
        model: the model's name, for messages.

    Raises:
        ModelError: an input has a kind that this version does not know, belongs to no other input, or does
            not fit its kind.
    """
    groups: dict[str, list[Input]] = {}
    for spec in inputs:
        if spec.kind == own:
            continue
        if spec.kind not in KINDS:
            raise ModelError(
                f"model {model!r} takes an input {spec.name!r} of kind {spec.kind!r}, which this ganforge "
                f"does not know (it knows {', '.join(KINDS)}); update it with: pip install --upgrade ganforge"
            )
        if spec.name in RESERVED:
            raise ModelError(
                f"model {model!r} takes an input {spec.name!r}, by which no condition can be given; "
                "export it again under another name"
            )
        if OF not in spec.facts:
            groups[spec.name] = [spec]
    for spec in inputs:
        if OF in spec.facts:
            main = groups.get(str(spec.facts[OF]))
            if main is None or main[0].kind != spec.kind:
                raise ModelError(
                    f"model {model!r} has an input {spec.name!r} that belongs to no other; export it again"
                )
            main.append(spec)
    return Conditions({name: _make(specs, model) for name, specs in groups.items()}, model)


def _make(specs: Sequence[Input], model: str) -> Condition:
    """Make the condition of inputs; its facts come from the file, and need not be what the kind needs."""
    try:
        return KINDS[specs[0].kind](specs, model)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"model {model!r} has an input {specs[0].name!r} without the facts that its kind "
            f"{specs[0].kind!r} needs ({abridge(error)}); export it again"
        ) from None


def _own(condition: Condition, feed: Feed) -> Feed:
    return {spec.name: feed[spec.name] for spec in condition.inputs if spec.name in feed}


def _take(array: npt.NDArray[Any], start: int, count: int) -> npt.NDArray[Any]:
    return np.repeat(array, count, axis=0) if len(array) == 1 else array[start : start + count]
