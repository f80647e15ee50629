from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer import Generator
from gan_infer.conditions.spec import Free, Input
from gan_infer.errors import ModelError
from gan_infer.latent.directions import Direction
from gan_infer.modelfile.metadata import CriticMetadata, Golden, GoldenScore, Metadata, kind_of
from tests import hostile

GOOD = Metadata(
    name="cats",
    latent_dim=64,
    height=32,
    width=48,
    channels=3,
    class_names=("tabby", "Tür"),
    recipe={"loss": {"name": "x"}},
    images_seen=5,
    metrics=({"name": "distance", "value": 1.5},),
    golden=(Golden(3, 1, "ab"),),
    directions=(
        Direction("smile", (0.5,) * 64, 1.25, "examples"),
        Direction("slant", (0.125,) * 64, class_vectors=((0.0,) * 64, (1.0,) * 64)),
    ),
)


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(GOOD.to_json()), **changes})


def test_what_is_written_is_read_back() -> None:
    again = Metadata.from_json(GOOD.to_json())
    assert again == GOOD
    assert again.conditional
    assert again.image_shape == (32, 48, 3)


def test_unknown_keys_and_later_minor_versions_are_taken() -> None:
    assert Metadata.from_json(changed(tomorrow=[1, 2])) == GOOD
    assert Metadata.from_json(changed(format_version="1.9")).format_version == "1.9"


def test_a_newer_major_version_is_refused_with_the_way_out() -> None:
    with pytest.raises(ModelError, match="pip install --upgrade ganforge"):
        Metadata.from_json(changed(format_version="2.0"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format_version", 1),
        ("format_version", "one"),
        ("name", 3),
        ("latent_dim", 0),
        ("truncation", 0),
        ("truncation", "1"),
        ("latent_dim", True),
        ("latent_dim", 10**9),
        ("latent_dim", "64"),
        ("height", -1),
        ("width", 2.5),
        ("channels", 2),
        ("class_names", "cats"),
        ("class_names", ["a", "a"]),
        ("class_names", ["a", ""]),
        ("class_names", [1]),
        ("latent_distribution", "cauchy"),
        ("latent_algorithm", "mersenne"),
        ("recipe", []),
        ("metrics", [1]),
        ("golden", [{"seed": -1, "label": 0, "sha256": ""}]),
        ("golden", [{"seed": 1, "label": 2, "sha256": ""}]),
        ("images_seen", -5),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=field):
        Metadata.from_json(changed(**{field: value}))


@pytest.mark.parametrize("field", ["name", "latent_dim", "height", "width", "channels", "format_version"])
def test_a_missing_needed_value_is_refused_by_name(field: str) -> None:
    data = json.loads(GOOD.to_json())
    del data[field]
    with pytest.raises(ModelError, match=field):
        Metadata.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '"x"', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        Metadata.from_json(text)


def with_text(old: str, new: str) -> str:
    """Return the good text with a part of it written otherwise."""
    text = GOOD.to_json()
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_text('"latent_dim": 64', '"latent_dim": NaN'), "NaN"),
        (with_text('"latent_dim": 64', '"latent_dim": NaN, "latent_dim": 64'), "twice"),
        (with_text('"latent_dim": 64', '"latent_dim": 64, "latent_dim": 64'), "'latent_dim' twice"),
        (with_text('"latent_dim"', '"latent_d\\u0069m": 32, "latent_dim"'), "'latent_dim' twice"),
        (with_text('"value": 1.5', '"value": 1e999'), "too large"),
        (with_text('"value": 1.5', f'"value": 1{"0" * 30}'), "64 bits"),
        (with_text('"value": 1.5', f'"value": 1{"0" * 5000}'), "metadata cannot be read"),
        (with_text('"value": 1.5', '"value": 1, "value": 1'), "'value' twice"),
        (with_text('{"name": "x"}', '{"name": "x", "name": "x"}'), "'name' twice"),
        (with_text('"x"', '"\\ud800"'), "no Unicode text"),
        (with_text('"x"', '"\\ud800"').replace("\\ud800", "\ud800"), "no Unicode text"),
        (with_text('"x"', "[" * 40 + "]" * 40), "too deeply"),
        (with_text('"x"', '{"a":' * 40 + "1" + "}" * 40), "too deeply"),
        (with_text("0.125", "NaN"), "NaN"),
        (with_text("0.125", "1e400"), "too large"),
        ("\ufeff" + GOOD.to_json(), "metadata cannot be read"),
        (GOOD.to_json() + " {}", "metadata cannot be read"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(text: str, reason: str) -> None:
    for read in (Metadata.from_json, CriticMetadata.from_json, kind_of):
        with pytest.raises(ModelError, match="metadata cannot be read as JSON") as caught:
            read(text)  # type: ignore[operator]
        assert reason in str(caught.value)


WHOLE = ("latent_dim", "height", "width", "channels", "images_seen")


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("value", [True, 1.0, "1", None, 1e300, [1], 2**63 + 1])
def test_whole_numbers_are_whole_numbers(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=field):
        Metadata.from_json(changed(**{field: value}))
    if field != "latent_dim":
        with pytest.raises(ModelError, match=field):
            CriticMetadata.from_json(json.dumps({**json.loads(CRITIC.to_json()), field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 1025),
        ("licence", "x" * 65_537),
        ("intended_use", 3),
        ("created_at", None),
        ("class_names", ["a", "x" * 1025]),
        ("truncation", True),
        ("truncation", 1e30),
        ("precision", ["float32"]),
        ("versions", {"torch": 2.0}),
        ("versions", ["torch"]),
        ("metrics", {}),
        ("metrics", [{"images_seen": 1.0}]),
        ("metrics", [{"images_seen": True}]),
        ("metrics", [{"values": {"frechet": "1"}}]),
        ("metrics", [{"values": {"frechet": True}}]),
        ("metrics", [{"values": [1]}]),
        ("golden", [{"seed": 1.0, "label": 0, "sha256": ""}]),
        ("golden", [{"seed": 1, "label": False, "sha256": ""}]),
        ("directions", [{"name": "a", "vector": [0.1] * 64, "source": "x" * 65_537}]),
    ],
)
def test_every_field_is_held_to_its_type_and_length(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=field):
        Metadata.from_json(changed(**{field: value}))


def test_a_measure_that_is_no_number_is_written_as_none() -> None:
    measured = {"images_seen": 5, "values": {"frechet": float("nan"), "kernel": 1.5}}
    again = Metadata.from_json(dataclasses.replace(GOOD, metrics=(measured,)).to_json())
    assert again.metrics == ({"images_seen": 5, "values": {"frechet": None, "kernel": 1.5}},)


def test_a_file_whose_metadata_is_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    model = hostile.base()
    text = model.metadata_props[0].value
    for old, new in (
        ('"channels": 1', '"channels": 1.0'),
        ('"latent_dim"', '"latent_dim": NaN, "latent_dim"'),
    ):
        assert old in text
        model.metadata_props[0].value = text.replace(old, new)
        (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=r"channels|twice"):
            Generator.load(tmp_path / "bad.onnx", device="cpu")


CRITIC = CriticMetadata(
    name="cats",
    height=32,
    width=48,
    channels=3,
    class_names=("tabby", "Tür"),
    fit="pad",
    calibration={"method": "logistic"},
    golden=(GoldenScore("aGVsbG8=", 1, 0.5),),
)


def test_a_critics_text_is_read_back_and_told_from_a_generators() -> None:
    assert CriticMetadata.from_json(CRITIC.to_json()) == CRITIC
    assert (kind_of(CRITIC.to_json()), kind_of(GOOD.to_json())) == ("critic", "generator")
    older = json.loads(GOOD.to_json())
    del older["kind"]
    assert kind_of(json.dumps(older)) == "generator"
    assert Metadata.from_json(json.dumps(older)) == GOOD
    with pytest.raises(ModelError, match="kind"):
        Metadata.from_json(CRITIC.to_json())
    with pytest.raises(ModelError, match="kind"):
        CriticMetadata.from_json(GOOD.to_json())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fit", "stretch"),
        ("calibration", []),
        ("channels", 2),
        ("class_names", ["a", "a"]),
        ("kind", 3),
        ("golden", [{"png": 1, "label": 0, "realness": 0.5}]),
        ("golden", [{"png": "", "label": 2, "realness": 0.5}]),
        ("golden", [{"png": "", "label": 0, "realness": "much"}]),
        ("golden", [{"png": "", "label": 0, "realness": 1.5}]),
        ("golden", [{"png": "", "label": False, "realness": 0.5}]),
        ("channels", 1.0),
        ("channels", True),
        ("images_seen", 1.0),
    ],
)
def test_a_wrong_value_of_a_critic_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=field):
        CriticMetadata.from_json(json.dumps({**json.loads(CRITIC.to_json()), field: value}))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(Metadata)]), _json, max_size=6
    )
)
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        metadata = Metadata.from_json(changed(**changes))
    except ModelError:
        return
    assert Metadata.from_json(metadata.to_json()) == metadata


RIGHT = {"name": "smile", "vector": [0.1] * 64}


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        [3],
        [{}],
        [{**RIGHT, "name": ""}],
        [{**RIGHT, "name": "x" * 65}],
        [{**RIGHT, "vector": [0.1] * 63}],
        [{**RIGHT, "vector": None}],
        [{**RIGHT, "vector": [1e40] * 64}],
        [{**RIGHT, "vector": [True] * 64}],
        [{**RIGHT, "scale": "1"}],
        [{**RIGHT, "source": 1}],
        [{**RIGHT, "class_vectors": [[0.1] * 64]}],
        [{**RIGHT, "class_vectors": [[0.1] * 64, [0.1]]}],
        [RIGHT, RIGHT],
        [{**RIGHT, "name": str(index)} for index in range(257)],
    ],
)
def test_directions_out_of_their_range_are_refused(wrong: object) -> None:
    with pytest.raises(ModelError, match="directions"):
        Metadata.from_json(changed(directions=wrong))


def test_directions_need_a_name_and_a_vector_alone() -> None:
    assert Metadata.from_json(changed(directions=[RIGHT])).directions == (Direction("smile", (0.1,) * 64),)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_measures_that_files_of_before_hold_as_no_numbers_are_read_as_none(word: str) -> None:
    measured = {"images_seen": 5, "values": {"frechet": 0.625}}
    text = dataclasses.replace(GOOD, metrics=(measured,)).to_json().replace("0.625", word)
    assert Metadata.from_json(text).metrics == ({"images_seen": 5, "values": {"frechet": None}},)
    assert kind_of(text) == "generator"
    with pytest.raises(ModelError, match=r"Infinity|NaN"):
        Metadata.from_json(text.replace('"height": ', f'"height": {word}, "x": ', 1))


def test_a_key_that_stands_twice_is_found_at_once() -> None:
    keys = ", ".join(f'"{index}": 0' for index in range(50_000))
    started = time.process_time()
    with pytest.raises(ModelError, match="'49999' twice"):
        kind_of(f'{{{keys}, "49999": 1}}')
    assert time.process_time() - started < 2


# Inputs and outputs.


FREE = {"low": 16, "high": 1024, "multiple": 4}


def with_input(**changes: Any) -> str:
    """Return the good text with one more input of a kind that is known, changed."""
    right = {"name": "digit", "kind": "class", "dtype": "int64", "shape": [], "facts": {"class_names": ["a"]}}
    return changed(inputs=[*json.loads(GOOD.to_json())["inputs"], {**right, **changes}])


def test_the_lists_are_written_and_read_back() -> None:
    assert json.loads(GOOD.to_json())["format_version"] == "1.1"
    assert json.loads(GOOD.to_json())["inputs"][0] == {
        "name": "latent",
        "kind": "latent",
        "dtype": "float32",
        "shape": [64],
        "facts": {},
        "optional": False,
    }
    again = Metadata.from_json(with_input())
    assert again.inputs[-1] == Input("digit", "class", "int64", facts={"class_names": ["a"]})
    assert Metadata.from_json(again.to_json()) == again
    free = dataclasses.replace(
        CRITIC, inputs=(*CRITIC.inputs, Input("x", "class", "uint8", (Free(4, 8, 2), 3)))
    )
    assert json.loads(free.to_json())["inputs"][-1]["shape"] == [{"low": 4, "high": 8, "multiple": 2}, 3]


def test_a_file_without_lists_is_read_as_before() -> None:
    old = json.loads(changed(format_version="1.0"))
    del old["inputs"], old["outputs"]
    again = Metadata.from_json(json.dumps(old))
    assert (again.inputs, again.outputs) == (GOOD.inputs, GOOD.outputs)
    assert [each.name for each in again.inputs] == ["latent", "label", "label_weights"]
    assert again.inputs[1].facts["class_names"] == GOOD.class_names


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "two words"},
        {"name": "0"},
        {"name": "x" * 65},
        {"name": "label"},
        {"name": "latent"},
        {"name": 3},
        {"kind": ""},
        {"kind": None},
        {"dtype": "float8"},
        {"dtype": ["int64"]},
        {"shape": 3},
        {"shape": [0]},
        {"shape": [True]},
        {"shape": [2.0]},
        {"shape": [2**24 + 1]},
        {"shape": [1] * 7},
        {"shape": [{"low": 16}]},
        {"shape": [{**FREE, "low": 0}]},
        {"shape": [{**FREE, "high": 8}]},
        {"shape": [{**FREE, "multiple": 3}]},
        {"shape": [{**FREE, "high": 1022}]},
        {"shape": [{**FREE, "multiple": True}]},
        {"facts": []},
        {"optional": 1},
    ],
)
def test_an_input_out_of_its_bounds_is_refused(changes: dict[str, Any]) -> None:
    Metadata.from_json(with_input())
    with pytest.raises(ModelError, match="for inputs, not a list of 1 to 64 objects"):
        Metadata.from_json(with_input(**changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inputs", []),
        ("inputs", {}),
        ("inputs", [1]),
        ("inputs", [{"name": f"x{index}", "kind": "class", "dtype": "int64"} for index in range(65)]),
        ("outputs", []),
        ("outputs", [{"name": "image", "kind": "image", "dtype": "float32", "shape": [32, 48, 3]}]),
        ("outputs", [{"name": "image", "kind": "image", "dtype": "uint8", "shape": [32, 47, 3]}]),
        ("outputs", [{"name": "image", "kind": "image", "dtype": "uint8", "shape": [FREE, 48, 3]}]),
        ("inputs", json.loads(GOOD.to_json())["inputs"][:1]),
        ("inputs", json.loads(GOOD.to_json())["inputs"][1:]),
        ("golden", [{"seed": 1, "label": 0, "sha256": "", "conditions": []}]),
        ("golden", [{"seed": 1, "label": 0, "sha256": "", "conditions": {"label": 1}}]),
    ],
)
def test_lists_that_say_otherwise_than_the_other_fields_are_refused(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=field) as caught:
        Metadata.from_json(changed(**{field: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"latent_dim": 63, "directions": []}, {"width": 47}, {"class_names": []}])
def test_other_fields_that_say_otherwise_than_the_lists_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"for (inputs|outputs|golden|directions), not"):
        Metadata.from_json(changed(**change))
