"""Finds the picture that a file name in a table means, also if it is written in another way."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import posixpath
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from gan_train.data.layout import splits
from gan_train.data.listing import SUFFIXES

# How much a name had to be simplified, from not at all.
_SAME, _CASE, _ENDING, _NUMBER = range(4)
_BY: Final = {
    _SAME: "",
    _CASE: "in another case",
    _ENDING: "whatever the ending",
    _NUMBER: "by their numbers, whatever zeros lead",
}
_ENDINGS: Final = frozenset(SUFFIXES)
_MOST_ALIKE: Final = 1000
_PLAIN: Final = re.compile(r"(?:\w[\w\-]*/)*\w[\w\-]*(?:\.\w+)?")
_WHOLE: Final = re.compile(r"0*([0-9]+)(\.0+)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """The picture that a name means.

    Attributes:
        name: the picture's own.
        rank: higher if more had to be assumed; 0 if nothing was.
        how: the assumption, for people.
        split: a split that is not the source's, among the folders that were removed from the name;
            "" for none.
    """

    name: str
    rank: int
    how: str = ""
    split: str = ""


class Finder:
    """Finds pictures by name.

    Args:
        known: the names of all pictures.
        table: the table's path in the source; its names are searched from its folder first.
        root: the source's own path, which a table may put before its names.
        base: the folder of the pictures to train on, "" or ending in "/"; they come first.
    """

    def __init__(self, known: Sequence[str], table: str, root: str = "", base: str = "") -> None:
        self._known = known
        self._base = base
        self._exact = {_compose(name): name for name in known}
        self._folder = _compose(table).rpartition("/")[0]
        by_last: Mapping[str, list[str]] = defaultdict(list)
        for name in known:
            by_last[_compose(name).rpartition("/")[2]].append(name)
        self._last = {last: names[0] for last, names in by_last.items() if len(names) == 1}
        self._root = _compose(root).split("/")[-1].casefold()
        self._splits = {
            kind for name in (*root.split("/"), *_find_shared_folders(known)) if (kind := _find_split(name))
        }
        self._whole: dict[str, list[str]] = {}
        self._ends: dict[str, list[str]] = {}

    def __call__(self, file: str) -> Match | None:
        """Return the picture that a name means, or None for none, or for more than one."""
        tidy = _tidy(file)
        below = f"{self._folder}/{tidy}" if self._folder else tidy
        # Only for a name without a folder: with one, it may well mean a picture that is missing.
        based = _compose(self._base) + tidy
        exact = self._exact.get(below) or self._exact.get(tidy) or self._exact.get(based)
        if exact := exact or self._last.get(tidy):
            return Match(exact, 0)
        self._index()
        found = None
        if _loosen(tidy.rpartition("/")[2]) in self._ends:  # the last part always stays
            found = (
                (self._find_loosely(below) if self._folder else None)
                or self._find_loosely(tidy)
                or (self._find_loosely(based) if self._base else None)
                or self._find_by_ending(tidy)
                or self._find_without_folders(tidy)
            )
        if found is None and "%" in tidy and (plain := _compose(unquote(tidy))) != tidy:
            return self(plain)
        return found

    def _index(self) -> None:
        if self._whole or not self._known:
            return
        for name in self._known:
            key = _loosen(_compose(name))
            self._whole.setdefault(key, []).append(name)
            self._ends.setdefault(key.rpartition("/")[2], []).append(name)

    def _find_loosely(self, path: str) -> Match | None:
        """Find a picture whose whole name differs only in case, ending or zeros."""
        return _find_closest(
            path, [(name, _compose(name)) for name in self._whole.get(_loosen(path), ())], 1, ""
        )

    def _find_by_ending(self, path: str) -> Match | None:
        """Find the one picture whose name ends in this one."""
        near = self._ends.get(_loosen(path.rpartition("/")[2]), [])
        if self._base and len(near) > 1:
            near = [name for name in near if name.startswith(self._base)]
        if len(near) > (1 if "/" not in path else _MOST_ALIKE):
            return None
        depth = path.count("/") + 1
        ends = [(name, "/".join(_compose(name).split("/")[-depth:])) for name in near]
        return _find_closest(path, ends, 2, "in the folder that holds it")

    def _find_without_folders(self, path: str) -> Match | None:
        """Find a picture by the rest of a path without its first folders."""
        loose = _loosen(path)
        at, loosely_at = path.find("/") + 1, loose.find("/") + 1
        while at:
            names = self._whole.get(loose[loosely_at:], ())
            if not names:
                at, loosely_at = path.find("/", at) + 1, loose.find("/", loosely_at) + 1
                continue
            rest, taken = path[at:], path[: at - 1].split("/")
            own = taken[-1].casefold() == self._root
            other = (
                {kind for part in taken if (kind := _find_split(part))} - self._splits if not own else set()
            )
            how = f"without {_shorten('/'.join(taken))}/"
            found = _find_closest(rest, [(name, _compose(name)) for name in names], 3 if own else 4, how)
            return found and dataclasses.replace(found, split=min(other, default=""))
        return None


def _find_closest(path: str, names: Sequence[tuple[str, str]], form: int, how: str) -> Match | None:
    """Return the name closest to a path among (own, simplified) names, or None if two are alike."""
    ranks: dict[int, list[str]] = defaultdict(list)
    for name, compared in names:
        if (rank := _compare(path, compared)) is not None:
            ranks[rank].append(name)
    if not ranks or len(ranks[best := min(ranks)]) > 1:
        return None
    assumed = ", ".join(filter(None, (how, _BY[best])))
    return Match(ranks[best][0], 4 * form + best, sys.intern(assumed))


def _compare(path: str, name: str) -> int | None:
    if path == name:
        return _SAME
    path, name = path.casefold(), name.casefold()
    if path == name:
        return _CASE
    path, name = _drop_ending(path), _drop_ending(name)
    if path == name:
        return _ENDING
    return _NUMBER if _drop_zeros(path) == _drop_zeros(name) else None


def _loosen(path: str) -> str:
    return _drop_zeros(_drop_ending(path.casefold()))


def _drop_ending(path: str) -> str:
    stem, dot, ending = path.rpartition(".")
    return stem if dot and f".{ending}" in _ENDINGS else path


def _drop_zeros(path: str) -> str:
    folder, slash, last = path.rpartition("/")
    number = _WHOLE.fullmatch(last)
    return f"{folder}{slash}{number[1]}" if number else path


def _tidy(file: str) -> str:
    """Return a path with slashes, without parts that mean nothing."""
    file = _compose(file).strip()
    if _PLAIN.fullmatch(file):
        return file
    file = file.strip("\"'").strip().replace("\\", "/")
    if file.lower().startswith(("file:", "http:", "https:", "s3:", "gs:")):
        file = unquote(urlsplit(file.split("?")[0].split("#")[0]).path)
    path = posixpath.normpath(file) if file else ""
    while path.startswith("../"):
        path = path[3:]
    return "" if path in (".", "..") else path.lstrip("/")


@functools.lru_cache(maxsize=4096)
def _find_split(folder: str) -> str:
    known = splits.find_part(folder)
    return known.kind if known and not known.shape else ""


def _find_shared_folders(names: Sequence[str]) -> list[str]:
    """Return the folders that all names have in common."""
    if not names:
        return []
    first, last = (name.split("/")[:-1] for name in (min(names), max(names)))
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return [folder for folder, _ in pairs]


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"...{text[-37:]}"


def _compose(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
