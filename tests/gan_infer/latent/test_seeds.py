from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer.errors import OptionError
from gan_infer.latent import seeds as latents

VECTORS = json.loads(Path(__file__).with_name("latent_vectors.json").read_text())
MASK = 2**64 - 1


def word(seed: int, index: int) -> int:
    """The contract's algorithm again, in plain integers, straight from its description."""

    def mix(x: int) -> int:
        x ^= x >> 30
        x = x * 0xBF58476D1CE4E5B9 & MASK
        x ^= x >> 27
        x = x * 0x94D049BB133111EB & MASK
        return x ^ (x >> 31)

    golden = 0x9E3779B97F4A7C15
    return mix((mix((seed + golden) & MASK) + (index + 1) * golden) & MASK)


def test_splitmix64_itself_is_reproduced() -> None:
    # The first outputs of SplitMix64 from state 1234567, as its authors' C code prints them.
    state = np.array([1234567], np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    assert int(latents.mix(state)[0]) == 6457827717110365317


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["seed"])
@pytest.mark.parametrize("distribution", latents.DISTRIBUTIONS)
def test_published_vectors(vector: dict[str, list[float]], distribution: str) -> None:
    seed = int(str(vector["seed"]))
    assert [f"{word(seed, i):016x}" for i in range(5)] == vector["words"]
    got = latents.latents(seed, 5, distribution)
    assert got.dtype == np.float32
    assert got.shape == (1, 5)
    np.testing.assert_allclose(got[0], np.float32(vector[distribution]), rtol=2e-7, atol=1e-9)
    assert VECTORS["algorithm"] == latents.ALGORITHM


@given(seed=st.integers(0, 2**63 - 1), dim=st.integers(1, 9))
def test_any_seed_agrees_with_plain_arithmetic(seed: int, dim: int) -> None:
    expected = []
    for k in range((dim + 1) // 2):
        first, second = word(seed, 2 * k) >> 11, word(seed, 2 * k + 1) >> 11
        radius = math.sqrt(-2 * math.log(1 - first / 2**53))
        angle = 2 * math.pi * second / 2**53
        expected += [radius * math.cos(angle), radius * math.sin(angle)]
    np.testing.assert_allclose(latents.latents(seed, dim)[0], expected[:dim], rtol=1e-6, atol=1e-7)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=40), st.integers(1, 33))
def test_a_row_depends_on_its_seed_alone(seeds: list[int], dim: int) -> None:
    together = latents.latents(seeds, dim)
    apart = np.concatenate([latents.latents(seed, dim) for seed in seeds])
    assert together.tobytes() == apart.tobytes()


def test_a_longer_latent_begins_with_the_shorter() -> None:
    np.testing.assert_array_equal(latents.latents(3, 64)[:, :10], latents.latents(3, 10))


def test_distributions_have_their_moments() -> None:
    normal = latents.latents(range(4000), 64).astype(np.float64)
    count = normal.size
    assert abs(normal.mean()) < 4 / math.sqrt(count)
    assert abs(normal.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((normal**4).mean() - 3) < 4 * math.sqrt(96 / count)
    # Neighbouring seeds and neighbouring elements are unrelated.
    assert abs((normal[1:] * normal[:-1]).mean()) < 4 / math.sqrt(count)
    assert abs((normal[:, 1:] * normal[:, :-1]).mean()) < 4 / math.sqrt(count)
    uniform = latents.latents(range(4000), 64, "uniform").astype(np.float64)
    assert uniform.min() >= -1
    assert uniform.max() < 1
    assert abs(uniform.mean()) < 4 * math.sqrt(1 / 3 / count)
    assert abs(uniform.var() - 1 / 3) < 0.005


@pytest.mark.parametrize("bad", [-1, 2**63, 1.5, "7", None, True, [0, -1], [2**64], np.array([-3])])
def test_bad_seeds_are_refused(bad: object) -> None:
    with pytest.raises(OptionError, match="seed"):
        latents.latents(bad, 4)  # type: ignore[arg-type]


def test_no_seeds_and_unknown_distribution_are_refused() -> None:
    with pytest.raises(OptionError, match="no seeds"):
        latents.latents([], 4)
    with pytest.raises(OptionError, match="cauchy"):
        latents.latents(0, 4, "cauchy")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", [0]), ("0,1,4-6", [0, 1, 4, 5, 6]), (" 3 - 5 , 9", [3, 4, 5, 9]), ("7-7", [7])],
)
def test_seeds_parse(text: str, seeds: list[int]) -> None:
    assert latents.parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "a", "-1", "1--2", "5-3", "1.5", "1 2", "٣", "0-99999999999", "9" * 19, "1-2-3"]
)
def test_seeds_that_do_not_parse_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="seed"):
        latents.parse_seeds(text)


@given(st.text(alphabet="0123456789,- a", max_size=12))
def test_parsing_gives_seeds_or_refuses(text: str) -> None:
    try:
        seeds = latents.parse_seeds(text)
    except OptionError:
        return
    assert seeds
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_fresh_seeds_leave_room_and_differ() -> None:
    seeds = {latents.fresh_seed(1000) for _ in range(50)}
    assert len(seeds) == 50
    assert all(seed + 1000 <= 2**48 for seed in seeds)
