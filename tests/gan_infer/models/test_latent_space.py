"""Ways, mixes, truncation and edits, through the Generator."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_infer import Generator, LabelError, OptionError
from gan_infer.conditions import mixes
from gan_infer.conditions.names import Names
from gan_infer.latent import interpolation
from gan_infer.latent.directions import Direction, parse_range
from gan_infer.runtime.session import Session
from gan_train.export import write
from tests.conftest import (
    BY_NORM,
    CONDITIONAL,
    DCGAN,
    RGBA,
    Kind,
    Once,
    make_metadata,
    make_network,
    with_metadata,
    without_mixing,
)

Models = Callable[[Kind], Path]
MIXABLE = [CONDITIONAL, RGBA, BY_NORM]


@pytest.fixture(scope="module")
def directed(model_file: Models, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """Return a conditional model with a direction for all classes and one of the classes' own."""
    generator = Generator.load(model_file(CONDITIONAL), device="cpu")
    first, second = np.eye(64)[:2]
    rows = np.arange(10)[:, None] * second
    directions = (
        Direction("first", tuple(first), 0.5),
        Direction("own", tuple(second), 2.0, class_vectors=tuple(tuple(row) for row in rows)),
    )
    metadata = dataclasses.replace(
        generator.metadata, directions=(*generator.metadata.directions, *directions)
    )
    path = with_metadata(
        Path(generator.source), metadata, tmp_path_factory.mktemp("directed") / "directed.onnx"
    )
    return Generator.load(path, device="cpu", trust=True)


@pytest.fixture(scope="module")
def plain(model_file: Models, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """Return a conditional model without the input by which labels are mixed, as older files are."""
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    onnx.save(without_mixing(onnx.load(model_file(CONDITIONAL))), path)
    return Generator.load(path, device="cpu")


# Latents to reckon with.


def test_a_latent_is_that_of_its_seed_and_can_be_reckoned_with(conditional: Generator) -> None:
    latent = conditional.latent(3)
    assert latent.dtype == np.float32
    assert latent.shape == (64,)
    assert np.array_equal(conditional(latent, 4), conditional.sample(1, label=4, seed=3))
    sum_ = latent + 0.5 * (conditional.latent(8) - conditional.latent(5))
    assert np.array_equal(conditional(sum_, "class 4"), conditional(sum_[None], [4]))
    with pytest.raises(OptionError, match=r"shape \(1, 63\)"):
        conditional(latent[:63], 4)


# Mixes of labels.


@pytest.fixture(scope="module")
def mixable(once: Once) -> Callable[[Kind], Path]:
    """Return a function from a kind to a model file whose labels matter, also where a norm takes them."""

    def write_to(kind: Kind, path: Path) -> None:
        network = make_network(kind)
        for module in network.modules():
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.normal_(module.weight, 1.0, 0.5)
        write(network, make_metadata(kind), path)

    return lambda kind: once(f"mixable-{kind.whole_name}.onnx", lambda path: write_to(kind, path))


@pytest.mark.parametrize("kind", [CONDITIONAL, BY_NORM], ids=str)
def test_a_mix_is_the_class_whose_row_is_the_mean_of_rows(
    mixable: Models, kind: Kind, tmp_path: Path
) -> None:
    model = onnx.load(mixable(kind))
    tables = {
        node.input[0] for node in model.graph.node if node.op_type == "Gather" and "label" in node.input
    }
    for item in model.graph.initializer:
        if item.name in tables:
            rows = onnx.numpy_helper.to_array(item).copy()
            rows[0] = 0.7 * rows[4] + 0.3 * rows[2]
            item.CopyFrom(onnx.numpy_helper.from_array(rows, item.name))
    onnx.save(model, tmp_path / "mean.onnx")
    mean = Generator.load(tmp_path / "mean.onnx", device="cpu", trust=True).sample(20, 0, 0).astype(int)
    mixed = Generator.load(mixable(kind), device="cpu").sample(20, {4: 0.7, 2: 0.3}, 0)
    assert tables
    assert abs(mixed - mean).max() <= 1


@pytest.mark.parametrize("kind", MIXABLE, ids=str)
def test_every_conditional_export_mixes_labels_and_the_pictures_hang_on_their_own_row_alone(
    mixable: Models, kind: Kind
) -> None:
    generator = Generator.load(mixable(kind), device="cpu")
    assert generator.mixes_labels
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(kind.classes), 65).astype(np.float32)
    latents = generator.latents(range(65))
    whole = generator(latents, weights)
    for size in (1, 2, 3, 7, 16, 64):
        count = min(65, 8 * size)
        parts = [generator(latents[i : i + size], weights[i : i + size]) for i in range(0, count, size)]
        assert np.concatenate(parts)[:count].tobytes() == whole[:count].tobytes(), size
    assert not np.array_equal(whole[:1], generator(latents[:1], weights[1:2]))


@pytest.mark.parametrize("kind", MIXABLE, ids=str)
def test_a_weight_of_one_draws_the_class_to_the_byte(mixable: Models, kind: Kind) -> None:
    generator = Generator.load(mixable(kind), device="cpu")
    labels = np.arange(20) % kind.classes
    latents = generator.latents(range(20))
    corners = np.eye(kind.classes, dtype=np.float32)[labels]
    assert generator(latents, corners).tobytes() == generator(latents, labels).tobytes()


def test_weights_of_one_row_serve_a_whole_batch_in_the_runtime(conditional: Generator) -> None:
    weights = np.zeros((1, 10), np.float32)
    weights[0, [4, 9]] = 0.7, 0.3
    latents = conditional.latents(range(5))
    feeds = {"latent": latents, "label": np.zeros(5, np.int64), "label_weights": weights}
    session = Session(Path(conditional.source).read_bytes(), source="it", device="cpu")
    with contextlib.closing(session) as bare:
        got = bare.run(["image"], feeds)[0]
    assert np.array_equal(got, conditional(latents, {4: 0.7, 9: 0.3}))


def test_the_ways_to_write_a_mix_agree(conditional: Generator) -> None:
    mixed = conditional.sample(3, label={4: 0.7, 9: 0.3}, seed=0)
    for other in ("4:0.7,9:0.3", " class 4 : 7e-1, 9:.3", {"class 4": 1.4, "9": np.float32(0.6)}):
        assert np.array_equal(conditional.sample(3, label=other, seed=0), mixed), other
    assert np.array_equal(conditional.sample(3, label=["4:0.7,9:0.3", 4, {9: 1}], seed=0)[0], mixed[0])
    assert not np.array_equal(mixed, conditional.sample(3, label=4, seed=0))
    assert conditional.label_weights("4:3,9:1")[[4, 9]].tolist() == [0.75, 0.25]
    assert conditional.grid(label="4:0.7,9:0.3", seeds=[0], output="np").shape == (32, 32, 1)


def test_a_mix_of_one_class_is_the_class_also_where_nothing_mixes(plain: Generator) -> None:
    assert not plain.mixes_labels
    for mix in ("4:0.2", {4: 5}, "4:1,9:0"):
        assert np.array_equal(plain.sample(2, label=mix, seed=0), plain.sample(2, label=4, seed=0))


@pytest.mark.parametrize("label", ["4:0.5,9:0.5", {4: 1, 9: 1}])
def test_a_model_that_cannot_mix_says_so(plain: Generator, label: object) -> None:
    with pytest.raises(LabelError, match=r"cannot mix labels.*gan-train directions"):
        plain.sample(2, label=label)  # type: ignore[arg-type]
    with pytest.raises(LabelError, match="cannot mix labels"):
        plain(plain.latents([0]), np.full((1, 10), 0.1))
    with pytest.raises(LabelError, match="cannot mix labels"):
        plain.interpolate(0, 1, label=[3, 8])


@pytest.mark.parametrize(
    "label",
    [
        "4:",
        ":0.5",
        "4:0.5,",
        "4:a",
        "4:nan",
        "4:-1,9:2",
        "4:0,9:0",
        "4:0.5,4:0.5",
        "4:0.5,class 4:0.5",
        "4:0.5,x:0.5",
        "4:inf",
        "4:1_0",
        {},
        {4: "much"},
        {4: -1},
        {4: True},
        {10: 1},
        {4: 1, "class 4": 1},
    ],
)
def test_a_bad_mix_is_refused(conditional: Generator, label: object) -> None:
    with pytest.raises(LabelError):
        conditional.sample(1, label=label)  # type: ignore[arg-type]


def test_a_mix_for_an_unconditional_model_is_refused(unconditional: Generator) -> None:
    assert not unconditional.mixes_labels
    for label in ("4:1", {4: 1}):
        with pytest.raises(LabelError, match="unconditional"):
            unconditional.sample(1, label=label)


@pytest.mark.parametrize(
    "bad", [np.full((2, 9), 0.1), np.zeros((2, 10)), np.full((2, 10), -1.0), [[np.nan] * 10] * 2]
)
def test_bad_weights_of_a_raw_batch_are_refused(conditional: Generator, bad: object) -> None:
    with pytest.raises(LabelError):
        conditional(conditional.latents([0, 1]), bad)  # type: ignore[arg-type]


def test_weights_may_be_of_any_size(conditional: Generator) -> None:
    for weight in (5e-324, 1e-310, 1e308):
        assert conditional.label_weights({4: weight, 9: weight})[[4, 9]].tolist() == [0.5, 0.5]


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 1e6), min_size=1))
def test_weights_sum_to_one(mix: dict[int, float]) -> None:
    if sum(mix.values()) > 0:
        weights = mixes.weights(mix, 10)
        assert weights.dtype == np.float32
        assert weights.sum() == pytest.approx(1, abs=1e-5)


@given(st.text(max_size=30))
def test_any_text_is_a_mix_or_refused(text: str) -> None:
    with contextlib.suppress(LabelError):
        assert all(
            isinstance(weight, float) for weight in mixes.parse(text, Names(("4", "a,b"), "toy")).values()
        )


# Truncation.


def test_psi_is_a_factor_on_latents(conditional: Generator) -> None:
    expected = conditional(conditional.latents(range(5)) * np.float32(0.7), np.full(5, 4))
    assert np.array_equal(conditional.sample(5, label=4, seed=0, psi=0.7), expected)
    parts = conditional.iter_batches(5, label=4, seed=0, batch_size=2, psi=0.7)
    assert np.array_equal(np.concatenate(list(parts)), expected)
    sheet = conditional.grid(label=4, seeds=range(5), psi=0.7)
    assert np.array_equal(sheet[2:30, 2:30], expected[0])
    assert len({picture.tobytes() for picture in conditional.sample(4, label=4, psi=0)}) == 1


@pytest.mark.parametrize("psi", [-0.5, 2.5, float("nan"), "1"])
def test_a_bad_psi_is_refused_everywhere(conditional: Generator, psi: float) -> None:
    for call in (
        lambda: conditional.sample(1, psi=psi),
        lambda: conditional.iter_batches(1, psi=psi),
        lambda: conditional.grid(psi=psi),
        lambda: conditional.interpolate(0, 1, psi=psi),
        lambda: conditional.loop([0, 1], psi=psi),
        lambda: conditional.edit(0, psi=psi),
    ):
        with pytest.raises(OptionError, match="psi was"):
            call()


# Ways.


@pytest.mark.parametrize("mode", ["slerp", "lerp"])
def test_a_way_between_seeds_has_their_pictures_at_its_ends(conditional: Generator, mode: str) -> None:
    way = conditional.interpolate(3, 8, 7, mode, label=4)  # type: ignore[arg-type]
    assert way.shape == (7, 28, 28, 1)
    assert np.array_equal(way[[0, -1]], conditional.sample(6, label=4, seed=3)[[0, 5]])
    latents = interpolation.between(conditional.latent(3), conditional.latent(8), 7, mode)
    assert np.array_equal(way, conditional(latents, 4))
    assert np.array_equal(way, conditional.interpolate(conditional.latent(3), 8, 7, mode, "4"))  # type: ignore[arg-type]


def test_without_a_label_a_way_goes_between_the_classes_of_its_seeds(conditional: Generator) -> None:
    way = conditional.interpolate(3, 8, 5)
    assert np.array_equal(way[[0, -1]], conditional.sample(6, seed=3)[[0, 5]])
    assert np.array_equal(conditional.interpolate(3, 13, 5), conditional.interpolate(3, 13, 5, label=3))


def test_a_way_between_labels_mixes_them_evenly(conditional: Generator) -> None:
    way = conditional.interpolate(5, 5, 5, label=[3, 8])
    for index, share in enumerate(np.linspace(0, 1, 5)):
        mix = {3: 1 - share, 8: share}
        assert np.array_equal(way[index], conditional.sample(1, label=mix, seed=5)[0])


def test_a_uniform_model_takes_lines(model_file: Models) -> None:
    generator = Generator.load(model_file(DCGAN), device="cpu")
    line = generator.interpolate(0, 1, 5, label=0)
    assert np.array_equal(line, generator.interpolate(0, 1, 5, "lerp", label=0))
    assert not np.array_equal(line, generator.interpolate(0, 1, 5, "slerp", label=0))


def test_a_loop_meets_the_pictures_of_its_seeds(conditional: Generator, unconditional: Generator) -> None:
    loop = conditional.loop([1, 5, 9], 12, label=4)
    assert np.array_equal(loop[::4], conditional.sample(9, label=4, seed=1)[::4])
    free = conditional.loop([1, 5, 9], 6)
    assert np.array_equal(free[::2], conditional.sample(9, seed=1)[::4])
    mixed = conditional.loop([7, 7], 4, label=[3, "8"])
    assert np.array_equal(mixed[2], conditional.sample(1, label=8, seed=7)[0])
    assert np.array_equal(mixed[1], mixed[3])
    assert unconditional.loop([unconditional.latent(0), 5], 100).shape == (100, 16, 20, 3)


def test_bad_ways_are_refused(conditional: Generator) -> None:
    for wrong in (0, 1, "9", 10**9):
        with pytest.raises(OptionError):
            conditional.interpolate(0, 1, wrong, label=4)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="slerp, lerp"):
        conditional.interpolate(0, 1, 4, "cubic", label=4)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"shape \(3,\)"):
        conditional.interpolate(np.zeros(3), 1, label=4)
    with pytest.raises(OptionError, match=r"seed 0\.5"):
        conditional.interpolate(0.5, 1, label=4)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no points"):
        conditional.loop([], label=4)
    with pytest.raises(OptionError, match="points were 3"):
        conditional.loop(3, label=4)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="ask for fewer steps"):
        conditional.interpolate(0, 1, 10**9, label=4)
    with pytest.raises(LabelError, match="names no class"):
        conditional.interpolate(conditional.latent(0), 1)
    with pytest.raises(LabelError, match="3 labels were given for 2"):
        conditional.interpolate(0, 1, label=[1, 2, 3])


# Edits.


def on_sphere(latents: np.ndarray, change: np.ndarray) -> np.ndarray:
    start = latents.astype(np.float64)
    moved = start + change
    length = np.linalg.norm(start, axis=-1, keepdims=True)
    return (moved * length / np.linalg.norm(moved, axis=-1, keepdims=True)).astype(np.float32)


def test_an_edit_moves_the_latent_along_its_directions(directed: Generator) -> None:
    first, second = np.eye(64)[:2]
    latents = directed.latents([7])
    expected = directed(on_sphere(latents, 2 * 0.5 * first), 4)
    assert np.array_equal(directed.edit(7, 4, first=2), expected)
    both = directed(on_sphere(latents, 2 * 0.5 * first - 1 * 2.0 * 4 * second), 4)
    assert np.array_equal(directed.edit(7, 4, first=+2, own=-1), both)
    assert np.array_equal(directed.edit(7, 4, {"first": 2, "own": -1.0}), both)
    assert np.array_equal(directed.edit(directed.latent(7), 4, first=2), expected)


def test_an_edit_by_nothing_is_the_picture_itself(directed: Generator) -> None:
    assert np.array_equal(directed.edit(7, 4), directed.sample(1, label=4, seed=7))
    assert np.array_equal(directed.edit([3, 4], first=0), directed.sample(2, seed=3))
    assert np.array_equal(directed.edit(7, 4, first=0, psi=0.5), directed.sample(1, 4, 7, psi=0.5))


def test_amounts_and_seeds_go_together_one_each(directed: Generator) -> None:
    strip = directed.edit(7, 4, first=[-1, 0, 1])
    for index, amount in enumerate((-1, 0, 1)):
        assert np.array_equal(strip[index], directed.edit(7, 4, first=amount)[0])
    many = directed.edit([7, 8, 9], first=np.array([-1, 0, 1]), own=2)
    assert np.array_equal(many[2], directed.edit(9, first=1, own=2)[0])
    with pytest.raises(OptionError, match="go together"):
        directed.edit([7, 8], 4, first=[1, 2, 3])
    with pytest.raises(OptionError, match="same number"):
        directed.edit(7, 4, first=[1, 2, 3], own=[1, 2])


def test_classes_are_moved_along_their_own_vectors_and_mixes_between(directed: Generator) -> None:
    second = np.eye(64)[1]
    mixed = directed(on_sphere(directed.latents([7]), 2.0 * 5 * second), {4: 0.5, 6: 0.5})
    assert np.array_equal(directed.edit(7, {4: 0.5, 6: 0.5}, own=1), mixed)


def test_uniform_latents_are_moved_straight(model_file: Models) -> None:
    generator = Generator.load(model_file(DCGAN), device="cpu")
    direction = generator.directions["direction1"]
    moved = generator.latents([7]) + np.float32(direction.scale * 2) * np.float32(direction.vector)
    got = generator.edit(7, 1, direction1=2).astype(int)
    assert abs(got - generator(moved, 1)).max() <= 1


def test_numbers_stand_for_unnamed_directions(directed: Generator) -> None:
    by_name = directed.edit(7, 4, direction2=3)
    assert np.array_equal(directed.edit(7, 4, {2: 3}), by_name)
    assert np.array_equal(directed.edit(7, 4, {"2": 3}), by_name)
    with pytest.raises(OptionError, match="twice"):
        directed.edit(7, 4, {2: 3}, direction2=1)


def test_an_unknown_direction_is_refused_and_those_there_are_named(
    directed: Generator, tmp_path: Path
) -> None:
    for key in ("smile", "0", 7, True, "²"):
        with pytest.raises(OptionError, match=r"direction1, .*first, own"):
            directed.edit(7, 4, {key: 1})
    metadata = dataclasses.replace(directed.metadata, directions=())
    path = with_metadata(Path(directed.source), metadata, tmp_path / "none.onnx")
    without = Generator.load(path, device="cpu", trust=True)
    with pytest.raises(OptionError, match="gan-train directions"):
        without.edit(7, 4, first=1)


@pytest.mark.parametrize("amount", ["2", None, np.nan, np.inf, 101, [], True, [[1], [2, 3]]])
def test_a_bad_amount_is_refused(directed: Generator, amount: object) -> None:
    with pytest.raises(OptionError, match="'first' was given"):
        directed.edit(7, 4, {"first": amount})  # type: ignore[dict-item]


def test_numbers_that_do_not_go_together_are_refused_by_what_was_given(directed: Generator) -> None:
    with pytest.raises(OptionError, match="3 seeds and 2 amounts"):
        directed.edit([1, 2, 3], 4, first=[1, 2])
    with pytest.raises(OptionError, match=r"amounts were \['first'\]"):
        directed.edit(7, 4, ["first"])  # type: ignore[arg-type]


def test_ranges_are_read_as_people_write_them() -> None:
    assert parse_range("-3:3") == (-3, 3)
    assert parse_range(" 0.5 : -2") == (0.5, -2)
    for wrong in ("3", "", "a:b", "1:2:3", "nan:1", "0:1e9"):
        with pytest.raises(OptionError, match="-3:3"):
            parse_range(wrong)


def test_directions_are_given_by_name(directed: Generator) -> None:
    assert list(directed.directions)[-2:] == ["first", "own"]
    directed.directions.clear()
    assert directed.directions
