"""The way from a public call to the work is short: what a person must read to follow it."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from gan_infer import Generator
from gan_train.config import presets, settled
from gan_train.config.options import write
from gan_train.data import PictureSet
from gan_train.objectives.adversarial import LOSSES
from gan_train.reports.status import Quiet
from gan_train.runs import checkpoint
from gan_train.training import loop

PACKAGES = {"gan_infer", "gan_train"}


def calls_from(caller: CodeType) -> int:
    """Return how many calls of our packages lead from a function to the caller of the one that asks."""
    frame: FrameType | None = inspect.stack(0)[2].frame
    count = 0
    while frame is not None:
        count += str(frame.f_globals.get("__name__")).split(".")[0] in PACKAGES
        if frame.f_code is caller:
            return count
        frame = frame.f_back
    raise AssertionError(f"{caller.co_name} is not on the way")


def test_the_runtime_is_at_most_three_calls_from_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    run = ort.InferenceSession.run

    def spy(*arguments: Any) -> Any:
        found.append(calls_from(sample))
        return run(*arguments)

    sample = Generator.sample.__code__
    monkeypatch.setattr(ort.InferenceSession, "run", spy)
    with Generator.load("digits", device="cpu") as generator:
        generator.sample(2, label=4, seed=0)
    assert len(found) == 1
    assert max(found) <= 3


def test_the_loss_is_at_most_two_calls_from_the_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = []

    def spy(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        found.append(calls_from(loop.train.__code__))
        return plain.discriminator(real, fake)

    plain = LOSSES["hinge"]
    monkeypatch.setitem(LOSSES, "watched", dataclasses.replace(plain, discriminator=spy))
    changes = {
        **{"data.height": 8, "data.width": 8, "data.channels": 1, "network.width": 1},
        **{"machine.device": "cpu", "machine.precision": "fp32", "machine.steps": "eager"},
        **{"optimizer.batch_size": 4, "budget.images": 8, "reports": 1, "evaluation.samples": 0},
    }
    config = settled.close(presets.make("resnet", {**changes, "loss.name": "watched"}))
    write(config, tmp_path / checkpoint.CONFIG)
    pictures = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)
    assert loop.train(config, PictureSet.from_arrays("noise", pictures), tmp_path, Quiet())
    assert len(found) == 2
    assert max(found) <= 2
