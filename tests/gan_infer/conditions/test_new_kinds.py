"""A condition kind that is added by one line: the packages speak of conditions, and name none."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_infer import Generator, LabelError, ModelError, OptionError, cli
from gan_infer.apps.verification import verify
from gan_infer.conditions.base import KINDS
from gan_infer.conditions.spec import Input
from gan_infer.latent.directions import Direction
from gan_infer.modelfile.metadata import Golden
from gan_infer.outputs import image
from gan_infer.provenance.record import Provenance, read
from tests import new_kinds
from tests.conftest import CommandLine


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, "number", new_kinds.Number)
    monkeypatch.setitem(KINDS, "numbers", new_kinds.Numbers)
    return new_kinds.write_pictures(tmp_path / "new.onnx", new_kinds.AGE)


@pytest.fixture
def generator(path: Path) -> Generator:
    return Generator.load(path, device="cpu")


def test_pictures_depend_on_the_condition(generator: Generator) -> None:
    young, old = generator.sample(3, age=6, seed=0), generator.sample(3, age=60, seed=0)
    assert (old.astype(int) - young).mean() > 30
    assert np.array_equal(generator.sample(3, seed=0, age=[6, 60, 6])[1], old[1])
    assert np.array_equal(generator.sample(3, seed=0, age="60"), old)
    assert np.array_equal(generator(generator.latents([0, 1, 2]), age=[60, 60, 60]), old)
    assert np.array_equal(np.concatenate(list(generator.iter_batches(3, seed=0, batch_size=2, age=60))), old)
    assert np.array_equal(generator.edit([0, 1, 2], age=60), old)
    assert np.array_equal(generator.grid(seeds=[1], age=60)[2:-2, 2:-2], old[1])


def test_a_seed_chooses_where_nothing_is_given(generator: Generator) -> None:
    assert np.array_equal(generator.sample(2, seed=40), generator.sample(2, seed=40, age=[40, 41]))
    assert np.array_equal(generator.sample(2, seed=40, age=None), generator.sample(2, seed=40))
    many = generator.sample(150, seed=0)
    assert np.array_equal(many[100], generator.sample(1, seed=100)[0])
    with pytest.raises(OptionError, match="a latent chooses no age; give one"):
        generator.edit(generator.latents([1]))


def test_the_way_between_two_seeds_passes_what_lies_between(generator: Generator) -> None:
    frames = generator.interpolate(3, 3, 5, age=[20, 60])
    assert np.array_equal(frames[2], generator.sample(1, seed=3, age=40)[0])
    assert np.array_equal(generator.loop([3, 3], 4, age=[20, 60])[1], frames[2])
    assert np.array_equal(generator.interpolate(20, 60, 3)[0], generator.sample(1, seed=20)[0])


def test_a_record_names_the_condition_and_is_verified(generator: Generator, tmp_path: Path) -> None:
    pictures, record = (
        generator.sample(2, seed=5, age=[30, 62.5]),
        generator.provenance([5, 6], age=[30, 62.5]),
    )
    assert record.conditions == {"age": (30.0, 62.5)}
    assert Provenance.from_json(record.to_json()) == record
    assert json.loads(generator.provenance([5, 6], age=30).to_json())["conditions"] == {"age": [30.0]}
    for index, picture in enumerate(pictures):
        image.save(picture, tmp_path / f"{index}.png", record.of_one(index, 5 + index))
        assert verify(tmp_path / f"{index}.png", generator).result == "same"
    image.save(pictures[0], tmp_path / "0.png", generator.provenance(5, age=80))
    assert verify(tmp_path / "0.png", generator).result == "different"
    other = dataclasses.replace(record.of_one(0, 5), conditions={"height": (1,)})
    image.save(pictures[0], tmp_path / "0.png", other)
    assert verify(tmp_path / "0.png", generator).result == "cannot be drawn anew"


def test_the_command_line_takes_it(generator: Generator, path: Path, command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    model = ("--model", path, "--device", "cpu")
    code, _, err = run("sample", 2, *model, "--condition", "age=60", "--seed", 0, "--to", "out")
    assert (code, err) == (0, "")
    record = read(Path("out/seed000001.png"))
    assert record is not None
    assert (record.seeds, record.conditions) == ((1,), {"age": (60.0,)})
    for command in (
        ("grid", "--seeds", "1,2"),
        ("edit", "--steps", 2),
        ("walk", "--seeds", "1,2", "--sheet", 4),
    ):
        to = f"{command[0]}.png"
        code, _, err = run(*command, *model, "--condition", "age=25", "--to", to)
        if command[0] == "edit":
            assert (code, "has no direction" in err) == (1, True)
            continue
        assert (code, err) == (0, "")
        assert verify(Path(to), generator).result == "same"
    assert run("verify", "grid.png", *model)[0] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("age", "--condition was 'age'; write it like age=60"),
        ("age=old", "age was 'old'; give years from 0 to 100"),
        ("age=101", "age was '101'; give years from 0 to 100"),
        ("height=3", "'height' was given, and model 'new' takes no such condition; give one of: age"),
    ],
)
def test_a_wrong_value_is_one_line(path: Path, command_line: CommandLine, given: str, said: str) -> None:
    run = command_line("gan-infer", cli.main)
    code, out, err = run("grid", "--model", path, "--condition", given, "--seeds", "1", "--to", "x.png")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize("name", ["psi", "self", "n", "seed", "amounts", "batch_size"])
@pytest.mark.parametrize("command", [("sample", 1), ("grid",), ("edit",)])
def test_a_condition_of_the_name_of_an_argument_is_refused(
    path: Path, command_line: CommandLine, command: tuple[object, ...], name: str
) -> None:
    run = command_line("gan-infer", cli.main)
    code, _, err = run(*command, "--model", path, "--condition", f"{name}=1", "--to", "x.png")
    assert code == 1
    assert f"{name!r} was given, and model 'new' takes no such condition; give one of: age" in err


def test_other_conditions_than_there_are_refused_in_python_too(generator: Generator) -> None:
    calls: list[Any] = [
        lambda **given: generator.sample(1, **given),
        lambda **given: generator.grid(**given),
        lambda **given: generator.loop([1], 2, **given),
        lambda **given: generator(generator.latents(1), age=[3], **given),
    ]
    for call in calls:
        with pytest.raises(OptionError, match="takes no such condition; give one of: age"):
            call(height=3)
        with pytest.raises(LabelError, match="unconditional"):
            call(**{"labels" if call is calls[3] else "label": 3})
    with pytest.raises(OptionError, match="has no direction 'height'"):
        generator.edit(1, height=3)


def test_a_golden_picture_may_name_conditions(generator: Generator, path: Path, tmp_path: Path) -> None:
    import hashlib

    from gan_infer.apps import checking

    digest = hashlib.sha256(generator.sample(1, seed=9, age=60).tobytes()).hexdigest()
    for age, result in ((60, "same"), (61, "untold")):
        golden = Golden(9, None, digest, conditions={"age": age})
        says = dataclasses.replace(generator.metadata, golden=(golden,))
        new_kinds.write_pictures(tmp_path / "golden.onnx", new_kinds.AGE, says)
        with Generator.load(tmp_path / "golden.onnx", device="cpu") as opened:
            assert {each.result for each in checking.compare(opened)} == {result}
    says = dataclasses.replace(generator.metadata, golden=(Golden(9, None, digest, conditions={"x": 1}),))
    new_kinds.write_pictures(tmp_path / "golden.onnx", new_kinds.AGE, says)
    with pytest.raises(ModelError, match="golden item of the file cannot be fed: 'x' was given"):
        Generator.load(tmp_path / "golden.onnx", device="cpu")


def test_it_is_pickled_as_any_generator(generator: Generator) -> None:
    again = pickle.loads(pickle.dumps(generator))
    assert np.array_equal(again.sample(2, seed=1, age=9), generator.sample(2, seed=1, age=9))


def test_a_free_side_is_held_to_its_bounds(generator: Generator, tmp_path: Path) -> None:
    path = new_kinds.write_pictures(tmp_path / "field.onnx", new_kinds.FIELD)
    field = Generator.load(path, device="cpu")
    assert field.sample(2, field=[60.0] * 4, seed=0).shape == (2, 6, 6, 1)
    assert np.array_equal(
        field.sample(1, field=[60.0] * 8, seed=0), field.sample(1, field=[60.0] * 2, seed=0)
    )
    for wrong in ([1.0] * 3, [1.0] * 10, []):
        with pytest.raises(OptionError, match="expected 2 to 8 in steps of 2"):
            field.sample(1, field=wrong)
        with pytest.raises(OptionError, match="expected 2 to 8 in steps of 2"):
            field(field.latents(0), field=[wrong])
    with pytest.raises(OptionError, match="type float32 was given; expected float32"):
        field.sample(1, field=[[1.0, 2.0]])


def test_what_a_condition_makes_itself_is_held_to_the_bounds_as_well(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_kinds.write_pictures(tmp_path / "field.onnx", new_kinds.FIELD)
    field = Generator.load(path, device="cpu")
    monkeypatch.setattr(
        new_kinds.Numbers, "default", lambda _, seeds: {"field": np.zeros((len(seeds), 10), np.float32)}
    )
    with pytest.raises(OptionError, match="side of 10; expected 2 to 8 in steps of 2"):
        field.sample(1)
    monkeypatch.setattr(new_kinds.Numbers, "blend", lambda *_: {"field": np.zeros((3, 10), np.float32)})
    with pytest.raises(OptionError, match="side of 10; expected 2 to 8 in steps of 2"):
        field.interpolate(1, 2, 3, field=[1.0, 2.0])
    for count in (0, 1, 3):
        with pytest.raises(OptionError, match=f"field of {count} values was given; expected 2"):
            field(field.latents([1, 2]), field=np.zeros((count, 2), np.float32))
    monkeypatch.setattr(new_kinds.Number, "default", lambda _, seeds: {"age": np.zeros(len(seeds))})
    with pytest.raises(OptionError, match=r"age of shape .* and type float64 was given; expected float32"):
        generator.sample(2)


@pytest.mark.parametrize("facts", [{}, {"low": "a", "high": 1}, {"low": None, "high": 1}])
def test_a_file_without_the_facts_of_a_kind_is_refused(path: Path, facts: dict[str, Any]) -> None:
    bare = dataclasses.replace(new_kinds.AGE, facts=facts)
    new_kinds.write_pictures(path, bare, new_kinds.metadata(inputs=(bare,)))
    with pytest.raises(
        ModelError, match="input 'age' without the facts that its kind 'number' needs"
    ) as caught:
        Generator.load(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_it_goes_together_with_classes(path: Path, tmp_path: Path) -> None:
    vectors = tuple((float(index), 0.0, 0.0, 0.0) for index in range(3))
    direction = Direction("age", (1.0, 0.0, 0.0, 0.0), class_vectors=vectors)
    says = new_kinds.metadata(class_names=("a", "b", "c"), inputs=(new_kinds.AGE,), directions=(direction,))
    new_kinds.write_pictures(path, new_kinds.AGE, says)
    both = Generator.load(path, device="cpu")
    assert both.class_names == ("a", "b", "c")
    assert np.array_equal(both.sample(1, seed=7), both.sample(1, label="b", seed=7, age=7))
    assert np.array_equal(both(both.latents(7), [1], age=[7]), both.sample(1, seed=7))
    assert both.grid(seeds=[1, 2], age=50).shape == (3 * 8 + 2, 2 * 8 + 2, 1)
    record = both.grid_provenance(seeds=[1, 2], age=50)
    assert (record.labels, record.conditions) == (("a", "a", "b", "b", "c", "c"), {"age": (50.0,) * 6})
    image.save(both.grid(seeds=[1, 2], age=50), tmp_path / "grid.png", record)
    assert verify(tmp_path / "grid.png", both).result == "same"
    frames = both.loop([7, 7], 4, label="c", age=[20, 40])
    assert np.array_equal(frames[1], both.sample(1, label="c", seed=7, age=30)[0])
    # A name that stands for a condition and a direction means the condition.
    assert np.array_equal(both.edit(7, "c", age=30)[0], frames[1])
    assert not np.array_equal(both.edit(7, "c", {"age": 2.0}, age=30)[0], frames[1])


# Kinds that are not known, and inputs that are not as their kind needs them.


def test_an_input_of_an_unknown_kind_is_refused_by_its_kind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(KINDS, "number")
    with pytest.raises(
        ModelError, match=r"'age' of kind 'number', which this ganforge does not know"
    ) as caught:
        Generator.load(path, device="cpu")
    assert "pip install --upgrade" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (Input("seed", "number", "float32"), "by which no condition can be given"),
        (Input("more", "number", "float32", facts={"of": "gone"}), "belongs to no other"),
        (Input("digit", "class", "int64"), "is no class"),
        (Input("digit", "class", "float32", facts={"class_names": ["a"]}), "is no class"),
        (Input("noise", "latent", "float32", (4,)), "one input"),
    ],
)
def test_an_input_that_is_not_as_its_kind_needs_it_is_refused(path: Path, extra: Input, said: str) -> None:
    new_kinds.write_pictures(path, new_kinds.AGE, new_kinds.metadata(inputs=(new_kinds.AGE, extra)))
    with pytest.raises(ModelError, match=said) as caught:
        Generator.load(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_file_that_takes_other_inputs_than_it_lists_is_refused(path: Path) -> None:
    for listed in ((), (dataclasses.replace(new_kinds.AGE, shape=(2,)),)):
        new_kinds.write_pictures(path, new_kinds.AGE, new_kinds.metadata(inputs=listed))
        with pytest.raises(ModelError, match="its metadata says"):
            Generator.load(path, device="cpu")
