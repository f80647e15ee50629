"""Refuses a dangerous or broken model file before the runtime sees it; it opens and runs nothing.

A file passes when all of it is understood, all of it lies in the file, every operator is on a list,
every name is defined before it is used, and every size follows from the file: how much the runtime
holds and works out on loading is then bounded by the file's own size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from gan_infer.errors import ModelError
from gan_infer.vet import arithmetic, graph, places
from gan_infer.vet.call import Call, Known
from gan_infer.vet.graph import Model, Node, Tensor, shown
from gan_infer.vet.values import value_of
from gan_infer.vet.wire import RefusedError

IR_VERSIONS: Final = (3, 13)
OPSETS: Final = (7, 25)

# For one picture: elements of one tensor, and multiplications in all.
MAX_ELEMENTS: Final = 2**26
MAX_WORK: Final = 10**13
# What the runtime works out on loading, from the file alone: elements held, and multiplications,
# each so many for a byte of the file and so many besides.
FIXED_ELEMENTS: Final = (4, 2**22)
FIXED_WORK: Final = (16, 2**27)

_OPERATORS: Final = {**arithmetic.OPERATORS, **places.OPERATORS}
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
    """What a vetted file holds.

    Attributes:
        inputs, outputs: name -> (number of the ONNX element type, shape with None where free).
        metadata: its metadata texts.
        operators: the types of its operators.
        parameters: elements of its tensors.
        work: multiplications, and elements read or written, for one picture.
    """

    ir_version: int
    opset: int
    inputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    outputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    metadata: Mapping[str, str]
    operators: frozenset[str]
    parameters: int
    work: int


def check(model: bytes, source: str) -> Summary:
    """Vet the bytes of a model file; `source` names it in messages.

    Takes time in proportion to the file's number of nodes and tensors, not to their sizes, and
    copies no tensor of more than 1,024 elements.

    Raises:
        ModelError: the file is refused; says what was found in it.
    """
    try:
        return _check(model)
    except RefusedError as error:
        raise ModelError(
            f"{source} is refused unopened: it {error}; give a file that gan-train export wrote"
        ) from None


def _check(body: bytes) -> Summary:
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
    _, work = trace(model, len(body))
    return Summary(
        ir_version=model.ir_version,
        opset=model.opset,
        inputs={end.name: (end.kind, end.shape) for end in model.inputs},
        outputs={end.name: (end.kind, end.shape) for end in model.outputs},
        metadata=model.metadata,
        operators=frozenset(node.op for node in model.nodes),
        parameters=sum(_known(tensor).size for tensor in model.initializers),
        work=work,
    )


def _check_versions(model: Model) -> None:
    for what, version, (low, high) in (
        ("IR version", model.ir_version, IR_VERSIONS),
        ("operator set", model.opset, OPSETS),
    ):
        if not low <= version <= high:
            raise RefusedError(f"is of {what} {version}; {low} to {high} are taken")


def trace(model: Model, size: int) -> tuple[dict[str, Known], int]:
    """Follow the values through the graph at batch 1, in order; `size` is the file's, in bytes.

    Returns:
        name -> what is known of it, and the work of one picture.

    Raises:
        RefusedError: an operator, a name or a size is not to be taken.
    """
    values: dict[str, Known] = {}
    for tensor in model.initializers:
        _define(values, tensor.name, _known(tensor))
    for end in model.inputs:
        if end.kind not in graph.NUMPY:
            raise RefusedError(f"takes an input {shown(end.name)} of a type ({end.kind}) that is not taken")
        shape = tuple(1 if side is None else side for side in end.shape)
        _define(values, end.name, Known(shape, end.kind, None, fixed=False))
    total, held, worked = 0, 0, 0
    for node in model.nodes:
        call, results = _results(node, values)
        for name, known in zip(node.outputs, results, strict=True):
            if name:
                _define(values, name, known)
        total += call.work
        if results[0].fixed:
            held += sum(known.size for known in results)
            worked += call.work
            _bound("holds", node, held, FIXED_ELEMENTS, size)
            _bound("works out", node, worked, FIXED_WORK, size)
    if total > MAX_WORK:
        raise RefusedError(
            f"takes {total:.1e} multiplications for a picture; at most {MAX_WORK:.0e} are taken"
        )
    if not model.outputs:
        raise RefusedError("has no outputs")
    for end in model.outputs:
        if end.name not in values:
            raise RefusedError(f"gives {shown(end.name)}, which no operator makes")
    return values, total


def _bound(what: str, node: Node, count: int, limit: tuple[int, int], size: int) -> None:
    if count > limit[0] * size + limit[1]:
        raise RefusedError(
            f"{what} {count:,} elements by {_named(node)} alone, too many for a file of {size:,} bytes"
        )


def _results(node: Node, values: Mapping[str, Known]) -> tuple[Call, list[Known]]:
    function = _OPERATORS.get(node.op)
    if function is None:
        why = ""
        if node.op in _BRANCHES:
            why = ": a loop or branch can take any time"
        elif node.op in _CHANCE:
            why = ": a seed would name no picture"
        raise RefusedError(f"uses the operator {shown(node.op)}, which is not taken{why}")
    for name in node.inputs:
        if name and name not in values:
            raise RefusedError(f"feeds {_named(node)} with {shown(name)}, which nothing before it makes")
    if not node.outputs:
        raise RefusedError(f"has {_named(node)} without results")
    given = tuple(values[name] if name else None for name in node.inputs)
    call = Call(node.op, given, node.attributes, len(node.outputs))
    try:
        shapes = function(call)
        if len(shapes) != len(node.outputs):
            raise RefusedError(f"gives {len(node.outputs)} results")
    except (RefusedError, ArithmeticError, IndexError, LookupError, TypeError, ValueError) as error:
        reason = error if isinstance(error, RefusedError) else "takes inputs that it cannot take"
        raise RefusedError(f"has {_named(node)}, which {reason}") from None
    fixed = all(known is None or known.fixed for known in given) or node.op in ("Shape", "Size")
    results = []
    for index, (shape, kind) in enumerate(shapes):
        value = value_of(call, shape, kind) if index == 0 else None
        results.append(Known(shape, kind, value, fixed))
        _check_shape(node, results[-1])
    call.work = max(call.work, *(known.size for known in (*given, *results) if known is not None))
    return call, results


def _check_shape(node: Node, known: Known) -> None:
    if len(known.shape) > graph.MAX_RANK:
        raise RefusedError(f"has {_named(node)}, which gives {len(known.shape)} dimensions")
    if known.size > MAX_ELEMENTS:
        raise RefusedError(
            f"has {_named(node)}, which makes a tensor of {known.size:.2e} elements; "
            f"at most {MAX_ELEMENTS:,} are taken"
        )


def _define(values: dict[str, Known], name: str, known: Known) -> None:
    if not name:
        raise RefusedError("has a tensor or input without a name")
    if name in values:
        raise RefusedError(f"defines {shown(name)} twice")
    values[name] = known


def _known(tensor: Tensor) -> Known:
    return Known(tensor.shape, tensor.kind, tensor.value, fixed=True)


def _named(node: Node) -> str:
    return f"{node.op} {shown(node.name)}" if node.name else node.op


__all__ = ["Summary", "check"]
