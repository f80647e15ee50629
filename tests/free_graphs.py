"""Graphs over pictures of free sides, from seeds or by hand, with the bounds that their metadata state."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gan_infer.conditions.spec import Free
from gan_infer.modelfile.safety import sides
from tests.hostile import ints, node

Nodes = list[onnx.NodeProto]
Bounds = tuple[Free, Free]

WIDE = Free(16, 64, 4)


def described(name: str, *sides: int | Free, dtype: str = "uint8") -> dict[str, Any]:
    """Return an input as a file's metadata list it."""
    shape = [dataclasses.asdict(side) if isinstance(side, Free) else side for side in sides]
    return {"name": name, "kind": "image", "dtype": dtype, "shape": shape, "facts": {}, "optional": False}


def model(
    nodes: Nodes,
    tensors: dict[str, Any] | None = None,
    *,
    listed: Any = None,
    inputs: Sequence[tuple[str, Sequence[int | str | None]]] = (("source", ("n", "h", "w", 3)),),
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
) -> bytes:
    """Return a model over uint8 inputs; `listed` is what its metadata list, by default `source` in WIDE."""
    listed = [described("source", WIDE, WIDE, 3)] if listed is None else listed
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, sides) for name, sides in inputs],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (tensors or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(made, {"ganforge": json.dumps({"inputs": listed})})
    return bytes(made.SerializeToString())


def planes(source: str = "source", result: str = "x") -> Nodes:
    """Return what makes float32 [n, 3, height, width] of pictures."""
    return [
        node("Cast", source, f"{result}_float", to=1),
        node("Transpose", f"{result}_float", result, perm=[0, 3, 1, 2]),
    ]


def values_within(side: Free) -> list[int]:
    """Return every value of a free side."""
    first = -(-side.low // side.multiple) * side.multiple
    return list(range(first, side.high + 1, side.multiple))


class Chain:
    """Draws operators, each on the result of the last, over pictures whose height and width are free."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.nodes = planes()
        self.tensors: dict[str, Any] = {}
        self.last, self.channels = "x", 3
        self.count = itertools.count()
        self.bounds: Bounds = (self._bounds(), self._bounds())

    def _bounds(self) -> Free:
        multiple = self.rng.choice([1, 1, 2, 4, 4, 8, 8, 16, 6])
        low = self.rng.choice([1, 2, 4, 8, 9, 16, 17])
        return Free(low, max(low, multiple) + multiple * self.rng.choice([1, 3, 7, 8, 20]), multiple)

    def held(self, value: Any) -> str:
        """Put a tensor into the file."""
        name = f"t{next(self.count)}"
        self.tensors[name] = value
        return name

    def add(self, op: str, *given: str, channels: int | None = None, **attributes: Any) -> str:
        """Add an operator on the last result, and go on with what it gives."""
        name = f"r{next(self.count)}"
        self.nodes.append(helper.make_node(op, list(given) or [self.last], [name], **attributes))
        self.last, self.channels = name, channels or self.channels
        return name

    def side(self, value: str, place: int) -> str:
        """Return one side of a value, as its Shape says."""
        name, last = f"s{next(self.count)}", self.last
        self.nodes.append(node("Shape", value, name))
        side = self.add("Gather", name, self.held(ints(place)))
        self.last = last
        return side

    def reckoned(self, side: str) -> str:
        """Return a number reckoned from another one."""
        last, rng = self.last, self.rng
        for _ in range(rng.choice([0, 1, 1, 2])):
            by = self.held(ints(rng.choice([1, 2, 2, 3, 4, 8, 64])))
            op = rng.choice(["Mul", "Add", "Sub", "Div", "Mod", "RSub", "Div", "Mul"])
            side = self.add("Sub", by, side) if op == "RSub" else self.add(op, side, by)
        self.last = last
        return side

    def joined(self, *parts: str) -> str:
        """Return one list of some numbers."""
        last = self.last
        name = self.add("Concat", *parts, axis=0)
        self.last = last
        return name

    # Operators.

    def conv(self) -> None:
        """Move filters, with strides, pads and dilations."""
        rng = self.rng
        kernel, channels = rng.choice([1, 2, 3, 3, 4, 5, 7]), rng.choice([1, 4, 8, 12])
        same = rng.random() < 0.15
        extra = {"auto_pad": "SAME_UPPER"} if same else {"pads": [rng.choice([0, 1, 1, 2]) for _ in range(4)]}
        weights = self.held(np.full((channels, self.channels, kernel, kernel), 0.1, np.float32))
        strides = [rng.choice([1, 1, 2, 2, 3, 4])] * 2
        dilations = [1, 1] if same else [rng.choice([1, 1, 1, 2])] * 2
        self.add("Conv", self.last, weights, channels=channels, strides=strides, dilations=dilations, **extra)

    def conv_transpose(self) -> None:
        """Move filters the other way."""
        rng = self.rng
        stride, kernel, channels = rng.choice([1, 2, 2, 3]), rng.choice([1, 2, 3, 4]), rng.choice([1, 4, 6])
        weights = self.held(np.full((self.channels, channels, kernel, kernel), 0.1, np.float32))
        extra = {"output_padding": [rng.choice([0, 1]) for _ in range(2)]} if rng.random() < 0.4 else {}
        pads = [rng.choice([0, 0, 1, 2]) for _ in range(4)]
        self.add(
            "ConvTranspose", self.last, weights, channels=channels, strides=[stride] * 2, pads=pads, **extra
        )

    def resize(self) -> None:
        """Resize by factors, or to sizes reckoned from the shape."""
        rng, mode = self.rng, self.rng.choice(["nearest", "linear", "cubic"])
        if rng.random() < 0.6:
            factors = [rng.choice([0.25, 0.5, 0.75, 1.5, 2.0, 2.0, 3.0, 1.3]) for _ in range(2)]
            self.add("Resize", self.last, "", self.held(np.array([1, 1, *factors], np.float32)), mode=mode)
            return
        start = self.joined(self.side(self.last, 0), self.side(self.last, 1))
        sides = [self.reckoned(self.side(rng.choice([self.last, "x"]), place)) for place in (2, 3)]
        self.add("Resize", self.last, "", "", self.joined(start, *sides), mode=mode)

    def pool(self) -> None:
        """Pool windows."""
        rng, kernel = self.rng, self.rng.choice([1, 2, 2, 3, 5])
        pads = [rng.choice([0, kernel // 2]) for _ in range(4)]
        op = rng.choice(["MaxPool", "AveragePool"])
        self.add(op, kernel_shape=[kernel] * 2, strides=[rng.choice([1, 2, 2, 3])] * 2, pads=pads)

    def pad(self) -> None:
        """Pad, mirrored or not."""
        rng = self.rng
        pads = [
            0,
            0,
            *(rng.choice([0, 1, 2, 8]) for _ in range(2)),
            0,
            0,
            *(rng.choice([0, 1, -1, 2]) for _ in range(2)),
        ]
        self.add("Pad", self.last, self.held(ints(*pads)), mode=rng.choice(["constant", "reflect", "edge"]))

    def cut(self) -> None:
        """Slice a side, by numbers or by what is reckoned from it."""
        rng, place = self.rng, self.rng.choice([2, 3])
        bounds = [
            self.reckoned(self.side(self.last, place)) if rng.random() < 0.3 else self.held(ints(value))
            for value in (
                rng.choice([0, 0, 1, 2, -4, -16]),
                rng.choice([2**62, 2**31 - 1, -1, -2, 4, 8, 1000]),
            )
        ]
        step = rng.choice([1, 1, 1, 2, 2, 3, -1])
        if step < 0:
            bounds = [self.held(ints(-1)), self.held(ints(-(2**62)))]
        self.add("Slice", self.last, *bounds, self.held(ints(place)), self.held(ints(step)))

    def join(self) -> None:
        """Join with itself, or with what it was made of."""
        other = self.rng.choice([self.last, self.last, "x"])
        axis = self.rng.choice([1, 1, 2, 3, 0])
        channels = self.channels * (1 if other == self.last else 0) if axis == 1 else 0
        joined = self.channels + (channels or 3) if axis == 1 else self.channels
        self.add("Concat", self.last, other, axis=axis, channels=joined)

    def add_to(self) -> None:
        """Add it to what it was made of."""
        self.add(self.rng.choice(["Add", "Mul", "Max"]), self.last, self.rng.choice(["x", self.last]))

    def blocks(self) -> None:
        """Move channels to the sides."""
        block = self.rng.choice([1, 2, 2, 3])
        self.add("DepthToSpace", blocksize=block, channels=max(1, self.channels // block**2))

    def norm(self) -> None:
        """Normalise by groups, as exporters write it: reshaped, and reshaped back."""
        whole, groups = self.last, self.rng.choice([1, 1, 2, 3])
        self.add("Reshape", whole, self.held(ints(0, groups, -1)))
        ones = self.held(np.ones(groups, np.float32))
        self.add("InstanceNormalization", self.last, ones, ones)
        name = f"s{next(self.count)}"
        self.nodes.append(node("Shape", whole, name))
        self.add("Reshape", self.last, name)

    def reshape(self) -> None:
        """Make blocks of a side, or one side of two."""
        rng, whole = self.rng, self.last
        n, c, h, w = (self.side(whole, place) for place in range(4))
        two, rest = self.held(ints(2)), self.held(ints(-1))
        half = [self.reckoned(side) if rng.random() < 0.5 else self._half(side, two) for side in (h, w)]
        target = rng.choice([
            [n, c, half[0], two, half[1], two], [n, c, rest], [n, rest, half[1]], [n, c, half[0], rest],
            [n, two, c, half[0], w], [n, c, h, half[1], rest], [rest, w],
        ])  # fmt: skip
        self.add("Reshape", whole, self.joined(*target))
        if rng.random() < 0.7:
            self.add("Reshape", self.last, self.joined(n, c, h, w))

    def _half(self, side: str, two: str) -> str:
        last = self.last
        half = self.add("Div", side, two)
        self.last = last
        return half

    def attend(self) -> None:
        """Compare each place with each other one."""
        self.add("Reshape", self.last, self.held(ints(0, 0, -1)))
        rows = self.add("Transpose", perm=[0, 2, 1])
        columns = self.nodes[-1].input[0]
        self.add("MatMul", rows, columns)
        self.add("Softmax", axis=-1)
        self.add("MatMul", columns, self.last)

    def fill(self) -> None:
        """Make something of a size reckoned from the shape."""
        rng, whole = self.rng, self.last
        sides = [self.reckoned(self.side(whole, place)) for place in (2, 3)]
        one = self.held(ints(1))
        if rng.random() < 0.5:
            self.add("ConstantOfShape", self.joined(one, one, *sides))
        else:
            self.add(
                "Expand",
                self.held(np.ones((1, 1, 1, 1), np.float32)),
                self.joined(self.side(whole, 0), one, *sides),
            )
        if rng.random() < 0.8:
            self.add("Add", whole, self.last)

    def tile(self) -> None:
        """Repeat it, so often or as a side says."""
        often = self.reckoned(self.side("x", 2)) if self.rng.random() < 0.4 else self.held(ints(2))
        one = self.held(ints(1))
        self.add("Tile", self.last, self.joined(one, one, *self.rng.sample([often, one], 2)))

    def reduce(self) -> None:
        """Take means over sides, and go on with what is left, on the whole."""
        whole, axes = self.last, self.rng.choice([[2], [3], [2, 3], [1]])
        self.add("ReduceMean", whole, self.held(ints(*axes)), keepdims=1)
        if self.rng.random() < 0.8:
            self.add("Mul", whole, self.last)

    def plain(self) -> None:
        """Apply a function to each element."""
        self.add(self.rng.choice(["Relu", "Tanh", "Sigmoid", "Neg", "LeakyRelu", "Identity"]))

    def choose(self) -> None:
        """Choose a size by whether two are equal."""
        h, w = self.side(self.last, 2), self.side(self.last, 3)
        last, name = self.last, f"b{next(self.count)}"
        other = self.rng.choice([w, self.held(ints(-1)), self.held(ints(16)), self.held(ints(1000))])
        self.nodes.append(node("Equal", f"{h} {other}", name))
        size = self.add("Where", name, self.held(ints(4096)), h)
        self.last = last
        one = self.held(ints(1))
        self.add("Expand", self.held(np.ones((1, 1, 1, 1), np.float32)), self.joined(one, one, size, one))

    def body(self) -> bytes:
        """Draw the whole file."""
        makers: list[Callable[[], None]] = [
            *[self.conv] * 3, *[self.conv_transpose] * 2, *[self.resize] * 2, self.pool, self.pad,
            *[self.cut] * 2, self.join, self.add_to, self.blocks, self.norm, self.reshape, self.attend,
            *[self.fill] * 2, self.tile, self.reduce, self.plain, self.choose,
        ]  # fmt: skip
        for _ in range(self.rng.choice([1, 1, 2, 2, 3, 4])):
            self.rng.choice(makers)()
        listed = [described("source", *self.bounds, 3)]
        return model(self.nodes, self.tensors, listed=listed, outputs=[self.last])


def case(seed: int) -> tuple[bytes, Bounds]:
    """Return a model file and the bounds of its height and width."""
    chain = Chain(seed)
    return chain.body(), chain.bounds


def points(bounds: Bounds, seed: int, most: int = 6) -> list[tuple[int, int]]:
    """Return sides within bounds: the largest, the smallest, one of each, and some between."""
    rng = random.Random(seed)
    heights, widths = map(values_within, bounds)
    found = [
        (heights[-1], widths[-1]),
        (heights[0], widths[0]),
        (heights[0], widths[-1]),
        (heights[-1], widths[0]),
    ]
    found += [(rng.choice(heights), rng.choice(widths)) for _ in range(most - len(found))]
    return list(dict.fromkeys(found))


def shape_at(shape: sides.Shape, given: Sequence[sides.Side], point: Sequence[int]) -> list[tuple[int, bool]]:
    """Return what the vetting holds a shape to be where free sides are at a point.

    Args:
        given: the free sides of the input, as the vetting has them.

    Returns:
        each side for one picture, and whether it is so many for each picture.
    """
    steps = {}
    for side, value in zip(given, point, strict=True):
        if isinstance(side, sides.Polynomial):
            (_, first), ((one,), multiple) = side.terms
            steps[one] = (value - first) // multiple
    found = []
    for side in shape:
        whole = sides.for_one(side)
        terms = whole.terms if isinstance(whole, sides.Polynomial) else (((), whole),)
        total = sum(factor * math.prod(steps[one] for one in term) for term, factor in terms)
        found.append((total, isinstance(side, sides.PerPicture)))
    return found
