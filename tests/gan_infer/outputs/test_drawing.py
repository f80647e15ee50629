from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gan_infer.outputs import drawing
from gan_infer.outputs.drawing import Box, Dot, Element, Frame, Group, Rule, Stroke, Words

FRAME = Frame(100, 80, left=10, right=20, top=5, bottom=15)
RED = "#ff0000"


def test_a_frame_places_shares_inside_of_its_margins() -> None:
    assert [FRAME.x(share) for share in (0, 0.5, 1)] == [10, 45, 80]
    assert [FRAME.y(share) for share in (0, 0.5, 1)] == [65, 35, 5]


@pytest.mark.parametrize(
    ("element", "inside"),
    [
        (Box(20, 10, 40, 30, RED), (30, 20)),
        (Stroke([(20, 20), (30, 20), (40, 20)], RED, 4.0), (35, 20)),
        (Rule(50, 10, 50, 60, RED), (50, 30)),
        (Dot(60, 40, 6, RED), (60, 40)),
        (Group([Box(0, 0, 9, 9, RED)], "title"), (5, 5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_element_is_painted_where_it_lies_in_its_colour(element: Element, inside: tuple[int, int]) -> None:
    painted = np.asarray(drawing.paint(FRAME, [element]))
    assert painted.shape == (160, 200, 3)
    x, y = inside
    assert painted[2 * y, 2 * x].tolist() == [255, 0, 0]
    assert painted[150, 190].tolist() == [255, 255, 255]
    text = drawing.svg(FRAME, [element])
    assert ET.fromstring(text).get("viewBox") == "0 0 100 80"
    assert RED in text


def test_a_text_is_painted_at_its_anchor() -> None:
    for anchor, expected in (("start", (50, 100)), ("middle", (30, 70)), ("end", (0, 51))):
        ink = np.asarray(drawing.paint(FRAME, [Words(50, 40, "words", anchor)])).min((0, 2)) < 128
        columns = np.flatnonzero(ink) / 2
        assert expected[0] <= columns.min() < columns.max() <= expected[1]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (Box(1, 2, 3, 5, name="a b"), '<rect class="a b" x="1.0" y="2.0" width="2.0" height="3.0"/>'),
        (Stroke([(1, 2), (3, 4.125)], name="c"), '<polyline class="c" points="1.0,2.00 3.0,4.12"/>'),
        (Rule(1, 2, 3, 4, name="d"), '<line class="d" x1="1.0" x2="3.0" y1="2.0" y2="4.0"/>'),
        (Dot(1, 2, 4.5, name="e"), '<circle class="e" cx="1.0" cy="2.0" r="4.5"/>'),
        (
            Group([Words(1, 2, "<&\u202e", "end", "g")], "</g><script>", "f"),
            '<g class="f"><title>&lt;/g&gt;&lt;script&gt;</title>'
            '<text class="g" x="1.0" y="2.0" text-anchor="end">&lt;&amp;\\u202e</text></g>',
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_page_styles_named_elements_and_reads_their_texts_as_texts(element: Element, expected: str) -> None:
    assert drawing.svg_element(element) == expected
