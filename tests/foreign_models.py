"""Small generators as other tools write them: dense layers with inputs and an output of any form."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Side = str | int

FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE
INT64, INT32, UINT8, BOOL = TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.BOOL


@dataclasses.dataclass(frozen=True)
class Made:
    """What a test file is made of.

    Attributes:
        inputs: name -> type and shape.
        tables: name -> how many classes an input is looked up in; the others go through a matrix.
        output: the shape of a picture's values, the batch aside.
        batch: what stands for the first side of the output.
    """

    inputs: dict[str, tuple[int, tuple[Side, ...]]]
    tables: dict[str, int] = dataclasses.field(default_factory=dict)
    output: tuple[int, ...] = (3, 6, 5)
    batch: Side = "n"
    kind: int = FLOAT
    last: str = "Tanh"
    others: tuple[str, ...] = ()
    opset: int = 18

    @property
    def values(self) -> int:
        return math.prod(self.output)


def weights(made: Made) -> dict[str, np.ndarray]:
    """Return a matrix [k, values] or table [classes, values] for each input."""
    rng, found = np.random.default_rng(4), {}
    for name, (_, shape) in made.inputs.items():
        rows = made.tables.get(name) or math.prod(side for side in shape[1:] if isinstance(side, int))
        found[name] = rng.normal(0, 1.2 / max(1, rows) ** 0.5, (rows, made.values)).astype(np.float32)
    return found


def expected(made: Made, **given: np.ndarray) -> np.ndarray:
    """Return the output that a file gives, float32 [n, *output], of arrays as its inputs take them."""
    total: Any = 0.0
    for name, matrix in weights(made).items():
        array = np.asarray(given[name])
        if name in made.tables:
            total = total + matrix[array.reshape(-1).astype(int)]
        else:
            total = total + array.astype(np.float32).reshape(-1, len(matrix)) @ matrix
    bounded = {"Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x))}[made.last](total)
    return np.asarray(bounded, np.float32).reshape(-1, *made.output)


def write(path: Path, made: Made) -> Path:
    """Write the file."""
    constants: dict[str, np.ndarray] = {"shape": np.array([-1, *made.output])}
    nodes, rows = [], []
    for name, matrix in weights(made).items():
        constants[f"w {name}"] = matrix
        if name in made.tables:
            constants["flat"] = np.array([-1])
            nodes.append(helper.make_node("Cast", [name], [f"{name} whole"], to=INT64))
            nodes.append(helper.make_node("Reshape", [f"{name} whole", "flat"], [f"{name} flat"]))
            nodes.append(helper.make_node("Gather", [f"w {name}", f"{name} flat"], [f"{name} rows"]))
        elif len(matrix):
            constants[f"k {name}"] = np.array([-1, len(matrix)])
            nodes.append(helper.make_node("Cast", [name], [f"{name} float"], to=FLOAT))
            nodes.append(helper.make_node("Reshape", [f"{name} float", f"k {name}"], [f"{name} flat"]))
            nodes.append(helper.make_node("MatMul", [f"{name} flat", f"w {name}"], [f"{name} rows"]))
        else:
            continue
        rows.append(f"{name} rows")
    for index, name in enumerate(rows[1:]):
        nodes.append(
            helper.make_node("Add", [rows[0] if not index else f"sum {index}", name], [f"sum {index + 1}"])
        )
    nodes.append(helper.make_node(made.last, [f"sum {len(rows) - 1}" if rows[1:] else rows[0]], ["bounded"]))
    nodes.append(helper.make_node("Reshape", ["bounded", "shape"], ["shaped"]))
    nodes.append(helper.make_node("Cast", ["shaped"], ["picture"], to=made.kind))
    outputs = [helper.make_tensor_value_info("picture", made.kind, [made.batch, *made.output])]
    for name in made.others:
        nodes.append(helper.make_node("Identity", ["bounded"], [name]))
        outputs.append(helper.make_tensor_value_info(name, FLOAT, [made.batch, made.values]))
    inputs = [helper.make_tensor_value_info(name, *end) for name, end in made.inputs.items()]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items() if array.size]
    graph = helper.make_graph(nodes, "made", inputs, outputs, tensors)
    opset = helper.make_opsetid("", made.opset)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path
