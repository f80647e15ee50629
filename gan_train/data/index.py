"""What every kind of source comes down to: pictures by name, each opened on its own, with a class or none.

It reads no files and decodes nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer.decoding import formats

# Called with (pictures done, pictures in all).
Progress = Callable[[int, int], None]

UNREAD: Final = (".heic", ".heif", ".avif", ".jxl", ".jp2")
SUFFIXES: Final = (
    *formats.SUFFIXES,
    # Pictures too, of kinds that are not read: to pass them over in silence would lose them.
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
# Plain enough to be meant as one; longer ones are identifiers.
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
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
        others: names of the files that are none, and are not `left_behind`.
        folders: names of all folders.
        bad: of the members that cannot be used whatever they hold, the reason, as `Listing.bad`.
        open: from a member's name to an opened picture; raises DataError as `decode.open_image`.
        stream: from a file's name to its content, opened; raises DataError that names it.
        inside: the folder of the archive that alone was asked for, "" for all of it.
        left_behind: files, and folders (ending in "/"), that systems leave behind; nothing of them is read.
        notes: what a person should know of how the files were found.
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
class Listing:
    """The pictures of a source that are to be used, and their classes.

    Attributes:
        kind: "digits", "folder", "zip", "npz" or "idx".
        place: of the source on disk.
        name: of the data, for people.
        names: one a picture.
        open: from a picture's number to the picture, opened; raises DataError whose message is
            what is wrong, to be read after the picture's name ("is empty").
        fingerprint: of names, sizes and times: equal for an untouched source.
        bad: from the number of a picture known to be unusable to the reason.
        labels: int64 [n], or None.
        class_names: in the order of the labels.
        notes: what a person should know of the choice that was made.
        passed_over: files of the source that are no pictures.
        left_behind: files and folders that systems leave behind, see `Files`.
        remarks: what a person should know of the files that are not learnt.
        licence: of the data, "" where it is not known.
        array: uint8 [n, h, w, c] where the source holds pixels ready to use.
    """

    kind: str
    place: Path
    name: str
    names: Sequence[str]
    open: Callable[[int], AbstractContextManager[Image.Image]]
    fingerprint: str
    bad: Mapping[int, str] = dataclasses.field(default_factory=dict)
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    licence: str = ""
    array: npt.NDArray[np.uint8] | None = None


def is_picture(name: str, beginning: Callable[[], bytes]) -> bool:
    """Return whether a file is meant as a picture: by its ending, else by its first 16 bytes."""
    if name.lower().endswith(SUFFIXES):
        return True
    first = beginning()
    return first.startswith(_BEGINNINGS) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP")


def unread(name: str, beginning: Callable[[], bytes]) -> str:
    """Return why a picture of a known kind cannot be read, "" where its ending and bytes do not say so."""
    if not name.lower().endswith(UNREAD):
        return ""
    first = beginning()
    kind = next((kind for at, magic, kind in _UNREAD if first[at:].startswith(magic)), "")
    return f"is no picture of a known format, but {kind}; convert it to PNG or JPEG" if kind else ""


def order(name: str) -> tuple[tuple[bool, str], ...]:
    """Return the key that sorts the files of a folder before those of its subfolders, each by name."""
    *folders, file = name.split("/")
    return (*((True, folder) for folder in folders), (False, file))


def shown(name: str) -> str:
    """Return a file's name as text that can be printed on one line, whatever bytes it was made of."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in name
    )


def class_name(label: str) -> str:
    """Return a class's name: printable, composed (NFC: systems differ in how they store é), not empty."""
    return shown(unicodedata.normalize("NFC", label).strip()) or repr(label)


def examples(names: Sequence[str], most: int = 5) -> str:
    """Return the first names and the number of the others, as a text."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more


def encode(labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return one number a label, and the names of the numbers: sorted as numbers where all are such."""
    names = [class_name(label) for label in labels]
    known = set(names)
    numeric = all(_NUMBER.fullmatch(name) for name in known)
    ordered = sorted(known, key=(lambda name: (Decimal(name), name)) if numeric else (lambda name: (0, name)))
    numbers = {name: number for number, name in enumerate(ordered)}
    return np.array([numbers[name] for name in names], np.int64), tuple(ordered)


def fingerprint(files: Files, members: Sequence[Member]) -> str:
    """Return a hash that changes when a source's place, names, sizes or times do."""
    digest = hashlib.sha256(os.fsencode(files.place.absolute()) + files.stamp.encode())
    for member in members:
        digest.update(f"\0{member.name}\0{member.size}\0{member.stamp}".encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]


def stamp(status: os.stat_result) -> str:
    """Return a file's times: of its content, and of its being renamed or permitted."""
    return f"{status.st_mtime_ns} {status.st_ctime_ns}"
