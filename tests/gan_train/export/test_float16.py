"""Files of half the size: the contract's inputs and output, PyTorch's pictures to a few levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gan_infer import Generator, ModelError
from gan_infer.modelfile.catalog import find
from gan_train import export
from gan_train.export import float16, graph
from tests.conftest import CONDITIONAL, DCGAN_BY_NORM, RGBA, Kind, Once, make_metadata, make_network

KINDS = [CONDITIONAL, RGBA, DCGAN_BY_NORM]


@pytest.fixture(scope="module")
def half_file(once: Once) -> Callable[[Kind], Path]:
    def write(kind: Kind, path: Path) -> None:
        export.write(make_network(kind), dataclasses.replace(make_metadata(kind), precision="float16"), path)

    return lambda kind: once(f"half-{kind.whole_name}.onnx", lambda path: write(kind, path))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_file_keeps_the_contract_in_half_the_size(
    half_file: Callable[[Kind], Path], model_file: Callable[[Kind], Path], kind: Kind
) -> None:
    whole, halved = onnx.load(model_file(kind)), onnx.load(half_file(kind))
    graph.check(halved)
    assert [item.SerializeToString() for item in halved.graph.input] == [
        item.SerializeToString() for item in whole.graph.input
    ]
    assert halved.graph.output[0].SerializeToString() == whole.graph.output[0].SerializeToString()
    inputs = {item.name for item in halved.graph.input}  # one of them has a value of its own
    left = [
        tensor
        for tensor in halved.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in inputs
    ]
    assert all(np.prod(tensor.dims) <= 4 for tensor in left)  # the mapping to pixels, Resize's scales
    weights = sum(np.prod(t.dims) for t in whole.graph.initializer if t.data_type == TensorProto.FLOAT)
    saved = model_file(kind).stat().st_size - half_file(kind).stat().st_size
    assert 1.9 * weights < saved < 2.05 * weights


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pictures_are_near_and_do_not_depend_on_the_batch(
    half_file: Callable[[Kind], Path], model_file: Callable[[Kind], Path], kind: Kind
) -> None:
    generator = Generator.load(half_file(kind), device="cpu")
    assert generator.metadata.precision == "float16"
    drawn = generator.sample(100, seed=5)
    whole = Generator.load(model_file(kind), device="cpu").sample(100, seed=5)
    assert 0 < abs(drawn.astype(int) - whole.astype(int)).max() <= export.MOST_LEVELS["float16"]
    for size in (1, 7, 64):
        joined = np.concatenate(list(generator.iter_batches(100, seed=5, batch_size=size)))
        assert joined.tobytes() == drawn.tobytes(), f"batch size {size}"


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_shipped_models_in_half_stay_within_two_levels(tmp_path: Path, name: str) -> None:
    model = onnx.load(find(name))
    before = len(model.SerializeToString())
    float16.to_half(model)
    graph.check(model)
    onnx.save(model, tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.52 * before
    drawn = Generator.load(tmp_path / "half.onnx", device="cpu").sample(300, seed=0).astype(int)
    gap = abs(drawn - Generator.load(name, device="cpu").sample(300, seed=0))
    assert 0 < gap.max() <= 2
    assert gap.mean() < 0.1


def test_a_file_that_is_further_off_than_it_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(CONDITIONAL)
    monkeypatch.setitem(export.MOST_LEVELS, "float16", 0)
    metadata = dataclasses.replace(make_metadata(CONDITIONAL), precision="float16")
    with pytest.raises(ModelError, match="at most 0 may be at float16"):
        export.write(network, metadata, tmp_path / "off.onnx")
    assert list(tmp_path.glob("*.onnx")) == []


def test_a_weight_that_float16_cannot_hold_is_refused() -> None:
    model = onnx.load(find("digits"))
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    values = np.full(tensor.dims, 1e6, np.float32)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ModelError, match="too large for float16"):
        float16.to_half(model)


def test_a_graph_of_another_make_is_refused() -> None:
    nodes = [helper.make_node("Relu", ["latent"], ["image"])]
    value = helper.make_tensor_value_info
    inputs, outputs = [value("latent", 1, ["n", 4])], [value("image", 1, ["n", 4])]
    with pytest.raises(ModelError, match="mapping to pixels"):
        float16.to_half(helper.make_model(helper.make_graph(nodes, "other", inputs, outputs)))
