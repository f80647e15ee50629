"""Generators that other tools wrote: built here from published architectures, with plain PyTorch and ONNX."""

from __future__ import annotations

import itertools
import json
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from gan_infer import GanError, Generator, LabelError, ModelError, OptionError, cli
from gan_infer.modelfile import admission, golden
from gan_infer.modelfile.catalog import DEFAULT
from gan_infer.modelfile.trial.verdicts import TrialVerdict
from gan_infer.runtime.session import Session
from tests.conftest import CommandLine, Run


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    return command_line("gan-infer", cli.main)


def spread(network: nn.Module) -> nn.Module:
    """Return random weights of a size that pictures are not all grey."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.2)
    return network.eval()


def export(network: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, **options: Any) -> Path:
    """Export as was usual before torch.export: by tracing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, inputs, path, dynamo=False, opset_version=17, **options)
    return path


def dcgan64(path: Path) -> tuple[nn.Module, Path]:
    """Radford et al. 2015, 64x64, as it is taught: latents [n, 100, 1, 1], tanh."""
    layers: list[nn.Module] = []
    widths = [100, 32, 16, 8, 4]
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        stride, padding = (2, 1) if index else (1, 0)
        layers += [nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU()]
    network = spread(nn.Sequential(*layers, nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()))
    axes = {"input": {0: "batch"}, "output": {0: "batch"}}
    names = {"input_names": ["input"], "output_names": ["output"], "dynamic_axes": axes}
    return network, export(network, (torch.zeros(1, 100, 1, 1),), path, **names)


class OneHot(nn.Module):
    """Mirza & Osindero 2014: latent and one-hot label joined, dense layers, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20 + 6, 64), nn.ReLU(), nn.Linear(64, 28 * 28), nn.Sigmoid())

    def forward(self, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        pictures: torch.Tensor = self.layers(torch.cat((noise, condition), 1))
        return pictures.view(pictures.size(0), 1, 28, 28)


def one_hot(path: Path) -> tuple[nn.Module, Path]:
    network = spread(OneHot())
    names = ["noise", "condition", "picture"]
    axes = {name: {0: "n"} for name in names}
    told = {"input_names": names[:2], "output_names": names[2:], "dynamic_axes": axes}
    return network, export(network, (torch.zeros(2, 20), torch.zeros(2, 6)), path, **told)


class Embedded(nn.Module):
    """An embedding of the label times the latent (as ACGAN's examples do), clamped to 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 16)
        self.start = nn.Linear(16, 8 * 8 * 8)
        self.rest = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        features = self.start(z * self.table(labels) * 20).reshape(-1, 8, 8, 8)
        pictures: torch.Tensor = (self.rest(features.relu()) * 2 + 0.5).clamp(0, 1)
        return pictures


def embedded(path: Path) -> tuple[nn.Module, Path]:
    network = spread(Embedded())
    axes = {"z": {0: "n"}, "labels": {0: "n"}, "images": {0: "n"}}
    told = {"input_names": ["z", "labels"], "output_names": ["images"], "dynamic_axes": axes}
    return network, export(network, (torch.zeros(2, 16), torch.zeros(2, dtype=torch.long)), path, **told)


def levels(network: nn.Module, low: float, high: float, *inputs: torch.Tensor) -> np.ndarray:
    """Run PyTorch and give its pictures by our contract."""
    with torch.no_grad():
        values = network(*inputs).numpy().transpose(0, 2, 3, 1)
    return np.rint((np.clip(values, low, high) - low) * (255 / (high - low)))


def assert_alike(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1
    assert got.std() > 10


def test_a_dcgan_with_latents_of_four_dimensions(tmp_path: Path) -> None:
    network, path = dcgan64(tmp_path / "dcgan.onnx")
    generator = Generator.load(path, device="cpu")
    assert (generator.latent_dim, generator.image_shape, generator.class_names) == (100, (64, 64, 3), ())
    assert "-1 to 1, as its last operator is Tanh" in generator.metadata.preparation
    latents = generator.latents(range(3))
    expected = levels(network, -1, 1, torch.from_numpy(latents)[:, :, None, None])
    assert_alike(generator.sample(3, seed=0), expected)
    assert generator.sample(130, seed=0)[129].tobytes() == generator.sample(1, seed=129)[0].tobytes()
    assert generator.interpolate(1, 2, 5).shape == (5, 64, 64, 3)
    assert (
        pickle.loads(pickle.dumps(generator)).sample(1, seed=5).tobytes()
        == generator.sample(1, seed=5).tobytes()
    )


def test_a_conditional_one_with_one_hot_labels(tmp_path: Path) -> None:
    network, path = one_hot(tmp_path / "cgan.onnx")
    generator = Generator.load(path, device="cpu", class_names=["a", "b", "c", "d", "e", "f"])
    assert generator.class_names == ("a", "b", "c", "d", "e", "f")
    assert generator.image_shape == (28, 28, 1)
    latents = torch.from_numpy(generator.latents(range(4)))
    labels = torch.tensor([0, 5, 2, 2])
    expected = levels(network, 0, 1, latents, torch.eye(6)[labels])
    assert_alike(generator.sample(4, label=["a", "f", "c", "c"], seed=0), expected)
    assert generator.mixes_labels
    mixed = levels(network, 0, 1, latents[:1], torch.tensor([[0, 0.25, 0, 0, 0, 0.75]]))
    assert_alike(generator.sample(1, label={"b": 1, "f": 3}, seed=0), mixed)


def test_one_with_labels_that_are_looked_up_and_levels_from_0_to_1(tmp_path: Path) -> None:
    network, path = embedded(tmp_path / "lookup.onnx")
    generator = Generator.load(path, device="cpu")
    assert generator.class_names == ("0", "1", "2", "3", "4")
    latents = torch.from_numpy(generator.latents(range(5)))
    expected = levels(network, 0, 1, latents, torch.tensor([4, 3, 2, 1, 0]))
    assert_alike(generator.sample(5, label=[4, 3, 2, 1, 0], seed=0), expected)
    with pytest.raises(LabelError):
        generator.sample(1, label=5)


# Others, written node by node: what each takes and gives, and how it is to be read.


def made(
    path: Path,
    *,
    latent: tuple[str | int, ...] = ("n", 8),
    kind: int = TensorProto.FLOAT,
    last: str = "Sigmoid",
    levels: bool = False,
    channels_last: bool = True,
    batch: int | None = None,
    shift: float = 0.0,
    inputs: tuple[str, ...] = ("latent_in",),
    statistics: bool = False,
) -> Path:
    """Write a dense generator of 6x5 colour pictures; `statistics` mixes the pictures of a batch."""
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 1.0, (8, 90)).astype(np.float32)
    shape = np.array([batch or -1, 6, 5, 3] if channels_last else [batch or -1, 3, 6, 5])
    constants = {"weight": weight, "flat": np.array([batch or -1, 8]), "shape": shape}
    nodes, value = [helper.make_node("Reshape", [inputs[0], "flat"], ["rows"])], "rows"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [value], ["cast"], to=TensorProto.FLOAT))
        value = "cast"
    for name in inputs[1:]:
        nodes.append(helper.make_node("Add", [value, name], [f"with {name}"]))
        value = f"with {name}"
    nodes.append(helper.make_node("MatMul", [value, "weight"], ["dense"]))
    value = "dense"
    if statistics:
        nodes.append(helper.make_node("ReduceMean", [value], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", [value, "mean"], ["centred"]))
        value = "centred"
    if last:
        nodes.append(helper.make_node(last, [value], ["bounded"]))
        value = "bounded"
    if shift:
        constants["shift"] = np.float32(shift)
        nodes.append(helper.make_node("Add", [value, "shift"], ["shifted"]))
        value = "shifted"
    if levels:
        constants["255"] = np.float32(255)
        nodes.append(helper.make_node("Mul", [value, "255"], ["levels"]))
        nodes.append(helper.make_node("Cast", ["levels"], ["bytes"], to=TensorProto.UINT8))
        value = "bytes"
    nodes.append(helper.make_node("Reshape", [value, "shape"], ["out"]))
    given = [helper.make_tensor_value_info(inputs[0], kind, latent)]
    given += [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 8)) for name in inputs[1:]]
    sides = [batch or "n", *shape[1:].tolist()]
    result = TensorProto.UINT8 if levels else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "made",
        given,
        [helper.make_tensor_value_info("out", result, sides)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def sigmoid(latents: np.ndarray) -> np.ndarray:
    weight = np.random.default_rng(1).normal(0, 1.0, (8, 90)).astype(np.float32)
    return 1 / (1 + np.exp(-(latents.astype(np.float32) @ weight)))


def test_bytes_with_channels_last(tmp_path: Path) -> None:
    generator = Generator.load(made(tmp_path / "bytes.onnx", levels=True), device="cpu")
    assert generator.image_shape == (6, 5, 3)
    expected = np.floor(sigmoid(generator.latents(range(4))) * 255).reshape(4, 6, 5, 3)
    assert_alike(generator.sample(4, seed=0), expected)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, batch: int) -> None:
    generator = Generator.load(made(tmp_path / "x.onnx", latent=(batch, 8), batch=batch), device="cpu")
    expected = np.rint(sigmoid(generator.latents(range(7))) * 255).reshape(7, 6, 5, 3)
    assert_alike(generator.sample(7, seed=0), expected)
    alone = [generator.sample(1, seed=seed)[0] for seed in range(7)]
    assert np.array_equal(generator.sample(7, seed=0), alone)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_other_floats(tmp_path: Path, kind: int) -> None:
    generator = Generator.load(made(tmp_path / "x.onnx", kind=kind), device="cpu")
    assert_alike(
        generator.sample(2, seed=0), np.rint(sigmoid(generator.latents([0, 1])) * 255).reshape(2, 6, 5, 3)
    )


def test_pictures_that_depend_on_their_batch_are_drawn_alone(tmp_path: Path) -> None:
    generator = Generator.load(made(tmp_path / "x.onnx", statistics=True), device="cpu")
    assert "one at a time" in generator.metadata.preparation
    assert np.array_equal(generator.sample(3, seed=0)[2], generator.sample(1, seed=2)[0])


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"last": "Tanh"}, "from -1 to 1, as its last"),
        ({"last": "Sigmoid"}, "from 0 to 1, as its last"),
        ({"last": "Tanh", "shift": 0.001}, "from -1 to 1, judged"),
        ({"last": "Sigmoid", "shift": 0.001}, "from 0 to 1, judged"),
        ({"last": "Softsign", "channels_last": False}, "from -1 to 1, judged"),
    ],
)
def test_the_range_is_seen(tmp_path: Path, options: dict[str, Any], read: str) -> None:
    generator = Generator.load(made(tmp_path / "x.onnx", **options), device="cpu")
    assert read in generator.metadata.preparation


def test_a_range_that_was_told_counts(tmp_path: Path) -> None:
    path = made(tmp_path / "x.onnx")
    dark = Generator.load(path, device="cpu", value_range=(0, 255)).sample(4, seed=0)
    assert dark.max() <= 1
    light = Generator.load(path, device="cpu", value_range=(-1, 1)).sample(4, seed=0)
    assert light.min() >= 127


@pytest.mark.parametrize(
    ("options", "told", "error", "said"),
    [
        ({"last": "", "shift": 900.0}, {}, ModelError, "of no known range"),
        ({"inputs": ("one", "two")}, {}, ModelError, "2 of its inputs could be the latent"),
        ({"inputs": ("one", "two", "three")}, {}, ModelError, "3 of its inputs could be the latent"),
        ({"inputs": ("one", "two")}, {"latent_input": "three"}, OptionError, "latent_input was 'three'"),
        ({}, {"latent_input": "latent"}, OptionError, "the model has latent_in"),
        ({}, {"output": "image"}, OptionError, "output was 'image'"),
        ({}, {"class_names": ["a", "b"]}, OptionError, "no label"),
        ({}, {"value_range": (0, 2)}, OptionError, "value_range was"),
        ({"inputs": ("z", "label")}, {"class_names": ["a", "b"]}, OptionError, "give 8"),
        ({"inputs": ("z", "label")}, {"class_names": ["a"] * 8}, OptionError, "double"),
    ],
)
def test_what_does_not_show_is_asked_for(
    tmp_path: Path, options: dict[str, Any], told: dict[str, Any], error: type[GanError], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        Generator.load(made(tmp_path / "x.onnx", **options), device="cpu", **told)
    assert "\n" not in str(raised.value)


def test_two_inputs_are_told_apart_by_name_or_by_a_word(tmp_path: Path) -> None:
    path = made(tmp_path / "x.onnx", inputs=("one", "two"))
    generator = Generator.load(path, device="cpu", latent_input="one")
    assert len(generator.class_names) == 8
    other = Generator.load(path, device="cpu", label_input="one")
    assert not np.array_equal(generator.sample(1, label=1, seed=0), other.sample(1, label=1, seed=1))
    named = Generator.load(made(tmp_path / "y.onnx", inputs=("noise", "labels")), device="cpu")
    assert np.array_equal(named.sample(3, label=2, seed=0), generator.sample(3, label=2, seed=0))


def test_a_file_of_ours_takes_no_reading(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="says itself how it is to be read; leave out value_range"):
        Generator.load(DEFAULT, device="cpu", value_range=(0, 1))


def test_foreign_operators_of_other_domains_stay_out(tmp_path: Path) -> None:
    model = onnx.load(made(tmp_path / "x.onnx"))
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"com\.example"):
        Generator.load(path, device="cpu")


# By hand.


def test_commands_take_foreign_files(run: Run, tmp_path: Path) -> None:
    _, path = one_hot(tmp_path / "cgan.onnx")
    names = ("--classes", "ant,bee,cat,dog,elk,fox")
    code, out, err = run("grid", "--model", path, *names, "--label", "bee", "--to", "bees.png")
    assert (code, out, err) == (0, "bees.png\n", "")
    with Image.open("bees.png") as image:
        assert image.mode == "L"
    code, out, _ = run("verify", "bees.png", "--model", path, *names)
    assert (code, out.split(":")[0]) == (0, "same")
    code, out, _ = run("info", "--model", path, "--json")
    assert code == 0
    assert json.loads(out)["latent_dim"] == 20
    code, out, err = run("sample", 3, "--model", path, "--label", 2, "--to", "some", "--value-range", "0:1")
    assert (code, len(list(Path("some").iterdir()))) == (0, 3)
    for command in (
        ("walk", "--seeds", "1-2", "--label", "bee", "--seconds", "0.1"),
        ("morph", "--from-label", "bee", "--to-label", "owl", "--seconds", "0.1"),
    ):
        told = (*names[:-1], names[-1].replace("fox", "owl"))
        assert run(*command, "--model", path, *told, "--to", "moving.gif")[0] == 0
        assert run("verify", "moving.gif", "--model", path, *told)[1].startswith("same")
    code, out, err = run("grid", "--model", path, "--latent-input", "no", "--to", "x.png")
    assert code == 1
    assert err.count("\n") == 1
    assert "noise" in err
    assert not Path("x.png").exists()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_call_has_more_pictures_than_the_trial_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    counts: list[int] = []
    run = Session.run

    def count(self: Session, names: Sequence[str], feeds: Mapping[str, Any]) -> Any:
        counts.append(max(map(len, feeds.values())))
        return run(self, names, feeds)

    monkeypatch.setattr(Session, "run", count)
    monkeypatch.setattr(admission, "find_verdict", lambda _: TrialVerdict(most, golden=golden.NONE))
    _, path = dcgan64(tmp_path / "dcgan.onnx")
    generator = Generator.load(path, device="cpu")
    assert generator.sample(5, seed=0).shape == (5, 64, 64, 3)
    assert max(counts) == most
