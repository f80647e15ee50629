"""Small files that take much memory or time, made from seeds: kinds that passed a vetting once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.hostile import Case, ints, node

Nodes = list[onnx.NodeProto]
Tensors = dict[str, Any]


def drawing(nodes: Nodes, tensors: Tensors) -> bytes:
    """Return a generator that loads and draws, 8x8 grey of a latent, and works out `big` beside it."""
    tail = [
        node("Flatten", "big", "flat", axis=0),
        node("ReduceMax", "flat", "most", keepdims=0),
        node("Mul", "most nothing", "zero"),
        node("Reshape", "latent shape", "row"),
        node("Add", "row zero", "image"),
    ]
    held = {**tensors, "nothing": np.float32(0), "shape": ints(0, 8, 8, 1)}
    graph = helper.make_graph(
        [*nodes, *tail],
        "g",
        [helper.make_tensor_value_info("latent", 1, ["batch", 64])],
        [helper.make_empty_tensor_value_info("image")],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def enlarged(*sides: int) -> tuple[Nodes, Tensors]:
    """Return `x` of a shape, which hangs on the latent so that it is not worked out on loading."""
    nodes = [node("ReduceMean", "latent", "mean", keepdims=0), node("Expand", "mean sides", "x")]
    return nodes, {"sides": ints(*sides)}


def sizes(rng: random.Random) -> Iterator[tuple[str, Nodes, Tensors]]:
    """Return sizes, `n`, that are large where they are reckoned as the runtime does, and look small."""
    huge, one = ints(rng.randrange(2**29, 2**30)), ints(1)
    big = {"one": one, "huge": huge}
    yield "the largest of three", [node("Max", "one one huge", "n")], big
    yield (
        "the least of three",
        [node("Neg", "huge", "m"), node("Min", "one one m", "k"), node("Abs", "k", "n")],
        big,
    )
    yield "the sum of three", [node("Sum", "one one huge", "n")], big
    yield "a mean", [node("Mean", "one huge huge", "n")], big
    factors = np.array([rng.randrange(2**40, 2**48), rng.randrange(2**50, 2**60)], np.int64)
    product = [
        node("ReduceProd", "v", "p", axes=[0], keepdims=1),
        node("Div", "p q", "d"),
        node("Add", "d one", "n"),
    ]
    yield "a product that saturates", product, {**big, "v": factors, "q": ints(2**34)}
    yield (
        "a sum that wraps",
        [node("Add", "v w", "n")],
        {"v": ints(2**63 - 1), "w": ints(2**63 - 1 - int(huge[0]))},
    )
    wide = rng.choice([10, 16])
    cast = [node("Cast", "v", "f", to=wide), node("Cast", "f", "n", to=7)]
    yield "through a narrow type", cast, {"v": ints(int(huge[0]))}
    empty = {"v": huge, "none": ints()}
    yield (
        "squeezed by no axes",
        [node("Squeeze", "v none", "s"), node("Reshape", "s one", "n")],
        {**empty, "one": one},
    )
    yield "the rest of a division", [node("Mod", "v w", "n")], {"v": ints(-1), "w": huge}
    yield "divided at the edge", [node("Div", "v w", "n")], {"v": ints(-(2**63)), "w": ints(-(2**33))}
    yield "a power", [node("Pow", "v w", "n")], {"v": ints(2), "w": ints(29)}
    yield "shifted", [node("Clip", "v low", "n")], {"v": ints(-5), "low": huge[0]}
    yield "summed up", [node("CumSum", "v zero", "c"), node("Slice", "c a b", "n")], {
        "v": np.repeat(huge, 2) // 2, "zero": np.int64(0), "a": ints(1), "b": ints(2)
    }  # fmt: skip


def consumers(rng: random.Random) -> Iterator[tuple[str, Nodes, Tensors]]:
    """Return operators that make something of a size `n`."""
    x = np.ones((1, 1), np.float32)
    yield "filled", [node("ConstantOfShape", "n", "big")], {}
    yield "expanded", [node("Expand", "u n", "big")], {"u": np.ones(1, np.float32)}
    yield "repeated", [node("Tile", "u n", "big")], {"u": np.ones(1, np.float32)}
    pads = [node("Concat", "none2 n none1", "pads", axis=0), node("Pad", "u2 pads", "big")]
    yield "padded", pads, {"u2": x, "none2": ints(0, 0), "none1": ints(0)}
    count = [
        node("Squeeze", "n", "limit"),
        node("Range", "start limit step", "r"),
        node("Cast", "r", "big", to=1),
    ]
    yield "counted", count, {"start": np.int64(0), "step": np.int64(1)}


def windows(rng: random.Random) -> Iterator[tuple[str, Nodes, Tensors]]:
    """Return operators whose working memory or time is far over what they give."""
    side, kernel = rng.randrange(130, 190), rng.randrange(140, 200)
    nodes, tensors = enlarged(1, 1, side, side)
    kernels = [*nodes, node("Expand", "mean wide", "k")]
    tensors = {**tensors, "wide": ints(1, 1, kernel, kernel)}
    yield "columns", [*kernels, node("ConvTranspose", "x k", "big")], tensors
    held = node("ConstantOfShape", "sides", "x"), node("ConstantOfShape", "wide", "k")
    yield "columns on loading", [*held, node("ConvTranspose", "x k", "big")], tensors
    pads = [kernel // 2] * 4
    yield "a wide convolution", [*kernels, node("Conv", "x k", "big", pads=pads)], {
        **tensors, "sides": ints(1, 1, 900, 900)
    }  # fmt: skip
    deep = {"sides": ints(1, 1, 24, 24, 24, 24), "wide": ints(1, 1, 9, 9, 9, 9)}
    yield "four dimensions", [*kernels, node("Conv", "x k", "big")], deep
    length = rng.randrange(700, 999)
    for op in ("LpPool", "AveragePool", "MaxPool"):
        nodes, tensors = enlarged(1, 1, 1000, 1000)
        half = [length // 2 - 1] * 4
        yield f"a wide {op}", [*nodes, node(op, "x", "big", kernel_shape=[length] * 2, pads=half)], tensors
    nodes, tensors = enlarged(rng.randrange(7000, 8000), 8000)
    yield "a product", [*nodes, node("Transpose", "x", "t"), node("MatMul", "x t", "big")], tensors
    nodes, tensors = enlarged(200, 200)
    yield "an Einsum", [*nodes, node("Einsum", "x x", "big", equation="ab,cd->abcd")], tensors
    nodes, tensors = enlarged(4000, 1, 2000)
    outer = [
        *nodes,
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Add", "x t", "s"),
        node("Tanh", "s", "big"),
    ]
    yield "an outer sum", outer, {"sides": ints(4000, 1, 2000)}
    normal = [*enlarged(1, 1, 4000, 2000)[0], *(node("Tanh", "x", f"t{i}") for i in range(30))]
    normal.append(node("Concat", " ".join(f"t{i}" for i in range(30)), "big", axis=0))
    yield "many at once", normal, {"sides": ints(1, 1, 4000, 2000)}


def back(rng: random.Random) -> Iterator[tuple[str, Nodes, Tensors]]:
    """Return slices that step back from before the start, which the runtime takes to be something."""
    side = rng.randrange(2, 9)
    ends = {"v": np.arange(side, dtype=np.float32), "s": ints(-side - rng.randrange(1, 9)), "e": ints(-99)}
    ends |= {"a": ints(0), "t": ints(-rng.choice([1, 1, 2])), "n": ints(rng.randrange(2**29, 2**30))}
    yield "stepped back", [node("Slice", "v s e a t", "c"), node("Tile", "c n", "big")], ends


def small_and_costly(count: int) -> Iterator[Case]:
    """Return at least so many, different ones."""
    made, seed = 0, 0
    while made < count:
        rng = random.Random(seed)
        for name, nodes, tensors in sizes(rng):
            for way, more, held in consumers(rng):
                yield f"{name}, {way}, {seed}", drawing([*nodes, *more], {**held, **tensors})
                made += 1
        for kind in (windows, back):
            for name, nodes, tensors in kind(rng):
                yield f"{name}, {seed}", drawing(nodes, tensors)
                made += 1
        seed += 1
