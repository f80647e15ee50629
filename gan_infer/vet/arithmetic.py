"""The operators that compute, and how large what they give is: element by element, norms, products, sums.

For every operator in `OPERATORS` there is one function from a `Call` to the shapes and types of its
results, after the operator's text in the ONNX specification. It computes no pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from gan_infer.vet.call import Call, Given, Shape, checked_axes, checked_axis, listing, need, table, together
from gan_infer.vet.graph import BOOL, FLOAT32, INT64, INTEGERS
from gan_infer.vet.wire import RefusedError

# Element by element.


def _like(call: Call) -> Given:
    return [(call[0].shape, call[0].kind)]


def _not_empty(call: Call) -> Given:
    need(call[0].size > 0, "takes a tensor without elements")
    return _like(call)


def _along_axis(call: Call) -> Given:
    checked_axis(call.number("axis", -1), max(1, len(call[0].shape)))
    return _not_empty(call)


def _random_part(call: Call) -> Given:
    if call.has(2) and (call.values(2) != 0).any():
        raise RefusedError("draws at random, as in training; export in evaluation mode")
    return [*_like(call), (call[0].shape, BOOL)][: call.outputs]


def _broadcast(call: Call) -> Given:
    shapes = [call[index].shape for index in range(len(call.inputs))]
    return [(together(shapes), call[0].kind)]


def _divide(call: Call) -> Given:
    if call[0].kind in INTEGERS or call[1].kind in INTEGERS:
        # A whole number divided by 0, or the least one by -1, ends the process.
        divisor = call.values(1)
        need(not np.isin(divisor, (0, -1)).any(), "divides whole numbers by 0 or -1")
    return _broadcast(call)


def _compare(call: Call) -> Given:
    return [(_broadcast(call)[0][0], BOOL)]


def _where(call: Call) -> Given:
    return [(together([call[0].shape, call[1].shape, call[2].shape]), call[1].kind)]


def _is(call: Call) -> Given:
    return [(call[0].shape, BOOL)]


def _slope(call: Call) -> Given:
    need(together([call[0].shape, call[1].shape]) == call[0].shape, "has more slopes than elements")
    return _like(call)


# Normalisation.


def _batch_norm(call: Call) -> Given:
    need(call.number("training_mode", 0) == 0, "takes statistics of the batch; export in evaluation mode")
    need(call.outputs == 1, "gives statistics of the batch; export in evaluation mode")
    channels = call[0].shape[1:2] or (1,)
    need(all(call[index].shape == channels for index in (1, 2, 3, 4)), "has statistics of another size")
    return _not_empty(call)


def _instance_norm(call: Call) -> Given:
    need(len(call[0].shape) >= 3, "takes fewer than 3 dimensions")
    need(all(call[index].shape == call[0].shape[1:2] for index in (1, 2)), "has factors of another size")
    return _not_empty(call)


def _group_norm(call: Call) -> Given:
    need(len(call[0].shape) >= 2, "takes fewer than 2 dimensions")
    groups = call.number("num_groups", 0, 1)
    need(call[0].shape[1] % groups == 0, f"has {groups} groups for {call[0].shape[1]} channels")
    return _not_empty(call)


def _layer_norm(call: Call) -> Given:
    shape = call[0].shape
    axis = checked_axis(call.number("axis", -1), len(shape))
    small = shape[:axis] + (1,) * (len(shape) - axis)
    return [*_not_empty(call), (small, FLOAT32), (small, FLOAT32)][: call.outputs]


def _local_norm(call: Call) -> Given:
    call.number("size", 0, 1, 4096)
    need(len(call[0].shape) >= 3, "takes fewer than 3 dimensions")
    return _not_empty(call)


# Linear.


def _window(call: Call, sides: Shape, kernel: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Give (side, width of the dilated window, stride, pads at both ends) for every direction."""
    rank = len(sides)
    strides = call.numbers("strides", [1] * rank, 1)
    dilations = call.numbers("dilations", [1] * rank, 1)
    pads = call.numbers("pads", [0] * 2 * rank, 0)
    need(
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
        need(room >= 0, f"moves a window of {width} over {side} pixels")
        result.append((-(-room // stride) if up else room // stride) + 1)
    return tuple(result)


def _conv(call: Call) -> Given:
    picture, kernel = call[0].shape, call[1].shape
    groups = call.number("group", 1, 1)
    need(
        len(picture) == len(kernel) >= 3
        and picture[1] == kernel[1] * groups
        and kernel[0] % groups == 0
        and tuple(call.numbers("kernel_shape", kernel[2:])) == kernel[2:],
        f"takes shapes {listing([picture, kernel])} in {groups} groups",
    )
    need(not call.has(2) or call[2].shape == kernel[:1], "has a bias of another size")
    shape = (picture[0], kernel[0], *_slide(call, picture[2:], kernel[2:]))
    call.work = math.prod(shape) * math.prod(kernel[1:])
    return [(shape, call[0].kind)]


def _conv_transpose(call: Call) -> Given:
    picture, kernel = call[0].shape, call[1].shape
    groups = call.number("group", 1, 1)
    need(
        len(picture) == len(kernel) >= 3
        and picture[1] == kernel[0]
        and kernel[0] % groups == 0
        and tuple(call.numbers("kernel_shape", kernel[2:])) == kernel[2:],
        f"takes shapes {listing([picture, kernel])} in {groups} groups",
    )
    need(not call.has(2) or call[2].shape == (kernel[1] * groups,), "has a bias of another size")
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
    need(min(sides) >= 1, "leaves no pixels")
    call.work = math.prod(picture) * math.prod(kernel[1:])
    return [((picture[0], kernel[1] * groups, *sides), call[0].kind)]


def _pool(call: Call) -> Given:
    shape = call[0].shape
    need(len(shape) >= 3, "takes fewer than 3 dimensions")
    kernel = call.numbers("kernel_shape", None, 1)
    result = (*shape[:2], *_slide(call, shape[2:], kernel))
    call.work = math.prod(result) * math.prod(kernel)
    return [(result, call[0].kind), (result, INT64)][: call.outputs]


def _pool_all(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    need(len(shape) >= 3, "takes fewer than 3 dimensions")
    return [(shape[:2] + (1,) * (len(shape) - 2), call[0].kind)]


def _gemm(call: Call) -> Given:
    left, right = call[0].shape, call[1].shape
    need(len(left) == len(right) == 2, f"takes shapes {listing([left, right])}")
    rows, inner = left[::-1] if call.number("transA", 0) else left
    across, columns = right[::-1] if call.number("transB", 0) else right
    need(inner == across, f"takes shapes {listing([left, right])}")
    if call.has(2):
        need(together([call[2].shape, (rows, columns)]) == (rows, columns), "has a bias of another size")
    call.work = rows * columns * inner
    return [((rows, columns), call[0].kind)]


def _matmul(call: Call) -> Given:
    left, right = call[0].shape, call[1].shape
    need(len(left) >= 1 and len(right) >= 1, "takes a single number")
    whole_left = (1, *left) if len(left) == 1 else left
    whole_right = (*right, 1) if len(right) == 1 else right
    need(whole_left[-1] == whole_right[-2], f"takes shapes {listing([left, right])}")
    outer = together([whole_left[:-2], whole_right[:-2]])
    call.work = math.prod(outer) * whole_left[-2] * whole_left[-1] * whole_right[-1]
    shape = outer + whole_left[-2:-1] * (len(left) > 1) + whole_right[-1:] * (len(right) > 1)
    return [(shape, call[0].kind)]


def _einsum(call: Call) -> Given:
    terms, arrow, result = call.text("equation", "").replace(" ", "").partition("->")
    letters = terms.split(",")
    need(
        bool(arrow) and len(letters) == len(call.inputs) and (terms + result).replace(",", "").isalpha(),
        "has an equation that is not taken; expected one like ab,bc->ac",
    )
    sides: dict[str, int] = {}
    for index, term in enumerate(letters):
        shape = call[index].shape
        need(len(term) == len(shape), f"takes shape {list(shape)} for {term[:20]!r}")
        for letter, side in zip(term, shape, strict=True):
            need(sides.setdefault(letter, side) == side, f"takes two sizes for {letter!r}")
    need(len(set(result)) == len(result) and set(result) <= set(sides), "has an equation that is not taken")
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
    places = set(checked_axes(axes, len(shape)))
    keep = call.number("keepdims", 1) != 0
    sides = [1 if i in places else side for i, side in enumerate(shape) if keep or i not in places]
    return [(tuple(sides), call[0].kind)]


def _argument(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    axis = checked_axis(call.number("axis", 0), len(shape))
    middle = (1,) if call.number("keepdims", 1) else ()
    return [(shape[:axis] + middle + shape[axis + 1 :], INT64)]


def _top(call: Call) -> Given:
    shape = _not_empty(call)[0][0]
    axis = checked_axis(call.number("axis", -1), len(shape))
    (count,) = call.sides(1, 1)
    need(count <= shape[axis], f"takes the first {count} of {shape[axis]}")
    result = (*shape[:axis], count, *shape[axis + 1 :])
    return [(result, call[0].kind), (result, INT64)][: call.outputs]


OPERATORS: Final = table(
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
)
