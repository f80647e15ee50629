"""Rewrites a generator of another tool as one checked model file that draws the same pictures."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from gan_infer import __version__, files
from gan_infer.conditions import classes_of_seeds
from gan_infer.conditions.spec import CLASS, IMAGE, LATENT, Input, Output
from gan_infer.errors import ModelError, OptionError
from gan_infer.modelfile import catalog, foreign, loader, safety
from gan_infer.modelfile.foreign.plan import ONE_HOT, AdaptedSession, Plan
from gan_infer.modelfile.metadata import GENERATOR, KEY, Metadata
from gan_infer.modelfile.reading import Reading
from gan_infer.models.generator import Generator
from gan_infer.runtime.devices import runtime_version
from gan_infer.runtime.session import Session
from gan_train.graphs import amend, contract, mixing, outside, versions
from gan_train.graphs.rebuild import BATCH, Builder, Entry, keep_needed, rebuild
from gan_train.runs.progress import Say, silent

Pictures = npt.NDArray[np.uint8]

COMPARED_BATCHES: Final = (1, 2, 7, 64)
# Large generators are compared at smaller batches, in about this many seconds each.
_PATIENCE_S: Final = 10.0
_PROBES: Final = 4
_RIGHT: Final = "in eval mode (network.eval()) and with a free batch (dynamic_shapes, or dynamic_axes)"
_PLAIN: Final = re.compile(r"[\w.: -]{1,64}")


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well the pictures of two files agree, in pixel values of 256.

    Attributes:
        difference: the largest difference from the foreign file.
        across_batches: the largest difference between pictures of one seed in batches of two sizes.
        batches: the sizes of the batches that were compared.
    """

    difference: int
    across_batches: int
    batches: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Adopted:
    """What was written; `mixes` says whether classes can be mixed."""

    path: Path
    size_bytes: int
    compared: Agreement
    mixes: bool
    metadata: Metadata

    def describe_inputs(self) -> str:
        """Return the inputs of the file as people read them."""
        chosen = ", label int64 [batch]" if self.metadata.conditional else ""
        mixed = f", label_weights float32 [batch, {len(self.metadata.class_names)}]" if self.mixes else ""
        return f"latent float32 [batch, {self.metadata.latent_dim}]{chosen}{mixed}"


def adopt(
    source: str,
    to: Path,
    reading: Reading | None = None,
    *,
    name: str | None = None,
    licence: str = "",
    intended_use: str = "",
    trust: bool = False,
    say: Say = silent,
) -> Adopted:
    """Write a foreign generator, with the data that lie beside it, as a model file of ours.

    The file takes its name only after it gave the foreign file's pictures at several batch sizes, to
    one pixel value of 256; else nothing is left behind.

    Args:
        source: as `catalog.find` takes it.
        reading: how to read the foreign file, where that cannot be recognised.
        name: of the model; by default the foreign file's.
        trust: open the foreign file without a trial, as `Generator.load` does.
        say: prints what had to be changed.

    Raises:
        ModelError: the file or its data are refused, cannot be recognised, or cannot be written so.
        OptionError: `reading` does not fit the file, or `to` cannot be written.
    """
    path = catalog.find(source)
    _check_target(path, to)
    read_as = reading or Reading()
    model = _read(path, read_as)
    found = versions.opset_of(model)
    converted = versions.convert(model, str(path))
    if converted is not model:
        say(f"note: converted from operator set {found} to {versions.opset_of(converted)}")
    # The original is compared if the vetting accepts it, else the converted one.
    taken = _within(found, safety.OPSETS) and _within(model.ir_version, safety.IR_VERSIONS)
    original, session = _open(model if taken else _with_ir_version(converted), path, read_as, trust)
    _check_finite(original, session)
    described = _describe(original.metadata, session, path, name, licence, intended_use)
    try:
        return _write(converted, session, described, to, original, str(path), trust)
    except ModelError:
        if session.plan.batch is None:
            raise
        raise ModelError(
            f"{path} draws {session.plan.batch} at a time, and cannot be made to draw the same in any "
            f"number; export it {_RIGHT}, then adopt it again"
        ) from None


def _write(
    model: onnx.ModelProto,
    session: AdaptedSession,
    described: Metadata,
    to: Path,
    original: Generator,
    source: str,
    trust: bool,
) -> Adopted:
    """Write the foreign model by the contract; it takes its name once it draws the same pictures."""
    adopted = rebuild(model, session.plan, _conditions(session.plan))
    drawing = _finish(adopted, described, source)
    with files.stage(to) as part:
        body = adopted.SerializeToString()
        part.write_bytes(body)
        opened = Generator.load(part, device="cpu", trust=trust)
        # By the session itself, since a generator opened from its file may run a batch in parts.
        compared = compare(original, drawing, source)
    return Adopted(to, len(body), compared, opened.mixes_labels, opened.metadata)


def _conditions(plan: Plan) -> list[Entry]:
    """Return how the classes of our file enter the foreign one, if it has any."""
    if not plan.classes:
        return []
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [BATCH])
    return [Entry(label, plan.label_input, functools.partial(_build_label, plan=plan))]


def _build_label(front: Builder, plan: Plan) -> str:
    kind, value = helper.np_dtype_to_tensor_dtype(np.dtype(plan.label_type)), "label"
    if plan.label_form == ONE_HOT:
        column = front.node("Reshape", [value, front.tensor([-1, 1], "label_column")])
        places = front.tensor(np.arange(plan.classes), "label_places")
        value = front.node("Equal", [column, places])
        # Through float32 if labels can be mixed: there the weights enter.
        value = front.node("Cast", [value], to=TensorProto.FLOAT if plan.mixes else kind)
        if plan.mixes and kind != TensorProto.FLOAT:
            value = front.node("Cast", [value], to=kind)
        if plan.label_shape != (plan.classes,):
            value = front.node("Reshape", [value, front.tensor([-1, *plan.label_shape], "label_shape")])
        return value
    if kind != TensorProto.INT64:
        value = front.node("Cast", [value], to=kind)
    if plan.label_shape:
        value = front.node("Reshape", [value, front.tensor([-1, *plan.label_shape], "label_shape")])
    return value


def _check_target(path: Path, to: Path) -> None:
    if to.exists() and to.resolve() == path.resolve():
        raise OptionError(f"{to} is the file that is read; give another name with --to")
    files.check_writable(to)


def _read(path: Path, reading: Reading) -> onnx.ModelProto:
    """Return the foreign model in one piece, vetted."""
    model = outside.read_whole(path)
    if any(entry.key == KEY for entry in model.metadata_props):
        raise ModelError(f"{path} is a file of ours already; use it as it is")
    versions.drop_unused_domains(model, str(path))
    if reading.output in [item.name for item in model.graph.output]:
        keep_needed(model.graph, [str(reading.output)])
    try:
        versions.vet_before(model, str(path))
    except ModelError as error:
        raise ModelError(foreign.advise(str(error), str(path))) from None
    return model


def _within(version_: int, ends: tuple[int, int]) -> bool:
    return ends[0] <= version_ <= ends[1]


def _with_ir_version(model: onnx.ModelProto) -> onnx.ModelProto:
    versions.set_ir_version(model)
    return model


def _open(
    model: onnx.ModelProto, path: Path, reading: Reading, trust: bool
) -> tuple[Generator, AdaptedSession]:
    """Open the foreign model, now in one piece, as the SDK opens foreign files."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        whole.write_bytes(model.SerializeToString())
        try:
            opened = loader.open_model(whole, GENERATOR, "cpu", reading=reading, trust=trust)
        except ModelError as error:
            raise ModelError(str(error).replace(str(whole), str(path))) from None
        except OptionError as error:
            raise OptionError(str(error).replace(str(whole), str(path))) from None
    assert isinstance(opened.metadata, Metadata)
    assert isinstance(opened.session, AdaptedSession)
    return Generator(opened.session, opened.metadata, str(path), opened.batch), opened.session


def _describe(
    found: Metadata, session: AdaptedSession, path: Path, name: str | None, licence: str, intended_use: str
) -> Metadata:
    """Return the metadata of the new file, without golden pictures and directions."""
    plan = session.plan
    preparation = f"adopted from {found.preparation}"
    for each in (plan.latent_input, plan.label_input, plan.output, *plan.constants):
        if each and not _PLAIN.fullmatch(each):  # the names in a file may be paths
            preparation = preparation.replace(repr(each), "(of another name)")
    body = path.read_bytes()
    return dataclasses.replace(
        found,
        name=name or path.stem,
        preparation=preparation,
        recipe={"adopted": {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}},
        licence=licence,
        intended_use=intended_use,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={"ganforge": __version__, "onnx": version("onnx"), "onnxruntime": runtime_version()},
    )


def _finish(model: onnx.ModelProto, described: Metadata, source: str) -> Generator:
    """Turn a rebuilt graph into a model file: versions, mixing, metadata; return its generator.

    Raises:
        ModelError: it breaks the contract, or gives values that are not numbers.
    """
    versions.set_ir_version(model)
    inputs = _list_inputs(described, mixing.add_mixing(model, len(described.class_names)))
    outputs = (Output("image", IMAGE, "uint8", described.image_shape),)
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    described = dataclasses.replace(described, precision="float16" if half else "float32")
    described = contract.list_arrays(described, inputs, outputs)
    contract.describe(model, described)
    contract.check(model)
    body = model.SerializeToString()
    safety.check(body, source)
    opened = Generator(Session(body, source=source, device="cpu"), described, source)
    described = dataclasses.replace(
        described, golden=contract.draw_golden(opened), directions=amend.find_unnamed(model, described)
    )
    contract.describe(model, described)
    return opened


def _list_inputs(described: Metadata, mixes: bool) -> tuple[Input, ...]:
    names = described.class_names
    facts = {"distribution": described.latent_distribution}
    latent = Input("latent", LATENT, "float32", (described.latent_dim,), facts)
    label = (Input("label", CLASS, "int64", (), {"class_names": list(names)}),) if names else ()
    return (latent, *label, *((mixing.describe_input(len(names)),) if mixes else ()))


def compare(original: Generator, adopted: Generator, source: str) -> Agreement:
    """Compare the pictures of the new file with those of the foreign one.

    Raises:
        ModelError: a pixel value differs by more than 1, from the foreign file or from batch to batch.
    """
    before: Pictures | None = None
    batches: list[int] = []
    difference, across, spent = 0, 0, 0.0
    for count in COMPARED_BATCHES:
        if batches and spent * count / batches[-1] > _PATIENCE_S:
            break
        started = time.monotonic()
        latent = original.latents(range(count))
        labels = _choose_labels(original, count)
        got = adopted(latent, labels)
        difference = max(difference, _apart(got, original(latent, labels)))
        if before is not None:
            across = max(across, _apart(before, got[: len(before)]))
        before, spent = got, time.monotonic() - started
        batches.append(count)
    difference = max(difference, _apart_of_a_mix(original, adopted))
    if (worst := max(difference, across)) > 1:
        raise ModelError(
            f"{source} draws other pictures in a batch than alone, {worst} levels of 256 off, so that "
            f"no seed would name one; export it {_RIGHT}, then adopt it again"
        )
    return Agreement(difference, across, tuple(batches))


def _choose_labels(original: Generator, count: int) -> npt.NDArray[np.int64] | None:
    return classes_of_seeds(np.arange(count), len(original.class_names)) if original.conditional else None


def _apart_of_a_mix(original: Generator, adopted: Generator) -> int:
    if not (original.mixes_labels and adopted.mixes_labels and len(original.class_names) > 1):
        return 0
    weights = np.zeros((1, len(original.class_names)), np.float32)
    weights[0, :2] = 0.25, 0.75
    latent = original.latents([0])
    return _apart(adopted(latent, weights), original(latent, weights))


def _apart(left: Pictures, right: Pictures) -> int:
    return int(np.abs(left.astype(np.int16) - right.astype(np.int16)).max(initial=0))


def _check_finite(original: Generator, session: AdaptedSession) -> None:
    labels = _choose_labels(original, _PROBES)
    values = session.values(original.latents(range(_PROBES)), labels)
    if not np.isfinite(values.astype(np.float32)).all():
        raise ModelError(
            f"{original.source} gives values that are no numbers (NaN); export a network that was trained"
        )
