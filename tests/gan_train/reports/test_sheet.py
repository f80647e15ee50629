from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_infer.latent import seeds
from gan_infer.outputs import image as images
from gan_train.networks import of_class, pixels
from gan_train.networks.sampler import Sampler
from gan_train.reports import sheet, walk
from tests.conftest import Kind, make_network


@given(st.integers(8, 256), st.integers(8, 256), st.integers(0, 200))
def test_sheets_and_walks_stay_of_a_sane_size(height: int, width: int, classes: int) -> None:
    rows, columns = sheet.layout(height, width, classes)
    area = height * width * sheet.factor(height, width) ** 2
    assert 1 <= columns <= 8
    assert 1 <= rows <= min(classes or 8, 16)
    assert rows * columns * area <= 2**21
    assert walk.count_walks(height, width, classes) * area <= 2**17
    wanted = (min(classes, 16) or 8, 8)
    if wanted[0] * wanted[1] * area <= 2**21:
        assert (rows, columns) == wanted


def test_a_sheet_of_large_pictures_shows_fewer_of_the_same() -> None:
    kind = Kind("mlp", 160, 200, 3, classes=20, latent_dim=4, condition="one_hot")
    network = make_network(kind)
    drawn = sheet.draw(Sampler(network, 4, "normal", 20))
    assert drawn is not None
    rows, columns = sheet.layout(160, 200, 20)
    assert drawn.shape == (rows * 162 + 2, columns * 202 + 2, 3)
    latent = torch.from_numpy(seeds.latents([2], 4, "normal"))
    alone = pixels.draw(network, latent, of_class(torch.tensor([5])))
    there = drawn[5 * 162 + 2 : 6 * 162, 2 * 202 + 2 : 3 * 202]
    assert np.abs(there.astype(int) - alone[0]).max() <= 1


@pytest.mark.parametrize(("height", "width", "classes"), [(8192, 8, 0), (8, 8192, 5000), (4096, 4, 100)])
def test_sample_sheets_of_long_pictures_stay_within_what_viewers_open(
    height: int, width: int, classes: int
) -> None:
    rows, columns = sheet.layout(height, width, classes)
    assert rows * (height + images.GAP) * sheet.factor(height, width) <= images.VIEWABLE_SIDE
    assert columns * (width + images.GAP) * sheet.factor(height, width) <= images.VIEWABLE_SIDE
