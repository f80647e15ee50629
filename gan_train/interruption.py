"""Turns the signals that end a program into one way of stopping: at once, or after what must be whole.

Ctrl-C, a request to end (SIGTERM) and a closed terminal (SIGHUP) are the same here. Outside of `held` the
first one raises KeyboardInterrupt where the program stands. Inside, it is only remembered, for code that
asks `asked` and stops where its work is whole; a second one is obeyed at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, NoReturn, TextIO, cast

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")
# A terminal that was closed, a pipe that nobody reads any more, or a full disk.
_GONE: Final = (errno.EIO, errno.EPIPE, errno.ENXIO, errno.ENOSPC)


class _State:
    """What is known of signals in this process: there is but one, as there is one set of handlers."""

    asked = False
    held = False


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Take the signals over for the length of a block, and let stderr outlive its terminal.

    SIGHUP stays ignored where it was, as nohup has it.
    """
    _State.asked = _State.held = False
    before: dict[int, Any] = {}
    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        if number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN:
            continue
        with contextlib.suppress(ValueError):  # in another thread than the main one nothing is taken over
            before[number] = signal.signal(number, _take)
    stderr = sys.stderr
    sys.stderr = cast(TextIO, _Outliving(stderr)) if stderr is not None else stderr
    try:
        yield
    finally:
        sys.stderr = stderr
        for number, handler in before.items():
            signal.signal(number, handler)
        _State.asked = _State.held = False


def asked() -> bool:
    """Return whether a signal asked for a stop that has not been obeyed yet."""
    return _State.asked


def leave(code: object) -> NoReturn:
    """End the process now: threads that decode a large picture, and PyTorch's own, are not waited for."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Only remember the first signal inside the block; `asked` tells of it."""
    with _as(held=True):
        yield


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Obey signals at once inside the block, also one that was only remembered before it.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    with _as(held=False):
        if _State.asked:
            raise KeyboardInterrupt
        yield


@contextlib.contextmanager
def _as(held: bool) -> Iterator[None]:
    before, _State.held = _State.held, held
    try:
        yield
    finally:
        _State.held = before


def _take(number: int, frame: FrameType | None) -> None:
    again, _State.asked = _State.asked, True
    if again or not _State.held:
        raise KeyboardInterrupt


class _Outliving:
    """A text stream that swallows what is written to it once its terminal or its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose the text with whoever would have read it."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            return self._lose(error, len(text))

    def flush(self) -> None:
        """Flush, or lose what was written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error, 0)

    def _lose(self, error: OSError | ValueError, count: int) -> int:
        if not self._stream.closed and (not isinstance(error, OSError) or error.errno not in _GONE):
            raise error
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
