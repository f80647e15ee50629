"""Every shipped model keeps the contract, passes its golden pictures and has a card."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from gan_infer import Generator
from gan_infer.modelfile.catalog import find, shipped_models
from gan_train.export import graph

SHIPPED = shipped_models()
ROOT = Path(__file__).parent.parent


def test_models_are_shipped_and_found_by_name() -> None:
    assert {"digits", "fashion", "cifar10"} <= set(SHIPPED)
    assert find("digits") == SHIPPED["digits"]
    assert Generator.load(device="cpu").name == "digits"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_keeps_the_contract(name: str) -> None:
    graph.check(onnx.load(SHIPPED[name]))
    assert SHIPPED[name].stat().st_size <= 8_000_000
    metadata = Generator.load(name, device="cpu").metadata
    assert metadata.name == name
    assert metadata.licence
    assert metadata.intended_use
    folder = ROOT / "models" / name
    assert (folder / "samples.png").exists()
    card = (folder / "README.md").read_text()
    assert "gan-train fit" in card
    assert "gan-train export" in card
    assert metadata.data_licence or metadata.licence.split()[0] in card


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_draws_its_golden_pictures_to_one_level(name: str) -> None:
    generator = Generator.load(name, device="cpu")
    reference = np.load(ROOT / "tests" / "golden" / f"{name}.npy")
    for golden, expected in zip(generator.metadata.golden, reference, strict=True):
        picture = generator.sample(1, golden.label, golden.seed)
        assert abs(picture[0].astype(int) - expected).max() <= 1  # other processors round otherwise
        assert hashlib.sha256(expected.tobytes()).hexdigest() == golden.sha256


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_models_seeds_name_pictures(name: str) -> None:
    generator = Generator.load(name, device="cpu")
    whole = generator.sample(130, seed=3)
    for size in (1, 2, 7, 64):
        parts = np.concatenate(list(generator.iter_batches(130, seed=3, batch_size=size)))
        assert parts.tobytes() == whole.tobytes()
