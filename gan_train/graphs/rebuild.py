"""Rebuilds a foreign graph, by the plan that says how to read it, as a graph of the contract.

    latent [batch, z] -> the file's type and shape -> its operators -> range, rounding, pixel values -> image
    conditions        -> the file's type and form  ->

Every name inside is new, so that no trace of the exporting machine stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gan_infer.modelfile.foreign.plan import Plan
from gan_train.graphs.versions import opset_of

BATCH: Final = "batch"
_FLOAT: Final = TensorProto.FLOAT
# Operators whose result has a shape that one of their inputs gives, and the index of that input.
_SHAPED_BY: Final = {"Reshape": 1, "Expand": 1, "Resize": 3}


@dataclasses.dataclass(frozen=True)
class Entry:
    """How an input of ours enters an input of the file's.

    Attributes:
        input: our input.
        enters: the file's input.
        build: adds the operators between; returns the name of the value for the file's input.
    """

    input: onnx.ValueInfoProto
    enters: str
    build: Callable[[Builder], str]


class Builder:
    """Collects nodes and tensors under new names."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._made = 0

    def tensor(self, value: Any, stem: str) -> str:
        """Add a tensor; return its name."""
        name = f"{self._prefix}_{stem}_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add an operator with one output; return its name."""
        self._made += 1
        output = output or f"{self._prefix}_{op.lower()}_{self._made}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], f"{output}_node", **attributes))
        return output


def rebuild(model: onnx.ModelProto, plan: Plan, conditions: Sequence[Entry] = ()) -> onnx.ModelProto:
    """Return a model by the contract that draws what the plan draws of a foreign one.

    A batch that the file fixes is freed where shapes name it; the caller compares the pictures.

    Args:
        conditions: how inputs beside the latent enter.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    keep_needed(model.graph, [plan.output])
    front, back = Builder("enter"), Builder("leave")
    entering = {plan.latent_input: _latent(front, plan)}
    entering.update({each.enters: each.build(front) for each in conditions})
    for name, constant in plan.constants.items():
        entering[name] = _constant(front, constant.value, constant.shape, plan.batch)
    picture = _rename(model.graph, entering, plan.output)
    if plan.batch is not None:
        _free_batch(model.graph, plan.batch, front)
    _image(back, plan, picture, _read_declared(model.graph, plan.output))
    latent = helper.make_tensor_value_info("latent", _FLOAT, [BATCH, plan.latent_dim])
    inputs = [latent, *(each.input for each in conditions)]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [BATCH, *plan.image_shape])
    graph = helper.make_graph(
        [*front.nodes, *model.graph.node, *back.nodes],
        "generator",
        inputs,
        [image],
        [*front.tensors, *model.graph.initializer, *back.tensors],
    )
    keep_needed(graph, ["image"])
    opset = helper.make_opsetid("", opset_of(model))
    return helper.make_model(graph, opset_imports=[opset], ir_version=model.ir_version)


def keep_needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> None:
    """Drop the operators and tensors that outputs do not need."""
    needed, kept = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for items in (graph.initializer, graph.output):
        for item in [item for item in items if item.name not in needed]:
            items.remove(item)


def _free_batch(graph: onnx.GraphProto, batch: int, front: Builder) -> None:
    """Let operators that reshape values to a fixed batch accept any batch."""
    values = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            values[node.output[0]] = node.attribute[0].t
    for node in graph.node:
        place = _SHAPED_BY.get(node.op_type, len(node.input))
        if place >= len(node.input) or node.input[place] not in values:
            continue
        sides = numpy_helper.to_array(values[node.input[place]]).reshape(-1).tolist()
        if not sides or sides[0] != batch:
            continue
        if node.op_type != "Reshape":
            node.input[place] = _with_batch(front, sides[1:])
        elif -1 not in sides:
            node.input[place] = front.tensor(np.array([-1, *sides[1:]], np.int64), "free")


def _with_batch(front: Builder, sides: Sequence[int]) -> str:
    """Return the name of a shape [batch, *sides]."""
    size = front.node("Shape", ["latent"])
    first = front.node("Gather", [size, front.tensor([0], "first")])
    return front.node("Concat", [first, front.tensor(np.array(sides, np.int64), "sides")], axis=0)


def _rename(graph: onnx.GraphProto, entering: dict[str, str], output: str) -> str:
    """Give all values, tensors and operators new names; return the name of the output."""
    names = {**entering, "": ""}
    for tensor in graph.initializer:
        names[tensor.name] = tensor.name = f"weight_{len(names)}"
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for index, node in enumerate(graph.node):
        node.input[:] = [names[name] for name in node.input]
        for name in node.output:
            names.setdefault(name, f"value_{len(names)}")
        node.output[:] = [names[name] for name in node.output]
        node.name, node.doc_string = f"{node.op_type}_{index}", ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            attribute.doc_string = ""
            if attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.name = attribute.t.doc_string = ""
                del attribute.t.metadata_props[:]
    return names[output]


def _latent(front: Builder, plan: Plan) -> str:
    kind, value = helper.np_dtype_to_tensor_dtype(np.dtype(plan.latent_type)), "latent"
    if kind != _FLOAT:
        value = front.node("Cast", [value], to=kind)
    if len(plan.latent_shape) > 1:
        value = front.node("Reshape", [value, front.tensor([-1, *plan.latent_shape], "latent_shape")])
    return value


def _constant(front: Builder, value: Any, shape: tuple[int | None, ...], batch: int | None) -> str:
    """Add an input that stays constant, once for every picture if its first side is the batch."""
    name = front.tensor(value, "constant")
    fixed_batch = len(shape) > 1 and shape[0] == batch and value.shape[0] == 1
    if shape[:1] == (None,) or fixed_batch:
        return front.node("Expand", [name, _with_batch(front, [side or 0 for side in shape[1:]])])
    if value.shape != shape:
        return front.node("Expand", [name, front.tensor(np.array(shape, np.int64), "sides")])
    return name


def _read_declared(graph: onnx.GraphProto, output: str) -> tuple[int, tuple[int, ...]]:
    """Return the type of an output, and its sides but the first, 0 for free ones."""
    end = next(item for item in graph.output if item.name == output).type.tensor_type
    return end.elem_type, tuple(side.dim_value for side in end.shape.dim[1:])


def _image(back: Builder, plan: Plan, value: str, declared: tuple[int, tuple[int, ...]]) -> None:
    """Add the operators that turn the file's output into pixel values, in the order of `to_pixels`."""
    kind, sides = declared
    if sides != plan.picture:
        value = back.node("Reshape", [value, back.tensor([-1, *plan.picture], "picture")])
    if plan.value_range is not None:
        low, high = plan.value_range
        if kind != _FLOAT:
            value = back.node("Cast", [value], to=_FLOAT)
        # Clipped first: a product right after a convolution would be folded into its weights.
        ends = [back.tensor(np.float32(end), "end") for end in (low, high)]
        value = back.node("Clip", [value, *ends])
        if low:
            value = back.node("Add", [value, back.tensor(np.float32(-low), "shift")])
        factor = np.float32(255.0 / (high - low))
        if factor != 1:
            value = back.node("Mul", [value, back.tensor(factor, "scale")])
        value = back.node("Cast", [back.node("Round", [value])], to=TensorProto.UINT8)
    if plan.channels_last:
        back.node("Identity", [value], "image")
    else:
        back.node("Transpose", [value], "image", perm=[0, 2, 3, 1])
