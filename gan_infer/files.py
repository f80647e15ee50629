"""Writes files whole or not at all: write beside the target, sync, rename; and finds the home folder."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gan_infer.errors import OptionError

_TOKEN_BYTES: Final = 6
_PARTS: Final = f".*.{'[0-9a-f]' * (2 * _TOKEN_BYTES)}.part*"


@contextlib.contextmanager
def stage(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; after the block it is renamed to `target`.

    The file is synced to disk before the rename, and its directory after it, so that a crash
    leaves the old file or the new one. An error inside the block leaves nothing behind.

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
        with contextlib.suppress(OSError):  # its folder may be gone
            part.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Check before long work that `target` can be written; leave it unchanged.

    Raises:
        OptionError: it cannot be written.
    """
    _open_beside(Path(target)).unlink(missing_ok=True)


def write(target: Path, fill: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `target` whole or not at all: bytes, or what `fill` writes to an open binary file.

    Raises:
        OptionError: the target cannot be written.
    """
    with stage(target) as part, part.open("wb") as file:
        if callable(fill):
            fill(file)
        else:
            file.write(fill)


def append(target: Path, body: bytes) -> None:
    """Append bytes to a file; a kill may leave part of them.

    Raises:
        OptionError: the file cannot be written.
    """
    try:
        with target.open("ab") as file:
            file.write(body)
    except OSError as error:
        raise OptionError(_cannot_write(target, error)) from error


def home() -> Path:
    """Return the folder of what is kept between runs; it may not exist yet.

    It is $GANFORGE_HOME, else `ganforge` in the user's cache folder; without a home folder that can be
    written to, a private folder of this user in the system's temporary folder.

    Raises:
        OptionError: $GANFORGE_HOME begins with the home of a user that does not exist.
    """
    if named := os.environ.get("GANFORGE_HOME"):
        return Path(expand(named))
    base = user_cache()
    if base is not None:
        folder = base / "ganforge"
        if folder.is_dir() or _may_write(folder):
            return folder
    return temporary_home()


def is_temporary(folder: Path) -> bool:
    """Return whether `folder` is the temporary one that `home` returns without a home folder."""
    return temporary_home.cache_info().currsize > 0 and folder == temporary_home()


def user_cache() -> Path | None:
    """Return the user's cache folder; None if the user has no home folder."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(expand(named))
    folder = _user_home()
    return None if folder is None else folder / ".cache"


def expand(text: str) -> str:
    """Replace "~" or "~user" at the start of a path by that user's home folder, as a shell does.

    Raises:
        OptionError: there is no such user or home, and no file with that name.
    """
    if not text.startswith("~"):
        return text
    who, _, rest = text.replace(os.sep, "/").partition("/")
    folder = _user_home() if who == "~" else Path(os.path.expanduser(who))  # noqa: PTH111
    if folder is not None and str(folder) != who:
        return str(folder / rest) if rest else str(folder)
    if os.path.lexists(text):
        return text
    raise OptionError(
        f"{text} lies in the home of {who[1:] or 'this user'}, and there is none; "
        f"give the folder's path, or ./{text} where '~' is part of the name"
    )


def _user_home() -> Path | None:
    try:
        folder = Path.home()
    except (RuntimeError, KeyError):  # no $HOME, and a user without a name
        return None
    blank = os.environ.get("HOME") == "" and os.name == "posix"  # would be read as the root folder
    return folder if folder.is_absolute() and not blank else None


def _may_write(folder: Path) -> bool:
    """Return whether a folder that does not exist could be made."""
    parent = next((each for each in folder.parents if each.exists()), None)
    return parent is not None and os.access(parent, os.W_OK | os.X_OK)


@functools.cache
def temporary_home() -> Path:
    """Return this user's temporary folder, and say once that it is used."""
    import logging  # rarely needed

    folder = _make_temporary_folder()
    logging.getLogger("ganforge").warning(
        "note: there is no home folder to keep anything in; files are kept in %s; "
        "set GANFORGE_HOME to use another folder",
        folder,
    )
    return folder


def _make_temporary_folder() -> Path:
    """Make a folder that only this user owns and can read; a new one if the usual name is taken."""
    import tempfile  # slow to import

    user = os.getuid() if hasattr(os, "getuid") else 0
    try:
        folder = Path(tempfile.gettempdir(), f"ganforge-{user}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o077:
            return folder
        return Path(tempfile.mkdtemp(prefix="ganforge-"))
    except OSError:  # nothing can be written anywhere; callers go on without
        return Path(os.devnull, "ganforge")


def sweep(folder: Path) -> None:
    """Remove what killed writes left in a folder. Nobody else may be writing there."""
    for path in folder.glob(_PARTS):
        path.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Return whether a file is the part of an unfinished write, by its name."""
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
