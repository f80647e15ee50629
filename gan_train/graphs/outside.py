"""Puts a model file and the data file beside it into one model; trusts neither of the two.

torch.onnx.export writes x.onnx and x.onnx.data by default. The data must be a plain file in the model's
folder, and each tensor must lie within it and have its own size.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from gan_infer.errors import ModelError
from gan_infer.modelfile import catalog
from gan_infer.modelfile.safety import graph, protobuf

# Numbers that are not stored as raw bytes take up to eight times their size when read.
_MAX_PACKED: Final = 32 * 1024**2
_PACKED: Final = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_KEYS: Final = frozenset({"location", "offset", "length", "checksum"})
_TENSOR: Final = {**graph._TENSOR, 13: ("external_data", protobuf.MESSAGES)}
_ENTRY: Final = {1: ("key", protobuf.TEXT), 2: ("value", protobuf.TEXT)}


_BESIDE: Final = "put the two files into one folder, under the names that they were written with"
_AGAIN: Final = "write it again by torch.onnx.export or onnx.save"


class _OutsideError(protobuf.RefusedError):
    """What is wrong with data outside the file, in words that go after "it"; `advice` says what to do."""

    def __init__(self, what: str, advice: str = _AGAIN) -> None:
        super().__init__(what)
        self.advice = advice


def read_whole(path: Path) -> onnx.ModelProto:
    """Return a model with all of its data in it.

    Raises:
        ModelError: it is no model, or its data are missing, too large or not to be trusted.
    """
    body = _read_file(path, str(path))
    try:
        _measure(body)
        model: onnx.ModelProto = onnx.ModelProto.FromString(body)
        tensors = [tensor for tensor in _tensors(model.graph) if _is_outside(tensor)]
        total = len(body) + sum(map(_size, tensors))
        if total > catalog.MAX_BYTES:
            raise protobuf.RefusedError(
                f"has {total:,} bytes of data; at most {catalog.MAX_BYTES // 1024**2} MiB are taken"
            )
        for tensor in tensors:
            _merge(tensor, path)
        for tensor in _tensors(model.graph):
            del tensor.external_data[:]
    except protobuf.RefusedError as error:
        advice = error.advice if isinstance(error, _OutsideError) else _AGAIN
        raise ModelError(f"{path} is refused: it {error}; {advice}") from None
    except DecodeError:
        raise ModelError(f"{path} is no ONNX model, or a damaged one; {_AGAIN}") from None
    return model


def _measure(body: bytes) -> None:
    """Refuse a file that would take far more memory than its bytes once it is read.

    Raises:
        RefusedError: there are too many parts, or parts that no generator has.
    """
    for start, what in (
        (b"PK\x03\x04", "a zip archive, as PyTorch checkpoints are"),
        (b"\x80", "a Python pickle"),
        (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself by git lfs pull"),
    ):
        if body.startswith(start):
            raise protobuf.RefusedError(f"is no ONNX model but {what}")
    reader = protobuf.Reader(graph.MAX_FIELDS)
    model = reader.read(memoryview(body), graph._MODEL, "the model")
    if "graph" not in model:
        raise protobuf.RefusedError("has no graph")
    parts = reader.read(model["graph"], graph._GRAPH, "the graph")
    tensors = [reader.read(view, _TENSOR, "a tensor") for view in parts["initializer"]]
    for view in parts["node"]:
        for part in reader.read(view, graph._NODE, "a node")["attribute"]:
            attribute = reader.read(part, graph._ATTRIBUTE, "an attribute")
            if "t" in attribute:
                tensors.append(reader.read(attribute["t"], _TENSOR, "a tensor"))
    for view in (*parts["input"], *parts["output"], *parts["value_info"]):
        reader.read(view, graph._VALUE, "a described value")
    for tensor in tensors:
        for entry in tensor["external_data"]:
            reader.read(entry, _ENTRY, "where data lie")
    packed = sum(len(tensor[field]) for tensor in tensors for field in _PACKED if field in tensor)
    if packed > _MAX_PACKED:
        raise protobuf.RefusedError(
            f"keeps {packed:,} bytes of tensors other than as raw bytes; at most {_MAX_PACKED:,} are taken"
        )


def _tensors(graph_: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph_.initializer
    for node in graph_.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _is_outside(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def _size(tensor: onnx.TensorProto) -> int:
    """Return the bytes of a tensor's data.

    Raises:
        RefusedError: it is of no known type or size.
    """
    name, kind = graph.quote(tensor.name), tensor.data_type
    if kind not in graph.NUMPY:
        raise _OutsideError(f"has a tensor {name} of a type ({kind}) that is not taken")
    if len(tensor.dims) > graph.MAX_RANK or any(not 0 <= side <= graph.MAX_SIDE for side in tensor.dims):
        raise _OutsideError(f"has a tensor {name} with a side under 0 or too large")
    return int(math.prod(tensor.dims)) * np.dtype(graph.NUMPY[kind]).itemsize


def _merge(tensor: onnx.TensorProto, path: Path) -> None:
    """Put a tensor's data into it.

    Raises:
        RefusedError: they are not where or not as they should be.
    """
    name, size = graph.quote(tensor.name), _size(tensor)
    if tensor.HasField("raw_data") or any(len(getattr(tensor, field)) for field in _PACKED):
        raise _OutsideError(f"keeps the tensor {name} both in the file and outside")
    entries = _where(tensor, name)
    location = entries.get("location", "")
    beside = _find_beside(location, path, name)
    offset, length = _number(entries, "offset", 0, name), _number(entries, "length", size, name)
    if length != size:
        raise _OutsideError(f"gives the tensor {name} {length:,} bytes; its shape needs {size:,}")
    tensor.raw_data = _read_file(beside, f"the data of {name}, {location!r},", offset, length)
    tensor.data_location = onnx.TensorProto.DEFAULT


def _where(tensor: onnx.TensorProto, name: str) -> Mapping[str, str]:
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in _KEYS:
            raise _OutsideError(f"says {graph.quote(entry.key)} of where the tensor {name} lies")
        if entry.key in entries:
            raise _OutsideError(f"says twice at which {entry.key} the tensor {name} lies")
        entries[entry.key] = entry.value
    return entries


def _number(entries: Mapping[str, str], key: str, default: int, name: str) -> int:
    text = entries.get(key, str(default))
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise _OutsideError(f"has {graph.quote(text)} for the {key} of the tensor {name}")
    return int(text)


def _find_beside(location: str, path: Path, name: str) -> Path:
    """Return the path of a data file of the model's own folder.

    Raises:
        RefusedError: it would lie elsewhere.
    """
    plain = re.fullmatch(r"[^/\\:\x00-\x1f]{1,255}", location)
    if not plain or location in (".", "..") or location == path.name:
        raise _OutsideError(
            f"keeps the tensor {name} in {graph.quote(location)}",
            "data are taken from a file beside the model alone: write both into one folder by onnx.save",
        )
    return path.parent / location


def _read_file(path: Path, called: str, offset: int = 0, length: int | None = None) -> bytes:
    """Return bytes of a regular file; of a data file exactly `size`, without following a link to it.

    Raises:
        RefusedError, ModelError: it cannot be read so.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    if length is not None:
        flags |= getattr(os, "O_NOFOLLOW", 0)
        if path.is_symlink():
            raise _OutsideError(f"has {called} as a link", "put the file itself beside the model")
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            _check_file(found, called, length)
            size = found.st_size - offset if length is None else length
            if offset + size > found.st_size:
                raise _OutsideError(
                    f"needs bytes {offset:,} to {offset + size:,} of {called} which has {found.st_size:,}",
                    "give the data file that was written with the model",
                )
            file.seek(offset)
            body = file.read(size)
    except OSError as error:
        if length is None:
            raise ModelError(
                f"{path} cannot be read: {error.strerror}; give a file that you may read"
            ) from None
        raise _OutsideError(
            f"has {called} which cannot be read beside the model ({error.strerror})", _BESIDE
        ) from None
    if len(body) != size:
        raise _OutsideError(f"has {called} which changed while it was read", "try again")
    return body


def _check_file(found: Any, called: str, length: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        if length is None:
            raise ModelError(f"{called} is no regular file; give a model file")
        raise _OutsideError(f"has {called} as something that is no regular file", _BESIDE)
    if length is not None and found.st_nlink > 1:
        raise _OutsideError(f"has {called} under a second name (a hard link)", "give a copy of its own")
    if length is None and found.st_size > catalog.MAX_BYTES:
        raise ModelError(
            f"{called} is too large; model files of up to {catalog.MAX_BYTES // 1024**2} MiB are taken"
        )


__all__ = ["read_whole"]
