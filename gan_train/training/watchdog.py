"""Tells when a run has gone wrong: rules over what was measured; it changes nothing itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final

# A rule must hold at so many reports in a row before the run is turned back.
STRIKES: Final = 2
_WON: Final = 0.99
# No loss of a game that still goes on is this large; Wasserstein's, of free scale, stays far below.
_RUNAWAY: Final = 1e5
_ALIKE: Final = 0.25
_FALLEN: Final = 0.5
_WORTH_LOSING: Final = 0.2


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What is wrong.

    Attributes:
        kind: "diverged", "stuck", "won" or "collapse".
        text: for people, with figures.
        at_once: True where nothing is to be hoped from waiting for the next report.
    """

    kind: str
    text: str
    at_once: bool = False


WHAT_TO_TRY: Final = {
    "diverged": "a lower --learning-rate, or --precision fp32",
    "stuck": "a lower --learning-rate, or a smaller --set loss.r1_gamma",
    "won": (
        "a larger --set loss.r1_gamma, a narrower network, or --preset few, "
        "which keeps few pictures from being learnt by heart"
    ),
    "collapse": (
        "--preset relativistic, which covers varied data better, a larger --set loss.r1_gamma, "
        "a larger --batch-size, or a lower --learning-rate"
    ),
}


def check(
    means: Mapping[str, float],
    values: Mapping[str, float],
    before: Sequence[Mapping[str, float]],
    teaches_when_sure: bool = False,
) -> Alarm | None:
    """Judge one report.

    Args:
        means: losses and beliefs, means since the report before.
        values: what was measured now (see `gan_train.metrics`), {} where nothing was.
        before: the same of the reports before, oldest first.
        teaches_when_sure: the loss is of a kind that a discriminator cannot win, see `losses.Loss`.
    """
    for name, value in {**means, **values}.items():
        if not math.isfinite(value):
            return Alarm("diverged", f"the {name.replace('_', ' ')} became {value}", at_once=True)
    for name in ("discriminator_loss", "generator_loss"):
        if abs(means.get(name, 0.0)) > _RUNAWAY:
            return Alarm("diverged", f"the {name.replace('_', ' ')} ran away to {means[name]:.3g}", True)
    alarm = _stuck(values, before) or _collapse(values, before)
    return alarm if alarm or teaches_when_sure else _won(means, values, before)


def _stuck(values: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> Alarm | None:
    """Samples that are measured the same to the last digits do not change any more."""
    if not before or "frechet" not in values or "frechet" not in before[-1]:
        return None
    if abs(values["frechet"] - before[-1]["frechet"]) > 1e-6 * abs(values["frechet"]):
        return None
    return Alarm("stuck", f"samples no longer change: their distance stays at {values['frechet']:.3f}")


def _collapse(values: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> Alarm | None:
    """Samples alike, or coverage lost, where it had been better."""
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


def _won(
    means: Mapping[str, float], values: Mapping[str, float], before: Sequence[Mapping[str, float]]
) -> Alarm | None:
    """A discriminator that is never wrong teaches nothing, unless the samples still get better."""
    real, fake = means.get("belief_in_real", 0.5), means.get("belief_in_fake", 0.5)
    distances = [line["frechet"] for line in before if "frechet" in line]
    improving = bool(distances) and values.get("frechet", math.inf) < 0.98 * min(distances)
    if real > _WON and fake < 1 - _WON and not improving:
        return Alarm(
            "won",
            f"the discriminator has won: it holds real pictures for real by {real:.3f}, "
            f"generated ones by {fake:.3f}",
        )
    return None
