"""Writes to a run's folder, keeps other writers out, and restores the folder if it is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gan_infer.errors import OptionError, TrainingError
from gan_train.config import options
from gan_train.config.settled import Settled
from gan_train.runs import checkpoint
from gan_train.runs.journal import Journal
from gan_train.runs.progress import Say

# Takes a function that writes to the folder, and calls it.
Write = Callable[[Callable[[], object]], None]

# How many times a folder that is being removed is made again for one write.
_TRIES: Final = 4
_LOST: Final = (FileNotFoundError, NotADirectoryError, FileExistsError)


class Folder:
    """Writes to a run's folder.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path, config: Settled, journals: Sequence[Journal], note: Say) -> None:
        self.path = path
        self._config, self._journals, self._note = config, journals, note
        self._place: tuple[int, int] | None = None
        self._held = contextlib.ExitStack()

    def begin(self) -> None:
        """Take the folder that is there now as the run's."""
        self._place = checkpoint.identify_folder(self.path)

    def close(self) -> None:
        """Release a folder that had to be made again."""
        self._held.close()

    def write(self, change: Callable[[], object]) -> None:
        """Write to the folder by a function; write again if the folder was lost meanwhile.

        Raises:
            OptionError: it cannot be written.
            TrainingError: the folder was renamed, or another run has taken its place.
        """
        for more in reversed(range(_TRIES)):
            try:
                self._mend()
                change()
                if self._is_there():
                    return
            except (OptionError, OSError) as error:
                lost = isinstance(error, _LOST) or isinstance(error.__cause__, _LOST)
                if not lost or not more:
                    raise
        raise OptionError(
            f"the run's folder {self.path} is removed again and again while it is written; "
            "see what does that, or give another --out"
        )

    def _mend(self) -> None:
        """Restore what the folder has lost since the last write; raises as `write`."""
        if self._is_there():
            return
        if checkpoint.identify_folder(self.path) != self._place:
            if self._place and (name := checkpoint.find_renamed(self.path, self._place)):
                raise TrainingError(
                    f"the run's folder {self.path} was renamed to {name} while training; give the same "
                    f"command with --out {self.path.with_name(name)} to go on from its newest checkpoint"
                )
            if self._place:
                self._note(f"the run's folder {self.path} was removed; making it again")
            self._held.enter_context(checkpoint.only_writer(self.path))
            self._place = checkpoint.identify_folder(self.path)
        for journal in self._journals:
            journal.restore()
        options.write(self._config, self.path / checkpoint.CONFIG)

    def _is_there(self) -> bool:
        return (
            checkpoint.identify_folder(self.path) == self._place and (self.path / checkpoint.CONFIG).exists()
        )
