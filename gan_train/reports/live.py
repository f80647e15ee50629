"""Screen: shows a run on stderr, as a live panel on a terminal and as single lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from gan_train.metrics.scores import MEASURES
from gan_train.reports.status import Status
from gan_train.tasks.figures import LOSS, SCORE, SHARE, Figure, by_network, of_kind

_LINE_EVERY_S: Final = 20.0


class Screen:
    """Shows a run. Use it as a context."""

    def __init__(self, title: str, figures: Sequence[Figure]) -> None:
        """Show a run under a title, with the figures of its task."""
        self._title, self._figures = title, figures
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
        """Show the status of the run."""
        if self._live:
            panel = format_panel(self._title, status, self._figures, self._notes())
            self._live.update(panel, refresh=True)
        elif time.monotonic() - self._last_line > _LINE_EVERY_S or status.progress >= 1.0:
            self._last_line = time.monotonic()
            self.note(format_line(status, self._figures))

    def sheet(self, path: Path) -> None:
        """Say where the newest sample sheet is."""
        self._sheet = path

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Show the scores: on a terminal the newest and the best, elsewhere a line for each report."""
        self._newest = format_measured(values)
        if best:
            self._best = f"{self._newest}, at {images_seen:,} images"
        if not self._live:
            self.note(f"{images_seen:>11,} images  {self._newest}{', the best so far' if best else ''}")

    def event(self, kind: str, text: str) -> None:
        """Show an event."""
        self.note(f"{kind}: {text}")

    def stop_asked(self) -> bool:
        """Return False: signals ask for a stop, see `interruption`."""
        return False

    def _notes(self) -> dict[str, str]:
        """Return the lines that need the panel's whole width."""
        sheet = "" if self._sheet is None else str(self._sheet)
        notes = {"measured": self._newest, "best": self._best, "newest sheet": sheet}
        return {name: text for name, text in notes.items() if text}


def format_panel(
    title: str, status: Status, figures: Sequence[Figure], notes: Mapping[str, str] | None = None
) -> Panel:
    """Return the status of a run as a panel: a row for each figure, with named notes below."""
    table = Table.grid(padding=(0, 2))
    table.add_row("images seen", f"{status.images_seen:,}", f"{status.images_per_second:,.0f} per second")
    table.add_row("time left", format_duration(status.seconds_left), f"{status.progress:.0%} of the run")
    for figure in of_kind(figures, LOSS):
        table.add_row(f"{figure.title} loss", f"{_value(figure, status):.3f}")
    groups = by_network(figures, SCORE)
    for network, own in groups.items():
        for figure in own:
            value = _value(figure, status)
            bar = ProgressBar(total=1.0, completed=value, width=24, pulse=False)
            table.add_row(f"score of {figure.title}{_by(network, groups)}", f"{value:.2f}", bar)
    for figure in of_kind(figures, SHARE):
        if 0 < _value(figure, status) < 1:
            table.add_row(figure.title, f"{_value(figure, status):.2f}")
    below = Table.grid(padding=(0, 2))
    for name, text in (notes or {}).items():
        below.add_row(name, Text(text))
    body = Group(table, below)
    return Panel(body, title=Text(plain(title)), subtitle="Ctrl-C saves and stops", expand=False)


def format_measured(values: Mapping[str, float]) -> str:
    """Return the most important scores in one line."""
    brief = (measure for measure in MEASURES.values() if measure.brief and measure.name in values)
    return ", ".join(measure.short(values[measure.name]) for measure in brief)


def format_line(status: Status, figures: Sequence[Figure]) -> str:
    """Return the status of a run in one line."""
    losses = [f"{figure.title} {_value(figure, status):.3f}" for figure in of_kind(figures, LOSS)]
    parts = [f"{status.images_seen:>11,} images", f"{status.images_per_second:6,.0f}/s"]
    parts += [f"loss: {', '.join(losses)}"] if losses else []
    groups = by_network(figures, SCORE)
    for network, own in groups.items():
        scores = (f"{figure.title} {_value(figure, status):.2f}" for figure in own)
        parts.append(f"score{_by(network, groups)}: {', '.join(scores)}")
    return "  ".join([*parts, f"{format_duration(status.seconds_left)} left"])


def format_duration(seconds: float) -> str:
    """Write seconds as people do: 4:05, or 1:04:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _value(figure: Figure, status: Status) -> float:
    return status.figures.get(figure.name, 0.0)


def _by(network: str, groups: Mapping[str, object]) -> str:
    """Name the network of a group of figures, if there are several."""
    return f" by {network.replace('_', ' ')}" if len(groups) > 1 else ""
