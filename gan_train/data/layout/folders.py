"""Reads from the names of files which pictures to use: classes by subfolder, splits into train and test."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from gan_infer.errors import DataError
from gan_train.data.layout import splits
from gan_train.data.names import escape, list_names

_AS_CLASSES: Final = "--split none takes these folders as classes"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The pictures to use.

    Attributes:
        chosen: their indices among the names.
        base: the folder that holds all of them, "" or ending in "/".
        classes: the subfolder of `base` that each lies in ("" for none), or None if all lie
            in `base` itself.
        notes: what was left out, and why.
        left_out: folders below the classes that belong to another split, such as cats/test.
    """

    chosen: tuple[int, ...]
    base: str
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]
    left_out: frozenset[str] = frozenset()

    @property
    def beside(self) -> int:
        """The number of pictures that lie beside subfolders with pictures."""
        return sum(not name for name in self.classes or ())

    def holds(self, name: str) -> bool:
        """Return whether a file lies where the chosen pictures do."""
        return name.startswith(self.base) and _get_two_folders(name, self.base) not in self.left_out


def read_layout(
    names: Sequence[str], folders: Sequence[str], place: str = "", find_splits: bool = True
) -> Layout:
    """Find the folder that holds the pictures, directly or in one subfolder for each class.

    Folders that only hold one other folder are skipped. If there is a train folder beside test or
    validation, it is used; of images beside their masks or labels, the images.

    Args:
        place: of the source, for messages.
        find_splits: False takes all folders as classes, whatever their names.

    Raises:
        DataError: there are splits, and none of them is for training.
    """
    chosen, base, notes = tuple(range(len(names))), "", list[str]()
    while True:
        tops = [names[at][len(base) :].partition("/") for at in chosen]
        found = {top if slash else "" for top, slash, _ in tops}
        if len(found) == 1 and "" not in found:
            base += f"{found.pop()}/"
            continue
        take = _pick(found, base, place) if find_splits else ""
        if not take:
            break
        kept = tuple(at for at, (top, slash, _) in zip(chosen, tops, strict=True) if slash and top == take)
        what = "splits" if splits.find_part(take) else "folders"
        notes.append(
            f"of the {what} {list_names(sorted(found - {''}))} the {len(kept):,} pictures of "
            f"{escape(base + take)} are taken, {len(chosen) - len(kept):,} left out; "
            f"name another to train on that ({_AS_CLASSES})"
        )
        chosen, base = kept, f"{base}{take}/"
    if find_splits and (note := splits.note_names_of_files(names[at] for at in chosen)):
        notes.append(note)
    if found <= {""}:
        return Layout(chosen, base, None, tuple(notes))
    left_out: frozenset[str] = frozenset()
    if find_splits:
        chosen, left_out, note = _choose_in_classes(names, chosen, base)
        notes += [note] if note else []
    classes = tuple(_get_first_folder(names[at], base) for at in chosen)
    notes += _note_oddities(set(classes) - {""}, base, folders)
    if find_splits and (note := _note_pairs([names[at][len(base) :] for at in chosen])):
        notes.append(note)
    return Layout(chosen, base, classes, tuple(notes), left_out)


def _get_first_folder(name: str, base: str) -> str:
    top, slash, _ = name[len(base) :].partition("/")
    return top if slash else ""


def _get_two_folders(name: str, base: str) -> str:
    """Return the first two folders below `base` that a file lies in."""
    return "/".join(name[len(base) :].split("/")[:-1][:2])


def _pick(found: set[str], base: str, place: str) -> str:
    """Return the only one of several folders to train on, "" if they are classes.

    Raises:
        DataError: it is not clear which of them that is.
    """
    seen = splits.decide(found)
    seen = seen if seen.take or seen.why else splits.find_images(found)
    if seen.why:
        above = "/".join(filter(None, (place, escape(base).rstrip("/"))))
        names = sorted(found - {""})
        known = {name: part.kind for name in names if (part := splits.find_part(name))}
        one = next((name for name in names if known.get(name) == splits.TRAIN), names[0])
        raise DataError(
            f"{above} {seen.why}; name the one to train on, such as {above}/{escape(one)} ({_AS_CLASSES})"
        )
    return seen.take


def _choose_in_classes(
    names: Sequence[str], chosen: tuple[int, ...], base: str
) -> tuple[tuple[int, ...], frozenset[str], str]:
    """Leave out the test pictures of classes that each have their own splits (cats/train, cats/test)."""
    inner: dict[str, set[str]] = defaultdict(set)
    for at in chosen:
        parts = names[at][len(base) :].split("/")
        inner[parts[0] if len(parts) > 1 else ""].add(parts[1] if len(parts) > 2 else "")
    if "" in inner:
        return chosen, frozenset(), ""
    taken = {}
    for name, found in inner.items():
        if "" in found:
            return chosen, frozenset(), ""
        lone = next(iter(found)) if len(found) == 1 else ""
        known = splits.find_part(lone) if lone else None
        taken[name] = lone if known and known.kind == splits.TRAIN else splits.decide(found).take
        if not taken[name]:
            return chosen, frozenset(), ""
    left_out = frozenset(
        f"{name}/{other}" for name, found in inner.items() for other in found - {taken[name]}
    )
    kept = tuple(at for at in chosen if _get_two_folders(names[at], base) not in left_out)
    if len(kept) == len(chosen):
        return chosen, frozenset(), ""
    every, train = sorted(set().union(*inner.values())), sorted(set(taken.values()))
    note = (
        f"of the splits in each class ({list_names(every)}) the {len(kept):,} pictures of "
        f"{list_names(train)} are taken, {len(chosen) - len(kept):,} left out ({_AS_CLASSES})"
    )
    return kept, left_out, note


def _note_pairs(names: Sequence[str]) -> str:
    """Return a note that classes look like the two sides of pairs: folders with the same names in each."""
    inside: dict[str, list[str]] = defaultdict(list)
    for name in names:
        top, _, rest = name.partition("/")
        inside[top].append(rest.rpartition(".")[0])
    tops = sorted(inside)
    if len(tops) < 2 or not splits.are_pair_names(tops) or len({len(each) for each in inside.values()}) > 1:
        return ""
    if len({frozenset(each) for each in inside.values()}) > 1:
        return ""
    return (
        f"the folders {list_names(tops)} hold pictures of the same names, as pairs do; they are learnt as "
        f"classes (name one of them, such as {escape(tops[0])}, to learn it alone)"
    )


def _note_oddities(classes: set[str], base: str, folders: Sequence[str]) -> list[str]:
    notes = []
    beside = {name[len(base) :] for name in folders if name.startswith(base)}
    if empty := sorted(name for name in beside - classes if name and "/" not in name):
        notes.append(f"folders without pictures are no classes: {list_names(empty)}")
    folded: dict[str, list[str]] = {}
    for name in sorted(classes):
        folded.setdefault(name.casefold(), []).append(name)
    if alike := [" and ".join(group) for group in folded.values() if len(group) > 1]:
        notes.append(f"classes whose names differ only in case are kept apart: {list_names(alike)}")
    return notes
