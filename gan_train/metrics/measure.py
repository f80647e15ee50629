"""Measure and Metric: the numbers that say how good samples are, and how to compute and show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from gan_train.data.columns import CLASS, IMAGE
from gan_train.metrics.split import part

Features = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]
_T = TypeVar("_T")

LOW: Final = "low"
HIGH: Final = "high"
# Limits of a chart of shares.
SHARE: Final = (0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Measure:
    """One measured number, for people.

    Attributes:
        name: its key in metrics.jsonl.
        title: its name for people: "Frechet distance".
        form: its `format` in a table: ".3f".
        best: LOW or HIGH; "" if neither is.
        aim: the best value if neither is: "as real".
        limits: of its chart; None lets the values decide.
        chart: title of its chart, which several measures may share; "" for none.
        curve: its name beside others of the chart: "precision".
        steep: whether its curve falls so far that the chart is logarithmic (if all values are over 0).
        brief: its `format` where there is little room, as in the line of a run; "" leaves it out
            there.
    """

    name: str
    title: str
    form: str
    best: str = ""
    aim: str = ""
    limits: tuple[float, float] | None = None
    chart: str = ""
    curve: str = "samples"
    steep: bool = False
    brief: str = ""

    @property
    def better(self) -> str:
        """Which values are better: "lower", "higher", or the aim."""
        return {LOW: "lower", HIGH: "higher"}.get(self.best, self.aim)

    def short(self, value: float) -> str:
        """Return the value with its title in short form: "Frechet distance 12.3"."""
        return f"{self.title} {format(value, self.brief)}"


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """The features of pictures.

    Attributes:
        features: float32 [n, d].
        classes: of the pictures, int64 [n]; None if they have none.
        predicted: the classes that a classifier gives them, int64 [n]; None without a classifier.
    """

    features: Features
    classes: Classes | None
    predicted: Classes | None = None

    def part(self, most: int) -> FeatureSet:
        """Return at most `most` of them, every class in proportion."""
        own = part(np.arange(len(self.features)), self.classes, most)

        def take(values: Classes | None) -> Classes | None:
            return None if values is None else values[own]

        return FeatureSet(self.features[own], take(self.classes), take(self.predicted))


@dataclasses.dataclass(frozen=True)
class Reference:
    """The real pictures that samples are compared with.

    Attributes:
        seen: features of the pictures that represent the data.
        columns: kinds of the columns of the data.
        full: whether to compute costly metrics, and the others with care.
        seed: for random draws.
        held, rest: the features of all held-out pictures and of all others, by the network; computed
            when first called.
        held_pixels, rest_pixels: the same by pixels.
    """

    seen: FeatureSet
    columns: frozenset[str]
    full: bool
    seed: int
    held: Callable[[], Features]
    rest: Callable[[], Features]
    held_pixels: Callable[[], Features]
    rest_pixels: Callable[[], Features]
    _kept: dict[Hashable, Any] = dataclasses.field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return the result of `make`, computed once per key."""
        if key not in self._kept:
            self._kept[key] = make()
        found: _T = self._kept[key]
        return found


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Samples together with the data.

    Attributes:
        samples: their features.
        reference: the data that they are compared with.
        pictures: the samples themselves, uint8 [n, height, width, channels], for metrics `of_samples`;
            None for others.
    """

    samples: FeatureSet
    reference: Reference
    pictures: npt.NDArray[np.uint8] | None = None

    @property
    def count(self) -> int:
        """The number of samples that can be compared with as many of the reference."""
        return min(len(self.samples.features), len(self.reference.seen.features))

    @property
    def columns(self) -> frozenset[str]:
        """Kinds of columns that both sides have."""
        own = {IMAGE} if self.samples.classes is None else {IMAGE, CLASS}
        return self.reference.columns & own


@dataclasses.dataclass(frozen=True)
class Metric:
    """One computation, and the measures that it gives.

    Attributes:
        measures: its results, in the order of reports.
        compute: a comparison -> values by the measures' names, without those that it cannot compute.
        needs: kinds of columns that both sides must have.
        costly: whether only `gan-train evaluate` computes it, since training would wait for it.
        of_samples: whether it applies to generated pictures only, not to held-out ones.
        protocol: (samples, pictures of the reference, full) -> what the values depend on, in words.
        protocol_name: the key of that text.
    """

    measures: tuple[Measure, ...]
    compute: Callable[[Comparison], Mapping[str, float]]
    needs: frozenset[str] = frozenset((IMAGE,))
    costly: bool = False
    of_samples: bool = False
    protocol: Callable[[int, int, bool], str] | None = None
    protocol_name: str = ""
