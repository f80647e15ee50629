"""What a task says of each step: figures by name, from which log, panel, report and trackers are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

# Kinds: those of one kind share a chart.
LOSS: Final = "loss"
SCORE: Final = "score"
SHARE: Final = "share"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number of each step.

    Attributes:
        name: its key in log.jsonl, and the field of a step's outcome.
        title: what it is, for people: "discriminator", "real pictures".
        kind: LOSS; SCORE, how real a discriminator holds pictures, 0 to 1; SHARE, 0 to 1.
        network: the network whose loss or score it is: "discriminator".
        of_real: of a score: whether the pictures are real ones or generated ones.
    """

    name: str
    title: str
    kind: str
    network: str = ""
    of_real: bool | None = None


def of_kind(figures: Sequence[Figure], kind: str) -> list[Figure]:
    """Return the figures of a kind, in their order."""
    return [figure for figure in figures if figure.kind == kind]


def by_network(figures: Sequence[Figure], kind: str) -> dict[str, list[Figure]]:
    """Return the figures of a kind by their network, in their order."""
    groups: dict[str, list[Figure]] = {}
    for figure in of_kind(figures, kind):
        groups.setdefault(figure.network, []).append(figure)
    return groups
