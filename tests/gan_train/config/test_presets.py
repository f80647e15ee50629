"""Every preset learns: minutes each, so run on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from gan_infer import Generator
from gan_train import data, export
from gan_train.config import presets
from gan_train.config.options import write
from gan_train.planning import budget
from gan_train.runs import checkpoint
from gan_train.training import loop
from tests.gan_train.training.test_loop import Watcher

# What makes each family of networks fit for minutes on a CPU. DCGAN narrower than this does collapse: its
# published width is 128. sngan as its preset stands is narrow, and wants many small batches; so does r3
# where pictures are few, at a higher rate than that of its batches of 512.
SMALLER: Final[dict[str, dict[str, Any]]] = {
    "mlp": {"network.width": 128, "optimizer.batch_size": 64},
    "dcgan": {"network.width": 32, "optimizer.batch_size": 64},
    "resnet": {"network.width": 16, "optimizer.batch_size": 64},
    "r3": {
        "network.width": 8,
        "optimizer.batch_size": 32,
        "optimizer.learning_rate": 1e-3,
        "optimizer.final_learning_rate": 2e-4,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_a_preset_learns_classes_and_does_not_collapse_within_them(preset: str, tmp_path: Path) -> None:
    meant = presets.make(preset, {})
    changes = {
        "budget.images": 51_200 * meant.optimizer.discriminator_steps,
        "augment.flip": False,  # digits are not what they are when mirrored
        "reports": 1,
        "evaluation.samples": 0,  # what it learnt is judged here
        **SMALLER.get(meant.network.family, {}),
    }
    wanted = presets.make(preset, changes)
    digits = data.load(wanted.data)
    options = budget.settle(wanted, digits)
    write(options, tmp_path / checkpoint.CONFIG)
    loop.train(options, digits, tmp_path, Watcher())
    export.export(tmp_path, tmp_path / "gen.onnx")
    generator = Generator.load(tmp_path / "gen.onnx", device="cpu")
    assert digits.labels is not None
    for label in range(10):
        real = digits.images[digits.labels == label].astype(float)
        drawn = generator.sample(200, label=label, seed=0).astype(float)
        # Variety: a good part of the real variation between pictures of one class.
        assert drawn.std(0).mean() > 0.4 * real.std(0).mean()
        # The class: its mean picture is nearest to the real mean of that very class.
        gaps = [
            np.abs(drawn.mean(0) - digits.images[digits.labels == other].mean(0)).mean()
            for other in range(10)
        ]
        assert int(np.argmin(gaps)) == label
