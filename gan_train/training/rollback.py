"""What is done about an alarm: a run goes back to when all was well, or gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from gan_infer.errors import TrainingError
from gan_train import seeding
from gan_train.tasks import Task, state
from gan_train.tasks.base import Players
from gan_train.training import watchdog
from gan_train.training.watchdog import Alarm


def find_alarm(
    task: Task,
    means: Mapping[str, float],
    values: Mapping[str, float],
    before: Sequence[Mapping[str, float]],
    broken: str | None,
) -> Alarm | None:
    """Return what is wrong at a report, None where all is well.

    Args:
        means: of the figures, since the line of the log before.
        values: what was measured, by name.
        before: the same of the reports before, oldest first.
        broken: the network with a weight that is not finite, None where there is none.
    """
    if broken is not None:
        return Alarm("diverged", f"a weight of the {broken} is no longer finite", at_once=True)
    return watchdog.check(task.figures, means, values, before, task.teaches_when_sure)


def is_due(alarm: Alarm | None, strikes: int) -> bool:
    """Return whether a run goes back now, after so many reports in a row with an alarm."""
    return alarm is not None and (alarm.at_once or strikes + 1 >= watchdog.STRIKES)


def check_allowed(alarm: Alarm, rollbacks: int, most: int) -> None:
    """Refuse to go back once more.

    Raises:
        TrainingError: the run has gone back as often as it may.
    """
    if rollbacks >= most:
        raise TrainingError(
            f"{alarm.text}; rollbacks so far: {rollbacks}, as many as are allowed; "
            f"try {watchdog.WHAT_TO_TRY[alarm.kind]}, in another --out"
        )


def begin_anew(task: Task, players: Players, seed: int, rollbacks: int, device: torch.device) -> None:
    """Set players to fresh ones, other than those of the start before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(seed, "weights", rollbacks))
        fresh = task.make_players(device)
    state.put_back(players, state.tensors(fresh))


def describe(alarm: Alarm, images_seen: int, rollbacks: int, most: int) -> str:
    """Say that a run goes back to so many images, and why."""
    return (
        f"{alarm.text}; going back to {images_seen:,} images with half the learning rate "
        f"(rollback {rollbacks} of {most})"
    )
