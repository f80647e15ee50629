"""Inputs and outputs in the forms that other tools write: read right, or refused with what would help."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_infer import GanError, Generator, ModelError, OptionError
from tests import foreign_models as foreign
from tests.conftest import CommandLine
from tests.foreign_models import BOOL, DOUBLE, FLOAT, HALF, INT32, INT64, Made

Z = ("n", 8)
LABELS = np.array([4, 0, 2])


def to_pixels(values: np.ndarray, *, last: bool = False) -> np.ndarray:
    """Return float values from -1 to 1 as the SDK gives them, of [n, c, h, w] or [n, h, w, c]."""
    values = values if last else values.transpose(0, 2, 3, 1)
    return np.rint((np.clip(values.astype(np.float32), -1, 1) + 1) * np.float32(127.5))


def assert_alike(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert got.std() > 10


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "feed"),
    [
        (INT64, ("n",), 0, LABELS),
        (INT32, ("n", 1), 0, LABELS),
        (FLOAT, ("n",), 0, LABELS),
        (FLOAT, ("n", 1), 0, LABELS),
        (INT64, ("n", 5), 5, np.eye(5)[LABELS]),
        (INT32, ("n", 5, 1, 1), 5, np.eye(5)[LABELS]),
        (FLOAT, ("n", 5), 5, np.eye(5)[LABELS]),
        (FLOAT, ("n", 5, 1, 1), 5, np.eye(5)[LABELS]),
        (HALF, ("n", 5), 5, np.eye(5)[LABELS]),
        (BOOL, ("n", 5), 5, np.eye(5)[LABELS]),
    ],
)
def test_a_label_in_any_form(
    tmp_path: Path, kind: int, shape: tuple[Any, ...], classes: int, feed: np.ndarray
) -> None:
    tables = {} if classes else {"label": 5}
    made = Made({"z": (FLOAT, Z), "label": (kind, shape)}, tables)
    given = {"label_input": "label"} if kind == BOOL else {}
    generator = Generator.load(foreign.write(tmp_path / "x.onnx", made), device="cpu", **given)
    assert generator.class_names == ("0", "1", "2", "3", "4")
    wanted = foreign.expected(made, z=generator.latents(range(3)), label=feed)
    assert_alike(generator.sample(3, label=LABELS.tolist(), seed=0), to_pixels(wanted))
    assert generator.mixes_labels == (classes > 0 and kind in (FLOAT, HALF))


@pytest.mark.parametrize(
    "shape", [("n", 8), ("n", 8, 1, 1), ("n", 1, 8), ("n", 1, 1, 8), (1, 8), (1, 8, 1, 1)]
)
@pytest.mark.parametrize("kind", [FLOAT, HALF, DOUBLE])
def test_a_latent_in_any_form(tmp_path: Path, kind: int, shape: tuple[Any, ...]) -> None:
    made = Made({"z": (kind, shape)}, kind=kind)
    generator = Generator.load(foreign.write(tmp_path / "x.onnx", made), device="cpu")
    wanted = foreign.expected(made, z=generator.latents(range(3)))
    assert generator.latent_dim == 8
    assert_alike(generator.sample(3, seed=0), to_pixels(wanted))


@pytest.mark.parametrize(
    ("output", "options", "picture", "said"),
    [
        ((784,), {}, (28, 28, 1), "taken for 28x28 grey, a guess"),
        ((1, 784), {}, (28, 28, 1), "taken for 28x28 grey, a guess"),
        ((784, 1, 1), {}, (28, 28, 1), "taken for 28x28 grey, a guess"),
        ((192,), {}, (3, 8, 8), "taken for 8x8 with 3 channels first, a guess"),
        ((3, 64), {}, (3, 8, 8), "taken for 8x8 with 3 channels first, a guess"),
        ((192,), {"image_shape": (8, 8, 3)}, (8, 8, 3), "channels last"),
        ((90,), {"image_shape": (3, 6, 5)}, (3, 6, 5), "channels first"),
        ((90,), {"image_shape": [6, 5, 3]}, (6, 5, 3), "channels last"),
        ((90,), {"image_shape": (9, 10)}, (9, 10, 1), "grey"),
        ((9, 10), {}, (9, 10, 1), "grey"),
        ((3, 6, 5), {"image_shape": (6, 5, 3)}, (3, 6, 5), "channels first"),
        ((6, 5, 3), {"image_shape": (6, 5, 3)}, (6, 5, 3), "channels last"),
        ((4, 4, 3), {}, (4, 4, 3), "channels last"),
        ((3, 4, 4), {}, (3, 4, 4), "channels first"),
        ((1, 3, 6, 5), {}, (3, 6, 5), "channels first"),
        ((1, 7, 6), {}, (1, 7, 6), "grey"),
    ],
)
def test_an_output_in_any_form(
    tmp_path: Path, output: tuple[int, ...], options: dict[str, Any], picture: tuple[int, ...], said: str
) -> None:
    made = Made({"z": (FLOAT, Z)}, output=output)
    generator = Generator.load(foreign.write(tmp_path / "x.onnx", made), device="cpu", **options)
    values = foreign.expected(made, z=generator.latents(range(2))).reshape(2, *picture)
    assert_alike(generator.sample(2, seed=0), to_pixels(values, last=picture[2] in (1, 3)))
    assert said in generator.metadata.preparation


@pytest.mark.parametrize(
    ("kind", "shape", "value"),
    [
        (FLOAT, (), 0.7),
        (FLOAT, (1,), 0.7),
        (FLOAT, ("n",), 0.7),
        (FLOAT, ("n", 1), [0.7]),
        (FLOAT, ("n", 3), 0.7),
        (FLOAT, ("n", 3), [0.1, 0.5, 2]),
        (FLOAT, (1, 3), [0.1, 0.5, 2]),
        (DOUBLE, (), 0.7),
        (HALF, (), np.float32(0.7)),
        (INT64, (), 3),
        (INT32, (1,), 3.0),
        (BOOL, (), True),
        (BOOL, ("n", 1), False),
    ],
)
def test_inputs_that_stay_constant(tmp_path: Path, kind: int, shape: tuple[Any, ...], value: Any) -> None:
    made = Made({"z": (FLOAT, Z), "psi": (kind, shape)})
    path = foreign.write(tmp_path / "x.onnx", made)
    with pytest.raises(ModelError, match=r"--set psi=VALUE|--set NAME=VALUE"):
        Generator.load(path, device="cpu", latent_input="z")
    generator = Generator.load(path, device="cpu", set_inputs={"psi": value})
    sides = (3, *shape[1:]) if shape[:1] == ("n",) else shape
    wanted = foreign.expected(made, z=generator.latents(range(3)), psi=np.broadcast_to(value, sides))
    pictures = generator.sample(3, seed=0)
    assert_alike(pictures, to_pixels(wanted))
    again = pickle.loads(pickle.dumps(generator))
    assert np.array_equal(again.sample(1, seed=2)[0], pictures[2])


def test_an_input_without_columns_needs_no_value(tmp_path: Path) -> None:
    made = Made({"z": (FLOAT, Z), "c": (FLOAT, ("n", 0)), "psi": (FLOAT, ())})
    path = foreign.write(tmp_path / "x.onnx", made)
    generator = Generator.load(path, device="cpu", set_inputs={"psi": 0.5})
    assert (generator.latent_dim, generator.class_names) == (8, ())
    assert "'c' left empty, having no columns; 'psi' always 0.5" in generator.metadata.preparation


def test_of_several_outputs_the_picture_is_found_or_named(tmp_path: Path) -> None:
    made = Made({"z": (FLOAT, Z)}, others=("features", "logits"))
    path = foreign.write(tmp_path / "x.onnx", made)
    assert Generator.load(path, device="cpu").image_shape == (6, 5, 3)
    rows = Made({"z": (FLOAT, Z)}, output=(784,), others=("features",))
    path = foreign.write(tmp_path / "y.onnx", rows)
    assert Generator.load(path, device="cpu").image_shape == (28, 28, 1)
    assert Generator.load(path, device="cpu", output="features").image_shape == (28, 28, 1)


REFUSED: list[tuple[Made, dict[str, Any], type[GanError], str]] = [
    (Made({"picture in": (FLOAT, ("n", 3, 16, 16))}), {}, ModelError, "give a generator that takes latents"),
    (Made({"z": (FLOAT, Z), "a": (FLOAT, ("n", 3, 6, 6))}), {}, ModelError, "takes a picture"),
    (Made({"z": (FLOAT, Z), "noise_0": (FLOAT, (1, 1, 4, 4))}), {}, ModelError, "--set noise_0=VALUE"),
    (Made({"z\n\x1b[31m": (FLOAT, Z)}, output=(90,)), {}, ModelError, "inputs 'z\\n\\x1b[31m' float [n, 8]"),
    (Made({"w": (FLOAT, ("n", 6, 16))}), {}, ModelError, "export mapping and synthesis together"),
    (Made({"z": (FLOAT, (8,))}), {}, ModelError, "export it with a batch as the first side"),
    (Made({"y": (INT64, ("n",))}, {"y": 3}), {}, ModelError, "give a generator that takes latents"),
    (Made({"z": (FLOAT, Z)}, output=(90,)), {}, ModelError, "--image-shape 28x28x1"),
    (Made({"z": (FLOAT, Z)}, output=(5, 6, 5)), {}, ModelError, "--image-shape"),
    (
        Made({"z": (FLOAT, Z)}, output=(90,), others=("more",)),
        {"output": "picture", "image_shape": (6, 6, 3)},
        OptionError,
        "90 values a picture",
    ),
    (Made({"z": (FLOAT, Z), "y": (INT64, ("n",))}), {}, ModelError, "--classes cat,dog,owl"),
    (Made({"z": (FLOAT, Z), "s": (FLOAT, ())}), {"set_inputs": {"t": 1}}, OptionError, "set_inputs was 't'"),
    (Made({"z": (FLOAT, Z), "s": (FLOAT, ())}), {"set_inputs": {"s": [1, 2]}}, OptionError, "give 1 or 1"),
    (Made({"z": (FLOAT, Z), "s": (FLOAT, ())}), {"set_inputs": {"s": "much"}}, OptionError, "give a number"),
    (Made({"z": (FLOAT, Z), "s": (FLOAT, ())}), {"set_inputs": {"s": np.nan}}, OptionError, "finite"),
    (Made({"z": (FLOAT, Z), "s": (HALF, ())}), {"set_inputs": {"s": 1e9}}, OptionError, "smaller numbers"),
    (Made({"z": (FLOAT, Z), "s": (INT64, ())}), {"set_inputs": {"s": 0.5}}, OptionError, "whole numbers"),
    (Made({"z": (FLOAT, Z), "s": (BOOL, ())}), {"set_inputs": {"s": 2}}, OptionError, "true or false"),
    (Made({"z": (FLOAT, Z)}), {"set_inputs": "z=1"}, OptionError, "set_inputs was 'z=1'"),
    (Made({"z": (FLOAT, Z)}), {"set_inputs": {"z": 0}}, ModelError, "none of its inputs takes a latent"),
    (Made({"z": (FLOAT, Z)}), {"image_shape": "28x28"}, OptionError, "image_shape was 28x28"),
    (Made({"z": (FLOAT, Z)}), {"image_shape": (28, 28, 5)}, OptionError, "image_shape was"),
    (Made({"z": (FLOAT, Z)}), {"image_shape": (0, 90)}, OptionError, "image_shape was"),
]


@pytest.mark.parametrize(("made", "options", "error", "said"), REFUSED)
def test_a_refusal_says_what_would_make_it_load(
    tmp_path: Path, made: Made, options: dict[str, Any], error: type[GanError], said: str
) -> None:
    path = foreign.write(tmp_path / "x.onnx", made)
    with pytest.raises(error) as raised:
        Generator.load(path, device="cpu", **options)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_commands_set_inputs_and_shapes(command_line: CommandLine, tmp_path: Path) -> None:
    from gan_infer import cli

    run = command_line("gan-infer", cli.main)
    made = Made({"z": (FLOAT, Z), "psi": (FLOAT, ()), "on": (BOOL, ())}, output=(192,))
    path = foreign.write(tmp_path / "x.onnx", made)
    told = ("--set", "psi=0.5", "--set", "on=true", "--image-shape", "8x8x3")
    assert run("sample", 2, "--model", path, *told, "--seed", 0, "--to", "drawn")[0] == 0
    generator = Generator.load(path, device="cpu", set_inputs={"psi": 0.5, "on": True}, image_shape=(8, 8, 3))
    from PIL import Image

    with Image.open("drawn/seed000001.png") as image:
        assert np.array_equal(np.asarray(image), generator.sample(1, seed=1)[0])
    for wrong in (("--set", "psi"), ("--set", "psi=much"), ("--image-shape", "8by8"), ("--set", "=1")):
        code, _, err = run("info", "--model", path, *wrong)
        assert (code, err.count("\n")) == (1, 1)
        assert wrong[0] in err
