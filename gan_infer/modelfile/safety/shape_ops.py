"""The operators that move, cut, join, fill and cast: their forms, results and costs.

`FORMS` has a `Form` for every operator. Sizes depend only on the file and on the shapes of inputs.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

import numpy as np

from gan_infer.modelfile.safety.graph import FLOAT16, FLOAT32, INT32, INT64, MAX_RANK, MAX_SIDE, Tensor
from gan_infer.modelfile.safety.operator import (
    ALL,
    FLOATS,
    PLAIN,
    SLOW,
    Call,
    Form,
    Results,
    add_forms,
    axes_of,
    axis_of,
    need,
    real,
    texts,
    whole,
    wholes,
)
from gan_infer.modelfile.safety.sides import (
    PerPicture,
    Shape,
    Side,
    Whole,
    add,
    broadcast,
    count,
    divide,
    each,
    fixed,
    for_one,
    least,
    most,
    multiply,
    settle,
    show,
    size,
    subtract,
    times,
    without_batch,
)

_AXIS: Final = whole(-8, 7)
_AXES: Final = wholes(-8, 7, 8)
_BLOCK: Final = whole(1, 64)
# Ends of a slice that stand for "all that is left", however large the side.
_TO_THE_END: Final = 2**31 - 1
_TO_THE_START: Final = -(2**31)


def _same_kind(call: Call, shape: Shape) -> Results:
    """Return the first input's elements in another shape."""
    call.work = 2 * PLAIN * max(size(shape), size(call[0].shape))
    return [(shape, call[0].kind)]


# Made of nothing.


def _constant(call: Call) -> Results:
    need(len(call.attributes) == 1, "has not one value")
    name, value = next(iter(call.attributes.items()))
    if isinstance(value, Tensor):
        return [(value.shape, value.kind)]
    kind = INT64 if name in ("value_int", "value_ints") else FLOAT32
    return [((len(value),) if isinstance(value, list) else (), kind)]


def _fill(call: Call) -> Results:
    value = call.attributes.get("value")
    need(value is None or math.prod(value.shape) == 1, "has not one value")
    shape = tuple(call.sides(0))
    need(call[0].kind == INT64 and min(map(least, shape), default=0) >= 0, f"makes shape {show(shape)}")
    call.work = PLAIN * size(shape)
    return [(shape, value.kind if value else FLOAT32)]


def _range(call: Call) -> Results:
    start, limit, step = (call.sides(index) for index in range(3))
    need(start == [0] and step == [1] and len(limit) == 1 and least(limit[0]) >= 0, "counts not from 0 by 1")
    call.work = PLAIN * each(limit[0])
    return [((limit[0],), call[0].kind)]


def _shape(call: Call) -> Results:
    return [((len(sides_of_shape(call)),), INT64)]


def sides_of_shape(call: Call) -> Shape:
    """Return the sides that a Shape operator gives, of its input."""
    given = call[0].shape[slice(call.number("start", 0), call.attributes.get("end"))]
    return tuple(map(settle, given))


def _size(call: Call) -> Results:
    return [((), INT64)]


# The same elements in another shape.


def _reshape(call: Call) -> Results:
    given, target = call[0].shape, call.sides(1)
    wrong = f"takes {show(given)} to {show(target)}"
    need(len(target) <= MAX_RANK, f"makes {len(target)} dimensions")
    for index, side in enumerate(target):
        if side == 0:
            need(not call.number("allowzero", 0) and index < len(given), wrong)
            target[index] = given[index]
    rest = count(side for side in target if side != -1)
    held = count(given)
    if -1 in target:
        need(target.count(-1) == 1, "leaves two sides open")
        target[target.index(-1)] = _quotient(held, rest, wrong)
    else:
        # Where one side alone has the batch, the runtime takes one picture at a time.
        need(for_one(held) == for_one(rest), wrong)
    # A free side that may be 0 or -1 would say something else there.
    need(all(least(side) >= (0 if isinstance(side, int) else 1) for side in target), wrong)
    return _same_kind(call, tuple(target))


def _quotient(held: Side, rest: Side, wrong: str) -> Side:
    batched, batches = isinstance(held, PerPicture), isinstance(rest, PerPicture)
    need(least(rest) > 0 and (batched or not batches), wrong)
    side = divide(for_one(held), for_one(rest))
    need(multiply(side, for_one(rest)) == for_one(held), wrong)
    return PerPicture(side) if batched and not batches else side


def _flatten(call: Call) -> Results:
    shape, axis = call[0].shape, call.number("axis", 1)
    need(-len(shape) <= axis <= len(shape), f"has axis {axis} for {len(shape)} dimensions")
    axis = axis + len(shape) if axis < 0 else axis
    return _same_kind(call, (count(shape[:axis]), count(shape[axis:])))


def _squeeze(call: Call) -> Results:
    shape, axes = call[0].shape, call.integers("axes", 1)
    if axes is None:
        need(all(isinstance(side, int) for side in shape), "squeezes what may be the batch")
        places = [i for i, side in enumerate(shape) if side == 1]
    else:
        places = axes_of(axes, len(shape))
    need(all(shape[i] == 1 for i in places), f"squeezes {show(shape)}")
    return _same_kind(call, tuple(side for i, side in enumerate(shape) if i not in places))


def _unsqueeze(call: Call) -> Results:
    axes = call.integers("axes", 1)
    need(axes is not None, "has no axes")
    assert axes is not None
    rank = len(call[0].shape) + len(axes)
    places = set(axes_of(axes, rank))
    sides = iter(call[0].shape)
    return _same_kind(call, tuple(1 if i in places else next(sides) for i in range(rank)))


def _transpose(call: Call) -> Results:
    shape = call[0].shape
    order = call.numbers("perm", range(len(shape))[::-1])
    need(sorted(order) == list(range(len(shape))), f"transposes {show(shape)} by {order}")
    result = _same_kind(call, tuple(shape[i] for i in order))
    call.work *= 2
    return result


def _from_depth(call: Call) -> Results:
    need(
        len(call[0].shape) == 4 and "blocksize" in call.attributes,
        f"takes shape {show(call[0].shape)}",
    )
    (channels,), block = fixed(call[0].shape[1:2]), call.number("blocksize", 1)
    need(channels % block**2 == 0, f"makes blocks of {block} from {channels} channels")
    call.memory = 2 * call[0].words
    height, width = (multiply(side, block) for side in without_batch(call[0].shape[2:]))
    return _same_kind(call, (call[0].shape[0], channels // block**2, height, width))


# Joined, cut and picked.


def _concat(call: Call) -> Results:
    need("axis" in call.attributes, "has no axis")
    first = call[0]
    axis = axis_of(call.number("axis", 0), len(first.shape))
    total: Side = 0
    for index in range(len(call.inputs)):
        known = call[index]
        rest = known.shape[:axis] + known.shape[axis + 1 :]
        need(
            known.kind == first.kind
            and len(known.shape) == len(first.shape)
            and rest == first.shape[:axis] + first.shape[axis + 1 :],
            f"joins {show(first.shape)} and {show(known.shape)}",
        )
        total = _sum(total, known.shape[axis])
    return _same_kind(call, (*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _sum(left: Side, right: Side) -> Side:
    total = add(for_one(settle(left)), for_one(settle(right)))
    if not isinstance(left, PerPicture) and not isinstance(right, PerPicture):
        return total
    both = isinstance(left, PerPicture) and isinstance(right, PerPicture)
    need(both or left == 0, "adds a fixed number to the batch")
    return PerPicture(total)


def _split(call: Call) -> Results:
    shape = call[0].shape
    axis = axis_of(call.number("axis", 0), len(shape))
    (side,) = fixed(shape[axis : axis + 1])
    sizes = call.integers("split", 1)
    need(call.number("num_outputs", call.outputs) == call.outputs, "gives another number of results")
    if sizes is None:
        need(side % call.outputs == 0, f"splits {side} into {call.outputs}")
        sizes = [side // call.outputs] * call.outputs
    need(
        len(sizes) == call.outputs and sum(sizes) == side and min(sizes) >= 0,
        f"splits {side} into {sizes[:16]}",
    )
    call.work = PLAIN * size(shape)
    return [((*shape[:axis], part, *shape[axis + 1 :]), call[0].kind) for part in sizes]


def slices_of(call: Call) -> tuple[slice, ...]:
    """Return the slice of every dimension that a Slice takes; `slice(None)` for all of it.

    Steps back are taken from the last element to the first alone.
    """
    rank = len(call[0].shape)
    # Fixed or not, an end that is the side itself is the end of what is there.
    starts, ends = (_bounds(call, name, index) for name, index in (("starts", 1), ("ends", 2)))
    axes = call.integers("axes", 3)
    axes = list(range(len(starts))) if axes is None else axes
    steps = fixed(call.sides(4)) if call.has(4) else [1] * len(starts)
    need(len(starts) == len(ends) == len(axes) == len(steps), "has unequal numbers of starts and ends")
    result = [slice(None)] * rank
    for place, start, end, step in zip(axes_of(axes, rank), starts, ends, steps, strict=True):
        side = call[0].shape[place]
        if start == 0 and step == 1 and (end == side or _is_end(end)):
            continue
        result[place] = _part(side, start, end, step)
    return tuple(result)


def _part(side: Side, start: Side, end: Side, step: int) -> slice:
    need(1 <= abs(step) <= MAX_SIDE, f"has a step of {step}")
    first, last = without_batch((start, end))
    if isinstance(side, PerPicture):
        # Of the batch only the first picture is sure to be there.
        need((first, last, step) == (0, 1, 1), "cuts the batch")
    elif step < 0:
        need(first == -1 and most(last) <= _TO_THE_START, "steps back, and not over all of a side")
        return slice(None, None, step)
    elif not (isinstance(side, int) and isinstance(first, int) and isinstance(last, int)):
        first, last = _from_start(side, first), _from_start(side, last)
        right = min(map(least, (first, subtract(last, first), subtract(side, last)))) >= 0
        need(right, f"cuts {side} at a place that need not be in it")
    return slice(first, last, step)


def _from_start(side: Whole, bound: Whole) -> Whole:
    if _is_end(bound):
        return side
    return add(side, bound) if isinstance(bound, int) and bound < 0 else bound


def _length(side: Side, part: slice) -> Side:
    if part == slice(None):
        return side
    if isinstance(side, PerPicture):
        return 1
    if part.step < 0:
        return add(divide(add(side, -1), -part.step), 1)
    if isinstance(side, int) and isinstance(part.start, int) and isinstance(part.stop, int):
        return len(range(side)[part])
    return divide(add(subtract(part.stop, part.start), part.step - 1), part.step)


def _bounds(call: Call, name: str, index: int) -> list[Side]:
    if name in call.attributes:
        need(not call.has(index), f"gives {name} twice")
        return list(call.numbers(name, ()))
    return call.sides(index)


def _is_end(end: Side) -> bool:
    return isinstance(end, int) and end >= _TO_THE_END


def _slice(call: Call) -> Results:
    return _same_kind(call, tuple(map(_length, call[0].shape, slices_of(call))))


def _gather(call: Call) -> Results:
    shape = call[0].shape
    axis = axis_of(call.number("axis", 0), len(shape))
    need(call[1].kind in (INT32, INT64), "looks up by what are no integers")
    return _same_kind(call, shape[:axis] + call[1].shape + shape[axis + 1 :])


def _gather_nd(call: Call) -> Results:
    shape, places = call[0].shape, call[1].shape
    need(len(shape) >= 1 and len(places) >= 1 and call[1].kind == INT64, "looks up by another shape")
    (depth,) = fixed(places[-1:])
    need(1 <= depth <= len(shape), f"takes shapes {show(shape)} and {show(places)}")
    call.memory = 2 * size(places)
    return _same_kind(call, places[:-1] + shape[depth:])


def _scatter(call: Call) -> Results:
    shape, places = call[0].shape, call[1].shape
    axis_of(call.number("axis", 0), len(shape))
    need(
        len(places) == len(shape) and places == call[2].shape and call[1].kind in (INT32, INT64),
        f"takes shapes {show(shape)} and {show(places)}",
    )
    call.memory = 4 * size(places)
    return _same_kind(call, shape)


def _one_hot(call: Call) -> Results:
    shape = call[0].shape
    axis = axis_of(call.number("axis", -1), len(shape) + 1)
    depth = call.sides(1)
    need(len(depth) == 1 and least(depth[0]) >= 1, "makes no classes")
    need(call[1].kind == INT64 and call[2].shape == (2,), "has not two values")
    result = (*shape[:axis], *depth, *shape[axis:])
    call.work = PLAIN * size(result)
    return [(result, call[2].kind)]


# Larger.


def _expand(call: Call) -> Results:
    target = tuple(call.sides(1))
    need(
        call[1].kind == INT64 and min(map(least, target), default=1) >= 1,
        f"makes shape {show(target)}",
    )
    return _same_kind(call, broadcast(call[0].shape, target))


def _tile(call: Call) -> Results:
    shape, repeats = call[0].shape, call.sides(1)
    need(
        call[1].kind == INT64 and len(repeats) == len(shape) and min(map(least, repeats), default=1) >= 1,
        f"repeats {show(shape)} by {show(repeats)}",
    )
    return _same_kind(call, tuple(map(times, shape, repeats)))


def _pad(call: Call) -> Results:
    shape, pads = call[0].shape, call.integers("pads", 1)
    need(pads is not None, "has no pads")
    assert pads is not None
    rank = len(shape)
    need(len(pads) == 2 * rank and min(pads, default=0) >= 0, f"pads {show(shape)} by {pads[:16]}")
    mode = call.attributes.get("mode", b"constant")
    # What is mirrored lacks the pixel at the edge.
    spare = {b"constant": -MAX_SIDE, b"reflect": 1}.get(mode, 0)
    sides: list[Side] = []
    for side, before, after in zip(shape, pads[:rank], pads[rank:], strict=True):
        if before or after:
            (here,) = without_batch([side])
            need(max(before, after) + spare <= least(here), f"mirrors more than {here} pixels")
            sides.append(add(here, before + after))
        else:
            sides.append(side)
    return _same_kind(call, tuple(sides))


def _resize(call: Call) -> Results:
    """Return a picture that is resized in all but its first two dimensions."""
    shape = call[0].shape
    need(3 <= len(shape) <= 5 and min(map(least, shape)) >= 1, f"takes shape {show(shape)}")
    old = call.op == "Upsample" or call.opset < 11
    scales, sizes = (1 if old else 2), 3
    if not old and call.has(sizes) and size(call[sizes].shape):
        need(not call.has(scales) or not size(call[scales].shape), "has both factors and sizes")
        result = call.sides(sizes)
        need(
            len(result) == len(shape) and tuple(result[:2]) == shape[:2],
            f"resizes {show(shape)} to {show(result)}",
        )
        need(
            min(map(least, without_batch(result[2:]))) >= 1,
            f"resizes {show(shape)} to {show(result)}",
        )
    else:
        result = [*shape[:2], *_scale_all(call, without_batch(shape[2:]), scales)]
    places = size(call[0].shape) + size(result)
    call.memory = 4 * (places + size(result[2:]))
    call.work = SLOW * places * (10 if b"cubic" in call.attributes.get("mode", b"") else 1)
    return [(tuple(result), call[0].kind)]


def _scale_all(call: Call, sides: list[Whole], index: int) -> list[Whole]:
    if "scales" in call.attributes:
        factors = np.asarray(call.attributes["scales"], np.float32)
    else:
        need(
            call.has(index) and call[index].floats is not None,
            "resizes by factors that the file does not fix",
        )
        factors = np.asarray(call[index].floats).reshape(-1)
    need(len(factors) == len(sides) + 2 and list(factors[:2]) == [1, 1], f"resizes by {len(factors)} factors")
    return [_scale(side, factor) for side, factor in zip(sides, factors[2:], strict=True)]


def _scale(side: Whole, factor: np.float32) -> Whole:
    need(bool(0 < factor <= 4096), f"resizes by {factor}")
    if isinstance(side, int):
        wide, narrow = math.floor(side * float(factor)), math.floor(np.float32(side) * factor)
        need(wide == narrow >= 1, f"resizes {side} by {factor}, which could be rounded either way")
        return wide
    above, below = float(factor).as_integer_ratio()
    need(most(side) * above < 2**24, f"resizes {side} by {factor}, which could be rounded either way")
    result = divide(multiply(side, above), below)
    need(least(result) >= 1, f"resizes {side} by {factor}")
    return result


def _cast(call: Call) -> Results:
    need("to" in call.attributes, "makes no type")
    call.work = PLAIN * size(call[0].shape)
    return [(call[0].shape, call.number("to", 0))]


def _tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _forms() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    take = partial(add_forms, forms)
    values = {
        "value": _tensor,
        "value_float": lambda value: isinstance(value, float),
        "value_floats": lambda value: isinstance(value, list),
        "value_int": lambda value: isinstance(value, int),
        "value_ints": lambda value: isinstance(value, list),
    }
    take("Constant", Form(_constant, (0, 0), values, ()))
    take("ConstantOfShape", Form(_fill, (1, 1), {"value": _tensor}, {INT64}))
    take("Range", Form(_range, (3, 3), {}, {INT64}, (1, 2)))
    ends = whole(-8, 8)
    take("Shape", Form(_shape, (1, 1), {"start": ends, "end": ends}, ALL))
    take("Size", Form(_size, (1, 1), {}, ALL))

    take("Reshape", Form(_reshape, (2, 2), {"allowzero": whole(0, 1)}, ALL))
    take("Flatten", Form(_flatten, (1, 1), {"axis": whole(-8, 8)}, ALL))
    take("Squeeze", Form(_squeeze, (1, 2), {"axes": _AXES}, ALL))
    take("Unsqueeze", Form(_unsqueeze, (1, 2), {"axes": _AXES}, ALL))
    take("Transpose", Form(_transpose, (1, 1), {"perm": wholes(0, 7, 8)}, ALL))
    blocks = {"blocksize": _BLOCK, "mode": texts("DCR", "CRD")}
    take("DepthToSpace", Form(_from_depth, (1, 1), blocks, {FLOAT32}))

    take("Concat", Form(_concat, (1, 64), {"axis": _AXIS}, ALL))
    parts = {"axis": _AXIS, "num_outputs": whole(1, 64), "split": wholes(0, MAX_SIDE, 64)}
    take("Split", Form(_split, (1, 2), parts, ALL, outputs=64))
    bounds = wholes(-(2**63), 2**63 - 1, 8)
    take("Slice", Form(_slice, (1, 5), {"starts": bounds, "ends": bounds, "axes": _AXES}, ALL))
    take("Gather", Form(_gather, (2, 2), {"axis": _AXIS}, ALL))
    take("GatherND", Form(_gather_nd, (2, 2), {"batch_dims": whole(0, 0)}, ALL))
    into = {"axis": _AXIS, "reduction": texts("none")}
    take("ScatterElements", Form(_scatter, (3, 3), into, FLOATS | {INT64}, (2,)))
    take("OneHot", Form(_one_hot, (3, 3), {"axis": _AXIS}, {INT32, INT64}))

    take("Expand", Form(_expand, (2, 2), {}, ALL))
    take("Tile", Form(_tile, (2, 2), {}, FLOATS | {INT64}))
    modes = texts("constant", "edge", "reflect", "wrap")
    pads = {"mode": modes, "pads": wholes(0, MAX_SIDE), "value": real}
    take("Pad", Form(_pad, (1, 3), pads, FLOATS, (2,)))
    sampled = {
        "antialias": whole(0, 0),
        "coordinate_transformation_mode": texts(
            "align_corners", "asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"
        ),
        "cubic_coeff_a": real,
        "exclude_outside": whole(0, 1),
        "extrapolation_value": real,
        "keep_aspect_ratio_policy": texts("stretch"),
        "mode": texts("cubic", "linear", "nearest"),
        "nearest_mode": texts("ceil", "floor", "round_prefer_ceil", "round_prefer_floor"),
    }
    take("Resize", Form(_resize, (2, 4), sampled, {FLOAT32, FLOAT16}))
    factors = {"mode": texts("linear", "nearest"), "scales": lambda value: isinstance(value, list)}
    take("Upsample", Form(_resize, (1, 2), factors, {FLOAT32}))
    take("Cast", Form(_cast, (1, 1), {"to": lambda value: value in ALL, "saturate": whole(0, 1)}, ALL))
    return forms


FORMS: Final = _forms()
