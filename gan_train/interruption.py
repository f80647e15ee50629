"""Turns the signals that end a program into one way to stop: at once, or when work is complete.

Ctrl-C, a request to end (SIGTERM) and a closed terminal (SIGHUP) are the same here. Outside of `defer` the
first one raises KeyboardInterrupt where the program is. Inside, it is only remembered, for code that
asks `is_requested` and stops when its work is complete; a second one is obeyed at once.
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
    """The signals of this process: one state, as there is one set of handlers."""

    requested = False
    deferred = False


@contextlib.contextmanager
def handle() -> Iterator[None]:
    """Take over the signals inside the block, and let stderr outlive its terminal.

    SIGHUP stays ignored where it was, as nohup has it.
    """
    _State.requested = _State.deferred = False
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
        _State.requested = _State.deferred = False


def is_requested() -> bool:
    """Return whether a signal has asked for a stop that is still to come."""
    return _State.requested


def leave(code: object) -> NoReturn:
    """End the process now, without waiting for threads that decode pictures, or for PyTorch's own."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1)


@contextlib.contextmanager
def defer() -> Iterator[None]:
    """Only remember the first signal inside the block; see `is_requested`."""
    with _set(deferred=True):
        yield


@contextlib.contextmanager
def allow() -> Iterator[None]:
    """Obey signals at once inside the block, also one that was remembered before it.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    with _set(deferred=False):
        if _State.requested:
            raise KeyboardInterrupt
        yield


@contextlib.contextmanager
def _set(deferred: bool) -> Iterator[None]:
    before, _State.deferred = _State.deferred, deferred
    try:
        yield
    finally:
        _State.deferred = before


def _take(number: int, frame: FrameType | None) -> None:
    again, _State.requested = _State.requested, True
    if again or not _State.deferred:
        raise KeyboardInterrupt


class _Outliving:
    """A text stream that swallows what is written to it once its terminal or its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or drop it if nobody can read it any more."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            return self._drop(error, len(text))

    def flush(self) -> None:
        """Flush, or drop what was written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error, 0)

    def _drop(self, error: OSError | ValueError, count: int) -> int:
        if not self._stream.closed and (not isinstance(error, OSError) or error.errno not in _GONE):
            raise error
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
