"""Detects that a run has gone wrong, by rules over its figures and measurements."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final

from gan_train.metrics.scores import LEADING
from gan_train.tasks.figures import LOSS, SCORE, Figure, by_network, of_kind

# A rule must hold at this many reports in a row before the run goes back.
STRIKES: Final = 2
_WON: Final = 0.99
# No loss of a run that still learns is this large; Wasserstein's, of free scale, stays far below.
_RUNAWAY: Final = 1e5
_ALIKE: Final = 0.25
_FALLEN: Final = 0.5
_WORTH_LOSING: Final = 0.2
# Samples improve if their distance is below this share of the best before.
_BETTER: Final = 0.98


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What is wrong.

    Attributes:
        kind: "diverged", "stuck", "won" or "collapse".
        text: for people, with numbers.
        at_once: True if waiting for the next report cannot help.
    """

    kind: str
    text: str
    at_once: bool = False


def check(
    figures: Sequence[Figure],
    means: Mapping[str, float],
    values: Mapping[str, float],
    before: Sequence[Mapping[str, float]],
    teaches_when_sure: bool = False,
) -> Alarm | None:
    """Return what is wrong at a report, None if nothing is.

    Args:
        figures: the task's figures.
        means: their means by name, since the report before.
        values: measured now (see `gan_train.metrics.scores`), {} if nothing was.
        before: the values of the reports before, oldest first.
        teaches_when_sure: the loss is of a kind that a discriminator cannot win, see `loss.Loss`.
    """
    for name, value in {**means, **values}.items():
        if not math.isfinite(value):
            return Alarm("diverged", f"the {_spell(name)} became {value}", at_once=True)
    for name in (figure.name for figure in of_kind(figures, LOSS)):
        if abs(means.get(name, 0.0)) > _RUNAWAY:
            return Alarm("diverged", f"the {_spell(name)} ran away to {means[name]:.3g}", at_once=True)
    alarm = _find_stuck(values, before) or _find_collapse(values, before)
    return alarm if alarm or teaches_when_sure else _find_won(figures, means, values, before)


def _find_stuck(values: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> Alarm | None:
    """Find samples that no longer change: their score is the same to the last digits."""
    name = LEADING.name
    if not before or name not in values or name not in before[-1]:
        return None
    if abs(values[name] - before[-1][name]) > 1e-6 * abs(values[name]):
        return None
    return Alarm("stuck", f"samples no longer change: their {LEADING.title} stays at {values[name]:.3f}")


def _find_collapse(values: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> Alarm | None:
    """Find samples that have become alike, or coverage that was lost."""
    variety = values.get("variety")
    best = max((line.get("variety", 0.0) for line in before), default=0.0)
    if variety is not None and variety < _ALIKE and best > 2 * variety:
        return Alarm(
            "collapse",
            f"samples have become alike: their variety is {variety:.2f} of the real pictures', "
            f"it had been {best:.2f}",
        )
    coverage = values.get("coverage")
    best = max((line.get("coverage", 0.0) for line in before), default=0.0)
    if coverage is not None and best > _WORTH_LOSING and coverage < _FALLEN * best:
        return Alarm("collapse", f"coverage of the real pictures fell from {best:.2f} to {coverage:.2f}")
    return None


def _find_won(
    figures: Sequence[Figure],
    means: Mapping[str, float],
    values: Mapping[str, float],
    before: Sequence[Mapping[str, float]],
) -> Alarm | None:
    """Find a discriminator that is never wrong, while the samples no longer improve."""
    if _improves(values, before):
        return None
    for network, own in by_network(figures, SCORE).items():
        real = [means[figure.name] for figure in own if figure.of_real and figure.name in means]
        fake = [means[figure.name] for figure in own if figure.of_real is False and figure.name in means]
        if real and fake and min(real) > _WON and max(fake) < 1 - _WON:
            return Alarm(
                "won",
                f"the {_spell(network)} has won: it gives real pictures a score of {min(real):.3f}, "
                f"generated ones one of {max(fake):.3f}",
            )
    return None


def _improves(values: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> bool:
    distances = [line[LEADING.name] for line in before if LEADING.name in line]
    return bool(distances) and values.get(LEADING.name, math.inf) < _BETTER * min(distances)


def _spell(name: str) -> str:
    return name.replace("_", " ")
