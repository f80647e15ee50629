"""Tables of labels, as text alone and through the front door."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data.pictures import PictureSet
from gan_train.data.tables import labels

PAIRS = [("a.png", "cat"), ("b.png", "dog")]


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Return a folder of twelve pictures, 00.png to 11.png."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for index in range(12):
        Image.new("L", (20, 20), index * 20).save(folder / f"{index:02}.png")
    return folder


def rows(kind: str = "file_name,label", count: int = 12) -> str:
    return "\n".join([kind, *(f"{index:02}.png,{'ab'[index % 2]}" for index in range(count))])


def stylegan(count: int = 12) -> str:
    return json.dumps({"labels": [[f"{index:02}.png", index % 3] for index in range(count)]})


# Text to pairs.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "file_name,label\na.png,cat\nb.png,dog\n"),
        ("t.csv", "\ufefffile_name,label\r\na.png,cat\r\n\r\nb.png,dog\r\n"),
        ("t.csv", "Category;text;Path\ncat;one, two;a.png\ndog;x;b.png"),
        ("t.tsv", "image\tclass\na.png\tcat\nb.png\tdog\n"),
        ("t.csv", 'a.png,cat\n"b.png", dog\n'),
        ("t.json", '{"labels": [["a.png", "cat"], ["b.png", "dog"]]}'),
        ("t.json", '{"a.png": "cat", "b.png": "dog"}'),
        ("t.json", '[{"file": "a.png", "label": "cat"}, {"file": "b.png", "label": "dog"}]'),
        (
            "t.jsonl",
            '{"file_name": "a.png", "label": "cat"}\n\n{"file_name": "b.png", "label": "dog", "x": 1}',
        ),
    ],
)
def test_the_forms_of_a_table(name: str, text: str) -> None:
    assert labels.parse(text.encode(), name) == PAIRS


def test_numbers_and_missing_labels() -> None:
    text = '{"a": 3, "b": 4.0, "c": null}'
    assert labels.parse(text.encode(), "t.json") == [("a", "3"), ("b", "4"), ("c", "")]
    assert labels.parse(b'{"labels": null}', "dataset.json") == []


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.csv", "file_name,text\na.png,hello\n", "has columns file_name, text; expected one of"),
        ("t.csv", "", "is empty"),
        ("t.csv", "file_name,label\na.png\n", "too few columns"),
        ("t.csv", "file_name,label\na.png\n\xff\xfe".encode("latin-1"), "too few columns"),
        ("t.json", "{", "cannot be read as a table"),
        ("t.json", "[" * 100_000, "cannot be read as a table"),
        ("t.json", "3", "holds no table"),
        ("t.json", '{"labels": [["a.png", [0, 1]]]}', "where a text or whole number is expected"),
        ("t.jsonl", "[1]", "instead of an object"),
        ("t.jsonl", '{"file_name": "a.png", "text": "hello"}', "has columns"),
    ],
)
def test_tables_that_cannot_be_used(name: str, text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        labels.parse(text if isinstance(text, bytes) else text.encode(), name)
    assert name in str(caught.value)


@given(
    st.one_of(
        st.binary(max_size=80), st.text('file_name,label"[]{}:;\n\t ax1.-', max_size=80).map(str.encode)
    ),
    st.sampled_from(["t.csv", "t.json", "t.jsonl"]),
)
def test_any_bytes_are_a_table_or_a_data_error(content: bytes, name: str) -> None:
    with contextlib.suppress(DataError):  # and no other
        pairs = labels.parse(content, name)
        assert all(isinstance(file, str) and isinstance(label, str) for file, label in pairs)


# Pairs to pictures.


def assign(pairs: labels.Pairs, names: list[str], table: str = "labels.csv") -> list[str]:
    return labels.assign(pairs, table, names, names)[0]


def test_how_pictures_are_found() -> None:
    assert assign([("./x.png", "1")], ["x.png"]) == ["1"]
    assert assign([("in\\x.png", "1")], ["in/x.png"]) == ["1"]
    assert assign([("x.png", "1")], ["train/x.png"], "train/metadata.csv") == ["1"]
    assert assign([("train/x.png", "1")], ["train/x.png"], "train/metadata.csv") == ["1"]
    assert assign([("x.png", "1")], ["deep/x.png"]) == ["1"]
    assert assign([("caf\u00e9.png", "1")], ["cafe\u0301.png"]) == ["1"]
    both = ["a/x.png", "b/x.png"]
    assert assign([("x.png", "1"), ("a/x.png", "2"), ("b/x.png", "3")], both) == ["2", "3"]


def test_pictures_and_rows_that_do_not_meet() -> None:
    names = ["a.png", "b.png", "c.png"]
    given_labels, note = labels.assign([*PAIRS, ("gone.png", "cat")], "t.csv", names, names)
    assert given_labels == ["cat", "dog", ""]
    assert "1 pictures without a label are left out (c.png)" in note
    assert "1 files that it names are not there (gone.png)" in note
    with pytest.raises(DataError, match="labels only 1 of 3 pictures"):
        assign(PAIRS[:1], names)
    with pytest.raises(DataError, match=r"gives a.png two labels, 'cat' and 'dog'"):
        assign([("a.png", "cat"), ("a.png", "dog")], names)
    assert assign(PAIRS * 2, ["a.png"]) == ["cat"]
    # What another split holds is not missing.
    assert "not there" not in labels.assign(PAIRS, "t.csv", ["a.png"], ["a.png", "b.png"])[1]


# Through the front door.


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "dataset.json"])
@pytest.mark.parametrize("packed", [False, True])
def test_tables_found_by_their_names(flat: Path, tmp_path: Path, name: str, packed: bool) -> None:
    objects = [{"file_name": f"{index:02}.png", "label": f"c{index % 2}"} for index in range(12)]
    text = {
        "metadata.csv": rows(),
        "metadata.jsonl": "\n".join(map(json.dumps, objects)),
        "dataset.json": stylegan(),
    }[name]
    (flat / name).write_text(text)
    source = flat
    if packed:
        source = tmp_path / "flat.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in flat.iterdir():
                archive.write(path, f"flat/{path.name}")
    pictures = load(source)
    expected = {"metadata.csv": ("a", "b"), "metadata.jsonl": ("c0", "c1"), "dataset.json": ("0", "1", "2")}
    assert pictures.class_names == expected[name]
    assert pictures.labels is not None
    assert pictures.labels.tolist() == [index % len(pictures.class_names) for index in range(12)]
    assert any(f"classes are read from {'flat/' if packed else ''}{name}" in w for w in pictures.warnings)


def test_a_table_that_is_named_lies_anywhere_near(flat: Path, tmp_path: Path) -> None:
    (flat / "inside.csv").write_text(rows())
    (tmp_path / "beside.csv").write_text(rows())
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "away.csv").write_text(rows())
    for name in ("inside.csv", "beside.csv", str(tmp_path / "far" / "away.csv"), str(flat / "inside.csv")):
        assert load(flat, labels=name).class_names == ("a", "b")
    with pytest.raises(DataError, match=r"no table of labels 'gone.csv'"):
        load(flat, labels="gone.csv")
    (flat / "inside.csv").write_text("nonsense")
    with pytest.raises(DataError, match=r"inside.csv has columns nonsense"):
        load(flat, labels="inside.csv")


def test_a_table_of_other_things_is_said_not_to_be_used(flat: Path) -> None:
    (flat / "metadata.csv").write_text("file_name,text\n00.png,a dog on a lawn\n")
    pictures = load(flat)
    assert pictures.labels is None
    assert any("not used for labels" in warning for warning in pictures.warnings)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metadata.csv", b"file_name,label\n00.png,a\n01.png\n", "too few columns"),
        ("metadata.csv", "file_name,label\n00.png,a\n".encode("utf-16"), "labels only 1 of 12"),
        ("metadata.jsonl", b'{"file_name": "00.png", "label": 1}\n{"file_na', "cannot be read"),
        ("metadata.csv", b"", "is empty"),
    ],
)
def test_a_damaged_table_is_not_passed_over(flat: Path, name: str, content: bytes, said: str) -> None:
    (flat / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(flat)


def test_a_pipe_in_place_of_a_table_is_not_waited_for(flat: Path) -> None:
    os.mkfifo(flat / "metadata.csv")
    with pytest.raises(DataError, match=r"metadata.csv is no regular file"):
        load(flat)


def test_a_table_in_the_train_folder_of_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "set" / split
        folder.mkdir(parents=True)
        for index in range(12):
            Image.new("L", (20, 20), index).save(folder / f"{index:02}.png")
        (folder / "metadata.csv").write_text(rows())
    pictures = load(tmp_path / "set")
    assert len(pictures) == 12
    assert pictures.class_names == ("a", "b")


def test_numbered_folders_beside_a_table_without_labels_are_no_classes(flat: Path) -> None:
    for part in range(2):
        (flat / f"0000{part}").mkdir()
        for index in range(6):
            (flat / f"{part * 6 + index:02}.png").rename(flat / f"0000{part}" / f"{index}.png")
    assert load(flat).class_names == ("00000", "00001")
    (flat / "dataset.json").write_text('{"labels": null}')
    assert load(flat).labels is None


def test_labels_sort_as_numbers_and_a_single_class_is_none(flat: Path) -> None:
    table = flat / "labels.json"
    table.write_text(json.dumps({f"{index:02}.png": [10, 9, -1][index % 3] for index in range(12)}))
    assert load(flat, labels="labels.json").class_names == ("-1", "9", "10")
    table.write_text(json.dumps({f"{index:02}.png": "same" for index in range(12)}))
    pictures = load(flat, labels="labels.json")
    assert pictures.labels is None
    assert any("of one class, 'same'" in warning for warning in pictures.warnings)


def test_other_labels_do_not_need_new_pictures(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (flat / "x.csv").write_text(rows())
    load(flat, labels="x.csv")
    monkeypatch.setattr(data.decode_all.decode, "prepare", None)
    (flat / "x.csv").write_text(rows().replace(",a", ",first"))
    assert load(flat, labels="x.csv").class_names == ("b", "first")


def test_labels_of_arrays_lie_with_them() -> None:
    with pytest.raises(DataError, match="leave out --labels"):
        load("digits", labels="x.csv")
