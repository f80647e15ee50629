"""The benchmark of directions counts what it says it counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import directions
from gan_infer import Generator


class Says(torch.nn.Module):
    """A judge that gives every picture the class of its turn, but one picture of one seed."""

    def __init__(self, steps: int, wrong: int) -> None:
        super().__init__()
        self.steps, self.wrong = steps, wrong

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        said = torch.arange(len(pictures)) // self.steps % 10
        said[self.wrong] = (said[self.wrong] + 1) % 10
        return torch.zeros(len(pictures), 128), torch.nn.functional.one_hot(said, 10).float()


def test_a_label_lost_at_one_step_counts_against_its_seed() -> None:
    generator = Generator.load("digits", device="cpu")
    amounts = np.linspace(-2, 2, 3)
    spread = dict.fromkeys(directions.ATTRIBUTES, 0.5)
    figures = directions.measure(generator, Says(3, 4), "brightness", amounts, range(4), spread)  # type: ignore[arg-type]
    assert figures["label_stays"] == 0.75
    assert figures["pictures_that_keep_the_label"] == pytest.approx(11 / 12, abs=1e-3)
    assert figures["monotone"] == 1.0
    levels = [generator.edit(range(4), brightness=amount).mean() / 255 for amount in amounts]
    assert figures["mean_at_each_step"] == pytest.approx(levels, abs=2e-3)
    assert figures["moves"] == pytest.approx((levels[2] - levels[0]) / 0.5, abs=0.01)
    backwards = directions.measure(generator, Says(3, 4), "brightness", -amounts, range(4), spread)  # type: ignore[arg-type]
    assert backwards["monotone"] == 0.0


def test_the_seeds_from_another_first_one_are_judged_by_their_own_classes() -> None:
    generator = Generator.load("digits", device="cpu")
    amounts = np.linspace(-1, 1, 2)
    spread = dict.fromkeys(directions.ATTRIBUTES, 0.5)
    figures = directions.measure(generator, Says(2, 0), "brightness", amounts, range(11, 14), spread)  # type: ignore[arg-type]
    assert figures["label_stays"] == 0.0  # said to be of classes 0, 1, 2; they are of 1, 2, 3
    levels = [generator.edit(range(11, 14), brightness=amount).mean() / 255 for amount in amounts]
    assert figures["mean_at_each_step"] == pytest.approx(levels, abs=2e-3)


def test_the_table_has_the_newest_line_of_each_direction() -> None:
    line = {"model": "m", "direction": "slant", "range": "-3:3", "steps": 7, "seeds": 200, "label_stays": 0.5}
    table = directions.markdown([{**line, "monotone": 0.1}, {**line, "monotone": 0.975}])
    assert table.count("\n") == 2
    assert "97.50 %" in table
