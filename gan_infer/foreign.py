"""Generators that other tools wrote: recognises inputs and output, and runs them by our contract.

A foreign file says nothing of itself. What it takes and gives is read from its inputs, its graph and
a few pictures that it draws on loading; whoever knows better says so in a `Reading`. It trains
nothing and knows no files.

    latent    float [n, z] or [n, z, 1, 1]
    label     integer [n] or [n, 1]; or one-hot, float [n, classes] or [n, classes, 1, 1]; or none
    output    float or uint8, NCHW or NHWC, with 1, 3 or 4 channels; or [n, height, width]

n may be fixed: pictures are then drawn so many at a time, the last batch filled up.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import latents, metadata
from gan_infer.errors import ModelError, OptionError
from gan_infer.metadata import Metadata
from gan_infer.reading import Reading
from gan_infer.session import Session
from gan_infer.vet import graph

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Pictures drawn on loading: from their values follow shape and range.
PROBES: Final = 4

_FLOATS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_INTEGERS: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_RANGES: Final = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
# Operators at the end of a graph that leave values as they are.
_PASSING: Final = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Cast"})
_BOUNDED: Final = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0)}
_LIKE_A_LABEL: Final = re.compile(r"label|class|cond|one.?hot|target|attr|^[cy]$", re.IGNORECASE)
_LIKE_A_LATENT: Final = re.compile(r"latent|noise|^z$|^z[_.\d]|^x$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """From our inputs to the file's, and from its output to ours."""

    latent_input: str
    latent_shape: tuple[int, ...]
    latent_type: Any
    output: str
    label_input: str = ""
    label_shape: tuple[int, ...] = ()
    label_type: Any = np.int64
    classes: int = 0
    one_hot: bool = False
    batch: int | None = None
    channels_last: bool = False
    value_range: tuple[float, float] | None = None  # None: uint8 already


class AdaptedSession:
    """A session on a foreign file that looks like one on a file of ours; attributes as `Session`'s."""

    def __init__(self, session: Session, plan: _Plan, described: Metadata) -> None:
        self._session = session
        self._plan = plan
        self.note = session.note
        self.device = session.device
        self.providers = session.providers
        self.threads = session.threads
        self.metadata = {metadata.KEY: described.to_json()}
        self.inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "latent": ("tensor(float)", (None, described.latent_dim))
        }
        self.optional_inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {}
        if plan.classes:
            self.inputs["label"] = ("tensor(int64)", (None,))
        if plan.one_hot:
            self.optional_inputs["label_weights"] = ("tensor(float)", (None, plan.classes))
        self.outputs: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "image": ("tensor(uint8)", (None, *described.image_shape))
        }

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Give [image], uint8 [n, height, width, channels], of `latent` and `label` as ours are.

        Raises:
            ModelError, DeviceError: as `Session.run`.
        """
        weights, labels = feeds.get("label_weights"), feeds.get("label")
        values = _values(self._session, self._plan, feeds["latent"], weights, labels)
        return [_pictures(values, self._plan)]

    def sha256(self) -> str:
        """Give the SHA-256 of the model's bytes, in hexadecimal."""
        return self._session.sha256()

    def close(self) -> None:
        """Free the model."""
        self._session.close()


def adapt(session: Session, model: bytes, source: str, reading: Reading) -> AdaptedSession:
    """Recognise what a foreign file takes and gives; its metadata say how it was read.

    Args:
        session: open on the file.
        model: the file's bytes, which `vet.check` let pass.
        source: names it in messages.
        reading: what is not to be recognised.

    Raises:
        ModelError: an input or the output cannot be recognised, or the model cannot be run so; says
            what there is and which arguments to give.
        OptionError: `reading` names what the file does not have, or no range.
    """
    try:
        _check(reading, session)
        parsed = graph.read(model)
        plan = _with_inputs(session, parsed, reading)
        plan, values, notes = _probed(session, plan)
        plan, more = _with_range(plan, values, parsed, reading)
        described = _describe(plan, values, source, reading, [*notes, *more])
    except _UnclearError as error:
        raise ModelError(
            f"{source} is no file of ours, and {error}; it has inputs {_shown(session.inputs)} and outputs "
            f"{_shown(session.outputs)}; say what they are by latent_input, label_input, output, class_names "
            "and value_range (on the command line: --latent-input, --label-input, --output, --classes, "
            "--value-range)"
        ) from None
    return AdaptedSession(session, plan, described)


class _UnclearError(ValueError):
    """What cannot be recognised, in words that go after "and"."""


def _check(reading: Reading, session: Session) -> None:
    for field, name, known in (
        ("latent_input", reading.latent_input, session.inputs),
        ("label_input", reading.label_input, session.inputs),
        ("output", reading.output, session.outputs),
    ):
        if name is not None and name not in known:
            raise OptionError(f"{field} was {name!r}, and the model has {_shown(known)}; name one of these")
    if reading.value_range is not None and tuple(map(float, reading.value_range)) not in _RANGES:
        raise OptionError(f"value_range was {reading.value_range}; give (-1, 1), (0, 1) or (0, 255)")
    names = reading.class_names
    if names is not None and (len(set(names)) != len(names) or not all(names) or isinstance(names, str)):
        raise OptionError("class_names has an empty or double name; give different ones, in order of index")


# Inputs.


def _with_inputs(session: Session, model: graph.Model, reading: Reading) -> _Plan:
    rest = dict(session.inputs)
    label = reading.label_input or _label_among(rest, reading.latent_input)
    if label:
        del rest[label]
    floats = [name for name, (kind, _) in rest.items() if kind in _FLOATS]
    latent = reading.latent_input or (floats[0] if len(floats) == 1 else "")
    if not latent:
        raise _UnclearError(f"{len(floats)} of its inputs could be the latent")
    if latent == label:
        raise OptionError(f"latent_input and label_input were both {latent!r}; give two inputs")
    if others := [name for name in rest if name != latent]:
        raise _UnclearError(f"the input {others[0]!r} is neither latent nor label")
    kind, shape = session.inputs[latent]
    if kind not in _FLOATS or not _is_row(shape) or not 1 <= (shape[1] or 0) <= metadata.MAX_LATENT_DIM:
        raise _UnclearError(f"the input {latent!r} is no latent: float [n, z] or [n, z, 1, 1]")
    plan = _Plan(
        latent_input=latent,
        latent_shape=_sides(shape),
        latent_type=_FLOATS[kind],
        output=_output(session, reading),
        batch=shape[0],
    )
    return _with_label(plan, label, session, model, reading) if label else _without_label(plan, reading)


def _label_among(inputs: Mapping[str, tuple[str, tuple[int | None, ...]]], latent: str | None) -> str:
    """Name the input that is a label, "" where there is none."""
    whole = [name for name, (kind, _) in inputs.items() if kind in _INTEGERS and name != latent]
    if len(whole) == 1:
        return whole[0]
    floats = [name for name, (kind, _) in inputs.items() if kind in _FLOATS]
    if whole or len(floats) != 2:
        return ""
    if latent in floats:
        return floats[1 - floats.index(latent)]
    like = [name for name in floats if _LIKE_A_LABEL.search(name)]
    other = [name for name in floats if _LIKE_A_LATENT.search(name) and name not in like]
    if len(like) == 1:
        return like[0]
    return next(name for name in floats if name not in other) if len(other) == 1 else ""


def _with_label(plan: _Plan, label: str, session: Session, model: graph.Model, reading: Reading) -> _Plan:
    kind, shape = session.inputs[label]
    one_hot = kind in _FLOATS
    if one_hot and _is_row(shape) and shape[1]:
        classes = shape[1]
    elif kind in _INTEGERS and (len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None))):
        classes = _looked_up(model, label) or len(reading.class_names or ())
    else:
        raise _UnclearError(
            f"the input {label!r} is no label: integer [n] or [n, 1], or float [n, classes] or "
            "[n, classes, 1, 1]"
        )
    if not 1 <= classes <= metadata.MAX_CLASSES:
        raise _UnclearError("how many classes there are does not show; give class_names")
    if reading.class_names is not None and len(reading.class_names) != classes:
        raise OptionError(f"{len(reading.class_names)} class_names were given; give {classes}, one a class")
    if shape[0] and plan.batch and shape[0] != plan.batch:
        raise _UnclearError("its inputs are of different batch sizes")
    return dataclasses.replace(
        plan,
        label_input=label,
        label_shape=_sides(shape),
        label_type=_FLOATS[kind] if one_hot else _INTEGERS[kind],
        classes=classes,
        one_hot=one_hot,
        batch=plan.batch or shape[0],
    )


def _without_label(plan: _Plan, reading: Reading) -> _Plan:
    if reading.class_names:
        raise OptionError(f"class_names were given, and the model has no label beside {plan.latent_input!r}")
    return plan


def _looked_up(model: graph.Model, label: str) -> int:
    """Give the rows of the table that a label is looked up in, or its places in one-hot; 0 if not seen."""
    tables = {tensor.name: tensor for tensor in model.initializers}
    same = {label}
    for node in model.nodes:
        value = node.attributes.get("value")
        if node.op == "Constant" and isinstance(value, graph.Tensor):
            tables[node.outputs[0]] = value
        if node.op in _PASSING and node.inputs and node.inputs[0] in same:
            same.update(node.outputs)
        if node.op == "Gather" and len(node.inputs) == 2 and node.inputs[1] in same:
            table = tables.get(node.inputs[0])
            if table is not None and len(table.shape) == 2 and node.attributes.get("axis", 0) == 0:
                return table.shape[0]
        if node.op == "OneHot" and len(node.inputs) == 3 and node.inputs[0] in same:
            depth = tables.get(node.inputs[1])
            if depth is not None and depth.value is not None and depth.value.size == 1:
                return int(depth.value.item())
    return 0


def _is_row(shape: tuple[int | None, ...]) -> bool:
    return len(shape) in (2, 4) and all(side in (1, None) for side in shape[2:])


def _sides(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Give the shape of one item; a side that is left open is 1."""
    return tuple(side or 1 for side in shape[1:])


# The output.


def _output(session: Session, reading: Reading) -> str:
    if reading.output is not None:
        return reading.output
    kinds = {*_FLOATS, "tensor(uint8)"}
    found: list[str] = [
        name for name, (kind, shape) in session.outputs.items() if kind in kinds and len(shape) == 4
    ]
    found = found or [
        name for name, (kind, shape) in session.outputs.items() if kind in kinds and len(shape) == 3
    ]
    if len(found) != 1:
        raise _UnclearError(f"{len(found)} of its outputs could be the picture")
    return found[0]


def _probed(session: Session, plan: _Plan) -> tuple[_Plan, Array, list[str]]:
    """Draw the first few seeds, together and one of them alone; give the values of all.

    A file whose pictures depend on their neighbours, or that takes one at a time whatever it says,
    is run one at a time.
    """
    latent = latents.latents(range(PROBES), plan.latent_shape[0])
    labels = np.arange(PROBES) % plan.classes if plan.classes else None
    notes: list[str] = []
    if plan.batch is None:
        alone = dataclasses.replace(plan, batch=1)
        one_by_one = _values(session, alone, latent, None, labels)
        try:
            together = _values(session, plan, latent, None, labels)
            apart = np.abs(together.astype(np.float32) - one_by_one.astype(np.float32)).max(initial=0.0)
            spread = float(np.ptp(one_by_one)) or 1.0
            if not apart <= 0.004 * spread:
                notes.append("one at a time, because its pictures depend on the others of a batch")
        except ModelError:
            notes.append("one at a time, because it takes no more")
        plan, values = (alone if notes else plan), one_by_one
    else:
        values = _values(session, plan, latent, None, labels)
        if plan.batch > 1:
            notes.append(f"{plan.batch} at a time, as the file demands")
    return _with_layout(plan, values), values, notes


def _with_layout(plan: _Plan, values: Array) -> _Plan:
    shape = values.shape
    if len(shape) == 3 and len(values) == PROBES:
        return plan
    if len(shape) != 4 or len(values) != PROBES or not {shape[1], shape[3]} & set(metadata.CHANNELS):
        raise _UnclearError(
            f"its output {plan.output!r} is of shape {list(shape)} for {PROBES} latents, no pictures with "
            "1, 3 or 4 channels, first or last"
        )
    return dataclasses.replace(plan, channels_last=shape[1] not in metadata.CHANNELS)


def _with_range(plan: _Plan, values: Array, model: graph.Model, reading: Reading) -> tuple[_Plan, list[str]]:
    """Find the values that stand for black and white: as told, by the last operator, by the pictures."""
    if values.dtype == np.uint8:
        return plan, ["levels as they are"]
    if reading.value_range is not None:
        low, high = map(float, reading.value_range)
        told = f"values from {low:g} to {high:g}, as told"
        return dataclasses.replace(plan, value_range=(low, high)), [told]
    last = _last_operator(model, plan.output)
    found = _BOUNDED.get(last)
    why = f"as its last operator is {last}"
    if found is None:
        least, most = float(values.min()), float(values.max())
        found = _range_of(least, most)
        if found is None:
            raise _UnclearError(
                f"its values, from {least:.4g} to {most:.4g} in {PROBES} pictures, are of no known range"
            )
        why = f"judged by {PROBES} pictures with values from {least:.4g} to {most:.4g}"
    return dataclasses.replace(plan, value_range=found), [f"values from {found[0]:g} to {found[1]:g}, {why}"]


def _range_of(least: float, most: float) -> tuple[float, float] | None:
    """Give the range that values are of; a little over either end is clipped by those who show them."""
    if not (np.isfinite(least) and np.isfinite(most)):
        return None
    if least >= -0.01 and most <= 1.01:
        return _RANGES[1]
    if least >= -8 and 8 < most <= 263:
        return _RANGES[2]
    return _RANGES[0] if least < -0.01 and max(-least, most) <= 4 else None


def _last_operator(model: graph.Model, output: str) -> str:
    made_by = {name: node for node in model.nodes for name in node.outputs}
    node = made_by.get(output)
    for _ in range(len(model.nodes)):
        if node is None or node.op not in _PASSING or not node.inputs:
            break
        node = made_by.get(node.inputs[0])
    return node.op if node is not None else ""


# Running.


def _values(
    session: Session, plan: _Plan, latent: Array, weights: Array | None, labels: Array | None
) -> Array:
    """Give the file's own output for latents [n, z] and, where there are classes, labels or weights."""
    feeds = {plan.latent_input: latent.astype(plan.latent_type).reshape(-1, *plan.latent_shape)}
    if plan.classes:
        given: Array | None = labels
        if plan.one_hot:
            given = np.eye(plan.classes)[labels] if weights is None else weights
        assert given is not None
        feeds[plan.label_input] = given.astype(plan.label_type).reshape(-1, *plan.label_shape)
    if plan.batch is None:
        result: Array = session.run([plan.output], feeds)[0]
        return result
    count, parts = len(latent), []
    for start in range(0, count, plan.batch):
        chosen = np.minimum(np.arange(start, start + plan.batch), count - 1)  # the last fills the batch up
        parts.append(session.run([plan.output], {name: array[chosen] for name, array in feeds.items()})[0])
    return np.concatenate(parts)[:count]


def _pictures(values: Array, plan: _Plan) -> npt.NDArray[np.uint8]:
    """Give values as levels, uint8 [n, height, width, channels]; what is no number becomes white."""
    if values.ndim == 3:
        values = values[..., None]
    elif not plan.channels_last:
        values = values.transpose(0, 2, 3, 1)
    if plan.value_range is None:
        return np.ascontiguousarray(values, np.uint8)
    low, high = plan.value_range
    levels = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    np.fmax(np.fmin(levels, 255.0, out=levels), 0.0, out=levels)
    return np.ascontiguousarray(np.rint(levels, out=levels).astype(np.uint8))


def _describe(plan: _Plan, values: Array, source: str, reading: Reading, notes: Sequence[str]) -> Metadata:
    _, height, width, channels = _pictures(values[:1], plan).shape
    if max(height, width) > metadata.MAX_SIDE:
        raise _UnclearError(f"its pictures are of {height}x{width} pixels, over {metadata.MAX_SIDE} a side")
    inputs = f"latent {plan.latent_input!r} {_with_n(plan.latent_shape)}"
    if plan.classes:
        kind = "one-hot label" if plan.one_hot else "label"
        inputs += f", {kind} {plan.label_input!r} {_with_n(plan.label_shape)}"
    order = "grey" if values.ndim == 3 else "channels last" if plan.channels_last else "channels first"
    return Metadata(
        name=Path(source).stem,
        latent_dim=plan.latent_shape[0],
        height=height,
        width=width,
        channels=channels,
        class_names=reading.class_names or tuple(map(str, range(plan.classes))),
        preparation=f"{metadata.FOREIGN}, read as: {inputs}, "
        f"output {plan.output!r} {order}; {'; '.join(notes)}",
    )


def _with_n(sides: tuple[int, ...]) -> str:
    return f"[{', '.join(['n', *map(str, sides)])}]"


def _shown(ends: Mapping[str, tuple[str, tuple[int | None, ...]]]) -> str:
    shown = (f"{name} {kind}{list(shape)}".replace("None", "n") for name, (kind, shape) in ends.items())
    return ", ".join(shown) or "(none)"
