"""The contract of the exported file, read back with onnx alone, and what the exporter refuses."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from gan_infer import Generator, ModelError, OptionError
from gan_infer.modelfile.metadata import KEY
from gan_train import export
from gan_train.config import presets
from gan_train.config.options import write
from gan_train.data.pictures import PictureSet
from gan_train.export import graph
from gan_train.planning import budget
from gan_train.runs import checkpoint
from gan_train.training import loop
from tests.conftest import CONDITIONAL, DCGAN, EVERY_KIND, UNCONDITIONAL, Kind, make_metadata, make_network
from tests.gan_train.training.test_loop import Watcher

Models = Callable[[Kind], Path]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_the_file_keeps_the_contract(model_file: Models, kind: Kind) -> None:
    path = model_file(kind)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)

    def signature(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
        kind = value.type.tensor_type
        return value.name, kind.elem_type, [side.dim_param or side.dim_value for side in kind.shape.dim]

    inputs = [signature(value) for value in model.graph.input]
    wanted: list[Any] = [("latent", onnx.TensorProto.FLOAT, ["batch", kind.latent_dim])]
    if kind.classes:
        wanted.append(("label", onnx.TensorProto.INT64, ["batch"]))
        wanted.append(("label_weights", onnx.TensorProto.FLOAT, ["batch_or_1", kind.classes]))
        assert "label_weights" in {tensor.name for tensor in model.graph.initializer}
    assert inputs == wanted
    image = ("image", onnx.TensorProto.UINT8, ["batch", kind.height, kind.width, kind.channels])
    assert [signature(value) for value in model.graph.output] == [image]
    assert [signature(value) for value in inferred.graph.output] == [image]
    assert {item.domain for item in model.opset_import} == {""}
    assert model.opset_import[0].version <= 21
    assert model.ir_version <= 10
    assert not model.functions
    assert all(node.domain == "" for node in model.graph.node)
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    assert [entry.key for entry in model.metadata_props] == [KEY]
    metadata = json.loads(model.metadata_props[0].value)
    assert metadata["latent_distribution"] == kind.distribution
    assert len(metadata["golden"]) == 4


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_nothing_of_this_machine_is_in_the_file(model_file: Models, kind: Kind) -> None:
    model = onnx.load(model_file(kind))
    for item in (model.graph, *model.graph.node, *model.graph.input, *model.graph.initializer):
        assert item.doc_string == ""
        assert not item.metadata_props
    del model.graph.initializer[:]  # random weights can spell anything
    content = model.SerializeToString()
    for private in (os.getcwd(), str(Path.home()), "site-packages", ".py", "/tmp", "Traceback"):  # noqa: PTH109
        assert private.encode() not in content, private
    if len(getpass.getuser()) > 4:
        assert getpass.getuser().encode() not in content


def test_normalisation_is_folded(model_file: Models) -> None:
    operators = {node.op_type for node in onnx.load(model_file(DCGAN)).graph.node}
    assert "BatchNormalization" not in operators
    assert "ConvTranspose" in operators


def test_the_embedding_table_is_normalised_at_export(model_file: Models) -> None:
    operators = [node.op_type for node in onnx.load(model_file(CONDITIONAL)).graph.node]
    assert operators.count("Gather") == 1
    assert not {"ReduceL2", "Div", "Sqrt", "Expand"} & set(operators)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
@pytest.mark.parametrize("count", [1, 2, 7, 64, 65])
def test_the_file_gives_pytorchs_pictures(model_file: Models, kind: Kind, count: int) -> None:
    opened = Generator.load(model_file(kind), device="cpu")
    largest, differing = export.verify(make_network(kind), opened, [count])
    assert largest <= 1
    assert differing < 0.01


def test_another_network_is_told_from_the_right_one(model_file: Models) -> None:
    opened = Generator.load(model_file(CONDITIONAL), device="cpu")
    other = make_network(CONDITIONAL)
    with torch.no_grad():
        other.output.weight.mul_(1.1)  # type: ignore[union-attr,operator]
    with pytest.raises(ModelError, match="levels of 256 off PyTorch"):
        export.verify(other, opened)


def test_a_failed_check_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(torch.nn.Module):
        """Draws other pictures once it is exported."""

        def __init__(self, right: torch.nn.Module) -> None:
            super().__init__()
            self.right = right

        def forward(self, latent: torch.Tensor, condition: Any) -> torch.Tensor:
            result: torch.Tensor = self.right(latent, condition)
            return -result if torch.compiler.is_exporting() else result

    to = tmp_path / "gen.onnx"
    to.write_bytes(b"an older model")
    with pytest.raises(ModelError, match="nothing was written"):
        export.write(Wrong(make_network(UNCONDITIONAL)).eval(), make_metadata(UNCONDITIONAL), to)
    assert to.read_bytes() == b"an older model"
    assert list(tmp_path.iterdir()) == [to]


def test_a_picture_that_depends_on_its_batch_is_refused(tmp_path: Path) -> None:
    class Mixing(torch.nn.Module):
        def forward(self, latent: torch.Tensor, condition: Any) -> torch.Tensor:
            mixed = latent + latent.mean(0, keepdim=True)
            return torch.tanh(mixed[:, :1, None, None].expand(-1, 3, 16, 20))

    with pytest.raises(ModelError, match="a seed must name one picture"):
        export.write(Mixing().eval(), make_metadata(UNCONDITIONAL), tmp_path / "gen.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["domain", "external", "invalid"])
def test_graphs_outside_the_contract_are_refused(model_file: Models, harm: str) -> None:
    model = onnx.load(model_file(UNCONDITIONAL))
    if harm == "domain":
        model.graph.node[0].domain = "com.example"
        model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    elif harm == "external":
        model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    else:
        model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError):
        graph.check(model)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a short run."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    pictures = PictureSet.from_arrays("noise", images, np.arange(20) % 2, ("ham", "eggs"), "CC0", "as stored")
    changes = {
        "data.source": "/home/somebody/secret/noise",
        "network.width": 2,
        "network.latent_dim": 4,
        "optimizer.batch_size": 8,
        "budget.images": 40,
        "reports": 1,
        "evaluation.samples": 0,
    }
    options = budget.settle(presets.make("dcgan", changes), pictures)
    write(options, folder / checkpoint.CONFIG)
    loop.train(options, pictures, folder, Watcher())
    return folder


def test_a_run_is_exported_with_what_is_known_of_it(run: Path, tmp_path: Path) -> None:
    written = export.export(run, tmp_path / "gen.onnx", licence="MIT", intended_use="tests")
    assert written.size_bytes == (tmp_path / "gen.onnx").stat().st_size
    assert written.difference <= 1
    metadata = Generator.load(tmp_path / "gen.onnx", device="cpu").metadata
    assert metadata == written.metadata
    assert metadata.name == "small"
    assert metadata.class_names == ("ham", "eggs")
    assert (metadata.data_name, metadata.data_licence, metadata.preparation) == ("noise", "CC0", "as stored")
    assert (metadata.licence, metadata.intended_use) == ("MIT", "tests")
    assert metadata.images_seen == 40
    assert metadata.recipe["network"]["family"] == "dcgan"
    assert b"secret" not in (tmp_path / "gen.onnx").read_bytes()
    assert set(metadata.versions) == {"ganforge", "torch", "onnx"}


def test_truncation_scales_the_latents_inside_the_file(run: Path, tmp_path: Path) -> None:
    export.export(run, tmp_path / "whole.onnx", truncation=1.0)
    export.export(run, tmp_path / "half.onnx", truncation=0.5)
    whole, half = (Generator.load(tmp_path / f"{name}.onnx", device="cpu") for name in ("whole", "half"))
    assert half.metadata.truncation == 0.5
    latents = whole.latents(range(9))
    assert np.array_equal(half.latents(range(9)), latents)
    gap = half(latents, [0] * 9).astype(int) - whole(latents / 2, [0] * 9)
    assert abs(gap).max() <= 1
    assert not np.array_equal(half(latents, [0] * 9), whole(latents, [0] * 9))


def test_a_folder_that_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"config\.json"):
        export.export(tmp_path, tmp_path / "gen.onnx")
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    with pytest.raises(OptionError, match="no whole checkpoint"):
        export.export(tmp_path, tmp_path / "gen.onnx")
    assert not (tmp_path / "gen.onnx").exists()
