"""Refuses a dangerous or broken model file before the runtime sees it.

A file is accepted if all of it can be read, nothing is outside the file, every operator is in a table and
has a form of that table, every name is defined before it is used, and every size depends only on the file,
the batch and the free sides that its metadata bound, never on the values of an input. Every size grows with
each free side, so the upper bounds of memory and work are highest with the largest sides. The `trial`
measures what a file really needs, in a process with limits; for systems without limits, the `strict` bounds
are lower.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from gan_infer.conditions.spec import Free
from gan_infer.errors import ModelError
from gan_infer.modelfile.safety import compute_ops, constant_folding, free_sides, graph, shape_ops, sides
from gan_infer.modelfile.safety.free_sides import Sides
from gan_infer.modelfile.safety.graph import FLOAT32, Graph, Node, Tensor, quote
from gan_infer.modelfile.safety.operator import Call, Known
from gan_infer.modelfile.safety.protobuf import RefusedError
from gan_infer.modelfile.safety.sides import PerPicture, Polynomial, Shape, Side, grows, size

IR_VERSIONS: Final = (3, 13)
OPSETS: Final = (7, 25)


@dataclasses.dataclass(frozen=True)
class _Bounds:
    """The limits for one picture.

    Attributes:
        words: the size of one tensor, in units of 4 bytes.
        live: words that are needed at the same time.
        total: words of all values together.
        work: multiplications of a matrix product, or what takes as long: 40 thousand millions per second.
    """

    words: int
    live: int
    total: int
    work: int


BOUNDS: Final = _Bounds(words=2**26, live=2**27, total=2**30, work=2 * 10**11)
# For systems without limits and so without a trial: all values count as needed at the same time.
STRICT: Final = _Bounds(words=2**25, live=2**26, total=2**26, work=4 * 10**10)
# Limits for what the runtime computes from constants on loading: memory in words, and work, each per byte of
# the file plus a fixed number.
_CONSTANT_WORDS: Final = (2, 2**20)
_CONSTANT_WORK: Final = (4000, 4 * 10**9)

_FORMS: Final = {**compute_ops.FORMS, **shape_ops.FORMS}
_BRANCHES: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_CHANCE: Final = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
# How files begin that are often taken for models.
_OTHERS: Final = (
    (b"PK\x03\x04", "a zip archive, as PyTorch checkpoints are"),
    (b"\x80", "a Python pickle"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself has not been downloaded (git lfs pull)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"<", "a web page"),
    (b"{", "JSON text"),
)


@dataclasses.dataclass(frozen=True)
class Summary:
    """The content of a vetted file.

    Attributes:
        inputs: name -> (number of the ONNX element type, shape). A side is `Free` if the metadata bound it,
            None if it is the batch, or free in a file that lists no inputs (and then 1).
        outputs: the same, with None for a free side.
        optional: the same, for inputs that have a default value.
        metadata: the metadata texts.
        operators: the types of the operators.
        parameters: the number of elements in the tensors.
        work: the work for one picture with the largest sides, in multiplications of a matrix product.
        live: the memory for one picture with the largest sides, including inputs, in units of 4 bytes.
        bytes_alone: the bytes of inputs and outputs for one picture with the largest sides.
        kept: the memory that the runtime makes from the file's tensors on loading, in units of 4 bytes.
        grows: True if every size is fixed or grows with the batch and the free sides, so that the largest
            case is the upper bound; all other files are refused.
    """

    ir_version: int
    opset: int
    inputs: Mapping[str, tuple[int, Sides]]
    outputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    metadata: Mapping[str, str]
    operators: frozenset[str]
    parameters: int
    work: int
    live: int
    bytes_alone: int = 0
    kept: int = 0
    grows: bool = True
    optional: Mapping[str, tuple[int, tuple[int | None, ...]]] = dataclasses.field(default_factory=dict)


def check(model: bytes, source: str, *, strict: bool = False) -> Summary:
    """Vet the bytes of a model file; `source` names it in messages.

    The time is proportional to the number of nodes and tensors, not to their sizes, and tensors of more
    than 1,024 elements are not copied.

    Args:
        strict: use lower bounds, for systems that cannot limit a process.

    Raises:
        ModelError: the file is refused; the message says what was found in it.
    """
    try:
        return _check(model, STRICT if strict else BOUNDS)
    except RefusedError as error:
        raise ModelError(
            f"{source} is refused unopened: it {error}; give a file that gan-train export wrote"
        ) from None


def _check(body: bytes, bounds: _Bounds) -> Summary:
    if not body:
        raise RefusedError("is empty")
    for start, what in _OTHERS:
        if body.startswith(start):
            raise RefusedError(f"is no ONNX model but {what}")
    # The runtime tells its own format by these four bytes, in what may be an ONNX file as well.
    if body[4:8] == b"ORTM":
        raise RefusedError("is of ONNX Runtime's own format (.ort)")
    model = graph.read(body)
    _check_versions(model)
    listed = free_sides.read(model.metadata)
    traced = trace(model, len(body), bounds, listed)
    return Summary(
        ir_version=model.ir_version,
        opset=model.opset,
        inputs={end.name: (end.kind, free_sides.apply(listed, end)) for end in model.inputs},
        outputs={end.name: (end.kind, end.shape) for end in model.outputs},
        metadata=model.metadata,
        operators=frozenset(node.op for node in model.nodes),
        parameters=sum(size(tensor.shape) for tensor in model.initializers),
        work=traced.work,
        live=traced.live,
        bytes_alone=sum(_bytes(traced.values[end.name]) for end in (*model.inputs, *model.outputs)),
        kept=traced.kept,
        optional={end.name: (end.kind, end.shape) for end in model.optional.values()}
        if model.ir_version >= 4
        else {},
    )


def _bytes(known: Known) -> int:
    return size(known.shape) * np.dtype(graph.NUMPY[known.kind]).itemsize


def _check_versions(model: Graph) -> None:
    for what, version, (low, high) in (
        ("IR version", model.ir_version, IR_VERSIONS),
        ("operator set", model.opset, OPSETS),
    ):
        if not low <= version <= high:
            raise RefusedError(f"is of {what} {version}; {low} to {high} are taken")


class Trace:
    """What is known about the values of a graph, and the cost of one picture, up to the last operator."""

    def __init__(self, file_size: int, bounds: _Bounds) -> None:
        self.values: dict[str, Known] = {}
        self.work = self.live = self.kept = 0
        self._bounds = bounds
        self._file_size = file_size
        self._held = self._made = self._constant_work = 0
        self._largest = ""

    def define(self, name: str, known: Known) -> None:
        """Add a value under a new name."""
        if not name:
            raise RefusedError("has a tensor or input without a name")
        if name in self.values:
            raise RefusedError(f"defines {quote(name)} twice")
        self.values[name] = known

    def add_input(self, name: str, known: Known) -> None:
        """Add an input of the model, which the caller keeps until the end."""
        self.define(name, known)
        self._made += known.words
        self._held += known.words
        self.live = self._held
        free = [side for side in known.shape if isinstance(side, Polynomial)]
        if free:
            largest = " and ".join(f"{sides.most(side):,}" for side in free)
            self._largest += f", with sides of {quote(name)} at {largest}"
        if self._held > self._bounds.words:
            raise RefusedError(
                f"takes an input {quote(name)} of {known.words:,} elements for a picture{self._largest}"
            )

    def add(self, node: Node, opset: int) -> None:
        """Add an operator: its results and its cost.

        Raises:
            RefusedError: it is not taken, or asks for more than the bounds allow.
        """
        call, results = _results(node, self.values, opset)
        made = 0
        for name, known in zip(node.outputs, results, strict=True):
            self._check(node, known)
            made += known.words
            if name:
                self.define(name, known)
        self.work += call.work
        if results[0].constant:
            self.kept += made + call.memory
            self._constant_work += call.work
        else:
            self._made += made
            self._held += made
            self.live = max(self.live, self._held + call.memory)
        self.kept += call.kept
        self._check_costs(node)

    def free(self, names: Iterable[str]) -> None:
        """Free values; constants are kept, and counted separately."""
        self._held -= sum(
            known.words for known in map(self.values.get, names) if known and not known.constant
        )

    def _check(self, node: Node, known: Known) -> None:
        if len(known.shape) > graph.MAX_RANK:
            raise RefusedError(f"has {_name_of(node)}, which gives {len(known.shape)} dimensions")
        if sum(isinstance(side, PerPicture) for side in known.shape) > 1:
            raise RefusedError(f"has {_name_of(node)}, which makes what grows faster than the batch")
        if not all(map(grows, known.shape)):
            raise RefusedError(f"has {_name_of(node)}, which makes more of a smaller side")
        if known.words > self._bounds.words:
            raise RefusedError(
                f"has {_name_of(node)}, which makes a tensor of {size(known.shape):.2e} elements"
                f"{self._largest}; at most {self._bounds.words:,} of 4 bytes are taken"
            )

    def _check_costs(self, node: Node) -> None:
        for what, count, most in (
            ("needs {:,} elements of 4 bytes at once for a picture", self.live, self._bounds.live),
            ("makes {:,} elements of 4 bytes for a picture", self._made, self._bounds.total),
            ("takes the time of {:,} multiplications for a picture", self.work, self._bounds.work),
            ("makes {:,} elements of 4 bytes of the file alone", self.kept, self._allowed(_CONSTANT_WORDS)),
            ("works {:,} multiplications on loading", self._constant_work, self._allowed(_CONSTANT_WORK)),
        ):
            if count > most:
                raise RefusedError(
                    f"{what.format(count)}, at {_name_of(node)}{self._largest}; at most {most:,} are taken"
                )

    def _allowed(self, limit: tuple[int, int]) -> int:
        return limit[0] * self._file_size + limit[1]


def trace(
    model: Graph, file_size: int, bounds: _Bounds = BOUNDS, listed: free_sides.Listed | None = None
) -> Trace:
    """Follow the values through the graph, in order.

    Args:
        file_size: in bytes.
        listed: the inputs that its metadata list, if any.

    Raises:
        RefusedError: an operator, a name or a size is not to be taken.
    """
    trace = Trace(file_size, bounds)
    for tensor in model.initializers:
        end = model.optional.get(tensor.name) if model.ir_version >= 4 else None
        if end is not None and listed is not None and None in end.shape[1:]:
            raise RefusedError(f"has a value for the input {quote(end.name)}, of which a side is free")
        is_fed = tensor.name in (listed or ())
        trace.define(tensor.name, _know(tensor) if end is None else _optional(tensor, end, is_fed))
    given = set(trace.values)
    number = itertools.count()
    for end in model.inputs:
        if end.kind not in graph.NUMPY:
            raise RefusedError(f"takes an input {quote(end.name)} of a type ({end.kind}) that is not taken")
        trace.add_input(end.name, Known(_open(free_sides.apply(listed, end), number), end.kind))
        given.add(end.name)
    last_use = {name: index for index, node in enumerate(model.nodes) for name in node.inputs}
    last_use |= {end.name: len(model.nodes) for end in model.outputs}
    for index, node in enumerate(model.nodes):
        trace.add(node, model.opset)
        ended = {name for name in node.inputs if last_use[name] == index}
        ended |= {name for name in node.outputs if name not in last_use}
        trace.free(ended - given)
    if not model.outputs:
        raise RefusedError("has no outputs")
    for end in model.outputs:
        if end.name not in trace.values:
            raise RefusedError(f"gives {quote(end.name)}, which no operator makes")
    return trace


def _open(shape: Sides, number: Iterator[int]) -> Shape:
    """Return an input's shape: a side without bounds is the batch if it is the first, else 1."""
    result: list[Side] = [
        sides.free(next(number), side.low, side.high, side.multiple) if isinstance(side, Free) else side
        for side in ((1 if side is None else side) for side in shape)
    ]
    result[:1] = [PerPicture(1) if side is None else result[0] for side in shape[:1]]
    return tuple(result)


def _know(tensor: Tensor) -> Known:
    """Return what is known about a tensor in the file."""
    value = floats = None
    if tensor.value is not None and tensor.value.size <= constant_folding.MAX_FOLLOWED:
        if tensor.kind in constant_folding.KINDS:
            value = constant_folding.array(tensor.value.reshape(-1).tolist(), tensor.shape)
        elif tensor.kind == FLOAT32:
            floats = tensor.value
    return Known(tensor.shape, tensor.kind, value, constant=True, floats=floats)


def _optional(tensor: Tensor, end: graph.End, is_fed: bool) -> Known:
    """Return what is known about a tensor that is also an input: its value may be another."""
    known = _know(tensor)
    fits = len(end.shape) in (0, len(tensor.shape))
    if end.kind != tensor.kind or not fits or (end.shape[:1] == (None,) and tensor.shape[0] != 1):
        raise RefusedError(f"gives the input {quote(tensor.name)} a value of another type or shape")
    shape: Shape = tensor.shape
    if end.shape[:1] == (None,):
        shape = (PerPicture(1, or_one=True), *tensor.shape[1:])
    # What is not listed is fed as floats alone, if ever: integers stay what the file says.
    value = None if is_fed else known.value
    return dataclasses.replace(known, shape=shape, constant=False, value=value, floats=None)


def _results(node: Node, known: Mapping[str, Known], opset: int) -> tuple[Call, list[Known]]:
    form = _FORMS.get(node.op)
    if form is None:
        why = ""
        if node.op in _BRANCHES:
            why = ": a loop or branch can take any time"
        elif node.op in _CHANCE:
            why = ": a seed would name no picture"
        raise RefusedError(f"uses the operator {quote(node.op)}, which is not taken{why}")
    for name in node.inputs:
        if name and name not in known:
            raise RefusedError(f"feeds {_name_of(node)} with {quote(name)}, which nothing before it makes")
    if not node.outputs:
        raise RefusedError(f"has {_name_of(node)} without results")
    given = tuple(known[name] if name else None for name in node.inputs)
    call = Call(node.op, opset, given, node.attributes, len(node.outputs))
    try:
        form.check(call)
        shapes = form.rule(call)
        if len(shapes) != len(node.outputs):
            raise RefusedError(f"gives {len(node.outputs)} results")
    except (RefusedError, ArithmeticError, IndexError, LookupError, TypeError, ValueError) as error:
        reason = error if isinstance(error, RefusedError) else "takes inputs that it cannot take"
        raise RefusedError(f"has {_name_of(node)}, which {reason}") from None
    constant = all(one is None or one.constant for one in given)
    if node.op in ("Shape", "Size"):  # the runtime knows fixed sides on loading, whatever its input holds
        known_sides = shape_ops.sides_of_shape(call) if node.op == "Shape" else call[0].shape
        constant = all(isinstance(side, int) for side in known_sides)
    results = [Known(shape, kind, None, constant) for shape, kind in shapes]
    results[0] = _with_value(call, results[0])
    return call, results


def _with_value(call: Call, known: Known) -> Known:
    value = constant_folding.value_of(call, known.shape, known.kind)
    tensor = call.attributes.get("value")
    if call.op == "Constant" and isinstance(tensor, Tensor) and tensor.kind == FLOAT32:
        return dataclasses.replace(known, floats=tensor.value)
    return known if value is None else dataclasses.replace(known, value=value)


def _name_of(node: Node) -> str:
    return f"{node.op} {quote(node.name)}" if node.name else node.op
