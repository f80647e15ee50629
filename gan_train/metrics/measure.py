"""Measure: one number that says how good samples are, and how people read it."""

from __future__ import annotations

import dataclasses
from typing import Final

from gan_train.data.columns import CLASS, IMAGE

LOW: Final = "low"
HIGH: Final = "high"
OF_IMAGES: Final = (IMAGE,)
OF_CLASSES: Final = (IMAGE, CLASS)


@dataclasses.dataclass(frozen=True)
class Measure:
    """One measured number.

    Attributes:
        name: its key in metrics.jsonl.
        title: what it is, for people: "Frechet distance".
        form: how `format` writes it in a table: ".3f".
        best: LOW or HIGH; "" where neither is.
        aim: what is best where neither is: "as real".
        limits: of its chart; None where the values decide.
        chart: title of its chart, which measures of one chart share; "" for none.
        curve: its name beside others of the chart: "precision".
        steep: whether its curve falls so far that the chart is logarithmic (where all values are over 0).
        brief: how `format` writes it where there is little room, as in the line of a run; "" leaves it
            out there.
        needs: kinds of columns that the data must have for it.
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
    needs: tuple[str, ...] = OF_IMAGES

    @property
    def better(self) -> str:
        """Which values are better, for people: "lower", "higher", or the aim."""
        return {LOW: "lower", HIGH: "higher"}.get(self.best, self.aim)

    def short(self, value: float) -> str:
        """Return the value with its title, where there is little room: "Frechet distance 12.3"."""
        return f"{self.title} {format(value, self.brief)}"
