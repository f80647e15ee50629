"""The seed contract is enough to draw the same latents in another language."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gan_infer.latent import seeds as latents

SCRIPT = Path(__file__).with_name("latents.mjs")
VECTORS = json.loads(SCRIPT.with_name("latent_vectors.json").read_text())["vectors"]
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed here")


def from_javascript(seeds: list[int], dim: int, distribution: str) -> np.ndarray:
    command = [str(NODE), str(SCRIPT), str(dim), distribution, *map(str, seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return np.array(json.loads(done.stdout), np.float32)


def ulps(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return how many float32 steps values are apart, steps near 0 taken as at 2**-10."""
    return abs(got.astype(np.float64) - expected) / np.spacing(np.maximum(abs(expected), np.float32(2**-10)))


@pytest.mark.parametrize("distribution", latents.DISTRIBUTIONS)
def test_the_published_vectors_are_reproduced(distribution: str) -> None:
    seeds = [int(vector["seed"]) for vector in VECTORS]
    got = from_javascript(seeds, 5, distribution)
    assert ulps(got, np.float32([vector[distribution] for vector in VECTORS])).max() <= 1


@pytest.mark.parametrize("distribution", latents.DISTRIBUTIONS)
@pytest.mark.parametrize("dim", [1, 7, 64])
def test_any_seeds_are_reproduced(distribution: str, dim: int) -> None:
    drawn = np.random.default_rng(dim).integers(0, 2**63, 200)
    seeds = [0, 1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, *drawn.tolist()]
    got = from_javascript(seeds, dim, distribution)
    expected = latents.latents(seeds, dim, distribution)
    assert got.shape == expected.shape == (len(seeds), dim)
    assert ulps(got, expected).max() <= (1 if distribution == "normal" else 0)


def test_it_is_short_enough_to_be_written_down_elsewhere() -> None:
    lines = [line for line in SCRIPT.read_text().splitlines() if line.strip() and not line.startswith("//")]
    assert len(lines) <= 32
