"""Exports a PyTorch network, with the lists of its inputs and outputs, to a checked ONNX model."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from gan_infer.conditions.spec import Free, Input, Side, Spec
from gan_infer.errors import ModelError
from gan_train.graphs.contract import check, strip
from gan_train.networks.deployment import Deployment
from gan_train.networks.pixels import fold

# Operators of 2022 are enough, and all runtimes since then have them.
OPSET: Final = 18
IR_VERSION: Final = 8
BATCH: Final = "batch"
# Optional inputs have one row of zeros in the graph, which serves a batch of any size.
BATCH_OR_1: Final = "batch_or_1"


def to_onnx(deployed: Deployment, name: str) -> tuple[onnx.ModelProto, tuple[Input, ...]]:
    """Return the ONNX model of a network, named and shaped by its lists, and the inputs that it has.

    An optional input that the network does not use is left out.

    Args:
        deployed: every array's first dimension is the batch, which is shared and free; `Free` sides
            are free within their bounds.
        name: of the graph.

    Raises:
        ModelError: the graph is not what the lists say, or breaks the contract or the ONNX checker's rules.
    """
    model = _trace(deployed)
    strip(model, name)
    model.ir_version = IR_VERSION
    _name_sides(model.graph, deployed)
    inputs = _settle_optional(model.graph, deployed.inputs)
    check(model)
    return model, inputs


class _Listed(nn.Module):
    """Calls a network with the tensors of a list: one form for networks of any signature."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tensors: list[Tensor]) -> Any:
        return self.network(*tensors)


def _trace(deployed: Deployment) -> onnx.ModelProto:
    batch = torch.export.Dim(BATCH)
    shapes = [{0: batch, **_free_sides(spec)} for spec in deployed.inputs]
    # The exporter prints to stdout and warns about its own internals; errors still get through.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            _Listed(fold(deployed.module)).eval(),
            ([_example(spec) for spec in deployed.inputs],),
            input_names=[spec.name for spec in deployed.inputs],
            output_names=[spec.name for spec in deployed.outputs],
            dynamic_shapes=(shapes,),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    return model


def describe_array(spec: Spec) -> str:
    """Return an array as people read it: "image uint8 [batch, 28, 28, 1]"."""
    sides = [
        f"{side.low}-{side.high}" if isinstance(side, Free) else str(side) for side in (BATCH, *spec.shape)
    ]
    return f"{spec.name} {spec.dtype} [{', '.join(sides)}]"


def example_side(side: Side) -> int:
    """Return a length that a side may have; not 1 for a free one, which the exporter would fix."""
    if isinstance(side, int):
        return side
    steps = range(side.low, side.high + 1, side.multiple)
    return next((step for step in steps[1:] if step > 1), steps[0])


def _example(spec: Spec) -> Tensor:
    sides = (2, *map(example_side, spec.shape))
    return torch.from_numpy(np.zeros(sides, np.dtype(spec.dtype)))


def _free_sides(spec: Spec) -> dict[int, Any]:
    """Return the free dimensions of an array, without the batch, for torch.export."""
    found = {}
    for place, side in enumerate(spec.shape, 1):
        if isinstance(side, Free) and side.low < side.high:
            step = side.multiple
            count = torch.export.Dim(_side_name(spec, place), min=-(-side.low // step), max=side.high // step)
            found[place] = step * count if step > 1 else count
    return found


def _side_name(spec: Spec, place: int) -> str:
    return f"{spec.name}_side_{place}"


def _name_sides(graph: onnx.GraphProto, deployed: Deployment) -> None:
    """Write the names, types and sides of the lists into the graph.

    Raises:
        ModelError: the graph has others.
    """
    for items, specs in ((graph.input, deployed.inputs), (graph.output, deployed.outputs)):
        wanted = [spec.name for spec in specs]
        if (found := [item.name for item in items]) != wanted:
            raise ModelError(f"the exported graph has {found} where its task says {wanted}; mend the task")
        for item, spec in zip(items, specs, strict=True):
            _name_array(item, spec)


def _name_array(item: onnx.ValueInfoProto, spec: Spec) -> None:
    array = item.type.tensor_type
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    sides = [side.dim_value or side.dim_param for side in array.shape.dim]
    fitting = len(sides) == 1 + len(spec.shape) and all(
        isinstance(wanted, Free) or found == wanted
        for found, wanted in zip(sides[1:], spec.shape, strict=True)
    )
    if array.elem_type != kind or not fitting or isinstance(sides[0], int):
        found = helper.tensor_dtype_to_string(array.elem_type).rpartition(".")[2].lower()
        raise ModelError(
            f"the exported graph has {spec.name} {found} {sides} where its task says {spec.dtype} "
            f"{[BATCH, *spec.shape]}; mend the task"
        )
    named: list[str | int] = [BATCH]
    for place, (side, found_side) in enumerate(zip(spec.shape, sides[1:], strict=True), 1):
        free = isinstance(side, Free) and isinstance(found_side, str)
        named.append(_side_name(spec, place) if free else int(found_side))
    item.CopyFrom(helper.make_tensor_value_info(spec.name, kind, named))


def _settle_optional(graph: onnx.GraphProto, inputs: Sequence[Input]) -> tuple[Input, ...]:
    """Give each optional input a row of zeros as its default; drop those that nothing uses.

    To a runtime an input that is also among the constants is optional. (onnxruntime warns of such inputs
    when it opens a file, since it cannot fold constants that depend on them; with a log_severity_level of
    3 it does not.)
    """
    used = {name for node in graph.node for name in node.input}
    left = tuple(spec for spec in inputs if not spec.optional or spec.name in used)
    for item in list(graph.input):
        spec = next((spec for spec in inputs if spec.name == item.name and spec.optional), None)
        if spec is None:
            continue
        if spec not in left:
            graph.input.remove(item)
            continue
        item.type.tensor_type.shape.dim[0].dim_param = BATCH_OR_1
        zeros = np.zeros((1, *map(example_side, spec.shape)), np.dtype(spec.dtype))
        graph.initializer.append(numpy_helper.from_array(zeros, spec.name))
    return left


__all__ = ["BATCH", "IR_VERSION", "OPSET", "check", "example_side", "to_onnx"]
