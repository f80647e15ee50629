"""Refuses a dangerous or broken model file before the runtime sees it; it opens and runs nothing.

A file passes when all of it is understood, all of it lies in the file, every operator is on a list,
every name is defined before it is used, and every size follows from the file: how much the runtime
holds and works out on loading is then bounded by the file's own size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from gan_infer.errors import ModelError
from gan_infer.vet import arithmetic, graph, places
from gan_infer.vet.call import Array, Call, Known
from gan_infer.vet.graph import FLOAT32, INT64, Model, Node, Tensor, shown
from gan_infer.vet.values import VALUES, value_of
from gan_infer.vet.wire import RefusedError

IR_VERSIONS: Final = (3, 13)
OPSETS: Final = (7, 25)

# For one picture: elements of one tensor and of all that are needed at once, and multiplications in all.
MAX_ELEMENTS: Final = 2**26
MAX_LIVE: Final = 2**27
MAX_WORK: Final = 10**12
# Batches of up to so many pictures may cost so many times one picture, and what is small anyway.
MAX_BATCH: Final = 64
SMALL_ELEMENTS: Final = 2**16
SMALL_WORK: Final = 2**27
# Operators run through, over all batches, where sizes are reckoned from the batch.
MAX_VISITS: Final = 60_000
# What the runtime works out on loading, from the file alone: elements held, and multiplications,
# each so many for a byte of the file and so many besides.
FIXED_ELEMENTS: Final = (4, 2**22)
FIXED_WORK: Final = (16, 2**27)

_OPERATORS: Final = {**arithmetic.OPERATORS, **places.OPERATORS}
_BRANCHES: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# What a number reckoned from the batch may go through and still grow with it; see _check_growing.
_GROWING: Final = frozenset(
    {"Add", "Cast", "Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "Identity", "Mul"}
    | {"Reshape", "Shape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
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
        live: elements that are needed at once for one picture, the file's tensors aside.
        grows: True where every size is fixed or only grows with the batch, so that the largest
            batch bounds all others.
    """

    ir_version: int
    opset: int
    inputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    outputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    metadata: Mapping[str, str]
    operators: frozenset[str]
    parameters: int
    work: int
    live: int
    grows: bool = True


def check(model: bytes, source: str, *, strict: bool = False) -> Summary:
    """Vet the bytes of a model file; `source` names it in messages.

    Takes time in proportion to the file's number of nodes and tensors, not to their sizes, and
    copies no tensor of more than 1,024 elements.

    Args:
        strict: take only what is small, for systems that cannot limit a process.

    Raises:
        ModelError: the file is refused; says what was found in it.
    """
    try:
        return _check(model, strict)
    except RefusedError as error:
        raise ModelError(
            f"{source} is refused unopened: it {error}; give a file that gan-train export wrote"
        ) from None


def _check(body: bytes, strict: bool) -> Summary:
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
    values, work, live = trace(model, len(body))
    _check_batches(model, values, work)
    if strict and live > MAX_LIVE // 8:
        raise RefusedError(f"needs {live:,} elements at once; this system takes at most {MAX_LIVE // 8:,}")
    return Summary(
        ir_version=model.ir_version,
        opset=model.opset,
        inputs={end.name: (end.kind, end.shape) for end in model.inputs},
        outputs={end.name: (end.kind, end.shape) for end in model.outputs},
        metadata=model.metadata,
        operators=frozenset(node.op for node in model.nodes),
        parameters=sum(_known(tensor).size for tensor in model.initializers),
        work=work,
        live=live,
    )


def _check_versions(model: Model) -> None:
    for what, version, (low, high) in (
        ("IR version", model.ir_version, IR_VERSIONS),
        ("operator set", model.opset, OPSETS),
    ):
        if not low <= version <= high:
            raise RefusedError(f"is of {what} {version}; {low} to {high} are taken")


def trace(model: Model, size: int) -> tuple[dict[str, Known], int, int]:
    """Follow the values through the graph at batch 1, in order; `size` is the file's, in bytes.

    Returns:
        name -> what is known of it, the work of one picture, and the most elements it needs at once.

    Raises:
        RefusedError: an operator, a name or a size is not to be taken.
    """
    values = _given(model, 1)
    given = frozenset(values)
    last_use = {name: index for index, node in enumerate(model.nodes) for name in node.inputs}
    last_use |= {end.name: len(model.nodes) for end in model.outputs}
    total, held, worked, live, most = 0, 0, 0, 0, 0
    for index, node in enumerate(model.nodes):
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
        live += sum(known.size for known in results)
        most = max(most, live)
        if live > MAX_LIVE:
            raise RefusedError(
                f"needs {live:.2e} elements at once for a picture, at {_named(node)}; "
                f"at most {MAX_LIVE:,} are taken"
            )
        ended = {name for name in node.inputs if last_use[name] == index and name in values}
        ended |= {name for name in node.outputs if name and name not in last_use}
        live -= sum(values[name].size for name in ended if name not in given)
    if total > MAX_WORK:
        raise RefusedError(
            f"takes {total:.1e} multiplications for a picture; at most {MAX_WORK:.0e} are taken"
        )
    if not model.outputs:
        raise RefusedError("has no outputs")
    for end in model.outputs:
        if end.name not in values:
            raise RefusedError(f"gives {shown(end.name)}, which no operator makes")
    return values, total, most


def _given(model: Model, batch: int) -> dict[str, Known]:
    """Give what is known of tensors and inputs, the latter's first side being the batch where it is free."""
    values: dict[str, Known] = {}
    for tensor in model.initializers:
        _define(values, tensor.name, _known(tensor))
    for end in model.inputs:
        if end.kind not in graph.NUMPY:
            raise RefusedError(f"takes an input {shown(end.name)} of a type ({end.kind}) that is not taken")
        free = (batch if place == 0 else 1 for place in range(len(end.shape)))
        shape = tuple(one if side is None else side for side, one in zip(end.shape, free, strict=True))
        _define(values, end.name, Known(shape, end.kind, None, fixed=False))
    return values


def _check_batches(model: Model, one: Mapping[str, Known], work: int) -> None:
    """Refuse what grows faster than the batch, in elements or in work.

    Sizes that no operator reckons from the batch grow with it, or stay: then the largest batch tells
    all. Reckoned ones may do as they like at any batch, and each batch is tried.

    Raises:
        RefusedError: there is such a thing, or it cannot be told.
    """
    if not any(end.shape[:1] == (None,) for end in model.inputs):
        return
    constant = {tensor.name for tensor in model.initializers}
    moving = []
    for node in model.nodes:
        if all(not name or name in constant for name in node.inputs):
            constant.update(node.outputs)
        else:
            moving.append(node)
    given = {name: known for name, known in one.items() if name in constant}
    largest, obstacle = _at_batch(model, moving, given, one, work, MAX_BATCH)
    reckoned = {name for name, known in largest.items() if _differ(known.value, one[name].value)}
    if not reckoned:
        return  # an operator that does not fit this batch does not fit it in the runtime either
    if obstacle is not None:
        raise obstacle
    if len(moving) * MAX_BATCH <= MAX_VISITS:
        for batch in range(2, MAX_BATCH):
            _, obstacle = _at_batch(model, moving, given, one, work, batch)
            if obstacle is not None:
                raise obstacle
        return
    _check_growing(moving, largest, reckoned)


def _check_growing(nodes: Sequence[Node], largest: Mapping[str, Known], reckoned: set[str]) -> None:
    """Refuse what may make a size reckoned from the batch larger at some batch than at the largest one."""
    for node in nodes:
        names = [name for name in node.inputs if name in reckoned]
        if not names:
            continue
        values = [largest[name].value for name in (*names, *node.outputs) if name]
        right = node.op in _GROWING or node.op not in VALUES
        # Looked up by a number, or cut off at it, values may come in any order.
        right &= node.op not in ("Gather", "Slice") or reckoned.isdisjoint(node.inputs[1:])
        right &= node.op != "Cast" or node.attributes.get("to") in (FLOAT32, INT64)
        if node.op in ("Add", "Mul"):
            given = [largest[name].value for name in node.inputs]
            right &= all(value is not None and (value >= 0).all() for value in given)
            right &= all(value is not None and (value <= graph.MAX_SIDE).all() for value in values)
        if not right:
            raise RefusedError(f"reckons sizes from the batch by {_named(node)}, among too many operators")


def _at_batch(
    model: Model,
    nodes: Sequence[Node],
    given: Mapping[str, Known],
    one: Mapping[str, Known],
    work: int,
    batch: int,
) -> tuple[dict[str, Known], RefusedError | None]:
    """Follow the values at a batch; give them up to the operator that does not fit it, and what it said.

    Raises:
        RefusedError: more is needed than `batch` times what `one` picture needs.
    """
    values = {**_given(model, batch), **given}
    worked = 0
    for node in nodes:
        try:
            call, results = _results(node, values, batch)
        except RefusedError as error:
            return values, error
        worked += call.work
        if worked > batch * max(work, SMALL_WORK):
            raise RefusedError(f"has {_named(node)}, whose work grows faster than the batch")
        for name, known in zip(node.outputs, results, strict=True):
            if not name:
                continue
            if known.size > batch * max(one[name].size, SMALL_ELEMENTS):
                raise RefusedError(f"has {_named(node)}, which grows faster than the batch")
            values[name] = known
    return values, None


def _differ(left: Array | None, right: Array | None) -> bool:
    if left is None or right is None:
        return left is not right
    return left.shape != right.shape or bool((left != right).any())


def _bound(what: str, node: Node, count: int, limit: tuple[int, int], size: int) -> None:
    if count > limit[0] * size + limit[1]:
        raise RefusedError(
            f"{what} {count:,} elements by {_named(node)} alone, too many for a file of {size:,} bytes"
        )


def _results(node: Node, values: Mapping[str, Known], batch: int = 1) -> tuple[Call, list[Known]]:
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
        _check_shape(node, results[-1], batch)
    call.work = max(call.work, *(known.size for known in (*given, *results) if known is not None))
    return call, results


def _check_shape(node: Node, known: Known, batch: int) -> None:
    if len(known.shape) > graph.MAX_RANK:
        raise RefusedError(f"has {_named(node)}, which gives {len(known.shape)} dimensions")
    if known.size > MAX_ELEMENTS * batch:
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
