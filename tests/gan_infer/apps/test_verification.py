from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer import DataError, Generator, cli
from gan_infer.apps import verification
from gan_infer.outputs.image import save
from gan_infer.provenance.record import read
from tests.conftest import CONDITIONAL, RGBA, UNCONDITIONAL, CommandLine, Kind, Run

Models = Callable[[Kind], Path]


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    return command_line("gan-infer", cli.main)


def verified(run: Run, model: Path, *arguments: object) -> tuple[Path, verification.Verdict]:
    """Run a command that writes a picture, and verify what it wrote."""
    code, out, err = run(*arguments, "--model", model)
    assert code == 0, err
    path = Path(out.strip())
    return path, verification.verify(path, Generator.load(model, device="cpu"))


COMMANDS = [
    "grid --label 4 --rows 2 --cols 3",
    "grid --seeds 3,7-9 --psi 0.7 --scale 2",
    "grid --label 4:0.7,9:0.3 --rows 1 --cols 2",
    "edit --seed 7 --label 2 --steps 3",
    "walk --seeds 1-3 --label 4 --seconds 0.3",
    "walk --seeds 1-3 --label 4 --sheet 6",
    "morph --seed 5 --from-label 3 --to-label 8 --seconds 0.3",
    "morph --seed 5 --from-label 3 --to-label 8 --sheet 5",
]


@pytest.mark.parametrize("kind", ["png", "webp", "gif", "jpg"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_commands_write_is_drawn_anew(run: Run, model_file: Models, command: str, kind: str) -> None:
    if kind == "jpg" and "--seconds" in command:
        pytest.skip("JPEG holds no animation")
    _, verdict = verified(run, model_file(CONDITIONAL), *command.split(), "--to", f"x.{kind}")
    assert verdict.result == verification.SAME
    # In grey all but lossy WebP and JPEG keep levels as they are.
    assert verdict.lossy or verdict.largest_difference == 0


@pytest.mark.parametrize("model", [UNCONDITIONAL, RGBA], ids=str)
@pytest.mark.parametrize("kind", ["png", "webp", "gif", "jpg"])
def test_colours_and_transparency(run: Run, model_file: Models, model: Kind, kind: str) -> None:
    arguments = ("grid", "--seeds", "1-4", "--cols", 2, "--scale", 1, "--to", f"x.{kind}")
    if model.classes:
        arguments += ("--label", "3")
    assert verified(run, model_file(model), *arguments)[1].result == verification.SAME


def test_samples_are_verified_one_by_one(run: Run, model_file: Models) -> None:
    model = model_file(CONDITIONAL)
    assert run("sample", 3, "--model", model, "--seed", 40, "--label", 1, "--to", "many")[0] == 0
    code, out, err = run("verify", *sorted(Path("many").iterdir()), "--model", model)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"same: many/seed{seed:06}.png: all 784 pixels are the same" for seed in (40, 41, 42)
    ]


@pytest.fixture
def picture(conditional: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "seven.png"
    save(conditional.sample(1, label=7, seed=7)[0], path, conditional.provenance(7, 7))
    return path


@pytest.mark.parametrize(("levels", "result"), [(1, "same"), (2, "different"), (255, "different")])
def test_one_changed_pixel_is_found(conditional: Generator, tmp_path: Path, levels: int, result: str) -> None:
    pixels = conditional.sample(1, label=7, seed=7)[0]
    row, column = np.argwhere(pixels[..., 0] < 100)[0] if levels < 255 else (0, 0)
    pixels[row, column] = pixels[row, column] + levels if levels < 255 else 255 * (pixels[row, column] < 128)
    path = tmp_path / "x.png"
    save(pixels, path, conditional.provenance(7, 7))
    verdict = verification.verify(path, conditional)
    assert verdict.result == result
    assert verdict.pixels_different == (result == "different")


def test_another_picture_under_the_record_is_found(conditional: Generator, tmp_path: Path) -> None:
    for name, other in {"x.jpg": 8, "x.webp": 8, "x.gif": 8, "x.png": 8}.items():
        path = tmp_path / name
        save(conditional.sample(1, label=7, seed=other)[0], path, conditional.provenance(7, 7))
        assert verification.verify(path, conditional).result == verification.DIFFERENT
        sheet = conditional.grid(1, rows=1, columns=2)
        save(sheet, path, conditional.provenance(7, 7))
        verdict = verification.verify(path, conditional)
        assert verdict.result == verification.DIFFERENT
        assert "where 28x28 pixels were made" in verdict.detail


def test_saved_anew_by_others_the_record_is_gone(picture: Path, conditional: Generator) -> None:
    with Image.open(picture) as image:
        Image.fromarray(np.asarray(image)).save(picture)
    assert verification.verify(picture, conditional).result == verification.NOTHING


def test_another_model_is_named(picture: Path, unconditional: Generator, conditional: Generator) -> None:
    verdict = verification.verify(picture, unconditional)
    assert verdict.result == verification.OTHER_MODEL
    assert conditional.name in verdict.detail
    assert unconditional.name in verdict.detail


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"kind": "painting"}, verification.UNKNOWN),
        ({"seeds": ()}, verification.UNKNOWN),
        ({"labels": ("no such class",)}, verification.UNKNOWN),
        ({"labels": ({"no such class": 1.0},)}, verification.UNKNOWN),
        ({"seeds": (8,)}, verification.DIFFERENT),
        ({"psi": 0.5}, verification.DIFFERENT),
        ({"scale": 2}, verification.DIFFERENT),
    ],
)
def test_records_that_name_something_else(
    conditional: Generator, tmp_path: Path, change: dict[str, object], result: str
) -> None:
    path = tmp_path / "x.png"
    record = dataclasses.replace(conditional.provenance(7, 7), **change)  # type: ignore[arg-type]
    save(conditional.sample(1, label=7, seed=7)[0], path, record)
    assert verification.verify(path, conditional).result == result


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "sheet"},
        {"seeds": (1, 2), "labels": ("class 1", "class 2")},
        {"kind": "edit", "columns": 1},
        {"kind": "edit", "columns": 1, "more": {"directions": 3, "amounts": []}},
        *(
            {"kind": "edit", "columns": 1, "more": {"directions": directions, "amounts": amounts}}
            for directions, amounts in (
                ("s", [1]),
                ([[]], [1]),
                ([{}], [1]),
                ([1], "1"),
                ([1], [None]),
                ([1], ["x"]),
                ([1], [10**400]),
            )
        ),
        {"kind": "walk", "more": {"steps": "x"}},
        {"kind": "walk", "more": {"steps": 10**12}},
        {"kind": "morph", "more": {"steps": -1}},
    ],
)
def test_records_that_contradict_themselves(
    conditional: Generator, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "x.png"
    record = dataclasses.replace(conditional.provenance(7, 7), **change)  # type: ignore[arg-type]
    save(conditional.sample(1, label=7, seed=7)[0], path, record)
    with pytest.raises(DataError, match="that is no"):
        verification.verify(path, conditional)


@pytest.mark.parametrize(
    "more",
    [
        {"way": "loop", "steps": 1, "mode": "spiral"},
        {"way": "loop", "steps": 1, "mode": ["slerp"]},
        {"steps": 1},
        {"way": 3, "steps": 1},
    ],
)
def test_walks_that_cannot_be_walked(conditional: Generator, tmp_path: Path, more: dict[str, object]) -> None:
    path = tmp_path / "x.png"
    record = dataclasses.replace(conditional.provenance(7, 7), kind="walk", more=more)
    save(conditional.sample(1, label=7, seed=7)[0], path, record)
    verdict = verification.verify(path, conditional)
    assert verdict.result in (verification.UNKNOWN, verification.DIFFERENT)


def test_what_would_fill_the_memory_is_not_drawn(conditional: Generator, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    record = conditional.provenance([1], [1], scale=50)
    record = dataclasses.replace(record, kind="walk", more={"way": "loop", "steps": 20_000})
    save(np.zeros((1400, 1400, 1), np.uint8), path, record)
    verdict = verification.verify(path, conditional)
    assert verdict.result == verification.UNKNOWN
    assert "too large to be drawn anew" in verdict.detail


# The command.


def test_every_picture_gets_a_line_and_the_exit_code_tells(
    run: Run, picture: Path, model_file: Models
) -> None:
    Image.new("L", (28, 28)).save("plain.png")
    Path("text.png").write_text("no picture")
    files = (picture, "plain.png", "text.png", "missing.png")
    code, out, err = run("verify", *files, "--model", model_file(CONDITIONAL))
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == ["same", "no provenance", "no provenance"]
    assert err.count("\n") == 1
    assert "missing.png" in err


def test_a_model_that_is_not_shipped_is_asked_for(run: Run, picture: Path, conditional: Generator) -> None:
    code, out, err = run("verify", picture)
    assert (code, err) == (1, "")
    assert out.startswith("cannot be drawn anew: ")
    assert conditional.sha256[:12] in out
    assert "--model" in out


def test_shipped_models_are_found_by_name(run: Run) -> None:
    assert run("grid", "--label", 4, "--rows", 1, "--cols", 2, "--to", "fours.webp")[0] == 0
    code, out, _ = run("verify", "fours.webp")
    assert (code, out.split(":")[0]) == (0, "same")


def test_json_holds_verdict_and_record(
    run: Run, picture: Path, model_file: Models, conditional: Generator
) -> None:
    code, out, _ = run("verify", picture, "--model", model_file(CONDITIONAL), "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["result"], told["pixels_different"], told["tolerance"]) == ("same", 0, 1)
    assert told["provenance"] == json.loads(conditional.provenance(7, 7).to_json())


def test_the_sheet_of_all_models_says_what_made_it(run: Run, tmp_path: Path) -> None:
    assert run("models", "--to", "models.png")[0] == 0
    record = read(Path("models.png"))
    assert record is not None
    assert record.kind == "models"
    assert record.pictures == 30
    assert [model["model"] for model in record.more["models"]] == ["cifar10", "digits", "fashion"]
    assert run("models", "--no-provenance", "--to", "models.png")[0] == 0
    assert read(Path("models.png")) is None


def test_switched_off_nothing_is_said(run: Run, model_file: Models) -> None:
    model = model_file(CONDITIONAL)
    for number, command in enumerate(("grid --label 1", "walk --seeds 1,2 --seconds 0.1", "edit --seed 1")):
        path = f"{number}.png"
        assert run(*command.split(), "--model", model, "--label", 1, "--no-provenance", "--to", path)[0] == 0
        assert read(Path(path)) is None


def test_cut_pictures_are_told(run: Run, picture: Path, model_file: Models) -> None:
    body = picture.read_bytes()
    for length in range(1, len(body), 37):
        picture.write_bytes(body[:length])
        code, out, err = run("verify", picture, "--model", model_file(CONDITIONAL))
        # The last twelve bytes say no more than that the picture ends.
        assert code == (0 if length >= len(body) - 16 else 1)
        assert (out + err).count("\n") == 1
