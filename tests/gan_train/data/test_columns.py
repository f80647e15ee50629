"""Data sets of other columns than pictures and classes pass through all that the room does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import Column, DataSet, PictureSet, cache, kinds
from gan_train.data.columns import by_name
from gan_train.data.decoding import decode_all
from gan_train.data.listing import Listing, PictureFiles

COUNT = 12
NUMBERS = np.arange(COUNT)
PIXELS = np.random.Generator(np.random.Philox(7)).integers(0, 256, (COUNT, 5, 4, 3)).astype(np.uint8)
NAMES = ("a", "b", "ü")

IMAGE = Column("image", "image", PIXELS)
RAMPS = Column("image", "image", (np.arange(COUNT * 42) % 251).astype(np.uint8).reshape(COUNT, 6, 7, 1))
TARGET = Column("target", "image", PIXELS[::-1, :, :, :1].copy())
CLASS = Column("class", "class", NUMBERS % 3, {"class_names": NAMES})
AGE = Column("age", "number", NUMBERS.astype(np.float32), {"unit": "years", "low": 0, "high": 100})
AUDIO = Column(
    "audio", "audio", np.sin(np.outer(1 + NUMBERS, np.arange(50))).astype(np.float32), {"sample_rate": 100}
)

PAIRS = DataSet("pairs", by_name(IMAGE, TARGET))
AGED = DataSet("aged", by_name(IMAGE, AGE))
SPOKEN = DataSet("spoken", by_name(AUDIO, CLASS))
SETS = pytest.mark.parametrize("data_set", [PAIRS, AGED, SPOKEN], ids=lambda each: each.name)


# Hashes.


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([IMAGE], "5eaa6974691c55fa3881219ca7fdad81e0dd3870bbb08d77801f30d114949731"),
        ([IMAGE, CLASS], "e5b3016303521e799ac340130ecfb88229eef8fd9f5b2fa94193753f43020547"),
        (
            [RAMPS],
            "1c477a3c6c728264a5c8273bea4ecfcdbe9380bcf3bb334d1504a1b01fe69596",
        ),
        (
            [RAMPS, CLASS],
            "425a0d04593e2e338419f032a81d9b3613f8f9a8c63357e7331903d0525aed06",
        ),
    ],
)
def test_pictures_with_and_without_classes_keep_the_hashes_that_runs_remember(
    columns: list[Column], expected: str
) -> None:
    assert DataSet("x", by_name(*columns)).sha256() == expected


def test_the_built_in_digits_keep_their_hash() -> None:
    expected = "5a96ebf84fe3159daf18172b500f2bf07a57aa8e53bc2258682a78a9b9bc0fba"
    assert data.load(DataOptions()).sha256() == expected


@SETS
def test_a_hash_sees_names_kinds_facts_types_and_values_but_no_order(data_set: DataSet) -> None:
    hashes = {data_set.sha256()}
    for name, column in data_set.columns.items():
        other = column.values.copy()
        other.reshape(-1)[-1] = other.reshape(-1)[-1] == 0
        changed = [
            Column(name, column.kind, other, column.facts),
            Column(name, column.kind, column.values, {**column.facts, "more": 1}),
            Column(name, column.kind, column.values.astype(np.float64), column.facts),
            Column(name, "number", column.values, {**column.facts, "kind": "other"}),
        ]
        hashes |= {data_set.with_columns(each).sha256() for each in changed}
        renamed = Column(f"{name} 2", column.kind, column.values, column.facts)
        hashes.add(data_set.without(name).with_columns(renamed).sha256())
    assert len(hashes) == 1 + 5 * len(data_set.columns)
    turned = DataSet("other name", dict(reversed(data_set.columns.items())))
    assert turned.sha256() == data_set.sha256()


def test_the_hash_of_other_columns_stays() -> None:
    assert {each.name: each.sha256()[:16] for each in (PAIRS, AGED, SPOKEN)} == {
        "pairs": "a28c11af4ddbb659",
        "aged": "e6eb6df27b7cfb41",
        "spoken": "21d65eed6d2e3cc9",
    }


# Selecting and comparing.


@SETS
def test_every_column_is_selected_alike(data_set: DataSet) -> None:
    which = np.zeros(COUNT, np.bool_)
    which[[1, 4, 5]] = True
    some = data_set.only(which)
    assert len(some) == 3
    for name, column in some.columns.items():
        assert np.array_equal(column.values, data_set.columns[name].values[[1, 4, 5]])
        assert column.facts == data_set.columns[name].facts
    assert data_set.only(np.array([5, 5])).sha256() == data_set.only(np.array([5, 5], np.int64)).sha256()


@SETS
def test_examples_in_common_are_those_whose_pictures_or_sounds_are_equal(data_set: DataSet) -> None:
    other = data_set.only(np.array([3, 0, 7]))
    assert np.flatnonzero(data_set.in_common(other)).tolist() == [0, 3, 7]


def test_a_pair_is_in_common_only_with_both_of_its_pictures() -> None:
    other = PAIRS.with_columns(Column("target", "image", np.roll(TARGET.values, 1, axis=0)))
    assert not PAIRS.in_common(other).any()
    assert not PAIRS.in_common(AGED).any()
    assert not DataSet("numbers", by_name(AGE)).in_common(DataSet("numbers", by_name(AGE))).any()


def test_a_picture_is_in_common_whatever_its_class_or_number() -> None:
    other = AGED.with_columns(Column("age", "number", AGE.values + 1))
    assert AGED.in_common(other).all()


def test_a_picture_set_is_a_view_of_its_columns() -> None:
    pictures = PictureSet("x", by_name(IMAGE, TARGET, CLASS))
    assert pictures.images is PIXELS
    assert pictures.labels is CLASS.values
    assert (pictures.height, pictures.width, pictures.channels, len(pictures)) == (5, 4, 3, COUNT)
    assert pictures.class_names == NAMES
    bare = pictures.without("class")
    assert isinstance(bare, PictureSet)
    assert (bare.labels, bare.class_names, list(bare.columns)) == (None, (), ["image", "target"])


# Checks.


@SETS
def test_good_columns_pass_their_checks(data_set: DataSet) -> None:
    checked = data_set.check()
    assert checked.columns == data_set.columns
    few = "classes with under 10 sounds will be learnt badly: 'a' (4), 'b' (4), 'ü' (4)"
    assert checked.warnings == ((few,) if data_set is SPOKEN else ())


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("image", "image", PIXELS.astype(np.float32)), "'image' is float32 [12, 5, 4, 3]; "),
        (Column("image", "image", PIXELS[..., 0]), "uint8 with 4 dimensions"),
        (Column("class", "class", NUMBERS, CLASS.facts), "from 0 to 11, and has 3 class names"),
        (Column("class", "class", NUMBERS - 1, CLASS.facts), "from -1 to 10"),
        (Column("age", "number", AGE.values - 1, AGE.facts), "from -1 to 10; its range is 0 to 100"),
        (Column("age", "number", AGE.values + np.inf), "not finite"),
        (Column("audio", "audio", AUDIO.values * 2), "between -1 and 1"),
        (Column("text", "text", NUMBERS), "of kind 'text'; the kinds are image, class, number, audio"),
    ],
)
def test_values_of_another_kind_are_refused_in_one_line(column: Column, words: str) -> None:
    with pytest.raises(DataError) as refused:
        DataSet("x", by_name(column)).check()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_columns_of_different_lengths_and_too_few_examples_are_refused() -> None:
    with pytest.raises(DataError, match="columns of lengths image: 12, age: 3"):
        DataSet("x", by_name(IMAGE, AGE.only(np.arange(3))))
    with pytest.raises(DataError, match="columns of lengths none"):
        DataSet("x", {})
    with pytest.raises(DataError, match="x holds 1 usable sound; give at least 10"):
        DataSet("x", by_name(AUDIO.only(np.arange(1)))).check()


# Decoding and the cache.


def pairs_of(folder: Path, options: DataOptions, bad: dict[int, str] | None = None) -> Listing:
    """List pairs of files image/0.png and target/0.png, with a class and an age each."""
    names = [f"{number}.png" for number in range(COUNT)]

    def files_of(name: str) -> PictureFiles:
        @contextlib.contextmanager
        def opened(number: int) -> Iterator[Image.Image]:
            try:
                image = Image.open(folder / name / names[number])
            except OSError:
                raise DataError("is no picture") from None
            with image:
                yield image

        return PictureFiles(opened)

    pictures = {name: files_of(name) for name in ("image", "target")}
    return Listing("folder", folder, "pairs", names, "f" * 32, pictures, by_name(CLASS, AGE), bad=bad or {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, column in (("image", IMAGE), ("target", TARGET)):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number, pixels in enumerate(column.values):
            large = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
            Image.fromarray(large.squeeze()).save(tmp_path / "pairs" / name / f"{number}.png")
    return tmp_path / "pairs"


def load(folder: Path, **options: object) -> DataSet:
    asked = DataOptions(source=str(folder), **options)  # type: ignore[arg-type]
    return decode_all.load_set(pairs_of(folder, asked), asked, lambda done, total: None, DataSet)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one for every picture that is decoded."""
    calls: list[int] = []
    real = decode_all.decode.prepare
    monkeypatch.setattr(decode_all.decode, "prepare", lambda *given: (calls.append(1), real(*given))[1])
    return calls


@pytest.mark.parametrize("limit", [2**30, 1000])
def test_pairs_are_decoded_and_cached_column_by_column(
    folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", limit)
    first, again = load(folder), load(folder)
    assert len(decoded) == 2 * COUNT
    assert list(first.columns) == ["image", "target", "class", "age"]
    assert np.array_equal(first.columns["image"].values[:, ::4, ::4], PIXELS)
    assert np.array_equal(first.columns["target"].values[:, ::4, ::4], TARGET.values)
    assert isinstance(again.columns["target"].values, np.memmap) == (limit == 1000)
    assert again.sha256() == first.sha256()
    assert again.warnings == first.warnings
    load(folder, height=8, width=8)
    assert len(decoded) == 4 * COUNT
    assert len(list(cache.directory().glob("*.npy"))) == 2  # the old ones are replaced


def test_a_pair_with_one_bad_picture_is_left_out_of_every_column(folder: Path) -> None:
    (folder / "target" / "3.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"3\.png has a target that is no picture"):
        load(folder)
    for _ in range(2):  # decoded, and from the cache
        kept = load(folder, on_bad="skip")
        assert len(kept) == COUNT - 1
        assert kept.columns["age"].values.tolist() == [number for number in range(COUNT) if number != 3]
        assert kept.columns["class"].facts["class_names"] == NAMES


def test_duplicates_are_pairs_that_repeat_in_both_columns(folder: Path) -> None:
    (folder / "image" / "5.png").write_bytes((folder / "image" / "2.png").read_bytes())
    assert not any("repeat others" in note for note in load(folder).warnings)
    (folder / "target" / "5.png").write_bytes((folder / "target" / "2.png").read_bytes())
    asked = DataOptions(source=str(folder), height=8, width=8)
    listing = pairs_of(folder, asked)
    told = decode_all.load_set(listing, asked, lambda done, total: None, DataSet).warnings
    assert any("1 pictures repeat others, as prepared (2.png = 5.png)" in note for note in told)


def test_a_cache_of_other_columns_is_never_read(folder: Path, decoded: list[int]) -> None:
    load(folder)
    asked = DataOptions(source=str(folder))
    listing = pairs_of(folder, asked)
    alone = Listing("folder", folder, "x", listing.names, "f" * 32, {"image": listing.pictures["image"]})
    lone = decode_all.load_set(alone, asked, lambda done, total: None, DataSet)
    assert len(decoded) == 3 * COUNT
    assert list(lone.columns) == ["image"]
    load(folder)
    assert len(decoded) == 5 * COUNT
    (note,) = cache.directory().glob("*.json")
    tree = json.loads(note.read_text())
    tree["columns"]["target"]["array"] = tree["columns"]["image"]["array"]
    note.write_text(json.dumps(tree))
    load(folder)
    assert len(decoded) == 7 * COUNT


def test_columns_at_hand_need_no_decoding(tmp_path: Path) -> None:
    names = [f"{number}.wav" for number in range(COUNT)]
    listing = Listing(
        "folder", tmp_path, "spoken", names, "", given=by_name(AUDIO, CLASS), bad={4: "is empty"}
    )
    options = DataOptions(source=str(tmp_path), on_bad="skip")
    loaded = decode_all.load_set(listing, options, lambda done, total: None, DataSet)
    assert list(loaded.columns) == ["audio", "class"]
    assert np.array_equal(loaded.columns["audio"].values, np.delete(AUDIO.values, 4, axis=0))


def test_a_cache_of_version_0_1_is_found(photos: Path, decoded: list[int]) -> None:
    first = data.load(DataOptions(source=str(photos)))
    (note,) = cache.directory().glob("*.json")
    (array,) = cache.directory().glob("*.npy")
    tree = json.loads(note.read_text())
    assert list(tree) == [
        *("fingerprint", "fit", "asked", "shape", "bad", "notes", "asked_range", "value_range"),
        *("version", "source", "array"),
    ]
    assert (tree["version"], tree["shape"], tree["array"]) == (3, [30, 40, 3], array.name)
    assert array.name == f"{note.stem}-{array.stem.split('-')[1]}.npy"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (24, 30, 40, 3), }"
    assert array.read_bytes()[10:].startswith(header)
    assert array.read_bytes()[128:] == first.images.tobytes()
    assert data.load(DataOptions(source=str(photos))).sha256() == first.sha256()
    assert len(decoded) == 24


# A new kind.


NOT_ASKED = (None, None, None)


class Points(kinds.Kind):
    """Points in a plane: float32 [n, points, 2]."""

    noun = "drawing"
    sides = 2
    identifies = True

    def describe(self, column: Column) -> str:
        """Return how many points each drawing has."""
        return f"{len(column):,} of {column.shape[0]} points"


def test_a_new_kind_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(kinds.KINDS, "points", Points())
    points = Column("points", "points", np.arange(COUNT * 6, dtype=np.float32).reshape(COUNT, 3, 2))
    drawings = DataSet("drawings", by_name(points, CLASS)).check()
    assert drawings.noun == "drawing"
    assert drawings.in_common(drawings.only(np.array([2]))).sum() == 1
    assert drawings.sha256() != drawings.only(np.arange(COUNT)[::-1]).sha256()
    assert kinds.kind_of(points).describe(points) == "12 of 3 points"
    request = cache.Request(tmp_path, "f", "crop", NOT_ASKED, COUNT, {"points": "points"})
    record = cache.Record("f", "crop", NOT_ASKED, {"points": (3, 2)}, {}, ())
    written = cache.write(request, record.shapes, ({"points": row} for row in points.values), lambda: record)
    assert np.array_equal(written["points"], points.values)
    kept = cache.load(request)
    assert kept is not None
    assert np.array_equal(kept[1]["points"], points.values)
    monkeypatch.delitem(kinds.KINDS, "points")
    with pytest.raises(DataError, match="of kind 'points'; the kinds are"):
        drawings.sha256()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (IMAGE, "12 of 5x4x3"),
        (CLASS, "a: 4, b: 4, ü: 4"),
        (AGE, "12 from 0 to 11 years"),
        (AUDIO, "12 of 0.5 s at 100 Hz"),
    ],
)
def test_a_column_is_described_by_its_kind(column: Column, text: str) -> None:
    assert kinds.kind_of(column).describe(column) == text
