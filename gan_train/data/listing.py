"""Describes a source as a list of examples: its files, and its columns that need no decoding."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.decoding import formats
from gan_train.data.columns import Column

# Called with (pictures done, pictures in all).
Progress = Callable[[int, int], None]

UNREAD: Final = (".heic", ".heif", ".avif", ".jxl", ".jp2")
SUFFIXES: Final = (
    *formats.SUFFIXES,
    # Pictures too, of kinds that cannot be read: they are reported, not silently passed over.
    *UNREAD,
)
_UNREAD: Final = (
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftypavi", "AVIF"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n", "JPEG XL"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
)
_BEGINNINGS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A file of a source; `stamp` changes when its content does."""

    name: str
    size: int
    stamp: str


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a folder or an archive, names with "/" between folders, in `order`.

    Attributes:
        kind: "folder" or "zip".
        place: of the folder or archive on disk.
        stamp: of the archive, as of a member.
        members: the pictures.
        others: names of the files that are no pictures, and are not `left_behind`.
        folders: names of all folders.
        bad: the reasons why members cannot be used whatever they hold, as `Listing.bad`.
        open: from a member's name to an opened picture; raises DataError as `decode.open_image`.
        stream: from a file's name to its content, opened; raises DataError that names it.
        inside: the only folder of the archive that was asked for, "" for all of it.
        left_behind: files, and folders (ending in "/"), that systems leave behind; they are not read.
        notes: what a person should know about how the files were found.
    """

    kind: str
    place: Path
    stamp: str
    members: Sequence[Member]
    others: Sequence[str]
    folders: Sequence[str]
    bad: Mapping[str, str]
    open: Callable[[str], AbstractContextManager[Image.Image]]
    stream: Callable[[str], AbstractContextManager[BinaryIO]]
    inside: str = ""
    left_behind: Sequence[str] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PictureFiles:
    """A column of pictures before decoding.

    Attributes:
        open: from an example's number to its picture, opened; raises DataError whose message is
            what is wrong, to be read after the example's name ("is empty").
        array: uint8 [n, height, width, channels] if the source holds pixels ready to use.
    """

    open: Callable[[int], AbstractContextManager[Image.Image]]
    array: npt.NDArray[np.uint8] | None = None


@dataclasses.dataclass(frozen=True)
class Listing:
    """The examples of a source to use, by columns.

    Attributes:
        kind: "digits", "folder", "zip", "npz" or "idx".
        place: of the source on disk.
        name: of the data, for people.
        names: one for each example.
        fingerprint: of names, sizes and times: equal for an untouched source.
        pictures: by the column's name, the pictures to decode.
        given: by the column's name, the columns that need no decoding, such as classes.
        bad: from the number of an example known to be unusable to the reason.
        notes: what a person should know about the choice of the examples.
        passed_over: files of the source that are not pictures.
        left_behind: files and folders that systems leave behind, see `Files`.
        remarks: what a person should know about the files that are not used.
        licence: of the data, "" if it is not known.
    """

    kind: str
    place: Path
    name: str
    names: Sequence[str]
    fingerprint: str
    pictures: Mapping[str, PictureFiles] = dataclasses.field(default_factory=dict)
    given: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    bad: Mapping[int, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    licence: str = ""


def is_picture(name: str, beginning: Callable[[], bytes]) -> bool:
    """Return whether a file is meant as a picture: by its ending, else by its first 16 bytes."""
    if name.lower().endswith(SUFFIXES):
        return True
    first = beginning()
    return first.startswith(_BEGINNINGS) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP")


def find_unread_format(name: str, beginning: Callable[[], bytes]) -> str:
    """Return why a picture of a known kind cannot be read, "" if its ending and bytes do not say."""
    if not name.lower().endswith(UNREAD):
        return ""
    first = beginning()
    kind = next((kind for at, magic, kind in _UNREAD if first[at:].startswith(magic)), "")
    return f"is no picture of a known format, but {kind}; convert it to PNG or JPEG" if kind else ""


def sort_key(name: str) -> tuple[tuple[bool, str], ...]:
    """Return the key that sorts the files of a folder before those of its subfolders, each by name."""
    *folders, file = name.split("/")
    return (*((True, folder) for folder in folders), (False, file))


def fingerprint(files: Files, members: Sequence[Member]) -> str:
    """Return a hash that changes when a source's place, names, sizes or times do."""
    digest = hashlib.sha256(os.fsencode(files.place.absolute()) + files.stamp.encode())
    for member in members:
        digest.update(f"\0{member.name}\0{member.size}\0{member.stamp}".encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]


def stamp(status: os.stat_result) -> str:
    """Return the times of a file's last changes: of its content, and of its name or permissions."""
    return f"{status.st_mtime_ns} {status.st_ctime_ns}"
