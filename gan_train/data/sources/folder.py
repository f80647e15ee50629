"""Lists the files of a folder on disk."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from gan_infer.decoding.decode import explain, open_image
from gan_infer.errors import DataError
from gan_train.data.listing import Files, Member, find_unread_format, is_picture, sort_key, stamp
from gan_train.data.names import list_names
from gan_train.data.sources import unused


def list_files(root: Path, follow_links: bool = False) -> Files:
    """List the files of a folder and all below it, without what systems leave behind.

    Links to files are followed, and links to folders inside this one; no folder is listed twice,
    so that circular links end.

    Args:
        follow_links: also follow links to folders outside this one.

    Raises:
        DataError: the folder itself cannot be listed.
    """
    members: list[Member] = []
    others: list[str] = []
    folders: list[str] = []
    bad: dict[str, str] = {}
    walk = _Walk(root, follow_links)
    for name, found in walk.entries():
        if isinstance(found, OSError):  # its files are lost, so it is listed among the bad ones
            members.append(Member(name, 0, ""))
            bad[name] = f"cannot be listed: {explain(found)}"
        elif name.endswith("/"):
            folders.append(name.removesuffix("/"))
        else:
            member, reason = _make_member(name, found)
            beginning = functools.partial(_read_beginning, found.path, bool(reason) or not member.size)
            if is_picture(name, beginning):
                reason = reason or find_unread_format(name, beginning)
                members.append(member)
                bad.update({name: reason} if reason else {})
            else:
                others.append(name)
    if "" in bad:
        raise DataError(f"{root} {bad['']}; give a folder that you may read")
    members.sort(key=lambda member: sort_key(member.name))
    return Files(
        kind="folder",
        place=root,
        stamp="",
        members=members,
        others=sorted(others, key=sort_key),
        folders=sorted(folders, key=sort_key),
        bad=bad,
        open=lambda name: _open_picture(root / name),
        stream=lambda name: open_table(root / name),
        left_behind=walk.left_behind,
        notes=tuple(walk.notes()),
    )


class _Walk:
    """Walks through a folder and all below it, and notes the links that it does not follow."""

    def __init__(self, root: Path, follow_links: bool) -> None:
        self.left_behind: list[str] = []
        self._root = root
        self._within = os.path.realpath(root)
        self._follow_links = follow_links
        self._not_followed: list[str] = []
        self._elsewhere: list[str] = []

    def entries(self) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
        """Return names below the root, those of folders ending in "/", real folders before linked ones."""
        waiting, linked = deque([""]), deque[str]()
        seen: set[tuple[int, int]] = set()
        while waiting or linked:
            folder = waiting.pop() if waiting else linked.pop()
            try:
                status = os.stat(self._root / folder)  # noqa: PTH116 - names may hold parts that Path would remove
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(self._root / folder) as found:
                    entries = sorted(found, key=_get_name)
            except OSError as error:
                yield folder, error
                continue
            for entry in entries:
                name, is_folder = folder + entry.name, _is_folder(entry)
                if unused.is_left_behind(entry.name, is_folder):
                    self.left_behind.append(name + "/" * is_folder)
                elif is_folder and self._may_enter(name, entry):
                    yield f"{name}/", entry
                    (linked if entry.is_symlink() else waiting).appendleft(f"{name}/")
                elif not is_folder:
                    self._note_link(name, entry)
                    yield name, entry

    def notes(self) -> list[str]:
        """Return notes on the links that lead out of the folder."""
        notes = []
        if self._not_followed:
            notes.append(
                f"links to folders outside of {self._root} are not followed: "
                f"{list_names(self._not_followed)} (--follow-links follows them)"
            )
        if self._elsewhere:
            notes.append(
                f"{len(self._elsewhere):,} files are links to files outside of {self._root}, "
                f"and are read from there: {list_names(self._elsewhere, 3)}"
            )
        return notes

    def _may_enter(self, name: str, entry: os.DirEntry[str]) -> bool:
        if self._follow_links or not entry.is_symlink() or self._is_within(entry):
            return True
        self._not_followed.append(name)
        return False

    def _note_link(self, name: str, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink() and not self._is_within(entry):
            self._elsewhere.append(name)

    def _is_within(self, entry: os.DirEntry[str]) -> bool:
        target = os.path.realpath(entry.path)
        return target == self._within or target.startswith(self._within.rstrip(os.sep) + os.sep)


def _get_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _make_member(name: str, entry: os.DirEntry[str]) -> tuple[Member, str]:
    """Return a file and, if it cannot be used whatever it holds, the reason."""
    try:
        status = entry.stat()
    except OSError as error:
        return Member(name, 0, ""), f"cannot be opened: {explain(error)}"
    regular = stat.S_ISREG(status.st_mode)  # opening a pipe would wait for ever
    return Member(name, status.st_size, stamp(status)), "" if regular else "is no regular file"


def _read_beginning(path: str, refused: bool) -> bytes:
    if refused:
        return b""
    try:
        with Path(path).open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


@contextlib.contextmanager
def _open_picture(path: Path) -> Iterator[Image.Image]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be opened: {explain(error)}") from None
    with file, open_image(file, os.fstat(file.fileno()).st_size) as image:
        yield image


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes one after the other.

    Raises:
        DataError: it cannot be read; names it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise DataError(f"{path} is no regular file; expected a table of labels")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {explain(error)}") from None
    with file:
        yield file
