"""An .npz file of pictures and labels to two arrays; nothing in it is ever unpickled."""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from gan_infer.decode import plain
from gan_infer.errors import DataError
from gan_train.data import cache
from gan_train.data.listing import encode

IMAGE_KEYS: Final = ("images", "x", "x_train", "arr_0")
LABEL_KEYS: Final = ("labels", "y", "y_train", "arr_1")
NAME_KEYS: Final = ("class_names", "classes")
# Larger arrays that are stored without compression stay on disk.
IN_MEMORY_BYTES: Final = 1024**3
MAX_PACKED_BYTES: Final = 16 * 1024**3
_MAX_LABEL_BYTES: Final = 1024**3
_EXPECTED: Final = "expected `images` uint8 [n, height, width] or [n, height, width, channels]"

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def holds_arrays(archive: zipfile.ZipFile) -> bool:
    """Tell whether a zip file is an .npz: every member is a stored array."""
    names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def read(archive: zipfile.ZipFile, place: Path) -> tuple[Pixels, Labels | None, tuple[str, ...]]:
    """Give pictures uint8 [n, height, width, channels], labels int64 [n] or None, and class names.

    Raises:
        DataError: an array is missing, damaged, or of a wrong type or shape; says which.
    """
    known = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    image_key = next((key for key in IMAGE_KEYS if key in known), None)
    if image_key is None:
        raise DataError(f"{place} holds {', '.join(sorted(known)[:5])}; {_EXPECTED}")
    try:
        images = _array(archive, known[image_key], place)
        images = images[..., None] if images.ndim == 3 else images
        fits = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in (1, 3, 4)
        if not fits or not math.prod(images.shape[1:]):
            raise DataError(
                f"`{image_key}` is {images.dtype} {list(images.shape)}; {_EXPECTED}, channels being 1, 3 or 4"
            )
        label_key = next((key for key in LABEL_KEYS if key in known), None)
        if label_key is None:
            return images, None, ()
        values = _small(archive, known[label_key])
        names = next((_small(archive, known[key]) for key in NAME_KEYS if key in known), None)
        return images, *_classes(values, len(images), label_key, names)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    # Foreign bytes: a broken archive or header raises errors of many classes.
    except Exception as error:
        raise DataError(f"{place} is damaged: {plain(error)}; save it again with numpy.savez") from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> Pixels:
    """Read an array whose header and size in the archive agree; a large one stays on disk if it can."""
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream, info.filename)
        start = stream.tell()
        size = math.prod(shape) * dtype.itemsize
        if info.file_size - start != size:
            raise DataError(f"{info.filename} is cut short: {info.file_size - start:,} of {size:,} bytes")
        plainly_stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        if size > IN_MEMORY_BYTES and plainly_stored:
            at = _offset(place, info) + start
            layout: Literal["F", "C"] = "F" if fortran else "C"
            return np.memmap(place, dtype, "r", offset=at, shape=shape, order=layout)
        most = max(IN_MEMORY_BYTES, int(min(MAX_PACKED_BYTES, cache.memory_bytes() / 2)))
        if size > most:
            raise DataError(
                f"{info.filename} unpacks to {size:,} bytes; at most {most:,} are read into "
                "memory here; save it with numpy.savez, without compression, and it is used where it lies"
            )
        array = np.empty(size, np.uint8)
        done = 0
        while part := stream.read(min(2**20, size - done)):
            array[done : done + len(part)] = np.frombuffer(part, np.uint8)
            done += len(part)
        if done < size:
            raise DataError(f"{info.filename} is cut short")
        stream.read(1)  # the check of the content comes with its end
    shaped: Pixels = array.view(dtype).reshape(shape, order="F" if fortran else "C")
    return shaped


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise DataError(f"{name} is an array of format {version}; expected 1.0 or 2.0")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects, which are never read; save numbers, or text by astype(str)"
        )
    return shape, fortran, dtype


def _offset(place: Path, info: zipfile.ZipInfo) -> int:
    """Give where a member's bytes begin: after its own header, a name and an extra field."""
    with place.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
    if header[:4] != b"PK\3\4":
        raise DataError(f"{info.filename} has no header in the archive")
    offset = info.header_offset + 30 + int.from_bytes(header[26:28], "little")
    offset += int.from_bytes(header[28:30], "little")
    if offset + info.file_size > os.path.getsize(place):  # noqa: PTH202
        raise DataError(f"{info.filename} is cut short")
    return offset


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[np.generic]:
    if info.file_size > _MAX_LABEL_BYTES:
        raise DataError(f"{info.filename} is too large for labels")
    content = io.BytesIO(archive.read(info))
    _header(content, info.filename)
    content.seek(0)
    array: npt.NDArray[np.generic] = np.lib.format.read_array(content, allow_pickle=False)
    return array


def _classes(
    values: npt.NDArray[np.generic], count: int, key: str, names: npt.NDArray[np.generic] | None
) -> tuple[Labels, tuple[str, ...]]:
    if values.shape == (count, 1):
        values = values[:, 0]
    if values.dtype.kind == "S":
        values = np.char.decode(values.astype(np.bytes_), "utf-8")
    whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and _is_whole(values))
    if values.shape != (count,) or not (whole or values.dtype.kind == "U"):
        raise DataError(
            f"`{key}` is {values.dtype} {list(values.shape)} for {count} pictures{_strange(values)}; "
            "expected one whole number or text a picture"
        )
    if not whole:
        return encode([str(value) for value in values])
    # Numbers that unsigned integers of 64 bits hold alone stay what they are.
    numbers = values if values.dtype.kind == "u" else values.astype(np.int64)
    if names is not None and names.ndim == 1 and names.dtype.kind == "U" and count:
        if numbers.min() < 0 or numbers.max() >= len(names):
            raise DataError(
                f"`{key}` reaches from {numbers.min()} to {numbers.max()}; {len(names)} class names"
            )
        return encode([str(names[number]) for number in numbers])
    return encode([str(number) for number in numbers.tolist()])


def _is_whole(values: npt.NDArray[Any]) -> bool:
    """Tell whether all floats are whole numbers that they hold exactly."""
    exact = values.astype(np.float64)
    return bool(np.isfinite(exact).all() and (np.abs(exact) < 2**53).all() and (exact == exact.round()).all())


def _strange(values: npt.NDArray[Any]) -> str:
    """Give the first float that is no whole number, for a message; "" of other values."""
    if values.dtype.kind != "f":
        return ""
    return next((f" with {value:g} among them" for value in values.reshape(-1) if not _is_whole(value)), "")
