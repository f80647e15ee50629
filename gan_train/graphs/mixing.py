"""Adds to an existing graph the optional input for mixing classes.

This is for files of earlier versions and of other tools: new exports mix by their own module.

`label_weights` float32 [batch or 1, classes] is among the graph's inputs and, as zeros [1, classes],
among its initializers: a runtime that is not fed with it uses the zeros, which mean "use `label`", and
lists such inputs apart from those that are required. A row that is not all zeros
stands for the weighted mean of the classes' embeddings (or of their one-hot vectors, or of their
scales and shifts of a normalisation).

onnxruntime warns of such inputs when it opens a file (they prevent the folding of constants, of which
none depend on this one); a session whose log_severity_level is 3 does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gan_infer.conditions.spec import CLASS, Input

NAME: Final = "label_weights"


def describe_input(classes: int) -> Input:
    """Return the optional input for a file's list of inputs."""
    return Input(NAME, CLASS, "float32", (classes,), {"of": "label"}, optional=True)


def add_mixing(model: onnx.ModelProto, classes: int) -> bool:
    """Add the input in place, where every use of `label` is a lookup that can be mixed.

    Plain labels take the same way as before: their rows are picked, not computed, so that pictures
    stay the same to the bit on any device.

    Returns:
        True if the graph now has the input; False if it stays as it was, because it is
        unconditional or built in another way.
    """
    graph = model.graph
    if any(item.name == NAME for item in graph.input):
        return True
    uses = [node for node in graph.node if "label" in node.input]
    lookups = [_rows(graph, node, classes) for node in uses]
    if classes == 0 or not uses or any(lookup is None for lookup in lookups):
        return False
    used, nodes = f"{NAME}_given", list(graph.node)
    for lookup in lookups:
        assert lookup is not None
        last, table = lookup
        value = last.output[0]
        last.output[0] = f"{value}_plain"
        mixed, extra = NAME, []
        if table:
            mixed = f"{value}_mixed"
            extra.append(helper.make_node("MatMul", [NAME, table], [mixed], f"{value}_mix"))
        extra.append(helper.make_node("Where", [used, mixed, last.output[0]], [value], f"{value}_choose"))
        at = next(index for index, node in enumerate(nodes) if node.output[0] == last.output[0]) + 1
        nodes[at:at] = extra
    axes = [numpy_helper.from_array(np.array([1], np.int64), f"{NAME}_axis")]
    most = helper.make_node("ReduceMax", [NAME, axes[0].name], [f"{NAME}_most"], f"{NAME}_reduce")
    if any(item.domain == "" and item.version < 18 for item in model.opset_import):  # axes as they were then
        most, axes = helper.make_node("ReduceMax", [NAME], [f"{NAME}_most"], f"{NAME}_reduce", axes=[1]), []
    first = [
        most,
        helper.make_node("Cast", [f"{NAME}_most"], [used], f"{NAME}_cast", to=onnx.TensorProto.BOOL),
    ]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in (*first, *nodes)]
    del graph.node[:]
    graph.node.extend(copies)
    graph.initializer.extend([*axes, numpy_helper.from_array(np.zeros((1, classes), np.float32), NAME)])
    graph.input.append(helper.make_tensor_value_info(NAME, onnx.TensorProto.FLOAT, ["batch_or_1", classes]))
    return True


def _rows(graph: onnx.GraphProto, node: onnx.NodeProto, classes: int) -> tuple[onnx.NodeProto, str] | None:
    """Return the node whose output is a row per label, and its table ("": one-hot)."""
    if node.op_type == "Gather" and node.input[1] == "label" and _attribute(node, "axis", 0) == 0:
        table = next((item for item in graph.initializer if item.name == node.input[0]), None)
        right = (
            table is not None
            and table.data_type == onnx.TensorProto.FLOAT
            and len(table.dims) == 2
            and table.dims[0] == classes
        )
        return (node, node.input[0]) if right else None
    return _one_hot(graph, node, classes)


def _one_hot(graph: onnx.GraphProto, node: onnx.NodeProto, classes: int) -> tuple[onnx.NodeProto, str] | None:
    """Return the last node of "one-hot of `label`, as floats", written as one operator or as a comparison."""
    compared = node.op_type == "OneHot" and _attribute(node, "axis", -1) in (1, -1)
    for _ in range(4):
        after = [other for other in graph.node if node.output[0] in other.input]
        if len(after) != 1:
            return None
        node = after[0]
        if node.op_type == "Equal":
            indices = next((item for item in graph.initializer if item.name in node.input), None)
            if indices is None or numpy_helper.to_array(indices).tolist() != list(range(classes)):
                return None
            compared = True
        elif node.op_type != "Cast" or not compared:
            return None
        elif _attribute(node, "to", 0) == onnx.TensorProto.FLOAT:
            return node, ""
    return None


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(item.i) for item in node.attribute if item.name == name), default)
