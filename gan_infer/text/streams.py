"""Prepares stdout and stderr so that printing never fails: in any encoding, closed, or with no reader.

Characters that an encoding lacks are written as JSON escapes, so that JSON stays valid; bytes of file
names that are not text are written unchanged. What cannot be written to stderr is dropped.
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
# Error handlers that Python itself sets on a stream; another one was chosen by the user.
_BY_DEFAULT: Final = ("strict", "surrogateescape", "backslashreplace")
_NOT_TEXT: Final = range(0xDC80, 0xDD00)


def prepare() -> None:
    """Prepare the process's streams; call it once, before anything is opened or printed."""
    codecs.register_error(_HANDLER, _escape)
    codecs.register(_find_ascii)
    _fill_descriptors()
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: PTH123, SIM115
    sys.stdout = sys.stdout or _open_nowhere()
    sys.stderr = sys.stderr or _open_nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in _BY_DEFAULT:
        sys.stdout.reconfigure(encoding=_name_encoding(sys.stdout), errors=_HANDLER)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _Notes(sys.stderr)


def drop(stream: Any) -> None:
    """Discard what a stream still holds and all that is written later, so that exiting does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Notes(io.TextIOWrapper):
    """A stderr that never fails: work continues although nobody reads its progress."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        file = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115
        errors = _HANDLER if stream.errors in _BY_DEFAULT else stream.errors
        super().__init__(file, encoding=_name_encoding(stream), errors=errors, line_buffering=True)

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
    """Open closed descriptors 0 to 2; otherwise the next file to be opened would become stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def _open_nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: PTH123


def _name_encoding(stream: io.TextIOWrapper) -> str:
    """Name a stream's encoding; ASCII gets a name of its own, because click treats ASCII as a mistake."""
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
    """Return the replacement of the first character that cannot be written, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if ord(letter) in _NOT_TEXT:
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    halves = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2)), error.start + 1
