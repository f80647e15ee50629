from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data.pictures import PictureSet


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def pack(folder: Path, target: Path) -> Path:
    """Zip a folder's files under their names in it."""
    assert folder.resolve() not in target.resolve().parents, "it would hold itself, and grow without end"
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target


def save(path: Path, colour: object = (200, 30, 30), size: tuple[int, int] = (20, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)  # type: ignore[arg-type]


# Folders and zip files: everything here holds for both.


def test_the_built_in_digits() -> None:
    digits = load("digits")
    assert digits.images.shape == (10_000, 28, 28, 1)
    assert digits.labels is not None
    assert np.bincount(digits.labels).tolist() == [1000] * 10
    assert digits.class_names == tuple("0123456789")
    assert "CC BY-SA" in digits.licence
    assert digits.preparation == "as stored"
    assert digits.images.flags.writeable
    assert not digits.warnings


def test_subfolders_are_classes(photos: Path) -> None:
    pictures = load(photos)
    assert pictures.class_names == ("cats", "dogs")
    assert pictures.labels is not None
    assert pictures.labels.tolist() == [0] * 12 + [1] * 12
    assert pictures.images.shape == (24, 30, 40, 3)  # the files agree on a size in range
    assert pictures.name == "photos"
    assert load(photos / "cats").labels is None


def test_a_zip_file_is_read_as_the_folder_that_it_was_made_of(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos, tmp_path / "holiday.zip")
    before = set(tmp_path.rglob("*"))
    inside = load(packed)
    assert inside.name == "holiday"
    assert inside.sha256() == load(photos).sha256()
    home = Path(os.environ["GANFORGE_HOME"])
    added = set(tmp_path.rglob("*")) - before - {home}
    assert all(home in path.parents for path in added)  # nothing was unpacked


def test_a_folder_zipped_with_its_own_name_is_gone_into(photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "photos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    assert load(packed).sha256() == load(photos).sha256()


@pytest.mark.parametrize("packed", [False, True])
def test_of_splits_train_is_taken_and_said_so(tmp_path: Path, packed: bool) -> None:
    for split, count in (("train", 12), ("test", 5)):
        for name in ("frog", "ship"):
            for index in range(count):
                save(tmp_path / "set" / split / name / f"{index}.jpg", (index, 0, 0))
    source = pack(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set"
    pictures = load(source)
    assert len(pictures) == 24
    assert pictures.class_names == ("frog", "ship")
    assert "24 pictures of train are taken, 10 left out" in pictures.warnings[0]


def test_a_folder_in_a_zip_file_is_read_as_that_folder(photos: Path, tmp_path: Path) -> None:
    for index in range(10):
        save(tmp_path / "set" / "test" / "frog" / f"{index}.png", (index, 9, 0))
        save(tmp_path / "set" / "test" / "ship" / f"{index}.png", (index, 0, 9))
    shutil.copytree(photos, tmp_path / "set" / "train")
    packed = pack(tmp_path / "set", tmp_path / "set.zip")
    for inside in ("test", "train", "test/frog"):
        pictures, unpacked = load(packed / inside), load(tmp_path / "set" / inside)
        assert pictures.sha256() == unpacked.sha256()
        assert (pictures.name, pictures.class_names) == (unpacked.name, unpacked.class_names)
    with pytest.raises(DataError, match=r"set\.zip holds no folder tset; its folders are: test, train"):
        load(packed / "tset")
    with pytest.raises(DataError, match="holds no folder tes;"):
        load(packed / "tes")


def test_a_folder_in_a_file_that_is_no_zip_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="single picture"):
        load(photos / "cats" / "01.png" / "x")
    np.savez(tmp_path / "a.npz", images=np.zeros((20, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"a\.npz holds no folder x; its folders are: none"):
        load(tmp_path / "a.npz" / "x")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\3" + bytes(12))
    with pytest.raises(DataError, match="is a file and has no folder x"):
        load(tmp_path / "train-images-idx3-ubyte" / "x")


def test_folders_that_hold_one_other_are_gone_through(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(10):
            save(tmp_path / "outer" / "inner" / name / "deep" / f"{index}.png", (index, 9, 9))
    assert load(tmp_path / "outer").class_names == ("a", "b")
    assert load(tmp_path / "outer" / "inner" / "a").class_names == ()


def test_unimportant_files_are_passed_over(photos: Path, tmp_path: Path) -> None:
    (photos / ".DS_Store").write_bytes(b"junk")
    (photos / "cats" / "notes.txt").write_text("notes")
    (photos / "cats" / "Thumbs.db").write_text("junk")
    (photos / ".hidden").mkdir()
    (photos / ".hidden" / "x.png").write_bytes(b"junk")
    (photos / "__MACOSX").mkdir()
    (photos / "__MACOSX" / "._01.png").write_bytes(b"junk")
    (photos / "cats" / "Ünï cödé.PNG").write_bytes((photos / "cats" / "01.png").read_bytes())
    (photos / "cats" / "no ending").write_bytes((photos / "cats" / "03.png").read_bytes())
    assert len(load(photos)) == 26
    assert len(load(pack(photos, tmp_path / "photos.zip"))) == 26


def test_links_in_a_circle_end_and_linked_folders_count_once(photos: Path, tmp_path: Path) -> None:
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    (photos / "cats" / "up").symlink_to(photos / "dogs", target_is_directory=True)
    assert len(load(photos)) == 24
    elsewhere = tmp_path / "elsewhere"
    (photos / "cats").rename(elsewhere)
    (photos / "cats").symlink_to(elsewhere, target_is_directory=True)
    assert load(photos, follow_links=True).class_names == ("cats", "dogs")


def test_names_made_of_any_bytes(tmp_path: Path) -> None:
    for index in range(12):
        save(tmp_path / "set" / f"a{index}.png", (index, 0, 0))
    strange = os.fsdecode(b"new\nline \xff.png")
    (tmp_path / "set" / strange).write_bytes(b"junk")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "set")
    str(caught.value).encode()
    assert "\n" not in str(caught.value)
    assert len(load(tmp_path / "set", on_bad="skip")) == 12


def test_classes_whose_names_differ_in_case_or_composition(tmp_path: Path) -> None:
    for name in ("Cat", "cat", "caf\u00e9", "cafe\u0301"):
        for index in range(10):
            save(tmp_path / "set" / name / f"{index}.png", (index, 0, 0))
    pictures = load(tmp_path / "set")
    assert pictures.class_names == ("Cat", "caf\u00e9", "cat")
    assert any("differ only in case" in warning for warning in pictures.warnings)


def test_folders_without_use_are_refused(tmp_path: Path, photos: Path) -> None:
    for gone in (tmp_path / "gone", "", "nul\0byte"):
        with pytest.raises(DataError, match=r"no data at|cannot be read"):
            load(gone)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        load(tmp_path / "empty")
    save(tmp_path / "one" / "a.png")
    with pytest.raises(DataError, match="holds 1 usable picture; give at least 10"):
        load(tmp_path / "one")
    with pytest.raises(DataError, match="is a single picture"):
        load(tmp_path / "one" / "a.png")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="is a file of no kind"):
        load(tmp_path / "text")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load(tmp_path / "pipe")
    save(photos / "stray.png")
    with pytest.raises(DataError, match="1 pictures beside subfolders"):
        load(photos)


def test_small_uneven_and_empty_classes_are_told(photos: Path) -> None:
    save(photos / "rare" / "a.png")
    (photos / "none").mkdir()
    pictures = load(photos)
    text = " ".join(pictures.warnings)
    assert "'rare' (1)" in text
    assert "10:1" in text
    assert "folders without pictures are no classes: none" in text
    (photos / "rare" / "a.png").write_bytes(b"")
    assert load(photos, on_bad="skip").class_names == ("cats", "dogs")


def test_duplicates_are_told_and_kept(photos: Path) -> None:
    (photos / "dogs" / "copy.png").write_bytes((photos / "cats" / "01.png").read_bytes())
    pictures = load(photos)
    assert len(pictures) == 25
    assert "1 pictures repeat others, as prepared (cats/01.png = dogs/copy.png)" in " ".join(
        pictures.warnings
    )
    assert load(photos).warnings == pictures.warnings  # from the cache


# Zip files of their own.


def test_members_that_are_not_to_be_read_are_refused_by_name(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos, tmp_path / "photos.zip")
    good = (photos / "cats" / "01.png").read_bytes()
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside.png", good)
        archive.writestr("/etc/absolute.png", good)
        archive.writestr("C:\\windows.png", good)
        archive.writestr("cats/bomb.png", bytes(40_000_000))
    with pytest.raises(DataError, match="4 of 28 pictures") as caught:
        load(packed)
    assert str(caught.value).count("leads out of the archive") == 3
    assert "more than 200 times its size" in str(caught.value)
    skipped = load(packed, on_bad="skip")
    assert len(skipped) == 24
    assert skipped.class_names == ("cats", "dogs")


def test_a_zip_file_with_backslashes_and_repeated_members(photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "photos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in photos.rglob("*.png"):
            archive.write(path, str(path.relative_to(photos)).replace("/", "\\"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(photos / "dogs" / "00.png", "cats\\01.png")
    pictures = load(packed)
    assert pictures.class_names == ("cats", "dogs")
    assert len(pictures) == 24
    assert (pictures.images[0] == pictures.images[12]).all()  # the last of the two counts


def test_damaged_zip_files_are_refused_by_name(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos, tmp_path / "photos.zip")
    whole = packed.read_bytes()
    for content in (whole[:1000], b"", b"PK\3\4 junk", whole[:-30]):
        packed.write_bytes(content)
        with pytest.raises(DataError, match=r"photos.zip is a damaged zip file"):
            load(packed)
    packed.write_bytes(whole[:200] + bytes(50) + whole[250:])
    with pytest.raises(DataError, match=r"1 of 24 pictures cannot be used.*cannot be unpacked"):
        load(packed)


# What the set says of itself.


def test_the_hash_sees_pixels_labels_and_names() -> None:
    images = np.zeros((10, 16, 16, 1), np.uint8)
    labels = np.zeros(10, np.int64)
    base = PictureSet.from_arrays("x", images, labels, ("a", "b"))
    other_pixels = PictureSet.from_arrays("x", images + np.uint8(1), labels, ("a", "b"))
    other_labels = PictureSet.from_arrays("x", images, labels + 1, ("a", "b"))
    other_names = PictureSet.from_arrays("x", images, labels, ("a", "c"))
    hashes = {each.sha256() for each in (base, other_pixels, other_labels, other_names)}
    assert len(hashes) == 4
    assert PictureSet.from_arrays("y", images, labels, ("a", "b")).sha256() == base.sha256()


def test_cifar_10_as_a_zip_file() -> None:
    root = os.environ.get("GANFORGE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")
    packed = Path(root) / "cifar10-jpeg.zip"
    if not packed.is_file():
        pytest.skip("CIFAR-10 is not at hand")
    from gan_train.data.sources import open_source

    with open_source.open_source(DataOptions(source=str(packed))) as listing:
        assert len(listing.names) == 50_000
        classes = listing.given["class"]
        assert np.bincount(classes.values).tolist() == [5000] * 10
        assert classes.facts["class_names"][:3] == ("airplane", "automobile", "bird")
        with listing.pictures["image"].open(49_999) as image:
            assert image.size == (32, 32)
