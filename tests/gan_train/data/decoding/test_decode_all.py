"""Hazards of real pictures, each decoded as it should be or refused by name."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer.decoding.decode import describe_preparation, open_image, prepare, read_header
from gan_infer.decoding.formats import READ
from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data.pictures import PictureSet
from tests import picture_files


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def prepared(content: bytes, shape: tuple[int, int, int], fit: str = "crop") -> np.ndarray:
    with open_image(io.BytesIO(content), len(content)) as image:
        return prepare(image, shape, fit)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def palette() -> bytes:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return encoded(image)


def palette_transparent() -> bytes:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 10, 10, 10, 200, 30])
    return encoded(image, transparency=0)


def deep(kind: str) -> bytes:
    return encoded(Image.fromarray(np.full((20, 20), 30_000, np.uint16)), kind)


def real(highest: float) -> bytes:
    return encoded(Image.fromarray(np.linspace(0, highest, 400, dtype=np.float32).reshape(20, 20)), "TIFF")


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), (value, value, value)) for value in (80, 250)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (palette(), (10, 200, 30)),
        (palette_transparent(), (255, 255, 255)),
        (deep("PNG"), (117, 117, 117)),  # 30,000 / 257
        (deep("TIFF"), (117, 117, 117)),
        (b"P5 20 20 65535\n" + (30_000).to_bytes(2, "big") * 400, (117, 117, 117)),
        (real(1.0), (127.5, 127.5, 127.5)),
        (real(255.0), (127.5, 127.5, 127.5)),
        (real(65535.0), (127.5, 127.5, 127.5)),
        (encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG", quality=95), (255, 0, 0)),
        (encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 51))), (204, 204, 204)),  # a fifth of black on white
        (encoded(Image.new("LA", (20, 20), (0, 102))), (153, 153, 153)),
        (encoded(Image.new("1", (20, 20), 1)), (255, 255, 255)),
        (animated("GIF"), (80, 80, 80)),
        (animated("WEBP"), (80, 80, 80)),
        (animated("PNG"), (80, 80, 80)),
    ],
    ids=[
        *("palette", "palette with transparency", "16-bit png", "16-bit tiff", "16-bit pgm", "float 1"),
        *("float 255", "float 65535", "cmyk", "alpha", "grey with alpha", "bilevel", "gif", "webp", "apng"),
    ],
)
def test_hazards_are_decoded_as_they_look(content: bytes, expected: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(prepared(content, (16, 16, 3)).reshape(-1, 3).mean(0), expected, atol=3)
    grey = prepared(content, (16, 16, 1))
    assert abs(grey.mean() - np.dot(expected, (0.299, 0.587, 0.114))) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_and_counts_for_the_size(kind: str, orientation: int) -> None:
    # Seen upright: white in the upper left quarter. By EXIF 2.3, what transpose stores it turned so?
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:10, :20] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright.transpose(1, 0, 2), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, quality=100)
    with open_image(io.BytesIO(content), len(content)) as image:
        seen = read_header(image)
    assert (seen.height, seen.width) == (20, 40)
    shown = prepared(content, (20, 40, 1))[..., 0]
    assert shown[1:9, 1:19].min() > 200
    shown[:11, :21] = 0
    assert shown.max() < 50


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_picture_with_broken_notes_is_still_a_picture() -> None:
    content = encoded(
        Image.new("RGB", (20, 20), (9, 9, 200)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff junk"
    )
    assert prepared(content, (16, 16, 3))[..., 2].min() > 150


def test_the_centre_is_cut_and_averaged() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200  # the centre square
    wide[::2, 20:40] = 100
    content = encoded(Image.fromarray(wide))
    assert (prepared(content, (10, 10, 3)) == 150).all()
    assert prepared(content, (40, 20, 1)).shape == (40, 20, 1)


def test_padding_shows_the_whole_picture_between_borders() -> None:
    content = encoded(Image.new("RGB", (60, 20), (10, 20, 30)))
    wide = prepared(content, (30, 30, 3), "pad")
    assert (wide[10:20] == (10, 20, 30)).all()
    assert (wide[:10] == 255).all()
    assert (wide[20:] == 255).all()
    clear = prepared(content, (60, 20, 4), "pad")
    assert (clear[..., 3] == np.isin(np.arange(60), range(26, 33))[:, None] * 255).all()
    assert (clear[0, 0] == (255, 255, 255, 0)).all()
    assert (prepared(content, (20, 60, 3), "pad") == (10, 20, 30)).all()


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(8, 256),
    st.integers(8, 256),
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["crop", "pad"]),
)
def test_every_shape_becomes_every_shape(
    height: int, width: int, to_height: int, to_width: int, channels: int, fit: str
) -> None:
    array = prepared(encoded(Image.new("L", (width, height), 77)), (to_height, to_width, channels), fit)
    assert array.shape == (to_height, to_width, channels)
    assert array[(to_height - 1) // 2, (to_width - 1) // 2, 0] == 77
    if fit == "crop":
        assert (array[..., : min(3, channels)] == 77).all()


def test_colours_hidden_by_transparency_do_not_bleed() -> None:
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[:, :18] = (200, 0, 0, 255)
    picture[:, 18:] = (0, 255, 0, 0)  # a green that nobody sees
    content = encoded(Image.fromarray(picture))
    kept = prepared(content, (10, 10, 4))
    seen = kept[..., 3] > 0
    assert np.abs(kept[seen][:, :3].astype(int) - (200, 0, 0)).max() <= 2
    assert (kept[~seen] == (255, 255, 255, 0)).all()
    assert set(np.unique(kept[..., 3])) == {0, 128, 255}  # the fifth column is half covered
    flat = prepared(content, (10, 10, 3))
    assert flat[:, 6:].min() == 255
    np.testing.assert_allclose(flat[:, 4].mean(0), (227.5, 127.5, 127.5), atol=1)


def test_what_was_done_is_said() -> None:
    assert describe_preparation(3, "crop") == (
        "centre-cropped to shape, averaged by area, transparency on white, orientation applied"
    )
    assert "padded with white" in describe_preparation(1, "pad")
    assert "padded with transparency" in describe_preparation(4, "pad")
    assert "transparency kept" in describe_preparation(4, "crop")


# Through the front door: sizes, channels, and bad files.


def test_sizes_and_channels_that_are_not_asked_for(tmp_path: Path) -> None:
    for index in range(10):
        Image.new("L", (100, 90), index).save(tmp_path / f"{index}.png")
    assert load(tmp_path).images.shape == (10, 90, 100, 1)
    assert load(tmp_path, height=8, width=256, channels=4, fit="pad").images.shape == (10, 8, 256, 4)
    Image.new("L", (101, 90)).save(tmp_path / "0.png")
    assert load(tmp_path).images.shape == (10, 64, 64, 1)
    Image.new("RGBA", (100, 90), (255, 0, 0, 0)).save(tmp_path / "0.png")
    pictures = load(tmp_path)
    assert pictures.channels == 3
    assert (pictures.images[0] == 255).all()
    assert "--channels 4" in pictures.warnings[0]
    assert "padded" in load(tmp_path, fit="pad").preparation


def text() -> bytes:
    return b"this is no picture"


def nothing() -> bytes:
    return b""


def cut_short() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise))[:2000]


def too_large() -> bytes:
    return encoded(Image.new("1", (20_000, 20_000)))


def large() -> bytes:
    return encoded(Image.new("1", (11_000, 10_000)))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (text, "no picture of a known format"),
        (nothing, "is empty"),
        (cut_short, "is damaged"),
        (too_large, "more pixels than the 100,000,000 that are read"),
        (large, "has 11000x10000 pixels; at most 100,000,000"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_files_are_refused_by_name_or_left_out(
    photos: Path, make: Callable[[], bytes], reason: str
) -> None:
    bad = photos / "cats" / "bad.png"
    bad.write_bytes(make())
    with pytest.raises(DataError, match=reason) as caught:
        load(photos)
    assert str(bad) in str(caught.value)
    assert "--on-bad skip" in str(caught.value)
    assert "\n" not in str(caught.value)
    skipped = load(photos, on_bad="skip")
    assert len(skipped) == 24
    assert "bad.png" in skipped.warnings[0]


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        (np.linspace(-300, 300, 400, dtype=np.float32), "values from -300 to 300"),
        (np.linspace(0, 1e6, 400, dtype=np.float32), r"values from 0 to 1000000;.*--value-range=0:1000000"),
        (np.linspace(0, 9, 400, dtype=np.float32), "values from 0 to 9"),
        (np.full(400, np.inf, np.float32), "holds no value that is a finite number"),
        (
            np.linspace(0, 2**31 - 1, 400).astype(np.int32),
            "values from 0 to 2147483647; expected 0 to 65535",
        ),
        (np.linspace(-1024, 3071, 400).astype(np.int32), "--value-range=-1024:3071"),
    ],
    ids=["signed", "large", "few", "infinite", "32-bit", "of a scanner"],
)
def test_levels_of_no_known_range_are_refused_rather_than_clipped(levels: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        prepared(encoded(Image.fromarray(levels.reshape(20, 20)), "TIFF"), (16, 16, 1))


def test_deep_levels_are_scaled_exactly_and_what_is_no_number_is_black() -> None:
    levels = np.arange(0, 65536, 164, dtype=np.uint16).reshape(20, 20)
    exact = (levels * (255 / 65535)).round()
    for stored in (levels, levels.astype(np.int32), levels.astype(np.float32)):
        content = encoded(Image.fromarray(stored), "TIFF")
        assert np.array_equal(prepared(content, (20, 20, 1))[..., 0], exact)
    holes = np.full((20, 20), np.nan, np.float32)
    holes[0] = 1.0
    assert prepared(encoded(Image.fromarray(holes), "TIFF"), (20, 20, 1))[:2, 0, 0].tolist() == [255, 0]


def test_pictures_of_kinds_that_are_not_read_are_no_silent_loss(photos: Path) -> None:
    (photos / "cats" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"phone.HEIC is no picture of a known format"):
        load(photos)


def test_files_that_cannot_be_opened(photos: Path) -> None:
    (photos / "cats" / "broken.png").symlink_to(photos / "gone.png")
    (photos / "cats" / "self.png").symlink_to(photos / "cats" / "self.png")
    os.mkfifo(photos / "cats" / "pipe.png")
    with pytest.raises(DataError, match="3 of 27 pictures") as caught:
        load(photos)
    assert "is no regular file" in str(caught.value)
    assert len(load(photos, on_bad="skip")) == 24


def test_files_and_folders_without_permission(photos: Path, not_root: None) -> None:
    (photos / "cats" / "01.png").chmod(0)
    (photos / "dogs").chmod(0)
    try:
        with pytest.raises(DataError, match=r"01.png cannot be opened: Permission denied"):
            load(photos)
        with pytest.raises(DataError, match="dogs/ cannot be listed: Permission denied"):
            load(photos)
    finally:
        (photos / "dogs").chmod(0o755)


def test_a_file_that_vanishes_after_the_listing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = data.open_source.folder.list_files

    def read_and_lose(root: Path, follow_links: bool) -> object:
        files = real(root, follow_links)
        (root / "cats" / "05.png").unlink(missing_ok=True)
        return files

    monkeypatch.setattr(data.open_source.folder, "list_files", read_and_lose)
    with pytest.raises(DataError, match=r"05.png cannot be opened: No such file"):
        load(photos)


# Whatever bytes there are, there is a picture or a DataError.

_SEEDS = [
    *(encoded(Image.effect_noise((24, 24), 60).convert("RGB"), kind) for kind in READ),
    *(palette(), palette_transparent(), deep("TIFF"), deep("PNG"), animated("GIF"), animated("WEBP")),
    encoded(Image.new("RGBA", (20, 20), (1, 2, 3, 4))),
    encoded(Image.new("L", (20, 20)), "TIFF", compression="tiff_lzw"),
    encoded(Image.effect_noise((24, 24), 60).convert("RGB"), icc_profile=picture_files.ADOBE_RGB),
    encoded(Image.effect_noise((24, 24), 60).convert("CMYK"), "JPEG", progressive=True),
    picture_files.png(np.arange(1200, dtype=np.uint16).reshape(20, 20, 3)),
    picture_files.png(np.arange(800, dtype=np.uint16).reshape(20, 20, 2)),
    b"P2 # plain\n4 4\n9\n" + b"1 2 3 4 " * 4,
]


@given(st.data())
def test_damaged_bytes_give_a_picture_or_a_data_error(draw: st.DataObject) -> None:
    content = bytearray(draw.draw(st.sampled_from(_SEEDS)))
    for _ in range(draw.draw(st.integers(0, 6))):
        at = draw.draw(st.integers(0, len(content) - 1))
        content[at] = draw.draw(st.integers(0, 255))
    if draw.draw(st.booleans()):
        del content[draw.draw(st.integers(0, len(content))) :]
    found: object = None
    with contextlib.suppress(DataError):  # and no other
        found = prepared(bytes(content), (16, 16, 3))
    assert found is None or np.shape(found) == (16, 16, 3)
