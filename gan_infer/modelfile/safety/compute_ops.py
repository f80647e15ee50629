"""The operators that compute: their forms, results and highest costs.

`FORMS` has a `Form` for every operator. Shapes follow the ONNX specification; working memory and work are
rounded up, never down.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from gan_infer.modelfile.safety.graph import BOOL, FLOAT16, FLOAT32, FLOAT64, INT32, INT64, MAX_SIDE
from gan_infer.modelfile.safety.operator import (
    ALL,
    FLOATS,
    NUMBERS,
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
    Shape,
    Side,
    Whole,
    add,
    broadcast,
    count,
    divide,
    each,
    fixed,
    least,
    multiply,
    show,
    size,
    times,
    without_batch,
    words,
)

# The runtime lays out channels and columns in blocks of this size.
_BLOCK: Final = 16

_AXIS: Final = whole(-8, 7)
_FLAG: Final = whole(0, 1)
_NO: Final = whole(0, 0)


def _in_blocks(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK


# Element by element.


def like(call: Call) -> Results:
    """Return a result with the first input's shape and type."""
    call.work = SLOW * size(call[0].shape)
    return [(call[0].shape, call[0].kind)]


def _cheap(call: Call) -> Results:
    result = like(call)
    call.work = PLAIN * size(call[0].shape)
    return result


def _clip(call: Call) -> Results:
    need(
        all(not call.has(index) or call[index].shape == () for index in (1, 2)),
        "has a bound that is no number",
    )
    return _cheap(call)


def _slope(call: Call) -> Results:
    need(broadcast(call[0].shape, call[1].shape) == call[0].shape, "has more slopes than elements")
    return _cheap(call)


def _random_part(call: Call) -> Results:
    need(len(call.inputs) == 1 or call.opset >= 12, "has more inputs than it takes")
    training = call.inputs[2] if len(call.inputs) > 2 else None
    if training is not None:
        need(training.value is not None and not training.value.any(), "draws at random, as in training")
    return like(call)


def binary(call: Call) -> Results:
    """Return two broadcast to one, of the first one's type."""
    shape = broadcast(call[0].shape, call[1].shape)
    call.work = PLAIN * size(shape)
    return [(shape, call[0].kind)]


def _power(call: Call) -> Results:
    result = binary(call)
    call.work *= SLOW // PLAIN
    return result


def _divide(call: Call) -> Results:
    if call[0].kind not in FLOATS:
        # A whole number divided by 0, or the least one by -1, ends the process.
        divisor = call[1].value
        need(
            divisor is not None and all(type(one) is int and one > 0 for one in divisor.reshape(-1)),
            "divides whole numbers by what the file does not fix, or by less than 1",
        )
    return binary(call)


def _compare(call: Call) -> Results:
    return [(binary(call)[0][0], BOOL)]


def _where(call: Call) -> Results:
    need(call[1].kind == call[2].kind, "mixes types")
    shape = broadcast(broadcast(call[0].shape, call[1].shape), call[2].shape)
    call.memory = 2 * words(shape, call[1].kind)
    call.work = 3 * PLAIN * size(shape)
    return [(shape, call[1].kind)]


# Normalisation.


def _softmax(call: Call) -> Results:
    need(len(call[0].shape) > 0, "takes a single number")
    axis_of(call.number("axis", -1), len(call[0].shape))
    call.memory = 2 * call[0].words  # an axis other than the last is moved there and back
    return like(call)


def _need_elements(shape: Shape) -> None:
    need(min(map(least, shape), default=1) >= 1, f"takes shape {show(shape)}, which may be empty")


def _normalise(call: Call, rank: int) -> Results:
    """Check a channel's factors and statistics, the inputs after the first."""
    shape = call[0].shape
    need(len(shape) >= rank, f"takes fewer than {rank} dimensions")
    _need_elements(shape)  # of none the runtime crashes
    for index in range(1, len(call.inputs)):
        need(call[index].shape == shape[1:2], "has factors or statistics of another size")
    call.memory = 4 * call[0].words  # some are computed by several operators
    return like(call)


def _batch_norm(call: Call) -> Results:
    return _normalise(call, 2)


def _instance_norm(call: Call) -> Results:
    return _normalise(call, 3)


def _group_norm(call: Call) -> Results:
    need("num_groups" in call.attributes, "has no number of groups")
    shape, groups = call[0].shape, call.number("num_groups", 0)
    need(len(shape) >= 3, "takes fewer than 3 dimensions")
    _need_elements(shape)
    (channels,) = fixed(shape[1:2])
    need(channels % groups == 0, f"has {groups} groups for {channels} channels")
    factors = (groups,) if call.opset < 21 else (channels,)
    need(call[1].shape == call[2].shape == factors, "has factors of another size")
    call.memory = 6 * call[0].words
    return like(call)


def _layer_norm(call: Call) -> Results:
    shape = call[0].shape
    axis = axis_of(call.number("axis", -1), len(shape))
    _need_elements(shape)
    for index in range(1, len(call.inputs)):
        need(call[index].shape == shape[axis:], "has factors of another size")
    call.memory = 4 * call[0].words
    return like(call)


# Linear.


def _windows(call: Call, kernel: list[int]) -> list[tuple[int, int, int]]:
    """Return (width of the dilated window, stride, pads at both ends) for every direction."""
    rank = len(kernel)
    strides = call.numbers("strides", [1] * rank)
    dilations = call.numbers("dilations", [1] * rank)
    pads = call.numbers("pads", [0] * 2 * rank)
    need(
        len(strides) == len(dilations) == rank and len(pads) == 2 * rank,
        f"has a window that does not fit {rank} directions",
    )
    return [((kernel[i] - 1) * dilations[i] + 1, strides[i], pads[i] + pads[rank + i]) for i in range(rank)]


def _slide(call: Call, sides: list[Whole], kernel: list[int]) -> list[Whole]:
    """Return the sides that a window moved over `sides` leaves."""
    result: list[Whole] = []
    same = call.attributes.get("auto_pad") == b"SAME_UPPER"
    for side, (width, stride, pad) in zip(sides, _windows(call, kernel), strict=True):
        if same:
            result.append(divide(add(side, stride - 1), stride))
            continue
        need(width <= least(side) + pad, f"moves a window of {width} over {side} pixels")
        result.append(add(divide(add(side, pad - width), stride), 1))
    return result


def _filters(call: Call) -> tuple[int, list[Whole], list[int], int]:
    """Return channels and sides of the picture, the filters' shape, and the groups."""
    picture, groups = without_batch(call[0].shape[1:]), call.number("group", 1)
    filters = fixed(call[1].shape)
    need(
        3 <= len(filters) == len(picture) + 1 <= 5 and min(map(least, (*picture, *filters))) >= 1,
        f"takes shapes {show(call[0].shape)} and {show(call[1].shape)}",
    )
    need(call.numbers("kernel_shape", filters[2:]) == filters[2:], "has filters of another kernel_shape")
    # The runtime holds them again in layouts of its own, in blocks along either of the first two sides.
    copies = _in_blocks(filters[0]) * filters[1] + filters[0] * _in_blocks(filters[1])
    if call[1].constant:
        call.kept = copies * size(filters[2:])
    else:
        call.memory = copies * size(filters[2:])
    (channels,) = fixed(picture[:1])
    return channels, picture[1:], filters, groups


def _conv(call: Call) -> Results:
    given, picture, filters, groups = _filters(call)
    need(
        given == filters[1] * groups and filters[0] % groups == 0,
        f"takes {given} channels by filters {filters} in {groups} groups",
    )
    need(not call.has(2) or call[2].shape == (filters[0],), "has a bias of another size")
    sides = _slide(call, picture, filters[2:])
    shape = (call[0].shape[0], filters[0], *sides)
    images = each(call[0].shape[0])
    # Both pictures in blocks of channels; windows side by side, of no more places than there are filters
    # where these are few (1- and 2-dimensional), else all of one group.
    blocked = images * (_in_blocks(given) * size(picture) + _in_blocks(filters[0]) * size(sides))
    windows = size(filters[1:]) * size(sides)
    call.memory += blocked + min(windows, size(filters) + 2**18)
    call.work = images * (size(sides) * size(filters) + groups * windows * PLAIN) + PLAIN * blocked
    return [(shape, call[0].kind)]


def _conv_transpose(call: Call) -> Results:
    given, picture, filters, groups = _filters(call)
    need(
        given == filters[0] and filters[0] % groups == 0,
        f"takes {given} channels by filters {filters} in {groups} groups",
    )
    channels = filters[1] * groups
    need(not call.has(2) or call[2].shape == (channels,), "has a bias of another size")
    extra = call.numbers("output_padding", [0] * len(filters[2:]))
    need(len(extra) == len(filters[2:]), "has an output_padding that does not fit")
    sides = []
    for side, more, (width, stride, pad) in zip(picture, extra, _windows(call, filters[2:]), strict=True):
        need(more < max(stride, 2), f"adds {more} to a stride of {stride}")
        sides.append(add(multiply(side, stride), more + width - pad - stride))
    need(min(map(least, sides)) >= 1, "leaves no pixels")
    columns = size(filters[1:]) * size(picture)  # of one group of one picture, before they are summed
    call.memory += columns
    images = each(call[0].shape[0])
    made = PLAIN * channels * size(sides)
    call.work = images * (size(picture) * size(filters) + 2 * groups * columns * PLAIN + made)
    return [((call[0].shape[0], channels, *sides), call[0].kind)]


def _pool(call: Call) -> Results:
    shape = call[0].shape
    need("kernel_shape" in call.attributes, "has no kernel_shape")
    kernel = call.numbers("kernel_shape", ())
    sides = without_batch(shape[2:])
    need(4 <= len(shape) == len(kernel) + 2 <= 5, f"takes shape {show(shape)}")
    _need_elements(shape)
    pads = call.numbers("pads", [0] * 2 * len(kernel))
    need(2 * max(pads) <= min(kernel), "pads by more than half of its window")
    result: Shape = (*shape[:2], *_slide(call, sides, kernel))
    images, (channels,) = each(shape[0]), fixed(shape[1:2])
    call.memory = images * _in_blocks(channels) * (size(sides) + size(result[2:]))
    call.work = size(result) * size(kernel) * PLAIN + PLAIN * call.memory
    return [(result, call[0].kind)]


def _pool_all(call: Call) -> Results:
    shape = call[0].shape
    need(len(shape) >= 3, "takes fewer than 3 dimensions")
    call.memory = 2 * call[0].words
    call.work = PLAIN * size(shape)
    return [(shape[:2] + (1,) * (len(shape) - 2), call[0].kind)]


def _gemm(call: Call) -> Results:
    left, right = call[0].shape, call[1].shape
    need(len(left) == len(right) == 2, f"takes shapes {show(left)} and {show(right)}")
    rows, inner = left[::-1] if call.number("transA", 0) else left
    across, columns = right[::-1] if call.number("transB", 0) else right
    need(inner == across, f"takes shapes {show(left)} and {show(right)}")
    shape = (rows, columns)
    if call.has(2):
        need(broadcast(call[2].shape, shape) == shape, "has a bias of another size")
    return _product(call, shape, inner)


def _matmul(call: Call) -> Results:
    left, right = call[0].shape, call[1].shape
    need(min(len(left), len(right)) >= 1, "takes a single number")
    rows = left if len(left) > 1 else (1, *left)
    columns = right if len(right) > 1 else (*right, 1)
    need(rows[-1] == columns[-2], f"takes shapes {show(left)} and {show(right)}")
    outer = broadcast(rows[:-2], columns[:-2])
    shape = outer + rows[-2:-1] * (len(left) > 1) + columns[-1:] * (len(right) > 1)
    return _product(call, shape, rows[-1])


def _product(call: Call, shape: Shape, inner: Side) -> Results:
    """Return a matrix product: operands are copied, turned and laid out in blocks, each at most once."""
    parts = [(1, *known.shape) if len(known.shape) == 1 else known.shape for known in (call[0], call[1])]
    blocks = [size(part[:-2]) * _in_blocks(each(part[-2])) * _in_blocks(each(part[-1])) for part in parts]
    call.memory = sum(blocks)
    call.kept = sum(part for part, known in zip(blocks, (call[0], call[1]), strict=True) if known.constant)
    call.work = size(shape) * each(inner) + PLAIN * (sum(blocks) + size(shape))
    call.work *= 2 if call[0].kind == FLOAT64 else 1
    return [(shape, call[0].kind)]


def _einsum(call: Call) -> Results:
    need("equation" in call.attributes, "has no equation")
    equation = call.attributes["equation"].decode("ascii", "replace").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    letters = terms.split(",")
    need(
        bool(arrow)
        and len(letters) == 2
        and all(term.isalpha() and len(set(term)) == len(term) <= 6 for term in (*letters, result)),
        "has an equation that is not taken; expected one like bij,bjk->bik",
    )
    sides: dict[str, Side] = {}
    for index, term in enumerate(letters):
        shape = call[index].shape
        need(len(term) == len(shape), f"takes shape {show(shape)} for {term!r}")
        for letter, side in zip(term, shape, strict=True):
            need(sides.setdefault(letter, side) == side, f"takes two sizes for {letter!r}")
    # A letter of one operand alone that the result lacks would be summed beforehand.
    shared = set(letters[0]) & set(letters[1])
    need(set(letters[0]) ^ set(letters[1]) <= set(result) <= set(sides), "has an equation that is not taken")
    shape = tuple(sides[letter] for letter in result)
    inner = count(sides[letter] for letter in shared - set(result))
    call.memory = 4 * (call[0].words + call[1].words + words(shape, call[0].kind))
    call.work = 2 * each(times(count(shape), inner)) + 8 * PLAIN * call.memory
    return [(shape, call[0].kind)]


# Reductions.


def _reduce(call: Call) -> Results:
    shape = call[0].shape
    need(len(shape) >= 1, "takes a single number")
    axes = call.integers("axes", 1)
    places = set(range(len(shape)) if axes is None else axes_of(axes, len(shape)))
    keep = call.number("keepdims", 1)
    sides = tuple(1 if i in places else side for i, side in enumerate(shape) if keep or i not in places)
    call.memory = 4 * call[0].words  # lists of the places that go into an element
    call.work = SLOW * size(shape)
    return [(sides, call[0].kind)]


_WINDOW: Final = {
    "auto_pad": texts("NOTSET"),
    "dilations": wholes(1, 64, 3),
    "kernel_shape": wholes(1, 256, 3),
    "pads": wholes(0, 256, 6),
    "strides": wholes(1, 64, 3),
}
_CONV: Final = {**_WINDOW, "auto_pad": texts("NOTSET", "SAME_UPPER"), "group": whole(1, MAX_SIDE)}
_AVERAGE: Final = {**_WINDOW, "ceil_mode": _NO, "count_include_pad": _FLAG}
_ALPHA: Final = {"alpha": real}
_EPSILON: Final = {"epsilon": real}
_REDUCED: Final = {"axes": wholes(-8, 7, 8), "keepdims": _FLAG, "noop_with_empty_axes": _NO}


def _forms_by_element() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    take = partial(add_forms, forms)
    slow = "Cos Erf Exp Log Reciprocal Sigmoid Sin Softplus Softsign Sqrt Tanh"
    take(slow, Form(like, (1, 1), {}, FLOATS))
    take("Ceil Floor Round", Form(_cheap, (1, 1), {}, FLOATS))
    take("Abs Neg Relu Sign", Form(_cheap, (1, 1), {}, NUMBERS))
    take("HardSwish Mish", Form(like, (1, 1), {}, {FLOAT32}))
    take("Identity", Form(_cheap, (1, 1), {}, ALL))
    take("Not", Form(_cheap, (1, 1), {}, {BOOL}))
    take("Celu Elu ThresholdedRelu", Form(like, (1, 1), _ALPHA, FLOATS))
    take("LeakyRelu", Form(_cheap, (1, 1), _ALPHA, FLOATS))
    take("HardSigmoid", Form(like, (1, 1), {"alpha": real, "beta": real}, FLOATS))
    take("Selu", Form(like, (1, 1), {"alpha": real, "gamma": real}, FLOATS))
    take("Gelu", Form(like, (1, 1), {"approximate": texts("none", "tanh")}, FLOATS))
    take("Clip", Form(_clip, (1, 3), {"min": real, "max": real}, NUMBERS, (1, 2)))
    take("PRelu", Form(_slope, (2, 2), {}, FLOATS, (1,)))
    take("Dropout", Form(_random_part, (1, 3), {"ratio": real, "seed": whole(-MAX_SIDE, MAX_SIDE)}, FLOATS))
    take("Add Sub Mul Max Min", Form(binary, (2, 2), {}, NUMBERS, (1,)))
    take("Pow", Form(_power, (2, 2), {}, FLOATS))
    take("Div", Form(_divide, (2, 2), {}, NUMBERS, (1,)))
    take("Mod", Form(_divide, (2, 2), {"fmod": _NO}, {INT32, INT64}, (1,)))
    take("And Or", Form(_compare, (2, 2), {}, {BOOL}, (1,)))
    take("Equal", Form(_compare, (2, 2), {}, NUMBERS | {BOOL}, (1,)))
    take("Greater GreaterOrEqual Less LessOrEqual", Form(_compare, (2, 2), {}, NUMBERS, (1,)))
    take("Where", Form(_where, (3, 3), {}, {BOOL}))
    return forms


def _linear_forms() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    take = partial(add_forms, forms)
    take("Softmax LogSoftmax", Form(_softmax, (1, 1), {"axis": _AXIS}, FLOATS))
    statistics = {**_EPSILON, "momentum": real, "spatial": whole(1, 1), "training_mode": _NO}
    take("BatchNormalization", Form(_batch_norm, (5, 5), statistics, FLOATS, (1, 2, 3, 4)))
    take("InstanceNormalization", Form(_instance_norm, (3, 3), _EPSILON, FLOATS, (1, 2)))
    groups = {**_EPSILON, "num_groups": whole(1, MAX_SIDE), "stash_type": whole(1, 1)}
    take("GroupNormalization", Form(_group_norm, (3, 3), groups, FLOATS, (1, 2)))
    layer = {**_EPSILON, "axis": _AXIS, "stash_type": whole(1, 1)}
    take("LayerNormalization", Form(_layer_norm, (2, 3), layer, FLOATS, (1, 2)))
    take("RMSNormalization", Form(_layer_norm, (2, 2), layer, FLOATS, (1,)))

    take("Conv", Form(_conv, (2, 3), _CONV, {FLOAT32, FLOAT16}, (1, 2)))
    transposed = {**_WINDOW, "group": whole(1, MAX_SIDE), "output_padding": wholes(0, 64, 3)}
    take("ConvTranspose", Form(_conv_transpose, (2, 3), transposed, {FLOAT32, FLOAT16}, (1, 2)))
    take("AveragePool", Form(_pool, (1, 1), _AVERAGE, {FLOAT32, FLOAT16}))
    largest = {**_WINDOW, "ceil_mode": _NO, "storage_order": _NO}
    take("MaxPool", Form(_pool, (1, 1), largest, {FLOAT32, FLOAT16}))
    take("GlobalAveragePool GlobalMaxPool", Form(_pool_all, (1, 1), {}, {FLOAT32, FLOAT16}))
    gemm = {"alpha": real, "beta": real, "transA": _FLAG, "transB": _FLAG}
    take("Gemm", Form(_gemm, (2, 3), gemm, FLOATS, (1, 2)))
    take("MatMul", Form(_matmul, (2, 2), {}, FLOATS, (1,)))
    equation = {"equation": lambda value: isinstance(value, bytes)}
    take("Einsum", Form(_einsum, (2, 2), equation, FLOATS, (1,)))

    # Of a product no value is followed, so that no size can come from it.
    take("ReduceMax ReduceMin ReduceProd ReduceSum", Form(_reduce, (1, 2), _REDUCED, NUMBERS))
    take(
        "ReduceMean ReduceL1 ReduceL2 ReduceLogSumExp ReduceSumSquare",
        Form(_reduce, (1, 2), _REDUCED, FLOATS),
    )
    return forms


FORMS: Final = {**_forms_by_element(), **_linear_forms()}
