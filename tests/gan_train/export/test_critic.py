"""From a run to a critic file: the contract, what it was calibrated on, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from gan_infer import Critic, Generator, ModelError
from gan_infer.modelfile.metadata import KEY
from gan_train import cli
from gan_train.config.options import DataOptions
from gan_train.data import held_out
from gan_train.export import calibration_data
from gan_train.export import critic as critics
from gan_train.networks import pixels
from gan_train.runs import trained
from tests.conftest import (
    CONDITIONAL,
    DCGAN,
    RGBA,
    UNCONDITIONAL,
    CommandLine,
    Kind,
    Run,
    make_critic,
    make_critic_metadata,
    random_pictures,
)

Models = Callable[[Kind], Path]
SMALL = (
    *("--size", "16", "--width", "2", "--batch-size", "8", "--reports", "1", "--precision", "fp32"),
    *("--images", "32", "--set", "evaluation.samples=0"),
)


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    """Return a function that runs gan-train in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-train", cli.main)


@pytest.mark.parametrize("kind", [CONDITIONAL, UNCONDITIONAL, DCGAN, RGBA], ids=str)
def test_the_file_keeps_the_contract(critic_file: Models, kind: Kind) -> None:
    model = onnx.load(critic_file(kind))
    onnx.checker.check_model(model, full_check=True)

    def signature(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
        type_ = value.type.tensor_type
        return value.name, type_.elem_type, [side.dim_param or side.dim_value for side in type_.shape.dim]

    wanted: list[Any] = [("image", onnx.TensorProto.UINT8, ["batch", kind.height, kind.width, kind.channels])]
    if kind.classes:
        wanted.append(("label", onnx.TensorProto.INT64, ["batch"]))
    assert [signature(value) for value in model.graph.input] == wanted
    assert [signature(value) for value in model.graph.output] == [
        ("realness", onnx.TensorProto.FLOAT, ["batch"])
    ]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.graph.name == "critic"
    told = json.loads(model.metadata_props[0].value)
    assert (model.metadata_props[0].key, told["kind"], len(told["golden"])) == (KEY, "critic", 4)


def test_another_discriminator_is_told_from_the_right_one(critic_file: Models) -> None:
    opened = Critic.load(critic_file(UNCONDITIONAL), device="cpu")
    right = make_critic(UNCONDITIONAL)
    assert critics.verify(right, opened, random_pictures(UNCONDITIONAL, 64)) < 1e-4
    right.intercepts += 0.1
    with pytest.raises(ModelError, match="off PyTorch"):
        critics.verify(right, opened, random_pictures(UNCONDITIONAL, 64))


def test_a_judgement_that_depends_on_its_batch_is_refused(tmp_path: Path) -> None:
    critic = make_critic(UNCONDITIONAL)
    plain = critic.discriminator.forward

    def mixing(pictures: torch.Tensor, condition: Any) -> Any:
        return plain(pictures + pictures.mean(0, keepdim=True), condition)

    critic.discriminator.forward = mixing  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="must not depend on its batch"):
        critics.write(
            critic,
            make_critic_metadata(UNCONDITIONAL),
            random_pictures(UNCONDITIONAL, 64),
            tmp_path / "critic.onnx",
        )
    assert not list(tmp_path.iterdir())


def test_a_run_gives_a_critic_calibrated_on_other_pictures(run: Run, photos: Path, others: Path) -> None:
    assert run("fit", photos, "--set", "network.spectral_norm=true", *SMALL)[0] == 0
    code, out, err = run(
        "export", "--critic", "critic.onnx", "--calibrate", others, "--calibration-curve", "curve.svg"
    )
    assert code == 0, err
    assert "warning" not in err
    for said in (
        "realness float32 [batch]",
        "60 pictures of others, and as many generated at truncation 0.9",
        "curve.svg",
    ):
        assert said in out
    assert Path("curve.svg").read_text().startswith("<svg")
    critic = Critic.load("critic.onnx", device="cpu")
    told = critic.metadata.calibration
    assert not told["seen_in_training"]
    assert (told["fitted_on"], told["measured_on"], len(told["curve"])) == (60, 60, 15)
    assert critic.metadata.recipe["network"]["spectral_norm"]
    judging = trained.discriminator(Path("runs/photos"))
    assert not any("parametrizations" in name for name, _ in judging.named_parameters())
    pictures = random_pictures(Kind(height=16, width=16, channels=3, classes=2), 5)
    logits = pixels.compute_logits(judging, pictures, np.arange(5) % 2)
    own = np.array(told["intercepts"])[np.arange(5) % 2]
    expected = 1 / (1 + np.exp(-(told["slope"] * logits + own)))
    assert critic(pictures, np.arange(5) % 2) == pytest.approx(expected, abs=1e-4)


def test_calibration_on_what_training_saw_is_said_to_be_that(
    run: Run, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_data, "MOST_HELD", 50)
    assert run("fit", others, *SMALL)[0] == 0
    code, out, err = run("export", "--to", "gen.onnx", "--critic", "critic.onnx")
    assert code == 0
    assert "which the discriminator has learnt by" in err
    assert "calibrated  on 50 of 60 pictures of others, which training saw" in out
    assert Critic.load("critic.onnx", device="cpu").metadata.calibration["seen_in_training"]
    assert Generator.load("gen.onnx", device="cpu").image_shape == (16, 16, 3)


def test_bad_wishes_are_refused_in_one_line(run: Run, photos: Path) -> None:
    assert run("fit", photos, *SMALL)[0] == 0
    for arguments, said in (
        (["--critic", "critic.txt"], "does not end in .onnx"),
        ([], "nothing is asked for"),
        (["--to", "a.onnx", "--calibrate", "x"], "--critic"),
        (["--to", "a.onnx", "--critic", "a.onnx"], "two names"),
        (["--critic", "a.onnx", "--calibration-curve", "c.gif"], ".svg"),
        (["--critic", "a.onnx", "--calibrate", "gone"], "no data at 'gone'"),
        (["--critic", "a.onnx"], "needs at least 50"),
        (["--critic", "a.onnx", "--calibrate", photos / "cats"], "has no classes like the run's"),
    ):
        code, out, err = run("export", *arguments)
        assert (code, out) == (1, ""), arguments
        assert said in err.splitlines()[-1]
    assert not list(Path().glob("*.onnx"))


def test_an_auxiliary_classifier_leaves_the_critic_without_labels(
    run: Run, photos: Path, others: Path
) -> None:
    assert run("fit", photos, "--set", "condition.discriminator=auxiliary", *SMALL)[0] == 0
    assert run("export", "--critic", "critic.onnx", "--calibrate", others)[0] == 0
    assert not Critic.load("critic.onnx", device="cpu").conditional


def test_pictures_that_training_saw_are_left_out_of_a_calibration(
    run: Run, photos: Path, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_data, "LEAST_HELD", 40)
    assert run("fit", photos, *SMALL)[0] == 0
    for path in sorted(photos.rglob("*.png"))[:7]:
        shutil.copy(path, others / path.parent.name / f"seen {path.name}")
    code, out, err = run("export", "--critic", "critic.onnx", "--calibrate", others)
    assert code == 0
    assert "note: 7 of 67 pictures of others are among those that training saw; left out" in err
    assert "calibrated  on 60 pictures of others, and" in out
    monkeypatch.setattr(calibration_data, "LEAST_HELD", 61)
    code, out, err = run("export", "--critic", "critic.onnx", "--calibrate", others)
    assert code == 0
    assert "calibrated  on 67 pictures of others, which training saw" in out
    assert "which the discriminator has learnt by" in err


def test_the_split_that_was_held_out_is_found(tmp_path: Path) -> None:
    def beside(source: Path) -> str | None:
        found = held_out.find_beside(DataOptions(source=str(source), sha256="x", labels="y.csv"))
        assert found is None or (found.sha256, found.labels) == ("", "")
        return None if found is None else str(Path(found.source).relative_to(tmp_path))

    (tmp_path / "idx").mkdir()
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (tmp_path / "idx" / name).touch()
    assert beside(tmp_path / "idx") == "idx/t10k-images-idx3-ubyte.gz"
    assert beside(tmp_path / "idx" / "train-images-idx3-ubyte.gz") == "idx/t10k-images-idx3-ubyte.gz"
    assert beside(tmp_path / "idx" / "t10k-images-idx3-ubyte.gz") is None
    for name in ("photos/Train/cats", "photos/val/cats", "plain/cats", "plain/train-spotting"):
        (tmp_path / name).mkdir(parents=True)
    assert beside(tmp_path / "photos") == "photos/val"
    assert beside(tmp_path / "photos" / "Train") == "photos/val"
    assert beside(tmp_path / "plain") is None
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("train/cats", "train/dogs", "Val/cats", "Val/dogs"):
            archive.writestr(f"set/{name}/1.png", b"")
    assert beside(tmp_path / "set.zip") == "set.zip/set/Val"
    assert beside(tmp_path / "set.zip" / "set" / "train") == "set.zip/set/Val"
    assert beside(tmp_path / "set.zip" / "set" / "Val") is None
    assert held_out.find_beside(DataOptions()) is None


def test_a_critic_of_a_broken_run_is_refused() -> None:
    logits = np.array([0.1, math.nan] * 60)
    with pytest.raises(ModelError, match="not finite"):
        calibration_data.calibrate(calibration_data.CalibrationPictures("x", False, 1.0, logits))
