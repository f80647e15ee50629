"""Lists the files of a zip file and reads them in place; nothing is ever unpacked to disk."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import struct
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, Final, cast

from PIL import Image

from gan_infer.decoding import decode
from gan_infer.errors import DataError
from gan_train.data import encodings
from gan_train.data.listing import Files, Member, find_unread_format, is_picture, sort_key, stamp
from gan_train.data.names import escape, list_names
from gan_train.data.sources import unused

MAX_MEMBER_BYTES: Final = 512 * 1024**2
MAX_RATIO: Final = 200
# Small files may be compressed by any ratio: an empty page is.
_RATIO_MATTERS_BYTES: Final = 8 * 1024**2
_ENCRYPTED: Final = 0x1
_UTF_8: Final = 0x800
_UNICODE_PATH: Final = 0x7075
_reading = threading.Lock()  # an archive counts its open members, which is not safe with several threads


def split_path(path: Path) -> tuple[Path, str]:
    """Return the file of a path like photos.zip/test, and the folder in it, "" for none."""
    for place in path.parents:
        with contextlib.suppress(OSError, ValueError):  # of a name that no file can have
            if place.is_file():
                return place, path.relative_to(place).as_posix()
    return path, ""


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        DataError: it is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    # Foreign bytes again: a broken table of contents raises errors of many classes.
    except Exception as error:
        raise DataError(f"{path} is a damaged zip file: {decode.explain(error)}; fetch it again") from None
    with archive:
        yield archive


def list_files(archive: zipfile.ZipFile, place: Path, encoding: str = "") -> Files:
    """List the files of an open archive, without what systems leave behind.

    Of several members of one name the last counts, as it does when an archive is unpacked.

    Args:
        encoding: of names that do not state it, "" to guess it.
    """
    names, notes = _decode_names(archive.infolist(), encoding)
    known: dict[str, zipfile.ZipInfo] = {}
    folders: dict[str, None] = {}
    left_behind: dict[str, None] = {}
    repeated = 0
    for info, whole in zip(archive.infolist(), names, strict=True):
        *parents, last = (part for part in whole.split("/") if part != ".")
        if (left := _find_left_behind(parents, last)) is not None:
            left_behind[left] = None
            continue
        for depth in range(1, len(parents) + 1):
            folders["/".join(parents[:depth])] = None
        if last:
            name = "/".join((*parents, last))
            repeated += name in known
            known[name] = info
    if repeated:
        notes.append(f"{repeated:,} names are there more than once in the archive; the last of each counts")
    status = place.stat()
    members, others, bad = _sort_members(archive, known)
    return Files(
        kind="zip",
        place=place,
        stamp=f"{status.st_size} {stamp(status)}",
        members=members,
        others=others,
        folders=sorted(folders, key=sort_key),
        bad=bad,
        open=lambda name: _open_member(archive, known[name]),
        stream=lambda name: _stream_member(archive, known[name], f"{place}/{name}"),
        left_behind=sorted(left_behind, key=sort_key),
        notes=tuple(notes),
    )


def _sort_members(
    archive: zipfile.ZipFile, known: dict[str, zipfile.ZipInfo]
) -> tuple[list[Member], list[str], dict[str, str]]:
    """Return the pictures, the names of other files, and why a picture cannot be used.

    Raises:
        DataError: all members are encrypted.
    """
    members: list[Member] = []
    others: list[str] = []
    bad: dict[str, str] = {}
    for name in sorted(known, key=sort_key):
        info = known[name]
        reason = _find_refusal(info, name)
        beginning = functools.partial(_read_beginning, archive, info, bool(reason))
        if is_picture(name, beginning):
            reason = reason or find_unread_format(name, beginning)
            members.append(Member(name, info.file_size, f"{info.CRC:08x}"))
            bad.update({name: reason} if reason else {})
        else:
            others.append(name)
    if known and all(info.flag_bits & _ENCRYPTED for info in known.values()):
        raise DataError(f"{archive.filename} is encrypted; unpack it with its password, and give the folder")
    return members, others, bad


def _find_left_behind(parents: list[str], last: str) -> str | None:
    """Return the topmost folder (ending in "/") or file that a system left behind in a path, or None."""
    for depth, folder in enumerate(parents):
        if folder != ".." and unused.is_left_behind(folder, folder=True):
            return "/".join(parents[: depth + 1]) + "/"
    return "/".join((*parents, last)) if last and unused.is_left_behind(last, folder=False) else None


def _decode_names(infos: Sequence[zipfile.ZipInfo], encoding: str) -> tuple[list[str], list[str]]:
    """Return the name of each member, "/" between folders, and notes on how they were read.

    A name can state by a flag or an extra field that it is UTF-8. Others are read as UTF-8 if all of them
    are valid in it (macOS), else in the code page that suits all of them together.
    """
    names = [_read_own_name(info) for info in infos]
    unsaid = {
        at: infos[at].orig_filename.encode("cp437")
        for at, name in enumerate(names)
        if name is None and not infos[at].orig_filename.isascii()
    }
    used = encoding or encodings.guess(unsaid.values())
    found = [
        name if name is not None else info.orig_filename for name, info in zip(names, infos, strict=True)
    ]
    for at, raw in unsaid.items():
        found[at] = raw.decode(used, "replace")
    taken = set(found)
    for at in unsaid:  # macOS takes letters and their accents apart
        composed = unicodedata.normalize("NFC", found[at])
        found[at] = found[at] if composed in taken else composed
    # Some programs on Windows write their own separator; what follows a zero byte is no name.
    tidy = [name.replace("\\", "/").split("\0")[0] for name in found]
    if not unsaid or (used == encodings.UTF_8 and not encoding):
        return tidy, []
    first = tidy[next(iter(unsaid))]  # of a damaged name, what follows a zero byte may have been all
    example = next((part for part in first.split("/") if not part.isascii()), first)
    how = "as asked for" if encoding else "give --zip-encoding if that is wrong"
    return tidy, [f"names in the archive are read as {used} (such as {escape(example)}); {how}"]


def _read_own_name(info: zipfile.ZipInfo) -> str | None:
    """Return a name that states its own encoding, or None."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) == size > 5 and field[0] == 1:
            (crc,) = struct.unpack("<L", field[1:5])
            raw = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")
            with contextlib.suppress(ValueError):
                if crc == zlib.crc32(raw):  # else the name was changed since
                    return field[5:].decode("utf-8")
    return info.orig_filename if info.flag_bits & _UTF_8 else None


def select_folder(files: Files, inside: str) -> Files:
    """Return the files of one folder of an archive, with full names; all of them for "".

    Raises:
        DataError: there is no such folder.
    """
    if not inside:
        return files
    composed = {unicodedata.normalize("NFC", name): name for name in files.folders}
    inside = inside if inside in files.folders else composed.get(unicodedata.normalize("NFC", inside), inside)
    if inside not in files.folders:
        known = list_names([name for name in files.folders if "/" not in name]) or "none"
        raise DataError(f"{files.place} holds no folder {escape(inside)}; its folders are: {known}")
    below = f"{inside}/"
    left_behind = [name for name in files.left_behind if name.startswith(below)]
    return dataclasses.replace(
        files,
        members=[member for member in files.members if member.name.startswith(below)],
        others=[name for name in files.others if name.startswith(below)],
        folders=[name for name in files.folders if name.startswith(below)],
        bad={name: reason for name, reason in files.bad.items() if name.startswith(below)},
        inside=inside,
        left_behind=left_behind,
    )


def _find_refusal(info: zipfile.ZipInfo, name: str) -> str:
    """Return the reason why a member must not be read, or ""."""
    if name.startswith("/") or ".." in name.split("/") or PureWindowsPath(name).drive:
        return "has a name that leads out of the archive"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"unpacks to {info.file_size:,} bytes; at most {MAX_MEMBER_BYTES:,} are read"
    if info.file_size > max(_RATIO_MATTERS_BYTES, MAX_RATIO * info.compress_size):
        return f"unpacks to more than {MAX_RATIO} times its size in the archive"
    return ""


def _read_beginning(archive: zipfile.ZipFile, info: zipfile.ZipInfo, refused: bool) -> bytes:
    if refused:
        return b""
    try:
        with archive.open(info) as stream:
            return stream.read(16)
    except Exception:
        return b""


@contextlib.contextmanager
def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Image.Image]:
    content = _unpack(archive, info)
    with decode.open_image(io.BytesIO(content), len(content)) as image:
        yield image


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with _reading:
            return archive.read(info)  # no more than the size that was checked
    except Exception as error:
        raise DataError(f"cannot be unpacked: {decode.explain(error)}") from None


@contextlib.contextmanager
def _stream_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[BinaryIO]:
    """Open a member to read its bytes one after the other."""
    if reason := _find_refusal(info, info.orig_filename):
        raise DataError(f"{name} {reason}")
    try:
        with _reading:
            member = archive.open(info)
    except Exception as error:
        raise DataError(f"{name} cannot be unpacked: {decode.explain(error)}") from None
    with member:
        yield cast(BinaryIO, member)
