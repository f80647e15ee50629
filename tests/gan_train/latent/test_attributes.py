"""Attributes of drawn figures whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_train.latent import attributes


def blank(count: int = 1, side: int = 28, channels: int = 1) -> np.ndarray:
    return np.zeros((count, side, side, channels), np.uint8)


def bar(width: float, slope: float = 0.0, side: int = 28) -> np.ndarray:
    """Draw an upright bar with soft edges, each row moved right by `slope` for every row up."""
    picture = blank(1, side)
    places = np.arange(side)
    for row in range(4, side - 4):
        middle = (side - 1) / 2 + slope * ((side - 1) / 2 - row)
        cover = np.clip(width / 2 + 0.5 - np.abs(places - middle), 0, 1)
        picture[0, row, :, 0] = np.round(255 * cover)
    return picture


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("turned", [False, True])
def test_the_thickness_of_a_long_bar_is_its_width(width: int, turned: bool) -> None:
    picture = blank(1, 64)
    picture[:, 4:60, 30 : 30 + width] = 255
    picture = picture.swapaxes(1, 2) if turned else picture
    assert attributes.thickness(picture)[0] == pytest.approx(width, rel=0.12)


def test_thickness_grows_with_every_pixel_and_not_with_slant_or_length() -> None:
    widths = [attributes.thickness(bar(width))[0] for width in range(2, 8)]
    assert (np.diff(widths) > 0).all()
    straight, leaning = attributes.thickness(bar(3))[0], attributes.thickness(bar(3, slope=0.2))[0]
    assert leaning == pytest.approx(straight, rel=0.2)
    short = bar(3)
    short[:, 16:] = 0
    assert attributes.thickness(short)[0] == pytest.approx(straight, rel=0.15)


def test_the_thickness_of_a_ring_is_that_of_its_line() -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(y, x)
    ring = (255 * ((radius > 16) & (radius < 20))).astype(np.uint8)[None, :, :, None]
    assert attributes.thickness(ring)[0] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("angle", [-30, -12, 0, 7, 20, 35])
def test_the_slant_of_a_leaning_bar_is_its_angle(angle: float) -> None:
    leaning = bar(3, np.tan(np.radians(angle)))
    assert attributes.slant(leaning)[0] == pytest.approx(angle, abs=0.6)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 9), (12, 3)])
def test_the_extent_of_a_box_is_its_sides(width: int, height: int) -> None:
    box = blank()
    box[:, 5 : 5 + height, 3 : 3 + width] = 200
    assert attributes.width(box)[0] == pytest.approx(width if width > 1 else 0, abs=1e-5)
    assert attributes.height(box)[0] == pytest.approx(height if height > 1 else 0, abs=1e-5)


def test_brightness_is_the_mean_level() -> None:
    picture = blank(2)
    picture[1, :14] = 255
    assert attributes.brightness(picture).tolist() == [0.0, 0.5]


def test_colour_transparency_and_a_light_ground_are_read_as_what_they_show() -> None:
    grey = bar(3)
    colour = np.repeat(grey, 3, axis=3)
    clear = np.concatenate([np.full_like(colour, 255), grey], axis=3)
    for name, look in attributes.ATTRIBUTES.items():
        assert look(colour)[0] == pytest.approx(look(grey)[0], rel=1e-4), name
        assert look(clear)[0] == pytest.approx(look(grey)[0], rel=1e-4), name
        if name != "brightness":
            assert look(255 - grey)[0] == pytest.approx(look(grey)[0], rel=1e-4), name


def test_a_picture_without_ink_has_no_strokes() -> None:
    for level in (0, 90, 255):
        plain = np.full((1, 9, 13, 1), level, np.uint8)
        assert attributes.thickness(plain)[0] == 0
        assert attributes.slant(plain)[0] == 0
        assert attributes.width(plain)[0] == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.floats(0.05, 0.95))
def test_the_distance_to_the_edge_is_the_nearest_places(
    seed: int, rows: int, columns: int, full: float
) -> None:
    mask = np.random.default_rng(seed).random((3, rows, columns)) < full
    distance = attributes.edge_distance(mask)
    for one, found in zip(mask, distance, strict=True):
        outside = np.argwhere(~np.pad(one, 1)) - 1
        places = np.argwhere(np.ones_like(one))
        nearest = np.sqrt(((places[:, None] - outside[None]) ** 2).sum(2).min(1)).reshape(one.shape)
        np.testing.assert_allclose(found, nearest, rtol=1e-6)


def test_pictures_do_not_depend_on_their_neighbours() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (300, 12, 9, 1), dtype=np.uint8)
    for look in attributes.ATTRIBUTES.values():
        assert look(pictures)[257] == pytest.approx(look(pictures[257:258])[0], rel=1e-6)
        assert look(pictures[:0]).shape == (0,)
