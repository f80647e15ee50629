"""IDX and .npz files."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import cache
from gan_train.data.pictures import PictureSet
from gan_train.data.sources import idx, npz

NOISE = np.random.default_rng(0).integers(0, 256, (30, 20, 24), dtype=np.uint8)


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def outcome(work: Callable[[], object]) -> object:
    """Return what some work gives, or the text of its DataError."""
    try:
        return work()
    except DataError as error:
        return str(error)


def write_idx(path: Path, array: np.ndarray, zipped: bool) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    body = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(body) if zipped else body)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_pairs_are_read_and_resized(tmp_path: Path, zipped: bool) -> None:
    end = ".gz" if zipped else ""
    write_idx(tmp_path / f"train-images-idx3-ubyte{end}", NOISE, zipped)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{end}", np.arange(30) % 3, zipped)
    write_idx(tmp_path / f"t10k-images-idx3-ubyte{end}", NOISE[:12], zipped)
    whole = load(tmp_path)
    assert np.array_equal(whole.images[..., 0], NOISE)
    assert whole.class_names == ("0", "1", "2")
    assert whole.preparation == "as stored"
    alone = load(tmp_path / f"t10k-images-idx3-ubyte{end}")
    assert len(alone) == 12
    assert alone.labels is None
    resized = load(tmp_path, height=32, width=16, channels=3)
    assert resized.images.shape == (30, 32, 16, 3)
    assert resized.class_names == ("0", "1", "2")
    assert "averaged by area" in resized.preparation


def test_an_idx_file_is_known_by_what_it_holds(tmp_path: Path, photos: Path) -> None:
    write_idx(tmp_path / "pictures.bin", NOISE, zipped=False)
    assert len(load(tmp_path / "pictures.bin")) == 30
    (photos / "cats" / "01.png").rename(photos / "cats" / "idx3.png")  # a name proves nothing
    assert len(load(photos / "cats")) == 12


def test_idx_files_that_are_damaged_are_refused_by_name(tmp_path: Path) -> None:
    images = tmp_path / "images-idx3-ubyte"
    write_idx(images, np.zeros((12, 16, 16)), zipped=False)
    write_idx(tmp_path / "labels-idx1-ubyte", np.zeros(11), zipped=False)
    with pytest.raises(DataError, match="one label for each picture"):
        load(images)
    whole = images.read_bytes()
    for content in (
        whole[:-1],
        whole + b"x",
        b"",
        b"\0\0\x0d\3",
        b"\0\0\x08\3\0\0",
        b"\0\0\x08\3" + b"\xff" * 12,
        b"\0\0\x08\3\0\0\xff\xff\0\0\xff\xff\0\0\0\1",
        b"\x1f\x8b junk",
        gzip.compress(whole)[:-9],
    ):
        images.write_bytes(content)
        with pytest.raises(DataError, match="images-idx3-ubyte"):
            idx.read(images)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_an_idx_file_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else b"\0\0\x08" + content)
    found = outcome(lambda: idx.read(path))
    assert isinstance(found, np.ndarray) or "fuzz-idx3-ubyte" in str(found)


# .npz files.


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_by_their_usual_names(tmp_path: Path, save: object) -> None:
    path = tmp_path / "set.npz"
    colour = np.stack([NOISE] * 3, -1)
    for arrays, names in (
        ({"images": NOISE, "labels": np.arange(30) % 2}, ("0", "1")),
        ({"x": colour, "y": (np.arange(30) % 2)[:, None]}, ("0", "1")),
        ({"x_train": NOISE, "y_train": (np.arange(30) % 3) * 10.0, "x_test": NOISE}, ("0", "10", "20")),
        ({"arr_0": NOISE, "arr_1": np.arange(30) % 2 + 5}, ("5", "6")),
        ({"arr_0": NOISE}, ()),
        ({"images": NOISE, "labels": np.array(["up", "down"] * 15)}, ("down", "up")),
        (
            {"images": NOISE, "labels": np.arange(30) % 2, "class_names": np.array(["x", "b", "c"])},
            ("b", "x"),
        ),
    ):
        save(path, **arrays)  # type: ignore[operator]
        pictures = load(path)
        assert pictures.class_names == names
        first = next(iter(arrays.values()))
        assert np.array_equal(pictures.images, first if first.ndim == 4 else first[..., None])
        assert pictures.name == "set"
        assert pictures.preparation == "as stored"
    assert pictures.labels is not None
    assert pictures.labels[:4].tolist() == [1, 0, 1, 0]


def test_arrays_are_resized_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "set.npz", images=np.full((12, 32, 16, 4), 100, np.uint8))
    pictures = load(tmp_path / "set.npz", height=8, width=8)
    assert pictures.images.shape == (12, 8, 8, 3)
    assert (pictures.images == round(255 + (100 - 255) * 100 / 255)).all()
    assert load(tmp_path / "set.npz", channels=4).preparation == "as stored"
    load(tmp_path / "set.npz", height=8, width=8)
    monkeypatch.setattr(data.decode_all.decode, "prepare", None)
    assert load(tmp_path / "set.npz", height=8, width=8).sha256() == pictures.sha256()


def test_arrays_of_the_other_memory_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.asfortranarray(NOISE))
    assert np.array_equal(load(tmp_path / "set.npz").images[..., 0], NOISE)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"one": NOISE, "two": NOISE}, r"holds one \[30, 20, 24\], two .*expected `images`.*set.npz/one"),
        ({"images": NOISE.astype(np.float32) / 64}, "is float32 from 0 to 3.98.* none of 0 to 1"),
        ({"images": NOISE[0]}, r"is uint8 \[20, 24\]"),
        ({"images": NOISE[:, None, None]}, "channels being 1, 3 or 4"),
        ({"images": NOISE, "labels": np.arange(29)}, r"int64 \[29\] for 30 pictures"),
        ({"images": NOISE, "labels": np.full(30, np.nan)}, "one whole number or text for each picture"),
        ({"images": NOISE, "labels": np.array([object()] * 30)}, "labels.npy holds Python objects"),
        (
            {"images": NOISE, "labels": np.arange(30) % 2, "classes": np.array(["a", "b"], object)},
            r"classes.npy holds Python objects.*astype\(str\)",
        ),
        ({"images": np.array([object()])}, "images.npy holds Python objects"),
        ({"images": NOISE[:, :0]}, r"is uint8 \[30, 0, 24, 1\]"),
        ({"images": NOISE, "labels": np.arange(30), "class_names": np.array(["a"])}, "1 class names"),
    ],
    ids=range(11),
)
def test_arrays_that_cannot_be_used(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=reason) as caught:
        load(tmp_path / "set.npz")
    assert "set.npz" in str(caught.value)


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 64, 64)}
    )
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy", stream.getvalue() + bytes(100))
    with pytest.raises(DataError, match=r"images.npy is cut short"):
        load(tmp_path / "set.npz")


def test_large_plain_arrays_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.npz"
    for array in (NOISE, np.asfortranarray(NOISE)):
        np.savez(path, labels=np.arange(30) % 2, images=array)
        small = load(path)
        with monkeypatch.context() as patch:
            patch.setattr(npz, "IN_MEMORY_BYTES", 1000)
            large = load(path)
        assert isinstance(large.images, np.memmap)
        assert large.sha256() == small.sha256()
    np.savez_compressed(path, images=NOISE)
    monkeypatch.setattr(npz, "IN_MEMORY_BYTES", 1000)
    assert load(path).images.flags.writeable
    for place, limit in ((npz, "MAX_PACKED_BYTES"), (npz.cache, "memory_bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(place, limit, 2000 if limit.isupper() else lambda: 4000.0)
            with pytest.raises(DataError, match=r"at most 2,000 .*savez, without compression"):
                load(path)


@given(st.data())
def test_damaged_npz_files_give_pictures_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    stream = io.BytesIO()
    save = draw.draw(st.sampled_from([np.savez, np.savez_compressed]))
    save(stream, images=NOISE[:12, :8, :8], labels=np.arange(12) % 2)
    content = bytearray(stream.getvalue())
    for _ in range(draw.draw(st.integers(0, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    if draw.draw(st.booleans()):
        del content[draw.draw(st.integers(0, len(content))) :]
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    path.write_bytes(content)
    shutil.rmtree(cache.directory(), ignore_errors=True)  # clocks are too coarse for writes this close
    found = outcome(lambda: load(path))
    if isinstance(found, str):
        assert "fuzz" in found
        assert "\n" not in found
    else:
        assert isinstance(found, PictureSet)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([2**64 - 1, 2**63, 3], np.uint64), ("18446744073709551615", "3", "9223372036854775808")),
        (np.array([-(2**63), 0, 2**63 - 1]), ("-9223372036854775808", "0", "9223372036854775807")),
        (np.array([7, 1, 300], np.uint16), ("1", "7", "300")),
        (np.array([0.0, 2.0, 1.0], np.float16), ("0", "1", "2")),
        (np.array([True, False, True]), ("0", "1")),
        (np.array(["b", "a", "é"]).astype("U1"), ("a", "b", "é")),
        (np.array([b"b", b"a", "é".encode()]), ("a", "b", "é")),
    ],
    ids=["unsigned", "signed", "short", "floats", "truths", "text", "bytes"],
)
def test_labels_stay_what_they_are(labels: np.ndarray, names: tuple[str, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=NOISE, labels=labels[np.arange(30) % 3])
    found = load(tmp_path / "set.npz")
    assert found.class_names == names
    assert found.labels is not None
    given = [str(int(one)) if labels.dtype.kind in "iufb" else str(one) for one in labels.tolist()]
    if labels.dtype.kind == "S":
        given = ["b", "a", "é"]
    assert [names[number] for number in found.labels[:3]] == given


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.array([0.5, 1, 2]), "float64.* with 0.5 among them"),
        (np.array([0, np.nan, 2]), "with nan among them"),
        (np.array([0, np.inf, 2]), "with inf among them"),
        (np.array([0, 1e30, 2]), r"with 1e\+30 among them"),
        (np.array([0, 1, 2j]), "complex128"),
        (np.array([None, 1, "a"], object), "Python objects, which are never read"),
    ],
    ids=["fraction", "nan", "infinite", "large float", "complex", "object"],
)
def test_labels_that_name_no_class_are_refused(labels: np.ndarray, told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=NOISE, labels=labels[np.arange(30) % 3])
    with pytest.raises(DataError, match=told):
        load(tmp_path / "set.npz")
