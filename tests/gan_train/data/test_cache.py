"""Decoded pictures on disk: fresh or not used, larger than memory, never needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import DataError, OptionError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import cache
from gan_train.data.decoding import decode_all
from gan_train.data.pictures import PictureSet


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one for every picture that is decoded."""
    calls: list[int] = []
    real = decode_all.decode.prepare
    monkeypatch.setattr(decode_all.decode, "prepare", lambda *given: (calls.append(1), real(*given))[1])
    return calls


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 1000)


def arrays() -> list[Path]:
    return sorted(path for path in cache.directory().glob("*.npy") if not path.name.startswith("."))


def test_a_second_load_comes_from_the_cache_until_a_file_changes(photos: Path, decoded: list[int]) -> None:
    first = load(photos)
    assert len(decoded) == 24
    second = load(photos)
    assert len(decoded) == 24
    assert second.sha256() == first.sha256()
    assert second.images.flags.writeable
    Image.new("RGB", (40, 30)).save(photos / "cats" / "01.png")
    os.utime(photos / "cats" / "01.png", ns=(1, 1))
    third = load(photos)
    assert len(decoded) == 48
    assert third.sha256() != first.sha256()
    assert len(arrays()) == 1
    (photos / "cats" / "01.png").rename(photos / "cats" / "first.png")
    load(photos)
    assert len(decoded) == 72


def test_what_is_asked_for_decides(photos: Path, decoded: list[int]) -> None:
    load(photos)
    load(photos, height=30, width=40, channels=3)  # what a run settles on is what it got
    assert len(decoded) == 24
    for number, options in enumerate(
        ({"fit": "pad"}, {"height": 16, "width": 16}, {"channels": 1}, {"channels": 4}, {}), 2
    ):
        load(photos, **options)
        assert len(decoded) == 24 * number
    assert len(arrays()) == 1


def test_bad_files_are_remembered_with_skip_and_looked_at_anew_without(
    photos: Path, decoded: list[int]
) -> None:
    (photos / "cats" / "bad.png").write_bytes(b"junk")
    first = load(photos, on_bad="skip")
    before = len(decoded)
    again = load(photos, on_bad="skip")
    assert len(decoded) == before
    assert (again.sha256(), again.warnings) == (first.sha256(), first.warnings)
    with pytest.raises(DataError, match=r"bad.png"):
        load(photos)
    assert len(decoded) > before
    assert load(photos, on_bad="skip").sha256() == first.sha256()


def test_a_damaged_cache_is_none(photos: Path, decoded: list[int]) -> None:
    first = load(photos)
    (array,) = arrays()
    (note,) = cache.directory().glob("*.json")
    whole, text = array.read_bytes(), note.read_text()
    tree = json.loads(text)
    damages = [
        lambda: array.write_bytes(whole[:500]),
        lambda: array.write_bytes(b""),
        lambda: array.unlink(),
        lambda: np.save(array, np.zeros((24, 30, 40, 3))),
        lambda: np.save(array, np.zeros((23, 30, 40, 3), np.uint8)),
        lambda: note.write_text(text[:50]),
        lambda: note.write_text("[]"),
        lambda: note.write_bytes(b"\xff"),
        lambda: note.write_text(json.dumps({**tree, "version": 1})),
        lambda: note.write_text(json.dumps({**tree, "asked": 3})),
        lambda: note.write_text(json.dumps({**tree, "bad": {"x": "y"}})),
        lambda: note.write_text(json.dumps({**tree, "array": "../../elsewhere.npy"})),
        lambda: note.unlink(),
    ]
    for number, damage in enumerate(damages, 2):
        for path in cache.directory().iterdir():
            path.unlink()
        array.write_bytes(whole)
        note.write_text(text)
        damage()
        assert load(photos).sha256() == first.sha256()
        assert len(decoded) == 24 * number


def test_a_cache_that_cannot_be_written_is_no_trouble(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = load(photos)
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file"))
    assert load(photos).sha256() == first.sha256()


def test_what_killed_runs_left_is_cleared_away(photos: Path) -> None:
    load(photos)
    (array,) = arrays()
    stem = array.name.split("-")[0]
    old, new = (cache.directory() / f".{stem}-{name}.part.npy" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 10**6,) * 2)
    load(photos, height=16, width=16)
    assert not old.exists()
    assert new.exists()  # another run may be writing it
    assert len(arrays()) == 1


# Larger than memory.


def test_large_sets_are_views_of_a_file_and_equal(
    photos: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    (photos / "cats" / "bad.png").write_bytes(b"junk")
    small = load(photos, on_bad="skip")
    for path in cache.directory().iterdir():
        path.unlink()
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 1000)
    for _ in range(2):
        large = load(photos, on_bad="skip")
        assert isinstance(large.images, np.memmap)
        assert not large.images.flags.writeable
        assert large.images.shape == (24, 30, 40, 3)
        assert np.array_equal(large.images, small.images)
        assert large.sha256() == small.sha256()
        assert large.warnings == small.warnings
    assert len(decoded) == 48


def test_a_refused_set_leaves_nothing_behind(photos: Path, small_memory: None) -> None:
    (photos / "cats" / "bad.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"bad.png"):
        load(photos)
    assert not list(cache.directory().iterdir())


def test_where_the_disk_has_no_room_memory_is_used_while_it_lasts(
    photos: Path, small_memory: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(photos).sha256()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "load", lambda *given: None)
        patch.setattr(cache, "room_for", lambda size: "the disk is full")
        pictures = load(photos)
        assert pictures.sha256() == expected
        assert "held in memory" in pictures.warnings[-1]
        patch.setattr(cache, "memory_bytes", lambda: 100_000.0)
        with pytest.raises(DataError, match="GANFORGE_HOME"):
            load(photos)


def test_a_disk_that_fills_up_on_the_way(
    photos: Path, small_memory: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(place: Path, shape: object, rows: object, describe: object) -> None:
        next(iter(rows))  # type: ignore[call-overload]
        raise OptionError("cannot write: No space left on device")

    monkeypatch.setattr(cache, "write", full)
    pictures = load(photos)
    assert len(pictures) == 24
    assert "No space left" in pictures.warnings[-1]
    assert not any("repeat others" in warning for warning in pictures.warnings)


_MEASURE = """
import re, sys
from pathlib import Path
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import cache
cache.IN_MEMORY_BYTES = int(sys.argv[2])
root = Path(sys.argv[1])
load = lambda name, side: data.load(DataOptions(source=str(root / name), height=side, width=side))
load("few", 8)
peak_kb = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak_kb()
pictures = load("many", 256)
print(pictures.images.nbytes // 1024, peak_kb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_large_set_is_prepared_in_bounded_memory(tmp_path: Path) -> None:
    for name, count in (("few", 12), ("many", 600)):
        (tmp_path / name).mkdir()
        for index in range(count):
            colour = (index % 256, index // 256, 0)
            Image.new("RGB", (64, 64), colour).save(tmp_path / name / f"{index}.png")

    def grown(limit: int) -> tuple[int, int]:
        environment = {**os.environ, "GANFORGE_HOME": str(tmp_path / f"home {limit}")}
        command = [sys.executable, "-c", _MEASURE, str(tmp_path), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        size, growth = map(int, done.stdout.split())
        return size, growth

    size, growth = grown(2**20)
    assert size == 600 * 192
    assert growth < size / 3  # a fixed number of pictures under way, whatever their number
    size, growth = grown(2**40)
    assert growth > size * 0.8  # held in memory: the measure sees what it should


def test_the_hash_of_a_large_set_copies_little() -> None:
    images = np.zeros((1000, 256, 256, 1), np.uint8)  # 65 MB
    pictures = PictureSet.from_arrays("x", images)
    tracemalloc.start()
    pictures.sha256()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_the_hash_does_not_depend_on_how_pictures_lie() -> None:
    images = np.random.default_rng(0).integers(0, 256, (500, 200, 200, 1), dtype=np.uint8)  # several parts
    first = PictureSet.from_arrays("x", images).sha256()
    assert PictureSet.from_arrays("x", np.asfortranarray(images)).sha256() == first
    images[-1, -1, -1] ^= 1
    assert PictureSet.from_arrays("x", images).sha256() != first
