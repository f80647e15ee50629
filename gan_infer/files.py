"""Whole files or none: writes beside the target, syncs, then renames; it knows nothing of formats."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gan_infer.errors import OptionError

_TOKEN_BYTES: Final = 6
_PARTS: Final = f".*.{'[0-9a-f]' * (2 * _TOKEN_BYTES)}.part*"


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; on success it takes the target's name.

    The file is synced to disk before the rename, and its directory after it, so that a crash
    leaves the old file or the new one. On an error inside the block nothing is left behind.

    Raises:
        OptionError: the target is a directory, or its directory cannot be made or written.
    """
    target = Path(target)
    part = _open_beside(target)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise OptionError(_cannot_write(target, error)) from error
    finally:
        part.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Try whether `target` could be written, before long work; leaves it as it is.

    Raises:
        OptionError: it could not.
    """
    _open_beside(Path(target)).unlink(missing_ok=True)


def write(target: Path, fill: bytes | Callable[[BinaryIO], object]) -> None:
    """Write bytes, or what `fill` writes to an open binary file, to `target`, whole or not at all.

    Raises:
        OptionError: the target cannot be written.
    """
    with replacing(target) as part, part.open("wb") as file:
        if callable(fill):
            fill(file)
        else:
            file.write(fill)


def append(target: Path, body: bytes) -> None:
    """Add bytes to the end of a file; a kill may leave part of them.

    Raises:
        OptionError: the file cannot be written.
    """
    try:
        with target.open("ab") as file:
            file.write(body)
    except OSError as error:
        raise OptionError(_cannot_write(target, error)) from error


def home() -> Path:
    """Give the folder of all that is kept between runs: $GANFORGE_HOME, or one in the user's cache."""
    if named := os.environ.get("GANFORGE_HOME"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganforge"


def sweep(folder: Path) -> None:
    """Remove what writes that were killed left in a folder. Nobody else may be writing there."""
    for path in folder.glob(_PARTS):
        path.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Tell by its name whether a file is what an unfinished write goes to."""
    return path.match(_PARTS)


def _open_beside(target: Path) -> Path:
    try:
        if target.is_dir():
            raise OptionError(f"cannot write {target}: it is a directory; give the name of a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        token = os.urandom(_TOKEN_BYTES).hex()
        part = target.with_name(f".{target.stem[:64]}.{token}.part{target.suffix[:16]}")
        part.touch(exist_ok=False)
    except OSError as error:
        raise OptionError(_cannot_write(target, error)) from error
    return part


def _cannot_write(target: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {target}: {reason}; make room there, or give a path on another disk"
    return f"cannot write {target}: {reason}; give a path in a directory that you may write to"


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":  # other systems cannot open a directory
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
