"""Recognises the splits of a data set (train, test ...) by the names of folders beside each other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from gan_train.data.names import escape, list_names

TRAIN: Final = "train"
HELD_OUT: Final = "held out"
REST: Final = "rest"
ANNOTATIONS: Final = "annotations"

_WORDS: Final = {
    **dict.fromkeys(
        ("train", "training", "trainset", "traindata", "trainval", "trn", "labeled", "labelled"), TRAIN
    ),
    **dict.fromkeys(("test", "testing", "testset", "testdata", "val", "valid", "validation"), HELD_OUT),
    **dict.fromkeys(("valset", "validset", "dev", "eval", "evaluation", "holdout", "heldout"), HELD_OUT),
    **dict.fromkeys(("unlabeled", "unlabelled", "unsup", "unsupervised", "extra", "pred", "predict"), REST),
}
# So clear that a single one among other folders is never taken for a class without being asked for.
_CLEAR: Final = frozenset({"test", "testing", "val", "valid", "validation"})
_FILLERS: Final = frozenset(
    {
        *("set", "data", "dataset", "split", "samples", "folder", "dir", "files"),
        *("images", "image", "imgs", "img"),
    }
    | {"pictures", "photos", "x"}
)
_IMAGES: Final = frozenset(
    {"images", "image", "imgs", "img", "photos", "pictures", "jpegimages", "rgb", "leftimg8bit"}
)
_ANNOTATIONS: Final = frozenset(
    {
        *(
            "mask",
            "masks",
            "label",
            "labels",
            "annotation",
            "annotations",
            "annots",
            "anns",
            "gt",
            "groundtruth",
        ),
        *("segmentation", "segmentations", "segmentationclass", "segmentationobject", "seg", "semantic"),
        *("depth", "depths", "edges", "bboxes", "boxes", "keypoints", "trimaps", "gtfine", "gtcoarse"),
    }
)
# Only behind a word for pictures or labels, as in imagesTr.
_SHORT: Final = {"tr": TRAIN, "ts": HELD_OUT, "va": HELD_OUT}
# Only where all folders are named so.
_SHORTEST: Final = frozenset({"tr", "te", "ts", "va", "vl"})
_PAIRS: Final = (
    *({"day", "night"}, {"before", "after"}, {"input", "target"}, {"input", "output"}, {"inputs", "targets"}),
    *({"source", "target"}, {"a", "b"}, {"lr", "hr"}, {"low", "high"}, {"blur", "sharp"}, {"noisy", "clean"}),
    *({"photo", "sketch"}, {"photos", "sketches"}, {"left", "right"}, {"rgb", "nir"}, {"real", "edges"}),
)
_TOKEN: Final = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_FOLD: Final = re.compile(r"(?:fold|split|kfold|cv)[_\-. ]*\d+", re.IGNORECASE)
_OF_A_SPLIT: Final = re.compile(r"(train|test|val|valid)(?:ing|idation)?[_\-. ]*\d", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Part:
    """The meaning of a folder's name: its kind, and the rest of the name (seg, A)."""

    kind: str
    shape: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Splits:
    """The decision on the folders of one level.

    Attributes:
        take: the folder to train on, "" if they are no splits.
        why: why they cannot be used as they are, "" if they can.
    """

    take: str = ""
    why: str = ""


def find_part(name: str) -> Part | None:
    """Return the part of a data set that a folder's name means, or None."""
    tokens = _split_words(name)
    if len(tokens) == 2 and tokens[0] in _IMAGES | _ANNOTATIONS and tokens[1] in _SHORT:
        return Part(ANNOTATIONS if tokens[0] in _ANNOTATIONS else _SHORT[tokens[1]], ())
    kinds = {_WORDS[token] for token in tokens if token in _WORDS}
    if len(kinds) != 1:
        return None
    others = [token for token in tokens if token not in _WORDS and not token.isdigit()]
    if noted := _ANNOTATIONS.intersection(others):
        # seg_train is a training split, as train_seg is of its annotations.
        first = next(iter(noted))
        if tokens.index(first) > tokens.index(next(token for token in tokens if token in _WORDS)):
            return Part(ANNOTATIONS, ())
    return Part(kinds.pop(), tuple(token for token in others if token not in _FILLERS))


def _split_words(name: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(name)]


def decide(found: Iterable[str]) -> Splits:
    """Decide which splits folders with pictures are ("" for the pictures beside them)."""
    names = sorted(set(found) - {""})
    parts = {name: known for name in names if (known := find_part(name)) is not None}
    trains = [name for name in parts if parts[name].kind == TRAIN]
    held = [name for name in parts if parts[name].kind == HELD_OUT]
    if not trains:
        return _decide_without_train(names, parts, held)
    shapes = {parts[name].shape for name in trains}
    beside = [name for name in held if parts[name].shape in shapes]
    rest = [name for name in parts if parts[name].kind in (REST, ANNOTATIONS)]
    unknown = [name for name in names if name not in {*trains, *beside, *rest}]
    if unknown and len(trains) == 1 and all(_narrows(parts.get(name), parts[trains[0]]) for name in unknown):
        beside, unknown = [*beside, *unknown], []  # TEST_SIMPLE beside TRAIN
    if len(trains) > 1:
        alike = {tuple(word for word in shape if word not in ("a", "b")) for shape in shapes}
        if (len(alike) == 1 or beside) and not unknown:
            return Splits(why=f"holds several training splits ({list_names(trains)})")
        return Splits()
    if not beside and (unknown or not rest):
        return Splits()
    if unknown:
        return Splits(why=f"holds the splits {list_names([*trains, *beside])} beside {list_names(unknown)}")
    return Splits(take=trains[0])


def _narrows(known: Part | None, train: Part) -> bool:
    """Return whether a folder holds tests of a training split, under a longer name."""
    return known is not None and known.kind == HELD_OUT and set(train.shape) <= set(known.shape)


def _decide_without_train(names: list[str], parts: dict[str, Part], held: list[str]) -> Splits:
    if len(names) < 2:
        return Splits()
    if held and all(name in parts for name in names):
        return Splits(why=f"holds the splits {list_names(names)}, and none to train on")
    if {"tr"} < {name.lower() for name in names} <= _SHORTEST:
        return Splits(take=next(name for name in names if name.lower() == "tr"))
    if all(_FOLD.fullmatch(name) for name in names):
        return Splits(why=f"holds the folds {list_names(names)}")
    plain = [name for name in held if not parts[name].shape]
    clear = [name for name in plain if _CLEAR.intersection(_split_words(name))]
    if "invalid" in map(str.lower, names):  # valid is its opposite
        clear = [name for name in clear if "valid" not in _split_words(name)]
    if clear:
        others = list_names([name for name in names if name not in clear])
        return Splits(why=f"holds {list_names(clear)}, as test pictures are named, beside {others}")
    return Splits()


def find_held_out(names: Iterable[str], train: str) -> list[str]:
    """Return the folders beside a training split that hold its test pictures."""
    names = list(names)
    if train.lower() == "tr":
        return [name for name in names if name.lower() in _SHORTEST - {"tr"}]
    own = find_part(train)
    if own is None or own.kind != TRAIN:
        return []
    wanted = Part(HELD_OUT, own.shape)
    found = [name for name in names if find_part(name) == wanted]
    return sorted(found or [name for name in names if _narrows(find_part(name), own)], key=str.lower)


def find_images(found: Iterable[str]) -> Splits:
    """Decide which of the folders hold pictures, and which their masks or labels."""
    words = {name: "".join(_TOKEN.findall(name)).lower() for name in sorted(set(found) - {""})}
    images = [name for name, word in words.items() if word in _IMAGES]
    annotations = [name for name, word in words.items() if word in _ANNOTATIONS]
    if not images or not annotations:
        return Splits()
    if len(images) == 1 and len(images) + len(annotations) == len(words):
        return Splits(take=images[0])
    others = [name for name in words if name not in annotations]
    return Splits(
        why=f"holds {list_names(annotations)}, as masks and labels are named, beside {list_names(others)}"
    )


def are_pair_names(names: Iterable[str]) -> bool:
    """Return whether folders are named as the two sides of pairs are."""
    lower = {name.lower() for name in names}
    return any(pair <= lower for pair in _PAIRS)


def note_names_of_files(names: Iterable[str]) -> str:
    """Return a note on files with names of a test split beside files of training, "" for none."""
    kinds: dict[str, list[str]] = {TRAIN: [], HELD_OUT: []}
    for name in names:
        if found := _OF_A_SPLIT.match(name.rpartition("/")[2]):
            kinds[TRAIN if found[1].lower() == "train" else HELD_OUT].append(name)
    if not kinds[TRAIN] or not (held := kinds[HELD_OUT]):
        return ""
    return (
        f"{len(held):,} files are named as of a test split ({escape(held[0])}), and are learnt all the same; "
        "move them elsewhere to hold them out"
    )
