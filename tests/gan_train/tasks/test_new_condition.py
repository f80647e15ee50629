"""A kind of condition that the packages do not know: from a column of the data to pictures in an app."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan_infer.cli
import gan_train.cli
from gan_infer import Generator
from gan_infer.conditions import base
from gan_infer.provenance.record import read
from gan_train import data
from gan_train.data import Column, DataSet, PictureSet
from gan_train.networks import conditioning
from gan_train.networks.ways import WaysIn
from gan_train.runs import checkpoint, trained
from tests import new_kinds
from tests.conftest import CommandLine
from tests.new_ways import Years

SIDE, COUNT = 12, 40
AGE = {"unit": "years", "low": 0, "high": 100}
SMALL = (
    *("--width", 2, "--batch-size", 8, "--reports", 2, "--precision", "fp32", "--images", 320),
    *("--set", "evaluation.samples=20", "--set", "evaluation.network=pixels"),
)


def portraits(classes: bool) -> DataSet:
    """Return pictures that are the lighter, the older they show somebody."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(0, 100, COUNT).astype(np.float32)
    noise = rng.uniform(0, 50, (COUNT, SIDE, SIDE, 1))
    images = (noise + 2 * ages[:, None, None, None]).astype(np.uint8)
    found = PictureSet.from_arrays("portraits", images)
    if classes:
        found = PictureSet.from_arrays("portraits", images, np.arange(COUNT) % 2, ("left", "right"))
    return found.with_columns(Column("age", "number", ages, AGE))


@pytest.mark.parametrize("classes", [False, True])
def test_from_a_column_of_numbers_to_pictures_of_an_age(
    classes: bool, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A line in each of two tables: how it enters networks, and how people give it.
    ways = WaysIn(
        latent=lambda given, latent_dim, length: Years(3), score=lambda given, features: Years(features)
    )
    monkeypatch.setitem(conditioning.KINDS, "number", ways)
    monkeypatch.setitem(base.KINDS, "number", new_kinds.Number)
    monkeypatch.setattr(data, "load", lambda *_: portraits(classes))
    train = command_line("gan-train", gan_train.cli.main)
    run = Path("runs/portraits")

    code, _, err = train("fit", "portraits", *SMALL, *(("--set", "evaluation.samples=0") if classes else ()))
    assert code == 0, err
    assert f"40 pictures of 12x12x1, {'2 classes, ' if classes else ''}age; resnet on cpu" in err
    assert (run / checkpoint.METRICS).read_text().count("frechet") == (0 if classes else 2)
    code, out, err = train("export", "--to", "gen.onnx", "--truncation", 1, "--checkpoint", "last")
    assert code == 0, err
    assert ("label int64 [batch], age float32 [batch]" in out) == classes
    code, _, err = train("export", "--critic", "critic.onnx")
    assert (code, "the run has age beside pictures and classes" in err) == (1, True)

    generator = Generator.load("gen.onnx", device="cpu")
    (listed,) = [each for each in generator.metadata.inputs if each.name == "age"]
    assert (listed.kind, listed.dtype, listed.shape, listed.facts) == ("number", "float32", (), AGE)
    young, old = (generator.sample(3, seed=7, age=age).astype(int) for age in (0, 100))
    assert not np.array_equal(young, old)
    drawn = trained.load(run, "last").sampler().draw(range(7, 10))
    assert np.abs(generator.sample(3, seed=7).astype(int) - drawn).max() <= 1
    sheet = np.asarray(Image.open(max((run / checkpoint.SAMPLES).glob("*.png"))))
    grid = generator.grid(columns=8)[:, :, 0]
    factor = len(sheet) // len(grid)
    assert np.array_equal(sheet, grid.repeat(factor, 0).repeat(factor, 1))

    infer = command_line("gan-infer", gan_infer.cli.main)
    model = ("--model", "gen.onnx", "--device", "cpu")
    code, _, err = infer("sample", 1, *model, "--condition", "age=60", "--seed", 3, "--to", "out")
    assert code == 0, err
    record = read(Path("out/seed000003.png"))
    assert record is not None
    assert record.conditions == {"age": (60.0,)}
    assert json.loads(record.to_json())["conditions"] == {"age": [60.0]}
    assert infer("verify", "out/seed000003.png", *model)[0] == 0
