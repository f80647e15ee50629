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


def table(values: Mapping[str, float], real: Mapping[str, float]) -> list[str]:
    """Give lines of a table: each score, of the samples and of held-out real pictures, what is better."""
    lines = [f"{'':<34}{'samples':>12}{'real':>12}  better"]
    for name, meaning in MEANINGS.items():
        if name in values:
            own = format(values[name], meaning.form)
            other = format(real[name], meaning.form) if name in real else "-"
            lines.append(f"{meaning.title:<34}{own:>12}{other:>12}  {meaning.better}".rstrip())
    return lines
