"""From pictures of any shape to a model file, by every family: trained a little, exported, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_infer import Generator
from gan_train import export
from gan_train.config import presets
from gan_train.config.options import write
from gan_train.data.pictures import PictureSet
from gan_train.planning import budget
from gan_train.runs import checkpoint
from gan_train.training import loop
from tests.gan_train.training.test_loop import Watcher

# Each preset once, and among them every number of channels, no classes and many, and the longest sides.
CASES = [
    ("resnet", 8, 8, 1, 0),
    ("few", 33, 20, 4, 2),
    ("cgan", 8, 8, 3, 2),
    ("dcgan", 8, 256, 4, 0),
    ("acgan", 28, 28, 4, 2),
    ("sngan", 256, 8, 3, 2),
    ("wgan-gp", 28, 28, 3, 2),
    ("r3", 48, 32, 4, 100),
]
# Of more pixels, or of what the others show already.
LONG = [
    ("resnet", 48, 32, 3, 2),
    ("resnet", 28, 28, 1, 100),
    ("dcgan", 48, 32, 3, 100),
    ("sngan", 48, 32, 1, 100),
    ("r3", 8, 8, 3, 0),
    ("resnet", 96, 96, 4, 0),
    ("resnet", 256, 256, 3, 2),
    ("cgan", 48, 32, 4, 2),
    ("dcgan", 48, 32, 1, 2),
    ("dcgan", 96, 96, 3, 100),
    ("r3", 96, 96, 1, 2),
]


@pytest.mark.parametrize(
    ("preset", "height", "width", "channels", "classes"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)],
)
def test_any_shape_trains_exports_and_passes_parity(
    preset: str, height: int, width: int, channels: int, classes: int, tmp_path: Path
) -> None:
    count = max(20, classes)
    images = np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    names = tuple(f"class {index}" for index in range(classes))
    pictures = PictureSet.from_arrays("noise", images, np.arange(count) % classes if classes else None, names)
    steps = presets.make(preset, {}).optimizer.discriminator_steps
    changes = {
        "network.width": 4,
        "optimizer.batch_size": 8,
        "budget.images": 16 * steps,
        "machine.precision": "fp32",
        "machine.device": "cpu",
        "reports": 1,
        "evaluation.samples": 0,
    }
    options = budget.settle(presets.make(preset, changes), pictures)
    write(options, tmp_path / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path, Watcher())
    written = export.export(tmp_path, tmp_path / "gen.onnx")  # refuses what differs from PyTorch
    assert written.difference <= 1
    generator = Generator.load(tmp_path / "gen.onnx", device="cpu")
    assert generator.class_names == names
    drawn = generator.sample(3, label=names[-1] if names else None, seed=5)
    assert drawn.shape == (3, height, width, channels)
    assert drawn.std() > 0
    generator.grid(columns=2, rows=2, output="pil").save(tmp_path / "grid.png")
