"""Recognises a foreign file's inputs: which takes latents, which labels, and which stay constant."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import OptionError
from gan_infer.modelfile import metadata
from gan_infer.modelfile.foreign.plan import INDEX, ONE_HOT, Constant, Plan
from gan_infer.modelfile.foreign.unclear import Ends, UnclearError, show_name, show_type
from gan_infer.modelfile.reading import Reading, Setting
from gan_infer.modelfile.safety import graph

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FLOATS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_INTEGERS: Final = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}
_TYPES: Final = {**FLOATS, **_INTEGERS, "tensor(bool)": np.bool_}
_LIKE_A_LABEL: Final = re.compile(r"label|class|cond|one.?hot|target|attr|^[cy]$", re.IGNORECASE)
_LIKE_A_LATENT: Final = re.compile(r"latent|noise|^z$|^z[_.\d]|^x$", re.IGNORECASE)
_LIKE_A_SETTING: Final = re.compile(r"psi|trunc|mode|scale|strength|temperature|alpha|step", re.IGNORECASE)
# Operators that do not change values.
PASSING: Final = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Cast"})
_MAX_CONSTANT: Final = 2**24  # elements


def plan_inputs(inputs: Ends, model: graph.Graph, reading: Reading) -> tuple[Plan, list[str]]:
    """Return a plan with the inputs, and notes on them.

    Raises:
        UnclearError: an input cannot be recognised.
        OptionError: `reading` does not fit the inputs.
    """
    constants, notes = _find_constants(inputs, reading)
    rest = {name: end for name, end in inputs.items() if name not in constants}
    label = reading.label_input or _find_label(rest, reading.latent_input)
    latent = reading.latent_input or _find_latent(rest, label)
    if latent == label:
        raise OptionError(f"latent_input and label_input were both {latent!r}; give two inputs")
    for name, end in rest.items():
        if name not in (latent, label):
            raise _ask_for_a_value(name, end)
    kind, shape = inputs[latent]
    _check_latent(latent, kind, shape)
    plan = Plan(
        latent_input=latent,
        latent_shape=_sides(shape),
        latent_type=FLOATS[kind],
        output="",
        constants=constants,
        batch=shape[0],
    )
    if label:
        plan = _add_label(plan, label, inputs[label], model, reading)
    elif reading.class_names:
        raise OptionError(
            f"class_names were given, and the model has no label beside {latent!r}; leave them out"
        )
    return plan, notes


# Inputs that stay constant.


def _find_constants(inputs: Ends, reading: Reading) -> tuple[dict[str, Constant], list[str]]:
    """Return the inputs that are set or have no elements, and notes on them."""
    constants, notes = {}, []
    settings = reading.set_inputs or {}
    for name, (kind, shape) in inputs.items():
        if name in settings:
            if name in (reading.latent_input, reading.label_input):
                raise OptionError(f"{name!r} was set and named as latent or label; give one of the two")
            constants[name] = make_constant(name, kind, shape, settings[name])
            notes.append(f"{name!r} always {_show_setting(settings[name])}")
        elif 0 in shape and kind in _TYPES and name not in (reading.latent_input, reading.label_input):
            constants[name] = make_constant(name, kind, shape, ())
            notes.append(f"{name!r} left empty, having no columns")
    return constants, notes


def make_constant(name: str, kind: str, shape: tuple[int | None, ...], setting: Setting) -> Constant:
    """Return an input with a constant value: one for all its elements, or one for each.

    Raises:
        OptionError: the number or the type of the values is wrong.
    """
    if kind not in _TYPES:
        raise OptionError(f"the input {name!r} is {show_type(kind, shape)}, which cannot be set to a value")
    values = _as_array(name, setting)
    item = shape[1:] if shape[:1] == (None,) else shape
    free = [place for place, side in enumerate(item) if side is None]
    wanted = math.prod(side for side in item if side is not None)
    sides = [1 if side is None else side for side in item]
    if len(free) == 1 and values.size > 1 and wanted and values.size % wanted == 0:
        sides[free[0]] = values.size // wanted
    if math.prod(sides) > _MAX_CONSTANT:
        raise OptionError(f"the input {name!r} is {show_type(kind, shape)}, too large to be set to a value")
    if values.size == 1 and math.prod(sides) != 0:
        values = values.reshape([1] * len(sides))
    elif values.size == math.prod(sides):
        values = values.reshape(sides)
    else:
        raise OptionError(
            f"{values.size} values were given for the input {name!r}, {show_type(kind, shape)}; "
            f"give 1 or {math.prod(sides)}"
        )
    if shape[:1] == (None,):
        return Constant(_convert(name, kind, values)[None], (None, *sides))
    return Constant(_convert(name, kind, values), tuple(sides))


def _as_array(name: str, setting: Setting) -> Array:
    try:
        values = np.asarray(setting, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{name!r} was set to {str(setting)[:40]!r}; give a number, or several") from None
    if not np.isfinite(values).all():
        raise OptionError(f"{name!r} was set to {str(setting)[:40]}; give finite numbers")
    return values


def _convert(name: str, kind: str, values: Array) -> Array:
    with np.errstate(over="ignore"):
        result: Array = values.astype(_TYPES[kind])
    if kind not in FLOATS and not np.array_equal(result, values):
        wanted = "true or false" if kind == "tensor(bool)" else "whole numbers of its size"
        raise OptionError(f"the input {name!r} is {show_type(kind, ())[:-3]}; set it to {wanted}")
    if not np.isfinite(result).all():
        raise OptionError(f"the input {name!r} is {show_type(kind, ())[:-3]}; set it to smaller numbers")
    return result


def _show_setting(setting: Setting) -> str:
    values = np.asarray(setting).reshape(-1).tolist()
    return ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")


def _ask_for_a_value(name: str, end: tuple[str, tuple[int | None, ...]]) -> UnclearError:
    kind, shape = end
    shown = f"the input {name!r} ({show_type(kind, shape)})"
    if kind not in _TYPES:
        return UnclearError(f"{shown} is of a type that is not taken", "export it without that input")
    advice = f"set_inputs={{{name!r}: VALUE}} (--set {show_name(name)}=VALUE)"
    if _is_picture(shape):
        return UnclearError(
            f"{shown} takes a picture or noise", f"noise is fixed by {advice}; {_NO_PICTURES}"
        )
    return UnclearError(
        f"{shown} is neither latent nor label", f"where it stays constant, give its value: {advice}"
    )


# The latent.

_NO_PICTURES: Final = (
    "pictures are drawn from latents alone, so a model that turns one picture into another does not load; "
    "give a generator that takes latents"
)


def _find_latent(inputs: Ends, label: str) -> str:
    rest = {name: end for name, end in inputs.items() if name != label}
    floats = [name for name, (kind, _) in rest.items() if kind in FLOATS]
    rows = [name for name in floats if _is_row(rest[name][1]) and not _is_small(rest[name][1])]
    for found in (floats, rows, [name for name in rows if not _LIKE_A_SETTING.search(name)]):
        if len(found) == 1:
            return found[0]
    likely = [name for name in rows if _LIKE_A_LATENT.search(name)]
    if len(likely) == 1:
        return likely[0]
    if floats and not rows and any(_is_picture(rest[name][1]) for name in floats):
        picture = next(name for name in floats if _is_picture(rest[name][1]))
        raise UnclearError(f"its input {picture!r} takes a picture", _NO_PICTURES)
    if not floats:
        raise UnclearError(
            "none of its inputs takes a latent, float [n, z]",
            "give a generator that takes latents, and no noise of its own",
        )
    raise UnclearError(
        f"{len(floats)} of its inputs could be the latent",
        "say which by latent_input (--latent-input); say what the others are by label_input (--label-input) "
        "or give them a value by set_inputs (--set NAME=VALUE)",
    )


def _check_latent(name: str, kind: str, shape: tuple[int | None, ...]) -> None:
    """Refuse an input that cannot take latents."""
    if kind in FLOATS and _is_row(shape):
        if any(side is None for side in shape[1:2]) and math.prod(_sides(shape)) == 1:
            raise UnclearError(
                f"the length of its latent {name!r} does not show",
                "export it with the batch as the only free side",
            )
        if 1 <= math.prod(_sides(shape)) <= metadata.MAX_LATENT_DIM:
            return
    advice = "name another input by latent_input (--latent-input), or export it with such an input"
    if _is_picture(shape):
        advice = _NO_PICTURES
    elif kind in FLOATS and len(shape) == 3:
        advice = "styles of several layers are not drawn; export mapping and synthesis together"
    elif kind in FLOATS and len(shape) < 2:
        advice = "export it with a batch as the first side"
    raise UnclearError(
        f"the input {name!r} ({show_type(kind, shape)}) is no latent: float [n, z] or [n, z, 1, 1]", advice
    )


def _is_row(shape: tuple[int | None, ...]) -> bool:
    """Return whether a shape is [n, z], with sides of 1 before or after z."""
    return 2 <= len(shape) <= 5 and sum(side not in (1, None) for side in shape[1:]) <= 1 and 0 not in shape


def _is_small(shape: tuple[int | None, ...]) -> bool:
    """Return whether there is one number per item, or one in all."""
    return all(side in (1, None) for side in shape[1:])


def _is_picture(shape: tuple[int | None, ...]) -> bool:
    """Return whether items have two sides in addition to channels."""
    sides = [side for side in shape[1:] if side != 1]
    return len(shape) == 4 and len(sides) >= 2


def _sides(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the shape of one item; a free side is 1."""
    return tuple(side or 1 for side in shape[1:])


# The label.


def _find_label(inputs: Ends, latent: str | None) -> str:
    """Return the input that is a label; "" if there is none."""
    rest = {name: end for name, end in inputs.items() if name != latent}
    able = {
        name: (kind, shape)
        for name, (kind, shape) in rest.items()
        if (len(shape) == 1 or _is_row(shape)) and not _LIKE_A_SETTING.search(name)
    }
    whole = [name for name, (kind, _) in able.items() if kind in _INTEGERS]
    if len(whole) > 1:
        whole = [name for name in whole if _LIKE_A_LABEL.search(name)] or whole
    if len(whole) == 1:
        return whole[0]
    floats = [name for name, (kind, shape) in able.items() if kind in FLOATS and shape != (1,)]
    if whole or len(floats) != (1 if latent else 2):
        return ""
    if latent:
        return floats[0] if not _is_small(inputs[floats[0]][1]) or _LIKE_A_LABEL.search(floats[0]) else ""
    like = [name for name in floats if _LIKE_A_LABEL.search(name)]
    other = [name for name in floats if _LIKE_A_LATENT.search(name) and name not in like]
    if len(like) == 1:
        return like[0]
    return next(name for name in floats if name not in other) if len(other) == 1 else ""


def _add_label(
    plan: Plan, label: str, end: tuple[str, tuple[int | None, ...]], model: graph.Graph, reading: Reading
) -> Plan:
    kind, shape = end
    form, classes = _find_label_form(label, kind, shape)
    classes = classes or _count_rows(model, label) or len(reading.class_names or ())
    if not 1 <= classes <= metadata.MAX_CLASSES:
        raise UnclearError(
            "how many classes there are does not show", "give class_names (--classes cat,dog,owl)"
        )
    if reading.class_names is not None and len(reading.class_names) != classes:
        raise OptionError(f"{len(reading.class_names)} class_names were given; give {classes}, one per class")
    if shape[0] and plan.batch and shape[0] != plan.batch:
        raise UnclearError("its inputs are of different batch sizes", "export it with a free batch")
    return dataclasses.replace(
        plan,
        label_input=label,
        label_shape=_sides(shape),
        label_type=_TYPES[kind],
        label_form=form,
        classes=classes,
        batch=plan.batch or shape[0],
    )


def _find_label_form(label: str, kind: str, shape: tuple[int | None, ...]) -> tuple[str, int]:
    """Return how a label enters, and the number of classes; 0 if this is not known."""
    if kind in _TYPES and len(shape) in (1, 2) and _is_small(shape) and kind != "tensor(bool)":
        return INDEX, 0
    if kind in _TYPES and len(shape) >= 2 and _is_row(shape):
        return ONE_HOT, math.prod(_sides(shape))
    raise UnclearError(
        f"the input {label!r} ({show_type(kind, shape)}) is no label: [n] or [n, 1] of indices, or "
        "[n, classes] or [n, classes, 1, 1] of ones and zeros",
        "name another input by label_input (--label-input)",
    )


def _count_rows(model: graph.Graph, label: str) -> int:
    """Return the rows of the table that a label selects from, or the length of its one-hot; 0 if unknown."""
    tables = {tensor.name: tensor for tensor in model.initializers}
    same = {label}
    for node in model.nodes:
        value = node.attributes.get("value")
        if node.op == "Constant" and isinstance(value, graph.Tensor):
            tables[node.outputs[0]] = value
        if node.op in PASSING and node.inputs and node.inputs[0] in same:
            same.update(node.outputs)
        elif found := _count_table_rows(node, tables, same):
            return found
    return 0


def _count_table_rows(node: graph.Node, tables: Mapping[str, graph.Tensor], same: set[str]) -> int:
    if node.op == "Gather" and len(node.inputs) == 2 and node.inputs[1] in same:
        table = tables.get(node.inputs[0])
        if table is not None and len(table.shape) == 2 and node.attributes.get("axis", 0) == 0:
            return table.shape[0]
    if node.op == "OneHot" and len(node.inputs) == 3 and node.inputs[0] in same:
        depth = tables.get(node.inputs[1])
        if depth is not None and depth.value is not None and depth.value.size == 1:
            return int(depth.value.item())
    if node.op == "Equal" and not same.isdisjoint(node.inputs):
        for name in node.inputs:  # one-hot as a comparison with 0, 1, 2, ...
            places = tables.get(name)
            if places is not None and places.value is not None:
                listed = places.value.reshape(-1).tolist()
                return len(listed) if len(listed) > 1 and listed == list(range(len(listed))) else 0
    return 0
