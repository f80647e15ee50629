"""Opens generators by other tools: recognises their inputs and output, and runs them by our contract.

A foreign file has no metadata of ours. Its inputs, its graph and a few pictures that it draws on loading
show what it takes and gives; a `Reading` overrides this.

    latent    float [n, z] or [n, z, 1, 1]
    label     a number [n] or [n, 1]; or one-hot, [n, classes] or [n, classes, 1, 1]; or none
    others    inputs of any shape that stay constant, by `Reading.set_inputs`
    output    float or uint8, NCHW or NHWC, with 1, 3 or 4 channels; or [n, height, width];
              or rows [n, values]

n may be fixed: then pictures are drawn n at a time, and the last batch is filled up.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import ModelError, OptionError
from gan_infer.latent import seeds
from gan_infer.modelfile import metadata
from gan_infer.modelfile.foreign.inputs import plan_inputs
from gan_infer.modelfile.foreign.output import RANGES, add_picture, add_range, find_output
from gan_infer.modelfile.foreign.plan import ONE_HOT, AdaptedSession, Plan, run_file
from gan_infer.modelfile.foreign.unclear import UnclearError, show, show_sides
from gan_infer.modelfile.metadata import Metadata
from gan_infer.modelfile.reading import Reading
from gan_infer.modelfile.safety import graph
from gan_infer.runtime.session import Session

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# The pictures drawn on loading, whose values show shape and range.
PROBES: Final = 4
# Larger pictures, in bytes, are drawn one at a time, because the floats of several need much memory.
_LARGE: Final = 2**23

# Words of a refusal by `safety` -> what would make such a file load.
_ADVICE: Final = (
    (r"outside the file|external_data", "if it is a generator, put all into one file: {adopt}"),
    (r"is of (IR version|operator set)|operator sets", "if it is a generator, convert it: {adopt}"),
    (r"asks for operators of the domain", "if no operator is of it, have it dropped: {adopt}"),
    (
        r"seed would name no picture",
        "export it with its noise fixed or as an input (StyleGAN: noise_mode='const')",
    ),
    (
        r"loops and branches|loop or branch|a sequence",
        "export it again by torch.onnx.export with dynamo=True, which unrolls loops and settles branches",
    ),
    (r"domain|functions", "export it again without the runtime's own or custom operators"),
    (r"the operator", "export it again without that operator, or give a file that gan-train export wrote"),
)


def adapt(
    session: Session, model: bytes, source: str, reading: Reading, batch: int = PROBES
) -> AdaptedSession:
    """Recognise what a foreign file takes and gives; the result's metadata say how it was read.

    Args:
        session: the open file.
        model: the file's bytes, which `safety.check` accepts.
        source: the name of the file, for messages.
        reading: what need not be recognised.
        batch: the most pictures in one call, by its trial.

    Raises:
        ModelError: an input or the output cannot be recognised, or the model cannot be run this way; the
            message says what there is and which arguments to give.
        OptionError: `reading` names something that the file does not have, or its range is unknown.
    """
    try:
        _check(reading, session)
        parsed = graph.read(model)
        plan, of_inputs = plan_inputs(session.inputs, parsed, reading)
        plan = dataclasses.replace(plan, output=find_output(session.outputs, reading))
        plan, values, of_batch, probes = _probe(session, plan, batch)
        plan, of_picture = add_picture(plan, values, reading, probes)
        plan, of_range = add_range(plan, values, parsed, reading, probes)
    except UnclearError as error:
        raise ModelError(
            f"{source} is no file of ours, and {error}; {error.advice}; it has inputs {show(session.inputs)} "
            f"and outputs {show(session.outputs)}"
        ) from None
    described = _describe(plan, source, reading, [*of_inputs, *of_picture, *of_batch, *of_range])
    return AdaptedSession(session, plan, described)


def advise(refusal: str, source: str) -> str:
    """Return a refusal by `safety`, with what would make the file load, if anything would."""
    adopt = f"gan-infer adopt {shlex.quote(source)} --to gen.onnx"
    for pattern, advice in _ADVICE:
        if re.search(pattern, refusal):
            said = refusal.removesuffix("; give a file that gan-train export wrote")
            return f"{said}; {advice.format(adopt=adopt)}"
    return refusal


def _check(reading: Reading, session: Session) -> None:
    """Refuse a reading that does not fit the file or is not valid.

    Raises:
        OptionError: it does not fit; the message names the argument.
    """
    settings = reading.set_inputs if reading.set_inputs is not None else {}
    if not isinstance(settings, Mapping):
        raise OptionError(
            f"set_inputs was {str(settings)[:40]!r}; give {{name: value}}, a name for each input"
        )
    for field, name, known in (
        ("latent_input", reading.latent_input, session.inputs),
        ("label_input", reading.label_input, session.inputs),
        ("output", reading.output, session.outputs),
        *(("set_inputs", name, session.inputs) for name in settings),
    ):
        if name is not None and name not in known:
            raise OptionError(f"{field} was {name!r}, and the model has {show(known)}; name one of these")
    if reading.value_range is not None and tuple(map(float, reading.value_range)) not in RANGES:
        raise OptionError(f"value_range was {reading.value_range}; give (-1, 1), (0, 1) or (0, 255)")
    names = reading.class_names
    if names is not None and (len(set(names)) != len(names) or not all(names) or isinstance(names, str)):
        raise OptionError("class_names has an empty or double name; give different ones, in order of index")
    if reading.image_shape is not None and not _are_sides(reading.image_shape):
        raise OptionError(
            f"image_shape was {str(reading.image_shape)[:40]}; give (28, 28), (32, 32, 3) or (3, 32, 32), "
            "in the order of the values"
        )


def _are_sides(shape: Sequence[int]) -> bool:
    """Return whether a shape is height and width, with channels first, last or left out."""
    sides = shape if isinstance(shape, (tuple, list)) else ()
    if len(sides) not in (2, 3) or not all(type(side) is int and 0 < side < 2**31 for side in sides):
        return False
    return len(sides) == 2 or bool({sides[0], sides[2]} & set(metadata.CHANNELS))


def _probe(session: Session, plan: Plan, batch: int) -> tuple[Plan, Array, list[str], int]:
    """Draw the first seeds together, and one of them alone; return the values of all, and their number.

    A file whose pictures depend on others in the batch, or that fails on batches, is run one picture at a
    time.
    """
    latent = seeds.latents(range(PROBES), plan.latent_dim)
    labels = np.arange(PROBES) % plan.classes if plan.classes else None
    alone = plan if plan.batch is not None else dataclasses.replace(plan, batch=1)
    notes = []
    if plan.batch is not None and plan.batch > 1:
        notes.append(f"{plan.batch} at a time, as the file demands")
    first = run_file(session, alone, latent[:1], None if labels is None else labels[:1])
    if first.nbytes > _LARGE:
        return alone, first, notes or ["one at a time, because its pictures are large"], 1
    one_by_one = run_file(session, alone, latent, labels)
    if plan.batch is None and (why := _explain_alone(session, plan, latent, labels, one_by_one, batch)):
        return alone, one_by_one, [f"one at a time, because {why}"], PROBES
    return plan, one_by_one, notes, PROBES


def _explain_alone(
    session: Session, plan: Plan, latent: Array, labels: Array | None, one_by_one: Array, batch: int
) -> str:
    """Return why a file cannot draw several pictures at a time; "" if it can."""
    size = min(PROBES, batch)
    if size == 1:
        return "each takes much memory"
    try:
        together = run_file(session, plan, latent[:size], None if labels is None else labels[:size])
    except ModelError:
        return "it takes no more"
    if together.shape != (size, *one_by_one.shape[1:]):
        return "it gives no more"
    apart = max(
        np.abs(left.astype(np.float32) - right.astype(np.float32)).max(initial=0.0)
        for left, right in zip(together, one_by_one[:size], strict=True)
    )
    if apart <= 0.004 * (float(np.ptp(one_by_one)) or 1.0):
        return ""
    return "its pictures depend on the others of a batch"


def _describe(plan: Plan, source: str, reading: Reading, notes: Sequence[str]) -> Metadata:
    height, width, channels = plan.image_shape
    inputs = f"latent {plan.latent_input!r} {show_sides(plan.latent_shape)}"
    if plan.classes:
        kind = "one-hot label" if plan.label_form == ONE_HOT else "label"
        inputs += f", {kind} {plan.label_input!r} {show_sides(plan.label_shape)}"
    order = "grey" if channels == 1 else "channels last" if plan.channels_last else "channels first"
    return Metadata(
        name=Path(source).stem,
        latent_dim=plan.latent_dim,
        height=height,
        width=width,
        channels=channels,
        class_names=reading.class_names or tuple(map(str, range(plan.classes))),
        preparation=f"{metadata.FOREIGN}, read as: {inputs}, output {plan.output!r} {order}; "
        f"{'; '.join(notes)}",
    )


__all__ = ["adapt", "advise"]
