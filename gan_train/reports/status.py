"""Status and Watcher: what a run tells while it goes, and who takes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Status:
    """How a run stands.

    Attributes:
        progress: the fraction of the run that is done, 0 to 1.
        seconds: of training, over all its sittings.
        figures: by the names of the task's figures; means since the last status.
    """

    images_seen: int
    progress: float
    seconds: float
    images_per_second: float
    seconds_left: float
    learning_rate: float
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Watcher(Protocol):
    """Takes what a run tells, and says whether it is to go on."""

    def note(self, text: str) -> None:
        """Take a line of text about the run."""

    def status(self, status: Status) -> None:
        """Take how the run stands, every few seconds at most."""

    def sheet(self, path: Path) -> None:
        """Take the path of a new sample sheet."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Take what was measured, and whether it is the best so far."""

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
        """Return whether the run is to save and stop."""
        return self.stopping
