"""`gan-infer adopt`: other tools' generators as files of ours, which draw the same; bad ones in one line."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from gan_infer import GanError, Generator, ModelError, OptionError, cli
from gan_infer.modelfile import catalog
from gan_infer.modelfile.metadata import KEY
from gan_infer.modelfile.reading import Reading
from gan_train.graphs import contract
from gan_train.graphs.adopt import adopt
from tests import foreign_models as foreign
from tests.conftest import CommandLine, Run
from tests.foreign_models import BOOL, DOUBLE, FLOAT, HALF, INT32, INT64, Made

ROOT = Path(__file__).parents[3]
Z = ("n", 8)
PLAIN = Made({"z": (FLOAT, Z)})


@pytest.fixture
def run(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return `gan-infer` with the commands of this checkout, however it is installed."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    points = [
        importlib.metadata.EntryPoint(name, value, group)
        for group, commands in named.items()
        for name, value in commands.items()
    ]

    def entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    return command_line("gan-infer", cli.main)


def split(path: Path) -> Path:
    """Put a file's tensors beside it, as torch.onnx.export does."""
    model = onnx.load(path)
    name = f"{path.name}.data"
    onnx.save(model, path, save_as_external_data=True, location=name, size_threshold=0)
    return path


def assert_draws_the_same(path: Path, to: Path, **options: Any) -> Generator:
    """Adopt a file, and compare with what the SDK draws of it as it is."""
    names = options.pop("class_names", None)
    reading = Reading(class_names=tuple(names) if names else None, **options)
    adopt(str(path), to, reading)
    original = Generator.load(path, device="cpu", class_names=names, **options)
    adopted = Generator.load(to, device="cpu")
    assert adopted.class_names == original.class_names
    assert np.array_equal(adopted.sample(9, seed=0), original.sample(9, seed=0))
    assert np.array_equal(adopted.sample(1, seed=8)[0], original.sample(9, seed=0)[8])
    contract.check(onnx.load(to))
    graph = onnx.load(to).graph
    assert [item.name for item in graph.output] == ["image"]
    listed = json.loads({entry.key: entry.value for entry in onnx.load(to).metadata_props}[KEY])["inputs"]
    assert [(each["name"], each["optional"]) for each in listed] == [
        (item.name, item.name == "label_weights") for item in graph.input
    ]
    return adopted


FORMS: dict[str, tuple[Made, dict[str, Any]]] = {
    "plain": (PLAIN, {}),
    "latent of four sides": (Made({"z": (FLOAT, ("n", 8, 1, 1))}), {}),
    "double": (Made({"z": (DOUBLE, Z)}, kind=DOUBLE), {}),
    "half": (Made({"z": (HALF, Z)}, kind=HALF), {}),
    "fixed batch": (Made({"z": (FLOAT, (1, 8))}, batch=1), {}),
    "fixed batch of three": (Made({"z": (FLOAT, (3, 8))}, batch=3), {}),
    "fixed batch, label": (Made({"z": (FLOAT, (1, 8)), "y": (INT64, (1,))}, {"y": 5}, batch=1), {}),
    "fixed batch, setting": (
        Made({"z": (FLOAT, (1, 8)), "psi": (FLOAT, (1, 1))}, batch=1),
        {"set_inputs": {"psi": 0.5}},
    ),
    "noise": (
        Made({"z": (FLOAT, Z), "noise_0": (FLOAT, (1, 1, 4, 4)), "noise_1": (FLOAT, ("n", 1, 8, 8))}),
        {"set_inputs": {"noise_0": 0.5, "noise_1": 0}},
    ),
    "label set": (Made({"z": (FLOAT, Z), "y": (INT64, ("n",))}, {"y": 5}), {"set_inputs": {"y": 3}}),
    "sigmoid": (Made({"z": (FLOAT, Z)}, last="Sigmoid"), {}),
    "told range": (PLAIN, {"value_range": (0, 1)}),
    "channels last": (Made({"z": (FLOAT, Z)}, output=(6, 5, 3)), {}),
    "grey": (Made({"z": (FLOAT, Z)}, output=(7, 6)), {}),
    "rows": (Made({"z": (FLOAT, Z)}, output=(784,)), {}),
    "rows, told": (Made({"z": (FLOAT, Z)}, output=(90,)), {"image_shape": (6, 5, 3)}),
    "looked up": (Made({"z": (FLOAT, Z), "y": (INT64, ("n",))}, {"y": 5}), {}),
    "looked up, float": (Made({"z": (FLOAT, Z), "y": (FLOAT, ("n", 1))}, {"y": 5}), {"label_input": "y"}),
    "one-hot": (Made({"z": (FLOAT, Z), "y": (FLOAT, ("n", 5))}), {"class_names": list("abcde")}),
    "numbers as names": (Made({"z": (FLOAT, Z), "y": (FLOAT, ("n", 5))}), {"class_names": list("12345")}),
    "one-hot, four sides": (Made({"z": (FLOAT, Z), "y": (HALF, ("n", 5, 1, 1))}), {}),
    "one-hot, whole": (Made({"z": (FLOAT, Z), "y": (INT32, ("n", 5))}), {}),
    "one-hot, flags": (Made({"z": (FLOAT, Z), "y": (BOOL, ("n", 5))}), {"label_input": "y"}),
    "settings": (
        Made({"z": (FLOAT, Z), "psi": (FLOAT, ()), "on": (BOOL, ("n", 1)), "m": (INT64, (1,))}),
        {"set_inputs": {"psi": 0.7, "on": True, "m": 2}},
    ),
    "columns": (Made({"z": (FLOAT, Z), "c": (FLOAT, ("n", 3))}), {"set_inputs": {"c": [0, 1, 0]}}),
    "no columns": (Made({"z": (FLOAT, Z), "c": (FLOAT, ("n", 0))}), {}),
    "more outputs": (Made({"z": (FLOAT, Z)}, others=("features",)), {"output": "picture"}),
    "old operators": (Made({"z": (FLOAT, Z)}, opset=11), {}),
    "new operators": (Made({"z": (FLOAT, Z)}, opset=23), {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_adopted_file_draws_what_the_foreign_one_draws(form: str, tmp_path: Path) -> None:
    made, options = FORMS[form]
    assert_draws_the_same(foreign.write(tmp_path / "x.onnx", made), tmp_path / "gen.onnx", **options)


def test_mixes_of_one_hot_labels_are_those_of_the_foreign_file(tmp_path: Path) -> None:
    path = foreign.write(tmp_path / "x.onnx", FORMS["one-hot"][0])
    adopted = assert_draws_the_same(path, tmp_path / "gen.onnx")
    original = Generator.load(path, device="cpu")
    mix = {"1": 0.25, "3": 0.75}
    assert np.array_equal(adopted.sample(2, label=mix, seed=0), original.sample(2, label=mix, seed=0))


class Small(nn.Module):
    """A label's embedding joined to the latent, one dense layer, one transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.dense = nn.Embedding(3, 4), nn.Linear(12, 8 * 16)
        self.end = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        pictures: torch.Tensor = self.end(self.dense(torch.cat((z, self.table(y)), 1)).view(-1, 8, 4, 4))
        return pictures


def test_what_torch_writes_unless_told_otherwise(tmp_path: Path, run: Run) -> None:
    torch.manual_seed(0)
    network = Small().eval()
    path = tmp_path / "x.onnx"
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 8), torch.zeros(2, dtype=torch.int64)),
            path,
            dynamic_shapes=({0: batch}, {0: batch}),
            verbose=False,
        )
    assert Path(f"{path}.data").exists()
    code, _, err = run("info", "--model", path)
    assert (code, err.count("\n")) == (1, 1)
    assert f"gan-infer adopt {path} --to gen.onnx" in err
    code, out, err = run("adopt", path, "--to", "gen.onnx", "--classes", "cat,dog,owl", "--licence", "CC0")
    assert code == 0, err
    assert (
        "inputs      latent float32 [batch, 8], label int64 [batch], label_weights float32 [batch, 3]" in out
    )
    adopted = Generator.load("gen.onnx", device="cpu")
    assert (adopted.metadata.licence, len(adopted.metadata.golden)) == ("CC0", 4)
    with torch.no_grad():
        values = network(torch.from_numpy(adopted.latents(range(3))), torch.tensor([2, 0, 1])).numpy()
    wanted = np.rint((values.transpose(0, 2, 3, 1) + 1) * 127.5)
    assert np.abs(adopted.sample(3, label=["owl", "cat", "dog"], seed=0) - wanted).max() <= 1
    assert run("grid", "--model", "gen.onnx", "--to", "grid.png")[0] == 0
    assert run("verify", "grid.png", "--model", "gen.onnx")[1].startswith("same")


def test_the_golden_pictures_and_the_texts_of_an_adopted_file(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "face maker.onnx"
    foreign.write(path, PLAIN)
    model = onnx.load(path)
    model.doc_string = model.producer_name = model.graph.name = "/home/alice/project"
    for index, node in enumerate(model.graph.node):
        node.name, node.doc_string = f"/home/alice/{index}", "File /home/alice/net.py, line 1"
        node.input[:] = ["C:\\alice\\z" if name == "z" else name for name in node.input]
    model.graph.input[0].name = "C:\\alice\\z"
    helper.set_model_props(model, {"user": "alice"})
    onnx.save(model, path)
    to = tmp_path / "gen.onnx"
    adopt(str(path), to)
    assert b"alice" not in to.read_bytes()
    adopted = Generator.load(to, device="cpu")
    assert adopted.name == "face maker"
    for golden in adopted.metadata.golden:
        picture = adopted.sample(1, golden.label, golden.seed)
        assert hashlib.sha256(picture.tobytes()).hexdigest() == golden.sha256
    assert "'" not in adopted.metadata.preparation.split(", output")[0]


# What is not adopted.


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Return a model whose tensors lie beside it."""
    return split(foreign.write(tmp_path / "x.onnx", PLAIN))


def assert_refused(path: Path, said: str, error: type[GanError] = ModelError, **options: Any) -> None:
    to = path.parent / "gen.onnx"
    to.write_bytes(b"old")
    with pytest.raises(error) as raised:
        adopt(str(path), to, Reading(**options))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert to.read_bytes() == b"old"
    assert not list(path.parent.glob(".*part*"))


def entry(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        told = model.graph.initializer[0].external_data
        for item in [item for item in told if item.key == key]:
            told.remove(item)
        told.add(key=key, value=value)

    return change


def twice(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="x.onnx.data")


def repeated(model: onnx.ModelProto) -> None:
    for _ in range(3):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].external_data[0].value = "x.onnx.data"


def sides(*sides: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = sides

    return change


def both(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"four"


def of_type(kind: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].data_type = kind

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (entry("location", "/etc/passwd"), "from a file beside the model alone"),
        (entry("location", "../x.onnx.data"), "from a file beside the model alone"),
        (entry("location", ".."), "from a file beside the model alone"),
        (entry("location", "sub/x.onnx.data"), "from a file beside the model alone"),
        (entry("location", "sub\\x.onnx.data"), "from a file beside the model alone"),
        (entry("location", "C:x.onnx.data"), "from a file beside the model alone"),
        (entry("location", ""), "from a file beside the model alone"),
        (entry("location", "x.onnx"), "from a file beside the model alone"),
        (entry("location", "x.onnx.data\0"), "from a file beside the model alone"),
        (entry("location", "other.data"), "put the two files into one folder"),
        (entry("location", "folder"), "put the two files into one folder"),
        (entry("location", "link"), "as a link"),
        (entry("location", "hard"), "a hard link"),
        (entry("location", "pipe"), "no regular file"),
        (entry("offset", "-8"), "'-8' for the offset"),
        (entry("offset", "1e3"), "'1e3' for the offset"),
        (entry("offset", "9" * 30), "for the offset"),
        (entry("offset", "99999999"), "give the data file that was written with the model"),
        (entry("length", "1"), "its shape needs"),
        (entry("length", "-1"), "'-1' for the length"),
        (entry("basepath", "/"), "says 'basepath'"),
        (twice, "says twice"),
        (repeated, "twice"),
        (sides(2**40, 2**20), "side under 0 or too large"),
        (sides(-1), "side under 0 or too large"),
        (sides(2**29), "at most 512 MiB"),
        (both, "both in the file and outside"),
        (of_type(TensorProto.STRING), "of a type (8)"),
        (of_type(99), "of a type (99)"),
    ],
)
def test_data_beside_the_model_are_not_trusted(
    beside: Path, change: Callable[[onnx.ModelProto], None], said: str
) -> None:
    folder = beside.parent
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("x.onnx.data")
    (folder / "own").write_bytes((folder / "x.onnx.data").read_bytes())
    os.link(folder / "own", folder / "hard")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    model = onnx.load(beside, load_external_data=False)
    change(model)
    beside.write_bytes(model.SerializeToString())
    assert_refused(beside, said)


def test_data_that_are_short_or_gone(beside: Path) -> None:
    data = beside.with_name("x.onnx.data")
    data.write_bytes(data.read_bytes()[:-1])
    assert_refused(beside, "give the data file that was written with the model")
    data.unlink()
    assert_refused(beside, "put the two files into one folder")


def test_a_tensor_of_an_operator_may_lie_beside_the_model(tmp_path: Path) -> None:
    path = foreign.write(tmp_path / "x.onnx", PLAIN)
    model = onnx.load(path)
    tensor = next(item for item in model.graph.initializer if item.name == "w z")
    body = numpy_helper.to_array(tensor).tobytes()
    constant = helper.make_node("Constant", [], ["w z"], value=tensor)
    model.graph.initializer.remove(tensor)
    model.graph.node.insert(0, constant)
    held = model.graph.node[0].attribute[0].t
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(key="location", value="weights.bin")
    held.external_data.add(key="offset", value="3")
    (tmp_path / "weights.bin").write_bytes(b"abc" + body + b"more")
    whole = Generator.load(path, device="cpu").sample(4, seed=0)
    path.write_bytes(model.SerializeToString())
    adopt(str(path), tmp_path / "gen.onnx")
    assert np.array_equal(Generator.load(tmp_path / "gen.onnx", device="cpu").sample(4, seed=0), whole)


def with_node(path: Path, op: str, domain: str = "", **attributes: Any) -> Path:
    """Put an operator between the latent and the rest."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["changed" if name == "z" else name for name in node.input]
    node = helper.make_node(op, ["z"], ["changed"], domain=domain, **attributes)
    model.graph.node.insert(0, node)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    onnx.save(model, path)
    return path


def test_operators_that_are_not_taken(tmp_path: Path) -> None:
    path = foreign.write(tmp_path / "x.onnx", PLAIN)
    assert_refused(with_node(path, "RandomNormalLike"), "export it with its noise fixed")
    path = foreign.write(tmp_path / "y.onnx", PLAIN)
    assert_refused(with_node(path, "Gelu", "com.microsoft"), "export it again without the runtime's own")


def test_pictures_that_depend_on_their_batch(tmp_path: Path) -> None:
    path = with_node(foreign.write(tmp_path / "x.onnx", PLAIN), "Softmax", axis=0)
    assert_refused(path, "export it in eval mode")


def test_a_domain_that_no_operator_uses_is_dropped(tmp_path: Path) -> None:
    path = foreign.write(tmp_path / "x.onnx", PLAIN)
    model = onnx.load(path)
    pictures = Generator.load(path, device="cpu").sample(4, seed=0)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, path)
    with pytest.raises(ModelError, match="gan-infer adopt"):
        Generator.load(path, device="cpu")
    adopt(str(path), tmp_path / "gen.onnx")
    assert np.array_equal(Generator.load(tmp_path / "gen.onnx", device="cpu").sample(4, seed=0), pictures)


def test_what_is_no_foreign_generator(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    for body, said in (
        (b"", "has no graph"),
        (b"PK\x03\x04", "a zip archive"),
        (b"hello", "is refused"),
        (b"\x08\x0a\x3a\x80\x80\x80\x01" + b"\x0a\x00" * 2**20, "more fields than any generator needs"),
    ):
        path.write_bytes(body)
        assert_refused(path, said)
    foreign.write(path, Made({"z": (FLOAT, Z)}, output=(90,)))
    assert_refused(path, "--image-shape")
    assert_refused(foreign.write(path, PLAIN), "latent_input was", OptionError, latent_input="no")
    with pytest.raises(ModelError, match="a file of ours already"):
        adopt("digits", tmp_path / "gen.onnx")
    with pytest.raises(OptionError, match="is the file that is read"):
        adopt(str(path), path)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = split(foreign.write(tmp_path / "x.onnx", PLAIN))
    monkeypatch.setattr(catalog, "MAX_BYTES", 3000)
    assert_refused(path, "bytes of data; at most")
    monkeypatch.setattr(catalog, "MAX_BYTES", 100)
    assert_refused(path, "too large")


# The command.


def test_the_command_and_its_help(run: Run, tmp_path: Path) -> None:
    assert "  adopt " in run("--help")[1]
    path = split(foreign.write(tmp_path / "x.onnx", FORMS["settings"][0]))
    told = ("--set", "psi=0.7", "--set", "on=true", "--set", "m=2")
    code, out, err = run("adopt", path, "--to", "gen.onnx", *told, "--name", "a name")
    assert (code, err) == (0, "")
    assert "output      image uint8 [batch, 6, 5, 3]" in out
    assert "difference  none" in out
    assert Generator.load("gen.onnx", device="cpu").name == "a name"
    for arguments, code, said in (
        (("adopt", path, "--to", "x.txt"), 1, "does not end in .onnx"),
        (("adopt", path, "--to", "y.onnx"), 1, "--set psi=VALUE"),
        (("adopt", "nothing.onnx", "--to", "y.onnx"), 1, "no model file 'nothing.onnx'"),
        (("adopt", path), 2, "--to"),
        (("adpt", path), 2, "Did you mean 'adopt'?"),
    ):
        found, _, err = run(*arguments)
        assert found == code
        assert said in err
    assert not Path("y.onnx").exists()


def test_without_onnx_the_command_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "onnx" else find(name, *rest)
    )
    code, _, err = run("adopt", foreign.write(tmp_path / "x.onnx", PLAIN), "--to", "gen.onnx")
    assert (code, err.count("\n")) == (1, 1)
    assert 'pip install "ganforge[train]"' in err


def test_adopting_needs_no_torch_and_other_commands_no_entry_points(tmp_path: Path) -> None:
    path = split(foreign.write(tmp_path / "x.onnx", PLAIN))
    code = f"""
import sys
from pathlib import Path
from gan_infer.cli import cli
cli.main(["models"], standalone_mode=False)
assert not [name for name in sys.modules if name.startswith("gan_train")]
from gan_train.graphs.adopt import adopt
adopt({str(path)!r}, Path({str(tmp_path / "gen.onnx")!r}))
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def fixed(path: Path, op: str, sides: list[int]) -> Path:
    """Return a generator of one picture at a time, with an operator that names a shape of that batch."""
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(0, 1, (8, 48)).astype(np.float32), "w")
    shape = numpy_helper.from_array(np.array([1, 3, 4, 4]), "shape")
    extra = numpy_helper.from_array(np.array(sides), "sides")
    nodes = [
        helper.make_node("MatMul", ["z", "w"], ["rows"]),
        helper.make_node("Reshape", ["rows", "shape"], ["x"]),
    ]
    if op == "Resize":
        nodes.append(helper.make_node("Resize", ["x", "", "", "sides"], ["y"], mode="nearest"))
    else:
        nodes.append(helper.make_node(op, ["x", "sides"], ["y"]))
    nodes.append(helper.make_node("Tanh", ["y"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("z", FLOAT, [1, 8])],
        [helper.make_tensor_value_info("out", FLOAT, None)],
        [weight, shape, extra],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("op", "sides"), [("Resize", [1, 3, 8, 8]), ("Expand", [1, 3, 4, 4]), ("Reshape", [1, 3, 2, 8])]
)
def test_a_batch_that_shapes_name_is_freed(tmp_path: Path, op: str, sides: list[int]) -> None:
    assert_draws_the_same(fixed(tmp_path / "x.onnx", op, sides), tmp_path / "gen.onnx")


def test_a_batch_that_cannot_be_freed(tmp_path: Path) -> None:
    path = fixed(tmp_path / "x.onnx", "Reshape", [3, 4, 4])
    model = onnx.load(path)
    model.graph.node[-1].input[0] = "back"
    model.graph.node.insert(3, helper.make_node("Reshape", ["y", "shape"], ["back"]))
    onnx.save(model, path)
    assert Generator.load(path, device="cpu").sample(2, seed=0).shape == (2, 4, 4, 3)
    assert_refused(
        path, "draws 1 at a time, and cannot be made to draw the same in any number; export it in eval"
    )
