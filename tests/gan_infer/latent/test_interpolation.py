from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gan_infer import OptionError
from gan_infer.latent import interpolation

seeds = st.integers(0, 2**32 - 1)
dims = st.integers(2, 96)


def pair(seed: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(seed).standard_normal((2, dim)).astype(np.float32))  # type: ignore[return-value]


@given(seeds, st.integers(1, 96), st.integers(2, 40), st.sampled_from(interpolation.MODES))
def test_a_way_is_float32_of_the_asked_shape_and_ends_exactly_where_it_should(
    seed: int, dim: int, steps: int, mode: str
) -> None:
    a, b = pair(seed, dim)
    way = interpolation.between(a, b, steps, mode)
    assert way.dtype == np.float32
    assert way.shape == (steps, dim)
    assert way[0].tobytes() == a.tobytes()
    assert way[-1].tobytes() == b.tobytes()


@given(seeds, dims, st.integers(3, 40))
def test_an_arc_turns_at_constant_speed_and_its_length_changes_evenly(
    seed: int, dim: int, steps: int
) -> None:
    a, b = pair(seed, dim)
    way = interpolation.between(a, b, steps).astype(np.float64)
    lengths = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], steps), rtol=1e-5)
    unit = way / lengths[:, None]
    # Chords grow with the angle between neighbours, and are exact where the arc cosine is not.
    chords = np.linalg.norm(np.diff(unit, axis=0), axis=1)
    np.testing.assert_allclose(chords, chords.mean(), rtol=1e-3, atol=1e-6)
    whole = np.arccos(np.clip(unit[0] @ unit[-1], -1, 1))
    assert 2 * np.arcsin(np.clip(chords / 2, 0, 1)).sum() == pytest.approx(whole, rel=1e-3, abs=1e-3)


@given(seeds, dims, st.integers(3, 40))
def test_a_line_is_walked_at_constant_speed(seed: int, dim: int, steps: int) -> None:
    a, b = pair(seed, dim)
    hops = np.diff(interpolation.between(a, b, steps, "lerp").astype(np.float64), axis=0)
    np.testing.assert_allclose(hops, np.broadcast_to(hops.mean(0), hops.shape), atol=2e-6)


def test_slerp_of_known_points() -> None:
    middle = interpolation.slerp([2.0, 0.0], [0.0, 4.0], [1 / 3, 0.5])
    expected = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)]) * (8 / 3), np.full(2, 3 / np.sqrt(2))
    np.testing.assert_allclose(middle, np.stack(expected), rtol=1e-6)


@given(seeds, dims, st.floats(-12, -3), st.floats(0.1, 4))
def test_latents_that_nearly_point_the_same_way_are_joined_smoothly(
    seed: int, dim: int, exponent: float, factor: float
) -> None:
    a, noise = pair(seed, dim)
    b = (factor * (a + 10**exponent * noise)).astype(np.float32)
    way = interpolation.between(a, b, 9)
    assert np.isfinite(way).all()
    np.testing.assert_allclose(way, interpolation.between(a, b, 9, "lerp"), atol=0.02 * max(1.0, factor))


@given(seeds, dims)
def test_opposite_latents_are_joined_on_the_sphere(seed: int, dim: int) -> None:
    a, _ = pair(seed, dim)
    assume(np.linalg.norm(a) > 0.1)
    way = interpolation.between(a, -a, 7)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-4)
    assert np.array_equal(way, interpolation.between(a, -a, 7))


def test_a_latent_without_direction_is_met_on_a_line() -> None:
    assert np.array_equal(interpolation.between(np.zeros(3), np.array([0, 2, 4]), 3)[1], [0, 1, 2])


@given(seeds, st.integers(1, 6), st.integers(1, 8), st.sampled_from(interpolation.MODES))
def test_a_loop_meets_every_point_and_closes(seed: int, points: int, a_leg: int, mode: str) -> None:
    corners = np.random.default_rng(seed).standard_normal((points, 5)).astype(np.float32)
    way = interpolation.loop(corners, points * a_leg, mode)
    assert way.dtype == np.float32
    assert way[::a_leg].tobytes() == corners.tobytes()
    closing = interpolation.between(corners[-1], corners[0], a_leg + 1, mode)
    np.testing.assert_allclose(way[-a_leg:], closing[:-1], atol=1e-6)


@given(st.integers(1, 50), st.integers(1, 300))
def test_the_frames_of_a_loop_are_spread_evenly(points: int, steps: int) -> None:
    legs, rest = interpolation.loop_positions(points, steps)
    np.testing.assert_allclose(legs + rest, np.arange(steps) * points / steps, rtol=1e-12)
    assert ((rest >= 0) & (rest < 1)).all()
    assert legs.max() < points


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]]), ([], []), ([np.nan, 0], [1, 2]), ([1, 2], [np.inf, 0])],
)
def test_what_is_no_pair_of_latents_is_refused(a: object, b: object) -> None:
    with pytest.raises(OptionError):
        interpolation.slerp(a, b, [0.5])  # type: ignore[arg-type]


def test_bad_modes_and_numbers_of_steps_are_refused() -> None:
    with pytest.raises(OptionError, match="slerp, lerp"):
        interpolation.between([1.0, 0.0], [0.0, 1.0], 3, "cubic")
    with pytest.raises(OptionError, match="at least 2"):
        interpolation.between([1.0], [2.0], 1)
    with pytest.raises(OptionError, match="at least 1"):
        interpolation.loop([[1.0]], 0)
    with pytest.raises(OptionError, match=r"expected \[n, dim\]"):
        interpolation.loop([1.0], 3)


@pytest.mark.parametrize("psi", [-0.1, 2.1, np.nan, np.inf, "1", None, True])
def test_a_truncation_out_of_range_is_refused(psi: object) -> None:
    with pytest.raises(OptionError, match="psi was"):
        interpolation.check_psi(psi)
