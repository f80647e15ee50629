from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer.outputs import image as images
from gan_train.reports import embed, walk


def test_a_small_picture_is_kept_exactly_and_without_its_enlargement(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    images.save(images.enlarge(pixels, 4), tmp_path / "a.png")
    shown = embed.picture(tmp_path / "a.png", 4)
    assert shown.size == (80, 120)
    with Image.open(io.BytesIO(base64.b64decode(shown.uri.partition(",")[2]))) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_film_is_the_frames_one_below_the_other(channels: int, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 9, channels), dtype=np.uint8)
    frames[..., 3:] = 90 + frames[..., 3:] // 4
    (tmp_path / "walk.webp").write_bytes(walk.animation(frames.repeat(2, 1).repeat(2, 2)))
    film = embed.film(tmp_path / "walk.webp", 2)
    assert (film.size, film.frames) == ((18, 12), 5)
    with Image.open(io.BytesIO(base64.b64decode(film.uri.partition(",")[2]))) as image:
        assert image.mode == ("RGBA" if channels == 4 else "RGB")
        strip = np.asarray(image)
    expected = frames.reshape(30, 9, channels)
    assert np.abs(strip.astype(int) - expected).max() <= (2 if channels == 4 else 0)  # blended frames


@given(st.integers(1, 400), st.integers(1, 30))
def test_what_is_left_out_of_many_stays_out(count: int, most: int) -> None:
    chosen, later = embed.thin(range(count), most), embed.thin(range(count + 1), most)
    assert len(chosen) <= most + 1
    assert len(chosen) >= min(count, most / 2)
    assert chosen[-1] == count - 1
    assert chosen == sorted(set(chosen))
    assert set(later) <= {*chosen, count}
