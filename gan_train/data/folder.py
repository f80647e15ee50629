"""A folder on disk to the list of its files; it knows neither classes nor labels, and writes nothing."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from gan_infer import decode
from gan_infer.errors import DataError
from gan_train.data.listing import Files, Member, is_hidden, is_picture, order, stamp


def read(root: Path) -> Files:
    """List the files of a folder and all below it; hidden ones are passed over.

    Links to folders are followed, but no folder is listed twice, so that links in a circle end.

    Raises:
        DataError: the folder itself cannot be listed.
    """
    members: list[Member] = []
    others: list[str] = []
    folders: list[str] = []
    bad: dict[str, str] = {}
    for name, found in _walk(root):
        if isinstance(found, OSError):  # its files are lost, so it stands among them
            members.append(Member(name, 0, ""))
            bad[name] = f"cannot be listed: {decode.plain(found)}"
        elif name.endswith("/"):
            folders.append(name.removesuffix("/"))
        else:
            member, reason = _member(name, found)
            if is_picture(name, functools.partial(_beginning, found.path, bool(reason))):
                members.append(member)
                bad.update({name: reason} if reason else {})
            else:
                others.append(name)
    if "" in bad:
        raise DataError(f"{root} {bad['']}; give a folder that you may read")
    members.sort(key=lambda member: order(member.name))
    return Files(
        kind="folder",
        place=root,
        stamp="",
        members=members,
        others=sorted(others, key=order),
        folders=sorted(folders, key=order),
        bad=bad,
        open=lambda name: _opened(root / name),
        read=lambda name, most: content(root / name, most),
    )


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Give names below `root`, those of folders ending in "/", real folders before linked ones."""
    waiting, linked = [""], list[str]()
    seen: set[tuple[int, int]] = set()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop()
        try:
            status = os.stat(root / folder)  # noqa: PTH116 - names may hold what Path would tidy away
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as entries:
                found = sorted((entry for entry in entries if not is_hidden(entry.name)), key=_name)
        except OSError as error:
            yield folder, error
            continue
        for entry in found:
            if _is_folder(entry):
                yield f"{folder}{entry.name}/", entry
                (linked if entry.is_symlink() else waiting).insert(0, f"{folder}{entry.name}/")
            else:
                yield folder + entry.name, entry


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _member(name: str, entry: os.DirEntry[str]) -> tuple[Member, str]:
    """Give a file and, where it cannot be used whatever it holds, the reason."""
    try:
        status = entry.stat()
    except OSError as error:
        return Member(name, 0, ""), f"cannot be opened: {decode.plain(error)}"
    regular = stat.S_ISREG(status.st_mode)  # to open a pipe would wait for ever
    return Member(name, status.st_size, stamp(status)), "" if regular else "is no regular file"


def _beginning(path: str, refused: bool) -> bytes:
    if refused:
        return b""
    try:
        with Path(path).open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be opened: {decode.plain(error)}") from None
    with file, decode.opened(file, os.fstat(file.fileno()).st_size) as image:
        yield image


def content(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        DataError: it cannot be read, or is larger; names it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise DataError(f"{path} is no regular file; expected a table of labels")
        with path.open("rb") as file:
            read_bytes = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {decode.plain(error)}") from None
    if len(read_bytes) > most:
        raise DataError(f"{path} is larger than {most:,} bytes; expected a table of labels")
    return read_bytes
