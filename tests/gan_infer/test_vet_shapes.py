"""What the vetting holds sizes to be, against what the runtime really makes."""

# ruff: noqa: E501  (a case a line)
from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from gan_infer import vet
from gan_infer.vet import arithmetic, graph, places
from tests.hostile import ints, node

F = np.float32


def ramp(*shape: int) -> np.ndarray:
    """Give a tensor of small numbers, none of them zero."""
    return (np.arange(1, 1 + int(np.prod(shape)), dtype=F) % 7 + 1).reshape(shape)


X = ramp(1, 4, 6, 5)
W = ramp(8, 2, 3, 3)
T = ramp(4, 3, 3, 3)
C = ramp(4)
FACTORS = np.array([1, 1, 2, 1.5], F)
YES = np.array(True)

# Operators with their inputs, by name; those in capitals are inputs of the model, others in the file.
CASES: list[tuple[onnx.NodeProto, dict[str, Any]]] = [
    (node("Conv", "X w", "y", group=2), {"X": X, "w": W}),
    (node("Conv", "X w", "y", group=2, pads=[1, 0, 2, 1], strides=[2, 1]), {"X": X, "w": W}),
    (node("Conv", "X w b", "y", group=2, dilations=[2, 2]), {"X": X, "w": W, "b": ramp(8)}),
    (node("Conv", "X w", "y", group=2, auto_pad="SAME_UPPER", strides=[2, 2]), {"X": X, "w": W}),
    (node("Conv", "X w", "y", group=2, auto_pad="VALID"), {"X": X, "w": W}),
    (node("ConvTranspose", "X w", "y"), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", strides=[2, 3], pads=[1, 1, 0, 2], output_padding=[1, 1]), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", group=2, strides=[2, 2]), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", strides=[2, 2], output_shape=[12, 10]), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", strides=[2, 2], auto_pad="SAME_UPPER"), {"X": X, "w": T}),
    (node("MaxPool", "X", "y i", kernel_shape=[2, 3], strides=[2, 2]), {"X": X}),
    (node("MaxPool", "X", "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {"X": X}),
    (node("AveragePool", "X", "y", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), {"X": X}),
    (node("GlobalAveragePool", "X", "y"), {"X": X}),
    (node("BatchNormalization", "X c c c c", "y"), {"X": X, "c": C}),
    (node("InstanceNormalization", "X c c", "y"), {"X": X, "c": C}),
    (node("LayerNormalization", "X c", "y", axis=-1), {"X": X, "c": ramp(5)}),
    (node("LpNormalization", "X", "y", axis=1), {"X": X}),
    (node("LRN", "X", "y", size=3), {"X": X}),
    (node("PRelu", "X c", "y"), {"X": X, "c": C.reshape(4, 1, 1)}),
    (node("Softmax", "X", "y", axis=-3), {"X": X}),
    (node("Dropout", "X", "y m"), {"X": X}),
    (node("Clip", "X a b", "y"), {"X": X, "a": F(0), "b": F(2)}),
    (node("Clip", "X  b", "y"), {"X": X, "b": F(2)}),
    (node("CumSum", "X a", "y"), {"X": X, "a": ints(1)[0]}),
    (node("Trilu", "X", "y"), {"X": X}),
    (node("Gemm", "A B", "y", transB=1, alpha=0.5), {"A": ramp(2, 3), "B": ramp(5, 3)}),
    (node("Gemm", "A B c", "y", transA=1), {"A": ramp(3, 2), "B": ramp(3, 5), "c": ramp(5)}),
    (node("MatMul", "A B", "y"), {"A": ramp(2, 1, 3, 4), "B": ramp(5, 4, 6)}),
    (node("MatMul", "A B", "y"), {"A": ramp(4), "B": ramp(5, 4, 6)}),
    (node("MatMul", "A B", "y"), {"A": ramp(5, 4, 6), "B": ramp(6)}),
    (node("MatMul", "A B", "y"), {"A": ramp(6), "B": ramp(6)}),
    (node("Einsum", "A B", "y", equation="bij, bjk -> bik"), {"A": ramp(2, 3, 4), "B": ramp(2, 4, 5)}),
    (node("Add", "A B", "y"), {"A": ramp(3, 1, 5), "B": ramp(4, 1)}),
    (node("Mul", "A B", "y"), {"A": ramp(1), "B": ramp(2, 2)}),
    (node("Div", "A b", "y"), {"A": ints(7, -7, 8), "b": ints(2)}),
    (node("Mod", "A b", "y"), {"A": ints(7, -7, 8), "b": ints(3)}),
    (node("Pow", "A B", "y"), {"A": ramp(3), "B": ramp(2, 3)}),
    (node("Max", "A B A", "y"), {"A": ramp(3), "B": ramp(2, 1)}),
    (node("Less", "A B", "y"), {"A": ramp(3), "B": ramp(2, 1)}),
    (node("Where", "C A B", "y"), {"C": np.array([True, False]), "A": ramp(3, 1), "B": ramp(2)}),
    (node("IsNaN", "X", "y"), {"X": X}),
    (node("ReduceMean", "X a", "y", keepdims=0), {"X": X, "a": ints(-1, 2)}),
    (node("ReduceSum", "X", "y"), {"X": X}),
    (node("ReduceSum", "X", "y", noop_with_empty_axes=1), {"X": X}),
    (node("ReduceL2", "X a", "y"), {"X": X, "a": ints(1)}),
    (node("ArgMax", "X", "y", axis=1, keepdims=0), {"X": X}),
    (node("TopK", "X k", "y i", axis=2), {"X": X, "k": ints(3)}),
    (node("Reshape", "X s", "y"), {"X": X, "s": ints(0, -1, 10)}),
    (node("Reshape", "X s", "y"), {"X": X, "s": ints(2, 2, 30)}),
    (node("Flatten", "X", "y", axis=-2), {"X": X}),
    (node("Flatten", "X", "y", axis=0), {"X": X}),
    (node("Squeeze", "X a", "y"), {"X": X, "a": ints(0)}),
    (node("Squeeze", "X", "y"), {"X": X[:, :1]}),
    (node("Unsqueeze", "X a", "y"), {"X": X, "a": ints(-1, 0)}),
    (node("Transpose", "X", "y", perm=[0, 2, 3, 1]), {"X": X}),
    (node("Transpose", "X", "y"), {"X": X}),
    (node("Concat", "X X", "y", axis=-1), {"X": X}),
    (node("Split", "X s", "y z", axis=1), {"X": X, "s": ints(1, 3)}),
    (node("Split", "X", "y z w", axis=3, num_outputs=3), {"X": X}),
    (node("Slice", "X s e", "y"), {"X": X, "s": ints(0, -3), "e": ints(1, 99)}),
    (node("Slice", "X s e a t", "y"), {"X": X, "s": ints(-1), "e": ints(-(2**62)), "a": ints(3), "t": ints(-2)}),
    (node("Slice", "X s e a", "y"), {"X": X, "s": ints(1), "e": ints(2**62), "a": ints(-2)}),
    (node("Gather", "X i", "y", axis=2), {"X": X, "i": np.array([[0, -1, 2]])}),
    (node("Gather", "X i", "y", axis=1), {"X": X, "i": np.array(2)}),
    (node("GatherElements", "X i", "y", axis=2), {"X": X, "i": np.zeros((1, 4, 2, 5), np.int64)}),
    (node("GatherND", "X i", "y"), {"X": X, "i": np.zeros((3, 2), np.int64)}),
    (node("ScatterND", "X i u", "y"), {"X": X, "i": np.zeros((1, 1), np.int64), "u": X}),
    (node("Expand", "X s", "y"), {"X": X, "s": ints(3, 1, 1, 1)}),
    (node("Tile", "X s", "y"), {"X": X, "s": ints(1, 2, 1, 3)}),
    (node("Pad", "X p", "y"), {"X": X, "p": ints(0, 0, 1, -1, 0, 0, 2, 1)}),
    (node("Pad", "X p v a", "y", mode="constant"), {"X": X, "p": ints(1, 2), "v": F(3), "a": ints(2)}),
    (node("Pad", "X p", "y", mode="reflect"), {"X": X, "p": ints(0, 0, 1, 1, 0, 0, 1, 1)}),
    (node("Resize", "X  f", "y", mode="nearest"), {"X": X, "f": FACTORS}),
    (node("Resize", "X  f", "y", mode="linear"), {"X": X, "f": np.array([1, 1, 0.7, 0.3], F)}),
    (node("Resize", "X   s", "y", mode="nearest"), {"X": X, "s": ints(1, 4, 9, 13)}),
    (node("Resize", "X  f", "y", mode="nearest", axes=[2, 3]), {"X": X, "f": FACTORS[2:]}),
    (node("Range", "a b c", "y"), {"a": ints(3)[0], "b": ints(-8)[0], "c": ints(-2)[0]}),
    (node("Range", "a b c", "y"), {"a": F(0), "b": F(1), "c": F(0.3)}),
    (node("ConstantOfShape", "s", "y"), {"s": ints(2, 3)}),
    (node("OneHot", "I d v", "y", axis=0), {"I": ints(1, 2), "d": ints(3)[0], "v": np.array([0, 1], F)}),
    (node("DepthToSpace", "X", "y", blocksize=2), {"X": X}),
    (node("SpaceToDepth", "X", "y", blocksize=2), {"X": X[..., :4]}),
    (node("GridSample", "X G", "y"), {"X": X, "G": np.zeros((1, 3, 2, 2), F)}),
    (node("Cast", "X", "y", to=TensorProto.INT32), {"X": X}),
    (node("CastLike", "X l", "y"), {"X": X, "l": ints(1)}),
    (node("QuantizeLinear", "X s z", "y"), {"X": X, "s": F(0.5), "z": np.int8(0)}),
    (node("QuantizeLinear", "X s", "y"), {"X": X, "s": F(0.5)}),
    (node("DequantizeLinear", "Q s", "y"), {"Q": np.ones((2, 2), np.uint8), "s": F(0.5)}),
    (node("Shape", "X", "y"), {"X": X}),
    (node("Shape", "X", "y", start=-3, end=-1), {"X": X}),
    (node("Size", "X", "y"), {"X": X}),
    (node("Erf", "X", "y"), {"X": X}),
    (node("Not", "C", "y"), {"C": np.array([True, False])}),
    # Of the file alone, so that the values are worked out as well.
    (node("Add", "a b", "y"), {"a": ints(1, 2, 3), "b": ints(10)}),
    (node("Sub", "a b", "y"), {"a": ints(1, 2, 3), "b": ints(10)}),
    (node("Div", "a b", "y"), {"a": ints(7, -7, 9), "b": ints(2, 2, -4)}),
    (node("Div", "a b", "y"), {"a": F(7), "b": F(2)}),
    (node("Mod", "a b", "y"), {"a": ints(7, -7, 9), "b": ints(2, 2, -4)}),
    (node("Mod", "a b", "y", fmod=1), {"a": ints(7, -7, 9), "b": ints(2, 2, -4)}),
    (node("Abs", "a", "y"), {"a": ints(7, -7)}),
    (node("GreaterOrEqual", "a b", "y"), {"a": ints(7, 1), "b": ints(7)}),
    (node("LessOrEqual", "a b", "y"), {"a": ints(7, 1), "b": ints(1)}),
    (node("And", "a b", "y"), {"a": np.array([True, False]), "b": YES}),
    (node("Or", "a b", "y"), {"a": np.array([True, False]), "b": YES}),
    (node("Min", "a b", "y"), {"a": ints(7, 1), "b": ints(3)}),
    (node("Equal", "a b", "y"), {"a": ints(7, 1), "b": ints(7)}),
    (node("Where", "c a b", "y"), {"c": np.array([True, False]), "a": ints(1), "b": ints(2)}),
    (node("Cast", "a", "y", to=TensorProto.INT64), {"a": np.array([1.9, -1.9], F)}),
    (node("Gather", "a i", "y"), {"a": ints(4, 5, 6), "i": np.array(-1)}),
    (node("Slice", "a s e", "y"), {"a": ints(4, 5, 6), "s": ints(1), "e": ints(2**62)}),
    (node("Slice", "a s e x t", "y"), {"a": ints(4, 5, 6), "s": ints(-1), "e": ints(-(2**62)), "x": ints(0), "t": ints(-1)}),
    (node("Concat", "a a", "y", axis=0), {"a": ints(4, 5)}),
    (node("Unsqueeze", "a i", "y"), {"a": ints(4, 5), "i": ints(0)}),
    (node("Squeeze", "a", "y"), {"a": ints(4)}),
    (node("Reshape", "a s", "y"), {"a": ints(4, 5, 6, 7), "s": ints(2, -1)}),
    (node("Expand", "a s", "y"), {"a": ints(4), "s": ints(3)}),
    (node("ReduceProd", "a", "y", keepdims=0), {"a": ints(4, 5)}),
    (node("ReduceSum", "a x", "y"), {"a": ints(4, 5), "x": ints(0)}),
    (node("ReduceProd", "a", "y", keepdims=0, noop_with_empty_axes=1), {"a": ints(4, 5)}),
    (node("Floor", "a", "y"), {"a": np.array([1.5, -1.5], F)}),
    (node("ConstantOfShape", "s", "y", value=numpy_helper.from_array(ints(7))), {"s": ints(3)}),
    (node("Constant", "", "y", value_ints=[1, 2]), {}),
    (node("Constant", "", "y", value_float=1.5), {}),
    (node("Constant", "", "y", value=numpy_helper.from_array(np.array([1, 2], np.float16))), {}),
]  # fmt: skip


def body_of(
    one: onnx.NodeProto, tensors: dict[str, Any], opset: int = 18
) -> tuple[bytes, dict[str, np.ndarray]]:
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    feeds = {name: array for name, array in arrays.items() if name.isupper()}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    held = [numpy_helper.from_array(array, name) for name, array in arrays.items() if name not in feeds]
    outputs = [helper.make_empty_tensor_value_info(name) for name in one.output]
    made = helper.make_graph([one], "one", inputs, outputs, held)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return model.SerializeToString(), feeds


@pytest.mark.parametrize(
    ("one", "tensors"), CASES, ids=[f"{one.op_type}-{i}" for i, (one, _) in enumerate(CASES)]
)
def test_sizes_types_and_values_are_those_of_the_runtime(
    one: onnx.NodeProto, tensors: dict[str, Any]
) -> None:
    body, feeds = body_of(one, tensors)
    values, _, _ = vet.trace(graph.read(body), len(body))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(body, options, providers=["CPUExecutionProvider"])
    made = session.run(None, feeds)
    for name, array in zip(one.output, made, strict=True):
        assert values[name].shape == array.shape, name
        assert np.dtype(graph.NUMPY[values[name].kind]) == array.dtype, name
    if not feeds:
        assert values[one.output[0]].value is not None or one.op_type not in values.VALUES
    if values[one.output[0]].value is not None:
        assert np.array_equal(values[one.output[0]].value, made[0])


@pytest.mark.parametrize(
    ("one", "tensors", "opset"),
    [
        (node("Squeeze", "X", "y", axes=[0]), {"X": X}, 11),
        (node("Unsqueeze", "X", "y", axes=[0, -1]), {"X": X}, 11),
        (node("Slice", "X", "y", starts=[1], ends=[3], axes=[1]), {"X": X}, 9),
        (node("Pad", "X", "y", pads=[0, 0, 1, 1, 0, 0, 1, 1]), {"X": X}, 9),
        (node("Upsample", "X f", "y"), {"X": X, "f": np.array([1, 1, 2, 2], F)}, 9),
        (node("Upsample", "X", "y", scales=[1.0, 1.0, 2.0, 3.0]), {"X": X}, 8),
        (node("Resize", "X f", "y"), {"X": X, "f": FACTORS}, 10),
        (node("Split", "X", "y z", axis=1, split=[1, 3]), {"X": X}, 11),
        (node("ReduceMean", "X", "y", axes=[2, 3]), {"X": X}, 11),
        (node("Dropout", "X", "y", ratio=0.5), {"X": X}, 10),
    ],
)
def test_older_operator_sets_give_sizes_as_attributes(
    one: onnx.NodeProto, tensors: dict[str, Any], opset: int
) -> None:
    body, feeds = body_of(one, tensors, opset)
    values, _, _ = vet.trace(graph.read(body), len(body))
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    for name, array in zip(one.output, session.run(None, feeds), strict=True):
        assert values[name].shape == array.shape


def test_every_operator_on_the_list_is_one_of_onnx_and_none_takes_a_subgraph() -> None:
    for op in {**arithmetic.OPERATORS, **places.OPERATORS}:
        schema = onnx.defs.get_schema(op, 25, "") if onnx.defs.has(op) else None
        assert schema is not None, op
        kinds = {attribute.type for attribute in schema.attributes.values()}
        assert onnx.defs.OpSchema.AttrType.GRAPH not in kinds, op
        assert not re.search("random|Random", op)


@pytest.mark.parametrize("kind", [k for k in graph.NUMPY if k != graph.BFLOAT16])
@pytest.mark.parametrize("raw", [True, False])
def test_small_tensors_are_read_from_wherever_they_are_kept(kind: int, raw: bool) -> None:
    array = np.array([[1, 0, 1], [1, 1, 0]]).astype(graph.NUMPY[kind])
    if raw:
        tensor = numpy_helper.from_array(array, "t")
    else:
        tensor = helper.make_tensor("t", kind, array.shape, array.reshape(-1).tolist())
    made = helper.make_graph([helper.make_node("Identity", ["t"], ["y"])], "one", [], [], [tensor])
    made.output.append(helper.make_empty_tensor_value_info("y"))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    found = graph.read(model.SerializeToString()).initializers[0]
    assert (found.name, found.kind, found.shape) == ("t", kind, (2, 3))
    assert found.value is not None
    assert np.array_equal(found.value, array)


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 1), ("linear", 4), ("cubic", 16)])
def test_resizing_costs_by_what_it_looks_at(mode: str, taps: int) -> None:
    body, _ = body_of(node("Resize", "X  f", "y", mode=mode), {"X": X, "f": FACTORS}, 18)
    values, work, _ = vet.trace(graph.read(body), len(body))
    assert work == values["y"].size * taps
