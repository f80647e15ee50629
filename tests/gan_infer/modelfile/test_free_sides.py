"""Sides that are free within bounds: refused where a bound says nothing, and right at each value."""

# ruff: noqa: E501  (a case a line)

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from gan_infer import ModelError
from gan_infer.conditions.spec import Free
from gan_infer.modelfile import safety
from gan_infer.modelfile.safety import free_sides, graph, sides
from gan_infer.modelfile.safety.protobuf import RefusedError
from tests.free_graphs import WIDE, described, model, planes, points, shape_at, values_within
from tests.hostile import ints, node

F = np.float32
W = np.full((4, 3, 3, 3), 0.1, F)
UP = np.array([1, 1, 2, 2], F)
HALF = np.array([1, 1, 0.5, 0.5], F)

Case = tuple[str, bytes, str]


def weights(*shape: int) -> Any:
    return np.full(shape, 0.1, F)


def sizes(names: str, *nodes: onnx.NodeProto, of: str = "x") -> list[onnx.NodeProto]:
    """Return what tells sides of a value by name: n, c, h, w, as lists of one number."""
    found = [node("Shape", of, f"{name}_all") for name in names.split()]
    found += [node("Gather", f"{name}_all at_{name}", name) for name in names.split()]
    return [*found, *nodes]


AT = {f"at_{name}": ints(place) for place, name in enumerate("nchw")}
ONE, OFTEN = ints(1), {"one": ints(1), "fill": weights(1, 1, 1, 1)}


# What is taken, with the sides that come of the largest picture, [n, 3, 64, 64] in planes.
TAKEN: list[tuple[str, list[onnx.NodeProto], dict[str, Any], list[int]]] = [
    ("strides", [node("Conv", "x w", "y", strides=[2, 2], pads=[1, 1, 1, 1])], {"w": W}, [4, 32, 32]),
    ("strides over what 4 divides", [node("Conv", "x w", "y", strides=[4, 4], pads=[1, 1, 1, 1])], {"w": W}, [4, 16, 16]),
    ("no pads", [node("Conv", "x w", "y")], {"w": W}, [4, 62, 62]),
    ("pads of the same size", [node("Conv", "x w", "y", strides=[2, 2], auto_pad="SAME_UPPER")], {"w": W}, [4, 32, 32]),
    ("transposed", [node("ConvTranspose", "x w", "y", strides=[2, 2], output_padding=[1, 0])], {"w": weights(3, 5, 3, 3)}, [5, 130, 129]),
    ("doubled", [node("Resize", "x  f", "y", mode="nearest")], {"f": UP}, [3, 128, 128]),
    ("halved", [node("Resize", "x  f", "y", mode="linear")], {"f": HALF}, [3, 32, 32]),
    ("resized to twice its shape", sizes("n c h w", node("Mul", "h two", "h2"), node("Mul", "w two", "w2"), node("Concat", "n c h2 w2", "s", axis=0), node("Resize", "x   s", "y", mode="nearest")), {**AT, "two": ints(2)}, [3, 128, 128]),
    ("pooled", [node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])], {}, [3, 32, 32]),
    ("mirrored", [node("Pad", "x p", "y", mode="reflect")], {"p": ints(0, 0, 3, 3, 0, 0, 3, 3)}, [3, 70, 70]),
    ("cut from the end", [node("Slice", "x a b c", "y")], {"a": ints(2), "b": ints(-4), "c": ints(2)}, [3, 58, 64]),
    ("cut to a number", [node("Slice", "x a b c", "y")], {"a": ints(2), "b": ints(16), "c": ints(2)}, [3, 14, 64]),
    ("every other row", [node("Slice", "x a b c d", "y")], {"a": ints(0), "b": ints(2**62), "c": ints(2), "d": ints(2)}, [3, 32, 64]),
    ("turned over", [node("Slice", "x a b c d", "y")], {"a": ints(-1), "b": ints(-(2**62)), "c": ints(3), "d": ints(-1)}, [3, 64, 64]),
    ("its upper half", sizes("h", node("Div", "h two", "half"), node("Slice", "x zero half place", "y")), {**AT, "two": ints(2), "zero": ints(0), "place": ints(2)}, [3, 32, 64]),
    ("joined", [node("Concat", "x x", "y", axis=2)], {}, [3, 128, 64]),
    ("skipped", [node("Conv", "x w", "a", strides=[2, 2], pads=[1, 1, 1, 1]), node("Resize", "a  f", "b", mode="nearest"), node("Concat", "x b", "y", axis=1)], {"w": W, "f": UP}, [7, 64, 64]),
    ("flat", [node("Reshape", "x s", "y")], {"s": ints(0, 0, -1)}, [3, 4096]),
    ("in groups and back", [node("Reshape", "x s", "a"), node("InstanceNormalization", "a o o", "b"), node("Shape", "x", "t"), node("Reshape", "b t", "y")], {"s": ints(0, 1, -1), "o": weights(1)}, [3, 64, 64]),
    ("in blocks", sizes("n c h w", node("Div", "h two", "h2"), node("Div", "w two", "w2"), node("Concat", "n c h2 two w2 two", "s", axis=0), node("Reshape", "x s", "y")), {**AT, "two": ints(2)}, [3, 32, 2, 32, 2]),
    ("divided by its width", sizes("n w", node("Concat", "n rest w", "s", axis=0), node("Reshape", "x s", "y")), {**AT, "rest": ints(-1)}, [192, 64]),
    ("to depth and back", [node("Concat", "x x x x", "a", axis=1), node("DepthToSpace", "a", "y", blocksize=2)], {}, [3, 128, 128]),
    ("a grid of its size", sizes("h w", node("Concat", "one one h w", "s", axis=0), node("Expand", "fill s", "g"), node("Add", "x g", "y")), {**AT, **OFTEN}, [3, 64, 64]),
    ("what is left of a multiple", sizes("h", node("Mod", "h four", "rest"), node("Add", "rest one", "more"), node("Concat", "one one one more", "s", axis=0), node("Tile", "x s", "y")), {**AT, **OFTEN, "four": ints(4)}, [3, 64, 64]),
    ("means", [node("ReduceMean", "x a", "m", keepdims=1), node("Mul", "x m", "y")], {"a": ints(2, 3)}, [3, 64, 64]),
    ("each place with each other", [node("Resize", "x  f", "a", mode="nearest"), node("Reshape", "a s", "b"), node("Transpose", "b", "c", perm=[0, 2, 1]), node("MatMul", "c b", "y")], {"f": np.array([1, 1, 0.25, 0.25], F), "s": ints(0, 0, -1)}, [256, 256]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "tensors", "largest"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN]
)
def test_sizes_are_those_of_the_runtime_at_every_free_side(
    nodes: list[onnx.NodeProto], tensors: dict[str, Any], largest: list[int]
) -> None:
    body = model([*planes(), *nodes], tensors)
    assert safety.check(body, "it").inputs == {"source": (2, (None, WIDE, WIDE, 3))}
    read = graph.read(body)
    values = safety.trace(read, len(body), listed=free_sides.read(read.metadata)).values
    assert [sides.each(side) for side in values["y"].shape] == [1, *largest]
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    for height, width in [*points((WIDE, WIDE), 0), (20, 36), (36, 20)]:
        (made,) = session.run(None, {"source": np.ones((3, height, width, 3), np.uint8)})
        found = shape_at(values["y"].shape, values["source"].shape[1:3], (height, width))
        assert [3 * each if per_picture else each for each, per_picture in found] == list(made.shape)


def fixed_by(*sides_told: Any) -> list[Any]:
    return [{**described("source"), "shape": list(sides_told)}]


def bound(**told: Any) -> dict[str, Any]:
    return {"low": 16, "high": 64, "multiple": 4, **told}


SAME = [node("Identity", "source", "y")]


def refused_bounds() -> Iterator[Case]:
    """Return files whose metadata bound nothing, or what is not there."""
    yield "no inputs at all", model(SAME, listed=[]), "bounds no free side"
    yield "another input", model(SAME, listed=[described("image", WIDE, WIDE, 3)]), "bounds no free side"
    yield "a side too few", model(SAME, listed=fixed_by(bound(), 3)), "its metadata says"
    yield "one fixed that is free", model(SAME, listed=fixed_by(64, bound(), 3)), "its metadata says"
    yield (
        "one free that is fixed",
        model(SAME, listed=fixed_by(bound(), bound(), bound())),
        "its metadata says",
    )
    yield "other channels", model(SAME, listed=fixed_by(bound(), bound(), 4)), "its metadata says"
    fixed = [("source", ("n", 128, 128, 3))]
    yield (
        "64 at most, and 128 in the graph",
        model(SAME, listed=fixed_by(bound(), bound(), 3), inputs=fixed),
        "its metadata says",
    )
    yield "an input without a shape", without_shape(), "its metadata says"
    yield "twice", model(SAME, listed=[described("source", WIDE, WIDE, 3)] * 2), "twice"
    yield "no list", model(SAME, listed={"source": [16, 64]}), "that are none"
    yield "no name", model(SAME, listed=[{"shape": [bound(), bound(), 3]}]), "that are none"
    yield "no shape", model(SAME, listed=[{"name": "source"}]), "its metadata says"
    yield "no list of sides", model(SAME, listed=[{"name": "source", "shape": 64}]), "that are none"
    yield "hundreds", model(SAME, listed=[described(f"i{i}", 3) for i in range(300)]), "that are none"
    for name, told in [
        ("nothing", {}),
        ("no largest", {"low": 16}),
        ("no smallest", {"high": 64}),
        ("a smallest of 0", bound(low=0)),
        ("a negative one", bound(low=-4)),
        ("a largest under the smallest", bound(high=8)),
        ("a largest of 2**31", bound(high=2**31)),
        ("a largest of 2**70", bound(high=2**70)),
        ("a multiple of 0", bound(multiple=0)),
        ("a multiple of -4", bound(multiple=-4)),
        ("a fraction", bound(high=64.5)),
        ("a text", bound(high="64")),
        ("truth", bound(low=True)),
        ("null", None),
        ("a fixed side of -1", -1),
        ("endless", float("inf")),
    ]:
        yield f"a bound that is {name}", model(SAME, listed=fixed_by(told, bound(), 3)), "bounds a side"
    none = fixed_by(bound(low=17, high=19, multiple=8), bound(), 3)
    yield "no multiple within", model(SAME, listed=none), "no multiple of 8 between 17 and 19"
    yield "a value of its own", with_value(), "of which a side is free"


def without_shape() -> bytes:
    made = onnx.load_from_string(model(SAME))
    made.graph.input[0].type.tensor_type.ClearField("shape")
    return bytes(made.SerializeToString())


def with_value() -> bytes:
    tensors = {"source": np.zeros((1, 16, 16, 3), np.uint8)}
    return model(SAME, tensors)


def costly() -> Iterator[Case]:
    """Return files that cost more than they may, at the largest sides or at some others."""
    vast = Free(16, 8192)
    one = [described("source", vast, vast, 3)]
    yield "a vast input", model(SAME, listed=one), "'source' at 8,192 and 8,192"
    large = Free(16, 4096)
    two = [described("source", large, large, 3), described("mask", large, large, 3)]
    both = [("source", ("n", "h", "w", 3)), ("mask", ("n", "h", "w", 3))]
    yield "two large inputs", model(SAME, listed=two, inputs=both), "'mask' at 4,096 and 4,096"
    middle = [described("source", Free(16, 2048), Free(16, 2048), 3)]
    sixteen = {"f": np.array([1, 1, 4, 4], F)}
    grown = [*planes(), node("Resize", "x  f", "y", mode="nearest")]
    yield "sides that multiply", model(grown, sixteen, listed=middle), "'source' at 2,048 and 2,048"
    pairs = [
        *planes(),
        node("Reshape", "x s", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1]),
        node("MatMul", "b a", "y"),
    ]
    wide = [described("source", Free(16, 256), Free(16, 256), 3)]
    yield (
        "each place with each other",
        model(pairs, {"s": ints(0, 0, -1)}, listed=wide),
        "'source' at 256 and 256",
    )
    slow = [
        *planes(),
        *(
            node("Conv", f"{'x' if i == 0 else f'c{i}'} w{min(i, 1)}", f"c{i + 1}", pads=[3] * 4)
            for i in range(8)
        ),
    ]
    tensors = {"w0": weights(64, 3, 7, 7), "w1": weights(64, 64, 7, 7)}
    yield (
        "long work",
        model(slow, tensors, listed=[described("source", Free(16, 600), Free(16, 600), 3)], outputs=["c8"]),
        "at 600 and 600",
    )


def filled(*nodes: onnx.NodeProto, last: str = "s", **tensors: Any) -> bytes:
    """Return a graph that fills a shape reckoned from its sides."""
    return model(
        [*planes(), *sizes("n c h w", *nodes), node("ConstantOfShape", last, "y")], {**AT, **OFTEN, **tensors}
    )


def smaller_cost_more() -> Iterator[Case]:
    """Return files of which a small side costs more than the largest, or may."""
    listed = [node("Concat", "one one size w", "s", axis=0)]
    more, unknown = "makes more of a smaller side", "that the file does not fix"
    yield "a number less a side", filled(node("Sub", "many h", "size"), *listed, many=ints(4096)), more
    yield (
        "the other way round",
        filled(
            node("Mul", "h less", "size0"),
            node("Add", "size0 many", "size"),
            *listed,
            less=ints(-1),
            many=ints(4096),
        ),
        more,
    )
    yield (
        "its square and less",
        filled(node("Sub", "h many", "a"), node("Mul", "a a", "size"), *listed, many=ints(40)),
        "makes shape",
    )
    yield "what is left of 7", filled(node("Mod", "h seven", "size"), *listed, seven=ints(7)), unknown
    yield "a part", filled(node("Div", "h eight", "size"), *listed, eight=ints(8)), unknown
    yield (
        "a number by a side",
        filled(node("Div", "many h", "size"), *listed, many=ints(2**20)),
        "by less than 1",
    )
    yield (
        "chosen where it is 16",
        filled(
            node("Equal", "h small", "is"),
            node("Where", "is many h", "size"),
            *listed,
            small=ints(16),
            many=ints(2**20),
        ),
        unknown,
    )
    yield (
        "chosen where it is a square",
        filled(node("Equal", "h w", "is"), node("Where", "is many h", "size"), *listed, many=ints(2**20)),
        unknown,
    )
    yield "the smaller of two", filled(node("Min", "h w", "size"), *listed), unknown
    yield (
        "what it holds",
        model(
            [
                node("Cast", "source", "i", to=7),
                node("ReduceMax", "i", "m", keepdims=0),
                node("Reshape", "m one", "s"),
                node("ConstantOfShape", "s", "y"),
            ],
            OFTEN,
        ),
        unknown,
    )
    pads = [
        node("Sub", "many h", "p"),
        node("Concat", "zero zero p zero zero zero zero zero", "pads", axis=0),
        node("Pad", "x pads", "y"),
    ]
    yield (
        "pads up to a size",
        model([*planes(), *sizes("h", *pads)], {**AT, "many": ints(64), "zero": ints(0)}),
        "free side",
    )
    yield (
        "negative pads",
        model([*planes(), node("Pad", "x p", "y")], {"p": ints(0, 0, 0, 0, 0, 0, -8, 0)}),
        "pads",
    )
    yield (
        "mirrored further than the smallest",
        model([*planes(), node("Pad", "x p", "y", mode="reflect")], {"p": ints(0, 0, 0, 0, 0, 0, 16, 0)}),
        "mirrors",
    )
    yield (
        "cut behind the smallest",
        model([*planes(), node("Slice", "x a b c", "y")], {"a": ints(0), "b": ints(32), "c": ints(2)}),
        "need not be in it",
    )
    yield (
        "cut before the first",
        model([*planes(), node("Slice", "x a b c", "y")], {"a": ints(-32), "b": ints(2**62), "c": ints(2)}),
        "need not be in it",
    )
    yield (
        "every third row",
        model(
            [*planes(), node("Slice", "x a b c d", "y")],
            {"a": ints(0), "b": ints(2**62), "c": ints(2), "d": ints(3)},
        ),
        "multiple of 3",
    )
    yield (
        "strides of 8 over multiples of 4",
        model([*planes(), node("Conv", "x w", "y", strides=[8, 8])], {"w": W}),
        "multiple of 8",
    )
    yield (
        "a window over the smallest",
        model([*planes(), node("Conv", "x w", "y")], {"w": weights(4, 3, 17, 17)}),
        "a window of 17",
    )
    yield (
        "pooled by 3",
        model([*planes(), node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[3, 3])]),
        "multiple of 3",
    )
    yield (
        "resized by a third",
        model([*planes(), node("Resize", "x  f", "y", mode="nearest")], {"f": np.array([1, 1, 1 / 3, 1], F)}),
        "resizes",
    )
    yield (
        "resized by an eighth",
        model([*planes(), node("Resize", "x  f", "y", mode="nearest")], {"f": np.array([1, 1, 0.125, 1], F)}),
        "multiple of 8",
    )
    yield (
        "leaves nothing of the smallest",
        model([*planes(), node("ConvTranspose", "x w", "y", pads=[8, 8, 8, 8])], {"w": weights(3, 4, 1, 1)}),
        "leaves no pixels",
    )
    yield (
        "in rows of 7",
        model([*planes(), node("Reshape", "x s", "y")], {"s": ints(0, 0, -1, 7)}),
        "multiple of 21",
    )
    yield (
        "height for width",
        model([*planes(), node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Add", "x t", "y")]),
        "together",
    )
    yield (
        "to -1",
        filled(node("Sub", "h many", "size"), *listed, many=ints(17)),
        "makes shape",
    )
    yield (
        "copied where it is 0",
        model(
            [
                *planes(),
                *sizes(
                    "n h",
                    node("Sub", "h least", "z"),
                    node("Concat", "n z rest", "s", axis=0),
                    node("Reshape", "x s", "y"),
                ),
            ],
            {**AT, "least": ints(16), "rest": ints(-1)},
        ),
        "takes",
    )
    yield (
        "repeated by a negative number",
        model(
            [
                *planes(),
                *sizes(
                    "h",
                    node("Sub", "h many", "t"),
                    node("Concat", "one one one t", "s", axis=0),
                    node("Tile", "x s", "y"),
                ),
            ],
            {**AT, **OFTEN, "many": ints(64)},
        ),
        "repeats",
    )
    yield (
        "resized to nothing",
        model(
            [
                *planes(),
                *sizes(
                    "n c h w",
                    node("Sub", "h many", "z"),
                    node("Concat", "n c z w", "s", axis=0),
                    node("Resize", "x   s", "y"),
                ),
            ],
            {**AT, "many": ints(16)},
        ),
        "resizes",
    )
    powers = [node("Mul", f"{'h' if i == 0 else f'p{i}'} h", f"p{i + 1}") for i in range(12)]
    yield "its thirteenth power", filled(*powers, node("Concat", "one one p12 w", "s", axis=0)), unknown
    norm = [node("Reshape", "x s", "e"), node("InstanceNormalization", "e o o", "y")]
    empty = [node("ConstantOfShape", "none", "x"), *norm]  # of which the runtime crashes
    yield (
        "nothing, normalised",
        model(empty, {"none": ints(1, 1, 0, 16), "s": ints(0, 1, -1), "o": weights(1)}),
        "takes",
    )
    yield "another side", two_sides(), "together"


def two_sides() -> bytes:
    listed = [described("source", WIDE, WIDE, 3), described("mask", WIDE, WIDE, 3)]
    both = [("source", ("n", "h", "w", 3)), ("mask", ("n", "h", "w", 3))]
    return model([*planes(), *planes("mask", "m"), node("Add", "x m", "y")], listed=listed, inputs=both)


HOSTILE = [*refused_bounds(), *costly(), *smaller_cost_more()]


@pytest.mark.parametrize(("body", "why"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_what_a_bound_does_not_hold_is_refused_in_one_line(body: bytes, why: str) -> None:
    with pytest.raises(ModelError) as caught:
        safety.check(body, "it.onnx")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_lists_no_inputs_has_free_sides_of_1_as_before() -> None:
    made = onnx.load_from_string(model([*planes(), node("Conv", "x w", "y")], {"w": weights(4, 3, 1, 1)}))
    for text in (None, "{}", "not JSON", '{"inputs": 1'):
        del made.metadata_props[:]
        if text is not None:
            helper.set_model_props(made, {"ganforge": text})
        summary = safety.check(made.SerializeToString(), "it")
        assert summary.inputs == {"source": (2, (None, None, None, 3))}
        assert summary.live < 100


def test_memory_and_work_are_those_of_the_largest_sides() -> None:
    nodes = [*planes(), node("Conv", "x w", "y", pads=[1, 1, 1, 1])]
    free = safety.check(model(nodes, {"w": W}), "it")
    at_most = [("source", ("n", 64, 64, 3))]
    fixed = safety.check(
        model(nodes, {"w": W}, listed=[described("source", 64, 64, 3)], inputs=at_most), "it"
    )
    assert (free.live, free.work, free.kept, free.bytes_alone) == (
        fixed.live,
        fixed.work,
        fixed.kept,
        fixed.bytes_alone,
    )
    assert free.bytes_alone == 64 * 64 * 3 + 4 * 4 * 64 * 64


def test_no_size_follows_from_an_integer_that_may_be_fed() -> None:
    often = {"name": "often", "shape": [4], "optional": True}
    nodes = [*planes(), node("Tile", "x often", "y")]
    made = onnx.load_from_string(model(nodes, {"often": ints(1, 1, 2, 1)}))
    made.graph.input.append(helper.make_tensor_value_info("often", onnx.TensorProto.INT64, [4]))
    source = described("source", WIDE, WIDE, 3)
    helper.set_model_props(made, {"ganforge": json.dumps({"inputs": [source]})})
    assert safety.check(made.SerializeToString(), "it").optional == {"often": (7, (4,))}
    helper.set_model_props(made, {"ganforge": json.dumps({"inputs": [source, often]})})
    with pytest.raises(ModelError, match="that the file does not fix"):
        safety.check(made.SerializeToString(), "it")


def test_what_a_list_says_besides_is_passed_over() -> None:
    source = {"name": "source", "shape": [bound(also=1), bound(), 3], "unit": "light"}
    body = model(SAME, listed=[source, {"name": "age", "optional": True}])
    assert safety.check(body, "it").inputs == {"source": (2, (None, WIDE, WIDE, 3))}


def test_a_bound_of_one_value_is_a_fixed_side() -> None:
    once = Free(30, 40, 32)
    body = model(
        [*planes(), node("Resize", "x  f", "y", mode="nearest")],
        {"f": np.array([1, 1, 1.3, 1], F)},
        listed=[described("source", once, once, 3)],
    )
    assert safety.check(body, "it").bytes_alone == 32 * 32 * 3 + 4 * 3 * 41 * 32


# Sizes as polynomials, against whole numbers.

WHOLES = st.recursive(
    st.one_of(st.integers(-9, 9), st.sampled_from(["h", "w"])),
    lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner),
    max_leaves=6,
)
H, VALUES = sides.free(0, 5, 14, 3), (6, 9, 12)
V, WIDTHS = sides.free(1, 2, 5, 1), (2, 3, 4, 5)


def work_out(tree: Any, names: dict[str, Any]) -> Any:
    if not isinstance(tree, tuple):
        return names.get(tree, tree)
    op, left, right = tree[0], work_out(tree[1], names), work_out(tree[2], names)
    if op == "*":
        return sides.multiply(left, right)
    return sides.add(left, right) if op == "+" else sides.subtract(left, right)


@settings(max_examples=150, deadline=None)
@given(WHOLES, st.integers(1, 6))
def test_polynomials_are_what_whole_numbers_are_at_every_side(tree: Any, by: int) -> None:
    found = work_out(tree, {"h": H, "w": V})
    at = {(h, w): work_out(tree, {"h": h, "w": w}) for h, w in itertools.product(VALUES, WIDTHS)}
    assert sides.least(found) <= min(at.values())
    assert sides.most(found) >= max(at.values())
    if sides.grows(found):
        assert (sides.least(found), sides.most(found)) == (
            at[VALUES[0], WIDTHS[0]],
            at[VALUES[-1], WIDTHS[-1]],
        )
    try:
        quotient = sides.divide(found, by)
    except RefusedError:
        return
    for point, value in at.items():
        assert shape_at((quotient,), (H, V), point) == [(value // by, False)]


@settings(max_examples=100, deadline=None)
@given(WHOLES, WHOLES)
def test_a_product_divided_by_one_factor_is_the_other(left: Any, right: Any) -> None:
    one, other = (work_out(tree, {"h": H, "w": V}) for tree in (left, right))
    try:
        product = sides.multiply(one, other)
    except RefusedError:  # a product of too many sides
        return
    if other != 0:
        assert sides.divide(product, other) == one


def test_every_value_of_a_side_is_one_of_its_multiples() -> None:
    assert values_within(Free(5, 14, 3)) == list(VALUES)
    assert (sides.least(H), sides.most(H)) == (6, 12)
    assert sides.free(0, 30, 40, 32) == 32


def test_a_bound_is_read_from_the_very_metadata_of_the_file() -> None:
    made = onnx.load_from_string(model(SAME))
    text = made.metadata_props[0].value
    made.metadata_props[0].value = text.replace('"inputs"', '"\\u0069nputs"')
    assert json.loads(made.metadata_props[0].value) == json.loads(text)
    assert safety.check(made.SerializeToString(), "it").inputs == {"source": (2, (None, WIDE, WIDE, 3))}
