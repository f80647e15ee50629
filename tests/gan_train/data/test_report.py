"""The report before training: a thousand pictures with every hazard among them, and damaged archives."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import cache, report

GOOD = 1000


def make_a_thousand(root: Path) -> set[str]:
    """Fill a folder with 1,000 usable pictures and every hazard among them; give the names of bad ones."""
    rng = np.random.default_rng(0)

    def noise(height: int = 24, width: int = 24) -> np.ndarray:
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    for name in ("cats", "dogs", "Birds", "birds", "Ünï cödé", "tiny"):
        (root / name / "nested" / "deeper").mkdir(parents=True)
    (root / "empty").mkdir()
    plain = Image.fromarray(noise())
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = plain.quantize(16)
    deep = Image.fromarray(noise()[..., 0].astype(np.uint16) * 257)
    special = {
        "palette.png": lambda path: palette.save(path),
        "palette clear.png": lambda path: palette.save(path, transparency=3),
        "deep.png": lambda path: deep.save(path),
        "deep.tiff": lambda path: deep.save(path),
        "ink.jpg": lambda path: plain.convert("CMYK").save(path),
        "alpha.png": lambda path: plain.convert("RGBA").save(path),
        "grey alpha.png": lambda path: Image.fromarray(noise()[..., :2]).save(path),
        "turned.jpg": lambda path: Image.fromarray(noise(20, 30)).save(path, exif=exif),
        "moving.gif": lambda path: plain.save(path, save_all=True, append_images=[Image.fromarray(noise())]),
        "moving.webp": lambda path: plain.save(path, save_all=True, append_images=[Image.fromarray(noise())]),
        "really a png.jpg": lambda path: Image.fromarray(noise()).save(path, "PNG"),
        "no ending": lambda path: Image.fromarray(noise()).save(path, "JPEG"),
        "UPPER.PNG": lambda path: Image.fromarray(noise()).save(path, "PNG"),
        "upper.png": lambda path: Image.fromarray(noise()).save(path),
        "bilevel.bmp": lambda path: plain.convert("1").save(path),
        "one pixel.png": lambda path: Image.new("L", (1, 1), 9).save(path),
        "long.png": lambda path: Image.fromarray(noise(2, 900)).save(path),
        "copy a.png": lambda path: plain.save(path),
        "nested/copy b.png": lambda path: plain.save(path),
        "nested/deeper/日本語 🐈.png": lambda path: Image.fromarray(noise()).save(path),
        "new\nline.png": lambda path: Image.fromarray(noise()).save(path),
    }
    for name, save in special.items():
        save(root / "cats" / name)
    for index in range(3):
        Image.fromarray(noise()).save(root / "tiny" / f"{index}.png")
    for index in range(GOOD - len(special) - 3):
        folder = root / ("cats", "dogs", "Birds", "birds", "Ünï cödé")[index % 5]
        picture = noise(*((24, 24) if index % 3 else (16, 40)))
        grey = picture[..., 0] if index % 4 == 0 else picture
        Image.fromarray(grey).save(folder / f"{index:04}.{('png', 'jpg')[index % 2]}")
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._0001.png", "table.xlsx"):
        (root / "dogs" / name).write_bytes(b"junk")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "x.png").write_bytes(b"junk")
    (root / "dogs" / "circle").symlink_to(root, target_is_directory=True)
    return _make_bad(root / "dogs")


def _make_bad(folder: Path) -> set[str]:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        whole, "JPEG"
    )
    contents = {
        "nothing.png": b"",
        "text.jpg": b"this is a text",
        "cut.jpg": whole.getvalue()[:1500],
        "head alone.png": b"\x89PNG\r\n\x1a\n",
        "phone.heic": b"\0\0\0\x18ftypheic",
        os.fsdecode(b"bytes \xff.png"): b"junk",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "itself.png").symlink_to(folder / "itself.png")
    os.mkfifo(folder / "pipe.png")
    bad = {*contents, "gone.png", "itself.png", "pipe.png"}
    if os.geteuid() != 0:
        (folder / "secret.png").write_bytes(whole.getvalue())
        (folder / "secret.png").chmod(0)
        bad.add("secret.png")
    return {name.encode("utf-8", "backslashreplace").decode() for name in bad}


def state(root: Path) -> str:
    """Return a hash of all names, kinds, permissions, times and contents below a folder."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        digest.update(os.fsencode(path) + repr((status.st_mode, status.st_mtime_ns, status.st_size)).encode())
        if path.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif path.is_file() and os.access(path, os.R_OK):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def outcome(work: Callable[[], object]) -> object:
    """Return what some work gives, or the text of its DataError."""
    try:
        return work()
    except DataError as error:
        return str(error)


def check(source: object, **options: object) -> report.DataReport:
    return report.check(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    root = tmp_path_factory.mktemp("thousand") / "mixed"
    root.mkdir()
    return root, make_a_thousand(root)


def test_a_thousand_pictures_with_every_hazard(thousand: tuple[Path, set[str]]) -> None:
    root, bad = thousand
    before = state(root)
    found = check(root)
    assert {name.rpartition("/")[2] for name in found.bad} == bad
    assert found.pictures == GOOD + len(bad)
    assert found.usable == GOOD
    assert not found.accepted
    assert f"{len(bad)} of {GOOD + len(bad):,} pictures cannot be used" in found.verdict
    assert set(found.classes) == {"cats", "dogs", "Birds", "birds", "Ünï cödé", "tiny"}
    assert sum(found.classes.values()) == GOOD
    assert any({"cats/copy a.png", "cats/nested/copy b.png"} <= set(group) for group in found.duplicates)
    assert {"RGB", "L", "P", "CMYK", "RGBA", "LA", "1", "I;16"} <= set(found.modes)
    assert {"PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"} == set(found.formats)
    assert found.sizes["16x40"] > 200
    assert found.sizes["30x20"] == 1  # as shown, not as stored
    assert (found.height, found.width, found.channels) == (64, 64, 3)
    assert found.size_bytes == GOOD * 64 * 64 * 3
    assert set(found.passed_over) == {"dogs/notes.txt", "dogs/table.xlsx"}
    notes = "\n".join(found.notes)
    for part in ("'tiny' (3)", "10:1", "differ only in case", "without pictures are no classes: empty"):
        assert part in notes
    assert json.loads(json.dumps(found.__dict__, default=list))
    with pytest.raises(DataError):
        data.load(DataOptions(source=str(root)))
    pictures = data.load(DataOptions(source=str(root), on_bad="skip"))
    assert len(pictures) == GOOD
    assert pictures.labels is not None
    assert (
        dict(zip(pictures.class_names, np.bincount(pictures.labels).tolist(), strict=True)) == found.classes
    )
    assert state(root) == before


def test_the_same_as_a_zip_file(thousand: tuple[Path, set[str]], tmp_path: Path) -> None:
    root, _ = thousand
    with zipfile.ZipFile(tmp_path / "mixed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            named = os.fsencode(path.name).isascii() or "\udcff" not in path.name
            if path.is_file() and not path.is_symlink() and named and os.access(path, os.R_OK):
                archive.write(path, path.relative_to(root.parent))
        archive.writestr("__MACOSX/mixed/cats/._0001.png", b"junk")
    before = state(tmp_path)
    found = check(tmp_path / "mixed.zip")
    assert found.usable == GOOD
    assert {name.rpartition("/")[2] for name in found.bad} >= {"nothing.png", "text.jpg", "cut.jpg"}
    zipped = data.load(DataOptions(source=str(tmp_path / "mixed.zip"), on_bad="skip"))
    folder = data.load(DataOptions(source=str(root), on_bad="skip"))
    assert zipped.sha256() == folder.sha256()
    (tmp_path / "ganforge-home").rename(tmp_path.parent / f"{tmp_path.name} home")
    assert state(tmp_path) == before


def test_the_verdict_is_what_training_does(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    Image.new("L", (20, 20)).save(tmp_path / "few" / "a.png")
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "floats.npz", images=np.zeros((20, 9, 9)))
    np.savez(tmp_path / "none.npz", images=np.zeros((0, 9, 9), np.uint8))
    sources: list[tuple[object, dict[str, object]]] = [
        (photos, {}),
        (photos, {"height": 16, "width": 24, "channels": 4, "fit": "pad"}),
        ("digits", {}),
        ("digits", {"height": 16, "width": 16}),
        *((tmp_path / name, {}) for name in ("few", "text", "floats.npz", "none.npz", "gone", "nul\0")),
        ("", {}),
        (photos, {"labels": "gone.csv"}),
    ]
    for source, options in sources:
        found = check(source, **options)
        wanted = DataOptions(source=str(source), **options)  # type: ignore[arg-type]
        pictures = outcome(functools.partial(data.load, wanted))
        if isinstance(pictures, str):
            assert not found.accepted
            assert pictures in found.verdict
        else:
            assert isinstance(pictures, data.PictureSet)
            assert found.accepted
            assert found.verdict == "accepted"
            assert pictures.images.shape == (found.usable, found.height, found.width, found.channels)
            assert pictures.preparation == found.preparation
            assert pictures.class_names == tuple(found.classes)
            assert pictures.images.nbytes == found.size_bytes
            assert pictures.warnings == found.notes


def test_a_set_that_fits_nowhere_is_refused_beforehand(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.decode_all.cache, "IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(report.decode_all.cache, "room_for", lambda size: "the disk is full")
    monkeypatch.setattr(report.decode_all.cache, "memory_bytes", lambda: 1000.0)
    assert "the disk is full" in check(photos).verdict


# Damaged archives: a report, and either pictures or a DataError.


def _archive() -> bytes:
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(12):
            picture = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(picture, "PNG")
            archive.writestr(f"{'ab'[index % 2]}/{index}.png", picture.getvalue())
        archive.writestr("metadata.csv", "file_name,label\n")
    return stream.getvalue()


_WHOLE = _archive()


def test_a_name_with_letters_of_no_known_encoding_behind_a_zero_byte(tmp_path: Path) -> None:
    path = tmp_path / "damaged.zip"
    named = _WHOLE.replace(b"a/0.png", b"a/\0\x82.pn").replace(b"metadata.csv", b"unneeded.txt")
    path.write_bytes(named)
    found = check(path)
    assert found.kind == "zip"
    assert any("names in the archive are read as" in note for note in found.notes)


@given(st.data())
def test_damaged_zip_files_never_crash(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    content = bytearray(_WHOLE)
    for _ in range(draw.draw(st.integers(0, 5))):
        # Half of the damage goes to the table of contents at the end.
        low = draw.draw(st.sampled_from([0, len(content) - 900]))
        content[draw.draw(st.integers(low, len(content) - 1))] = draw.draw(st.integers(0, 255))
    if draw.draw(st.booleans()):
        del content[draw.draw(st.integers(0, len(content))) :]
    path = tmp_path_factory.getbasetemp() / "fuzz.zip"
    path.write_bytes(content)
    shutil.rmtree(cache.directory(), ignore_errors=True)  # clocks are too coarse for writes this close
    found = check(path)
    pictures = outcome(lambda: data.load(DataOptions(source=str(path))))
    if isinstance(pictures, str):
        assert not found.accepted
        assert "\n" not in pictures
    else:
        assert isinstance(pictures, data.PictureSet)
        assert found.accepted
        assert len(pictures) == found.usable
