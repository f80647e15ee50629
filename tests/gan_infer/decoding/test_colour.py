"""Colours that a file means, in sRGB; and what cannot be used does not cost the picture."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from gan_infer import DataError
from gan_infer.decoding import colour
from gan_infer.decoding.decode import COMPLETED, UNSEEN, UNSEEN_ON_WHITE, open_image, prepare
from tests.picture_files import ADOBE_RGB, chunk, encoded, png, profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
GREY = PHOTO[..., 0].copy()


def shown(content: bytes, channels: int = 3) -> tuple[np.ndarray, list[str]]:
    remarks: list[str] = []
    with open_image(io.BytesIO(content), len(content)) as image:
        return prepare(image, (16, 16, channels), "crop", None, remarks), remarks


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_srgb_profile_changes_nothing(kind: str) -> None:
    array, remarks = shown(encoded(Image.fromarray(PHOTO), kind, icc_profile=SRGB, lossless=True))
    assert np.array_equal(array, PHOTO)
    assert remarks == []


def test_adobe_rgb_becomes_srgb() -> None:
    # By the definitions of both: a gamma of 563/256, then from its primaries to those of sRGB.
    light = (PHOTO / 255) ** 2.19921875
    matrix = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])
    linear = (light @ matrix.T).clip(0, 1)
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    for mode in ("RGB", "RGBA"):
        image = Image.fromarray(PHOTO).convert(mode)
        array, remarks = shown(encoded(image, icc_profile=ADOBE_RGB))
        inside = (linear > 0.001).all(-1) & (linear < 0.999).all(-1)  # of the smaller space
        assert inside.sum() > 100
        assert np.abs(array - expected)[inside].max() <= 3
        assert remarks == [colour.CONVERTED]


def test_palettes_and_greys_follow_their_profile() -> None:
    palette = Image.fromarray(PHOTO).quantize(64)
    direct, _ = shown(encoded(palette.convert("RGB"), icc_profile=ADOBE_RGB))
    assert np.array_equal(shown(encoded(palette, icc_profile=ADOBE_RGB))[0], direct)
    dark = profile(b"GRAY", 1.8)
    array, remarks = shown(encoded(Image.fromarray(GREY), icc_profile=dark), 1)
    light = (GREY / 255) ** 1.8
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(array[..., 0] - expected).max() <= 2
    assert remarks == [colour.CONVERTED]
    assert np.array_equal(shown(encoded(Image.fromarray(GREY), icc_profile=SRGB), 1)[0][..., 0], GREY)


@pytest.mark.parametrize(
    "broken",
    [b"no profile" * 20, ADOBE_RGB[:200], profile(b"GRAY", 1.8), ADOBE_RGB + bytes(colour.MAX_PROFILE_BYTES)],
    ids=["junk", "cut short", "of grey", "huge"],
)
def test_a_profile_that_cannot_be_used_is_said_and_costs_nothing(broken: bytes) -> None:
    array, remarks = shown(encoded(Image.fromarray(PHOTO), "TIFF", icc_profile=broken))
    assert np.array_equal(array, PHOTO)
    assert remarks == [colour.UNUSABLE]


def test_lab_becomes_srgb() -> None:
    flat = Image.new("RGB", (16, 16), (200, 60, 30))
    lab = ImageCms.profileToProfile(
        flat, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    array, _ = shown(encoded(lab, "TIFF"))
    np.testing.assert_allclose(array.reshape(-1, 3).mean(0), (200, 60, 30), atol=3)


@pytest.mark.parametrize(
    ("gamma", "exponent"), [(100_000, 1.0), (55_556, 1.8), (45_455, None), (45_000, None), (0, None)]
)
def test_a_gamma_counts_where_nothing_better_is_said(gamma: int, exponent: float | None) -> None:
    said = chunk(b"gAMA", struct.pack(">I", gamma))
    array, remarks = shown(png(PHOTO, said))
    if exponent is None:
        assert np.array_equal(array, PHOTO)
        assert remarks == []
    else:
        light = (PHOTO / 255) ** exponent
        encoded_light = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(array - 255 * encoded_light).max() <= 0.6
        assert remarks == [colour.GAMMA]
    assert np.array_equal(shown(png(PHOTO, chunk(b"sRGB", b"\0") + said))[0], PHOTO)


def test_inks_without_the_mark_of_adobe_count_from_no_ink() -> None:
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    marked = encoded(inks, "JPEG", quality=95)
    np.testing.assert_allclose(shown(marked)[0].reshape(-1, 3).mean(0), (255, 0, 0), atol=3)
    # Without the mark the same bytes mean the other way around: what was written as no ink is full.
    at = marked.index(b"\xff\xee")
    (length,) = struct.unpack(">H", marked[at + 2 : at + 4])
    turned = Image.eval(inks, lambda ink: 255 - ink)
    plain = encoded(turned, "JPEG", quality=95)
    array, remarks = shown(plain[:at] + plain[at + 2 + length :])
    np.testing.assert_allclose(array.reshape(-1, 3).mean(0), (255, 0, 0), atol=3)
    assert remarks == [colour.PLAIN_CMYK]


def test_what_is_transparent_everywhere_is_said() -> None:
    clear = Image.new("RGBA", (16, 16), (10, 20, 30, 0))
    hidden = Image.new("P", (16, 16), 0)
    for content in (encoded(clear), encoded(hidden, transparency=0)):
        array, remarks = shown(content)
        assert (array == 255).all()
        assert remarks == [UNSEEN_ON_WHITE]
        assert shown(content, 4)[1] == [UNSEEN]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_taken_where_it_shows_whole(progressive: bool) -> None:
    large = Image.fromarray(PHOTO.repeat(4, 0).repeat(4, 1))
    whole = encoded(large, "JPEG", quality=90, progressive=progressive)
    expected, none = shown(whole)
    assert none == []
    for missing in (1, 2):
        array, remarks = shown(whole[:-missing])
        assert np.array_equal(array, expected)
        assert remarks == [COMPLETED]
    for missing in (12, 60, 400):
        with pytest.raises(DataError, match="is damaged: image file is truncated"):
            shown(whole[:-missing])
