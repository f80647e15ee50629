"""Measures once how fast this machine takes each kind of step, and keeps it, so that runs decide alike."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from gan_infer import files
from gan_infer.errors import OptionError
from gan_train import distributed
from gan_train.config.settled import Settled
from gan_train.data import PictureSet
from gan_train.planning import processor
from gan_train.runs import journal

_VERSION: Final = 1
_NAME: Final = "images_per_second"


def directory() -> Path:
    """Return the folder of the speeds: `speeds` in $GANFORGE_HOME or the user's cache."""
    return files.home() / "speeds"


class Speeds:
    """The speeds of configs, kept from before or measured now.

    Attributes:
        kept: True once a speed was used that was measured before.
    """

    def __init__(self, measure: Callable[[Settled, PictureSet], float]) -> None:
        self._measure = measure
        self._measured: set[Path] = set()
        self.kept = False

    def images_per_second(self, config: Settled, pictures: PictureSet) -> float:
        """Return the speed of a settled config here; all processes of a run measure it together."""
        path = directory() / f"{_key(config, pictures)}.json"
        kept = distributed.share_object(_read(path) if distributed.rank() == 0 else None)
        if kept is not None:
            self.kept |= path not in self._measured
            return kept
        self._measured.add(path)
        speed = self._measure(config, pictures)
        if distributed.rank() == 0:
            tree = {_NAME: speed, "processor": processor.name(), "torch": str(torch.__version__)}
            with contextlib.suppress(OSError, OptionError):  # then it is measured each time
                files.write(path, json.dumps(tree).encode())
        return speed


def _read(path: Path) -> float | None:
    try:
        speed = json.loads(path.read_bytes())[_NAME]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return float(speed) if journal.is_number(speed) and speed > 0 else None


def _key(config: Settled, pictures: PictureSet) -> str:
    """Hash all that the speed of a step depends on."""
    parts: list[Any] = [
        _VERSION,
        processor.name(),
        torch.cuda.get_device_name(config.machine.device) if config.machine.device != "cpu" else "",
        str(torch.__version__),
        torch.get_num_threads(),
        config.machine,
        config.network,
        config.condition,
        config.loss,
        config.augment,
        (config.optimizer.batch_size, config.optimizer.discriminator_steps),
        (pictures.images.shape[1:], len(pictures.class_names)),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
