"""`gan-infer score`: good pictures are scored, bad ones named; and the charts that it draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from gan_infer import Critic, Generator, OptionError, cli
from gan_infer.conditions.base import KINDS
from gan_infer.modelfile.metadata import KEY
from tests import new_kinds
from tests.conftest import CONDITIONAL, UNCONDITIONAL, CommandLine, Kind, Run, random_pictures
from tests.picture_files import png

Models = Callable[[Kind], Path]


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    """Return a function that runs gan-infer in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-infer", cli.main)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of six pictures, half of them in a folder named as a class, and a cut one."""
    for index, picture in enumerate(random_pictures(CONDITIONAL, 6)):
        path = tmp_path / "pictures" / ("class 3" if index % 2 else "other") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[..., 0]).save(path)
    (tmp_path / "pictures" / "other" / "cut.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "pictures" / "other" / ".hidden.png").write_bytes(b"")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


def test_a_folder_is_scored_and_what_is_bad_is_named(run: Run, critic_file: Models, folder: Path) -> None:
    code, out, err = run("score", folder, "--critic", critic_file(CONDITIONAL), "--to", "histogram.png")
    assert code == 1
    assert err.count("cut.png is no picture") == 1
    assert "--label tells more" in err
    lines = out.splitlines()
    critic = Critic.load(critic_file(CONDITIONAL), device="cpu")
    one = folder / "class 3" / "1.png"
    assert f"{critic.score(one, 3)[0]:.3f}  {one}  as class 3" in lines
    two = folder / "other" / "2.png"
    assert f"{critic.score(two)[0]:.3f}  {two}" in lines
    assert "6 pictures, mean" in out
    assert sum(int(line.split()[1]) for line in lines[-10:]) == 6
    with Image.open("histogram.png") as image:
        assert image.format == "PNG"


def test_json_and_a_label(run: Run, critic_file: Models, folder: Path) -> None:
    one, cut = folder / "class 3" / "1.png", folder / "other" / "cut.png"
    code, out, _ = run("score", one, cut, "--critic", critic_file(CONDITIONAL), "--label", 5, "--json")
    told = json.loads(out)
    assert code == 1
    (scored,) = told["pictures"]
    assert (scored["path"], scored["label"], scored["label_from"]) == (str(one), "class 5", "given")
    critic = Critic.load(critic_file(CONDITIONAL), device="cpu")
    assert scored["realness"] == pytest.approx(float(critic.score(one, 5)[0]), abs=1e-6)
    assert [bad["path"] for bad in told["bad"]] == [str(cut)]
    assert sum(told["histogram"]) == 1


def test_deep_pictures_that_are_given_together_have_one_range(
    run: Run, critic_file: Models, tmp_path: Path
) -> None:
    critic = Critic.load(critic_file(UNCONDITIONAL), device="cpu")
    plain = random_pictures(UNCONDITIONAL, 3)
    plain[0, 0, 0] = 255
    plain[1] //= 8  # dark, but of the same range
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, picture in zip(paths, plain, strict=True):
        path.write_bytes(png((picture * (4095 / 255)).round().astype(np.uint16)))
    expected = critic(plain)
    assert np.array_equal(critic.score(paths), expected)
    assert np.array_equal(critic.score(paths, value_range=(0, 4095)), expected)
    assert np.array_equal(critic.score(paths[1], value_range="0:4095"), expected[1:2])
    assert not np.array_equal(critic.score(paths[1]), expected[1:2])  # alone, its own range
    with pytest.raises(OptionError, match="the value range is '5'"):
        critic.score(paths, value_range="5")
    code, out, err = run("score", *paths, "--critic", critic_file(UNCONDITIONAL), "--json")
    assert code == 0
    assert "values 0:4095 taken as black and white" in err
    assert [item["realness"] for item in json.loads(out)["pictures"]] == pytest.approx(expected, abs=1e-6)
    code, out, _ = run("score", paths[1], "--critic", critic_file(UNCONDITIONAL), "--value-range", "0:4095")
    assert code == 0
    assert out.startswith(f"{expected[1]:.3f}")


def test_a_critic_keeps_the_range_of_its_training(critic_file: Models, tmp_path: Path) -> None:
    model = onnx.load(critic_file(UNCONDITIONAL))
    (text,) = (prop for prop in model.metadata_props if prop.key == KEY)
    text.value = json.dumps({**json.loads(text.value), "recipe": {"data": {"value_range": "0:4095"}}})
    onnx.save(model, tmp_path / "critic.onnx")
    critic = Critic.load(tmp_path / "critic.onnx", device="cpu")
    dark = random_pictures(UNCONDITIONAL, 1)[0] // 8
    path = tmp_path / "dark.png"
    path.write_bytes(png((dark * (4095 / 255)).round().astype(np.uint16)))
    assert np.array_equal(critic.prepare(path), dark)
    assert np.array_equal(critic.score(path), critic(dark[None]))
    assert critic.prepare(path, "0:65535").max() < dark.max() / 8


def test_a_jpeg_without_its_end_is_scored_with_a_note(run: Run, critic_file: Models, tmp_path: Path) -> None:
    path = tmp_path / "short.jpg"
    Image.fromarray(random_pictures(UNCONDITIONAL, 1)[0]).save(path)
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = run("score", path, "--critic", critic_file(UNCONDITIONAL))
    assert code == 0
    assert str(path) in out
    assert "end is missing, but show whole" in err


def test_good_files_alone_end_well_without_a_histogram(run: Run, critic_file: Models, folder: Path) -> None:
    code, out, err = run("score", folder / "other" / "0.png", "--critic", critic_file(UNCONDITIONAL))
    assert (code, err) == (0, "")
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["x.png"], 2, "--critic"),
        (["--critic", "CRITIC"], 2, "PICTURES"),
        (["gone.png", "--critic", "CRITIC"], 1, "gone.png is not there"),
        (["empty", "--critic", "CRITIC"], 1, "empty holds no pictures"),
        (["x.png", "--critic", "gone.onnx"], 1, "no model file 'gone.onnx'"),
        (["x.png", "--critic", "CRITIC", "--label", "cat"], 1, "'cat' is no class"),
        (["x.png", "--critic", "CRITIC", "--to", "chart.jpg"], 1, ".png or .svg"),
    ],
)
def test_bad_input_gets_one_line(
    run: Run, critic_file: Models, arguments: list[str], code: int, said: str
) -> None:
    Path("empty").mkdir()
    given = [str(critic_file(CONDITIONAL)) if item == "CRITIC" else item for item in arguments]
    got, out, err = run("score", *given)
    assert (got, out) == (code, "")
    assert said in err
    if code == 1:
        assert err.count("\n") == 1


@pytest.mark.parametrize("label", [None, 3])
def test_the_most_convincing_are_written_and_can_be_verified(
    run: Run, model_file: Models, critic_file: Models, label: int | None
) -> None:
    model, critic = model_file(CONDITIONAL), critic_file(CONDITIONAL)
    chosen = () if label is None else ("--label", label)
    more = ("--best-of", 3, "--critic", critic, "--model", model, "--device", "cpu", *chosen)
    assert run("sample", 66, "--seed", 7, "--to", "best", *more)[0] == 0
    expected = Generator.load(model, device="cpu").sample(
        66, label=label, seed=7, best_of=3, critic=Critic.load(critic, device="cpu")
    )
    files = sorted(Path("best").iterdir())
    assert [file.name for file in files] == [f"seed{seed:06}.png" for seed in range(7, 73)]
    for index in (0, 1, 64, 65):
        with Image.open(files[index]) as image:
            assert np.array_equal(np.asarray(image), expected[index][..., 0])
    code, out, _ = run("verify", *files[::13], "--model", model)
    assert (code, out.count("same: ")) == (0, len(files[::13])), out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--best-of", 3), "go together"),
        (("--critic", "none.onnx"), "go together"),
        (("--best-of", 3, "--critic", "none.onnx"), "none.onnx"),
        (("--best-of", 0, "--critic", None), "best_of was 0"),
        (("--best-of", 2, "--critic", None, "--label", "3:1,4:1"), "mixes"),
    ],
)
def test_what_cannot_be_chosen_is_told_in_a_line(
    run: Run, model_file: Models, critic_file: Models, given: tuple[object, ...], said: str
) -> None:
    critic = critic_file(CONDITIONAL)
    more = [critic if each is None else each for each in given]
    code, _, err = run("sample", 5, "--model", model_file(CONDITIONAL), "--to", "out", *more)
    assert (code, err.count("\n")) == (1, 1)
    assert said in err
    assert not Path("out").exists()


def test_pictures_are_scored_under_other_conditions(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "number", new_kinds.Number)
    picture = tmp_path / "cat" / "0.png"
    picture.parent.mkdir()
    Image.new("L", (6, 6), 100).save(picture)

    def realness(critic: Path, *options: str) -> float:
        code, out, _ = run("score", picture, "--critic", critic, "--json", *options)
        assert code == 0
        return float(json.loads(out)["pictures"][0]["realness"])

    plain = new_kinds.write_critic(tmp_path / "plain.onnx")
    assert realness(plain, "--condition", "age=25") == pytest.approx(0.25)
    classes = new_kinds.write_critic(tmp_path / "classes.onnx", ("cow", "cat"))
    assert realness(classes, "--condition", "age=25") == pytest.approx(0.5)  # as its folder says
    assert realness(classes, "--condition", "age=25", "--condition", "label=cow") == pytest.approx(0.25)
    odds = (np.log(0.25 / 0.75) + np.log(0.5 / 0.5)) / 2
    with Critic.load(classes) as critic:
        assert critic.score(picture, age=25) == pytest.approx([1 / (1 + np.exp(-odds))], abs=1e-5)
    code, _, err = run("score", picture, "--critic", plain)
    assert (code, err.count("\n")) == (1, 1)
    assert "age" in err
    code, _, err = run("score", picture, "--critic", plain, "--condition", "size=3")
    assert (code, "no such condition" in err) == (1, True)
