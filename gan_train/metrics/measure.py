"""Measure and Metric: numbers that say how good samples are, how people read them, how they are computed."""

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
        title: what it is: "Frechet distance".
        form: how `format` writes it in a table: ".3f".
        best: LOW or HIGH; "" where neither is.
        aim: what is best where neither is: "as real".
        limits: of its chart; None where the values decide.
        chart: title of its chart, which measures of one chart share; "" for none.
        curve: its name beside others of the chart: "precision".
        steep: whether its curve falls so far that the chart is logarithmic (where all values are over 0).
        brief: how `format` writes it where there is little room, as in the line of a run; "" leaves it
            out there.
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
        """Return the value with its title, where there is little room: "Frechet distance 12.3"."""
        return f"{self.title} {format(value, self.brief)}"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a feature network made of pictures.

    Attributes:
        features: float32 [n, d].
        classes: of the pictures, int64 [n]; None where they have none.
        predicted: what a classifier takes them for, int64 [n]; None where none was asked.
    """

    features: Features
    classes: Classes | None
    predicted: Classes | None = None

    def part(self, most: int) -> Seen:
        """Return at most so many of them, every class in proportion."""
        own = part(np.arange(len(self.features)), self.classes, most)

        def taken(values: Classes | None) -> Classes | None:
            return None if values is None else values[own]

        return Seen(self.features[own], taken(self.classes), taken(self.predicted))


@dataclasses.dataclass(frozen=True)
class Reference:
    """What samples are compared with.

    Attributes:
        seen: the pictures of the data that stand for it.
        columns: kinds of the columns of the data.
        full: whether costly metrics are wanted, and careful ones of the others.
        seed: of what is drawn at random.
        held, rest: the features of all held-out pictures and of all others, by the network; looked at
            when first called.
        held_pixels, rest_pixels: the same by pixels.
    """

    seen: Seen
    columns: frozenset[str]
    full: bool
    seed: int
    held: Callable[[], Features]
    rest: Callable[[], Features]
    held_pixels: Callable[[], Features]
    rest_pixels: Callable[[], Features]
    _kept: dict[Hashable, Any] = dataclasses.field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what `make` gives, made once for a key."""
        if key not in self._kept:
            self._kept[key] = make()
        found: _T = self._kept[key]
        return found


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Samples beside the data.

    Attributes:
        samples: what the network made of them.
        reference: what they are compared with.
        pictures: the samples themselves, uint8 [n, height, width, channels], for metrics `of_samples`;
            None for others.
    """

    samples: Seen
    reference: Reference
    pictures: npt.NDArray[np.uint8] | None = None

    @property
    def count(self) -> int:
        """How many samples can be compared with as many of the reference."""
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
        measures: what people read of it, in the order of reports.
        compute: a comparison to values by the measures' names; those that it cannot take are left out.
        needs: kinds of columns that both sides must have.
        costly: whether it is left to `gan-train evaluate`, since training would wait for it.
        of_samples: whether it says something of generated pictures alone, not of held-out ones.
        protocol: for so many samples and so many pictures of the reference, with costly metrics or not:
            what the values depend on, in words.
        protocol_name: what that is called.
    """

    measures: tuple[Measure, ...]
    compute: Callable[[Comparison], Mapping[str, float]]
    needs: frozenset[str] = frozenset((IMAGE,))
    costly: bool = False
    of_samples: bool = False
    protocol: Callable[[int, int, bool], str] | None = None
    protocol_name: str = ""
