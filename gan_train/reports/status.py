"""What a run says of itself while it goes, and to whom; nothing of how it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Status:
    """How a run stands. Losses and beliefs are means since the last status."""

    images_seen: int
    progress: float
    seconds: float
    images_per_second: float
    seconds_left: float
    learning_rate: float
    generator_loss: float
    discriminator_loss: float
    belief_in_real: float
    belief_in_fake: float
    augment_strength: float = 0.0


class Watcher(Protocol):
    """What a run tells, and whom it asks whether to go on."""

    def note(self, text: str) -> None:
        """Take a line of text about the run."""

    def status(self, status: Status) -> None:
        """Take how the run stands, every few seconds at most."""

    def sheet(self, path: Path) -> None:
        """Take the path of a new sample sheet."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Take what was measured, and whether it is the best so far."""

    def event(self, kind: str, text: str) -> None:
        """Take what happened besides: "warning", "rollback"."""

    def stop_asked(self) -> bool:
        """Return whether to save and stop now; asked before every step."""
        ...


class Quiet:
    """A Watcher that says nothing: of several processes that share a run, one speaks."""

    def __init__(self) -> None:
        self.stopping = False

    def note(self, text: str) -> None:
        """Say nothing."""

    def status(self, status: Status) -> None:
        """Say nothing."""

    def sheet(self, path: Path) -> None:
        """Say nothing."""

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Say nothing."""

    def event(self, kind: str, text: str) -> None:
        """Say nothing."""

    def stop_asked(self) -> bool:
        """Return whether the run is to save and stop."""
        return self.stopping
