"""Decides about an alarm: a run goes back to a good state, or gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from gan_infer.errors import TrainingError
from gan_train import seeding
from gan_train.tasks import Task, state
from gan_train.tasks.base import Players
from gan_train.training import watchdog
from gan_train.training.watchdog import Alarm

# What to try after an alarm of a kind, as options of `gan-train fit`.
ADVICE: Final = {
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


def find_alarm(
    task: Task,
    means: Mapping[str, float],
    values: Mapping[str, float],
    before: Sequence[Mapping[str, float]],
    broken: str | None,
) -> Alarm | None:
    """Return what is wrong at a report, None if nothing is.

    Args:
        means: means of the figures, since the line of the log before.
        values: measured values, by name.
        before: the values of the reports before, oldest first.
        broken: the network with a weight that is not finite, None if there is none.
    """
    if broken is not None:
        return Alarm("diverged", f"a weight of the {broken} is no longer finite", at_once=True)
    return watchdog.check(task.figures, means, values, before, task.teaches_when_sure)


def is_due(alarm: Alarm | None, strikes: int) -> bool:
    """Return whether a run goes back now, after `strikes` reports in a row with an alarm."""
    return alarm is not None and (alarm.at_once or strikes + 1 >= watchdog.STRIKES)


def check_allowed(alarm: Alarm, rollbacks: int, most: int) -> None:
    """Refuse another rollback if the run has used up all of them.

    Raises:
        TrainingError: no rollback is left.
    """
    if rollbacks >= most:
        raise TrainingError(
            f"{alarm.text}; rollbacks so far: {rollbacks}, as many as are allowed; "
            f"try {ADVICE[alarm.kind]}, in another --out"
        )


def begin_again(task: Task, players: Players, seed: int, rollbacks: int, device: torch.device) -> None:
    """Set networks and optimizers to fresh ones, other than those of the start before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(seed, "weights", rollbacks))
        fresh = task.make_players(device)
    state.put_back(players, state.tensors(fresh))


def describe(alarm: Alarm, images_seen: int, rollbacks: int, most: int) -> str:
    """Return the line that says to where a run goes back, and why."""
    return (
        f"{alarm.text}; going back to {images_seen:,} images with half the learning rate "
        f"(rollback {rollbacks} of {most})"
    )
