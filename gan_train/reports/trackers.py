"""Writes curves and sheets to TensorBoard or Weights & Biases, each imported when it is asked for."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from gan_infer.errors import OptionError
from gan_infer.text.escaping import one_line
from gan_train.config.options import Config
from gan_train.reports.status import Status, Watcher
from gan_train.tasks.figures import Figure

_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class TensorBoard:
    """A Watcher that writes TensorBoard's files into the run's folder, over images seen."""

    def __init__(self, run: Path, config: Config, images_seen: int, figures: Sequence[Figure]) -> None:
        self._figures = figures
        module = _import("tensorboard", "torch.utils.tensorboard", "'ganforge[tensorboard]'")
        self._open = functools.partial(module.SummaryWriter, str(run / "tensorboard"))
        # What was written after the checkpoint that the run resumes from is dropped.
        self._writer = self._open(purge_step=images_seen + 1)
        self._images_seen = images_seen
        self._events: list[tuple[str, str]] = []
        if images_seen == 0:
            self._writer.add_text("config", f"<pre>{config.to_json()}</pre>")

    def note(self, text: str) -> None:
        """Ignore a line of text."""

    def status(self, status: Status) -> None:
        """Add a point to the curve of each figure."""
        if status.images_seen <= self._images_seen:  # the run has gone back
            self._writer.close()
            self._writer = self._open(purge_step=status.images_seen)
        self._images_seen = status.images_seen
        self._write_events()
        for name, value in _curves(status, self._figures):
            self._writer.add_scalar(name, value, status.images_seen)

    def sheet(self, path: Path) -> None:
        """Add a sample sheet."""
        self._writer.add_image("samples", _pixels(path), int(path.stem), dataformats="HWC")
        self._writer.flush()

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Add a point to the curve of each score."""
        for name, value in values.items():
            self._writer.add_scalar(f"measured/{name}", value, images_seen)

    def event(self, kind: str, text: str) -> None:
        """Add an event, with the next point, so that going back does not drop it."""
        self._events.append((kind, text))

    def stop_asked(self) -> bool:
        """Return False: a tracker never asks for a stop."""
        return False

    def close(self) -> None:
        """Write what is not yet written."""
        self._write_events()
        self._writer.close()

    def _write_events(self) -> None:
        for kind, text in self._events:
            self._writer.add_text(kind, text, self._images_seen)
        self._events.clear()


class WeightsAndBiases:
    """A Watcher that writes to wandb, as wandb's own settings and environment variables say."""

    def __init__(self, run: Path, config: Config, images_seen: int, figures: Sequence[Figure]) -> None:
        self._figures = figures
        self._wandb = _import("wandb", "wandb", "wandb")
        try:
            self._run = self._wandb.init(
                name=run.resolve().name,
                dir=str(run),
                id=f"{_NOT_IN_IDS.sub('-', run.resolve().name)}-{config.data.sha256[:8]}-{config.seed}",
                resume="allow",
                config=dataclasses.asdict(config),
            )
        except Exception as error:  # of wandb's own kinds, if a login or a connection is missing
            raise OptionError(
                f"--log wandb cannot start: {one_line(error, 1000)}; log in with: wandb login, "
                "or set WANDB_MODE=offline and send the run later with: wandb sync"
            ) from None
        self._run.define_metric("*", step_metric="images_seen")

    def note(self, text: str) -> None:
        """Ignore a line of text."""

    def status(self, status: Status) -> None:
        """Log each figure."""
        self._log(dict(_curves(status, self._figures)), status.images_seen)

    def sheet(self, path: Path) -> None:
        """Log a sample sheet."""
        self._log({"samples": self._wandb.Image(_pixels(path))}, int(path.stem))

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Log the scores."""
        self._log({f"measured/{name}": value for name, value in values.items()}, images_seen)

    def event(self, kind: str, text: str) -> None:
        """Send an event as an alert."""
        self._run.alert(title=kind, text=text)

    def stop_asked(self) -> bool:
        """Return False: a tracker never asks for a stop."""
        return False

    def close(self) -> None:
        """Send what is not yet sent."""
        self._run.finish()

    def _log(self, values: Mapping[str, Any], images_seen: int) -> None:
        # Not wandb's own step, which may not go back as a run that is rolled back does.
        self._run.log({**values, "images_seen": images_seen})


Tracker = TensorBoard | WeightsAndBiases
TRACKERS: Final[dict[str, Callable[[Path, Config, int, Sequence[Figure]], Tracker]]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


class Several:
    """A Watcher that passes everything on to several; any of them may ask for a stop."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def note(self, text: str) -> None:
        """Pass on a line of text."""
        for watcher in self._watchers:
            watcher.note(text)

    def status(self, status: Status) -> None:
        """Pass on the status."""
        for watcher in self._watchers:
            watcher.status(status)

    def sheet(self, path: Path) -> None:
        """Pass on a new sheet."""
        for watcher in self._watchers:
            watcher.sheet(path)

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        """Pass on the scores."""
        for watcher in self._watchers:
            watcher.metrics(images_seen, values, best)

    def event(self, kind: str, text: str) -> None:
        """Pass on an event."""
        for watcher in self._watchers:
            watcher.event(kind, text)

    def stop_asked(self) -> bool:
        """Return whether any asks for a stop."""
        return any(watcher.stop_asked() for watcher in self._watchers)


def _curves(status: Status, figures: Sequence[Figure]) -> list[tuple[str, float]]:
    """Return the figures of a status and its speeds, each with the name of its curve."""
    values = {figure.name: status.figures[figure.name] for figure in figures if figure.name in status.figures}
    values |= {"learning_rate": status.learning_rate, "images_per_second": status.images_per_second}
    return [(f"game/{name}", value) for name, value in values.items()]


def _import(package: str, module: str, requirement: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise OptionError(
            f"--log {package} needs {package}, not installed here; install with: pip install {requirement}"
        ) from None


def _pixels(path: Path) -> np.ndarray[Any, Any]:
    """Return uint8 [height, width, 3], with transparent pixels laid on white."""
    with Image.open(path) as image:
        whole = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB"))
