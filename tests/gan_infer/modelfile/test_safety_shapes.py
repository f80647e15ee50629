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

from gan_infer import ModelError
from gan_infer.modelfile import safety
from gan_infer.modelfile.safety import compute_ops, graph, shape_ops
from gan_infer.modelfile.safety.sides import PerPicture
from tests.hostile import ints, node

F = np.float32


def ramp(*shape: int) -> np.ndarray:
    """Return a tensor of small numbers, none of them zero."""
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
    (node("ConvTranspose", "X w", "y"), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", strides=[2, 3], pads=[1, 1, 0, 2], output_padding=[1, 1]), {"X": X, "w": T}),
    (node("ConvTranspose", "X w", "y", group=2, strides=[2, 2]), {"X": X, "w": T}),
    (node("AveragePool", "X", "y", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), {"X": X}),
    (node("GlobalAveragePool", "X", "y"), {"X": X}),
    (node("BatchNormalization", "X c c c c", "y"), {"X": X, "c": C}),
    (node("InstanceNormalization", "X c c", "y"), {"X": X, "c": C}),
    (node("LayerNormalization", "X c", "y", axis=-1), {"X": X, "c": ramp(5)}),
    (node("PRelu", "X c", "y"), {"X": X, "c": C.reshape(4, 1, 1)}),
    (node("Softmax", "X", "y", axis=-3), {"X": X}),
    (node("Clip", "X a b", "y"), {"X": X, "a": F(0), "b": F(2)}),
    (node("Clip", "X  b", "y"), {"X": X, "b": F(2)}),
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
    (node("Less", "A B", "y"), {"A": ramp(3), "B": ramp(2, 1)}),
    (node("Where", "C A B", "y"), {"C": np.array([True, False]), "A": ramp(3, 1), "B": ramp(2)}),
    (node("ReduceMean", "X a", "y", keepdims=0), {"X": X, "a": ints(-1, 2)}),
    (node("ReduceSum", "X", "y"), {"X": X}),
    (node("ReduceL2", "X a", "y"), {"X": X, "a": ints(1)}),
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
    (node("Slice", "X s e", "y"), {"X": X, "s": ints(0, -3), "e": ints(1, 99)}),
    (node("Slice", "X s e a", "y"), {"X": X, "s": ints(1), "e": ints(2**62), "a": ints(-2)}),
    (node("Gather", "X i", "y", axis=2), {"X": X, "i": np.array([[0, -1, 2]])}),
    (node("Gather", "X i", "y", axis=1), {"X": X, "i": np.array(2)}),
    (node("GatherND", "X i", "y"), {"X": X, "i": np.zeros((3, 2), np.int64)}),
    (node("Expand", "X s", "y"), {"X": X, "s": ints(3, 1, 1, 1)}),
    (node("Tile", "X s", "y"), {"X": X, "s": ints(1, 2, 1, 3)}),
    (node("Pad", "X p", "y", mode="reflect"), {"X": X, "p": ints(0, 0, 1, 1, 0, 0, 1, 1)}),
    (node("Resize", "X  f", "y", mode="nearest"), {"X": X, "f": FACTORS}),
    (node("Resize", "X  f", "y", mode="linear"), {"X": X, "f": np.array([1, 1, 0.7, 0.3], F)}),
    (node("Resize", "X   s", "y", mode="nearest"), {"X": X, "s": ints(1, 4, 9, 13)}),
    (node("ConstantOfShape", "s", "y"), {"s": ints(2, 3)}),
    (node("OneHot", "I d v", "y", axis=0), {"I": ints(1, 2), "d": ints(3)[0], "v": np.array([0, 1], F)}),
    (node("DepthToSpace", "X", "y", blocksize=2), {"X": X}),
    (node("Cast", "X", "y", to=TensorProto.INT32), {"X": X}),
    (node("Shape", "X", "y"), {"X": X}),
    (node("Shape", "X", "y", start=-3, end=-1), {"X": X}),
    (node("Size", "X", "y"), {"X": X}),
    (node("Erf", "X", "y"), {"X": X}),
    (node("Not", "C", "y"), {"C": np.array([True, False])}),
    # Of the file alone, so that the values are worked out as well.
    (node("Add", "a b", "y"), {"a": ints(1, 2, 3), "b": ints(10)}),
    (node("Sub", "a b", "y"), {"a": ints(1, 2, 3), "b": ints(10)}),
    (node("Div", "a b", "y"), {"a": ints(7, -7, 9), "b": ints(2, 2, 4)}),
    (node("Div", "a b", "y"), {"a": F(7), "b": F(2)}),
    (node("Mod", "a b", "y"), {"a": ints(7, -7, 9), "b": ints(2, 2, 4)}),
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
    (node("Floor", "a", "y"), {"a": np.array([1.5, -1.5], F)}),
    (node("ConstantOfShape", "s", "y", value=numpy_helper.from_array(ints(7))), {"s": ints(3)}),
    (node("Constant", "", "y", value_ints=[1, 2]), {}),
    (node("Constant", "", "y", value_float=1.5), {}),
    (node("Constant", "", "y", value=numpy_helper.from_array(np.array([1, 2], np.float16))), {}),
]  # fmt: skip


# Of integers in the file these are worked out.
FOLLOWED = [
    "Constant",
    "ConstantOfShape",
    "Add",
    "Sub",
    "Mul",
    "Concat",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Unsqueeze",
]


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
    values = safety.trace(graph.read(body), len(body)).values
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(body, options, providers=["CPUExecutionProvider"])
    made = session.run(None, feeds)
    for name, array in zip(one.output, made, strict=True):
        assert values[name].shape == array.shape, name
        assert np.dtype(graph.NUMPY[values[name].kind]) == array.dtype, name
    value = values[one.output[0]].value
    assert value is not None or one.op_type not in FOLLOWED or made[0].dtype != np.int64 or feeds
    if value is not None:
        assert value.tolist() == made[0].tolist()


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
    values = safety.trace(graph.read(body), len(body)).values
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    for name, array in zip(one.output, session.run(None, feeds), strict=True):
        assert values[name].shape == array.shape


def test_every_operator_on_the_list_is_one_of_onnx_and_none_takes_a_subgraph() -> None:
    for op in {**compute_ops.FORMS, **shape_ops.FORMS}:
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


# What shapes become of the batch, n: operators on X, of shape [n, 4, 6, 5], unless they take sizes of it.
BATCHED: list[tuple[list[onnx.NodeProto], dict[str, Any]]] = [
    ([node("Conv", "X w", "y")], {"w": ramp(8, 4, 3, 3)}),
    ([node("Flatten", "X", "y")], {}),
    ([node("Reshape", "X s", "y")], {"s": ints(-1, 30)}),
    ([node("Reshape", "X s", "y")], {"s": ints(0, 2, -1)}),
    ([node("Transpose", "X", "y", perm=[2, 0, 1, 3])], {}),
    ([node("Concat", "X X", "y", axis=0)], {}),
    ([node("ReduceMean", "X a", "y", keepdims=0)], {"a": ints(0, 2)}),
    ([node("Slice", "X s e a", "y")], {"s": ints(0), "e": ints(2**62), "a": ints(0)}),
    ([node("Slice", "X s e a", "y")], {"s": ints(0), "e": ints(1), "a": ints(0)}),
    ([node("Tile", "X s", "y")], {"s": ints(2, 1, 1, 1)}),
    ([node("Shape", "X", "s"), node("ConstantOfShape", "s", "y")], {}),
    ([node("Shape", "X", "s", end=1), node("Concat", "s r", "t", axis=0), node("Reshape", "X t", "y")], {"r": ints(-1)}),
    ([node("Shape", "X", "s"), node("Mul", "s d", "t"), node("Expand", "o t", "y")], {"d": ints(3, 1, 2, 1), "o": ramp(1)}),
    ([node("Shape", "X", "s", end=1), node("Concat", "s r", "t", axis=0), node("Expand", "c t", "y")],
     {"r": ints(2, 3), "c": ramp(1, 2, 3)}),
    ([node("Shape", "X", "s", end=1), node("Equal", "s m", "b"), node("Where", "b o s", "t"), node("Expand", "o2 t", "y")],
     {"m": ints(-1), "o": ints(1), "o2": ramp(1)}),
    ([node("Shape", "X", "s", end=1), node("Squeeze", "s", "l"), node("Range", "z l o", "y")], {"z": ints(0)[0], "o": ints(1)[0]}),
    ([node("MatMul", "X w", "y")], {"w": ramp(5, 7)}),
    ([node("Resize", "X  f", "y", mode="nearest")], {"f": FACTORS}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "tensors"), BATCHED, ids=[nodes[-1].op_type + str(i) for i, (nodes, _) in enumerate(BATCHED)]
)
def test_sizes_are_those_of_the_runtime_at_every_batch(
    nodes: list[onnx.NodeProto], tensors: dict[str, Any]
) -> None:
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    given = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 4, 6, 5])]
    made = helper.make_graph(nodes, "g", given, [helper.make_empty_tensor_value_info("y")], held)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    body = model.SerializeToString()
    shape = safety.trace(graph.read(body), len(body)).values["y"].shape
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5, 64):
        (array,) = session.run(None, {"X": np.ones((batch, 4, 6, 5), F)})
        assert [side.each * batch if isinstance(side, PerPicture) else side for side in shape] == list(
            array.shape
        )


@pytest.mark.parametrize(
    ("one", "tensors", "why"),
    [
        (node("Max", "X X X", "y"), {"X": X}, "3 inputs"),
        (
            node("Slice", "X s e a t", "y"),
            {"X": X, "s": ints(-9), "e": ints(-99), "a": ints(2), "t": ints(-1)},
            "steps back",
        ),
        (node("Cast", "X", "y", to=TensorProto.BFLOAT16), {"X": X}, "for to"),
        (node("Squeeze", "X a", "y"), {"X": X, "a": ints()}, "axes"),
        (node("ReduceSum", "X a", "y"), {"X": X, "a": ints()}, "axes"),
        (node("ConstantOfShape", "S", "y"), {"S": ints(2)}, "that the file does not fix"),
        (node("Tile", "X S", "y"), {"X": X, "S": ints(1, 1, 1, 1)}, "that the file does not fix"),
        (node("Conv", "X w", "y", strides=[65, 1]), {"X": X, "w": ramp(8, 4, 3, 3)}, "for strides"),
        (node("Conv", "X w", "y", dilations=[1, -(2**63)]), {"X": X, "w": ramp(8, 4, 3, 3)}, "for dilations"),
        (
            node("Conv", "X w", "y"),
            {"X": ramp(1, 1, 2, 2, 2, 2), "w": ramp(1, 1, 1, 1, 1, 1)},
            "takes shapes",
        ),
        (node("Conv", "X w", "y", magic=1), {"X": X, "w": ramp(8, 4, 3, 3)}, "'magic'"),
        (node("Einsum", "A B", "y", equation="ab,cd->ad"), {"A": ramp(2, 3), "B": ramp(3, 2)}, "equation"),
        (node("Mod", "A B", "y"), {"A": ints(5), "B": ints(2)}, "whole numbers"),
        (node("Resize", "X  f", "y", antialias=1), {"X": X, "f": FACTORS}, "antialias"),
        (node("LpPool", "X", "y", kernel_shape=[2, 2]), {"X": X}, "'LpPool', which is not taken"),
    ],
)
def test_other_forms_of_an_operator_are_refused_by_name(
    one: onnx.NodeProto, tensors: dict[str, Any], why: str
) -> None:
    body, _ = body_of(one, tensors)
    with pytest.raises(ModelError, match=re.escape(why)):
        safety.check(body, "it")


@pytest.mark.parametrize("left", [2**62, 2**63 - 1, -(2**63), -1, 0, 2**31])
@pytest.mark.parametrize("right", [2**62, 2**63 - 1, 1, 3, 2**31])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Mod"])
def test_integers_at_their_edges_are_what_the_runtime_makes_or_unknown(
    op: str, left: int, right: int
) -> None:
    body, _ = body_of(node(op, "a b", "y"), {"a": ints(left), "b": ints(right)})
    value = safety.trace(graph.read(body), len(body)).values["y"].value
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    assert value is None or value.tolist() == session.run(None, {})[0].tolist()
    assert value is None or abs(value[0]) < 2**31


@pytest.mark.parametrize(("factor", "known"), [(2**20, True), (2**26, False)])
def test_what_leaves_its_type_at_the_largest_batch_is_unknown(factor: int, known: bool) -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Cast", "shape", "narrow", to=6),
        node("Mul", "narrow factor", "y"),
    ]
    x = helper.make_tensor_value_info("x", 1, ["n"])
    y = helper.make_tensor_value_info("y", 6, [1])
    tensors = [numpy_helper.from_array(np.array([factor], np.int32), "factor")]
    made = helper.make_model(helper.make_graph(nodes, "g", [x], [y], tensors), ir_version=8)
    made.opset_import[0].version = 18
    body = made.SerializeToString()
    assert (safety.trace(graph.read(body), len(body)).values["y"].value is not None) == known
