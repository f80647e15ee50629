from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer import Generator, cli
from gan_infer.outputs.image import enlarge
from tests.conftest import CONDITIONAL, UNCONDITIONAL, CommandLine, Kind, Run

Models = Callable[[Kind], Path]


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    """Return a function that runs gan-infer in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-infer", cli.main)


def test_grid_writes_the_sheet_of_a_label(run: Run, model_file: Models) -> None:
    path = model_file(CONDITIONAL)
    code, out, err = run("grid", "--model", path, "--label", 4, "--rows", 2, "--cols", 3, "--to", "fours.png")
    assert (code, out, err) == (0, "fours.png\n", "")
    expected = Generator.load(path, device="cpu").grid(4, rows=2, columns=3)
    with Image.open("fours.png") as image:
        assert np.array_equal(np.asarray(image), enlarge(expected, 3)[..., 0])


def test_grid_takes_seeds_and_scale_and_rows_by_class(run: Run, model_file: Models) -> None:
    path = model_file(CONDITIONAL)
    assert run("grid", "--model", path, "--seeds", "0,4-6", "--scale", 1)[0] == 0
    with Image.open("grid.png") as image:
        assert image.size == (4 * 30 + 2, 10 * 30 + 2)


def test_sample_writes_a_file_a_seed(run: Run, model_file: Models) -> None:
    path = model_file(UNCONDITIONAL)
    code, out, _ = run("sample", 70, "--model", path, "--seed", 12, "--to", "many")
    assert (code, out) == (0, "many\n")
    files = sorted(Path("many").iterdir())
    assert [file.name for file in files] == [f"seed{seed:06}.png" for seed in range(12, 82)]
    with Image.open(files[69]) as image:
        expected = Generator.load(path, device="cpu").sample(1, seed=81)[0]
        assert np.array_equal(np.asarray(image), expected)


def test_info_says_what_the_file_is(run: Run, model_file: Models) -> None:
    code, out, _ = run("info", "--model", model_file(CONDITIONAL), "--device", "cpu", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["device"] == "cpu"
    assert facts["latent_dim"] == 64
    assert len(facts["class_names"]) == 10
    code, out, _ = run("info", "--model", model_file(CONDITIONAL))
    assert "28x28x1" in out
    assert "class 4" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["grid", "--label", "cat"], 1, "'cat' is no class"),
        (["grid", "--label", "10"], 1, "from 0 to 9"),
        (["grid", "--seeds", "1-"], 1, "do not parse at '1-'"),
        (["grid", "--seeds", "9-3"], 1, "backwards"),
        (["grid", "--device", "tpu"], 1, "'tpu' is unknown"),
        (["grid", "--to", "grid.xyz"], 1, ".png"),
        (["grid", "--to", "file/grid.png"], 1, "cannot write file/grid.png"),
        (["grid", "--rows", "0"], 2, "--rows"),
        (["grid", "--model", "gone.onnx"], 1, "no model file 'gone.onnx'"),
        (["grid", "--model", "file"], 1, "is refused unopened"),
        (["grid", "--model", "."], 1, "is a directory"),
        (["sample", "0", "--to", "d"], 1, "at least 1"),
        (["sample", "--to", "d", "--", "-3"], 1, "at least 1"),
        (["sample", "9999999999999", "--to", "d"], 1, "too many"),
        (["grid", "--rows", "1000", "--cols", "1000", "--label", "4"], 1, "too large"),
        (["grid", "--rows", "200", "--cols", "200", "--label", "4", "--scale", "64"], 1, "too large"),
        (["sample", "x", "--to", "d"], 2, "'x'"),
        (["sample", "1"], 2, "--to"),
        (["sample", "1", "--seed", "-1", "--to", "d"], 1, "seed -1"),
        (["sample", "1", "--to", "file"], 1, "cannot write into file"),
        (["info", "--model", "gone"], 1, "no shipped model"),
        (["dance"], 2, "dance"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    run: Run, model_file: Models, arguments: list[str], code: int, said: str
) -> None:
    Path("file").write_text("not a model")
    if "--model" not in arguments and arguments[0] != "dance":
        arguments = [arguments[0], "--model", str(model_file(CONDITIONAL)), *arguments[1:]]
    got, out, err = run(*arguments)
    assert got == code
    assert out == ""
    assert said in err
    if code == 1:
        assert err.startswith("gan-infer: ")
        assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_label_on_an_unconditional_model_is_refused(run: Run, model_file: Models) -> None:
    code, _, err = run("grid", "--model", model_file(UNCONDITIONAL), "--label", 4)
    assert code == 1
    assert "unconditional" in err


def test_a_morph_of_a_model_without_classes_is_refused(run: Run, model_file: Models) -> None:
    model = model_file(UNCONDITIONAL)
    code, _, err = run("morph", "--model", model, "--from-label", 3, "--to-label", 8, "--to", "morph.gif")
    assert (code, err.count("\n")) == (1, 1)
    assert "no classes to go between" in err
    assert not Path("morph.gif").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gan_infer", "info", "--model", "gone", "--debug"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ModelError" in done.stderr


@pytest.mark.parametrize("ending", ["npy", "json"])
def test_edit_takes_the_latent_of_a_picture_that_was_found(run: Run, model_file: Models, ending: str) -> None:
    path = model_file(CONDITIONAL)
    generator = Generator.load(path, device="cpu")
    latent = generator.latent(11)
    if ending == "npy":
        np.save("found.npy", latent[None])
        label: tuple[object, ...] = ("--label", 3)
    else:
        Path("found.json").write_text(json.dumps({"latent": latent.tolist(), "label_index": 3}))
        label = ()
    way = ("--direction", 1, "--steps", 3, "--scale", 1, "--model", path)
    assert run("edit", "--latent", f"found.{ending}", *label, *way, "--to", "x.png")[0] == 0
    assert run("edit", "--seed", 11, "--label", 3, *way, "--to", "y.png")[0] == 0
    with Image.open("x.png") as one, Image.open("y.png") as other:
        assert one.tobytes() == other.tobytes()
    code, out, _ = run("verify", "x.png", "--model", path)
    assert (code, out.split(":")[0]) == (1, "cannot be drawn anew")
    code, _, err = run("edit", "--latent", f"found.{ending}", "--seed", 1, *way)
    assert (code, err.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "{}", "3", '{"latent": 3}', '{"latent": ["a"]}', '{"latent": [1, NaN]}', "\x93NUMPY"]
)
@pytest.mark.parametrize("ending", ["npy", "json"])
def test_what_is_no_latent_is_told(run: Run, model_file: Models, ending: str, text: str) -> None:
    Path(f"x.{ending}").write_text(text)
    code, out, err = run("edit", "--latent", f"x.{ending}", "--label", 1, "--model", model_file(CONDITIONAL))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert run("edit", "--latent", "none.npy")[0] == 1
