from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_infer import Generator
from gan_train import cli
from gan_train.config import options as config
from gan_train.config import presets
from gan_train.runs import checkpoint
from tests.conftest import CommandLine, Run, cats_and_dogs

SMALL = (
    *("--size", "16", "--width", "2", "--batch-size", "8", "--reports", "2", "--precision", "fp32"),
    *("--set", "evaluation.samples=0"),
)


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    """Return a function that runs gan-train in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-train", cli.main)


def test_from_a_folder_of_pictures_to_an_app(run: Run, photos: Path) -> None:
    code, out, err = run("fit", photos, "--images", 80, *SMALL)
    assert (code, out) == (0, "runs/photos\n")
    assert "24 pictures of 16x16x3, 2 classes; resnet on cpu in fp32" in err
    assert "score: real pictures" in err
    code, out, err = run("export", "--to", "gen.onnx", "--truncation", 1)
    assert code == 0
    assert "exporting runs/photos" in err
    for line in ("latent float32 [batch, 64], label int64 [batch]", "[batch, 16, 16, 3]", "cats, dogs"):
        assert line in out
    generator = Generator.load("gen.onnx", device="cpu")
    assert generator.sample(3, label="dogs", seed=0).shape == (3, 16, 16, 3)
    with Image.open(sorted(Path("runs/photos/samples").iterdir())[-1]) as sheet:
        grid = generator.grid(columns=8)
        assert np.array_equal(np.asarray(sheet), grid.repeat(4, 0).repeat(4, 1))


def test_the_same_command_goes_on_and_a_complete_run_says_so(run: Run, photos: Path) -> None:
    command = ("fit", photos, "--images", 80, "--out", "here", *SMALL)
    assert run(*command)[0] == 0
    before = Path("here/last").stat().st_mtime_ns
    code, out, err = run(*command)
    assert (code, out) == (0, "here\n")
    assert "resuming here at 80 images" in err
    assert Path("here/last").stat().st_mtime_ns == before


def test_other_options_for_the_same_run_are_refused_by_name(run: Run, photos: Path) -> None:
    command = ["fit", photos, "--images", 80, *SMALL]
    assert run(*command)[0] == 0
    code, _, err = run(*command, "--seed", 3, "--learning-rate", 0.01)
    assert code == 1
    assert "seed: 0 -> 3" in err
    assert "optimizer.learning_rate: 0.002 -> 0.01" in err
    assert "another --out" in err
    Image.new("RGB", (40, 30)).save(photos / "cats" / "new.png")
    code, _, err = run(*command)
    assert code == 1
    assert "data.sha256" in err


def test_a_run_keeps_the_range_of_deep_pictures_into_its_model(run: Run, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    levels = np.random.default_rng(0).integers(0, 4096, (12, 16, 16)).astype(np.uint16)
    for index, picture in enumerate(levels):
        Image.fromarray(picture).save(deep / f"{index}.png")
    command = ("fit", deep, "--images", 16, "--out", "here", *SMALL)
    code, _, err = run(*command)
    assert code == 0
    assert "12 pictures have more than 8 bits: values 0:4095 taken as black and white" in err
    assert config.read(Path("here/config.json")).data.value_range == "0:4095"
    code, _, err = run(*command, "--value-range", "0:65535")
    assert code == 1
    assert "data.value_range: '0:4095' -> '0:65535'" in err
    for same in ((), ("--value-range", "0:4095"), ("--value-range", "auto")):
        assert run(*command, *same)[0] == 0
    assert run("export", "--run", "here", "--to", "gen.onnx")[0] == 0
    metadata = Generator.load("gen.onnx", device="cpu").metadata
    assert metadata.preparation.endswith("values 0:4095 taken as black and white")
    assert metadata.recipe["data"]["value_range"] == "0:4095"
    dark = tmp_path / "dark.png"
    Image.fromarray(levels[0] // 8).save(dark)
    sheets = []
    for more in ((), ("--value-range", "0:4095"), ("--value-range", "0:511")):
        assert run("invert", dark, "--model", "gen.onnx", "--to", "sheet.png", *more)[0] == 0
        with Image.open("sheet.png") as sheet:
            sheets.append(np.asarray(sheet))
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


@pytest.mark.parametrize("command", ["fit", "data check"])
def test_a_range_of_another_form_is_one_line(run: Run, photos: Path, command: str) -> None:
    code, out, err = run(*command.split(), photos, "--value-range", "5")
    assert (code, out) == (1, "")
    assert err.startswith("gan-train: the value range is '5'; expected")
    assert err.count("\n") == 1


def test_the_same_pictures_may_be_named_otherwise_or_lie_elsewhere(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    command = ("--images", 80, "--out", "here", *SMALL)
    assert run("fit", "photos", *command)[0] == 0
    Path("link").symlink_to("photos")
    before = Path("here/config.json").read_bytes()
    for source in ("./photos", "photos/", photos, "link", "photos/../photos"):
        code, _, err = run("fit", source, *command)
        assert code == 0, err
        assert "resuming here at 80 images" in err
        assert Path("here/config.json").read_bytes() == before
    shutil.make_archive("packed", "zip", "photos")
    facts = checkpoint.facts(Path("here"), "000000000080")
    shutil.move("photos", "moved")
    for source in ("moved", "packed.zip"):
        code, _, err = run("fit", source, *command, "--images", 160, "--allow-changed", "budget.images")
        assert code == 0, err
        assert f"are those of {source} now, equal in all that is learnt" in err
        assert config.read(Path("here/config.json")).data.source == source
    assert checkpoint.facts(Path("here"), "000000000160")["data"] == facts["data"]
    Image.new("RGB", (40, 30)).save("moved/cats/new.png")
    code, _, err = run("fit", "moved", *command, "--allow-changed", "budget.images")
    assert code == 1
    assert "data.sha256: the pictures changed (24 then and 25 now)" in err
    Path("moved/cats/new.png").unlink()
    Path("moved/cats").rename("moved/birds")
    code, _, err = run("fit", "moved", *command, "--allow-changed", "budget.images")
    assert code == 1
    assert "classes +birds, -cats" in err


def test_an_unconditional_run_of_dcgan(run: Run, photos: Path) -> None:
    code, _, err = run("fit", photos / "cats", "--preset", "dcgan", "--images", 32, "--channels", 1, *SMALL)
    assert code == 0, err
    code, out, _ = run("export", "--to", "gen.onnx", "--name", "grey cats", "--licence", "CC0")
    assert code == 0
    assert "label" not in out
    generator = Generator.load("gen.onnx", device="cpu")
    assert generator.name == "grey cats"
    assert generator.metadata.latent_distribution == "uniform"
    assert generator.sample(2, seed=0).shape == (2, 16, 16, 1)


INTERRUPTED = ("--images", "1600", *SMALL, "--threads", "1")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of pictures, and that of a run on them which nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    fit = [sys.executable, "-m", "gan_train", "fit", cats_and_dogs(folder / "photos", 24, seed=0)]
    whole = subprocess.run(
        [*fit, "--out", "whole", *INTERRUPTED], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "complete" in whole.stderr
    return folder / "photos", folder / "whole"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_saves_and_the_same_command_ends_where_it_would_have(
    run: Run, uninterrupted: tuple[Path, Path], number: signal.Signals
) -> None:
    pictures, whole = uninterrupted
    command = ("fit", str(pictures), "--out", "parts", *INTERRUPTED)
    parts = subprocess.Popen([sys.executable, "-m", "gan_train", *command], stderr=subprocess.PIPE, text=True)
    while not Path("parts/log.jsonl").exists() and parts.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)
    assert parts.stderr is not None
    if number == signal.SIGHUP:  # and nobody is there to read
        parts.stderr.close()
        parts.send_signal(number)
        assert parts.wait() == 130
    else:
        parts.send_signal(number)
        _, err = parts.communicate()
        assert parts.returncode == 130, err
        assert "stopped and saved in parts; the same command goes on from here" in err
    stopped, _ = checkpoint.load_newest(Path("parts"))
    assert stopped is not None
    assert 0 < stopped.facts["images_seen"] < 1600
    assert run(*command)[0] == 0
    first, _ = checkpoint.load_newest(whole)
    second, _ = checkpoint.load_newest(Path("parts"))
    assert first is not None
    assert second is not None
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fit"], 1, "no DATA is given"),
        (["fit", "gone"], 1, "no data at 'gone'"),
        (["fit", "x" * 300], 1, "File name too long"),
        (["fit", "file.txt"], 1, "is a file of no kind that is read"),
        (["fit", "empty"], 1, "holds no pictures"),
        (["fit", "digits", "--preset", "best"], 1, "'best' is unknown"),
        (["fit", "digits", "--size", "big"], 2, "48x32"),
        (["fit", "digits", "--size", "7"], 1, "data.height is 7; expected a whole number from 8 to 256"),
        (["fit", "digits", "--minutes", "-1"], 1, "budget.minutes is -1.0"),
        (["fit", "digits", "--minutes", "nan"], 1, "budget.minutes is nan"),
        (["fit", "digits", "--minutes", "1", "--images", "1"], 1, "give one of them"),
        (["fit", "digits", "--set", "loss.gamma=1"], 1, "loss.r1_gamma"),
        (["fit", "digits", "--set", "loss.name"], 1, "sets no option"),
        (["fit", "digits", "--set", "loss.name=wgan"], 1, "expected one of minimax"),
        (["fit", "--config", "gone.json"], 1, "gone.json cannot be read"),
        (["fit", "--config", "file.txt"], 1, "file.txt is no JSON"),
        (["fit", "digits", "--preset", "few", "--config", "c.json"], 1, "give one of them"),
        (["fit", "digits", "--device", "tpu"], 1, "'tpu' is unknown"),
        (["fit", "digits", "--images", "8", "--out", "file.txt"], 1, "is a file"),
        (["fit", "digits", "--images", "8", "--out", "full"], 1, "something else than a run"),
        (
            ["fit", "digits", "--images", "8", "--out", "file.txt/run"],
            1,
            "cannot write a run to file.txt/run",
        ),
        (["export", "--to", "gen.onnx"], 1, "no run under runs/"),
        (["export", "--to", "gen.pt"], 1, "does not end in .onnx"),
        (["export", "--to", "file.txt/gen.onnx"], 1, "cannot write"),
        (["export", "--to", "gen.onnx", "--run", "gone"], 1, "no run at gone"),
        (["export", "--to", "gen.onnx", "--run", "empty"], 1, "config.json"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    run: Run, arguments: list[str], code: int, said: str
) -> None:
    Path("file.txt").write_text("text")
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work")
    got, out, err = run(*arguments)
    assert got == code, err
    assert said in err
    assert out == ""
    if code == 1:
        assert err.splitlines()[-1].startswith("gan-train: ")
        assert "Traceback" not in err
    assert sorted(path.name for path in Path().rglob("*")) == ["empty", "file.txt", "full", "thesis.txt"]


def test_a_run_among_its_own_pictures_is_refused(run: Run, photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    for source, out in ((photos, photos / "runs" / "one"), (photos, photos), (Path(), "one")):
        code, _, err = run("fit", source, "--images", 80, "--out", out, *SMALL)
        assert code == 1
        assert "lies among the pictures" in err
        assert "--out" in err
    assert sorted(photos.rglob("*")) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_cuda_that_cannot_be_had_is_refused(run: Run) -> None:
    code, _, err = run("fit", "digits", "--images", "8", "--device", "cuda")
    assert code == 1
    assert "is not available" in err
    assert not Path("runs").exists()


def test_a_changed_option_can_be_allowed_on_purpose(run: Run, photos: Path) -> None:
    command = ["fit", photos, "--out", "here", *SMALL]
    assert run(*command, "--images", 80)[0] == 0
    code, _, err = run(*command, "--images", 160)
    assert code == 1
    assert "budget.images: 80 -> 160" in err
    code, _, err = run(*command, "--images", 160, "--allow-changed", "budget.image")
    assert code == 1
    assert "--allow-changed budget.image names no option; is budget.images meant?" in err
    code, _, err = run(*command, "--images", 160, "--allow-changed", "budget.images")
    assert code == 0, err
    assert "resuming here at 80 images" in err
    assert Path("here/last").read_text() == "000000000160\n"
    assert json.loads(Path("here/config.json").read_text())["budget"]["images"] == 160


def test_a_kill_while_the_config_is_written_does_not_keep_the_folder(run: Run, photos: Path) -> None:
    Path("here").mkdir()
    Path("here/.config.0123456789ab.part.json").write_bytes(b"half of i")
    code, _, err = run("fit", photos, "--out", "here", *SMALL, "--images", 8)
    assert code == 0, err
    assert not list(Path("here").glob(".*"))


def test_a_config_of_another_version_is_refused_with_what_to_do(run: Run) -> None:
    Path("here").mkdir()
    tree = json.loads(config.Config().to_json())
    del tree["condition"]["mismatch_weight"]
    Path("here/config.json").write_text(json.dumps(tree))
    code, _, err = run("fit", "digits", "--out", "here", "--images", 8)
    assert code == 1
    assert "option condition.mismatch_weight is missing; mend it there, or, where another version" in err


def test_a_config_can_be_given_back(run: Run, photos: Path) -> None:
    assert run("fit", photos, "--images", 80, "--out", "first", *SMALL)[0] == 0
    code, _, err = run("fit", "--config", "first/config.json", "--out", "second")
    assert code == 0, err
    assert Path("second/config.json").read_bytes() == Path("first/config.json").read_bytes()
    one, two = (checkpoint.load_named(Path(name), "last") for name in ("first", "second"))
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)
    code, _, err = run("fit", "--config", "first/config.json", "--minutes", 0.01, "--out", "third")
    assert code == 0, err
    Image.new("RGB", (40, 30)).save(photos / "cats" / "new.png")
    code, _, err = run("fit", "--config", "first/config.json", "--out", "fourth")
    assert code == 1
    assert "holds other pictures" in err


def test_a_dry_run_prints_config_cost_and_speed_and_writes_nothing(run: Run, photos: Path) -> None:
    code, out, err = run("fit", photos, "--images", 8000, "--dry-run", *SMALL)
    assert code == 0, err
    assert not Path("runs").exists()
    config, _, told = out.partition("\n}\n")
    assert json.loads(config + "}")["network"]["width"] == 2
    lines = dict(line.split(None, 1) for line in told.splitlines() if line[0] != " ")
    assert set(lines) == {"generator", "discriminator", "training", "speed", "time"}


def test_the_task_is_the_one_that_is_named_or_else_the_datas(run: Run, photos: Path) -> None:
    code, out, err = run("fit", photos, "--images", 8000, "--dry-run", "--task", "generate", *SMALL)
    assert code == 0, err
    assert json.loads(out.partition("\n}\n")[0] + "}")["task"] == "generate"
    code, out, err = run("fit", photos, "--images", 8000, "--dry-run", "--task", "generat", *SMALL)
    assert (code, out) == (1, "")
    assert "task 'generat' is given, and there is none of that name; is generate meant?" in err


def test_labels_can_be_left_out(run: Run, photos: Path) -> None:
    plain = ("--set", "condition.generator=none", "--set", "condition.discriminator=none")
    code, _, err = run("fit", photos, "--images", 32, *SMALL, *plain)
    assert code == 0, err
    assert run("export", "--to", "gen.onnx")[0] == 0
    assert not Generator.load("gen.onnx", device="cpu").conditional


def test_presets_are_listed(run: Run) -> None:
    code, out, _ = run("presets")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[::2]] == list(presets.PRESETS)


def test_training_without_its_packages_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a); "
        "sys.argv = ['gan-train', 'presets']; from gan_train.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "gan-train: training needs torch, not installed here; install with: pip install 'ganforge[train]'\n"
    )


def test_a_tilde_is_the_home_folder_behind_set_and_in_a_config_too(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = f"~/{photos.relative_to(tmp_path).as_posix()}"
    code, out, err = run("fit", "--dry-run", "--images", 8, *SMALL, photos, "--set", f"data.source={source}")
    assert code == 0, err
    config = json.loads(out[: out.index("\n}\n") + 2])
    assert Path(config["data"]["source"]) == photos
    Path("base.json").write_text(json.dumps({**config, "data": {**config["data"], "source": source}}))
    code, out, err = run("fit", "--dry-run", "--config", "base.json")
    assert (code, f'"source": {json.dumps(str(photos))}' in out) == (0, True), err
    code, _, err = run("fit", "--set", "data.labels=~nobodyofthisname/x.csv", photos)
    assert (code, err.count("\n")) == (1, 1)
    assert "lies in the home of nobodyofthisname" in err
