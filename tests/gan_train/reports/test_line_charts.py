from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_train.reports import line_charts
from gan_train.reports.line_charts import Chart, Line


def test_charts_leave_out_what_cannot_be_drawn() -> None:
    assert line_charts.draw(Chart("empty", [Line("a", [])])) == ""
    assert line_charts.draw(Chart("one", [Line("a", [(1.0, 2.0)])])) == ""
    drawn = line_charts.draw(Chart("a & b", [Line("x<y", [(0, 1.0), (5, float("nan")), (10, 3.0)])]))
    assert "a &amp; b" in drawn
    assert "x&lt;y" in drawn
    assert "nan" not in drawn
    flat = line_charts.draw(Chart("flat", [Line("a", [(0, 2.0), (9, 2.0)])], logarithmic=True))
    assert "inf" not in flat
    assert flat.count(">images seen</text>") == 1
    assert "log scale" in flat


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_says_how_to_read_a_value_off_it(logarithmic: bool) -> None:
    points = [(100.0 * x, 0.01 * 1.5**x) for x in range(20)]
    drawn = line_charts.draw(Chart("a", [Line("b", points)], logarithmic=logarithmic))
    scale = drawn.split('data-scale="')[1].split('"')[0]
    left, right, bottom, top, end, low, high, bent = map(float, scale.split())
    places = [
        tuple(map(float, place.split(","))) for place in drawn.split('points="')[1].split('"')[0].split()
    ]
    for (x, y), (across, up) in zip(points, places, strict=True):
        assert end * (across - left) / (right - left) == pytest.approx(x, abs=end / 1000)
        value = low + (high - low) * (bottom - up) / (bottom - top)
        assert (10**value if bent else value) == pytest.approx(y, rel=1e-3, abs=1e-4 * points[-1][1])


@pytest.mark.parametrize(("low", "high"), [(1.1, 16), (3, 4), (0.02, 900), (1e-3, 0.5), (2, 60)])
def test_a_logarithmic_chart_has_a_few_heights_inside(low: float, high: float) -> None:
    drawn = line_charts.draw(Chart("a", [Line("b", [(0, high), (9, low)])], logarithmic=True))
    assert 3 <= drawn.count('class="grid"') <= 6


def test_a_logarithmic_axis_over_a_wide_range_ends_at_round_numbers() -> None:
    drawn = line_charts.draw(Chart("a", [Line("b", [(0, 253.0), (9, 51.5)])], logarithmic=True))
    low, high = map(float, drawn.split('data-scale="')[1].split('"')[0].split()[5:7])
    assert (10**low, 10**high) == pytest.approx((50, 300), rel=1e-4)
    assert ">50</text>" in drawn


def test_marks_are_numbered_where_they_are_few_and_stay_on_the_chart() -> None:
    line = Line("a", [(0, 1.0), (10, 3.0)])
    marks = [line_charts.Mark(x, "so") for x in (1, 5, 50)]
    drawn = line_charts.draw(Chart("t", [line], marks=marks))
    assert drawn.count('<g class="mark">') == 2
    assert ">2</text></g>" in drawn
    assert "</text></g>" not in line_charts.draw(Chart("t", [line], marks=marks * 4))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 50))
def test_thinned_curves_keep_their_ends_and_their_peaks(values: list[float], most: int) -> None:
    points = [(float(x), y) for x, y in enumerate(values)]
    kept = line_charts.thin(points, most)
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert {points[0], points[-1]} <= set(kept) <= set(points)
    assert min(y for _, y in kept) == min(values)
    assert max(y for _, y in kept) == max(values)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    high = low + span
    found = line_charts.ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1e-6)
    assert len(found) <= 6
    assert all(low - slack <= tick <= high + slack for tick in found)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_a_free_axis_ends_at_round_numbers_just_outside(low: float, span: float) -> None:
    high = low + span
    found = line_charts.ticks_around(low, high)
    step = found[1] - found[0]
    slack = 1e-6 * max(abs(low), abs(high), step)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert low - found[0] < step + slack
    assert found[-1] - high < step + slack
    assert 2 <= len(found) <= 6


def test_numbers_are_written_short() -> None:
    given_ = (0, 2e-4, 1.5e-3, 0.01234, 4.567, 999.7, 1240, 12_345, 3_100_000)
    written = ["0", "2e-4", "1.5e-3", "0.0123", "4.57", "1,000", "1,240", "12.3k", "3.1M"]
    assert [line_charts.number(value) for value in given_] == written
