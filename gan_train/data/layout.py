"""From file names to what they mean: classes by subfolder, splits into train and test; it opens nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from gan_train.data.listing import examples, shown

TRAIN: Final = frozenset({"train", "training"})
OTHER_SPLITS: Final = frozenset({"test", "testing", "val", "valid", "validation", "dev", "eval"})


@dataclasses.dataclass(frozen=True)
class Layout:
    """The pictures to use.

    Attributes:
        chosen: their places among the names.
        base: the folder that holds all of them, "" or ending in "/".
        classes: the subfolder of `base` that each lies in ("" for none), or None where all lie
            in `base` itself.
        notes: what was left out, and why.
    """

    chosen: tuple[int, ...]
    base: str
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]

    @property
    def beside(self) -> int:
        """How many pictures lie beside subfolders with pictures."""
        return sum(not name for name in self.classes or ())


def of(names: Sequence[str], folders: Sequence[str]) -> Layout:
    """Find the folder that holds the pictures, by itself or in one subfolder a class.

    Folders that only hold one other are gone through. Where there is a train folder beside test or
    validation folders alone, it is taken.
    """
    chosen, base, notes = tuple(range(len(names))), "", list[str]()
    while True:
        tops = [names[place][len(base) :].partition("/") for place in chosen]
        found = {top if slash else "" for top, slash, _ in tops}
        if len(found) == 1 and "" not in found:
            base += f"{found.pop()}/"
            continue
        train = [top for top in found if top.lower() in TRAIN]
        if len(train) == 1 and all(top.lower() in OTHER_SPLITS for top in found - set(train)):
            left = [top for top, _, _ in tops if top != train[0]]
            chosen = tuple(place for place, (top, _, _) in zip(chosen, tops, strict=True) if top == train[0])
            notes.append(
                f"of the splits {examples(sorted(found))} the {len(chosen):,} pictures of "
                f"{shown(base + train[0])} are taken, {len(left):,} left out; name another to train on that"
            )
            base += f"{train[0]}/"
            continue
        break
    if found <= {""}:
        return Layout(chosen, base, None, tuple(notes))
    notes += _oddities(found - {""}, base, folders)
    return Layout(chosen, base, tuple(top if slash else "" for top, slash, _ in tops), tuple(notes))


def _oddities(classes: set[str], base: str, folders: Sequence[str]) -> list[str]:
    notes = []
    beside = {name[len(base) :] for name in folders if name.startswith(base)}
    if empty := sorted(name for name in beside - classes if name and "/" not in name):
        notes.append(f"folders without pictures are no classes: {examples(empty)}")
    folded: dict[str, list[str]] = {}
    for name in sorted(classes):
        folded.setdefault(name.casefold(), []).append(name)
    if alike := [" and ".join(group) for group in folded.values() if len(group) > 1]:
        notes.append(f"classes whose names differ only in case are kept apart: {examples(alike)}")
    return notes
