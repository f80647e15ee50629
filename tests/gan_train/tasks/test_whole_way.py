"""A task that the packages do not know goes the whole way by command: fit, report, export, info, sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gan_infer.cli
import gan_train.cli
from gan_infer import Generator
from gan_infer.latent import seeds
from gan_infer.outputs.base import OUTPUTS, ArrayOutput
from gan_train import data, tasks
from gan_train.data import Column, DataSet
from gan_train.runs import checkpoint, trained
from tests.conftest import CommandLine, Run
from tests.gan_train.tasks.test_task_of_tests import BATCH, LATENTS, SAMPLES, VOICES, Faltering

IMAGES = 60 * BATCH
FIT = ("fit", "noise", "--task", "sounds", "--images", IMAGES, "--batch-size", BATCH, "--reports", 4)


@pytest.fixture(autouse=True)
def sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the task, the kind of its output and its data: a line in each table."""
    noise = np.random.default_rng(0).uniform(-1, 1, (12, SAMPLES)).astype(np.float32)
    column = Column("audio", "audio", noise, {"sample_rate": 8000})
    monkeypatch.setitem(tasks.TASKS, "sounds", Faltering)
    monkeypatch.setitem(OUTPUTS, "audio", ArrayOutput("sounds"))
    monkeypatch.setattr(data, "load", lambda *_: DataSet("noise", {"audio": column}, "free"))


@pytest.fixture
def train(command_line: CommandLine) -> Run:
    """Return a function that runs gan-train in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-train", gan_train.cli.main)


def test_from_the_command_that_trains_to_sounds_in_an_app(command_line: CommandLine) -> None:
    train = command_line("gan-train", gan_train.cli.main)
    code, out, err = train(*FIT)
    assert (code, out) == (0, "runs/noise\n"), err
    assert "12 sounds of 24; task sounds on cpu" in err
    run = Path("runs/noise")
    _check_folder(run)

    code, out, err = train("export", "--to", "gen.onnx", "--truncation", 1)
    assert code == 0, err
    assert "inputs      latent float32 [batch, 3]" in out
    assert "output      audio float32 [batch, 24]" in out
    assert "of full scale from PyTorch" in out

    with Generator.load("gen.onnx", device="cpu") as generator:
        drawn: Any = generator.sample(3, seed=7)
        metadata = generator.metadata
    assert (metadata.format_version, metadata.data_name, metadata.data_licence) == ("1.1", "noise", "free")
    (output,) = metadata.outputs
    assert (output.name, output.kind, output.shape) == ("audio", "audio", (SAMPLES,))
    assert output.facts == {"sample_rate": 8000}
    network = trained.load(run).networks["high_average"]
    with torch.no_grad():
        expected = network(torch.from_numpy(seeds.latents(range(7, 10), LATENTS, "normal"))).numpy()
    assert (drawn.shape, drawn.dtype) == ((3, SAMPLES), np.float32)
    np.testing.assert_allclose(drawn, expected, atol=1 / 32768)

    infer = command_line("gan-infer", gan_infer.cli.main)
    code, told, err = infer("info", "--model", "gen.onnx", "--device", "cpu")
    assert code == 0, err
    assert "audio float32 [batch, 24]" in told, err
    assert "came out as the file says" in told


def _check_folder(run: Path) -> None:
    """Look for the task's figures and for what happened in what the run wrote."""
    lines = [json.loads(line) for line in (run / checkpoint.LOG).read_text().splitlines()]
    assert all({"low_loss", "high_loss", "score"} <= line.keys() for line in lines)
    assert lines[-1]["images_seen"] == IMAGES
    (event,) = (json.loads(line) for line in (run / checkpoint.EVENTS).read_text().splitlines())
    assert event["kind"] == "rollback"
    page = (run / checkpoint.REPORT).read_text()
    for title in ("low voice", "high voice", "real sounds", "the high loss became nan"):
        assert title in page
    assert not list((run / checkpoint.SAMPLES).glob("*.png"))  # there is no view of sounds


def test_the_plan_names_its_networks(train: Run) -> None:
    code, out, _ = train(*FIT, "--dry-run")
    assert code == 0
    for voice in VOICES:
        assert f"{voice:<15} {LATENTS * SAMPLES + SAMPLES} parameters" in out


def test_what_does_not_apply_to_it_is_said_in_one_line(train: Run) -> None:
    assert train(*FIT)[0] == 0
    Image.new("L", (8, 8)).save("picture.png")
    refused = {
        ("evaluate",): "task of run runs/noise is sounds, which makes audio; pictures are scored here",
        ("export", "--critic", "critic.onnx"): "task is sounds, which has no discriminator of pictures",
        (
            "invert",
            "picture.png",
            "--run",
            "runs/noise",
            "--to",
            "near.png",
        ): "task is sounds, which makes audio, and pictures",
    }
    for command, said in refused.items():
        code, out, err = train(*command)
        assert (code, out) == (1, ""), err
        (line,) = [line for line in err.splitlines() if line.startswith("gan-train")]
        assert said in line
    assert train("export", "--to", "gen.onnx")[0] == 0
    code, _, err = train("evaluate", "--model", "gen.onnx", "--data", "noise")
    assert (code, "makes audio; pictures are scored here" in err) == (1, True)
