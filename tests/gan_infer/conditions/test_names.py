"""Which class a label names, by one rule in Python and on the command line."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer import Generator, LabelError, cli
from gan_infer.conditions.labels import ClassReader
from gan_infer.modelfile.metadata import KEY
from gan_infer.provenance.record import read
from tests.conftest import CONDITIONAL, CommandLine, Kind

DIGITS = tuple("0123456789")
PADDED = tuple(f"{number:03}" for number in range(1, 11))
FROM_ONE = ("1", "2", "3", "4", "5")


def classes(*names: str) -> ClassReader:
    return ClassReader(names, "toy", mixes=True)


@pytest.mark.parametrize(
    ("names", "label", "index"),
    [
        (DIGITS, 4, 4),
        (DIGITS, "4", 4),
        (DIGITS, "04", 4),
        (DIGITS, "index:4", 4),
        (DIGITS, "name:4", 4),
        (DIGITS, np.int64(9), 9),
        (DIGITS, np.uint8(9), 9),
        (DIGITS, np.array(9), 9),
        (DIGITS, np.array("9"), 9),
        (DIGITS, np.str_("9"), 9),
        (FROM_ONE, "1", 0),
        (FROM_ONE, 0, 0),
        (FROM_ONE, "0", 0),
        (FROM_ONE, "index:1", 1),
        (FROM_ONE, "name:1", 0),
        (FROM_ONE, "name:01", 0),
        (PADDED, "007", 6),
        (PADDED, "name:7", 6),
        (PADDED, "name:007", 6),
        (PADDED, "index:7", 7),
        (PADDED, "010", 9),
        (("index:1", "b", "c"), "index:1", 0),
        (("index:1", "b", "c"), "index:01", 1),
        (("name:4", "4", "x"), "name:4", 0),
        (("name:4", "4", "x"), "4", 1),
        (("a:0.5", "a", "b"), "a:0.5", 0),
        (("a:0.5", "a", "b"), "name:a:0.5", 0),
        (("4:0.7", "4"), "name:4:0.7", 0),
        (("a, b", "a", "b"), "a, b", 0),
        (("Cat", "cat", "CAT"), "cat", 1),
        (("caf\u00e9", "b"), "cafe\u0301", 0),
        (("caf\u00e9", "cafe\u0301"), "cafe\u0301", 1),
        (("caf\u00e9", "b"), "name:cafe\u0301", 0),
        (("x=1", " y", "y"), " y", 1),
        (("\u0663", "a", "b", "c"), "\u0663", 0),
    ],
)
def test_a_label_names_one_class(names: tuple[str, ...], label: Any, index: int) -> None:
    assert classes(*names).index(label) == index
    assert classes(*names).one(label) == index
    assert classes(*names).each([label, label], 2).tolist() == [index, index]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("names", "label", "ways"),
    [
        (PADDED, 7, "'008'.*'007' .index 6..*'index:7' or 'name:007'"),
        (PADDED, "7", "'008'.*'007' .index 6..*'index:7' or 'name:007'"),
        (PADDED, 10, "no class .0 to 9..*'010' .index 9..*write 'name:010'"),
        (PADDED, "10", "write 'name:010'"),
        (FROM_ONE, 1, "'2'.*'1' .index 0..*'index:1' or 'name:1'"),
        (FROM_ONE, np.int32(1), "'index:1' or 'name:1'"),
        (FROM_ONE, "01", "'index:1' or 'name:1'"),
        (("a", "b", "1.0"), 1, "'index:1' or 'name:1.0'"),
        (("a", "b", "1e0"), "1", "'index:1' or 'name:1e0'"),
        (("a", "b", "\u0661"), 1, "'index:1' or 'name:\u0661'"),
        (("a", "b", "\uff11"), 1, "'index:1' or 'name:\uff11'"),
        (("-1", "b", "c"), -1, "write 'name:-1'"),
        (("1e3", "b"), 1000, "write 'name:1e3'"),
    ],
)
def test_a_number_that_could_name_another_class_is_refused_with_both_readings(
    names: tuple[str, ...], label: Any, ways: str
) -> None:
    toy = classes(*names)
    for ask in (lambda: toy.index(label), lambda: toy.one({label: 1.0}), lambda: toy.each([label], 1)):
        with pytest.raises(LabelError, match=f"could be an index or a name.*{ways}"):
            ask()


@given(st.lists(st.text("017.e-+ :,=\u0661a", min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
def test_every_class_is_reached_by_its_name_and_by_its_index(names: list[str]) -> None:
    toy = classes(*names)
    for index, name in enumerate(names):
        assert toy.one(name) == index
        assert toy.one({name: 2}) == index
        marked = f"index:{index:02}"
        assert marked in names or toy.one(marked) == index


class Word(str):
    pass


class Pet(enum.StrEnum):
    CAT = "cat"


def test_texts_of_other_types_are_texts() -> None:
    assert classes("cat", "dog").index(Word("dog")) == 1
    assert classes("cat", "dog").index(Pet.CAT) == 0


@pytest.mark.parametrize(
    "label",
    [
        *(True, np.bool_(True), 1.0, np.float64(1), np.nan, b"1", (), [], set(), object(), -1, 2**64),
        *(
            "",
            " ",
            "1.0",
            "+1",
            "-1",
            "\u0663",
            "index:",
            "index:10",
            "index:-1",
            "index:x",
            "name:",
            "name:x",
        ),
        *("1 ", "\udcff", "x" * 100_000, [None], ["4", None], [[4]], np.array([[4]]), np.array([4.0])),
    ],
)
def test_what_names_no_class_is_one_label_error(label: Any) -> None:
    with pytest.raises(LabelError) as caught:
        ClassReader(DIGITS, "toy", mixes=True).each(label, 1)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_a_number_of_more_digits_than_python_writes_is_one_label_error() -> None:
    with pytest.raises(LabelError, match="of type int is no class"):
        classes(*DIGITS).index(10**5000)


def test_a_slip_of_the_keyboard_is_told_what_was_meant() -> None:
    toy = classes("airplane", "automobile", "T-shirt/top")
    for typed, meant in (
        ("automobil", "automobile"),
        ("AIRPLANE", "airplane"),
        ("t-shirt/top", "T-shirt/top"),
    ):
        with pytest.raises(LabelError, match=f"did you mean '{meant}'"):
            toy.index(typed)


# Mixes.


@pytest.mark.parametrize(
    ("names", "mix", "weights"),
    [
        (DIGITS[:3], "0:1,2:3", [0.25, 0, 0.75]),
        (DIGITS[:3], " 0 : 1 , 2 : 3 ", [0.25, 0, 0.75]),
        (DIGITS[:3], {"0": 1, 2: 3}, [0.25, 0, 0.75]),
        (DIGITS[:3], {"name:0": 1, "index:2": np.float32(3)}, [0.25, 0, 0.75]),
        (FROM_ONE[:3], "1:1,index:2:3", [0.25, 0, 0.75]),
        (FROM_ONE[:3], "name:1:1,name:3:3", [0.25, 0, 0.75]),
        (("a:b", "c", "d:1"), "a:b:1,d:1:3", [0.25, 0, 0.75]),
        (("a, b", "c", "d=e f"), "a, b:1,d=e f:3", [0.25, 0, 0.75]),
        (("a,b,c", "a", "c"), "a,b,c:1,c:3", [0.25, 0, 0.75]),
        (("a,b,c", "a", "c"), "c:3,a,b,c:1", [0.25, 0, 0.75]),
        ((" x", "x", "index"), " x:1,index:3", [0.25, 0, 0.75]),
        (("index:1", "x", "name:"), "index:1:1,name::3", [0.25, 0, 0.75]),
        (("\u0661", "1.5", "1e3"), "\u0661:1,1e3:3", [0.25, 0, 0.75]),
    ],
)
def test_mixes_are_read_by_the_same_rule(
    names: tuple[str, ...], mix: str | dict[Any, Any], weights: list[float]
) -> None:
    assert classes(*names).one(mix).tolist() == weights  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("names", "mix", "reason"),
    [
        (FROM_ONE, "01:0.5,2:0.5", "'index:1' or 'name:1'"),
        (FROM_ONE, {1: 0.5, 4: 0.5}, "'index:1' or 'name:1'"),
        (FROM_ONE, {"1": 0.5, "index:0": 0.5}, "twice"),
        (DIGITS, "4:0.5,4:0.5", "twice"),
        (DIGITS, "4:0.5,04:0.5", "twice"),
        (DIGITS, "4:0.5,", "does not parse at ''"),
        (DIGITS, "4:x", "does not parse at '4:x'"),
        (DIGITS, "4:1_0", "does not parse"),
        (DIGITS, "4:nan", "does not parse"),
        (DIGITS, ":1", "does not parse"),
        (DIGITS, "4:-1,5:1", "at least 0"),
        (DIGITS, "4:inf", "at least 0"),
        (DIGITS, "cat:1", "no class"),
        (DIGITS, "4:0", "sum to 0"),
        (DIGITS, {}, "sum to 0"),
        (DIGITS, {4: True}, "at least 0"),
        (DIGITS, {4: "1"}, "at least 0"),
        (DIGITS, {4.0: 1}, "no class"),
        (DIGITS, {None: 1}, "no class"),
        (DIGITS, "4:1," * 5000, "5,001 parts"),
        (("a", "b", "a:1,b"), "a:1,b:1", "two ways"),
    ],
)
def test_mixes_that_are_none_are_one_label_error(names: tuple[str, ...], mix: Any, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        classes(*names).one(mix)


def test_of_many_classes_with_commas_a_long_mix_is_read_in_time() -> None:
    names = [f"a,{index}" for index in range(500)]
    weights = classes(*names).one(",".join(f"{name}:1" for name in names))
    assert weights.tolist() == [np.float32(1 / 500)] * 500  # type: ignore[union-attr]


# Both faces.


@pytest.fixture
def padded(tmp_path: Path, model_file: Callable[[Kind], Path]) -> Path:
    """Return the file of a model whose classes are called 001 to 010."""
    model = onnx.load(model_file(CONDITIONAL))
    data = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {KEY: json.dumps({**data, "class_names": PADDED, "golden": []})})
    onnx.save(model, tmp_path / "padded.onnx")
    return tmp_path / "padded.onnx"


def test_python_and_the_command_line_read_labels_alike(padded: Path, command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    generator = Generator.load(padded, device="cpu")
    options = ("--model", padded, "--device", "cpu", "--seed", 3, "--to", "out")
    for typed, name in (("007", "007"), ("name:7", "007"), ("index:7", "008"), ("index:2:1", "003")):
        assert run("sample", 1, "--label", typed, *options)[0] == 0
        record = read(Path("out/seed000003.png"))
        assert record is not None
        assert record.labels == (name,)
        assert run("verify", "--model", padded, "out/seed000003.png")[0] == 0
        assert generator.provenance(3, typed).labels == (name,)
    for typed in ("7", "10"):
        code, _, told = run("sample", 1, "--label", typed, *options)
        with pytest.raises(LabelError) as caught:
            generator.sample(1, int(typed), 3)
        assert (code, told.replace(f"'{typed}'", typed, 1)) == (1, f"gan-infer: {caught.value}\n")


def test_without_a_label_and_as_raw_arrays_labels_are_indices(
    padded: Path, command_line: CommandLine
) -> None:
    generator = Generator.load(padded, device="cpu")
    assert np.array_equal(generator(generator.latents([7]), [7]), generator.sample(1, "index:7", 7))
    assert np.array_equal(generator.sample(1, seed=7), generator.sample(1, "008", 7))
    run = command_line("gan-infer", cli.main)
    assert run("sample", 3, "--model", padded, "--seed", 5, "--to", "out")[0] == 0
    assert run("verify", "--model", padded, *sorted(Path("out").iterdir()))[0] == 0


def test_the_class_that_a_latents_file_names_is_an_index(padded: Path, command_line: CommandLine) -> None:
    model = onnx.load(padded)
    data = json.loads(model.metadata_props[0].value)
    data["directions"] = [{"name": "more", "vector": [0.125] * 64}]
    onnx.helper.set_model_props(model, {KEY: json.dumps(data)})
    onnx.save(model, padded)
    run = command_line("gan-infer", cli.main)
    options = ("--model", padded, "--latent", "z.json", "--steps", 2, "--scale", 1)
    Path("z.json").write_text(json.dumps({"latent": [0.5] * 64, "label_index": 7}))
    assert run("edit", *options, "--to", "index.png")[0] == 0
    assert run("edit", *options, "--to", "named.png", "--label", "008")[0] == 0
    assert Path("index.png").read_bytes() == Path("named.png").read_bytes()
    Path("z.json").write_text(json.dumps({"latent": [0.5] * 64, "label_index": -1}))
    code, _, told = run("edit", *options)
    assert (code, "'index:-1' is no class" in told) == (1, True)


@pytest.mark.parametrize("text", ["a:" * 3000, "a:x" * 3000, "4:1," * 900 + "5:1", "4:1," * 2000])
def test_a_long_mix_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(LabelError) as refused:
        classes(*DIGITS).each(text, 1)
    assert len(str(refused.value)) < 400
