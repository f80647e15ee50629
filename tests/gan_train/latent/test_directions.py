"""Directions found, label mixing added, and model files amended with both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from gan_infer import Generator, ModelError, OptionError
from gan_infer.modelfile.metadata import KEY
from gan_train import cli
from gan_train.graphs import amend, mixing, sefa
from gan_train.latent import directions
from tests.conftest import (
    BY_NORM,
    CONDITIONAL,
    DCGAN,
    RGBA,
    TINY,
    UNCONDITIONAL,
    CommandLine,
    Kind,
    Run,
    without_mixing,
)

Models = Callable[[Kind], Path]


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    return command_line("gan-train", cli.main)


# The first layer.


def test_the_strongest_directions_are_the_right_singular_vectors() -> None:
    matrix = np.random.default_rng(0).standard_normal((40, 9)) * np.arange(1, 10)
    found = sefa.strongest(matrix, 4)
    _, strengths, right = np.linalg.svd(matrix)
    np.testing.assert_allclose(np.abs(found @ right[:4].T), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(matrix @ found.T, axis=0), strengths[:4])
    assert (np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1) > 0).all()
    assert sefa.strongest(matrix, 20).shape == (9, 9)


@pytest.mark.parametrize("kind", [CONDITIONAL, DCGAN, RGBA, BY_NORM, TINY], ids=str)
def test_an_export_names_the_strongest_directions_of_its_first_layer(model_file: Models, kind: Kind) -> None:
    generator = Generator.load(model_file(kind), device="cpu")
    assert list(generator.directions) == [f"direction{index + 1}" for index in range(min(6, kind.latent_dim))]
    vectors = np.array([direction.vector for direction in generator.directions.values()])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-3)
    unit = 1 if kind.distribution == "normal" else 3**-0.5
    assert {direction.scale for direction in generator.directions.values()} == {round(unit, 4)}


def test_the_first_direction_changes_pictures_more_than_most(conditional: Generator) -> None:
    latents = conditional.latents(range(20))
    before = conditional(latents, 0).astype(float)

    def change(vector: np.ndarray) -> float:
        return float(np.abs(conditional(latents + vector.astype(np.float32), 0) - before).mean())

    rng = np.random.default_rng(0).standard_normal((20, 64))
    others = [change(vector / np.linalg.norm(vector)) for vector in rng]
    assert change(np.array(conditional.directions["direction1"].vector)) > np.quantile(others, 0.9)


# The mixing of labels.


@pytest.mark.parametrize("kind", [CONDITIONAL, RGBA, BY_NORM], ids=str)
def test_a_file_without_mixing_gets_it_and_draws_the_same_bytes(model_file: Models, kind: Kind) -> None:
    model = onnx.load(model_file(kind))
    options = ort.SessionOptions()
    options.log_severity_level = 3

    def draw(graph: onnx.ModelProto) -> list[bytes]:
        session = ort.InferenceSession(graph.SerializeToString(), options)
        assert [item.name for item in session.get_inputs()] == ["latent", "label"]
        rng = np.random.default_rng(0)
        result = []
        for count in (1, 2, 7, 33):
            latent = rng.standard_normal((count, kind.latent_dim)).astype(np.float32)
            feeds = {"latent": latent, "label": rng.integers(0, kind.classes, count)}
            result.append(session.run(["image"], feeds)[0].tobytes())
        return result

    without = without_mixing(model)
    assert mixing.NAME not in {item.name for item in without.graph.input}
    before = draw(without)
    assert mixing.add_mixing(without, kind.classes)
    onnx.checker.check_model(without, full_check=True)
    assert draw(without) == before
    again = without.SerializeToString(deterministic=True)
    assert mixing.add_mixing(without, kind.classes)
    assert without.SerializeToString(deterministic=True) == again


@pytest.mark.parametrize("kind", [CONDITIONAL, RGBA, BY_NORM], ids=str)
def test_an_export_mixes_as_a_file_that_got_it_later(model_file: Models, kind: Kind) -> None:
    exported = onnx.load(model_file(kind))
    rng = np.random.default_rng(1)
    for table in exported.graph.initializer:  # those of a fresh normalisation are the same for all classes
        if len(table.dims) == 2 and table.dims[0] == kind.classes:
            values = rng.standard_normal(tuple(table.dims)).astype(np.float32)
            table.CopyFrom(onnx.numpy_helper.from_array(values, table.name))
    amended = without_mixing(exported)
    assert mixing.add_mixing(amended, kind.classes)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    weights = rng.random((5, kind.classes)).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    weights[2] = 0
    feeds = {
        "latent": rng.standard_normal((5, kind.latent_dim)).astype(np.float32),
        "label": rng.integers(0, kind.classes, 5),
    }
    drawn = []
    for graph in (exported, amended):
        session = ort.InferenceSession(graph.SerializeToString(), options)
        assert [(item.name, item.shape) for item in session.get_overridable_initializers()] == [
            (mixing.NAME, ["batch_or_1", kind.classes])
        ]
        drawn.append(
            [session.run(["image"], {**feeds, mixing.NAME: each})[0] for each in (weights, weights[:1])]
        )
    for left, right in zip(*drawn, strict=True):
        assert np.array_equal(left, right)
    plain = session.run(["image"], feeds)[0]
    assert np.array_equal(plain[2], drawn[0][0][2])
    assert not np.array_equal(plain, drawn[0][0])


@pytest.mark.parametrize("harm", ["another use", "another table", "order"])
def test_a_graph_of_another_make_is_left_as_it_is(model_file: Models, harm: str) -> None:
    model = without_mixing(onnx.load(model_file(RGBA if harm == "order" else CONDITIONAL)))
    classes = RGBA.classes if harm == "order" else 10
    if harm == "another use":
        model.graph.node.append(onnx.helper.make_node("Identity", ["label"], ["seen"]))
    elif harm == "another table":
        classes = 9
    else:
        arange = next(item for item in model.graph.initializer if list(item.dims) == [classes])
        arange.CopyFrom(onnx.numpy_helper.from_array(np.arange(classes)[::-1].copy(), arange.name))
    before = model.SerializeToString(deterministic=True)
    assert not mixing.add_mixing(model, classes)
    assert model.SerializeToString(deterministic=True) == before


def test_an_unconditional_model_has_nothing_to_mix(model_file: Models) -> None:
    assert not mixing.add_mixing(onnx.load(model_file(UNCONDITIONAL)), 0)


# Amended files.


def test_amending_keeps_all_else_that_the_file_says(model_file: Models, tmp_path: Path) -> None:
    model = without_mixing(onnx.load(model_file(CONDITIONAL)))
    said = json.loads(model.metadata_props[0].value)
    del said["directions"]
    said["of a later version"] = [1, {"b": 2}]
    onnx.helper.set_model_props(model, {KEY: json.dumps(said), "another": "text"})
    onnx.save(model, tmp_path / "old.onnx")
    made = amend.amend(tmp_path / "old.onnx", tmp_path / "new.onnx")
    assert made.mixes_labels
    assert len(made.directions) == 6
    props = {entry.key: entry.value for entry in onnx.load(tmp_path / "new.onnx").metadata_props}
    now = json.loads(props[KEY])
    del now["directions"]
    assert now == said
    assert props["another"] == "text"
    written = (tmp_path / "new.onnx").read_bytes()
    amend.amend(tmp_path / "new.onnx", tmp_path / "new.onnx")
    assert (tmp_path / "new.onnx").read_bytes() == written


def test_a_file_that_would_draw_other_pictures_is_not_written(
    model_file: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(model: onnx.ModelProto, classes: int) -> bool:
        table = next(item for item in model.graph.initializer if list(item.dims) == [10, 64])
        values = onnx.numpy_helper.to_array(table) * 1.01
        table.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), table.name))
        return True

    monkeypatch.setattr(mixing, "add_mixing", harm)
    with pytest.raises(ModelError, match="nothing was written"):
        amend.amend(model_file(CONDITIONAL), tmp_path / "new" / "new.onnx")
    assert not list((tmp_path / "new").iterdir())


# Regression and examples.


def linear(count: int, classes: int, own: bool, noise: float = 0.5) -> tuple[directions.Measured, np.ndarray]:
    """Return latents with an attribute that is linear in them, and its gradient [classes, 8]."""
    rng = np.random.default_rng(3)
    gradients = rng.standard_normal((classes, 8))
    if not own:
        gradients[:] = gradients[0]
    latents, labels = rng.standard_normal((count, 8)), np.arange(count) % classes
    values = (latents * gradients[labels]).sum(1) + 5 * labels + noise * rng.standard_normal(count)
    return directions.Measured(latents, labels, {"size": values}), gradients


@pytest.mark.parametrize("own", [False, True])
def test_a_unit_moves_a_linear_attribute_by_its_standard_deviation_within_a_class(own: bool) -> None:
    measured, gradients = linear(30_000, 3, own)
    found = directions.by_attribute(measured, "size", "size")
    assert np.linalg.norm(found.direction.vector) == pytest.approx(1, abs=1e-3)
    for index, vector in enumerate(found.direction.class_vectors):
        step = found.direction.scale * np.array(vector)
        spread = measured.values["size"][measured.classes == index].std()
        assert step @ gradients[index] == pytest.approx(spread, rel=0.02)
        cosine = step @ gradients[index] / np.linalg.norm(step) / np.linalg.norm(gradients[index])
        assert cosine > 0.999
    assert len(found.direction.class_vectors) == 3
    assert found.explained is not None
    assert found.explained > 0.9


def test_classes_with_few_pictures_share_one_vector() -> None:
    measured, gradients = linear(150, 3, own=False, noise=0.1)
    found = directions.by_attribute(measured, "size", "size").direction
    assert not found.class_vectors
    assert np.array(found.vector) @ gradients[0] / np.linalg.norm(gradients[0]) > 0.99


def test_an_attribute_that_does_not_vary_or_too_few_pictures_are_refused() -> None:
    measured, _ = linear(100, 2, own=False)
    measured.values["size"][:] = 4.0
    with pytest.raises(OptionError, match="the same"):
        directions.by_attribute(measured, "size", "size")
    few, _ = linear(15, 1, own=False)
    with pytest.raises(OptionError, match="too few"):
        directions.by_attribute(few, "size", "size")


def test_examples_give_the_way_from_without_to_with(unconditional: Generator) -> None:
    hidden = np.eye(8)[2]
    seeds = np.arange(4000)
    sides = unconditional.latents(seeds) @ hidden
    found = directions.by_examples(
        unconditional, list(seeds[sides > 0.5]), list(seeds[sides < -0.5]), "smile"
    ).direction
    assert np.array(found.vector) @ hidden > 0.99
    assert found.scale == 1
    for wrong in (([], [1]), ([1], []), ([1, 2], [2, 3])):
        with pytest.raises(OptionError):
            directions.by_examples(unconditional, *wrong, "smile")


def test_pictures_are_measured_with_their_latents(conditional: Generator) -> None:
    seen: list[int] = []
    measured = directions.measure(conditional, ["brightness"], 600, lambda done, total: seen.append(done))
    assert seen == [512, 600]
    assert measured.latents.shape == (600, 64)
    pictures = conditional(measured.latents, measured.classes)
    np.testing.assert_allclose(measured.values["brightness"], pictures.mean((1, 2, 3)) / 255, rtol=1e-4)


# The command, and what was shipped.


def test_the_command_finds_a_direction_that_does_what_it_says(run: Run, model_file: Models) -> None:
    code, out, err = run(
        "directions",
        "--model",
        model_file(TINY),
        "--attribute",
        "brightness",
        "--samples",
        2000,
        "--to",
        "new.onnx",
    )
    assert code == 0, err
    assert "direction1, direction2, direction3, direction4, brightness" in out
    assert "of its variance" in out
    assert "measured 2,000 of 2,000" in err
    generator = Generator.load("new.onnx", device="cpu")
    levels = generator.edit(range(50), brightness=-1).mean(), generator.edit(range(50), brightness=1).mean()
    assert levels[0] + 2 < levels[1]


def test_a_file_of_another_tool_is_refused_before_the_work(
    run: Run, model_file: Models, tmp_path: Path
) -> None:
    model = onnx.load(model_file(CONDITIONAL))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    code, out, err = run(
        "directions", "--model", tmp_path / "foreign.onnx", "--attribute", "brightness", "--to", "out.onnx"
    )
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "written by another tool" in err
    assert not Path("out.onnx").exists()


def test_the_command_takes_examples_as_seeds_or_as_folders_of_pictures(run: Run, model_file: Models) -> None:
    for name, seeds in (("yes", (1, 5, 9)), ("no", (2, 3))):
        Path(name).mkdir()
        for seed in seeds:
            Path(name, f"seed{seed:06d}.png").touch()
    common = ("directions", "--model", model_file(TINY), "--name", "smile")
    assert run(*common, "--with", "yes", "--without", "no", "--to", "a.onnx")[0] == 0
    assert run(*common, "--with", "1,5,9", "--without", "2-3", "--to", "b.onnx")[0] == 0
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()
    assert "smile" in Generator.load("a.onnx", device="cpu").directions


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "new.txt"), "does not end in .onnx"),
        (("--to", "new.onnx", "--with", "1"), "give both"),
        (("--to", "new.onnx", "--name", "x"), "names one"),
        (("--to", "new.onnx", "--with", "1", "--without", "2"), "give --name"),
        (("--to", "new.onnx", "--with", "1", "--without", "2", "--name", "psi"), "cannot name"),
        (("--to", "new.onnx", "--with", "1", "--without", "2", "--name", "a b"), "cannot name"),
        (("--to", "new.onnx", "--with", "empty", "--without", "2", "--name", "x"), "empty"),
        (("--to", "new.onnx", "--with", "1", "--without", "1", "--name", "x"), "both"),
        (("--to", "new.onnx", "--attribute", "slant", "--samples", "3"), "too few"),
        (("--to", "new.onnx", "--model", "nothing.onnx"), "no model file"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_written(
    run: Run, model_file: Models, arguments: tuple[str, ...], said: str
) -> None:
    Path("empty").mkdir()
    code, out, err = run("directions", "--model", model_file(TINY), *arguments)
    assert (code, out) == (1, "")
    assert said in err.splitlines()[-1]
    assert [path.name for path in Path().iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("name", "named"), [("digits", "thickness slant brightness"), ("fashion", "brightness width")]
)
def test_the_shipped_models_have_named_directions_and_mix_labels(name: str, named: str) -> None:
    generator = Generator.load(name, device="cpu")
    assert generator.mixes_labels
    assert set(named.split()) <= set(generator.directions)
    model = onnx.load(generator.source)
    assert (model.ir_version, model.opset_import[0].version) == (8, 18)


@pytest.mark.parametrize("name", ["thickness", "slant"])
def test_named_directions_of_the_digits_move_what_they_name(name: str) -> None:
    from gan_train.latent.attributes import ATTRIBUTES

    generator = Generator.load("digits", device="cpu")
    strips = [generator.edit(seed, None, {name: np.linspace(-3, 3, 7)}) for seed in range(20)]
    values = ATTRIBUTES[name](np.concatenate(strips)).reshape(20, 7)
    assert (np.diff(values) > 0).all(1).mean() >= 0.9
