"""Whole files or none: writes beside the target, syncs, then renames; it knows nothing of formats."""

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
def replacing(target: Path) -> Iterator[Path]:
    """Return a path beside `target` to write to; on success it takes the target's name.

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
        with contextlib.suppress(OSError):  # its folder may be gone, or no folder any more
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
    """Return the folder of all that is kept between runs, which need not be there yet.

    $GANFORGE_HOME, or `ganforge` in the user's cache; where there is no home folder, or nothing can be
    kept in it, a folder of this user's own among the temporary ones.

    Raises:
        OptionError: $GANFORGE_HOME begins with the home of a user that there is not.
    """
    if named := os.environ.get("GANFORGE_HOME"):
        return Path(expand(named))
    base = user_cache()
    if base is not None:
        folder = base / "ganforge"
        if folder.is_dir() or _may_write(folder):
            return folder
    return _temporary_home()


def is_temporary(folder: Path) -> bool:
    """Return whether `home` gave a folder among the temporary ones, for lack of a home folder."""
    return _temporary_home.cache_info().currsize > 0 and folder == _temporary_home()


def user_cache() -> Path | None:
    """Return the user's folder of caches; None where the user has no home folder."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(expand(named))
    own = _user_home()
    return None if own is None else own / ".cache"


def expand(text: str) -> str:
    """Return a path with "~" or "~user" at its start replaced by the home of that user, as a shell does.

    Raises:
        OptionError: there is no such user or home, and no file of that name.
    """
    if not text.startswith("~"):
        return text
    who, _, rest = text.replace(os.sep, "/").partition("/")
    own = _user_home() if who == "~" else Path(os.path.expanduser(who))  # noqa: PTH111
    if own is not None and str(own) != who:
        return str(own / rest) if rest else str(own)
    if os.path.lexists(text):
        return text
    raise OptionError(
        f"{text} lies in the home of {who[1:] or 'this user'}, and there is none; "
        f"give the folder's path, or ./{text} where '~' is part of the name"
    )


def _user_home() -> Path | None:
    try:
        own = Path.home()
    except (RuntimeError, KeyError):  # no $HOME, and a user without a name
        return None
    blank = os.environ.get("HOME") == "" and os.name == "posix"  # read as the root of all folders
    return own if own.is_absolute() and not blank else None


def _may_write(folder: Path) -> bool:
    """Return whether a folder that is not there could be made."""
    there = next((each for each in folder.parents if each.exists()), None)
    return there is not None and os.access(there, os.W_OK | os.X_OK)


@functools.cache
def _temporary_home() -> Path:
    """Return this user's folder among the temporary ones, and say once that it is used."""
    import logging  # few come here

    folder = _own_temporary_folder()
    logging.getLogger("ganforge").warning(
        "note: there is no home folder to keep anything in; what is worth keeping goes to %s, "
        "or to a folder that GANFORGE_HOME names",
        folder,
    )
    return folder


def _own_temporary_folder() -> Path:
    """Make a folder that nobody else can have planted or can look into; a new one where need be."""
    import tempfile  # brings much along that nothing else needs

    user = os.getuid() if hasattr(os, "getuid") else 0
    try:
        folder = Path(tempfile.gettempdir(), f"ganforge-{user}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            return folder
        return Path(tempfile.mkdtemp(prefix="ganforge-"))
    except OSError:  # nothing can be written anywhere; whoever keeps things goes on without
        return Path(os.devnull, "ganforge")


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
