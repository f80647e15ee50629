"""Computes small integer tensors, which may be the sizes of large ones.

They are computed exactly or not at all: a result near the limits of an integer type, a division with a number
that is not positive, or a value of the batch that is not a multiple of it stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from gan_infer.modelfile.safety import shape_ops
from gan_infer.modelfile.safety.graph import BOOL, INT32, INT64, Tensor
from gan_infer.modelfile.safety.operator import MAX_BATCH, MAX_VALUE, Call, Values
from gan_infer.modelfile.safety.protobuf import RefusedError
from gan_infer.modelfile.safety.sides import (
    PerPicture,
    Polynomial,
    Shape,
    Side,
    Whole,
    add,
    divide,
    each,
    for_one,
    least,
    most,
    multiply,
    subtract,
    times,
    without_batch,
)

KINDS: Final = frozenset({BOOL, INT32, INT64})
# Elements of the largest tensor that is followed.
MAX_FOLLOWED: Final = 64
# The same where one follows from free sides, which takes longer.
_MAX_FREE: Final = 8


class _UnknownError(ValueError):
    """A value cannot be computed exactly."""


def array(items: Sequence[Any], shape: Sequence[int]) -> Values:
    """Return an array of objects."""
    values = np.empty(len(items), object)
    values[:] = items
    return values.reshape(tuple(shape))


def _one_by_one(function: Callable[..., Any]) -> Callable[[Call], Values]:
    def apply(call: Call) -> Values:
        parts = np.broadcast_arrays(*map(_value, call.inputs))
        if parts[0].size > _MAX_FREE and any(map(_is_free, np.ravel(parts))):
            raise _UnknownError
        items = [function(*row) for row in zip(*(part.reshape(-1) for part in parts), strict=True)]
        return array(items, parts[0].shape)

    return apply


def _is_free(one: Any) -> bool:
    return isinstance(for_one(one), Polynomial)


def _value(known: Any) -> Values:
    if known is None or known.value is None:
        raise _UnknownError
    value: Values = known.value
    return value


def _divide(left: Any, right: Any) -> Any:
    if least(left) < 0 or least(right) <= 0:
        raise _UnknownError
    result = divide(for_one(left), for_one(right))
    if isinstance(left, PerPicture) == isinstance(right, PerPicture):
        return result
    if isinstance(left, PerPicture) and multiply(result, right) == left.each:
        return PerPicture(result)
    raise _UnknownError


def _rest(left: Side, right: Side) -> Whole:
    over, by = without_batch((left, right))
    if least(over) < 0 or least(by) <= 0:
        raise _UnknownError
    return subtract(over, multiply(divide(over, by), by))


def _equal(left: Any, right: Any) -> bool:
    if left == right:
        return True
    if isinstance(left, PerPicture) or isinstance(right, PerPicture):
        apart = least(left) > 0 >= most(right) or least(right) > 0 >= most(left)
    else:
        over = subtract(left, right)
        apart = least(over) > 0 or most(over) < 0
    if not apart:
        raise _UnknownError  # at one batch, or at one free side, they may be
    return False


def _constant(call: Call) -> Values:
    value = next(iter(call.attributes.values()))
    if isinstance(value, Tensor):
        return array(_value(value).reshape(-1).tolist(), value.shape)
    return array(value, [len(value)]) if isinstance(value, list) else array([value], [])


def _fill(call: Call) -> Values:
    value = call.attributes.get("value")
    shape = [each(side) for side in call.sides(0)]
    return array([_value(value).reshape(-1).tolist()[0]] * int(np.prod(shape, dtype=np.int64)), shape)


def _cast(call: Call) -> Values:
    value, to = _value(call[0]), call.number("to", 0)
    convert: Callable[[Any], Any] = (lambda one: not _equal(one, 0)) if to == BOOL else _as_integer
    return array([convert(one) for one in value.reshape(-1)], value.shape)


def _as_integer(one: Any) -> Any:
    return one if isinstance(one, (PerPicture, Polynomial)) else int(one)


def _gather(call: Call) -> Values:
    data, places_taken = _value(call[0]), _value(call[1])
    if any(type(place) is not int for place in places_taken.reshape(-1)):
        raise _UnknownError
    return np.asarray(np.take(data, places_taken.astype(np.int64), axis=call.number("axis", 0)), object)


def _concat(call: Call) -> Values:
    return np.concatenate([_value(known) for known in call.inputs], call.number("axis", 0))


def _move(function: Callable[[Values, Call], Values]) -> Callable[[Call], Values]:
    return lambda call: function(_value(call[0]), call)


_RULES: Final[dict[str, Callable[[Call], Values]]] = {
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "Shape": lambda call: array(shape_ops.sides_of_shape(call), [len(shape_ops.sides_of_shape(call))]),
    "Add": _one_by_one(lambda *pair: add(*without_batch(pair))),
    "Sub": _one_by_one(lambda *pair: subtract(*without_batch(pair))),
    "Mul": _one_by_one(times),
    "Div": _one_by_one(_divide),
    "Mod": _one_by_one(_rest),
    "Equal": _one_by_one(_equal),
    "Not": _one_by_one(lambda one: not one),
    "Where": _one_by_one(lambda which, left, right: left if which else right),
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "Identity": _move(lambda value, call: value),
    "Slice": _move(lambda value, call: value[shape_ops.slices_of(call)]),
    "Transpose": _move(lambda value, call: value.transpose(call.attributes.get("perm"))),
}
# Elements stay as they are, in the shape that the operator's rule gave.
_RESHAPED: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def value_of(call: Call, shape: Shape, kind: int) -> Values | None:
    """Return the first result's value if it is small and can be computed exactly, else None."""
    if kind not in KINDS or not all(isinstance(side, int) for side in shape):
        return None
    sides = [each(side) for side in shape]
    rule = _RULES.get(call.op)
    if (rule is None and call.op not in _RESHAPED) or np.prod(sides, dtype=float) > MAX_FOLLOWED:
        return None
    try:
        value = rule(call) if rule is not None else _value(call[0]).reshape(sides)
    except (_UnknownError, RefusedError, ArithmeticError, IndexError, TypeError, ValueError):
        return None
    right = list(value.shape) == sides and (rule is None or call.op == "Constant" or _within(value, kind))
    return value if right else None


def _within(value: Values, kind: int) -> bool:
    """Return whether all elements fit their type, also with the largest batch."""
    batched = MAX_VALUE // MAX_BATCH if kind == INT32 else MAX_VALUE
    return all(
        max(-least(one), most(one)) <= (batched if isinstance(one, PerPicture) else MAX_VALUE)
        for one in value.reshape(-1)
    )
