from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_infer.errors import DataError
from gan_train.metrics import distance


def white(count: int, dim: int, seed: int) -> np.ndarray:
    """Return features whose mean is 0 and whose covariance is the unit matrix, up to rounding."""
    raw = np.random.RandomState(seed).randn(count, dim)
    raw -= raw.mean(0)
    return raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T


@settings(max_examples=10)
@given(st.integers(0, 1000), st.floats(-5, 5), st.floats(0.1, 3))
def test_the_frechet_distance_of_gaussians_is_the_known_one(seed: int, shift: float, scale: float) -> None:
    first, second = white(60, 4, seed), white(50, 4, seed + 1) * scale + shift
    # Between N(0, 1) and N(shift, scale^2) in each of 4 dimensions.
    known = 4 * (shift**2 + (1 - scale) ** 2)
    assert distance.frechet(first, second) == pytest.approx(known, abs=1e-6)


def test_the_frechet_distance_does_not_know_the_origin_and_is_nothing_to_itself() -> None:
    features = white(80, 6, 0)
    assert distance.frechet(features + 1e4, features + 1e4) == pytest.approx(0, abs=1e-6)
    other = features * 1.5
    far = distance.frechet((features + 1e4).astype(np.float32), (other + 1e4).astype(np.float32))
    assert far == pytest.approx(distance.frechet(features, other), rel=1e-2)


def test_with_fewer_pictures_than_features_the_distance_is_still_a_number() -> None:
    features = np.random.RandomState(0).randn(12, 40).astype(np.float32)
    assert distance.frechet(features[:6], features[6:]) > 0


def test_the_kernel_distance_of_two_points_is_the_known_one() -> None:
    first, second = np.tile([1.0, 0.0], (20, 1)), np.tile([0.0, 2.0], (20, 1))
    known = (1 / 2 + 1) ** 3 + (4 / 2 + 1) ** 3 - 2 * 1
    mean, spread = distance.kernel(first, second, subsets=3, subset_size=8)
    assert mean == pytest.approx(known)
    assert spread == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_is_about_nothing_between_alikes_and_grows() -> None:
    random = np.random.RandomState(0)
    first, second = random.randn(400, 8), random.randn(400, 8)
    mean, spread = distance.kernel(first, second, subsets=20)
    assert abs(mean) < 3 * spread
    farther = [distance.kernel(first, second + shift, subsets=5)[0] for shift in (0.2, 0.5, 1.0)]
    assert mean < farther[0] < farther[1] < farther[2]


def test_the_kernel_distance_leaves_random_state_alone_and_repeats_itself() -> None:
    random = np.random.RandomState(0)
    first, second = random.randn(50, 4), random.randn(50, 4)
    before = torch.get_rng_state()
    one = distance.kernel(first, second, subsets=3, seed=1)
    torch.manual_seed(77)
    assert distance.kernel(first, second, subsets=3, seed=1) == one
    assert distance.kernel(first, second, subsets=3, seed=2) != one
    torch.set_rng_state(before)
    distance.kernel(first, second, subsets=3)
    distance.frechet(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_swapped_classes_show_within_classes_alone() -> None:
    features = np.concatenate([white(40, 3, 0), white(40, 3, 1) + 5])
    labels = np.repeat([0, 1], 40)
    swapped = features[::-1]
    assert distance.frechet(features, swapped) == pytest.approx(0, abs=1e-6)
    assert distance.intra_class_frechet(features, labels, features, labels) == pytest.approx(0, abs=1e-6)
    assert distance.intra_class_frechet(features, labels, swapped, labels) == pytest.approx(75, rel=1e-3)
    assert np.isnan(distance.intra_class_frechet(features, labels, features, labels + 2))


def test_variety_is_that_of_the_spread() -> None:
    features = np.concatenate([white(40, 3, 0), white(40, 3, 1) + 100])
    labels = np.repeat([0, 1], 40)
    centre = np.repeat([[0.0], [100.0]], 40, axis=0)
    narrow = (features - centre) * 0.25 + centre
    assert distance.variety(narrow, labels, features, labels) == pytest.approx(0.25)
    assert distance.variety(narrow, None, features, labels) == pytest.approx(1, abs=0.01)
    assert distance.variety(centre, labels, features, labels) == pytest.approx(0, abs=1e-9)
    assert distance.variety(np.zeros((5, 3)), None, features, None) == 0


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.zeros((5, 2)), np.zeros((5, 3)), r"shapes \(5, 2\) and \(5, 3\)"),
        (np.zeros(5), np.zeros((5, 3)), "shapes"),
        (np.zeros((1, 2)), np.zeros((5, 2)), "1 and 5 pictures are too few"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(
    first: np.ndarray, second: np.ndarray, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        distance.frechet(first, second)
