"""Model files that must not be opened, made from seeds: each a name and its bytes."""

# ruff: noqa: B023, E501  (a lambda here is called at once)
from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gan_infer.modelfile.metadata import KEY, Metadata

Case = tuple[str, bytes]

PATHS = [
    "weights.bin",
    "/etc/passwd",
    "../../secret",
    "a/../../b",
    "C:\\windows\\system.ini",
    "\\\\host\\share\\x",
    "http://127.0.0.1/x",
    "/proc/self/mem",
    "/dev/zero",
    "*/_ORT_MEM_ADDR_/*",
]
DOMAINS = [
    "com.microsoft",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "org.pytorch.aten",
    "custom",
    "AI.ONNX",
    " ",
    "ai.onnx\0",
]
OPERATORS = [
    "RandomNormal",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
    "SequenceEmpty",
    "SequenceMap",
    "Optional",
    "StringConcat",
    "NonZero",
    "NonMaxSuppression",
    "Unique",
    "LSTM",
    "ImageDecoder",
    "EyeLike",
    "TfIdfVectorizer",
    "RegexFullMatch",
    "",
    "conv",
    "Conv\0",
    "Tanh ",
    "\x1b[31mTanh",
    "A" * 5000,
]
BIG = 2**31 - 1


def base() -> onnx.ModelProto:
    """Return a small conditional generator that loads: latent [batch, 4], 3 classes, 6x6 grey."""
    rng = np.random.default_rng(0)
    tensors = {
        "table": rng.standard_normal((3, 4), np.float32),
        "weight": rng.standard_normal((4, 36), np.float32) * 60,
        "shape": np.array([-1, 6, 6, 1], np.int64),
        "low": np.array(0, np.float32),
        "high": np.array(255, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "label"], ["embedded"], axis=0),
        helper.make_node("Add", ["latent", "embedded"], ["mixed"]),
        helper.make_node("Gemm", ["mixed", "weight"], ["levels"]),
        helper.make_node("Reshape", ["levels", "shape"], ["picture"]),
        helper.make_node("Clip", ["picture", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["image"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [
            helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 6, 6, 1])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    metadata = Metadata("base", latent_dim=4, height=6, width=6, channels=1, class_names=("a", "b", "c"))
    helper.set_model_props(model, {KEY: metadata.to_json()})
    return model


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = base()
    change(model)
    return model.SerializeToString()


def with_nodes(*nodes: onnx.NodeProto, tensors: dict[str, Any] | None = None) -> bytes:
    """Return the base model with operators and tensors besides, before its own."""

    def change(model: onnx.ModelProto) -> None:
        own = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *own])
        for name, array in (tensors or {}).items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))

    return changed(change)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    given = inputs.split(" ") if inputs else []  # two blanks: an input left out
    return helper.make_node(op, given, outputs.split(), **attributes)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def external(location: str) -> onnx.TensorProto:
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="length", value="16")
    return tensor


def subgraph(*nodes: onnx.NodeProto, tensors: tuple[onnx.TensorProto, ...] = ()) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "branch", [], [output], list(tensors))


def branch(graph: onnx.GraphProto) -> onnx.NodeProto:
    return node("If", "yes", "chosen", then_branch=graph, else_branch=graph)


def function(*nodes: onnx.NodeProto, domain: str = "local") -> onnx.FunctionProto:
    return helper.make_function(domain, "Part", ["x"], ["y"], list(nodes), [helper.make_opsetid("", 18)])


def constant(tensor: onnx.TensorProto, output: str = "inside") -> onnx.NodeProto:
    return node("Constant", "", output, value=tensor)


def externals() -> Iterator[Case]:
    yes = {"yes": np.array(True)}
    for path in PATHS:
        tensor = external(path)
        name = f"external {path!r} in "
        yield name + "a tensor", changed(lambda m: m.graph.initializer.append(tensor))
        yield name + "an attribute", with_nodes(constant(tensor))
        yield (
            name + "a list of tensors",
            with_nodes(node("Tanh", "latent", "unused", values=[tensor])),
        )
        inside = subgraph(node("Identity", "outside", "inside"), tensors=(tensor,))
        yield name + "a branch", with_nodes(branch(inside), tensors=yes)
        yield name + "a branch's attribute", with_nodes(branch(subgraph(constant(tensor))), tensors=yes)
        nested = subgraph(branch(subgraph(constant(tensor))))
        yield name + "a branch of a branch", with_nodes(branch(nested), tensors=yes)
        yield name + "a function", changed(lambda m: m.functions.append(function(constant(tensor, "y"))))
        sparse = onnx.SparseTensorProto(
            dims=[9], values=tensor, indices=numpy_helper.from_array(ints(0, 1, 2, 3))
        )
        yield name + "a sparse tensor", changed(lambda m: m.graph.sparse_initializer.append(sparse))
        yield (
            name + "a sparse attribute",
            with_nodes(node("Constant", "", "unused", sparse_value=sparse)),
        )
    marked = external("x")
    marked.data_location = TensorProto.DEFAULT
    yield "external entries with the default location", with_nodes(constant(marked))
    bare = TensorProto(name="bare", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    yield "external location without entries", changed(lambda m: m.graph.initializer.append(bare))


def domains() -> Iterator[Case]:
    for domain in DOMAINS:
        foreign = node("Tanh", "latent", "unused", domain=domain)
        yield f"domain {domain!r} of a node", with_nodes(foreign)
        yield (
            f"domain {domain!r} imported",
            changed(lambda m: m.opset_import.append(helper.make_opsetid(domain, 1))),
        )
        inside = subgraph(node("Tanh", "latent", "inside", domain=domain))
        yield f"domain {domain!r} in a branch", with_nodes(branch(inside), tensors={"yes": np.array(True)})
        part = function(node("Tanh", "x", "y", domain=domain), domain=domain)
        yield f"domain {domain!r} of a function", changed(lambda m: m.functions.append(part))


def operators() -> Iterator[Case]:
    for op in OPERATORS:
        yield f"operator {op[:20]!r}", with_nodes(node(op, "latent", "unused"))
        inside = subgraph(node(op, "latent", "inside"))
        yield f"operator {op[:20]!r} in a branch", with_nodes(branch(inside), tensors={"yes": np.array(True)})
    body = helper.make_graph(
        [node("Identity", "go", "go_out"), node("Identity", "x", "x_out")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_out", TensorProto.FLOAT, None),
        ],
    )
    tensors = {"times": np.array(2**62), "yes": np.array(True)}
    yield (
        "an endless loop",
        with_nodes(node("Loop", "times yes latent", "looped", body=body), tensors=tensors),
    )
    yield (
        "a loop without a count",
        with_nodes(node("Loop", " yes latent", "looped", body=body), tensors=tensors),
    )
    yield "a scan", with_nodes(node("Scan", "latent", "scanned", body=body, num_scan_inputs=1))
    yield "a graph on a plain operator", with_nodes(node("Tanh", "latent", "unused", body=body))


def huge() -> Iterator[Case]:
    for dims in ([2**40], [2**31, 2], [2**32, 2**32], [-1], [-4, -1], [0, 2**62], [3, 4, 1] * 400, [5]):
        tensor = TensorProto(name="huge", data_type=1, dims=dims, raw_data=bytes(16))
        yield f"dims {dims[:3]}", changed(lambda m: m.graph.initializer.append(tensor))
        yield f"dims {dims[:3]} in an attribute", with_nodes(constant(tensor))
    for kind in (0, 8, 14, 15, 99, -1):
        tensor = TensorProto(name="odd", data_type=kind, dims=[1], raw_data=bytes(8))
        yield f"tensor of type {kind}", changed(lambda m: m.graph.initializer.append(tensor))
    two = TensorProto(name="two", data_type=1, dims=[1], raw_data=bytes(4), float_data=[1.0])
    yield "data in two places", with_nodes(constant(two))
    wrong = TensorProto(name="wrong", data_type=1, dims=[2], int64_data=[1, 2])
    yield "floats kept as integers", with_nodes(constant(wrong))
    one = np.ones((1, 1, 1, 1), np.float32)
    n = 20_000
    column, row = np.ones((n, 1), np.float32), np.ones((1, n), np.float32)
    fill = node("ConstantOfShape", "size", "a")
    grown: list[tuple[str, list[onnx.NodeProto], dict[str, Any]]] = [
        ("ConstantOfShape", [fill], {"size": ints(BIG, BIG)}),
        ("ConstantOfShape of some memory", [fill], {"size": ints(60_000_000)}),
        ("a negative ConstantOfShape", [fill], {"size": ints(-5)}),
        ("Expand", [node("Expand", "x size", "a")], {"x": one, "size": ints(1, BIG, BIG, 1)}),
        ("Tile", [node("Tile", "x size", "a")], {"x": one, "size": ints(1, 2**40, 1, 1)}),
        ("Pad", [node("Pad", "x size", "a")], {"x": one, "size": ints(0, 0, 2**33, 0, 0, 0, 0, 0)}),
        ("Range", [node("Range", "s l d", "a")], {"s": ints(0)[0], "l": np.int64(2**50), "d": ints(1)[0]}),
        ("Range without a step", [node("Range", "s s s", "a")], {"s": np.int64(0)}),
        (
            "Range for ever",
            [node("Range", "s l d", "a")],
            {"s": np.float32(0), "l": np.float32(np.inf), "d": np.float32(1)},
        ),
        ("OneHot", [node("OneHot", "label depth v", "a")], {"depth": np.int64(2**40), "v": np.zeros(2, np.float32)}),
        ("Resize by factors", [node("Resize", "x  f", "a")], {"x": one, "f": np.full(4, 4000, np.float32)}),
        ("Resize by endless factors", [node("Resize", "x  f", "a")], {"x": one, "f": np.full(4, np.inf, np.float32)}),
        ("Resize to a size", [node("Resize", "x   size", "a")], {"x": one, "size": ints(1, 1, 10**6, 10**6)}),
        ("a sum of a column and a row", [node("Add", "c r", "a")], {"c": column, "r": row}),
        ("a product of a column and a row", [node("MatMul", "c r", "a")], {"c": column, "r": row}),
        ("an Einsum", [node("Einsum", "c r", "a", equation="ab,cd->abcd")], {"c": column, "r": row}),
        ("a dynamic outer sum", [node("Add", "latent c", "a"), node("Reshape", "a flat", "b"),
                                 node("Transpose", "b", "t"), node("Add", "b t", "d")],
         {"c": column, "flat": ints(-1, 1)}),
        (
            "doubled forty times",
            [node("Concat", f"a{i} a{i}", f"a{i + 1}", axis=0) for i in range(40)],
            {"a0": np.ones(8, np.float32)},
        ),
        (
            "many of middle size",
            [node("ConstantOfShape", "size", f"a{i}") for i in range(100)],
            {"size": ints(1_000_000)},
        ),
        (
            "work on loading",
            [
                node("ConstantOfShape", "size", "a0"),
                *(node("MatMul", f"a{i} a{i}", f"a{i + 1}") for i in range(400)),
            ],
            {"size": ints(700, 700)},
        ),
        (
            "a wide window on loading",
            [
                node("ConstantOfShape", "size", "a"),
                node("MaxPool", "a", "b", kernel_shape=[901, 901], pads=[450, 450, 450, 450]),
            ],
            {"size": ints(1, 1, 1000, 1000)},
        ),
        (
            "a long stride",
            [node("ConvTranspose", "x x", "a", strides=[10**6, 10**6], output_padding=[10**6, 10**6])],
            {"x": one},
        ),
        (
            "a wide output_shape",
            [node("ConvTranspose", "x x", "a", output_shape=[10**7, 10**7])],
            {"x": one},
        ),
        (
            "gathered often",
            [node("ConstantOfShape", "size", "p", value=numpy_helper.from_array(ints(0))), node("Gather", "x p", "a")],
            {"x": np.ones((1, 4096), np.float32), "size": ints(100_000)},
        ),
        # Sizes that the inputs decide.
        ("a size by label", [node("ConstantOfShape", "label", "a")], {}),
        ("repeated by label", [node("Tile", "table label", "a")], {}),
        ("a range to the label", [node("Range", "s label d", "a")], {"s": np.int64(0), "d": np.int64(1)}),
        ("expanded by the latent", [node("Cast", "latent", "c", to=7), node("Reshape", "c flat", "f"),
                                    node("Expand", "x f", "a")], {"x": one, "flat": ints(-1)}),
        ("padded by label", [node("Concat", "label label", "p", axis=0), node("Pad", "label p", "a")], {}),
    ]  # fmt: skip
    for name, nodes, tensors in grown:
        yield f"huge: {name}", with_nodes(*nodes, tensors=tensors)


def crashers() -> Iterator[Case]:
    x = np.ones((1, 4, 6, 6), np.float32)
    w = np.ones((4, 4, 3, 3), np.float32)
    numbers = {"n": ints(1, 2, -(2**63)), "zero": ints(0, 1, 2), "minus": ints(-1, 1, 1)}
    cases: list[tuple[str, onnx.NodeProto, dict[str, Any]]] = [
        ("division by zero", node("Div", "n zero", "a"), numbers),
        ("division of the least by -1", node("Div", "n minus", "a"), numbers),
        ("rest of a division by zero", node("Mod", "n zero", "a"), numbers),
        ("division by the label", node("Div", "n label", "a"), numbers),
        ("no groups", node("Conv", "x w", "a", group=0), {"x": x, "w": w}),
        ("negative groups", node("Conv", "x w", "a", group=-1), {"x": x, "w": w}),
        ("no stride", node("Conv", "x w", "a", strides=[0, 0]), {"x": x, "w": w}),
        ("no dilation", node("Conv", "x w", "a", dilations=[0, 0]), {"x": x, "w": w}),
        ("negative pads", node("Conv", "x w", "a", pads=[-9, -9, -9, -9]), {"x": x, "w": w}),
        ("three strides", node("Conv", "x w", "a", strides=[1, 1, 1]), {"x": x, "w": w}),
        ("other channels", node("Conv", "x w", "a"), {"x": x[:, :3], "w": w}),
        ("another kernel", node("Conv", "x w", "a", kernel_shape=[9, 9]), {"x": x, "w": w}),
        ("no groups, transposed", node("ConvTranspose", "x w", "a", group=0), {"x": x, "w": w}),
        ("no kernel", node("MaxPool", "x", "a", kernel_shape=[0, 0]), {"x": x}),
        ("no stride of a pool", node("AveragePool", "x", "a", kernel_shape=[2, 2], strides=[0, 0]), {"x": x}),
        ("no block", node("DepthToSpace", "x", "a", blocksize=0), {"x": x}),
        ("no block to depth", node("SpaceToDepth", "x", "a", blocksize=0), {"x": x}),
        ("axis 99", node("Softmax", "x", "a", axis=99), {"x": x}),
        ("axis -99", node("Concat", "x x", "a", axis=-99), {"x": x}),
        ("a transposition of nothing", node("Transpose", "x", "a", perm=[0, 0, 9, -1]), {"x": x}),
        ("a reshape to another count", node("Reshape", "x s", "a"), {"x": x, "s": ints(7, 7)}),
        ("two free sides", node("Reshape", "x s", "a"), {"x": x, "s": ints(-1, -1)}),
        ("a mean of nothing", node("ReduceMean", "e", "a"), {"e": np.zeros((0,), np.int32)}),
        ("a slice of step 0", node("Slice", "x z z z z", "a"), {"x": x, "z": ints(0)}),
        ("shapes that do not match", node("Add", "x w", "a"), {"x": x, "w": w[:3]}),
        ("a product that does not match", node("MatMul", "x w", "a"), {"x": x, "w": w}),
        ("statistics of the batch", node("BatchNormalization", "x g g g g", "a", training_mode=1),
         {"x": x, "g": np.ones(4, np.float32)}),
        ("training's dropout", node("Dropout", "x r t", "a"),
         {"x": x, "r": np.float32(0.5), "t": np.array(True)}),
        ("no groups of a norm", node("GroupNormalization", "x g g", "a", num_groups=0),
         {"x": x, "g": np.ones(4, np.float32)}),
        ("an attribute of another type", node("Softmax", "x", "a", axis="last"), {"x": x}),
        ("no input", node("Tanh", "", "a"), {}),
        ("too many results", node("Tanh", "latent", "a b c"), {}),
        ("no result", helper.make_node("Tanh", ["latent"], []), {}),
    ]  # fmt: skip
    for name, one, tensors in cases:
        yield f"crasher: {name}", with_nodes(one, tensors=tensors)


def structure() -> Iterator[Case]:
    yield "a node feeding itself", with_nodes(node("Tanh", "a", "a"))
    yield "two nodes feeding each other", with_nodes(node("Tanh", "a", "b"), node("Tanh", "b", "a"))
    yield "nodes out of order", changed(lambda m: m.graph.node.insert(0, m.graph.node.pop()))
    yield "a value from nowhere", with_nodes(node("Tanh", "nowhere", "a"))
    yield "a value made twice", with_nodes(node("Tanh", "latent", "a"), node("Tanh", "latent", "a"))
    yield "a tensor made again", with_nodes(node("Tanh", "latent", "table"))
    yield "a tensor twice", changed(lambda m: m.graph.initializer.append(m.graph.initializer[0]))
    yield "an input twice", changed(lambda m: m.graph.input.append(m.graph.input[0]))
    yield "a tensor without a name", changed(lambda m: m.graph.initializer[0].ClearField("name"))
    yield "no outputs", changed(lambda m: m.graph.ClearField("output"))
    yield "no nodes", changed(lambda m: m.graph.ClearField("node"))
    yield "no graph", changed(lambda m: m.ClearField("graph"))
    yield "no operator set", changed(lambda m: m.ClearField("opset_import"))
    yield "the operator set twice", changed(lambda m: m.opset_import.append(m.opset_import[0]))
    for version in (0, 1, 6, 99, 2**40, -1):
        yield f"operator set {version}", changed(lambda m: setattr(m.opset_import[0], "version", version))
        yield (
            f"IR version {version}",
            changed(lambda m: setattr(m, "ir_version", version if version != 6 else 2)),
        )
    training = onnx.TrainingInfoProto()
    training.algorithm.CopyFrom(subgraph(constant(numpy_helper.from_array(ints(1)))))
    yield "a training graph", changed(lambda m: m.training_info.append(training))
    kinds = [
        ("a sequence", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1]))),
        ("an optional", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1]))),
        ("a map", helper.make_map_type_proto(1, helper.make_tensor_type_proto(1, [1]))),
        ("a string", helper.make_tensor_type_proto(TensorProto.STRING, [1])),
        ("a negative side", helper.make_tensor_type_proto(1, [-3])),
        ("a thousand sides", helper.make_tensor_type_proto(1, [1] * 1000)),
    ]
    for name, kind in kinds:
        extra = helper.make_value_info("extra", kind)
        yield f"an input of {name}", changed(lambda m: m.graph.input.append(extra))
    yield "an input of no type", changed(lambda m: m.graph.input.add(name="extra"))


def nested() -> Iterator[Case]:
    for depth in (20, 90, 2000):
        inner = field(1, field(1, b""))  # graph { node { input: "" } }
        for _ in range(depth):
            # attribute { name, g { node { attribute ... } }, type: GRAPH }
            inner = field(1, field(5, field(1, b"then_branch") + field(6, inner) + b"\xa0\x01\x05"))
        yield f"{depth} branches deep", with_raw_graph(inner)
        kind = field(1, b"\x08\x01")
        for _ in range(depth):
            kind = field(4, field(1, kind))  # sequence_type { elem_type ... }
        yield f"a type {depth} deep", with_raw_graph(field(11, field(1, b"x") + field(2, kind)))


def bombs() -> Iterator[Case]:
    long = "x" * 5_000_000
    yield "an operator of 5 million letters", with_nodes(node(long, "latent", "a"))
    yield "a name of 5 million letters", with_nodes(node("Tanh", "latent", long))
    yield "a domain of 5 million letters", with_nodes(node("Tanh", "latent", "a", domain=long))
    yield "a name that is no text", with_raw_graph(field(1, field(1, b"\xff\xfe") + field(4, b"Tanh")))
    yield "ten million bytes of metadata", changed(lambda m: helper.set_model_props(m, {KEY: "[" * 10**7}))
    yield "200,000 metadata texts", base().SerializeToString() + field(14, field(1, b"k")) * 200_000
    yield "30,000 nodes", with_raw_graph(field(1, field(4, b"Tanh")) * 30_000)
    yield "300,000 nodes", with_raw_graph(field(1, b"") * 300_000)
    yield "100,000 tensors", with_raw_graph(field(5, b"") * 100_000)
    yield "100,000 inputs", with_raw_graph(field(11, b"") * 100_000)
    yield "100,000 outputs", with_raw_graph(field(12, b"") * 100_000)
    yield "six million empty fields", with_raw_graph(b"\x82\x01\x00" * 2_000_000)
    many = helper.make_attribute("pads", [1] * 2_000_000)
    yield "two million integers", with_nodes(attributed(many))
    yield "two million floats", with_nodes(attributed(helper.make_attribute("scales", [1.0] * 2_000_000)))
    dims = TensorProto(name="dims", data_type=1, dims=[1] * 2_000_000, raw_data=bytes(4))
    yield "two million dimensions", changed(lambda m: m.graph.initializer.append(dims))
    inputs = helper.make_node("Sum", ["latent"] * 400_000, ["a"])
    yield "a sum of 400,000", with_nodes(inputs, inputs)


def attributed(attribute: onnx.AttributeProto) -> onnx.NodeProto:
    one = node("Tanh", "latent", "a")
    one.attribute.append(attribute)
    return one


def wires() -> Iterator[Case]:
    good = base().SerializeToString()
    graph = base().graph.SerializeToString()
    yield "the graph twice", good + field(7, graph)
    yield "an empty second graph", good + field(7, b"")
    yield "the IR version twice", good + b"\x08\x08"
    yield "an unknown field", good + b"\xb8\x3e\x01"
    yield "field 0", good + b"\x00\x00"
    yield "a group", good + b"\xf3\x01\xf4\x01"
    yield "an unfinished group", good + b"\xf3\x01"
    yield "a group's end", good + b"\x0c"
    yield "wire type 6", good + b"\x0e\x01"
    yield "wire type 7", good + b"\x0f\x01"
    yield "the graph as a number", b"\x08\x08\x38\x01"
    yield "the IR version as bytes", b"\x0a\x01\x08" + good[2:]
    yield "a number in eleven bytes", b"\x08" + b"\x88" + b"\x80" * 9 + b"\x00" + good[2:]
    yield "a number in too many bytes", b"\x08\x88\x80\x00" + good[2:]
    yield "a number over 64 bits", b"\x08" + b"\xff" * 9 + b"\x7f" + good[2:]
    yield "a number without an end", good + b"\x08" + b"\xff" * 5
    yield "a length over the file", good + b"\x3a\xff\xff\xff\x7f"
    yield "a length of 2**63", good + b"\x3a" + b"\x80" * 9 + b"\x01"
    yield "text behind the file", good + b"trailing garbage"
    yield "zeros behind the file", good + bytes(100)
    yield "itself twice", good + good
    yield "a location of 2**32 + 1", with_raw_tensor(b"\x70" + b"\x81\x80\x80\x80\x10")
    yield "a location of 1 twice", with_raw_tensor(b"\x70\x00\x70\x01")
    yield "a segment", with_raw_tensor(field(3, b"\x08\x00\x10\x04"))
    yield "a reference to a function's attribute", with_nodes(attributed(onnx.AttributeProto(
        name="alpha", type=1, ref_attr_name="x")))  # fmt: skip
    # The runtime tells its own format by bytes 4 to 8, which may as well be an ONNX text.
    yield "the runtime's format and ONNX at once", b"\x08\x08\x12\x04ORTM" + good[2:]
    for seed in range(20):
        rng = random.Random(seed)
        noise = rng.randbytes(rng.choice([1, 7, 100, 5_000]))
        yield f"random bytes {seed}", noise
        yield f"random bytes {seed} behind a model's start", b"\x08\x08" + noise


def others() -> Iterator[Case]:
    yield "empty", b""
    for protocol in range(6):
        yield f"a pickle of protocol {protocol}", pickle.dumps({"weight": [1.0] * 99}, protocol)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps([1]))
        archive.writestr("generator.onnx", base().SerializeToString())
    yield "a zip", zipped.getvalue()
    yield "gzip", gzip.compress(base().SerializeToString())
    yield "safetensors", struct.pack("<Q", 2) + b"{}"
    yield "a PNG", b"\x89PNG\r\n\x1a\n" + bytes(64)
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64)
    yield "a page", b"<!DOCTYPE html><html></html>"
    yield "JSON", json.dumps({"a": 1}).encode()
    yield "an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    yield "a flatbuffer of the runtime", bytes(4) + b"ORTM" + bytes(64)
    yield "zeros", bytes(1_000_000)
    yield "ones", b"\xff" * 1_000_000
    yield "text", b"hello"


def truncations(count: int = 60) -> Iterator[Case]:
    good = base().SerializeToString()
    rng = random.Random(0)
    for at in sorted(rng.sample(range(1, len(good)), count)):
        yield f"cut at {at}", good[:at]


def flips(count: int = 250) -> Iterator[Case]:
    """Return the base model with a bit turned; what is left may be harmless."""
    good = base().SerializeToString()
    rng = random.Random(1)
    for _ in range(count):
        at, bit = rng.randrange(len(good)), rng.randrange(8)
        body = bytearray(good)
        body[at] ^= 1 << bit
        yield f"bit {bit} of byte {at} turned", bytes(body)


def field(number: int, body: bytes) -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def with_raw_graph(fields: bytes) -> bytes:
    """Return the base model with fields put before its graph's own."""
    model = base()
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    return model.SerializeToString() + field(7, fields + graph)


def with_raw_tensor(fields: bytes) -> bytes:
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "extra").SerializeToString()
    return with_raw_graph(field(5, tensor + fields))


def barely() -> Iterator[Case]:
    """Return models that just pass: what they make the runtime do on loading is what the bounds allow."""
    double = numpy_helper.from_array(np.array([1.5]))
    fill = node("ConstantOfShape", "size", "a", value=double)
    chain = [node("Pow", f"p{i} p{i}", f"p{i + 1}") for i in range(7)]
    cases: list[tuple[str, list[onnx.NodeProto], np.ndarray]] = [
        ("doubles", [fill], ints(520_000)),
        ("powers", [node("ConstantOfShape", "size", "p0", value=double), *chain], ints(65_000)),
        ("products", [fill, node("MatMul", "a a", "b")], ints(300, 300)),
        (
            "a window",
            [node("ConstantOfShape", "size", "a"), node("AveragePool", "a", "b", kernel_shape=[9, 9])],
            ints(1, 1, 160, 160),
        ),
        (
            "columns",
            [node("ConstantOfShape", "size", "a"), node("ConvTranspose", "a a", "b", strides=[2, 2])],
            ints(1, 1, 24, 24),
        ),
        ("an Einsum", [fill, node("Einsum", "a a", "b", equation="ab,bc->ac")], ints(150, 150)),
    ]
    for name, nodes, size in cases:
        yield f"barely: {name}", with_nodes(*nodes, tensors={"size": size})


def must_refuse() -> Iterator[Case]:
    for family in (
        externals, domains, operators, huge, crashers, structure, nested, bombs, wires, others, truncations
    ):  # fmt: skip
        yield from family()
