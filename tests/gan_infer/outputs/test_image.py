from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import OptionError
from gan_infer.outputs.image import FORMATS, enlarge, factor_for, save, tile


def batch(n: int, channels: int = 1) -> np.ndarray:
    return np.arange(n, dtype=np.uint8)[:, None, None, None] + np.full((n, 4, 6, channels), 100, np.uint8)


def test_tile_lays_out_row_by_row_and_fills_the_rest() -> None:
    sheet = tile(batch(5), 3, gap=1, background=9)
    assert sheet.shape == (2 * 5 + 1, 3 * 7 + 1, 1)
    for index in range(5):
        top, left = 1 + index // 3 * 5, 1 + index % 3 * 7
        assert (sheet[top : top + 4, left : left + 6] == 100 + index).all()
    assert (sheet[6:10, 15:21] == 9).all()
    assert (sheet[0] == 9).all()


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (4, 4, 1), (2, 4, 4, 2)])
def test_tile_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="shape"):
        tile(np.zeros(shape, np.uint8), 2)


def test_tile_refuses_no_columns() -> None:
    with pytest.raises(OptionError, match="columns"):
        tile(batch(1), 0)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_png_keeps_every_pixel(tmp_path: Path, channels: int, mode: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    save(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image).reshape(picture.shape), picture)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "webp", "gif"])
def test_other_formats_are_written_by_their_ending(tmp_path: Path, ending: str) -> None:
    save(batch(1, 4)[0], tmp_path / f"a.{ending}")
    with Image.open(tmp_path / f"a.{ending}") as image:
        assert image.format == FORMATS[f".{ending.lower()}"]


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.png"):
        save(batch(1)[0], tmp_path / "a.txt")


@pytest.mark.parametrize(("ending", "side"), [("jpg", 65_500), ("webp", 16_383), ("gif", 65_535)])
def test_what_no_file_of_a_format_can_hold_is_refused(tmp_path: Path, ending: str, side: int) -> None:
    save(np.zeros((1, side, 1), np.uint8), tmp_path / f"a.{ending}")
    with pytest.raises(OptionError, match=f"at most {side:,} per side"):
        save(np.zeros((1, side + 1, 1), np.uint8), tmp_path / f"b.{ending}")
    save(np.zeros((1, side + 1, 1), np.uint8), tmp_path / "a.png")
    assert len(list(tmp_path.iterdir())) == 2


def test_enlarging_repeats_pixels() -> None:
    picture = np.array([[[1], [2]]], np.uint8)
    assert enlarge(picture, 2)[..., 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert factor_for(28, 28) == 3
    assert factor_for(64, 100) == 1
    assert factor_for(500, 500) == 1
