from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer import OptionError
from gan_infer.outputs import charts


def test_charts_hold_every_value_and_can_be_read(tmp_path: Path) -> None:
    values = np.array([0.01, 0.02, 0.5, 1.0])
    bars = [shape for shape in charts.histogram(values, "a & b") if isinstance(shape, charts.Box)]
    assert len(bars) == charts.BINS
    heights = [bar.bottom - bar.top for bar in bars]
    assert [round(height / max(heights), 3) for height in (heights[0], heights[10], heights[19])] == [
        1,
        0.5,
        0.5,
    ]
    for name in ("chart.svg", "chart.png"):
        charts.save(charts.histogram(values, "a & b <c>"), tmp_path / name)
    root = ET.fromstring((tmp_path / "chart.svg").read_text())
    assert "a & b <c>" in [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    with Image.open(tmp_path / "chart.png") as image:
        assert len(image.getcolors(2**20) or []) > 2
    with pytest.raises(OptionError, match=r"\.svg"):
        charts.save([], tmp_path / "chart.gif")


def test_a_perfect_calibration_lies_on_the_line() -> None:
    rows = [
        {"from": i / 4, "to": (i + 1) / 4, "count": 5 * i, "mean": i / 4, "real": i / 4} for i in range(4)
    ]
    perfect, drawn = [shape for shape in charts.calibration(rows, "x") if isinstance(shape, charts.Stroke)][
        -2:
    ]
    (x0, y0), (x1, y1) = perfect.points
    assert len(drawn.points) == 3  # an empty bin says nothing
    for x, y in drawn.points:
        assert (x - x0) / (x1 - x0) == pytest.approx((y - y0) / (y1 - y0))
