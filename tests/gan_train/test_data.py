from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config import DataOptions
from gan_train.data import cache, decode, folder, idx
from gan_train.data.pictures import PictureSet


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def level(path: Path, channels: int = 1) -> np.ndarray:
    """Decode at 16x16 and give the mean level of each channel."""
    return decode.decode(path, 16, 16, channels).reshape(-1, channels).mean(0)


# The built-in digits and IDX files.


def test_the_built_in_digits() -> None:
    digits = load("digits")
    assert digits.images.shape == (10_000, 28, 28, 1)
    assert digits.labels is not None
    assert np.bincount(digits.labels).tolist() == [1000] * 10
    assert digits.class_names == tuple("0123456789")
    assert "CC BY-SA" in digits.licence
    assert digits.images.flags.writeable


def write_idx(path: Path, array: np.ndarray, zipped: bool) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    body = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(body) if zipped else body)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_pairs_are_read_and_resized(tmp_path: Path, zipped: bool) -> None:
    end = ".gz" if zipped else ""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 20, 24), dtype=np.uint8)
    write_idx(tmp_path / f"train-images-idx3-ubyte{end}", pixels, zipped)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{end}", np.arange(30) % 3, zipped)
    write_idx(tmp_path / f"t10k-images-idx3-ubyte{end}", pixels[:12], zipped)
    whole = load(tmp_path)
    assert np.array_equal(whole.images[..., 0], pixels)
    assert whole.class_names == ("0", "1", "2")
    alone = load(tmp_path / f"t10k-images-idx3-ubyte{end}")
    assert len(alone) == 12
    assert alone.labels is None
    assert load(tmp_path, height=32, width=16, channels=3).images.shape == (30, 32, 16, 3)


def test_idx_files_that_are_damaged_are_refused_by_name(tmp_path: Path) -> None:
    images = tmp_path / "images-idx3-ubyte"
    write_idx(images, np.zeros((12, 16, 16)), zipped=False)
    write_idx(tmp_path / "labels-idx1-ubyte", np.zeros(11), zipped=False)
    with pytest.raises(DataError, match="one label a picture"):
        load(images)
    whole = images.read_bytes()
    for content in (
        whole[:-1],
        whole + b"x",
        b"",
        b"\0\0\x0d\3",
        b"\x1f\x8b junk",
        gzip.compress(whole)[:-9],
    ):
        images.write_bytes(content)
        with pytest.raises(DataError, match="images-idx3-ubyte"):
            idx.read(images)


# Folders.


def test_subfolders_are_classes(photos: Path) -> None:
    pictures = load(photos)
    assert pictures.class_names == ("cats", "dogs")
    assert pictures.labels is not None
    assert pictures.labels.tolist() == [0] * 12 + [1] * 12
    assert pictures.images.shape == (24, 30, 40, 3)  # the files agree on a size in range
    assert pictures.name == "photos"
    assert load(photos / "cats").labels is None


def test_other_sizes_are_cropped_to_shape_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200  # the centre square
    wide[::2, 20:40] = 100
    for index in range(10):
        Image.fromarray(wide).save(tmp_path / f"{index}.png")
    square = load(tmp_path, height=10, width=10).images
    assert (square == 150).all()
    assert load(tmp_path).images.shape == (10, 20, 60, 3)
    assert load(tmp_path, height=40, width=20, channels=1).images.shape == (10, 40, 20, 1)


def test_sizes_that_differ_become_64(tmp_path: Path) -> None:
    for index in range(10):
        Image.new("L", (100 + index, 90)).save(tmp_path / f"{index}.png")
    assert load(tmp_path).images.shape == (10, 64, 64, 1)


def test_grey_among_colour_becomes_colour_and_all_grey_stays_grey(tmp_path: Path) -> None:
    for index in range(10):
        Image.new("L" if index else "RGB", (20, 20), 90 if index else (255, 0, 0)).save(
            tmp_path / f"{index}.png"
        )
    pictures = load(tmp_path)
    assert pictures.channels == 3
    assert pictures.images[0, 0, 0].tolist() == [255, 0, 0]
    assert pictures.images[1, 0, 0].tolist() == [90, 90, 90]
    (tmp_path / "0.png").unlink()
    Image.new("1", (20, 20), 1).save(tmp_path / "0.png")
    assert load(tmp_path).channels == 1


def test_unimportant_files_are_passed_over(photos: Path) -> None:
    (photos / ".DS_Store").write_bytes(b"junk")
    (photos / "cats" / "notes.txt").write_text("notes")
    (photos / ".hidden").mkdir()
    (photos / ".hidden" / "x.png").write_bytes(b"junk")
    (photos / "cats" / "Ünï cödé.PNG").write_bytes((photos / "cats" / "01.png").read_bytes())
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    assert len(load(photos)) == 25


def test_folders_without_use_are_refused(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(DataError, match="no data at"):
        load(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        load(tmp_path / "empty")
    (tmp_path / "one").mkdir()
    Image.new("L", (20, 20)).save(tmp_path / "one" / "a.png")
    with pytest.raises(DataError, match="holds 1 usable picture; give at least 10"):
        load(tmp_path / "one")
    with pytest.raises(DataError, match="is a file, but no IDX"):
        load(tmp_path / "one" / "a.png")
    Image.new("L", (20, 20)).save(photos / "stray.png")
    with pytest.raises(DataError, match="1 pictures beside subfolders"):
        load(photos)


def test_small_and_uneven_classes_are_told(photos: Path) -> None:
    (photos / "rare").mkdir()
    Image.new("RGB", (40, 30)).save(photos / "rare" / "a.png")
    text = " ".join(load(photos).warnings)
    assert "'rare' (1)" in text
    assert "10:1" in text


# Hazards of real pictures, each decoded as it should be or refused by name.


def save_palette(path: Path) -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(path)


def save_palette_transparent(path: Path) -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 10, 10, 10, 200, 30])
    image.save(path, transparency=0)


def save_deep(path: Path) -> None:
    Image.fromarray(np.full((20, 20), 30_000, np.uint16)).save(path)


def save_cmyk(path: Path) -> None:
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(path, quality=95)


def save_alpha(path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 51)).save(path)


def save_grey_alpha(path: Path) -> None:
    Image.new("LA", (20, 20), (0, 102)).save(path)


def save_animated(path: Path) -> None:
    frames = [Image.new("L", (20, 20), value) for value in (80, 250)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("save", "ending", "expected"),
    [
        (save_palette, "png", (10, 200, 30)),
        (save_palette_transparent, "png", (255, 255, 255)),
        (save_deep, "png", (117, 117, 117)),  # 30,000 / 257
        (save_deep, "tiff", (117, 117, 117)),
        (save_cmyk, "jpg", (255, 0, 0)),
        (save_alpha, "png", (204, 204, 204)),  # a fifth of black on white
        (save_grey_alpha, "png", (153, 153, 153)),
        (save_animated, "gif", (80, 80, 80)),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_hazards_are_decoded_as_they_look(
    tmp_path: Path, save: Callable[[Path], None], ending: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"picture.{ending}"
    save(path)
    before = path.read_bytes()
    np.testing.assert_allclose(level(path, 3), expected, atol=3)
    assert path.read_bytes() == before


def test_exif_orientation_is_applied_and_counts_for_the_size(tmp_path: Path) -> None:
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :20] = 255  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: white ends on top
    path = tmp_path / "turned.jpg"
    Image.fromarray(picture).save(path, exif=exif, quality=95)
    assert decode.look(path)[:2] == (40, 20)
    shown = decode.decode(path, 40, 20, 1)
    assert shown[:18].min() > 200
    assert shown[22:].max() < 50


def write_text(path: Path) -> None:
    path.write_text("this is no picture")


def write_nothing(path: Path) -> None:
    path.touch()


def write_truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def write_huge_header(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_text, "no picture of a known format"),
        (write_nothing, "is empty"),
        (write_truncated, "is damaged"),
        (write_huge_header, "20000x20000|cannot be opened"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_bad_files_are_refused_by_name_or_left_out(
    photos: Path, write: Callable[[Path], None], reason: str
) -> None:
    write(photos / "cats" / "bad.png")
    with pytest.raises(DataError, match=reason) as caught:
        load(photos)
    assert str(photos / "cats" / "bad.png") in str(caught.value)
    assert "--on-bad skip" in str(caught.value)
    assert "\n" not in str(caught.value)
    skipped = load(photos, on_bad="skip")
    assert len(skipped) == 24
    assert "bad.png" in skipped.warnings[0]


# The cache.


def test_a_second_load_comes_from_the_cache_until_a_file_changes(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(photos)
    calls: list[Path] = []
    real = decode.decode
    monkeypatch.setattr(
        folder.decode, "decode", lambda path, *shape: (calls.append(path), real(path, *shape))[1]
    )
    second = load(photos)
    assert not calls
    assert second.sha256() == first.sha256()
    Image.new("RGB", (40, 30)).save(photos / "cats" / "01.png")
    os.utime(photos / "cats" / "01.png", ns=(1, 1))
    third = load(photos)
    assert len(calls) == 24
    assert third.sha256() != first.sha256()
    assert len(list(cache.directory().iterdir())) == 1


def test_a_damaged_cache_or_one_that_cannot_be_written_is_no_trouble(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = load(photos)
    (stored,) = cache.directory().iterdir()
    stored.write_bytes(stored.read_bytes()[:500])
    assert load(photos).sha256() == first.sha256()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file"))
    assert load(photos).sha256() == first.sha256()


def test_the_hash_sees_pixels_labels_and_names() -> None:
    images = np.zeros((10, 16, 16, 1), np.uint8)
    labels = np.zeros(10, np.int64)
    base = PictureSet("x", images, labels, ("a", "b"))
    other_pixels = PictureSet("x", images + np.uint8(1), labels, ("a", "b"))
    other_labels = PictureSet("x", images, labels + 1, ("a", "b"))
    other_names = PictureSet("x", images, labels, ("a", "c"))
    hashes = {each.sha256() for each in (base, other_pixels, other_labels, other_names)}
    assert len(hashes) == 4
    assert PictureSet("y", images, labels, ("a", "b")).sha256() == base.sha256()
