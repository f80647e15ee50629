"""One small set in the layouts that people have: the same arrays and classes, or one clear line."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import DataError, GanError
from gan_train import data
from gan_train.cli import main
from gan_train.config.options import Config, DataOptions, from_tree
from gan_train.data import encodings, held_out
from gan_train.data.pictures import PictureSet
from gan_train.data.tables import labels
from gan_train.data.tables.table import Table
from tests.conftest import CommandLine

CLASSES = ("apple", "bird", "cat")
PICTURES = np.random.default_rng(0).integers(0, 256, (24, 12, 12, 3), dtype=np.uint8)


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def encoded(index: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURES[index]).save(stream, "PNG")
    return stream.getvalue()


PNGS = [encoded(index) for index in range(len(PICTURES))]


def names(classes: Sequence[str] = CLASSES) -> Iterator[tuple[str, int]]:
    """Return the names of the set as clean folders, each with its picture's number."""
    for index in range(len(PICTURES)):
        yield f"{classes[index // 8]}/{index:03}.png", index


def write(root: Path, name: str, content: bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


def folders(root: Path, classes: Sequence[str] = CLASSES, below: str = "") -> Path:
    for name, index in names(classes):
        write(root, below + name, PNGS[index])
    return root


def flat(root: Path, name: str = "{:03}.png") -> Path:
    for index, content in enumerate(PNGS):
        write(root, name.format(index), content)
    return root


def table(path: Path, name: Callable[[int], str], header: str = "file_name,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows((name(index), CLASSES[index // 8]) for index in range(len(PNGS)))
    return path


def pack(
    path: Path,
    classes: Sequence[str],
    encoding: str,
    below: str = "",
    form: Literal["NFC", "NFD"] = "NFC",
    junk: Sequence[str] = (),
) -> Path:
    """Zip the set with names in a code page, and no word on which it is."""
    raw = [unicodedata.normalize(form, below + name).encode(encoding) for name, _ in names(classes)]
    stands_for = [f"{index:02}".ljust(len(name), "~") for index, name in enumerate(raw)]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in zip(stands_for, PNGS, strict=True):
            archive.writestr(name, content)
        for name in junk:
            archive.writestr(name, b"junk")
    content = path.read_bytes()
    for name, written in zip(stands_for, raw, strict=True):
        assert content.count(name.encode()) == 2
        content = content.replace(name.encode(), written)
    path.write_bytes(content)
    return path


def same(pictures: PictureSet, classes: Sequence[str] = CLASSES) -> None:
    """Assert that the set is the one that was written."""
    order = sorted(range(3), key=lambda number: classes[number])
    rows = [index for number in order for index in range(8 * number, 8 * number + 8)]
    assert pictures.class_names == tuple(classes[number] for number in order)
    assert pictures.labels is not None
    found = {row.tobytes(): int(label) for row, label in zip(pictures.images, pictures.labels, strict=True)}
    wanted = {PICTURES[index].tobytes(): order.index(index // 8) for index in range(24)}
    assert found == wanted
    if pictures.labels.tolist() == sorted(pictures.labels.tolist()):
        assert np.array_equal(pictures.images, PICTURES[rows])


def said(pictures: PictureSet, *parts: str) -> None:
    text = "\n".join(pictures.warnings)
    for part in parts:
        assert part in text, text
    assert all("\n" not in warning for warning in pictures.warnings)


def refusal(source: object, **options: object) -> str:
    with pytest.raises(GanError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_clean_folders_need_no_words(tmp_path: Path) -> None:
    pictures = load(folders(tmp_path / "set"))
    same(pictures)
    assert all("under 10 pictures" in warning for warning in pictures.warnings)


# Names in zip files.


@pytest.mark.parametrize(
    ("encoding", "classes"),
    [
        ("gbk", ("猫", "狗", "鸟")),
        ("cp932", ("ネコ", "犬", "表示")),  # with a backslash as a second byte
        ("big5", ("貓", "蘋果", "測試")),
        ("cp949", ("고양이", "강아지", "새")),
        ("cp1252", ("Äpfel", "Größe", "café")),
        ("cp437", ("Äpfel", "Größe", "café")),
        ("cp866", ("кошка", "Собака", "птица")),
    ],
)
def test_names_in_a_code_page_are_read_and_said(
    tmp_path: Path, encoding: str, classes: tuple[str, ...]
) -> None:
    packed = pack(tmp_path / "set.zip", classes, encoding, below="set/")
    pictures = load(packed)
    same(pictures, classes)
    said(pictures, f"names in the archive are read as {encoding}", "--zip-encoding")
    same(load(packed, zip_encoding=encoding), classes)
    assert pictures.sha256() == load(folders(tmp_path / "clean", classes)).sha256()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_macos_are_utf_8_though_it_does_not_say_so(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    classes = ("Äpfel", "日本", "naïve")
    junk = ("__MACOSX/._set", "__MACOSX/cat/._000.png")
    packed = pack(tmp_path / "set.zip", classes, "utf-8", form=form, junk=junk)
    pictures = load(packed)
    same(pictures, classes)
    assert pictures.sha256() == load(folders(tmp_path / "clean", classes)).sha256()
    said(pictures, "passed over what systems leave behind: 1 __MACOSX")
    assert not any("zip-encoding" in warning for warning in pictures.warnings)


def test_a_name_beside_the_name_in_an_extra_field(tmp_path: Path) -> None:
    classes = ("猫", "狗", "鸟")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, index in names(classes):
            plain = f"c{index // 8}/{index}.png"
            info = zipfile.ZipInfo(plain)
            field = b"\1" + struct.pack("<L", zlib.crc32(plain.encode())) + name.encode()
            info.extra = struct.pack("<HH", 0x7075, len(field)) + field
            archive.writestr(info, PNGS[index])
    same(load(tmp_path / "set.zip"), classes)


def test_a_table_in_a_zip_file_finds_names_of_other_systems(tmp_path: Path) -> None:
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for index, content in enumerate(PNGS):
            archive.writestr(unicodedata.normalize("NFD", f"é{index}.png"), content)
        rows = "".join(f"é{index}.png,{CLASSES[index // 8]}\n" for index in range(24))
        archive.writestr("labels.csv", f"file,label\n{rows}")
    same(load(packed, labels="labels.csv"))


def test_an_encoding_that_is_asked_for_wins_and_must_be_one(tmp_path: Path) -> None:
    packed = pack(tmp_path / "set.zip", ("猫", "狗", "鸟"), "gbk")
    assert load(packed, zip_encoding="latin-1").class_names != ("猫", "狗", "鸟")
    assert "--zip-encoding 'rot13' is no encoding" in refusal(packed, zip_encoding="rot13")
    assert "--zip-encoding 'x' is no encoding" in refusal(packed, zip_encoding="x")


def test_guesses_are_the_same_whatever_the_order() -> None:
    raw = [name.encode("gbk") for name in ("苹果", "香蕉", "红色", "a.png")]
    assert encodings.guess(raw) == encodings.guess(raw[::-1]) == "gbk"
    assert encodings.guess([b"plain"]) == "utf-8"
    assert encodings.guess([]) == "utf-8"
    assert encodings.guess([bytes([0x81]), bytes([0xFF])])  # of nothing in particular


def test_names_that_are_there_twice_are_said(tmp_path: Path) -> None:
    packed = pack(tmp_path / "set.zip", CLASSES, "ascii")
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cat/023.png", PNGS[23])
    pictures = load(packed)
    same(pictures)
    said(pictures, "1 names are there more than once in the archive; the last of each counts")


def test_archives_that_are_encrypted_say_so_in_one_line(tmp_path: Path) -> None:
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, index in names():
            archive.writestr(name, PNGS[index])
    content = bytearray(packed.read_bytes())
    at = content.find(b"PK\1\2")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\1\2", at + 1)
    packed.write_bytes(content)
    assert refusal(packed).endswith("set.zip is encrypted; unpack it with its password, and give the folder")


# What systems leave behind.


@pytest.mark.parametrize("packed", [False, True])
def test_what_systems_leave_behind_is_never_learnt(tmp_path: Path, packed: bool) -> None:
    root = folders(tmp_path / "set")
    left = [
        *(
            "@eaDir/000.png/SYNOPHOTO_THUMB_XL.png",
            "cat/@eaDir/x.png",
            "#recycle/x.png",
            "$RECYCLE.BIN/x.png",
        ),
        *("lost+found/x.png", "System Volume Information/x.png", ".Trash-1000/files/x.png", ".Trashes/x.png"),
        *("__pycache__/x.png", "__MACOSX/x.png", ".git/x.png", ".svn/x.png", ".thumbnails/x.png"),
        *(".ipynb_checkpoints/x.png", ".AppleDouble/x.png", ".@__thumb/x.png", "@Recycle/x.png"),
        *(".snapshot/x.png", "~snapshot/x.png", "cat/Thumbs.db", "cat/desktop.ini", "cat/._000.png"),
        *("cat/.DS_Store", "cat/.~lock.x.png#", "cat/~$x.png", "cat/x.png.part", "cat/x.png.crdownload"),
        *("cat/x.png~", "@EADIR/x.png", "thumbs.db", "RECYCLER/x.png", "@tmp/x.png"),
    ]
    for name in left:
        write(root, name, PNGS[0])
    source: Path = root
    if packed:
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, path.relative_to(root))
    pictures = load(source)
    same(pictures)
    said(pictures, "passed over what systems leave behind: ", "2 @eaDir")
    from gan_train.data import report

    found = report.check(DataOptions(source=str(source)))
    assert len(found.left_behind) == len(left)
    assert not found.passed_over


def test_a_folder_of_what_systems_leave_behind_says_so(tmp_path: Path) -> None:
    write(tmp_path / "set", "@eaDir/x.png", PNGS[0])
    assert "holds no pictures, what systems leave behind (@eaDir/)" in refusal(tmp_path / "set")


# Tables.


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (lambda i: f"{i:03}.png", ""),
        (lambda i: f"{i:03}", "24 pictures are found whatever the ending"),
        (lambda i: f"{i}", "24 pictures are found by their numbers"),
        (lambda i: f"{i:06}.0", "24 pictures are found by their numbers"),
        (lambda i: f"{i:03}.jpeg", "24 pictures are found whatever the ending"),
        (lambda i: f"{i:03}.PNG", "24 pictures are found in another case"),
        (lambda i: f" ./{i:03}.png ", ""),
        (lambda i: f"photos/{i:03}.png", "24 pictures are found without photos/"),
        (lambda i: f"Photos/{i:03}.PNG", "24 pictures are found without Photos/, in another case"),
        (lambda i: f"../photos/{i:03}.png", "24 pictures are found without photos/"),
        (lambda i: f"C:\\Users\\me\\photos\\{i:03}.png", "24 pictures are found without C:/Users/me/photos/"),
        (lambda i: f"/home/me/photos/{i:03}.png", "24 pictures are found without home/me/photos/"),
        (
            lambda i: f"/home/me/elsewhere/{i:03}",
            "24 pictures are found without home/me/elsewhere/, whatever the ending",
        ),
        (lambda i: f"file:///home/me/photos/{i:03}.png", "24 pictures are found without home/me/photos/"),
        (lambda i: f"https://host/photos/{i:03}.png?size=1", "24 pictures are found without photos/"),
        (lambda i: f"%2E/{i:03}%2Epng", ""),
        (lambda i: f"train/{i:03}.png", "24 pictures are found without train/"),
    ],
)
def test_pictures_are_found_however_a_table_names_them(
    tmp_path: Path, name: Callable[[int], str], how: str
) -> None:
    root = flat(tmp_path / "photos")
    table(root / "labels.csv", name)
    pictures = load(root, labels="labels.csv")
    same(pictures)
    said(pictures, "classes are read from labels.csv", *([how] if how else []))
    if not how:
        assert not any("are found" in warning for warning in pictures.warnings)


def test_absolute_paths_of_the_folder_itself(tmp_path: Path) -> None:
    root = flat(tmp_path / "photos")
    table(tmp_path / "labels.csv", lambda i: str(root / f"{i:03}.png"))
    same(load(root, labels="labels.csv"))


def test_rows_that_may_mean_several_pictures_or_another_split_are_not_matched(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for index, content in enumerate(PNGS[:20]):
        write(root, f"{index}.png", content)
        write(root, f"{index}.bmp", content)
    table(root / "labels.csv", str)  # 0 is 0.png or 0.bmp
    assert "labels only 0 of 40 pictures" in refusal(root, labels="labels.csv")
    train = flat(tmp_path / "train")
    (tmp_path / "both.csv").write_text(
        "file,label\n"
        + "".join(f"train/{i:03}.png,{CLASSES[i // 8]}\ntest/{i:03}.png,wrong\n" for i in range(24))
    )
    same(load(train, labels="both.csv"))
    same_names = flat(tmp_path / "photos of mine")
    (tmp_path / "both.csv").rename(tmp_path / "again.csv")
    assert "labels only 0 of 24" in refusal(same_names, labels="again.csv")


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("file_name;label\n{rows;}", {}),
        ("\ufefffile_name,label\n{rows,}", {}),
        ("sep=;\nfile_name;label\n{rows;}", {}),
        ("File Name,Class Name\n{rows,}", {}),
        ("{rows,}", {}),
        ("id,breed\n{rows,}", {}),
        ("id,breed,x\n{rows,}", {}),
        ("number,what\n{rows,}", {}),
        ("a,b\n{rows,}", {"label_column": "b"}),
        ("a,b\n{rows,}", {"label_column": "2", "file_column": "1"}),
        ("{rows,}", {"label_column": "2", "file_column": "1"}),
        ('"file_name"\t"label"\n{rows\t}', {}),
        ("file_name|label\n{rows|}", {}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_ways_in_which_tables_are_written(
    tmp_path: Path, content: str, options: dict[str, str], encoding: str
) -> None:
    root = flat(tmp_path / "photos")
    for sign in ",;\t|":
        rows = "".join(f"{index:03}.png{sign}{CLASSES[index // 8]}\n" for index in range(24))
        content = content.replace(f"{{rows{sign}}}", rows)
    (root / "labels.csv").write_bytes(content.encode(encoding))
    same(load(root, labels="labels.csv", **options))


def test_a_table_of_ids_beside_splits_means_the_pictures_that_are_learnt(tmp_path: Path) -> None:
    root = tmp_path / "set"
    flat(root / "train")
    flat(root / "test")
    table(root / "labels.csv", lambda i: f"{i:03}", "id,breed")
    said(load(root), "--labels labels.csv learns by it")
    same(load(root, labels="labels.csv"))


def test_columns_are_named_and_said(tmp_path: Path) -> None:
    root = flat(tmp_path / "photos")
    rows = "".join(f"x{i},{i:03}.png,{CLASSES[i // 8]},{i / 7:.3f}\n" for i in range(24))
    (root / "t.csv").write_text(f"key,picture file,kind,age\n{rows}")
    error = refusal(root, labels="t.csv")
    assert "has columns key, picture file, kind, age; expected one of file_name" in error
    assert "--column label=NAME" in error
    pictures = load(root, labels="t.csv", label_column="kind")
    same(pictures)
    said(pictures, "its columns 'picture file' and 'kind' are taken")
    ages = load(root, labels="t.csv", label_column="age")
    said(ages, "24 labels are numbers with fractions, as measures")
    assert list(ages.class_names) == sorted(ages.class_names, key=float)
    assert "has no column 'colour'; its columns are key, picture file, kind, age" in refusal(
        root, labels="t.csv", label_column="colour"
    )
    assert "has no table; name it with --labels" in refusal(root, label_column="kind")


def test_labels_that_are_nothing_and_numbers_in_two_ways(tmp_path: Path) -> None:
    root = flat(tmp_path / "photos")
    values = ["1", "1.0", "2.0", "10", "2", "10.0"] * 3 + ["NaN", "NULL", "None", "", "nan", "10"]
    (root / "t.csv").write_text("file,label\n" + "".join(f"{i:03}.png,{v}\n" for i, v in enumerate(values)))
    pictures = load(root, labels="t.csv")
    assert pictures.class_names == ("1", "2", "10")
    assert len(pictures) == 19
    said(
        pictures,
        "5 pictures without a label are left out",
        "1 NaN, 1 NULL, 1 None",
        "1 empty" if False else "NaN",
    )
    said(pictures, "labels such as 1.0 are read as 1")


def test_a_table_beside_the_pictures_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    root = flat(tmp_path / "photos")
    table(root / "labels.csv", lambda i: f"{i:03}")
    (root / "other.csv").write_text("a,b,c\n1,2,3\n")
    pictures = load(root)
    assert pictures.labels is None
    said(
        pictures, "labels.csv looks like a table of labels, and is not used; --labels labels.csv learns by it"
    )
    assert "other.csv looks" not in "\n".join(pictures.warnings)
    same(load(root, labels="labels.csv"))


def test_long_lines_and_large_trees_are_refused_before_they_fill_memory(tmp_path: Path) -> None:
    root = flat(tmp_path / "photos")
    (root / "t.csv").write_bytes(b"file,label\n" + b"x" * 2**21)
    assert "line 2" in refusal(root, labels="t.csv")
    (root / "t.csv").write_bytes(b"file,label\n" + b"," * 50_000)
    assert "row of 50,001 columns" in refusal(root, labels="t.csv")
    with (root / "t.json").open("wb") as file:
        file.write(b"{")
        file.truncate(65 * 1024**2)
    assert "save it as JSON lines or CSV" in refusal(root, labels="t.json")
    (root / "t.csv").write_bytes(b"PK\3\4")
    assert "Excel workbook; save it as CSV" in refusal(root, labels="t.csv")


class Endless(io.RawIOBase):
    """A table of pictures that are not there, written while it is read."""

    def __init__(self, rows: int) -> None:
        self.left, self.row = rows, b"file_name,label,text\n"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self.row and self.left:
            self.left -= 1
            self.row = f"{self.left}.gone,label {self.left},{'x' * 200}\n".encode()
        part, self.row = self.row[: len(buffer)], self.row[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_the_rows_of_a_table_are_not_held_in_memory() -> None:
    known = [f"{index}.png" for index in range(10)]
    tracemalloc.start()
    endless = Table(io.BufferedReader(Endless(20_000)), "t.csv")
    rows, _ = labels.read_pairs(endless, labels.TableColumns(), lambda file: False, asked_for=True)
    with pytest.raises(DataError, match="labels only 0 of 10"):
        labels.assign(rows, "t.csv", known, known)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000  # of over 4 MB


# Splits.


@pytest.mark.parametrize(
    ("train", "others"),
    [
        ("train", ["test"]),
        ("Training", ["Validation", "Test"]),
        ("training_set", ["test_set"]),
        ("training", ["testing"]),
        ("seg_train/seg_train", ["seg_test/seg_test", "seg_pred/seg_pred"]),
        ("train2017", ["val2017"]),
        ("train", ["val", "test"]),
        ("train", ["test", "unlabeled"]),
        ("train", ["unsup"]),
        ("train", ["test", "extra"]),
        ("TRAIN", ["TEST", "TEST_SIMPLE"]),
        ("Training", ["PublicTest", "PrivateTest"]),
        ("train", ["test_public", "test_private"]),
        ("tr", ["te", "va"]),
        ("trainA", ["testA"]),
        ("train_images", ["test_images", "train_masks"]),
        ("set/train", ["set/dev"]),
        ("images", ["masks"]),
        ("images", ["labels"]),
        ("JPEGImages", ["Annotations", "SegmentationClass"]),
        ("images/train", ["images/val", "labels/train"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_of_splits_the_one_to_train_on_is_learnt(
    tmp_path: Path, train: str, others: list[str], packed: bool
) -> None:
    root = folders(tmp_path / "set", below=f"{train}/")
    for other in others:
        for index in range(3):
            write(root, f"{other}/cat/{index}.png", encoded(0))
    source: Path = root
    if packed:
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(root.rglob("*.png")):
                archive.write(path, path.relative_to(root))
    pictures = load(source)
    same(pictures)
    said(
        pictures,
        f"the 24 pictures of {train.split('/', maxsplit=1)[0] if 'seg' in train else train} are taken",
        "left out",
    )
    held = held_out.find_beside(DataOptions(source=str(source)))
    first = next((each for each in others if "test" in each.lower() or "val" in each.lower()), None)
    if first and "images" not in train:
        assert held is not None
        assert first.split("/")[0].lower() in held.source.lower() or "test" in held.source.lower()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("trainA", "trainB", "testA", "testB"), "holds several training splits (trainA, trainB)"),
        (("train2014", "train2017", "val2017"), "holds several training splits (train2014, train2017)"),
        (("test", "val"), "holds the splits test, val, and none to train on"),
        (("train", "test", "cats"), "holds the splits train, test beside cats"),
        (("fold1", "fold2", "fold3"), "holds the folds fold1, fold2, fold3"),
        (("images", "test_images"), "holds test_images, as test pictures are named, beside images"),
        (("cats", "dogs", "test"), "holds test, as test pictures are named, beside cats, dogs"),
    ],
)
def test_splits_that_leave_a_choice_are_refused_in_one_line(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    for name in names:
        for index in range(12):
            write(tmp_path / "set", f"{name}/{index}.png", PNGS[index])
    error = refusal(tmp_path / "set")
    assert said in error
    assert f"such as {tmp_path / 'set'}/{'trainA' if 'trainA' in names else ''}" in error
    assert "--split none" in error
    assert load(tmp_path / "set", split="none").class_names == tuple(sorted(names))


def test_classes_may_sound_like_splits(tmp_path: Path) -> None:
    for name in ("train", "bus", "car", "bullet_train", "test_tube"):
        for index in range(10):
            write(tmp_path / "set", f"{name}/{index}.png", PNGS[index])
    assert len(load(tmp_path / "set").class_names) == 5
    for name in ("valid", "invalid"):
        for index in range(10):
            write(tmp_path / "checks", f"{name}/{index}.png", PNGS[index])
    assert load(tmp_path / "checks").class_names == ("invalid", "valid")


def test_splits_in_each_class_are_found(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name, index in names():
        write(root, name.replace("/", "/train/"), PNGS[index])
        write(root, name.replace("/", "/test/x"), PNGS[0])
    pictures = load(root)
    same(pictures)
    said(
        pictures, "of the splits in each class (test, train) the 24 pictures of train are taken, 24 left out"
    )
    assert len(load(root, split="none")) == 48


def test_pairs_and_names_of_test_files_are_said(tmp_path: Path) -> None:
    for side in ("day", "night"):
        flat(tmp_path / "set" / side)
    said(load(tmp_path / "set"), "the folders day, night hold pictures of the same names, as pairs do")
    flat(tmp_path / "flat", "train_{:03}.png")
    write(tmp_path / "flat", "test_001.png", PNGS[0])
    said(load(tmp_path / "flat"), "1 files are named as of a test split (test_001.png)")


# What is passed over.


def test_files_of_other_kinds_are_told_by_kind(tmp_path: Path) -> None:
    root = folders(tmp_path / "set")
    for kind, count in (("tga", 60), ("dcm", 2), ("exr", 1), ("npy", 1), ("mp4", 1), ("txt", 1)):
        for index in range(count):
            write(root, f"cat/{index}.{kind}", b"something else")
    pictures = load(root)
    same(pictures)
    said(
        pictures,
        "passed over 66 files that are not read as pictures: 60 .tga, 2 .dcm, 1 .exr, 1 .mp4, 1 .npy, 1 .txt",
        "convert pictures to PNG",
        "ffmpeg",
    )


def test_pictures_of_kinds_that_are_not_read_say_what_to_do(tmp_path: Path) -> None:
    root = folders(tmp_path / "set")
    write(root, "cat/a.heic", b"\0\0\0\x18ftypheic")
    write(root, "cat/b.avif", b"\0\0\0\x18ftypavif")
    write(root, "cat/c.HEIC", PNGS[0])  # a name proves nothing
    error = refusal(root)
    assert "2 of 27 pictures cannot be used" in error
    assert "a.heic is no picture of a known format, but HEIC; convert it to PNG or JPEG" in error
    assert len(load(root, on_bad="skip")) == 25


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("x.tga", "convert pictures to PNG"),
        ("x.npy", "numpy.savez"),
        ("data_batch_1", "pickles are never opened"),
        ("x.npz", "name the .npz file itself"),
        ("x.mat", "take its arrays out"),
        ("x.parquet", "take its arrays out"),
        ("x.tar.gz", "unpack archives"),
        ("x.csv", "a table has no pictures"),
        ("x.mp4", "ffmpeg"),
        ("x.txt", "expected files such as .png"),
    ],
)
def test_a_source_with_nothing_readable_says_what_there_was(tmp_path: Path, name: str, todo: str) -> None:
    write(tmp_path / "set", name, b"something")
    error = refusal(tmp_path / "set")
    assert "holds no pictures, only 1 " in error
    assert todo in error


@pytest.mark.parametrize(
    ("name", "content", "todo"),
    [
        ("x.npy", b"\x93NUMPY\1\0", "make an .npz of it"),
        ("data_batch_1", b"\x80\2}q", "pickles are never opened"),
        ("x", b"\x89HDF\r\n\x1a\n", "take its arrays out"),
        ("x.mat", b"MATLAB 5.0 MAT-file", "take its arrays out"),
        ("x.parquet", b"PAR1", "take its arrays out"),
        ("x.tfrecord", b"abc", "take its arrays out"),
        ("x.tar", b"abc", "unpack archives"),
        ("labels.csv", b"file,label\n", "the table as --labels"),
        ("x.txt", b"hello", "give a folder or zip file"),
    ],
)
def test_a_file_that_is_not_read_says_what_to_do(
    tmp_path: Path, name: str, content: bytes, todo: str
) -> None:
    write(tmp_path, name, content)
    error = refusal(tmp_path / name)
    assert "is a file of no kind that is read" in error
    assert todo in error


# Arrays.

LABELS = np.arange(24) // 8
NAMES = np.array(CLASSES)
FLOATS = PICTURES.astype(np.float32)
PLANES = np.moveaxis(PICTURES, 3, 1)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": PICTURES, "y": LABELS}, ["read from the array X", "read from the array y"]),
        ({"train_images": PICTURES, "train_labels": LABELS, "test_images": PICTURES[:5]}, ["test_images"]),
        ({"x_train": PICTURES, "y_train": LABELS, "x_test": PICTURES[:5], "y_test": LABELS[:5]}, ["x_test"]),
        ({"data": PICTURES, "labels": LABELS}, ["the array data"]),
        ({"data": PICTURES, "target": LABELS}, ["the array target"]),
        ({"arr_0": PICTURES, "arr_1": LABELS}, []),
        ({"things": PICTURES, "what": LABELS}, ["the array things", "the array what"]),
        ({"images": PLANES, "labels": LABELS}, ["read as [n, channels, height, width]"]),
        ({"images": FLOATS / 255, "labels": LABELS}, ["read as 0 to 1"]),
        ({"images": FLOATS / 127.5 - 1, "labels": LABELS}, ["read as -1 to 1"]),
        ({"images": FLOATS.astype(np.float64), "labels": LABELS}, ["read as 0 to 255"]),
        ({"images": PICTURES.astype(np.int64), "labels": LABELS}, ["read as 0 to 255"]),
        ({"images": PICTURES, "labels": np.eye(3)[LABELS]}, ["is one-hot"]),
        (
            {"images": PLANES / np.float16(255), "labels": np.eye(3, dtype=bool)[LABELS]},
            ["0 to 1", "one-hot"],
        ),
        ({"images": PICTURES, "labels": NAMES[LABELS].astype("S")}, []),
    ],
    ids=range(15),
)
def test_arrays_as_people_save_them(tmp_path: Path, arrays: dict[str, np.ndarray], words: list[str]) -> None:
    if arrays.get("labels", LABELS).dtype.kind != "S":
        arrays = {**arrays, "class_names": NAMES}
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    pictures = load(tmp_path / "set.npz")
    same(pictures)
    said(pictures, *words)


def test_an_array_is_named_like_a_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=PICTURES, x_test=PICTURES[:12], y_test=LABELS[:12] + 5)
    pictures = load(tmp_path / "set.npz" / "x_test")
    assert len(pictures) == 12
    assert pictures.class_names == ("5", "6")
    error = refusal(tmp_path / "set.npz" / "gone")
    assert "its arrays: x_test, x_train, y_test" in error


def test_flat_rows_and_ranges_that_are_not_clear(tmp_path: Path) -> None:
    grey = PICTURES[..., 0].reshape(24, -1)
    np.savez(tmp_path / "set.npz", data=grey)
    assert np.array_equal(load(tmp_path / "set.npz").images[..., 0], PICTURES[..., 0])
    for images, words in (
        (PICTURES.reshape(24, -1), "reshape(-1, 3, 12, 12)"),
        (np.moveaxis(PICTURES, 0, -1)[:, :, :, :20], "moveaxis(images, -1, 0)"),
        (FLOATS / 64, "none of 0 to 1"),
        (FLOATS - 127, "none of 0 to 1"),
        (PICTURES.astype(np.uint16) * 16, "none of 0 to 1"),
        (FLOATS * np.nan, "not finite"),
    ):
        np.savez(tmp_path / "set.npz", images=images)
        assert words in refusal(tmp_path / "set.npz")


def test_labels_of_arrays_beyond_64_bits_keep_their_sign(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=np.uint64(2**63) + LABELS.astype(np.uint64))
    assert load(tmp_path / "set.npz").class_names == tuple(str(2**63 + number) for number in range(3))


# Links.


def test_links_to_files_are_read_and_links_out_to_folders_are_not_followed(tmp_path: Path) -> None:
    store = folders(tmp_path / "store")
    root = tmp_path / "set"
    for name, _ in names():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(store / name)
    (root / "everything").symlink_to("/", target_is_directory=True)
    (root / "cat" / "round").symlink_to(root, target_is_directory=True)
    (root / "cat" / "nowhere").symlink_to(root / "gone")
    pictures = load(root)
    same(pictures)
    said(
        pictures, "are not followed: everything (--follow-links follows them)", "24 files are links to files"
    )
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in CLASSES:
        (linked / name).symlink_to(store / name, target_is_directory=True)
    assert "--follow-links" in refusal(linked)
    same(load(linked, follow_links=True))


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    folders(tmp_path / "store")
    (tmp_path / "set").symlink_to(tmp_path / "store", target_is_directory=True)
    same(load(tmp_path / "set"))
    os.mkfifo(tmp_path / "store" / "cat" / "pipe")
    same(load(tmp_path / "set", on_bad="skip"))


# Hugging Face's image folder, and others that say what they are.


def test_an_image_folder_of_hugging_face(tmp_path: Path) -> None:
    root = flat(tmp_path / "set" / "data" / "train")
    table(root / "metadata.csv", lambda i: f"{i:03}.png")
    write(tmp_path / "set", "README.md", b"# A set")
    write(tmp_path / "set", ".gitattributes", b"x")
    pictures = load(tmp_path / "set")
    same(pictures)
    said(pictures, "1 .md")


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load(tmp_path / "gone")


# On the command line.

SMALL = (*("--dry-run", "--images", 80, "--width", 2, "--batch-size", 8, "--precision", "fp32", "--size", 8),)


def test_the_options_of_data_check_and_fit(tmp_path: Path, command_line: CommandLine) -> None:
    root = flat(tmp_path / "photos")
    table(root / "t.csv", lambda i: f"{i:03}", "number,kind")
    run = command_line("gan-train", main)
    named = ("--labels", "t.csv", "--column", "label=kind", "--column", "file=number")
    code, out, _ = run("data", "check", root, *named)
    assert code == 0
    assert "3 classes" in out
    assert run("data", "check", root, "--labels", "t.csv", "--column", "kind")[0] == 0
    assert run("data", "check", root, "--column", "label=a", "--column", "b")[0] == 2
    code, out, _ = run("data", "check", root, "--labels", "t.csv", "--column", "label=colour")
    assert code == 1
    assert "has no column 'colour'" in out
    packed = pack(tmp_path / "set.zip", ("猫", "狗", "鸟"), "gbk")
    code, out, _ = run("data", "check", packed, "--zip-encoding", "gbk", "--split", "none", "--follow-links")
    assert code == 0
    assert "猫: 8" in out
    write(root, "x.tga", b"x")
    code, out, err = run("fit", root, *named, *SMALL)
    assert code == 0
    assert "note: passed over 1 file that is not read as pictures: 1 .tga" in err
    assert '"label_column": "kind"' in out


def test_configs_from_before_these_options_are_read(tmp_path: Path) -> None:
    tree = json.loads(Config().to_json())
    for name in ("file_column", "label_column", "split", "zip_encoding", "follow_links"):
        del tree["data"][name]
    assert from_tree(tree, Config) == Config()
