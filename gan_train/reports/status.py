"""Status and Watcher: what a run reports while it trains, and what receives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Status:
    """The status of a run.

    Attributes:
        progress: the fraction of the run that is done, 0 to 1.
        seconds: of training, over all sessions.
        figures: means since the last status, by the names of the task's figures.
    """

    images_seen: int
    progress: float
    seconds: float
    images_per_second: float
    seconds_left: float
    learning_rate: float
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Watcher(Protocol):
    """Receives what a run reports, and may ask it to stop."""

    def note(self, text: str) -> None:
        """Take a line of text about the run."""

    def status(self, status: Status) -> None:
        """Take the status, every few seconds at most."""

    def sheet(self, path: Path) -> None:
        """Take the path of a new sample sheet."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Take the scores, and whether they are the best so far."""

    def event(self, kind: str, text: str) -> None:
        """Take an event: a kind ("warning", "rollback") and what happened."""

    def stop_asked(self) -> bool:
        """Return whether to save and stop now; called before every step."""
        ...


class Quiet:
    """A Watcher that shows nothing: of several processes that share a run, one shows it."""

    def __init__(self) -> None:
        self.stopping = False

    def note(self, text: str) -> None:
        """Show nothing."""

    def status(self, status: Status) -> None:
        """Show nothing."""

    def sheet(self, path: Path) -> None:
        """Show nothing."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Show nothing."""

    def event(self, kind: str, text: str) -> None:
        """Show nothing."""

    def stop_asked(self) -> bool:
        """Return whether to save and stop now."""
        return self.stopping
