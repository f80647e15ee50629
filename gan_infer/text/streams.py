"""Makes stdout and stderr fit to print anything to: in any encoding, closed, or with nobody reading.

What an encoding lacks is written as JSON escapes it, so that JSON stays JSON; bytes of file names
that are no text are written as they are. What cannot be told on stderr is dropped.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, Final

_HANDLER: Final = "ganforge.escape"
_ASCII: Final = "ganforge-ascii"
# What a stream of Python's own does where it is not told how to treat letters that it lacks.
_BY_DEFAULT: Final = ("strict", "surrogateescape", "backslashreplace")
_NOT_TEXT: Final = range(0xDC80, 0xDD00)


def prepare() -> None:
    """Make the process's streams fit; to be called once, before anything is opened or printed."""
    codecs.register_error(_HANDLER, _escape)
    codecs.register(_find_ascii)
    _fill_descriptors()
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: PTH123, SIM115
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in _BY_DEFAULT:
        sys.stdout.reconfigure(encoding=_encoding(sys.stdout), errors=_HANDLER)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _Notes(sys.stderr)


def drop(stream: Any) -> None:
    """Send what a stream still holds, and what comes, to nowhere, so that ending is not a failure."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Notes(io.TextIOWrapper):
    """stderr that never fails: work goes on although nobody reads how far it is."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        file = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115
        errors = _HANDLER if stream.errors in _BY_DEFAULT else stream.errors
        super().__init__(file, encoding=_encoding(stream), errors=errors, line_buffering=True)

    def write(self, text: str, /) -> int:
        """Write, or drop what cannot be written."""
        try:
            return super().write(text)
        except OSError:
            drop(self)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what cannot be written."""
        try:
            super().flush()
        except OSError:
            drop(self)


def _fill_descriptors() -> None:
    """Open what was closed, or the next file to be opened would be taken for stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: PTH123


def _encoding(stream: io.TextIOWrapper) -> str:
    """Name a stream's encoding; ASCII by a name of its own, for click takes that for a mistake."""
    return _ASCII if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding


def _find_ascii(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != _ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_.encode,
        ascii_.decode,
        ascii_.streamreader,
        ascii_.streamwriter,
        ascii_.incrementalencoder,
        ascii_.incrementaldecoder,
        _ASCII,
    )


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the first letter that cannot be written."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if ord(letter) in _NOT_TEXT:
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    halves = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2)), error.start + 1
