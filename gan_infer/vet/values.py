"""Values of small tensors, which may be the sizes of large ones; larger ones are never computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from gan_infer.vet import places
from gan_infer.vet.call import Array, Call, Shape
from gan_infer.vet.graph import MAX_READ, NUMPY, Tensor


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


def _remainder(call: Call) -> Array:
    left, right = _small(call, 0), _small(call, 1)
    return np.asarray(np.fmod(left, right) if call.number("fmod", 0) else np.mod(left, right))


def _shaped(call: Call) -> Array:
    return _small(call, 0).reshape(places.OPERATORS[call.op](call)[0][0])


def _unary(function: Callable[[Array], Array]) -> Callable[[Call], Array]:
    return lambda call: np.asarray(function(_small(call, 0)))


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Call], Array]:
    return lambda call: np.asarray(function(_small(call, 0), _small(call, 1)))


def _range_value(call: Call) -> Array:
    start, delta = call.values(0)[0], call.values(2)[0]
    (count,) = places.OPERATORS["Range"](call)[0][0]
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
    return value.astype(NUMPY[places.OPERATORS["Cast"](call)[0][1]])


# Of the types and shapes of inputs alone.
FROM_SHAPES: Final[dict[str, Callable[[Call], Array | None]]] = {
    "Constant": _constant_value,
    "Shape": lambda call: np.array(places.part_of_shape(call), np.int64),
    "Size": lambda call: np.array(call[0].size, np.int64),
}
# Of the values of inputs, all of which are known.
VALUES: Final[dict[str, Callable[[Call], Array | None]]] = {
    "ConstantOfShape": _filled_value,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _quotient,
    "Mod": _remainder,
    "Equal": _binary(np.equal),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Abs": _unary(np.abs),
    "Neg": _unary(np.negative),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Not": _unary(np.logical_not),
    "Identity": _unary(np.asarray),
    "Where": lambda call: np.where(_small(call, 0), _small(call, 1), _small(call, 2)),
    "Cast": _cast_value,
    "Concat": _joined,
    "Gather": lambda call: np.take(_small(call, 0), _small(call, 1), axis=call.number("axis", 0)),
    "Slice": lambda call: _small(call, 0)[places.slices(call)],
    "Reshape": _shaped,
    "Flatten": _shaped,
    "Squeeze": _shaped,
    "Unsqueeze": _shaped,
    "Transpose": lambda call: _small(call, 0).transpose(
        call.numbers("perm", range(_small(call, 0).ndim)[::-1])
    ),
    "Expand": lambda call: np.broadcast_to(_small(call, 0), places.OPERATORS["Expand"](call)[0][0]),
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
