from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer.errors import OptionError
from gan_train.config import options, presets


def tree() -> dict[str, Any]:
    return dataclasses.asdict(presets.make("resnet", {"budget.images": 5}))


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_preset_makes_a_config_that_reads_back(preset: str, tmp_path: Path) -> None:
    made = presets.make(preset, {"budget.minutes": 2, "data.height": 48, "data.width": 32})
    options.write(made, tmp_path / "config.json")
    assert options.read(tmp_path / "config.json") == made
    assert made.preset == preset
    assert made.budget.minutes == 2.0


def test_presets_change_what_they_say() -> None:
    assert presets.make("dcgan", {}).optimizer.beta1 == 0.5
    assert presets.make("relativistic", {}).loss.r2_gamma > 0
    assert presets.make("dcgan", {"network.width": 8}).network.width == 8


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("network.width", 0),
        ("network.width", 1.5),
        ("network.width", "16"),
        ("network.width", True),
        ("data.height", 7),
        ("data.channels", 2),
        ("optimizer.learning_rate", 0.0),
        ("optimizer.learning_rate", float("nan")),
        ("optimizer.learning_rate", float("inf")),
        ("optimizer.batch_size", 1),
        ("budget.minutes", -1.0),
        ("budget.images", 0),
        ("machine.precision", "fp8"),
        ("seed", -1),
        ("seed", None),
    ],
)
def test_a_wrong_value_is_refused_by_name(place: str, value: object) -> None:
    changes = {"budget.images": None, "data.width": 32, "data.height": 32, place: value}
    with pytest.raises(OptionError, match=place):
        presets.make("resnet", changes)


def test_unknown_and_missing_options_are_refused_by_name() -> None:
    with pytest.raises(OptionError, match=r"network\.depth"):
        presets.make("resnet", {"network.depth": 3})
    with pytest.raises(OptionError, match="'best' is unknown"):
        presets.make("best", {})
    wrong = tree()
    del wrong["loss"]["name"]
    with pytest.raises(OptionError, match=r"loss\.name is missing"):
        options.from_tree(wrong, options.Config)
    with pytest.raises(OptionError, match="loss is 3"):
        options.from_tree({**tree(), "loss": 3}, options.Config)


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(OptionError, match=r"budget\.minutes and budget\.images"):
        presets.make("resnet", {"budget.minutes": 1, "budget.images": 1})
    with pytest.raises(OptionError, match="give both or neither"):
        presets.make("resnet", {"data.height": 32})
    with pytest.raises(OptionError, match="give both a kind, or none to both"):
        presets.make("resnet", {"condition.generator": "none"})


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("loss.r1_gamma=0.5", "loss.r1_gamma", 0.5),
        ("loss.r1_gamma = 3", "loss.r1_gamma", 3.0),
        ("network.width=32", "network.width", 32),
        ("network.width=none", "network.width", None),
        ("condition.generator=none", "condition.generator", "none"),
        ("augment.flip=True", "augment.flip", True),
        ("augment.policy=translation,cutout", "augment.policy", "translation,cutout"),
        ("data.source=a=b", "data.source", "a=b"),
        ("network.width=wide", "network.width", "wide"),
        ("no.such=1", "no.such", "1"),
    ],
)
def test_an_assignment_is_read_by_the_options_type(text: str, place: str, value: object) -> None:
    got = options.parse(text)
    assert got == (place, value)
    assert type(got[1]) is type(value)


def test_assignments_that_are_none_are_refused_and_near_names_offered() -> None:
    for text in ("", "loss.name", "=3"):
        with pytest.raises(OptionError, match="write it like"):
            options.parse(text)
    with pytest.raises(OptionError, match=r"'los.r1' is unknown; near it are .*loss\.r1_gamma"):
        presets.make("resnet", {"los.r1": 1})


def test_files_that_are_no_config_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(OptionError, match="No such file"):
        options.read(path)
    for text in ("", "{", "[]", json.dumps({**tree(), "extra": 1})):
        path.write_text(text)
        with pytest.raises(OptionError, match=r"config\.json"):
            options.read(path)


def test_differences_are_named_with_both_values() -> None:
    old = presets.make("resnet", {"budget.images": 5})
    new = options.replace(old, {"network.width": 32, "seed": 4})
    assert options.differences(old, new) == [("network.width", None, 32), ("seed", 0, 4)]
    assert options.differences(old, old) == []


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(place=st.sampled_from(["seed", "budget.images", "loss.r1_gamma", "data.source"]), value=_leaf)
def test_any_value_is_taken_or_refused_by_name(place: str, value: object) -> None:
    wrong = tree()
    *groups, name = place.split(".")
    branch = wrong
    for group in groups:
        branch = branch[group]
    branch[name] = value
    try:
        options.from_tree(wrong, options.Config)
    except OptionError as error:
        assert place in str(error)  # noqa: PT017
