from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_infer.latent import interpolation, seeds
from gan_train.networks.sampler import Sampler
from gan_train.reports import walk
from tests.conftest import CONDITIONAL, UNCONDITIONAL, Kind, make_network


class _Listening(Sampler):
    """Keeps the latents that it is to draw, and draws nothing but black."""

    def draw_latents(self, latents: Any, given: Any = None) -> Any:
        self.generator.heard = latents
        return np.zeros((len(latents), 8, 8, 1), np.uint8)


def walked(dim: int, distribution: str) -> Any:
    """Return the latents that a walk of one picture per frame goes through."""
    listening = _Listening(torch.nn.Identity(), dim, distribution, 1)
    frames = walk.draw(listening)
    assert frames is not None
    assert len(frames) == len(listening.generator.heard)
    return listening.generator.heard


@pytest.mark.parametrize("kind", [CONDITIONAL, UNCONDITIONAL, Kind(channels=4, latent_dim=4)], ids=str)
def test_a_walk_begins_at_its_seeds_moves_smoothly_and_closes(kind: Kind) -> None:
    network = make_network(kind)
    frames = walk.draw(Sampler(network, kind.latent_dim, "normal", kind.classes))
    assert frames is not None
    assert frames.shape[0] == 32
    assert frames.shape[3] == kind.channels
    steps = np.abs(frames.astype(int) - np.roll(frames, -1, axis=0)).mean((1, 2, 3))
    far = np.abs(frames[0].astype(int) - frames[16]).mean()
    assert steps.max() < 0.7 * far  # the last step, back to the first, as well
    with Image.open(io.BytesIO(walk.animation(frames))) as image:
        assert image.n_frames == 32  # type: ignore[attr-defined]


def test_a_walk_of_normal_latents_stays_near_their_sphere() -> None:
    lengths = np.linalg.norm(walked(256, "normal"), axis=1)
    assert lengths.min() > 0.85 * 16
    straight = walked(256, "uniform")
    assert np.abs(straight).max() <= 1.0
    assert np.linalg.norm(straight, axis=1).min() < 0.85 * np.linalg.norm(straight[0])


def test_a_walk_meets_its_seeds_and_goes_the_way_of_interpolation() -> None:
    path, corners = walked(16, "normal"), seeds.latents(range(4), 16, "normal")
    assert np.array_equal(path[::8], corners)
    assert np.array_equal(path, interpolation.loop(corners, 32))
