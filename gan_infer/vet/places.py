"""The operators that move, cut, join, fill and cast, and how large what they give is.

As in `arithmetic`, one function for every operator in `OPERATORS`. It computes no pictures.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from gan_infer.vet.call import Call, Given, Shape, checked_axes, checked_axis, listing, need, table, together
from gan_infer.vet.graph import FLOAT32, INT64, MAX_SIDE, NUMPY, UINT8, Tensor

# Elements that one of a resized picture is worked out from, along each side that changes.
_TAPS: Final = {"nearest": 1, "linear": 2, "cubic": 4}


def _constant(call: Call) -> Given:
    need(len(call.attributes) == 1, "has not one value")
    name, value = next(iter(call.attributes.items()))
    if name == "value" and isinstance(value, Tensor):
        return [(value.shape, value.kind)]
    kinds = {"value_int": INT64, "value_ints": INT64, "value_float": FLOAT32, "value_floats": FLOAT32}
    need(name in kinds and not isinstance(value, Tensor), "has a value that is not taken")
    return [((len(value),) if isinstance(value, list) else (), kinds[name])]


def _filled(call: Call) -> Given:
    value = call.attributes.get("value")
    need(value is None or (isinstance(value, Tensor) and math.prod(value.shape) == 1), "has not one value")
    return [(tuple(call.sides(0, 0)), value.kind if value else FLOAT32)]


def _range(call: Call) -> Given:
    start, limit, delta = (float(call.values(index).item()) for index in range(3))
    need(delta != 0 and math.isfinite(start + limit + delta), "steps by nothing or for ever")
    return [((max(0, math.ceil((limit - start) / delta)),), call[0].kind)]


def _shape(call: Call) -> Given:
    return [((len(part_of_shape(call)),), INT64)]


def part_of_shape(call: Call) -> Shape:
    """Give what a Shape operator tells, of its input's sides."""
    return call[0].shape[slice(call.number("start", 0), call.attributes.get("end"))]


def _size(call: Call) -> Given:
    return [((), INT64)]


def _reshape(call: Call) -> Given:
    shape, target = call[0].shape, call.sides(1, -1)
    if not call.number("allowzero", 0):
        need(
            all(side or i < len(shape) for i, side in enumerate(target)),
            f"takes {list(shape)} to {target[:16]}",
        )
        target = [side or shape[i] for i, side in enumerate(target)]
    rest = math.prod(side for side in target if side != -1)
    if target.count(-1) == 1 and rest:
        target[target.index(-1)] = call[0].size // rest
    need(
        math.prod(target) == call[0].size and min(target, default=0) >= 0,
        f"takes {list(shape)} to {target[:16]}",
    )
    return [(tuple(target), call[0].kind)]


def _flatten(call: Call) -> Given:
    shape, axis = call[0].shape, call.number("axis", 1)
    need(-len(shape) <= axis <= len(shape), f"has axis {axis} for {len(shape)} dimensions")
    axis = axis + len(shape) if axis < 0 else axis
    return [((math.prod(shape[:axis]), math.prod(shape[axis:])), call[0].kind)]


def _squeeze(call: Call) -> Given:
    shape, axes = call[0].shape, call.listed("axes", 1)
    places = (
        [i for i, side in enumerate(shape) if side == 1] if axes is None else checked_axes(axes, len(shape))
    )
    need(all(shape[i] == 1 for i in places), f"squeezes {list(shape)}")
    return [(tuple(side for i, side in enumerate(shape) if i not in places), call[0].kind)]


def _unsqueeze(call: Call) -> Given:
    axes = call.listed("axes", 1, [])
    assert axes is not None
    rank = len(call[0].shape) + len(axes)
    places = set(checked_axes(axes, rank))
    sides = iter(call[0].shape)
    return [(tuple(1 if i in places else next(sides) for i in range(rank)), call[0].kind)]


def _transpose(call: Call) -> Given:
    shape = call[0].shape
    order = call.numbers("perm", range(len(shape))[::-1], 0)
    need(sorted(order) == list(range(len(shape))), f"transposes {list(shape)} by {order[:16]}")
    return [(tuple(shape[i] for i in order), call[0].kind)]


def _concat(call: Call) -> Given:
    shapes = [call[index].shape for index in range(len(call.inputs))]
    axis = checked_axis(call.number("axis", MAX_SIDE), len(shapes[0]))
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    need(len(rest) == 1 and len({len(shape) for shape in shapes}) == 1, f"joins shapes {listing(shapes)}")
    total = sum(shape[axis] for shape in shapes)
    return [((*shapes[0][:axis], total, *shapes[0][axis + 1 :]), call[0].kind)]


def _split(call: Call) -> Given:
    shape = call[0].shape
    axis = checked_axis(call.number("axis", 0), len(shape))
    sizes = call.listed("split", 1)
    if sizes is None:
        each = -(-shape[axis] // call.outputs)
        sizes = [min(each, shape[axis] - i * each) for i in range(call.outputs)]
    need(
        len(sizes) == call.outputs and sum(sizes) == shape[axis] and min(sizes) >= 0,
        f"splits {shape[axis]} into {sizes[:16]}",
    )
    return [((*shape[:axis], size, *shape[axis + 1 :]), call[0].kind) for size in sizes]


def slices(call: Call) -> tuple[slice, ...]:
    """Give what a Slice takes, a slice for every dimension, in Python's sense."""
    rank = len(call[0].shape)
    starts, ends = call.listed("starts", 1, []), call.listed("ends", 2, [])
    assert starts is not None
    axes = call.listed("axes", 3, range(len(starts)))
    steps = call.listed("steps", 4, [1] * len(starts))
    assert ends is not None
    assert axes is not None
    assert steps is not None
    need(len(starts) == len(ends) == len(axes) == len(steps) and 0 not in steps, "has unequal or zero steps")
    taken = [slice(None)] * rank
    for place, start, end, step in zip(checked_axes(axes, rank), starts, ends, steps, strict=True):
        side = call[0].shape[place]
        # Counting down, an end before the first element is written as one far below zero.
        below = step < 0 and end < -side
        taken[place] = slice(start, None if below else end, step)
    return tuple(taken)


def _slice(call: Call) -> Given:
    sides = [len(range(side)[part]) for side, part in zip(call[0].shape, slices(call), strict=True)]
    return [(tuple(sides), call[0].kind)]


def _gather(call: Call) -> Given:
    shape = call[0].shape
    axis = checked_axis(call.number("axis", 0), len(shape))
    return [(shape[:axis] + call[1].shape + shape[axis + 1 :], call[0].kind)]


def _gather_elements(call: Call) -> Given:
    checked_axis(call.number("axis", 0), len(call[0].shape))
    return [(call[1].shape, call[0].kind)]


def _gather_nd(call: Call) -> Given:
    shape, places = call[0].shape, call[1].shape
    batch = call.number("batch_dims", 0, 0, min(len(shape), len(places) - 1))
    need(batch + places[-1] <= len(shape), f"takes shapes {listing([shape, places])}")
    return [(places[:-1] + shape[batch + places[-1] :], call[0].kind)]


def _expand(call: Call) -> Given:
    return [(together([call[0].shape, tuple(call.sides(1, 0))]), call[0].kind)]


def _tile(call: Call) -> Given:
    repeats = call.sides(1, 0)
    need(len(repeats) == len(call[0].shape), f"repeats {list(call[0].shape)} by {repeats[:16]}")
    return [(tuple(side * times for side, times in zip(call[0].shape, repeats, strict=True)), call[0].kind)]


def _pad(call: Call) -> Given:
    shape = call[0].shape
    pads = call.listed("pads", 1, [])
    axes = call.sides(3) if call.has(3) else range(len(shape))
    assert pads is not None
    need(len(pads) == 2 * len(axes), f"pads {list(shape)} by {pads[:16]}")
    sides = list(shape)
    for i, place in enumerate(checked_axes(list(axes), len(shape))):
        sides[place] += pads[i] + pads[i + len(axes)]
    need(min(sides, default=0) >= 0, f"pads {list(shape)} by {pads[:16]}")
    return [(tuple(sides), call[0].kind)]


def _resize(call: Call) -> Given:
    shape = call[0].shape
    need(call.text("keep_aspect_ratio_policy", "stretch") == "stretch", "keeps the aspect ratio")
    axes = checked_axes(call.numbers("axes", range(len(shape))), len(shape))
    place = 1 if call.op == "Upsample" or len(call.inputs) == 2 else 2
    sides = list(shape)
    if "scales" in call.attributes or (call.has(place) and call[place].size):
        scales = call.attributes["scales"] if "scales" in call.attributes else call.values(place)
        need(len(scales) == len(axes), f"scales {list(shape)} by {len(scales)} factors")
        for axis, scale in zip(axes, np.asarray(scales, np.float32), strict=True):
            need(0 < scale < 4096, f"scales by {scale}")
            sides[axis] = int(np.float32(shape[axis]) * scale)
    else:
        wanted = call.sides(3, 1)
        need(len(wanted) == len(axes), f"resizes {list(shape)} to {wanted[:16]}")
        for axis, side in zip(axes, wanted, strict=True):
            sides[axis] = side
    resized = sum(new != old for new, old in zip(sides, shape, strict=True))
    call.work = math.prod(sides) * _TAPS.get(call.text("mode", "nearest"), 4) ** resized
    return [(tuple(sides), call[0].kind)]


def _one_hot(call: Call) -> Given:
    shape = call[0].shape
    axis = checked_axis(call.number("axis", -1), len(shape) + 1)
    depth = int(call.values(1).item())
    need(1 <= depth <= MAX_SIDE, f"makes {depth} classes")
    return [((*shape[:axis], depth, *shape[axis:]), call[2].kind)]


def _depth_to_space(call: Call) -> Given:
    n, channels, height, width = _four(call)
    block = call.number("blocksize", 0, 1, 1024)
    need(channels % block**2 == 0, f"makes blocks of {block} from {channels} channels")
    return [((n, channels // block**2, height * block, width * block), call[0].kind)]


def _space_to_depth(call: Call) -> Given:
    n, channels, height, width = _four(call)
    block = call.number("blocksize", 0, 1, 1024)
    need(height % block == width % block == 0, f"takes blocks of {block} from {height}x{width}")
    return [((n, channels * block**2, height // block, width // block), call[0].kind)]


def _four(call: Call) -> Shape:
    need(len(call[0].shape) == 4, f"takes shape {list(call[0].shape)}; expected 4 dimensions")
    return call[0].shape


def _grid_sample(call: Call) -> Given:
    (n, channels, _, _), grid = _four(call), call[1].shape
    need(len(grid) == 4 and grid[0] == n and grid[3] == 2, f"takes a grid of shape {list(grid)}")
    return [((n, channels, *grid[1:3]), call[0].kind)]


def _cast(call: Call) -> Given:
    kind = call.number("to", 0)
    need(kind in NUMPY, f"makes a type ({kind}) that is not taken")
    return [(call[0].shape, kind)]


def _cast_like(call: Call) -> Given:
    return [(call[0].shape, call[1].kind)]


def _quantize(call: Call) -> Given:
    return [(call[0].shape, call[2].kind if call.has(2) else UINT8)]


def _dequantize(call: Call) -> Given:
    return [(call[0].shape, call[1].kind)]


OPERATORS: Final = table(
    (_constant, "Constant"),
    (_filled, "ConstantOfShape"),
    (_range, "Range"),
    (_shape, "Shape"),
    (_size, "Size"),
    (_reshape, "Reshape"),
    (_flatten, "Flatten"),
    (_squeeze, "Squeeze"),
    (_unsqueeze, "Unsqueeze"),
    (_transpose, "Transpose"),
    (_concat, "Concat"),
    (_split, "Split"),
    (_slice, "Slice"),
    (_gather, "Gather"),
    (_gather_elements, "GatherElements"),
    (_gather_nd, "GatherND"),
    (_expand, "Expand"),
    (_tile, "Tile"),
    (_pad, "Pad"),
    (_resize, "Resize Upsample"),
    (_one_hot, "OneHot"),
    (_depth_to_space, "DepthToSpace"),
    (_space_to_depth, "SpaceToDepth"),
    (_grid_sample, "GridSample"),
    (_cast, "Cast"),
    (_cast_like, "CastLike"),
    (_quantize, "QuantizeLinear"),
    (_dequantize, "DequantizeLinear"),
)
