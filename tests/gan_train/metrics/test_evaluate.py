from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from gan_infer import Generator
from gan_infer.errors import DataError, GanError, OptionError
from gan_train import data, tasks
from gan_train.commands.evaluate import evaluate, match
from gan_train.config.options import Config, DataOptions, replace
from gan_train.config.settled import close
from gan_train.data import PictureSet
from gan_train.metrics import classifier
from gan_train.metrics.evaluator import Evaluator
from gan_train.networks import Condition
from gan_train.runs import checkpoint, trained


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the first 1,000 pictures of any data, and train the classifier on little."""
    load = data.load

    def load_some(*arguments: Any) -> PictureSet:
        pictures = load(*arguments)
        return pictures.only(np.arange(1000))

    monkeypatch.setattr(data, "load", load_some)
    monkeypatch.setattr(classifier, "MOST_IMAGES", 2500)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, list(map(str, arguments)), catch_exceptions=False)


def labelled(names: tuple[str, ...]) -> PictureSet:
    return PictureSet.from_arrays(
        "data", np.zeros((12, 4, 4, 1), np.uint8), np.arange(12) % len(names), names
    )


def test_a_model_is_scored_with_its_protocol_and_a_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "neighbours.png"
    result = run("--model", "digits", "--data", "digits", "--samples", 150, "--to", sheet)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "model digits"
    assert lines[1].split() == ["150", "samples", "150", "real", "better"]
    titles = [line[:34].strip() for line in lines[2:14]]
    assert titles[0] == "Frechet distance"
    assert "near copies, by pixels" in titles
    assert any(line.startswith("reference   digits, training pictures less") for line in lines)
    assert "training a small classifier on digits" in result.stderr
    with Image.open(sheet) as image:
        assert image.size == (3 * (7 * 30 + 2), 3 * (16 * 30 + 2))


def test_other_pictures_are_read_with_the_range_that_is_given_or_that_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(options: DataOptions, progress: object) -> PictureSet:
        asked.append(options.value_range)
        raise DataError("seen enough")

    monkeypatch.setattr(data, "load", note)
    for more in (("--value-range", "0:4095"), ()):
        with pytest.raises(DataError, match="seen enough"):
            run("--model", "digits", "--data", tmp_path, *more)
    assert asked == ["0:4095", "auto"]  # digits have 8 bits


def test_json_is_one_object_with_the_baseline(tmp_path: Path) -> None:
    result = run("--model", "digits", "--data", "digits", "--samples", 200, "--json", "--network", "pixels")
    found = json.loads(result.stdout)
    assert found["subject"] == "model digits"
    assert found["protocol"]["network"] == "pixels"
    assert found["protocol"]["samples"] == found["baseline"]["protocol"]["samples"] == 200
    assert found["values"]["label_accuracy"] > 0.5
    assert found["baseline"]["values"]["frechet"] < found["values"]["frechet"]


def test_a_run_is_scored_on_its_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator.load("digits", device="cpu")
    changes = {
        **{"data.source": "digits", "data.height": 28, "data.width": 28, "data.channels": 1},
        **{"network.latent_dim": generator.latent_dim, "network.width": 1, "optimizer.batch_size": 2},
        **{"machine.device": "cpu", "machine.precision": "fp32", "machine.steps": "eager"},
    }
    options = close(replace(Config(), {**changes, "budget.images": 2}))
    shown = PictureSet.from_arrays(
        "digits", np.zeros((0, 28, 28, 1), np.uint8), np.zeros(0, np.int64), generator.class_names
    )
    task = tasks.make(options, shown.columns)
    asked: list[tuple[Path, str]] = []

    class Network(torch.nn.Module):
        def forward(self, latent: torch.Tensor, condition: Condition) -> torch.Tensor:
            assert "class" in condition
            drawn = generator(latent.numpy(), condition["class"].numpy())
            return torch.from_numpy(drawn).permute(0, 3, 1, 2) / 127.5 - 1

    def load(folder: Path, which: str, say: object) -> trained.Trained:
        asked.append((folder, which))
        return trained.Trained(options, {}, generator.class_names, task, {"average": Network()})

    monkeypatch.setattr(trained, "load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    checkpoint.point(tmp_path / "runs" / "one", "000", "000")
    of_run = json.loads(run("--samples", 200, "--network", "pixels", "--json").stdout)
    assert asked == [(Path("runs/one"), "best")]
    of_model = json.loads(
        run("--model", "digits", "--data", "digits", "--samples", 200, "--network", "pixels", "--json").stdout
    )
    # The shipped model's file scales latents: it draws other pictures for the same seeds.
    assert of_run["values"].keys() == of_model["values"].keys()
    assert of_run["values"]["label_accuracy"] == pytest.approx(of_model["values"]["label_accuracy"], abs=0.1)
    run("--run", "runs/one", "--checkpoint", "last", "--samples", 100, "--network", "pixels")
    assert asked[-1] == (Path("runs/one"), "last")


def test_classes_are_matched_by_name_then_by_order_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    pictures, conditional = match(labelled(("a", "b", "c")), ("c", "a", "b"))
    assert conditional
    assert pictures.class_names == ("c", "a", "b")
    assert pictures.labels is not None
    assert pictures.labels[:3].tolist() == [1, 2, 0]
    assert capsys.readouterr().err == ""
    pictures, conditional = match(labelled(("a", "b")), ("x", "y"))
    assert conditional
    assert pictures.labels is not None
    assert pictures.labels[:2].tolist() == [0, 1]
    assert "taken in their order" in capsys.readouterr().err
    pictures, conditional = match(labelled(("a", "b")), ("x", "y", "z"))
    assert not conditional
    assert pictures.labels is None
    assert "has 2 classes and the model 3; taken without labels" in capsys.readouterr().err
    assert match(labelled(("a", "b")), ())[1] is False


def test_a_model_whose_classes_the_data_has_not_draws_equal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.RandomState(0).randint(0, 256, (60, 28, 28, 1)).astype(np.uint8)
    some = PictureSet.from_arrays("some", images, np.arange(60) % 2, ("a", "b"))
    monkeypatch.setattr(data, "load", lambda *_: some)
    result = run("--model", "digits", "--data", "some", "--samples", 100, "--network", "pixels", "--json")
    assert "taken without labels" in result.stderr
    found = json.loads(result.stdout)
    assert found["protocol"]["labels"] == "none of the data's"
    generator = Generator.load("digits", device="cpu")
    drawn = generator(generator.latents(range(100)), np.arange(100) % 10)
    plain = some.without("class")
    values = Evaluator.prepare(plain, "pixels", 100, full=True).score_pictures(drawn).values
    assert found["values"] == pytest.approx(values)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "digits", "--run", "runs/x"], "give a model or a run"),
        (["--model", "digits"], "what model digits was trained on is not known here; name pictures"),
        (["--run", "nowhere"], "no run at nowhere"),
        (["--model", "digits", "--data", "digits", "--to", "a.txt"], "no ending of a known picture format"),
        (["--model", "digits", "--data", "nothing"], "no data at 'nothing'"),
        (["--model", "digits", "--data", "digits", "--network", "vgg"], "network 'vgg' is unknown"),
    ],
)
def test_wrong_asks_are_refused_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(GanError, match=words) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, OptionError) or "no data" in words
