"""Graphs of one or two operators, made from seeds, and a process that runs each in a fork with limits.

What an operator takes is drawn about right, and now and then at the edges: negative, none, huge, of
another rank or type. Operators off the vetting's list are drawn as well.
"""

# ruff: noqa: E501, PLR0911, PLR0912  (a table of what operators take)
from __future__ import annotations

import dataclasses
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gan_infer.modelfile.safety import compute_ops
from gan_infer.modelfile.safety import shape_ops as places

BATCH = 16
MIB = 2**20
EDGES = [
    -(2**63),
    -(2**62),
    -(2**31),
    -65,
    -2,
    -1,
    0,
    1,
    2,
    5,
    64,
    2**16,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    2**63 - 1,
]
KINDS = [TensorProto.FLOAT] * 6 + [
    TensorProto.FLOAT16,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.INT32,
]
KINDS += [TensorProto.BOOL, TensorProto.UINT8, TensorProto.BFLOAT16]

UNARY = [
    "Abs",
    "Acos",
    "Asinh",
    "Atan",
    "BitwiseNot",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Size",
    "Shape",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
    "Flatten",
    "Transpose",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    "ArgMax",
    "ArgMin",
    "Dropout",
    "Squeeze",
    "Cast",
    "DepthToSpace",
    "SpaceToDepth",
    "MaxPool",
    "AveragePool",
    "LpPool",
    "LRN",
    "NonZero",
]
BINARY = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Pow",
    "Max",
    "Min",
    "Mean",
    "Sum",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "PRelu",
    "BitwiseAnd",
    "BitwiseXor",
    "MatMul",
    "Concat",
    "CastLike",
]
REDUCTIONS = [
    f"Reduce{name}"
    for name in ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
]
SIZED = [
    "ConstantOfShape",
    "Expand",
    "Reshape",
    "Tile",
    "Range",
    "Resize",
    "Pad",
    "OneHot",
    "Slice",
    "Split",
    "Unsqueeze",
    "Upsample",
    "TopK",
    "CumSum",
]
OTHERS = [
    "Conv",
    "ConvTranspose",
    "Gemm",
    "Einsum",
    "Where",
    "Gather",
    "GatherElements",
    "GatherND",
    "ScatterElements",
    "ScatterND",
    "BatchNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "GridSample",
    "QuantizeLinear",
    "DequantizeLinear",
    "Constant",
]
TAKEN = {**compute_ops.FORMS, **places.FORMS}
EQUATIONS = [
    "ab,cd->abcd",
    "ab,ac->abc",
    "ab,ac->bc",
    "abc,ad->d",
    "aa,ab->b",
    "ab,bc,cd->ad",
    "ab->ba",
    "ab,ab->",
]


class Maker:
    """Draws one graph."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.opset = self.rng.choice(
            [7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 18, 18, 18, 20, 21, 22, 23, 24, 25]
        )
        self.tensors: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.count = 0
        # Half of all graphs are meant to be right.
        self.wild = self.rng.choice([0.0, 0.0, 0.5, 1.5])

    def odd(self, chance: float = 0.08) -> bool:
        return self.rng.random() < chance

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def held(self, array: Any, kind: int | None = None) -> str:
        """Put a tensor into the file, among the inputs too now and then; give its name."""
        name = self.name("t")
        if kind == TensorProto.BFLOAT16:
            tensor = helper.make_tensor(
                name, kind, np.shape(array), np.asarray(array, float).reshape(-1).tolist()
            )
        else:
            kinds = {} if kind is None else {"dtype": helper.tensor_dtype_to_np_dtype(kind)}
            tensor = numpy_helper.from_array(np.asarray(array, **kinds), name)
        if self.odd(0.1):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.tensors.append(tensor)
        return name

    def side(self) -> int:
        return self.rng.choice([1, 1, 2, 3, 4, 4, 5, 7, 8, 8, 16, 33])

    def shape(self, rank: int | None = None) -> list[int]:
        rank = self.rng.choice([0, 1, 2, 2, 3, 4, 4, 4, 5]) if rank is None else rank
        sides = [self.side() for _ in range(rank)]
        if rank and self.odd(0.08 * self.wild):
            sides[self.rng.randrange(rank)] = self.rng.choice([0, 256, 2048])
        return sides

    def kind(self) -> int:
        return self.rng.choice(KINDS) if self.odd(0.4 * self.wild) else TensorProto.FLOAT

    def data(self, shape: list[int] | None = None, kind: int | None = None) -> str:
        """Return a value: an input of the model, a tensor in the file, or one that is filled on loading."""
        shape = self.shape() if shape is None else shape
        kind = self.kind() if kind is None else kind
        how = self.rng.random()
        if 0.5 < how < 0.6 and kind == TensorProto.FLOAT and shape:
            return self.grown(shape)
        if how < 0.5:
            name = self.name("x")
            free = shape and self.rng.random() < 0.7
            sides = ["n", *shape[1:]] if free else shape
            self.inputs.append(helper.make_tensor_value_info(name, kind, sides))
            return name
        size = int(np.prod(shape))
        if how < 0.8 and size <= 10_000:
            return self.held(np.arange(size).reshape(shape) % 3, kind)
        if self.odd(0.5) and shape:
            shape = [side * self.rng.choice([1, 1, 1, 8, 64]) for side in shape]
        name, fill = self.name("f"), numpy_helper.from_array(np.ones(1, np.float32))
        if kind not in (TensorProto.BFLOAT16, TensorProto.FLOAT):
            fill = numpy_helper.from_array(np.ones(1, helper.tensor_dtype_to_np_dtype(kind)))
        self.nodes.append(
            helper.make_node("ConstantOfShape", [self.held(np.array(shape, np.int64))], [name], value=fill)
        )
        return name

    def grown(self, shape: list[int]) -> str:
        """Return a value of a shape whose last sides are made large, all for one picture of the batch."""
        name, large = self.name("x"), self.name("g")
        wanted = shape[:]
        wanted[-1] *= self.rng.choice([1, 4, 64])
        wanted[-2:-1] = [side * self.rng.choice([1, 16, 100]) for side in wanted[-2:-1]]
        self.inputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *[1] * (len(shape) - 1)])
        )
        sizes = self.held(np.array([1, *wanted[1:]], np.int64))
        self.nodes.append(helper.make_node("Expand", [name, sizes], [large]))
        return large

    def whole(self, *sane: int) -> int:
        return self.rng.choice(EDGES) if self.odd(0.12 * self.wild) else self.rng.choice(sane)

    def ints(self, length: int, *sane: int) -> str:
        """Return small integers, often in the file, at times reckoned by an operator or given by the caller."""
        if self.odd(0.08 * self.wild):
            length = self.rng.choice([0, 1, length + 1, max(0, length - 1)])
        values = np.array([self.whole(*sane) for _ in range(length)], np.int64)
        if self.odd(0.03 * self.wild):
            return self.data([length], TensorProto.INT64)
        if self.odd(0.35):
            return self.reckoned(values)
        return self.held(values if length != 1 or self.odd(0.7) else values[0])

    def reckoned(self, values: np.ndarray) -> str:
        """Return integers that an operator makes, of these or of an input's shape."""
        rng, out = self.rng, self.name("r")
        a, b = self.held(values), self.held(np.array([self.whole(1, 2, 3, 8) for _ in values], np.int64))
        shape, told = self.data(self.shape(rng.randint(1, 4)), TensorProto.FLOAT), self.name("s")
        one = self.held(np.array([self.whole(0, 0, 1, -1)], np.int64))
        op = rng.choice(
            ["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Max3", "Min3", "Abs", "Neg", "Slice", "SliceBack", "Cast", "Squeeze", "ReduceProd", "ReduceSum", "Where", "Shape", "ShapeMul", "ShapeGather", "Concat", "Expand", "Tile", "Identity", "CumSum", "Sign", "Pow", "Clip", "Reshape"]
        )  # fmt: skip
        plain = {"Add": [a, b], "Sub": [a, b], "Mul": [a, b], "Div": [a, b], "Mod": [a, b], "Max": [a, b], "Min": [a, b],
                 "Abs": [a], "Neg": [a], "Identity": [a], "Sign": [a], "Pow": [a, b], "CumSum": [a, self.held(np.int64(0))]}  # fmt: skip
        nodes: list[Any] = []
        if op in plain:
            nodes = [(op, plain[op], {})]
        elif op in ("Max3", "Min3"):
            nodes = [(op[:3], [a, b, self.held(np.array([self.whole(1, 2)], np.int64))], {})]
        elif op.startswith("Slice"):
            step = self.held(np.array([self.whole(-1, -1, 1) if op == "SliceBack" else 1], np.int64))
            nodes = [
                (
                    "Slice",
                    [
                        a,
                        one,
                        self.held(np.array([self.whole(1, 2, -1)], np.int64)),
                        self.held(np.array([0])),
                        step,
                    ],
                    {},
                )
            ]
        elif op == "Cast":
            middle = self.name("c")
            nodes = [
                ("Cast", [a], {"to": rng.choice([1, 6, 7, 9, 10, 16])}, middle),
                ("Cast", [middle], {"to": 7}),
            ]
        elif op == "Squeeze":
            nodes = [("Squeeze", [a, self.held(np.zeros(rng.choice([0, 0, 1]), np.int64))], {})]
        elif op.startswith("Reduce"):
            nodes = [(op, [a], {"keepdims": rng.choice([0, 1])})]
        elif op == "Where":
            nodes = [("Equal", [a, b], {}, told), ("Where", [told, a, b], {})]
        elif op.startswith("Shape"):
            nodes = [("Shape", [shape], {}, told)]
            last = {
                "Shape": ("Identity", [told], {}),
                "ShapeMul": ("Mul", [told, one], {}),
                "ShapeGather": ("Gather", [told, one], {}),
            }
            nodes.append(last[op])
        elif op == "Concat":
            nodes = [("Shape", [shape], {}, told), ("Concat", [told, a], {"axis": 0})]
        elif op in ("Expand", "Tile", "Reshape"):
            nodes = [(op, [a, one], {})]
        else:
            nodes = [("Clip", [a, self.held(np.int64(0)), self.held(np.int64(self.whole(4)))], {})]
        for each in nodes:
            kind, given, attributes, *to = each
            self.nodes.append(helper.make_node(kind, given, to or [out], **attributes))
        return out

    # Operators.

    def add(self, op: str, first: str | None = None, rank: int = 4) -> str:
        """Add an operator, on an earlier result if there is one; give its first result."""
        shape = self.shape()
        given, attributes = self.arguments(op, first, shape)
        if self.odd(0.03 * self.wild):
            given = given[: self.rng.randrange(len(given) + 1)]
        if self.odd(0.03 * self.wild):
            attributes["surplus"] = 1
        outputs = [self.name("y") for _ in range(self.outputs(op))]
        self.nodes.append(helper.make_node(op, given, outputs, **attributes))
        return outputs[0]

    def outputs(self, op: str) -> int:
        if op == "Split":
            return self.rng.choice([1, 2, 2, 3])
        return 2 if op in ("TopK", "MaxPool", "Dropout") and self.odd(0.3) else 1

    def arguments(self, op: str, first: str | None, shape: list[int]) -> tuple[list[str], dict[str, Any]]:
        rng = self.rng
        if op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "LRN"):
            return self.window(op, first)
        if op in SIZED or op in OTHERS:
            return getattr(self, "_sized" if op in SIZED else "_other")(op, first, shape)
        x = first or self.data(shape, TensorProto.BOOL if op in ("Not", "And", "Or", "Xor") else None)
        if op in BINARY:
            other = shape[:]
            if op == "MatMul":
                other = [*shape[:-2], shape[-1] if shape else 1, self.side()]
            elif self.odd(0.5) and other:
                other[rng.randrange(len(other))] = 1
            kind = TensorProto.BOOL if op in ("And", "Or", "Xor") else None
            x = first or self.data(shape, kind)
            more = [self.data(other, kind or (TensorProto.FLOAT if first else self.kind_of(x)))]
            more += (
                [self.data(shape[-1:], kind)]
                if op in ("Max", "Min", "Sum", "Mean", "Concat") and self.odd(0.3)
                else []
            )
            return [x, *more], {"axis": self.whole(0, 1, -1)} if op == "Concat" else {}
        if op in REDUCTIONS:
            attributes: dict[str, Any] = {"keepdims": rng.choice([0, 1])} if self.odd(0.6) else {}
            if self.odd(0.15):
                attributes["noop_with_empty_axes"] = 1
            if self.odd(0.5) and self.opset < 18:
                attributes["axes"] = [self.whole(0, 1, -1)]
                return [x], attributes
            return [x, self.ints(rng.choice([0, 1, 1, 2]), 0, 1, -1, 2)] if self.odd(0.6) else [x], attributes
        return [x], self.attributes(op)

    def kind_of(self, name: str) -> int:
        for item in self.inputs:
            if item.name == name:
                return int(item.type.tensor_type.elem_type)
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor.data_type
        return TensorProto.FLOAT

    def attributes(self, op: str) -> dict[str, Any]:
        rng = self.rng
        if op in ("Softmax", "LogSoftmax", "LpNormalization", "ArgMax", "ArgMin", "Flatten"):
            return {"axis": self.whole(0, 1, 2, -1)}
        if op == "Transpose":
            order = list(range(rng.choice([2, 3, 4])))
            rng.shuffle(order)
            return {"perm": [self.whole(place) for place in order]} if self.odd(0.7) else {}
        if op == "Cast":
            return {"to": self.whole(1, 2, 6, 7, 9, 10, 11, 16)}
        if op in ("DepthToSpace", "SpaceToDepth"):
            return {"blocksize": self.whole(1, 2, 2, 4)}
        if op in ("LeakyRelu", "Elu", "Celu", "ThresholdedRelu"):
            return {"alpha": rng.choice([0.2, -1.0, 1e30, float("nan")])}
        if op == "Shape" and self.odd(0.3):
            return {"start": self.whole(0, 1, -1), "end": self.whole(1, 2, -1)}
        return {}

    def window(self, op: str, first: str | None) -> tuple[list[str], dict[str, Any]]:
        rng = self.rng
        rank = rng.choice([1, 2, 2, 2, 2, 3, 4])
        groups, wide = self.whole(1, 1, 1, 2, 4), rng.choice([1, 1, 2, 3, 16])
        channels = rng.choice([1, 2, 4, 4, 8, 64])
        sides = [rng.choice([1, 4, 5, 8, 16, 64, 200]) for _ in range(rank)]
        kernel = [self.whole(1, 2, 3, 3, 4, 5) for _ in range(rank)]
        if op in ("Conv", "ConvTranspose"):
            small = [min(max(side, 1), 64) for side in kernel]
            right = min(max(groups, 1), 64)
            filters = [wide * right, max(1, channels // right)] if op == "Conv" else [channels, wide]
            size = int(np.prod([*filters, *small]))
            attributes: dict[str, Any] = {"group": groups} if groups != 1 or self.odd() else {}
            weights = (
                self.held(np.ones([*filters, *small], np.float32))
                if size <= 50_000
                else self.data([*filters, *small], 1)
            )
            given = [first or self.data([1, channels, *sides], 1), weights]
            if self.odd(0.4):
                given.append(self.held(np.ones(filters[0] if op == "Conv" else wide * right, np.float32)))
            if self.odd(0.3):
                attributes["kernel_shape"] = kernel
        elif op == "LRN":
            return [first or self.data([1, channels, *sides], 1)], {"size": self.whole(1, 3, 5)}
        else:
            given, attributes = [first or self.data([1, channels, *sides], 1)], {"kernel_shape": kernel}
        for name, length, sane in (
            ("strides", rank, (1, 1, 2, 2, 3, 64, 1000)),
            ("dilations", rank, (1, 1, 2, 3)),
            ("pads", 2 * rank, (0, 0, 1, 1, 2, 100)),
            ("output_padding", rank if op == "ConvTranspose" else 0, (0, 0, 1, 3)),
            ("output_shape", rank if op == "ConvTranspose" and self.odd(0.1) else 0, (1, 8, 100, 4000)),
        ):
            if length and self.odd(0.4):
                value = self.whole(*sane)
                attributes[name] = [value if self.odd(0.6) else self.whole(*sane) for _ in range(length)]
        if self.odd(0.15):
            attributes["auto_pad"] = rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "other"])
        if op.endswith("Pool") and self.odd(0.2):
            attributes[rng.choice(["ceil_mode", "count_include_pad", "storage_order"])] = 1
        return given, attributes

    def _sized(self, op: str, first: str | None, shape: list[int]) -> tuple[list[str], dict[str, Any]]:
        rng, rank = self.rng, len(shape)
        x = first or self.data(shape)
        if op == "ConstantOfShape":
            return [self.ints(rng.choice([1, 2, 3]), 1, 4, 64, 500, 1000)], {}
        if op == "Expand":
            return [x, self.ints(rank, *(shape or [1]), 1, 200)], {}
        if op == "Reshape":
            return [
                x,
                self.held(np.array([0, -1], np.int64))
                if self.odd(0.3)
                else self.ints(rng.choice([1, 2, 3, rank]), -1, -1, 0, 1, 2, 4, 8),
            ], {"allowzero": 1} if self.odd(0.2) and self.opset >= 14 else {}
        if op == "Tile":
            return [x, self.ints(rank, 1, 1, 2, 3, 100)], {}
        if op == "Range":
            return [
                self.held(np.int64(self.whole(0, 0, 1))),
                self.ints(1, 5, 1000, 10**6),
                self.held(np.int64(self.whole(1, 1, 2, -1))),
            ], {}
        if op == "OneHot":
            return [
                self.data(rng.choice([[1], [1, 3]]), TensorProto.INT64),
                self.ints(1, 2, 10, 1000),
                self.held(np.array([0, 1], np.float32)),
            ], {"axis": self.whole(-1, 0, 1)} if self.odd(0.4) else {}
        if op == "Slice":
            if self.opset < 10:
                return [x], {
                    "starts": [self.whole(0, 1, -1)],
                    "ends": [self.whole(1, 2, -1, 2**31 - 1)],
                    "axes": [self.whole(0, 1)],
                }
            count = rng.choice([1, 1, 2])
            parts = [self.ints(count, 0, 1, -1), self.ints(count, 1, 2, -1, 2**62, -(2**62))]
            parts += [self.ints(count, 0, 1, 2, -1)] if self.odd(0.7) else []
            return [
                x,
                *parts,
                *([self.ints(count, 1, 1, 2, -1, -1)] if len(parts) == 3 and self.odd(0.5) else []),
            ], {}
        if op == "Split":
            axis = {"axis": self.whole(0, 1, -1)} if self.odd(0.7) else {}
            return (
                ([x, self.ints(2, 1, 2, 4)], axis)
                if self.odd(0.4) and self.opset >= 13
                else ([x], {**axis, "num_outputs": 2} if self.odd(0.5) and self.opset >= 18 else axis)
            )
        if op == "Unsqueeze":
            return (
                ([x, self.ints(1, 0, 1, -1)], {}) if self.opset >= 13 else ([x], {"axes": [self.whole(0, 1)]})
            )
        if op in ("TopK", "CumSum"):
            return [x, self.ints(1, 1, 2)], {}
        if op == "Pad":
            extra = {"mode": rng.choice(["constant", "edge", "reflect", "wrap"])} if self.odd(0.6) else {}
            if self.opset < 11:
                return [x], {**extra, "pads": [self.whole(0, 1, 2) for _ in range(2 * rank)]}
            more = [self.held(np.float32(1))] if self.odd(0.3) else []
            return [x, self.ints(2 * rank, 0, 0, 0, 1, 2, -1, 100), *more], extra
        # Resize and Upsample.
        mode = {"mode": rng.choice(["nearest", "linear", "cubic"])} if self.odd(0.8) else {}
        x = first or self.data([1, rng.choice([1, 3, 16]), *self.shape(rng.choice([1, 2, 2, 3]))], 1)
        length = (
            rank
            if first
            else next((len(i.type.tensor_type.shape.dim) for i in self.inputs if i.name == x), 4)
        )
        factors = [1.0, 1.0] + [
            rng.choice([0.5, 1.0, 1.5, 2.0, 2.0, 3.3, 300.0])
            if self.odd(0.9)
            else rng.choice([0.0, -1.0, 1e30, float("nan"), float("inf"), 1e-9])
            for _ in range(length - 2)
        ]
        if op == "Upsample":
            self.opset = 9 if self.odd(0.7) else self.opset
            return (
                ([x], {**mode, "scales": factors})
                if self.opset < 9
                else ([x, self.held(np.array(factors, np.float32))], mode)
            )
        if self.odd(0.5):
            mode["coordinate_transformation_mode"] = rng.choice(
                ["asymmetric", "half_pixel", "align_corners", "tf_crop_and_resize", "pytorch_half_pixel"]
            )
        if self.opset >= 18 and self.odd(0.1):
            mode["antialias"] = 1
        if self.opset >= 18 and self.odd(0.1):
            mode["keep_aspect_ratio_policy"] = "not_larger"
        if self.opset < 11:
            return [x, self.held(np.array(factors, np.float32))], mode
        if self.odd(0.6):
            return [x, "", self.held(np.array(factors, np.float32))], mode
        sizes = (
            self.held(np.array([1, 3, *(self.whole(2, 8, 50, 1000) for _ in range(length - 2))], np.int64))
            if self.odd(0.6)
            else self.ints(4, 1, 3, 8, 1000)
        )
        return [x, "", "", sizes], mode

    def _other(self, op: str, first: str | None, shape: list[int]) -> tuple[list[str], dict[str, Any]]:
        rng = self.rng
        if op == "Constant":
            return [], rng.choice(
                [
                    {"value_ints": [self.whole(1, 2)]},
                    {"value_float": 1.0},
                    {"value": numpy_helper.from_array(np.ones(3, np.float32))},
                    {},
                    {"value_int": 2},
                ]
            )
        if op == "Gemm":
            m, k, n = (rng.choice([1, 4, 16, 64, 500]) for _ in range(3))
            flags = {name: self.whole(0, 1) for name in ("transA", "transB") if self.odd(0.3)}
            more = [self.data([n], 1)] if self.odd(0.4) else []
            return [
                first or self.data([m, k], 1),
                self.data([n, k] if flags.get("transB") == 1 else [k, n], 1),
                *more,
            ], flags
        if op == "Einsum":
            equation = (
                rng.choice(EQUATIONS)
                if self.odd(0.5)
                else rng.choice(["bij,bjk->bik", "bci,bcj->bij", "ab,bc->ac", "ab,ab->a"])
            )
            letters = {letter: self.side() for letter in equation if letter.isalpha()}
            terms = equation.split("->")[0].split(",")
            return [self.data([letters[letter] for letter in term], 1) for term in terms], {
                "equation": equation
            }
        if op == "Where":
            small = [1 if self.odd(0.3) else side for side in shape]
            kind = self.kind()
            return [
                self.data(small, TensorProto.BOOL),
                first or self.data(shape, kind),
                self.data(small[::-1] if self.odd() else shape, kind),
            ], {}
        if op == "ScatterElements" and self.odd(0.7):
            small = [max(1, side // 2) for side in shape or [4]]
            x = first or self.data(shape or [4], 1)
            places = self.held(np.zeros(small, np.int64))
            return [x, places, self.held(np.ones(small, np.float32))], {"axis": self.whole(0, -1)}
        if op.startswith(("Gather", "Scatter")):
            places = (
                self.held(
                    np.array(rng.choice([0, [0], [0, 0, -1], [[0, 0]], [self.whole(0)] * 500]), np.int64)
                )
                if self.odd(0.7)
                else self.data(None, TensorProto.INT64)
            )
            x = first or self.data(shape or [4])
            more = [self.data(None, 1)] if op.startswith("Scatter") else []
            return [x, places, *more], {"axis": self.whole(0, 1, -1)} if op in (
                "Gather",
                "GatherElements",
                "ScatterElements",
            ) and self.odd(0.7) else {}
        if op.endswith("Normalization"):
            rank = rng.choice([2, 3, 4, 4])
            sides = self.shape(rank)
            channels = sides[-1] if op.startswith(("Layer", "RMS")) else sides[1]
            count = {"BatchNormalization": 4, "RMSNormalization": 1}.get(op, 2)
            attributes = (
                {"num_groups": self.whole(1, 2)}
                if op.startswith("Group")
                else {"training_mode": 1}
                if op.startswith("Batch") and self.odd(0.05)
                else {"axis": self.whole(-1, 1)}
                if op.startswith(("Layer", "RMS")) and self.odd(0.3)
                else {}
            )
            return [
                first or self.data(sides, 1),
                *(self.held(np.ones(channels, np.float32)) for _ in range(count)),
            ], attributes
        if op == "GridSample":
            return [first or self.data([1, 2, 4, 4], 1), self.data([1, self.side(), self.side(), 2], 1)], {}
        return [
            first or self.data(shape, 1 if op.startswith("Quant") else TensorProto.UINT8),
            self.held(np.float32(0.5)),
        ], {}

    def operator(self, groups: list[list[str]]) -> str:
        """Draw an operator, of those off the list fewer."""
        op = self.rng.choice(self.rng.choice(groups))
        return op if op in TAKEN or self.odd(0.3) else self.operator(groups)

    def model(self) -> bytes:
        """Draw a graph of one operator or two, besides what makes their integers."""
        rng = self.rng
        groups: list[list[str]] = [
            UNARY,
            UNARY,
            BINARY,
            BINARY,
            REDUCTIONS,
            SIZED,
            SIZED,
            OTHERS,
            OTHERS,
            ["Conv", "ConvTranspose", "Conv", "ConvTranspose", "MaxPool", "AveragePool"],
        ]
        last = self.add(self.operator(groups))
        if rng.random() < 0.5:
            last = self.add(self.operator(groups), last)
        graph = helper.make_graph(
            self.nodes, "g", self.inputs, [helper.make_empty_tensor_value_info(last)], self.tensors
        )
        if not self.inputs:
            graph.input.append(helper.make_tensor_value_info("latent", 1, ["n", 4]))
        if self.odd(0.05) and self.tensors:
            tensor = rng.choice(self.tensors)
            sides = ["n", *tensor.dims[1:]] if tensor.dims and tensor.dims[0] == 1 else list(tensor.dims)
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, sides))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=rng.choice([3, 8, 8, 10])
        )
        return bytes(model.SerializeToString())


def case(seed: int) -> bytes:
    """Return the model file of a seed; of a few seeds whose values protobuf does not hold, another one's."""
    for attempt in range(100):
        try:
            return Maker(seed * 100 + attempt).model()
        except (ValueError, OverflowError, TypeError, AttributeError):
            continue
    raise AssertionError(f"seed {seed} makes no model")


# The process that runs them. It imports nothing but the runtime and numpy, and opens each file in a fork:
# that one has limits, and the most that it held is what the system tells at its end.
RUNNER = r"""
import json, os, resource, struct, sys, time
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np, onnxruntime as ort
ort.set_default_logger_severity(4)
KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
         "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8}
def run(body, batch, points, tell):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(body, options, providers=["CPUExecutionProvider"])
    for point in points:
        for count in (1, batch):
            feeds, sides = {}, iter(point)
            for item in session.get_inputs():
                shape = [side if isinstance(side, int) else count if place == 0 else next(sides, 1) for place, side in enumerate(item.shape)]
                feeds[item.name] = np.ones(shape, KINDS[item.type])
            made = session.run(None, feeds)
        os.write(tell, json.dumps([list(array.shape) for array in made]).encode() + b"\n")
source = sys.stdin.buffer
while header := source.read(24):
    size, batch, limit, seconds, told = struct.unpack("<IIQII", header)
    body, points = source.read(size), json.loads(source.read(told))
    hear, tell = os.pipe()
    child = os.fork()
    if not child:
        code = 3
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1), os.dup2(null, 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            if limit:
                taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (taken + limit, taken + limit))
            run(body, batch, points, tell)
            code = 0
        except Exception:
            code = 1
        finally:
            os._exit(code)
    os.close(tell)
    shapes = [json.loads(line) for line in os.fdopen(hear)]
    _, status, used = os.wait4(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, shapes]), flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a file ran: `code` 0 where it gave its results, 1 where the runtime refused it, -signal.

    Attributes:
        taken: bytes over what the runtime itself takes.
        shapes: of its results, for each of the points that it came to.
    """

    code: int
    taken: int
    seconds: float
    shapes: list[list[list[int]]]


class Runner:
    """Runs model files, each in a process of its own, at batch 1 and at `BATCH`, at each of some free sides."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        plain = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", 1, ["n", 4])],
            [helper.make_empty_tensor_value_info("y")],
        )
        model = helper.make_model(plain, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        self._base = 0
        self._base = self.run(model.SerializeToString()).taken

    def run(
        self,
        body: bytes,
        *,
        batch: int = BATCH,
        limit: int = 6 * 2**30,
        seconds: int = 20,
        points: Sequence[Sequence[int]] = ((),),
    ) -> Ran:
        """Run a file within so many bytes of address space over what the process has, and of CPU seconds.

        Args:
            points: the free sides of all inputs but the batch, in order, of each run; 1 where they end.
        """
        told = json.dumps(points).encode()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            struct.pack("<IIQII", len(body), batch, limit, seconds, len(told)) + body + told
        )
        self._process.stdin.flush()
        code, most, spent, shapes = json.loads(self._process.stdout.readline())
        return Ran(code, most - self._base, spent, shapes)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
