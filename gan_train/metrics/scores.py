"""What the scores are called and how they read: a table for people; it computes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final


@dataclasses.dataclass(frozen=True)
class Meaning:
    """A score's title, which way is better ("lower", "higher" or "as real"), and its format."""

    title: str
    better: str
    form: str


MEANINGS: Final = {
    "frechet": Meaning("Frechet distance", "lower", ".3f"),
    "intra_class_frechet": Meaning("Frechet distance within classes", "lower", ".3f"),
    "kernel": Meaning("kernel distance", "lower", ".5f"),
    "kernel_spread": Meaning("its spread over subsets", "", ".5f"),
    "precision": Meaning("precision", "higher", ".3f"),
    "recall": Meaning("recall", "higher", ".3f"),
    "density": Meaning("density", "higher", ".3f"),
    "coverage": Meaning("coverage", "higher", ".3f"),
    "label_accuracy": Meaning("label accuracy", "higher", ".2%"),
    "variety": Meaning("variety", "as real", ".3f"),
    "memorised": Meaning("near copies, by features", "about 1 %", ".2%"),
    "memorised_pixels": Meaning("near copies, by pixels", "about 1 %", ".2%"),
}


def table(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return lines of a table: a row a score, a column a set of values, and which way is better."""
    lines = [f"{'':<34}" + "".join(f"{title:>16}" for title in columns) + "  better"]
    for name, meaning in MEANINGS.items():
        cells = [format(values[name], meaning.form) if name in values else "-" for values in columns.values()]
        if any(cell != "-" for cell in cells):
            lines.append(
                f"{meaning.title:<34}{''.join(f'{cell:>16}' for cell in cells)}  {meaning.better}".rstrip()
            )
    return lines
