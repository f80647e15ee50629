"""Calibration by known values, properties and another way to the same number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from benchmarks.calibration import pool_adjacent_violators
from gan_train.export import calibration


def drawn(slope: float, intercept: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and which are real: each with the chance that the logistic map says."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.3, 2.0, count)
    return logits, rng.uniform(size=count) < 1 / (1 + np.exp(-(slope * logits + intercept)))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (5.0, -1.0), (0.05, 0.4), (-2.0, 1.0)])
def test_platt_finds_the_map_that_made_the_data(slope: float, intercept: float) -> None:
    logits, real = drawn(slope, intercept)
    found = calibration.platt(logits, real)
    assert found == pytest.approx((slope, intercept), abs=0.1 + 0.03 * abs(slope))
    realness = calibration.sigmoid(found[0] * logits + found[1])
    assert calibration.expected_error(realness, real) < 0.02
    # At the minimum of the cross-entropy the mean realness is the share of real ones.
    assert realness.mean() == pytest.approx(real.mean(), abs=1e-3)


def test_classes_whose_middles_say_nothing_are_taken_from_them() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 4
    real = np.arange(4000) % 8 < 4
    logits = rng.normal(0, 1, 4000) + 1.5 * real + np.array([-9.0, 0.0, 3.0, 50.0])[labels]
    slope, intercepts = calibration.fit(logits, real, labels, 4)
    # Normal kinds of spread 1, apart by 1.5: the log-odds are 1.5 (x - middle).
    assert slope == pytest.approx(1.5, abs=0.15)
    assert -intercepts / slope == pytest.approx([-8.25, 0.75, 3.75, 50.75], abs=0.15)
    assert calibration.expected_error(calibration.sigmoid(slope * logits + intercepts[labels]), real) < 0.03


def test_a_class_of_few_pictures_is_drawn_to_the_others_and_an_unknown_one_is_the_mean() -> None:
    rng = np.random.default_rng(1)
    labels = np.concatenate([np.zeros(500, int), np.ones(500, int), np.full(2, 2)])
    logits = rng.normal(0, 1, len(labels)) + 0.05 * labels
    own, few, unknown = calibration.centres(logits, labels, 4)[[0, 2, 3]]
    assert abs(few - logits.mean()) < 0.2 * abs(logits[-2:].mean() - logits.mean())
    assert own == pytest.approx(0.0, abs=0.1)
    assert unknown == pytest.approx(logits.mean())
    apart = calibration.centres(logits + 100 * labels, labels, 3)
    assert apart == pytest.approx([0, 100, 200], abs=1.5)


def test_platt_stays_finite_where_a_line_parts_the_two(recwarn: pytest.WarningsRecorder) -> None:
    logits = np.concatenate([np.linspace(1, 2, 50), np.linspace(-2, -1, 50)])
    slope, intercept = calibration.platt(logits, np.arange(100) < 50)
    assert 0 < slope < 100
    assert abs(intercept) < 1
    assert not recwarn.list


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.integers(0, 2**30))
def test_platt_gives_finite_numbers_for_any_logits(values: list[float], chance: int) -> None:
    real = np.random.default_rng(chance).uniform(size=len(values)) < 0.5
    found = calibration.platt(np.array(values), real)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("count", [100, 10_000])
def test_the_error_by_chance_is_that_of_a_fair_coin(count: int) -> None:
    # One bin: the mean distance of a share of heads from one half is sqrt(2 / pi) standard deviations.
    expected = np.sqrt(2 / np.pi) * np.sqrt(0.25 / count)
    assert calibration.error_by_chance(np.full(count, 0.5)) == pytest.approx(expected, rel=0.25)
    assert calibration.error_by_chance(np.array([0.0, 1.0])) == 0


def test_a_perfect_calibration_errs_as_much_as_chance_has_it() -> None:
    logits, real = drawn(1.0, 0.0, 400)
    realness = calibration.sigmoid(logits)
    error = calibration.expected_error(realness, real)
    assert error == pytest.approx(calibration.error_by_chance(realness), rel=0.5)


def test_expected_error_of_known_bins() -> None:
    realness = np.array([0.1, 0.1, 0.9, 0.9])
    assert calibration.expected_error(realness, np.array([False, False, True, True])) == pytest.approx(0.1)
    assert calibration.expected_error(realness, np.array([True, True, False, False])) == pytest.approx(0.9)
    assert calibration.expected_error(np.array([0.5, 0.5]), np.array([True, False])) == 0
    rows = calibration.curve(np.array([0.0, 1.0, 1.0]), np.array([False, True, False]), bins=15)
    assert [row["count"] for row in rows] == [1, *[0] * 13, 2]
    assert rows[-1]["real"] == 0.5


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_separation_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    logits = np.array([pair[0] for pair in pairs], float)
    real = np.array([pair[1] for pair in pairs])
    wins = [(a > b) + 0.5 * (a == b) for a in logits[real].tolist() for b in logits[~real].tolist()]
    assert calibration.separation(logits, real) == pytest.approx(sum(wins) / max(1, len(wins)))


def test_the_measures_are_those_of_torchmetrics_where_it_does_not_squash_logits() -> None:
    logits, real = drawn(1.0, 0.0, 500)
    realness, truth = torch.from_numpy(calibration.sigmoid(logits)), torch.from_numpy(real.astype(int))
    assert calibration.expected_error(realness.numpy(), real) == pytest.approx(
        float(binary_calibration_error(realness, truth, n_bins=15, norm="l1")), abs=1e-12
    )
    assert calibration.separation(logits, real) == pytest.approx(
        float(binary_auroc(realness, truth)), abs=1e-6
    )


@given(st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=1, max_size=40))
def test_pooled_steps_rise_and_keep_the_mean(pairs: list[tuple[int, bool]]) -> None:
    logits = np.array([pair[0] for pair in pairs], float)
    real = np.array([pair[1] for pair in pairs])
    at, share = pool_adjacent_violators(logits, real)
    assert (np.diff(share) > 0).all()
    assert (np.diff(at) >= 0).all()
    assert 0 <= share.min() <= real.mean() <= share.max() <= 1


def test_sigmoid_does_not_overflow(recwarn: pytest.WarningsRecorder) -> None:
    assert calibration.sigmoid(np.array([-1e9, 0.0, 1e9])).tolist() == [0, 0.5, 1]
    assert not recwarn.list
