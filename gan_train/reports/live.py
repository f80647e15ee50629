"""A run on the screen: a live panel on a terminal, a line now and then elsewhere; all on stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gan_infer.text.escaping import plain
from gan_train.reports.status import Status

_LINE_EVERY_S: Final = 20.0


class Screen:
    """Shows a run. Use it as a context."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._last_line = 0.0
        self._sheet: Path | None = None
        self._newest = self._best = ""

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def note(self, text: str) -> None:
        """Show a line that stays."""
        self._console.print(plain(text), markup=False, soft_wrap=True)

    def status(self, status: Status) -> None:
        """Show how the run stands."""
        if self._live:
            self._live.update(self._panel(status), refresh=True)
        elif time.monotonic() - self._last_line > _LINE_EVERY_S or status.progress >= 1.0:
            self._last_line = time.monotonic()
            self.note(line(status))

    def sheet(self, path: Path) -> None:
        """Say where the newest sample sheet is."""
        self._sheet = path

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Show what was measured: on a terminal the newest and the best, elsewhere a line each."""
        self._newest = measured(values)
        if best:
            self._best = f"{self._newest}, at {images_seen:,} images"
        if not self._live:
            self.note(f"{images_seen:>11,} images  {self._newest}{', the best so far' if best else ''}")

    def event(self, kind: str, text: str) -> None:
        """Show what happened besides."""
        self.note(f"{kind}: {text}")

    def stop_asked(self) -> bool:
        """Never ask for a stop: signals do, see `interruption`."""
        return False

    def _panel(self, status: Status) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_row("images seen", f"{status.images_seen:,}", f"{status.images_per_second:,.0f} a second")
        table.add_row("time left", duration(status.seconds_left), f"{status.progress:.0%} of the run")
        table.add_row("losses", f"D {status.discriminator_loss:.3f}", f"G {status.generator_loss:.3f}")
        for name, belief in (("real", status.belief_in_real), ("generated", status.belief_in_fake)):
            bar = ProgressBar(total=1.0, completed=belief, width=24, pulse=False)
            table.add_row(f"D believes {name}", f"{belief:.2f}", bar)
        if 0 < status.augment_strength < 1:
            table.add_row("augmentation", f"{status.augment_strength:.2f}", "of the pictures")
        body = self._with_notes(table)
        return Panel(body, title=Text(plain(self._title)), subtitle="Ctrl-C saves and stops", expand=False)

    def _with_notes(self, table: Table) -> Group:
        """Put the lines that need the whole width below the table."""
        notes = Table.grid(padding=(0, 2))
        if self._newest:
            notes.add_row("measured", self._newest)
        if self._best:
            notes.add_row("best", self._best)
        if self._sheet is not None:
            notes.add_row("newest sheet", str(self._sheet))
        return Group(table, notes)


def measured(values: Mapping[str, float]) -> str:
    """Return what matters most of what was measured, in a line."""
    parts = [f"Frechet distance {values['frechet']:.4g}"] if "frechet" in values else []
    if "label_accuracy" in values:
        parts.append(f"label accuracy {values['label_accuracy']:.1%}")
    parts += [f"{name} {values[name]:.2f}" for name in ("precision", "coverage") if name in values]
    return ", ".join(parts)


def line(status: Status) -> str:
    """Return how a run stands in one line."""
    return (
        f"{status.images_seen:>11,} images  {status.images_per_second:6,.0f}/s  "
        f"D {status.discriminator_loss:.3f}  G {status.generator_loss:.3f}  "
        f"D believes real {status.belief_in_real:.2f}, generated {status.belief_in_fake:.2f}  "
        f"{duration(status.seconds_left)} left"
    )


def duration(seconds: float) -> str:
    """Write seconds as people do: 4:05, or 1:04:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
