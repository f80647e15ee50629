from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer.errors import DataError
from gan_train.metrics import neighbours


def cover(real: np.ndarray, samples: np.ndarray, k: int = 5) -> dict[str, float]:
    return dataclasses.asdict(neighbours.cover(neighbours.manifold(real, k), samples))


# From the package prdc 0.2 (its authors' own, Naeem et al. 2020):
#   random = np.random.RandomState(0); real = random.randn(300, 8); samples = random.randn(200, 8) * .7 + .3
#   prdc.compute_prdc(real, samples, nearest_k)
PEER = {
    5: {"precision": 1.0, "recall": 0.53, "density": 1.597, "coverage": 254 / 300},
    3: {"precision": 0.985, "recall": 127 / 300, "density": 458 / 300, "coverage": 203 / 300},
}


@pytest.mark.parametrize("k", PEER)
@pytest.mark.parametrize("block", [1, 1000, 2**23])
def test_cover_is_the_peers_in_blocks_of_any_size(
    k: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "MOST_AT_ONCE", block)
    random = np.random.RandomState(0)
    real, samples = random.randn(300, 8), random.randn(200, 8) * 0.7 + 0.3
    assert cover(real, samples, k) == pytest.approx(PEER[k], abs=1e-12)


def test_the_same_set_is_covered_whole_and_a_far_one_not_at_all() -> None:
    real = np.random.RandomState(0).randn(100, 3).astype(np.float32)
    same = cover(real, real)
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)
    assert set(cover(real, real + 100).values()) == {0}


def test_a_dropped_mode_lowers_recall_and_coverage_not_precision() -> None:
    random = np.random.RandomState(0)
    real = random.randn(400, 4) + 20 * np.repeat([0, 1], 200)[:, None]
    fresh = random.randn(400, 4)
    got = cover(real, fresh)
    assert got["precision"] > 0.9
    assert got["recall"] <= 0.5
    assert got["coverage"] <= 0.5


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(3, 30), st.integers(1, 3))
def test_the_nearest_are_those_of_plain_search(seed: int, queries: int, others: int, count: int) -> None:
    random = np.random.RandomState(seed)
    first, second = random.randn(queries, 5) + 50, random.randn(others, 5) + 50
    plain = np.linalg.norm(first[:, None] - second[None], axis=2)
    distances, places = neighbours.nearest(first, second, count)
    assert np.array_equal(places, np.argsort(plain, axis=1)[:, :count])
    assert distances == pytest.approx(np.sort(plain, axis=1)[:, :count], abs=1e-6)


def test_copies_are_told_from_fresh_pictures() -> None:
    random = np.random.RandomState(0)
    held, rest, fresh = (random.rand(n, 6).astype(np.float32) for n in (500, 2000, 3000))
    assert neighbours.share_of_copies(rest[:300], held, rest) == 1
    assert neighbours.share_of_copies(held[:300], held, rest) == 1
    assert neighbours.share_of_copies(fresh, held, rest) == pytest.approx(0.01, abs=0.01)
    half = np.concatenate([rest[:300], fresh[:300]])
    assert neighbours.share_of_copies(half, held, rest) == pytest.approx(0.5, abs=0.02)


def test_data_that_holds_doubles_still_tells_copies() -> None:
    random = np.random.RandomState(0)
    rest, fresh = random.rand(1000, 6), random.rand(500, 6)
    held = np.concatenate([rest[:50], random.rand(200, 6)])
    assert neighbours.share_of_copies(rest[500:], held, rest) == 1
    assert neighbours.share_of_copies(fresh, held, rest) < 0.01


def test_too_few_pictures_for_neighbours_are_refused() -> None:
    with pytest.raises(DataError, match="5 pictures have no 5 neighbours each; give at least 6"):
        neighbours.manifold(np.zeros((5, 2)))
