from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gan_train.reports import sheet, views, walk


class _Speaker:
    """Draws sounds, which nothing shows yet: float32 [n, samples]."""

    distribution, classes = "normal", 2

    def latents(self, seeds: Any) -> torch.Tensor:
        return torch.zeros(len(seeds), 3)

    def draw(self, seeds: Any, given: Any = None) -> Any:
        return np.full((len(seeds), 64), np.asarray(seeds)[:, None] / 100, np.float32)

    def draw_latents(self, latents: Any, given: Any = None) -> Any:
        return np.full((len(latents), 64), 0.5, np.float32)


def test_outputs_of_a_kind_without_a_view_have_no_sheet_and_no_walk() -> None:
    assert sheet.draw(_Speaker(), "audio") is None
    assert walk.draw(_Speaker(), "audio") is None


def test_a_view_of_a_kind_is_one_line_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def show_loudness(sounds: Any) -> Any:
        level = np.abs(sounds).max(1) * 255
        return np.broadcast_to(level.astype(np.uint8)[:, None, None, None], (len(sounds), 8, 8, 1))

    monkeypatch.setitem(views.VIEWS, "audio", show_loudness)
    drawn = sheet.draw(_Speaker(), "audio")
    assert drawn is not None
    assert {int(c / 100 * 255 + 1e-4) for c in range(8)} < set(drawn.ravel())
    frames = walk.draw(_Speaker(), "audio")
    assert frames is not None
    assert frames.max() == 127


def test_what_draws_seeds_alone_has_a_sheet_and_no_walk() -> None:
    class Plain:
        classes = 0

        def draw(self, seeds: Any, given: Any = None) -> Any:
            return np.full((len(seeds), 8, 8, 1), 9, np.uint8)

    assert sheet.draw(Plain()) is not None
    assert walk.draw(Plain()) is None
