"""Every preset learns: minutes each, so run on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_infer import Generator
from gan_train import budget, checkpoint, config, data, export, loop, presets
from tests.gan_train.test_loop import Watcher


@pytest.mark.slow
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_a_preset_learns_classes_and_does_not_collapse_within_them(preset: str, tmp_path: Path) -> None:
    # Narrow enough for minutes. DCGAN narrower than this does collapse: its published width is 128.
    family = presets.make(preset, {}).network.family
    steps = presets.make(preset, {}).optimizer.discriminator_steps
    changes = {
        "budget.images": 51_200 * steps,
        "network.width": {"mlp": 128, "dcgan": 32, "sngan": 32, "r3": 32}.get(family, 16),
        "optimizer.batch_size": 64,
        "augment.flip": False,  # digits are not what they are when mirrored
        "reports": 1,
    }
    wanted = presets.make(preset, changes)
    digits = data.load(wanted.data)
    options = budget.settle(wanted, digits)
    config.write(options, tmp_path / checkpoint.CONFIG)
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
