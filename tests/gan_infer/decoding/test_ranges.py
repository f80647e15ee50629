"""What is black and white in pictures of more than 8 bits: one answer for a set, by all of its pictures."""

from __future__ import annotations

import numpy as np
import pytest

from gan_infer import DataError, OptionError
from gan_infer.decoding import ranges
from gan_infer.decoding.ranges import Range, Ranges


def settled(*pictures: np.ndarray, bits: int = 0) -> Ranges:
    return ranges.settle({str(n): ranges.measure(each, bits) for n, each in enumerate(pictures)})


def whole(*values: int) -> np.ndarray:
    return np.array([values], np.int32 if min(values) < 0 or max(values) > 65535 else np.uint16)


def real(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


@pytest.mark.parametrize(
    ("pictures", "bits", "expected"),
    [
        ([whole(0, 1)], 0, (0, 1)),
        ([whole(0, 2)], 0, (0, 255)),
        ([whole(0, 200)], 0, (0, 255)),
        ([whole(0, 300)], 0, (0, 1023)),
        ([whole(0, 3000), whole(10, 20)], 0, (0, 4095)),
        ([whole(0, 9000)], 0, (0, 16383)),
        ([whole(0, 40_000), whole(0, 3)], 0, (0, 65535)),
        ([whole(0, 70, 65535)], 0, (0, 65535)),
        ([whole(0, 256, 255 * 256)], 0, (0, 255 * 256)),  # 8 bits in the upper byte
        ([whole(0, 0)], 0, (0, 65535)),
        ([whole(0, 300)], 12, (0, 4095)),  # as the file says
        ([whole(0, 300)], 16, (0, 65535)),
        ([whole(0, 65535)], 12, (0, 65535)),  # scaled to 16 bits, as PNG wants it
        ([real(0, 1)], 0, (0, 1)),
        ([real(0, 1), real(0, 1.001)], 0, (0, 1)),
        ([real(0, 0), real(0, 200)], 0, (0, 255)),
        ([real(-0.02, 1.02)], 0, (0, 1)),
        ([real(-1, 1), real(0, 0.5)], 0, (-1, 1)),
        ([real(-3, 257)], 0, (0, 255)),
        ([real(0, 4000)], 0, (0, 4095)),
        ([real(0, 60_000)], 0, (0, 65535)),
        ([real(np.nan, 0, 1, np.inf, -np.inf)], 0, (0, 1)),
    ],
)
def test_the_range_is_that_of_all_pictures(
    pictures: list[np.ndarray], bits: int, expected: tuple[float, float]
) -> None:
    found = settled(*pictures, bits=bits)
    assert found == Ranges(Range(*expected), Range(*expected))
    assert settled(*reversed(pictures), bits=bits) == found


def test_whole_numbers_and_floats_have_ranges_of_their_own() -> None:
    found = settled(whole(0, 4000), real(0, 1))
    assert str(found) == "0:4095,0:1"
    assert ranges.parse(str(found)) == found


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([whole(-1024, 3071)], r"from -1024 to 3071 .*--value-range=-1024:3071"),
        ([whole(0, 5), whole(0, 70_000)], r"from 0 to 70000 \(0, 1\)"),
        ([real(0, 8)], "from 0 to 8"),
        ([real(-300, 300)], "from -300 to 300"),
        ([real(0, 1e6)], "from 0 to 1000000"),
    ],
)
def test_values_of_no_usual_range_are_refused_with_what_to_type(
    pictures: list[np.ndarray], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        settled(*pictures)


def test_values_are_scaled_exactly_and_clipped() -> None:
    twelve = np.arange(4096, dtype=np.uint16)
    scaled = ranges.to_eight_bits(twelve, settled(twelve))
    assert np.array_equal(scaled, (twelve * (255 / 4095)).round())
    given = ranges.parse("-1:1")
    assert given is not None
    assert ranges.to_eight_bits(real(-5, -1, 0.2, 1, 7), given).tolist() == [[0, 0, 153, 255, 255]]
    assert ranges.to_eight_bits(real(np.nan, np.inf, -np.inf), given).tolist() == [[0, 255, 0]]
    hounsfield = ranges.parse("-1000:1000")
    assert hounsfield is not None
    assert ranges.to_eight_bits(whole(-2000, 0, 1000), hounsfield).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("text", ["", "5", "1:0", "1:1", "a:b", "0:nan", "0:inf", "0:1:2", "0:1,0:2,0:3"])
def test_a_range_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"the value range is .*expected"):
        ranges.parse(text)


def test_a_caller_gives_a_text_a_pair_or_nothing() -> None:
    assert ranges.read(None) is None
    assert ranges.read("auto") is None
    assert ranges.read((0, 4095)) == ranges.read("0:4095") == ranges.parse("0:4095,0:4095")
    for strange in (5, (1, 2, 3), ("a", "b")):
        with pytest.raises(OptionError):
            ranges.read(strange)  # type: ignore[arg-type]
    assert ranges.of_recipe({"data": {"value_range": "0:4095"}}) == ranges.parse("0:4095")
    for recipe in ({}, {"data": 1}, {"data": {"value_range": 7}}, {"data": {"value_range": "x"}}):
        assert ranges.of_recipe(recipe) is None
