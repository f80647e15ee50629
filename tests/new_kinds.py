"""Kinds that the packages do not know, and small model files that use them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gan_infer.conditions.condition import Condition
from gan_infer.conditions.spec import Feed, Free, Input, Output
from gan_infer.errors import GanError, OptionError
from gan_infer.modelfile.metadata import KEY, CriticMetadata, Metadata

AGE = Input("age", "number", "float32", facts={"unit": "years", "low": 0, "high": 100})
FIELD = Input("field", "numbers", "float32", (Free(2, 8, 2),))
SIDE = 6


class Number(Condition):
    """A number with a unit and a range, float32 [batch]."""

    def __init__(self, inputs: Sequence[Input], model: str) -> None:
        (spec,) = inputs
        self.inputs = (spec,)
        self._low, self._high = float(spec.facts["low"]), float(spec.facts["high"])

    def encode(self, value: Any, count: int) -> Feed:
        each = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
        if len(each) not in (1, count):
            raise OptionError(f"{len(each)} ages were given for {count} pictures; give one, or one each")
        return self._feed([self._read(one) for one in each])

    def default(self, seeds: np.ndarray) -> Feed:
        share = (seeds % np.uint64(101)).astype(np.float64) / 100
        return self._feed(self._low + share * (self._high - self._low))

    def check(self, value: Any, count: int, item: str = "latent") -> Feed:
        array = np.asarray(value if value is not None else [], np.float32)
        if array.shape != (count,):
            raise OptionError(f"ages of shape {array.shape} were given; give {count} numbers, one a {item}")
        return self._feed(array)

    def blend(self, corners: Feed, legs: np.ndarray, rest: np.ndarray) -> Feed:
        ages = corners["age"].astype(np.float64)
        return self._feed(ages[legs] * (1 - rest) + ages[(legs + 1) % len(ages)] * rest)

    def describe(self, feed: Feed) -> tuple[float, ...]:
        return tuple(feed["age"].tolist())

    def _read(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not self._low <= number <= self._high:
            raise OptionError(f"age was {str(value)[:20]!r}; give years from {self._low:g} to {self._high:g}")
        return number

    def _feed(self, values: Any) -> Feed:
        return {"age": np.asarray(values, np.float32)}


class Numbers(Condition):
    """So many numbers as one likes, float32 [batch, free]."""

    def __init__(self, inputs: Sequence[Input], model: str) -> None:
        self.inputs = tuple(inputs)

    def encode(self, value: Any, count: int) -> Feed:
        return {"field": np.asarray([value], np.float32)}

    def default(self, seeds: np.ndarray) -> Feed:
        return {"field": np.zeros((len(seeds), 2), np.float32)}

    def check(self, value: Any, count: int, item: str = "latent") -> Feed:
        return {"field": np.asarray(value, np.float32)}

    def blend(self, corners: Feed, legs: np.ndarray, rest: np.ndarray) -> Feed:
        raise OptionError("between fields there is nothing; give one for all")

    def describe(self, feed: Feed) -> tuple[Any, ...]:
        return tuple(str(row.tolist()) for row in feed["field"])

    def missing(self) -> GanError:
        return OptionError("a latent chooses no field; give one")


def metadata(**others: Any) -> Metadata:
    """Return the metadata of a small generator of grey pictures, for a name of its own and other inputs."""
    inputs: Mapping[str, Any] = {"inputs": others.pop("inputs", ())}
    plain = Metadata("new", latent_dim=4, height=SIDE, width=SIDE, channels=1, **others)
    return dataclasses.replace(plain, inputs=(*plain.inputs, *inputs["inputs"]))


def write_pictures(path: Path, condition: Input, says: Metadata | None = None) -> Path:
    """Write a generator whose pictures depend on a latent and on the mean of one more input."""
    rng = np.random.default_rng(0)
    tensors = {
        "weight": rng.standard_normal((4, SIDE * SIDE), np.float32) * 40,
        "slope": np.full((1, SIDE * SIDE), 1.5, np.float32),
        "shape": np.array([-1, SIDE, SIDE, 1], np.int64),
        "column": np.array([-1, 1], np.int64),
        "low": np.array(0, np.float32),
        "high": np.array(255, np.float32),
    }
    own = helper.make_node("Reshape", [condition.name, "column"], ["own"])
    if condition.shape:
        own = helper.make_node("ReduceMean", [condition.name], ["own"], axes=[1], keepdims=1)
    says = says or metadata(inputs=(condition,))
    labels = [("label", TensorProto.INT64, ["batch"])] if says.class_names else []
    nodes = [
        own,
        helper.make_node("MatMul", ["own", "slope"], ["shift"]),
        helper.make_node("MatMul", ["latent", "weight"], ["drawn"]),
        helper.make_node("Add", ["drawn", "shift"], ["levels"]),
        helper.make_node("Reshape", ["levels", "shape"], ["picture"]),
        helper.make_node("Clip", ["picture", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["image"], to=TensorProto.UINT8),
    ]
    sides = [side if isinstance(side, int) else f"side{index}" for index, side in enumerate(condition.shape)]
    if labels:
        tensors["table"] = rng.standard_normal((len(says.class_names), 4), np.float32) * 3
        nodes.insert(0, helper.make_node("Gather", ["table", "label"], ["embedded"]))
        nodes.insert(1, helper.make_node("Add", ["latent", "embedded"], ["mixed"]))
        nodes[4].input[0] = "mixed"
    numbers = TensorProto.FLOAT
    inputs = [("latent", numbers, ["batch", 4]), *labels, (condition.name, numbers, ["batch", *sides])]
    made = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 1])
    return _write(path, nodes, inputs, made, tensors, says)


def write_sounds(path: Path, samples: int = 50) -> Path:
    """Write a generator of float32 [batch, samples]."""
    tensors = {"weight": np.random.default_rng(1).standard_normal((4, samples), np.float32)}
    nodes = [
        helper.make_node("MatMul", ["latent", "weight"], ["loud"]),
        helper.make_node("Tanh", ["loud"], ["audio"]),
    ]
    made = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", samples])
    output = Output("audio", "audio", "float32", (samples,), {"sample_rate": 8000})
    says = Metadata("sounds", latent_dim=4, outputs=(output,))
    inputs = [("latent", TensorProto.FLOAT, ["batch", 4])]
    return _write(path, nodes, inputs, made, tensors, says)


def write_critic(path: Path, class_names: tuple[str, ...] = ()) -> Path:
    """Write a critic of grey pictures whose realness is age / 100, of class k to the power of 1 / (k + 1)."""
    powers = np.array([1 / (index + 1) for index in range(len(class_names))] or [1], np.float32)
    tensors = {"hundred": np.array(100, np.float32), "nothing": np.array(0, np.float32), "powers": powers}
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["none"]),
        helper.make_node("Div", ["age", "hundred"], ["share"]),
        helper.make_node("Add", ["share", "none"], ["sum"]),
        helper.make_node("Gather", ["powers", "label"], ["power"]),
        helper.make_node("Pow", ["sum", "power"], ["realness"]),
    ]
    if not class_names:
        nodes[5:] = [helper.make_node("Mul", ["sum", "powers"], ["realness"])]
    plain = CriticMetadata("new", SIDE, SIDE, 1, class_names)
    says = dataclasses.replace(plain, inputs=(*plain.inputs, AGE))
    labels = [("label", TensorProto.INT64, ["batch"])] if class_names else []
    inputs = [
        ("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 1]),
        *labels,
        ("age", TensorProto.FLOAT, ["batch"]),
    ]
    made = helper.make_tensor_value_info("realness", TensorProto.FLOAT, ["batch"])
    return _write(path, nodes, inputs, made, tensors, says)


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, list[Any]]],
    output: onnx.ValueInfoProto,
    tensors: Mapping[str, np.ndarray],
    says: Metadata | CriticMetadata,
) -> Path:
    ends = [helper.make_tensor_value_info(*end) for end in inputs]
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "generator", ends, [output], initializers)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    helper.set_model_props(model, {KEY: says.to_json()})
    onnx.save(model, path)
    return path
