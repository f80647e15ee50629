"""A zip file to the list of its files, read in place; nothing of it is ever written to disk."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Final

from PIL import Image

from gan_infer import decode
from gan_infer.errors import DataError
from gan_train.data.listing import Files, Member, examples, is_hidden, is_picture, order, shown, stamp

MAX_MEMBER_BYTES: Final = 512 * 1024**2
MAX_RATIO: Final = 200
# Small files may shrink as much as they like: an empty page does.
_RATIO_MATTERS_BYTES: Final = 8 * 1024**2
_ENCRYPTED: Final = 0x1
_reading = threading.Lock()  # an archive counts its open members, and not for several threads


def parted(path: Path) -> tuple[Path, str]:
    """Give the file that a path like photos.zip/test leads into, and the folder in it, "" for none."""
    for place in path.parents:
        with contextlib.suppress(OSError, ValueError):  # of a name that no file can have
            if place.is_file():
                return place, path.relative_to(place).as_posix()
    return path, ""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        DataError: it is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    # Foreign bytes again: a broken table of contents raises errors of many classes.
    except Exception as error:
        raise DataError(f"{path} is a damaged zip file: {decode.plain(error)}; fetch it again") from None
    with archive:
        yield archive


def read(archive: zipfile.ZipFile, place: Path) -> Files:
    """List the files of an open archive; hidden ones are passed over.

    Of several members of one name the last counts, as it does where an archive is unpacked.
    """
    known: dict[str, zipfile.ZipInfo] = {}
    folders: dict[str, None] = {}
    for info in archive.infolist():
        # Some programs on Windows write their own separator.
        *parents, last = (part for part in info.filename.replace("\\", "/").split("/") if part != ".")
        if any(is_hidden(part) and part != ".." for part in (*parents, last)):
            continue
        for depth in range(1, len(parents) + 1):
            folders["/".join(parents[:depth])] = None
        if last:
            known["/".join((*parents, last))] = info
    status = place.stat()
    members: list[Member] = []
    others: list[str] = []
    bad: dict[str, str] = {}
    for name in sorted(known, key=order):
        info = known[name]
        reason = _refused(info)
        if is_picture(name, functools.partial(_beginning, archive, info, bool(reason))):
            members.append(Member(name, info.file_size, f"{info.CRC:08x}"))
            bad.update({name: reason} if reason else {})
        else:
            others.append(name)
    return Files(
        kind="zip",
        place=place,
        stamp=f"{status.st_size} {stamp(status)}",
        members=members,
        others=others,
        folders=sorted(folders, key=order),
        bad=bad,
        open=lambda name: _opened(archive, known[name]),
        read=lambda name, most: _table(archive, known[name], place, most),
    )


def within(files: Files, inside: str) -> Files:
    """Give what lies in one folder of an archive, names as they were; all of it for "".

    Raises:
        DataError: there is no such folder.
    """
    if not inside:
        return files
    if inside not in files.folders:
        known = examples([name for name in files.folders if "/" not in name]) or "none"
        raise DataError(f"{files.place} holds no folder {shown(inside)}; its folders are: {known}")
    below = f"{inside}/"
    return dataclasses.replace(
        files,
        members=[member for member in files.members if member.name.startswith(below)],
        others=[name for name in files.others if name.startswith(below)],
        folders=[name for name in files.folders if name.startswith(below)],
        bad={name: reason for name, reason in files.bad.items() if name.startswith(below)},
        inside=inside,
    )


def _refused(info: zipfile.ZipInfo) -> str:
    """Give the reason why a member is not to be read, or nothing."""
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or PureWindowsPath(name).drive:
        return "has a name that leads out of the archive"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"unpacks to {info.file_size:,} bytes; at most {MAX_MEMBER_BYTES:,} are read"
    if info.file_size > max(_RATIO_MATTERS_BYTES, MAX_RATIO * info.compress_size):
        return f"unpacks to more than {MAX_RATIO} times its size in the archive"
    return ""


def _beginning(archive: zipfile.ZipFile, info: zipfile.ZipInfo, refused: bool) -> bytes:
    if refused:
        return b""
    try:
        with archive.open(info) as stream:
            return stream.read(16)
    except Exception:
        return b""


@contextlib.contextmanager
def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Image.Image]:
    content = _content(archive, info)
    with decode.opened(io.BytesIO(content), len(content)) as image:
        yield image


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with _reading:
            return archive.read(info)  # no more than the size that was checked
    except Exception as error:
        raise DataError(f"cannot be unpacked: {decode.plain(error)}") from None


def _table(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path, most: int) -> bytes:
    reason = _refused(info)
    if not reason and info.file_size > most:
        reason = f"is larger than {most:,} bytes; expected a table of labels"
    if reason:
        raise DataError(f"{place}/{info.filename} {reason}")
    try:
        return _content(archive, info)
    except DataError as error:
        raise DataError(f"{place}/{info.filename} {error}") from None
