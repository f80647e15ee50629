"""Reads the bytes of a model file: its nodes, tensors and texts.

Everything must be in the file: external tensors, functions, subgraphs, sparse tensors and training graphs
are refused.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import numpy as np

from gan_infer.modelfile.safety import protobuf
from gan_infer.modelfile.safety.protobuf import Reader, RefusedError, UnreadableError

# Numbers of ONNX's TensorProto.DataType that a generator may use, and how numpy holds them.
FLOAT32, UINT8, INT64, BOOL, FLOAT16, BFLOAT16 = 1, 2, 7, 9, 10, 16
NUMPY: Final = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8",
    12: "<u4", 13: "<u8", 16: "<u2",
}  # fmt: skip
FLOAT64, INT32 = 11, 6
WIDE: Final = frozenset({INT64, FLOAT64, 13})  # of 8 bytes

# ONNX Runtime's time on loading grows with the square of these.
MAX_NODES: Final = 4_000
MAX_TENSORS: Final = 5_000
MAX_RANK: Final = 16
MAX_SIDE: Final = 2**31 - 1
MAX_ENDS: Final = 16  # inputs or outputs of the model
MAX_METADATA_BYTES: Final = 4 * 1024**2
MAX_FIELDS: Final = 200_000
# Tensors with at most this many elements are read, because they may be sizes of others.
MAX_READ: Final = 1024


_MODEL: Final = {
    1: ("ir_version", protobuf.INT),
    2: ("producer_name", protobuf.BYTES),
    3: ("producer_version", protobuf.BYTES),
    4: ("domain", protobuf.BYTES),
    5: ("model_version", protobuf.INT),
    6: ("doc_string", protobuf.BYTES),
    7: ("graph", protobuf.BYTES),
    8: ("opset_import", protobuf.MESSAGES),
    14: ("metadata_props", protobuf.MESSAGES),
    20: ("a training graph (training_info)", protobuf.REFUSED),
    25: ("functions", protobuf.REFUSED),
    26: ("a device configuration", protobuf.REFUSED),
}
_OPSET: Final = {1: ("domain", protobuf.TEXT), 2: ("version", protobuf.INT)}
_PROPERTY: Final = {1: ("key", protobuf.TEXT), 2: ("value", protobuf.BYTES)}
_GRAPH: Final = {
    1: ("node", protobuf.MESSAGES),
    2: ("name", protobuf.BYTES),
    5: ("initializer", protobuf.MESSAGES),
    10: ("doc_string", protobuf.BYTES),
    11: ("input", protobuf.MESSAGES),
    12: ("output", protobuf.MESSAGES),
    13: ("value_info", protobuf.MESSAGES),
    14: ("quantization annotations", protobuf.REFUSED),
    15: ("sparse tensors", protobuf.REFUSED),
    16: ("metadata_props", protobuf.SKIPS),
}
_NODE: Final = {
    1: ("input", protobuf.TEXTS),
    2: ("output", protobuf.TEXTS),
    3: ("name", protobuf.TEXT),
    4: ("op_type", protobuf.TEXT),
    5: ("attribute", protobuf.MESSAGES),
    6: ("doc_string", protobuf.BYTES),
    7: ("domain", protobuf.TEXT),
    8: ("overload", protobuf.TEXT),
    9: ("metadata_props", protobuf.SKIPS),
    10: ("a device configuration", protobuf.REFUSED),
}
_ATTRIBUTE: Final = {
    1: ("name", protobuf.TEXT),
    2: ("f", protobuf.FLOAT),
    3: ("i", protobuf.INT),
    4: ("s", protobuf.BYTES),
    5: ("t", protobuf.BYTES),
    6: ("a subgraph, as loops and branches have,", protobuf.REFUSED),
    7: ("floats", protobuf.FLOATS),
    8: ("ints", protobuf.INTS),
    9: ("texts", protobuf.REFUSED),
    10: ("a list of tensors", protobuf.REFUSED),
    11: ("subgraphs, as loops and branches have,", protobuf.REFUSED),
    13: ("doc_string", protobuf.BYTES),
    14: ("a type", protobuf.REFUSED),
    15: ("types", protobuf.REFUSED),
    20: ("type", protobuf.INT32),
    21: ("a reference to a function's attribute", protobuf.REFUSED),
    22: ("a sparse tensor", protobuf.REFUSED),
    23: ("sparse tensors", protobuf.REFUSED),
}
_TENSOR: Final = {
    1: ("dims", protobuf.INTS),
    2: ("data_type", protobuf.INT32),
    3: ("a segment of a larger tensor", protobuf.REFUSED),
    4: ("float_data", protobuf.BYTES),
    5: ("int32_data", protobuf.BYTES),
    6: ("texts", protobuf.REFUSED),
    7: ("int64_data", protobuf.BYTES),
    8: ("name", protobuf.TEXT),
    9: ("raw_data", protobuf.BYTES),
    10: ("double_data", protobuf.BYTES),
    11: ("uint64_data", protobuf.BYTES),
    12: ("doc_string", protobuf.BYTES),
    13: ("data outside the file (external_data)", protobuf.REFUSED),
    14: ("data_location", protobuf.INT32),
    16: ("metadata_props", protobuf.SKIPS),
}
_VALUE: Final = {
    1: ("name", protobuf.TEXT),
    2: ("type", protobuf.BYTES),
    3: ("doc_string", protobuf.BYTES),
    4: ("metadata_props", protobuf.SKIPS),
}
_TYPE: Final = {
    1: ("tensor_type", protobuf.BYTES),
    4: ("a sequence", protobuf.REFUSED),
    5: ("a map", protobuf.REFUSED),
    6: ("denotation", protobuf.TEXT),
    7: ("an opaque type", protobuf.REFUSED),
    8: ("a sparse tensor", protobuf.REFUSED),
    9: ("an optional value", protobuf.REFUSED),
}
_TENSOR_TYPE: Final = {1: ("elem_type", protobuf.INT32), 2: ("shape", protobuf.BYTES)}
_SHAPE: Final = {1: ("dim", protobuf.MESSAGES)}
_SIDE: Final = {
    1: ("dim_value", protobuf.INT),
    2: ("dim_param", protobuf.TEXT),
    3: ("denotation", protobuf.TEXT),
}

# AttributeProto.AttributeType -> the field that holds such an attribute.
_ATTRIBUTE_TYPES: Final = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}
_ATTRIBUTE_DEFAULTS: Final[dict[str, Any]] = {"f": 0.0, "i": 0, "s": b""}


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in the file; `value` is None if it is large, or of a type that numpy does not have."""

    name: str
    kind: int
    shape: tuple[int, ...]
    value: np.ndarray[Any, Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """An operator, the names of its inputs and outputs, and its attributes by name."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """An input or output of the model; a side is None if it is free."""

    name: str
    kind: int
    shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """The content of a file.

    Attributes:
        inputs: those that must be given.
        optional: name -> an input with a default value, which is one of the initializers.
    """

    ir_version: int
    opset: int
    inputs: tuple[End, ...]
    optional: dict[str, End]
    outputs: tuple[End, ...]
    initializers: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    metadata: dict[str, str]


def read(body: bytes) -> Graph:
    """Read the bytes of a model file.

    Raises:
        RefusedError: they are none, or hold what is not taken.
    """
    reader = Reader(MAX_FIELDS)
    try:
        model = reader.read(memoryview(body), _MODEL, "the model")
    except UnreadableError as error:
        raise RefusedError(f"is no ONNX model, or a damaged one: it {error}") from None
    if "graph" not in model:
        raise RefusedError("has no graph")
    graph = reader.read(model["graph"], _GRAPH, "the graph")
    _count("nodes", graph["node"], MAX_NODES)
    _count("tensors", graph["initializer"], MAX_TENSORS)
    _count("inputs", graph["input"], MAX_TENSORS)  # old files list their tensors there as well
    _count("outputs", graph["output"], MAX_ENDS)
    _count("described values", graph["value_info"], 4 * MAX_NODES)
    opset = _opset(reader, model["opset_import"])
    metadata = _metadata(reader, model["metadata_props"])
    initializers = tuple(_tensor(reader, view) for view in graph["initializer"])
    names = {tensor.name for tensor in initializers}
    for view in graph["value_info"]:
        _end(reader, view)
    ends = [_end(reader, view) for view in graph["input"]]
    inputs = tuple(end for end in ends if end.name not in names)
    optional = {end.name: end for end in ends if end.name in names}
    _count("inputs", inputs, MAX_ENDS)
    if len(inputs) + len(optional) != len(ends):
        raise RefusedError("names an input twice")
    return Graph(
        ir_version=model.get("ir_version", 0),
        opset=opset,
        inputs=inputs,
        optional=optional,
        outputs=tuple(_end(reader, view) for view in graph["output"]),
        initializers=initializers,
        nodes=tuple(_node(reader, view) for view in graph["node"]),
        metadata=metadata,
    )


def quote(name: str) -> str:
    """Return a name for a message: quoted, short, in one line."""
    return repr(name if len(name) <= 60 else name[:57] + "...")


def _count(what: str, items: Any, most: int) -> None:
    if len(items) > most:
        raise RefusedError(f"has {len(items):,} {what}; at most {most:,} are taken")


def _opset(reader: Reader, views: list[memoryview]) -> int:
    versions = []
    for view in views[:8]:
        item = reader.read(view, _OPSET, "an operator set")
        domain = item.get("domain", "")
        if domain not in ("", "ai.onnx"):
            raise RefusedError(f"asks for operators of the domain {quote(domain)}; only ONNX's own are taken")
        versions.append(item.get("version", 0))
    if len(versions) != 1 or len(views) != 1:
        raise RefusedError(f"names {len(views)} operator sets; expected one")
    return int(versions[0])


def _metadata(reader: Reader, views: list[memoryview]) -> dict[str, str]:
    texts: dict[str, str] = {}
    size = sum(map(len, views))
    if size > MAX_METADATA_BYTES:
        raise RefusedError(f"has {size:,} bytes of metadata; at most {MAX_METADATA_BYTES:,} are taken")
    for view in views:
        item = reader.read(view, _PROPERTY, "the metadata")
        key = item.get("key", "")
        if key in texts:
            raise RefusedError(f"has the metadata {quote(key)} twice")
        try:
            texts[key] = str(item.get("value", b""), "utf-8")
        except UnicodeDecodeError:
            raise RefusedError(f"has metadata {quote(key)} that is no UTF-8 text") from None
    return texts


def _node(reader: Reader, view: memoryview) -> Node:
    fields = reader.read(view, _NODE, "a node")
    op, domain = fields.get("op_type", ""), fields.get("domain", "")
    if domain not in ("", "ai.onnx"):
        raise RefusedError(
            f"uses {quote(op)} of the domain {quote(domain)}; only ONNX's own operators are taken"
        )
    if fields.get("overload"):
        raise RefusedError(f"uses an overload of {quote(op)}, which is not taken")
    attributes: dict[str, Any] = {}
    for part in fields["attribute"]:
        name, value = _attribute(reader, part, op)
        if name in attributes:
            raise RefusedError(f"gives the attribute {quote(name)} of {quote(op)} twice")
        attributes[name] = value
    return Node(op, fields.get("name", ""), tuple(fields["input"]), tuple(fields["output"]), attributes)


def _attribute(reader: Reader, view: memoryview, op: str) -> tuple[str, Any]:
    fields = reader.read(view, _ATTRIBUTE, f"an attribute of {quote(op)}")
    name = fields.get("name", "")
    field = _ATTRIBUTE_TYPES.get(fields.get("type", 0))
    if field is None:
        raise RefusedError(f"has the attribute {quote(name)} of {quote(op)} of a type that is not taken")
    for other in _ATTRIBUTE_TYPES.values():
        if other != field and fields.get(other):
            raise RefusedError(f"has the attribute {quote(name)} of {quote(op)} of two types")
    if field == "t":
        if field not in fields:
            raise RefusedError(f"has the attribute {quote(name)} of {quote(op)} without its tensor")
        return name, _tensor(reader, fields[field])
    value: Any = fields.get(field, _ATTRIBUTE_DEFAULTS.get(field))
    return name, bytes(value) if field == "s" else value


def _end(reader: Reader, view: memoryview) -> End:
    fields = reader.read(view, _VALUE, "a described value")
    name = fields.get("name", "")
    types = reader.read(fields.get("type", memoryview(b"")), _TYPE, f"the type of {quote(name)}")
    tensor = reader.read(
        types.get("tensor_type", memoryview(b"")), _TENSOR_TYPE, f"the type of {quote(name)}"
    )
    shape: list[int | None] = []
    for part in reader.read(tensor.get("shape", memoryview(b"")), _SHAPE, "a shape")["dim"]:
        side = reader.read(part, _SIDE, "a shape").get("dim_value")
        if side is not None and not 0 <= side <= MAX_SIDE:
            raise RefusedError(f"gives {quote(name)} a side of {side}")
        shape.append(side)
    _check_rank(name, shape)
    return End(name, tensor.get("elem_type", 0), tuple(shape))


def _check_rank(name: str, shape: Any) -> None:
    if len(shape) > MAX_RANK:
        raise RefusedError(f"gives {quote(name)} {len(shape)} dimensions; at most {MAX_RANK} are taken")


def _tensor(reader: Reader, view: memoryview) -> Tensor:
    fields = reader.read(view, _TENSOR, "a tensor")
    name, kind, shape = fields.get("name", ""), fields.get("data_type", 0), tuple(fields["dims"])
    if fields.get("data_location", 0) != 0:
        raise RefusedError(f"keeps the tensor {quote(name)} outside the file")
    if kind not in NUMPY:
        raise RefusedError(f"has a tensor {quote(name)} of a type ({kind}) that is not taken")
    _check_rank(name, shape)
    if any(not 0 <= side <= MAX_SIDE for side in shape):
        raise RefusedError(f"has a tensor {quote(name)} with a side under 0 or over {MAX_SIDE}")
    size = math.prod(shape)
    held = [field for field in _DATA if field in fields and len(fields[field])]
    allowed = ("raw_data", _typed_field(kind))
    if len(held) > 1 or any(field not in allowed for field in held):
        raise RefusedError(
            f"keeps the tensor {quote(name)} in {' and '.join(held)}; expected one place for its type"
        )
    field = held[0] if held else "raw_data"
    data = fields.get(field, memoryview(b""))
    width = _width(field, kind)
    count = len(data) // width if width else _varints_in(data)
    if count != size or (width and len(data) % width):
        raise RefusedError(
            f"claims {_big(size)} elements for the tensor {quote(name)} and holds {count:,} "
            f"({len(data):,} bytes)"
        )
    return Tensor(name, kind, shape, _values(reader, data, field, kind, shape) if size <= MAX_READ else None)


_DATA: Final = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def _typed_field(kind: int) -> str:
    named = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}
    return named.get(kind, "int32_data")


def _width(field: str, kind: int) -> int:
    """Return the bytes per element in the file; 0 if they differ."""
    if field == "raw_data":
        return np.dtype(NUMPY[kind]).itemsize
    return {"float_data": 4, "double_data": 8}.get(field, 0)


def _varints_in(data: memoryview) -> int:
    """Count the numbers of a packed field: the last byte of each is under 128."""
    step = 2**20
    return sum(
        int(np.count_nonzero(np.frombuffer(data[at : at + step], np.uint8) < 128))
        for at in range(0, len(data), step)
    )


def _values(
    reader: Reader, data: memoryview, field: str, kind: int, shape: tuple[int, ...]
) -> np.ndarray[Any, Any] | None:
    held: np.ndarray[Any, Any]
    if kind == BFLOAT16:
        return None
    if field in ("raw_data", "float_data", "double_data"):
        held = np.frombuffer(data, np.uint8) != 0 if kind == BOOL else np.frombuffer(data, NUMPY[kind])
    else:
        held = np.array(reader.integers(data), np.int64)
        held = held.astype(np.uint16).view(np.float16) if kind == FLOAT16 else held.astype(NUMPY[kind])
    return held.reshape(shape)


def _big(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"{number:.1e}" if number < 10**300 else "endless"
