"""The operators that a generator may use, and how large what they give is; it computes no pictures.

For every operator on the list there is one function from a `Call` to the shapes and types of its
results, after the operator's text in the ONNX specification. Whoever is not in `OPERATORS` is
refused. Small integer and float tensors (the sizes of others) are computed as well, by `VALUES`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gan_infer.vet.graph import BOOL, FLOAT32, INT64, INTEGERS, MAX_READ, MAX_SIDE, NUMPY, UINT8, Tensor
from gan_infer.vet.wire import RefusedError

Shape = tuple[int, ...]
Array = np.ndarray[Any, Any]
Given = list[tuple[Shape, int]]  # shape and type of each result


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of a value: its shape at batch 1, its type, and the value where it is small.

    `fixed` says that it follows from the file alone, so that the runtime works it out on loading.
    """

    shape: Shape
    kind: int
    value: Array | None
    fixed: bool

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(slots=True)
class Call:
    """An operator with what it is given; `work` is how many elements it reads, writes or multiplies."""

    op: str
    inputs: tuple[Known | None, ...]
    attributes: Mapping[str, Any]
    outputs: int
    work: int = 0

    def has(self, index: int) -> bool:
        """Tell whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def __getitem__(self, index: int) -> Known:
        """Give an input that must be there."""
        known = self.inputs[index] if index < len(self.inputs) else None
        if known is None:
            raise RefusedError(f"lacks input {index}")
        return known

    def number(self, name: str, default: int, low: int = -MAX_SIDE, high: int = MAX_SIDE) -> int:
        """Give an integer attribute within its range."""
        value = self.attributes.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value

    def numbers(self, name: str, default: Sequence[int] | None, low: int = -MAX_SIDE) -> list[int]:
        """Give a list of integers, an attribute."""
        value = self.attributes.get(name, None if default is None else list(default))
        if not isinstance(value, list) or not all(
            type(item) is int and low <= item <= MAX_SIDE for item in value
        ):
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value[:]

    def text(self, name: str, default: str) -> str:
        """Give a text, an attribute."""
        value = self.attributes.get(name, default.encode())
        if not isinstance(value, bytes):
            raise RefusedError(f"has {str(value)[:40]} for {name}")
        return value.decode("ascii", "replace")

    def values(self, index: int) -> Array:
        """Give the value of an input that the file must fix, one-dimensional."""
        value = self[index].value
        if value is None:
            raise RefusedError(f"takes sizes from input {index} that the file does not fix")
        return value.reshape(-1)

    def sides(self, index: int, low: int = -(2**63)) -> list[int]:
        """Give the integers of an input that the file must fix."""
        values = self.values(index)
        if values.dtype.kind not in "iu":
            raise RefusedError(f"takes sizes from input {index} that are no integers")
        sides = [int(item) for item in values]
        if any(not low <= side for side in sides):
            raise RefusedError(f"takes a size of {min(sides)} from input {index}")
        return sides

    def listed(self, name: str, index: int, default: Sequence[int] | None = None) -> list[int] | None:
        """Give integers that older files have as an attribute and newer ones as an input."""
        if self.has(index):
            return self.sides(index)
        return (
            self.numbers(name, ()) if name in self.attributes else None if default is None else list(default)
        )


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise RefusedError(f"has axis {axis} for {rank} dimensions")
    return axis % rank


def _axes(axes: Sequence[int], rank: int) -> list[int]:
    places = [_axis(axis, rank) for axis in axes]
    if len(set(places)) != len(places):
        raise RefusedError(f"has axes {list(axes)[:8]}, one of them twice")
    return places


def _need(right: bool, what: str) -> None:
    if not right:
        raise RefusedError(what)


def _together(shapes: Sequence[Shape]) -> Shape:
    """Give the shape of several broadcast to one."""
    rank = max(map(len, shapes))
    result = [1] * rank
    for shape in shapes:
        for place, side in enumerate(shape, rank - len(shape)):
            if side != 1:
                _need(result[place] in (1, side), f"takes shapes {_of(shapes)} together")
                result[place] = side
    return tuple(result)


def _of(shapes: Sequence[Shape]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes[:3])


# Element by element.


def _like(call: Call) -> Given:
    return [(call[0].shape, call[0].kind)]


def _not_empty(call: Call) -> Given:
    _need(call[0].size > 0, "takes a tensor without elements")
    return _like(call)


def _along_axis(call: Call) -> Given:
    _axis(call.number("axis", -1), max(1, len(call[0].shape)))
    return _not_empty(call)


def _random_part(call: Call) -> Given:
    if call.has(2) and (call.values(2) != 0).any():
        raise RefusedError("draws at random, as in training; export in evaluation mode")
    return [*_like(call), (call[0].shape, BOOL)][: call.outputs]


def _broadcast(call: Call) -> Given:
    shapes = [call[index].shape for index in range(len(call.inputs))]
    return [(_together(shapes), call[0].kind)]


def _divide(call: Call) -> Given:
    if call[0].kind in INTEGERS or call[1].kind in INTEGERS:
        # A whole number divided by 0, or the least one by -1, ends the process.
        divisor = call.values(1)
        _need(not np.isin(divisor, (0, -1)).any(), "divides whole numbers by 0 or -1")
    return _broadcast(call)


def _compare(call: Call) -> Given:
    return [(_broadcast(call)[0][0], BOOL)]


def _where(call: Call) -> Given:
    return [(_together([call[0].shape, call[1].shape, call[2].shape]), call[1].kind)]


def _is(call: Call) -> Given:
    return [(call[0].shape, BOOL)]


def _slope(call: Call) -> Given:
    _need(_together([call[0].shape, call[1].shape]) == call[0].shape, "has more slopes than elements")
    return _like(call)


# Normalisation.


def _batch_norm(call: Call) -> Given:
    _need(call.number("training_mode", 0) == 0, "takes statistics of the batch; export in evaluation mode")
    _need(call.outputs == 1, "gives statistics of the batch; export in evaluation mode")
    channels = call[0].shape[1:2] or (1,)
    _need(all(call[index].shape == channels for index in (1, 2, 3, 4)), "has statistics of another size")
    return _not_empty(call)


def _instance_norm(call: Call) -> Given:
    _need(len(call[0].shape) >= 3, "takes fewer than 3 dimensions")
    _need(all(call[index].shape == call[0].shape[1:2] for index in (1, 2)), "has factors of another size")
    return _not_empty(call)


def _group_norm(call: Call) -> Given:
    _need(len(call[0].shape) >= 2, "takes fewer than 2 dimensions")
    groups = call.number("num_groups", 0, 1)
    _need(call[0].shape[1] % groups == 0, f"has {groups} groups for {call[0].shape[1]} channels")
    return _not_empty(call)


def _layer_norm(call: Call) -> Given:
    shape = call[0].shape
    axis = _axis(call.number("axis", -1), len(shape))
    small = shape[:axis] + (1,) * (len(shape) - axis)
    return [*_not_empty(call), (small, FLOAT32), (small, FLOAT32)][: call.outputs]


def _local_norm(call: Call) -> Given:
    call.number("size", 0, 1, 4096)
    _need(len(call[0].shape) >= 3, "takes fewer than 3 dimensions")
    return _not_empty(call)


# Linear.


def _window(call: Call, sides: Shape, kernel: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Give (side, width of the dilated window, stride, pads at both ends) for every direction."""
    rank = len(sides)
    strides = call.numbers("strides", [1] * rank, 1)
    dilations = call.numbers("dilations", [1] * rank, 1)
    pads = call.numbers("pads", [0] * 2 * rank, 0)
    _need(
        len(strides) == len(dilations) == len(kernel) == rank and len(pads) == 2 * rank and min(kernel) >= 1,
        f"has a window that does not fit {rank} directions",
    )
    return [
        (sides[i], (kernel[i] - 1) * dilations[i] + 1, strides[i], pads[i] + pads[rank + i])
        for i in range(rank)
    ]


def _slide(call: Call, sides: Shape, kernel: Sequence[int]) -> Shape:
    """Give the sides that a window moved over `sides` leaves."""
    auto = call.text("auto_pad", "NOTSET")
    up = call.number("ceil_mode", 0) != 0
    result = []
    for side, width, stride, pad in _window(call, sides, kernel):
        if auto.startswith("SAME"):
            result.append(-(-side // stride))
            continue
        room = side + (0 if auto == "VALID" else pad) - width
        _need(room >= 0, f"moves a window of {width} over {side} pixels")
        result.append((-(-room // stride) if up else room // stride) + 1)
    return tuple(result)


def _conv(call: Call) -> Given:
    picture, kernel = call[0].shape, call[1].shape
    groups = call.number("group", 1, 1)
    _need(
        len(picture) == len(kernel) >= 3
        and picture[1] == kernel[1] * groups
        and kernel[0] % groups == 0
        and tuple(call.numbers("kernel_shape", kernel[2:])) == kernel[2:],
        f"takes shapes {_of([picture, kernel])} in {groups} groups",
    )
    _need(not call.has(2) or call[2].shape == kernel[:1], "has a bias of another size")
    shape = (picture[0], kernel[0], *_slide(call, picture[2:], kernel[2:]))
    call.work = math.prod(shape) * math.prod(kernel[1:])
    return [(shape, call[0].kind)]


def _conv_transpose(call: Call) -> Given:
    picture, kernel = call[0].shape, call[1].shape
    groups = call.number("group", 1, 1)
    _need(
        len(picture) == len(kernel) >= 3
        and picture[1] == kernel[0]
        and kernel[0] % groups == 0
        and tuple(call.numbers("kernel_shape", kernel[2:])) == kernel[2:],
        f"takes shapes {_of([picture, kernel])} in {groups} groups",
    )
    _need(not call.has(2) or call[2].shape == (kernel[1] * groups,), "has a bias of another size")
    rank = len(picture) - 2
    extra = call.numbers("output_padding", [0] * rank, 0)
    wanted = call.numbers("output_shape", [], 1)[-rank:]
    auto = call.text("auto_pad", "NOTSET")
    sides = []
    for index, (side, width, stride, pad) in enumerate(_window(call, picture[2:], kernel[2:])):
        if wanted:
            sides.append(wanted[index])
        elif auto.startswith("SAME"):
            sides.append(side * stride)
        else:
            sides.append(stride * (side - 1) + extra[index] + width - (0 if auto == "VALID" else pad))
    _need(min(sides) >= 1, "leaves no pixels")
    call.work = math.prod(picture) * math.prod(kernel[1:])
    return [((picture[0], kernel[1] * groups, *sides), call[0].kind)]


def _pool(call: Call) -> Given:
    shape = call[0].shape
    _need(len(shape) >= 3, "takes fewer than 3 dimensions")
    kernel = call.numbers("kernel_shape", None, 1)
    result = (*shape[:2], *_slide(call, shape[2:], kernel))
    call.work = math.prod(result) * math.prod(kernel)
    return [(result, call[0].kind), (result, INT64)][: call.outputs]


def _pool_all(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    _need(len(shape) >= 3, "takes fewer than 3 dimensions")
    return [(shape[:2] + (1,) * (len(shape) - 2), call[0].kind)]


def _gemm(call: Call) -> Given:
    left, right = call[0].shape, call[1].shape
    _need(len(left) == len(right) == 2, f"takes shapes {_of([left, right])}")
    rows, inner = left[::-1] if call.number("transA", 0) else left
    across, columns = right[::-1] if call.number("transB", 0) else right
    _need(inner == across, f"takes shapes {_of([left, right])}")
    if call.has(2):
        _need(_together([call[2].shape, (rows, columns)]) == (rows, columns), "has a bias of another size")
    call.work = rows * columns * inner
    return [((rows, columns), call[0].kind)]


def _matmul(call: Call) -> Given:
    left, right = call[0].shape, call[1].shape
    _need(len(left) >= 1 and len(right) >= 1, "takes a single number")
    whole_left = (1, *left) if len(left) == 1 else left
    whole_right = (*right, 1) if len(right) == 1 else right
    _need(whole_left[-1] == whole_right[-2], f"takes shapes {_of([left, right])}")
    outer = _together([whole_left[:-2], whole_right[:-2]])
    call.work = math.prod(outer) * whole_left[-2] * whole_left[-1] * whole_right[-1]
    shape = outer + whole_left[-2:-1] * (len(left) > 1) + whole_right[-1:] * (len(right) > 1)
    return [(shape, call[0].kind)]


def _einsum(call: Call) -> Given:
    terms, arrow, result = call.text("equation", "").replace(" ", "").partition("->")
    letters = terms.split(",")
    _need(
        bool(arrow) and len(letters) == len(call.inputs) and (terms + result).replace(",", "").isalpha(),
        "has an equation that is not taken; expected one like ab,bc->ac",
    )
    sides: dict[str, int] = {}
    for index, term in enumerate(letters):
        shape = call[index].shape
        _need(len(term) == len(shape), f"takes shape {list(shape)} for {term[:20]!r}")
        for letter, side in zip(term, shape, strict=True):
            _need(sides.setdefault(letter, side) == side, f"takes two sizes for {letter!r}")
    _need(len(set(result)) == len(result) and set(result) <= set(sides), "has an equation that is not taken")
    call.work = math.prod(sides.values())
    return [(tuple(sides[letter] for letter in result), call[0].kind)]


# Reductions.


def _reduce(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    axes = call.listed("axes", 1)
    if not axes:
        if call.number("noop_with_empty_axes", 0):
            return _like(call)
        axes = list(range(len(shape)))
    places = set(_axes(axes, len(shape)))
    keep = call.number("keepdims", 1) != 0
    sides = [1 if i in places else side for i, side in enumerate(shape) if keep or i not in places]
    return [(tuple(sides), call[0].kind)]


def _argument(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    axis = _axis(call.number("axis", 0), len(shape))
    middle = (1,) if call.number("keepdims", 1) else ()
    return [(shape[:axis] + middle + shape[axis + 1 :], INT64)]


def _top(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    axis = _axis(call.number("axis", -1), len(shape))
    (count,) = call.sides(1, 1)
    _need(count <= shape[axis], f"takes the first {count} of {shape[axis]}")
    result = (*shape[:axis], count, *shape[axis + 1 :])
    return [(result, call[0].kind), (result, INT64)][: call.outputs]


# Shapes and places.


def _constant(call: Call) -> Given:
    _need(len(call.attributes) == 1, "has not one value")
    name, value = next(iter(call.attributes.items()))
    if name == "value" and isinstance(value, Tensor):
        return [(value.shape, value.kind)]
    kinds = {"value_int": INT64, "value_ints": INT64, "value_float": FLOAT32, "value_floats": FLOAT32}
    _need(name in kinds and not isinstance(value, Tensor), "has a value that is not taken")
    return [((len(value),) if isinstance(value, list) else (), kinds[name])]


def _filled(call: Call) -> Given:
    value = call.attributes.get("value")
    _need(value is None or (isinstance(value, Tensor) and math.prod(value.shape) == 1), "has not one value")
    return [(tuple(call.sides(0, 0)), value.kind if value else FLOAT32)]


def _range(call: Call) -> Given:
    start, limit, delta = (float(call.values(index).item()) for index in range(3))
    _need(delta != 0 and math.isfinite(start + limit + delta), "steps by nothing or for ever")
    return [((max(0, math.ceil((limit - start) / delta)),), call[0].kind)]


def _shape(call: Call) -> Given:
    return [((len(_part_of_shape(call)),), INT64)]


def _part_of_shape(call: Call) -> Shape:
    return call[0].shape[slice(call.number("start", 0), call.attributes.get("end"))]


def _size(call: Call) -> Given:
    return [((), INT64)]


def _reshape(call: Call) -> Given:
    shape, target = call[0].shape, call.sides(1, -1)
    if not call.number("allowzero", 0):
        _need(
            all(side or i < len(shape) for i, side in enumerate(target)),
            f"takes {list(shape)} to {target[:16]}",
        )
        target = [side or shape[i] for i, side in enumerate(target)]
    rest = math.prod(side for side in target if side != -1)
    if target.count(-1) == 1 and rest:
        target[target.index(-1)] = call[0].size // rest
    _need(
        math.prod(target) == call[0].size and min(target, default=0) >= 0,
        f"takes {list(shape)} to {target[:16]}",
    )
    return [(tuple(target), call[0].kind)]


def _flatten(call: Call) -> Given:
    shape, axis = call[0].shape, call.number("axis", 1)
    _need(-len(shape) <= axis <= len(shape), f"has axis {axis} for {len(shape)} dimensions")
    axis = axis + len(shape) if axis < 0 else axis
    return [((math.prod(shape[:axis]), math.prod(shape[axis:])), call[0].kind)]


def _squeeze(call: Call) -> Given:
    shape, axes = call[0].shape, call.listed("axes", 1)
    places = [i for i, side in enumerate(shape) if side == 1] if axes is None else _axes(axes, len(shape))
    _need(all(shape[i] == 1 for i in places), f"squeezes {list(shape)}")
    return [(tuple(side for i, side in enumerate(shape) if i not in places), call[0].kind)]


def _unsqueeze(call: Call) -> Given:
    axes = call.listed("axes", 1, [])
    assert axes is not None
    rank = len(call[0].shape) + len(axes)
    places = set(_axes(axes, rank))
    sides = iter(call[0].shape)
    return [(tuple(1 if i in places else next(sides) for i in range(rank)), call[0].kind)]


def _transpose(call: Call) -> Given:
    shape = call[0].shape
    order = call.numbers("perm", range(len(shape))[::-1], 0)
    _need(sorted(order) == list(range(len(shape))), f"transposes {list(shape)} by {order[:16]}")
    return [(tuple(shape[i] for i in order), call[0].kind)]


def _concat(call: Call) -> Given:
    shapes = [call[index].shape for index in range(len(call.inputs))]
    axis = _axis(call.number("axis", MAX_SIDE), len(shapes[0]))
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    _need(len(rest) == 1 and len({len(shape) for shape in shapes}) == 1, f"joins shapes {_of(shapes)}")
    total = sum(shape[axis] for shape in shapes)
    return [((*shapes[0][:axis], total, *shapes[0][axis + 1 :]), call[0].kind)]


def _split(call: Call) -> Given:
    shape = call[0].shape
    axis = _axis(call.number("axis", 0), len(shape))
    sizes = call.listed("split", 1)
    if sizes is None:
        each = -(-shape[axis] // call.outputs)
        sizes = [min(each, shape[axis] - i * each) for i in range(call.outputs)]
    _need(
        len(sizes) == call.outputs and sum(sizes) == shape[axis] and min(sizes) >= 0,
        f"splits {shape[axis]} into {sizes[:16]}",
    )
    return [((*shape[:axis], size, *shape[axis + 1 :]), call[0].kind) for size in sizes]


def _slices(call: Call) -> tuple[slice, ...]:
    """Give what a Slice takes, a slice for every dimension, in Python's sense."""
    rank = len(call[0].shape)
    starts, ends = call.listed("starts", 1, []), call.listed("ends", 2, [])
    assert starts is not None
    axes = call.listed("axes", 3, range(len(starts)))
    steps = call.listed("steps", 4, [1] * len(starts))
    assert ends is not None
    assert axes is not None
    assert steps is not None
    _need(len(starts) == len(ends) == len(axes) == len(steps) and 0 not in steps, "has unequal or zero steps")
    taken = [slice(None)] * rank
    for place, start, end, step in zip(_axes(axes, rank), starts, ends, steps, strict=True):
        side = call[0].shape[place]
        # Counting down, an end before the first element is written as one far below zero.
        below = step < 0 and end < -side
        taken[place] = slice(start, None if below else end, step)
    return tuple(taken)


def _slice(call: Call) -> Given:
    sides = [len(range(side)[part]) for side, part in zip(call[0].shape, _slices(call), strict=True)]
    return [(tuple(sides), call[0].kind)]


def _gather(call: Call) -> Given:
    shape = call[0].shape
    axis = _axis(call.number("axis", 0), len(shape))
    return [(shape[:axis] + call[1].shape + shape[axis + 1 :], call[0].kind)]


def _gather_elements(call: Call) -> Given:
    _axis(call.number("axis", 0), len(call[0].shape))
    return [(call[1].shape, call[0].kind)]


def _gather_nd(call: Call) -> Given:
    shape, places = call[0].shape, call[1].shape
    batch = call.number("batch_dims", 0, 0, min(len(shape), len(places) - 1))
    _need(batch + places[-1] <= len(shape), f"takes shapes {_of([shape, places])}")
    return [(places[:-1] + shape[batch + places[-1] :], call[0].kind)]


def _expand(call: Call) -> Given:
    return [(_together([call[0].shape, tuple(call.sides(1, 0))]), call[0].kind)]


def _tile(call: Call) -> Given:
    repeats = call.sides(1, 0)
    _need(len(repeats) == len(call[0].shape), f"repeats {list(call[0].shape)} by {repeats[:16]}")
    return [(tuple(side * times for side, times in zip(call[0].shape, repeats, strict=True)), call[0].kind)]


def _pad(call: Call) -> Given:
    shape = call[0].shape
    pads = call.listed("pads", 1, [])
    axes = call.sides(3) if call.has(3) else range(len(shape))
    assert pads is not None
    _need(len(pads) == 2 * len(axes), f"pads {list(shape)} by {pads[:16]}")
    sides = list(shape)
    for i, place in enumerate(_axes(list(axes), len(shape))):
        sides[place] += pads[i] + pads[i + len(axes)]
    _need(min(sides, default=0) >= 0, f"pads {list(shape)} by {pads[:16]}")
    return [(tuple(sides), call[0].kind)]


def _resize(call: Call) -> Given:
    shape = call[0].shape
    _need(call.text("keep_aspect_ratio_policy", "stretch") == "stretch", "keeps the aspect ratio")
    axes = _axes(call.numbers("axes", range(len(shape))), len(shape))
    place = 1 if call.op == "Upsample" or len(call.inputs) == 2 else 2
    sides = list(shape)
    if "scales" in call.attributes or (call.has(place) and call[place].size):
        scales = call.attributes["scales"] if "scales" in call.attributes else call.values(place)
        _need(len(scales) == len(axes), f"scales {list(shape)} by {len(scales)} factors")
        for axis, scale in zip(axes, np.asarray(scales, np.float32), strict=True):
            _need(0 < scale < 4096, f"scales by {scale}")
            sides[axis] = int(np.float32(shape[axis]) * scale)
    else:
        wanted = call.sides(3, 1)
        _need(len(wanted) == len(axes), f"resizes {list(shape)} to {wanted[:16]}")
        for axis, side in zip(axes, wanted, strict=True):
            sides[axis] = side
    return [(tuple(sides), call[0].kind)]


def _one_hot(call: Call) -> Given:
    shape = call[0].shape
    axis = _axis(call.number("axis", -1), len(shape) + 1)
    depth = int(call.values(1).item())
    _need(1 <= depth <= MAX_SIDE, f"makes {depth} classes")
    return [((*shape[:axis], depth, *shape[axis:]), call[2].kind)]


def _depth_to_space(call: Call) -> Given:
    n, channels, height, width = _four(call)
    block = call.number("blocksize", 0, 1, 1024)
    _need(channels % block**2 == 0, f"makes blocks of {block} from {channels} channels")
    return [((n, channels // block**2, height * block, width * block), call[0].kind)]


def _space_to_depth(call: Call) -> Given:
    n, channels, height, width = _four(call)
    block = call.number("blocksize", 0, 1, 1024)
    _need(height % block == width % block == 0, f"takes blocks of {block} from {height}x{width}")
    return [((n, channels * block**2, height // block, width // block), call[0].kind)]


def _four(call: Call) -> Shape:
    _need(len(call[0].shape) == 4, f"takes shape {list(call[0].shape)}; expected 4 dimensions")
    return call[0].shape


def _grid_sample(call: Call) -> Given:
    (n, channels, _, _), grid = _four(call), call[1].shape
    _need(len(grid) == 4 and grid[0] == n and grid[3] == 2, f"takes a grid of shape {list(grid)}")
    return [((n, channels, *grid[1:3]), call[0].kind)]


def _cast(call: Call) -> Given:
    kind = call.number("to", 0)
    _need(kind in NUMPY, f"makes a type ({kind}) that is not taken")
    return [(call[0].shape, kind)]


def _cast_like(call: Call) -> Given:
    return [(call[0].shape, call[1].kind)]


def _quantize(call: Call) -> Given:
    return [(call[0].shape, call[2].kind if call.has(2) else UINT8)]


def _dequantize(call: Call) -> Given:
    return [(call[0].shape, call[1].kind)]


def _table(*rows: tuple[Callable[[Call], Given], str]) -> dict[str, Callable[[Call], Given]]:
    return {op: function for function, ops in rows for op in ops.split()}


OPERATORS: Final = _table(
    (
        _like,
        "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu "
        "HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid "
        "Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu ScatterElements ScatterND Trilu",
    ),
    (_along_axis, "Softmax LogSoftmax LpNormalization"),
    (_not_empty, "CumSum MeanVarianceNormalization"),
    (_random_part, "Dropout"),
    (_broadcast, "Add Sub Mul Pow Max Min Mean Sum BitwiseAnd BitwiseOr BitwiseXor"),
    (_divide, "Div Mod"),
    (_compare, "And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual"),
    (_where, "Where"),
    (_is, "IsNaN IsInf"),
    (_slope, "PRelu"),
    (_batch_norm, "BatchNormalization"),
    (_instance_norm, "InstanceNormalization"),
    (_group_norm, "GroupNormalization"),
    (_layer_norm, "LayerNormalization RMSNormalization"),
    (_local_norm, "LRN"),
    (_conv, "Conv"),
    (_conv_transpose, "ConvTranspose"),
    (_pool, "MaxPool AveragePool LpPool"),
    (_pool_all, "GlobalAveragePool GlobalMaxPool GlobalLpPool"),
    (_gemm, "Gemm"),
    (_matmul, "MatMul"),
    (_einsum, "Einsum"),
    (
        _reduce,
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
        "ReduceSumSquare",
    ),
    (_argument, "ArgMax ArgMin"),
    (_top, "TopK"),
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


# Values of small tensors, which may be the sizes of large ones.


def _small(call: Call, index: int) -> Array:
    """Give the value of an input, known to be known."""
    value = call[index].value
    assert value is not None
    return value


def _constant_value(call: Call) -> Array | None:
    name, value = next(iter(call.attributes.items()))
    if isinstance(value, Tensor):
        return value.value
    return np.array(value, np.int64 if "int" in name else np.float32)


def _filled_value(call: Call) -> Array | None:
    value = call.attributes.get("value")
    one = value.value if isinstance(value, Tensor) else np.zeros(1, np.float32)
    return None if one is None else np.full(call.sides(0, 0), one.reshape(-1)[0])


def _quotient(call: Call) -> Array:
    left, right = _small(call, 0), _small(call, 1)
    if left.dtype.kind == "f":
        return np.asarray(left / right)
    return np.asarray(np.sign(left) * np.sign(right) * (np.abs(left) // np.abs(right)))


def _shaped(call: Call) -> Array:
    return _small(call, 0).reshape(OPERATORS[call.op](call)[0][0])


def _unary(function: Callable[[Array], Array]) -> Callable[[Call], Array]:
    return lambda call: np.asarray(function(_small(call, 0)))


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Call], Array]:
    return lambda call: np.asarray(function(_small(call, 0), _small(call, 1)))


def _range_value(call: Call) -> Array:
    start, delta = call.values(0)[0], call.values(2)[0]
    (count,) = _range(call)[0][0]
    return np.asarray(start + delta * np.arange(count), start.dtype)


def _reduced(function: Callable[..., Array]) -> Callable[[Call], Array]:
    def apply(call: Call) -> Array:
        value, axes = _small(call, 0), call.listed("axes", 1)
        if not axes and call.number("noop_with_empty_axes", 0):
            return value
        keep = call.number("keepdims", 1) != 0
        return np.asarray(
            function(value, axis=tuple(axes) if axes else None, keepdims=keep, dtype=value.dtype)
        )

    return apply


def _joined(call: Call) -> Array:
    return np.concatenate([_small(call, i) for i in range(len(call.inputs))], call.number("axis", 0))


def _cast_value(call: Call) -> Array | None:
    value = _small(call, 0)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return None
    return value.astype(NUMPY[_cast(call)[0][1]])


# Of the types and shapes of inputs alone.
FROM_SHAPES: Final[dict[str, Callable[[Call], Array | None]]] = {
    "Constant": _constant_value,
    "Shape": lambda call: np.array(_part_of_shape(call), np.int64),
    "Size": lambda call: np.array(call[0].size, np.int64),
}
# Of the values of inputs, all of which are known.
VALUES: Final[dict[str, Callable[[Call], Array | None]]] = {
    "ConstantOfShape": _filled_value,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _quotient,
    "Equal": _binary(np.equal),
    "Greater": _binary(np.greater),
    "Less": _binary(np.less),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Neg": _unary(np.negative),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Not": _unary(np.logical_not),
    "Identity": _unary(np.asarray),
    "Where": lambda call: np.where(_small(call, 0), _small(call, 1), _small(call, 2)),
    "Cast": _cast_value,
    "Concat": _joined,
    "Gather": lambda call: np.take(_small(call, 0), _small(call, 1), axis=call.number("axis", 0)),
    "Slice": lambda call: _small(call, 0)[_slices(call)],
    "Reshape": _shaped,
    "Flatten": _shaped,
    "Squeeze": _shaped,
    "Unsqueeze": _shaped,
    "Expand": lambda call: np.broadcast_to(_small(call, 0), _expand(call)[0][0]),
    "Range": _range_value,
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
}


def value_of(call: Call, shape: Shape, kind: int) -> Array | None:
    """Give the first result's value where it is small and follows from what is known, else None."""
    if math.prod(shape) > MAX_READ:
        return None
    function = FROM_SHAPES.get(call.op)
    if function is None:
        function = VALUES.get(call.op)
        if function is None or any(known is not None and known.value is None for known in call.inputs):
            return None
    try:
        with np.errstate(all="ignore"):
            value = function(call)
    except (ArithmeticError, AssertionError, IndexError, TypeError, ValueError):
        return None
    # A value that is not what the shapes say would be no basis for further ones.
    if value is None or value.shape != shape or value.dtype != np.dtype(NUMPY[kind]):
        return None
    return value
