"""The recipes of docs/howto/extend.md: the files and lines that it shows, put in their place and used."""

from __future__ import annotations

import json
import types
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_infer import Generator
from gan_infer.conditions import base
from gan_infer.outputs.base import OUTPUTS, ArrayOutput
from gan_train import cli, data, networks, tasks
from gan_train.data import Column, DataSet
from gan_train.metrics import scores
from gan_train.networks import Family, conditioning
from gan_train.objectives.adversarial import LOSSES
from gan_train.runs import checkpoint
from tests.conftest import CommandLine, Run
from tests.gan_train.tasks.test_new_condition import portraits
from tests.test_docs import ROOT, snippets

PAGE = ROOT / "docs" / "howto" / "extend.md"
SMALL = (
    *("--images", 64, "--size", 16, "--channels", 1, "--width", 2, "--batch-size", 8, "--reports", 2),
    *("--precision", "fp32", "--set", "evaluation.network=pixels"),
)
UNMEASURED = (*SMALL, "--set", "evaluation.samples=0")


def new_file(path: str) -> types.ModuleType:
    """Make the module that the page puts into a file."""
    (code,) = [each.code for each in snippets(PAGE) if each.code.startswith(f"# {path}\n")]
    made = types.ModuleType(path.removesuffix(".py").replace("/", "."))
    exec(compile(code, path, "exec"), vars(made))
    return made


def add(monkeypatch: pytest.MonkeyPatch, table: MutableMapping[str, Any], start: str, **names: Any) -> None:
    """Add a line to a table: the one of the page that starts so."""
    (line,) = [each for each in PAGE.read_text(encoding="utf-8").splitlines() if each.startswith(start)]
    for name, value in eval(f"{{{line}}}", names).items():
        monkeypatch.setitem(table, name, value)


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    return command_line("gan-train", cli.main)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of 40 grey pictures without classes."""
    folder = tmp_path / "grey"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


def test_a_loss(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("fit", pictures, "--set", "loss.name=squared_hinge", *UNMEASURED)
    assert (code, "option loss.name is 'squared_hinge'; expected one of minimax" in err) == (1, True)
    made = new_file("gan_train/objectives/squared_hinge.py")
    add(monkeypatch, LOSSES, '"squared_hinge"', squared_hinge=made)
    code, _, err = run("fit", pictures, "--set", "loss.name=squared_hinge", *UNMEASURED)
    assert code == 0, err
    assert json.loads(Path("runs/grey", checkpoint.CONFIG).read_text())["loss"]["name"] == "squared_hinge"
    code, _, err = run("fit", pictures, "--set", "loss.name=hing", "--out", "other", *UNMEASURED)
    assert (code, "relativistic, squared_hinge" in err) == (1, True)


def test_a_network_family(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_file("gan_train/networks/linear.py")
    add(monkeypatch, networks.FAMILIES, '"linear"', linear=made, Family=Family)
    code, _, err = run("fit", pictures, "--set", "network.family=linear", *UNMEASURED)
    assert code == 0, err
    assert "; linear on cpu" in err
    assert run("export", "--to", "gen.onnx")[0] == 0
    assert Generator.load("gen.onnx", device="cpu").sample(2, seed=0).shape == (2, 16, 16, 1)


def test_a_metric(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_file("gan_train/metrics/brightness.py")
    add(monkeypatch, scores.METRICS, '"brightness"', brightness=made)
    code, _, err = run("fit", pictures, *SMALL, "--set", "evaluation.samples=20")
    assert code == 0, err
    lines = Path("runs/grey", checkpoint.METRICS).read_text().splitlines()
    assert [0 < json.loads(line)["values"]["brightness"] < 1 for line in lines] == [True, True]
    assert "Brightness of samples" in Path("runs/grey", checkpoint.REPORT).read_text()
    code, out, err = run("evaluate", "--samples", 100, "--network", "pixels")
    assert code == 0, err
    assert "mean brightness" in out


def test_a_kind_of_condition(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk, ways = new_file("gan_infer/conditions/number.py"), new_file("gan_train/networks/number.py")
    add(monkeypatch, base.KINDS, '"number": NumberCondition', NumberCondition=sdk.NumberCondition)
    add(monkeypatch, conditioning.KINDS, '"number": number', number=ways)
    monkeypatch.setattr(data, "load", lambda *_: portraits(False))
    code, _, err = run("fit", "portraits", *UNMEASURED)
    assert code == 0, err
    assert run("export", "--to", "gen.onnx")[0] == 0
    generator = Generator.load("gen.onnx", device="cpu")
    young, old = (generator.sample(2, seed=0, age=age) for age in (1, 99))
    assert not np.array_equal(young, old)
    assert generator.interpolate(0, 1, 3, age=[20, 60]).shape == (3, 12, 12, 1)
    assert generator.provenance([3], age=60).conditions == {"age": (60.0,)}


def test_a_task(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_file("gan_train/tasks/tones.py")
    add(monkeypatch, tasks.TASKS, '"tones"', Tones=made.Tones)
    add(monkeypatch, OUTPUTS, '"audio"', ArrayOutput=ArrayOutput)
    sounds = np.random.default_rng(0).uniform(-1, 1, (12, 24)).astype(np.float32)
    column = Column("audio", "audio", sounds)
    monkeypatch.setattr(data, "load", lambda *_: DataSet("recordings", {"audio": column}))
    code, _, err = run("fit", "recordings", "--images", 80, "--batch-size", 8, "--reports", 2)
    assert code == 0, err
    log = Path("runs/recordings", checkpoint.LOG).read_text()
    assert json.loads(log.splitlines()[-1]).keys() >= {"generator_loss", "discriminator_loss"}
    assert run("export", "--to", "gen.onnx")[0] == 0
    drawn = Generator.load("gen.onnx", device="cpu").sample(3, seed=7)
    assert (drawn.shape, str(drawn.dtype)) == ((3, 24), "float32")


def test_the_page_names_files_and_tables_that_there_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| a") and "`" in line]
    assert len(rows) == 9
    for _, new, lines in rows:
        names = lines.split("`")[1::2]
        tables = [name for name in names if name.isupper()]
        for path in (name for name in names if name.endswith(".py") and "NAME" not in name):
            code = (ROOT / path).read_text()
            assert any(f"\n{table}: Final" in code for table in tables), path
        for path in new.split("`")[1::2]:
            assert (ROOT / path).parent.is_dir()
