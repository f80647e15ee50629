"""Reads pictures and labels from an .npz file; nothing in it is ever unpickled."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from gan_infer.decoding.decode import explain
from gan_infer.errors import DataError
from gan_train.data import cache
from gan_train.data.layout import splits
from gan_train.data.names import escape, list_names
from gan_train.data.sources import arrays
from gan_train.data.sources.arrays import EXPECTED

IMAGE_KEYS: Final = ("images", "x", "x_train", "arr_0")
LABEL_KEYS: Final = ("labels", "y", "y_train", "arr_1")
NAME_KEYS: Final = ("class_names", "classes", "label_names", "target_names")
# In upper or lower case, if none of the names above is there.
_MORE_IMAGE_KEYS: Final = (
    *("images", "x", "x_train", "train_images", "images_train", "train_x", "xtrain", "train_data", "data"),
    *("image", "imgs", "img", "pictures", "photos"),
)
_MORE_LABEL_KEYS: Final = ("labels", "y", "label", "target", "targets", "class", "category")
# The name of pictures -> the name of their labels.
_PARTNERS: Final = (
    *(("images", "labels"), ("image", "label"), ("imgs", "labels"), ("img", "label"), ("x", "y")),
    *(("data", "labels"), ("data", "label"), ("data", "targets"), ("data", "target"), ("arr_0", "arr_1")),
)
# Larger arrays that are stored without compression stay on disk.
IN_MEMORY_BYTES: Final = 1024**3
MAX_PACKED_BYTES: Final = 16 * 1024**3
_MAX_LABEL_BYTES: Final = 1024**3

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
_Known = Mapping[str, zipfile.ZipInfo]


def holds_arrays(archive: zipfile.ZipFile) -> bool:
    """Return whether a zip file is an .npz: every member is a stored array."""
    names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


@dataclasses.dataclass(frozen=True)
class Arrays:
    """The content of an .npz file.

    Attributes:
        images: uint8 [n, height, width, channels].
        labels: int64 [n], or None.
        class_names: by index.
        notes: how arrays were chosen and changed.
    """

    images: Pixels
    labels: Labels | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def read(archive: zipfile.ZipFile, place: Path, key: str = "") -> Arrays:
    """Read the pictures and labels of an .npz file.

    Args:
        key: the name of the pictures' array, "" to find it.

    Raises:
        DataError: an array is missing, damaged, or of a wrong type or shape; says which.
    """
    known = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key and key not in known:
        held = list_names(sorted(known))
        raise DataError(f"{place} holds no folder {escape(key)}; its folders are: none, its arrays: {held}")
    try:
        image_key, notes = (key, []) if key else _choose_images(archive, known, place)
        images, more = arrays.to_pictures(_read_array(archive, known[image_key], place), image_key)
        notes += more
        label_key = _choose_labels(archive, known, image_key, len(images), notes)
        if label_key is None:
            return Arrays(images, None, (), tuple(notes))
        values = _read_small(archive, known[label_key])
        names = next((_read_small(archive, known[each]) for each in NAME_KEYS if each in known), None)
        labels, class_names = arrays.to_classes(values, len(images), label_key, names, notes)
        return Arrays(images, labels, class_names, tuple(notes))
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    # Foreign bytes: a broken archive or header raises errors of many classes.
    except Exception as error:
        raise DataError(f"{place} is damaged: {explain(error)}; save it again with numpy.savez") from None


def _choose_images(archive: zipfile.ZipFile, known: _Known, place: Path) -> tuple[str, list[str]]:
    """Choose the array of pictures: by its usual names, else the one that has a shape of pictures."""
    lower = {name.lower(): name for name in reversed(list(known))}
    usual = [name for name in IMAGE_KEYS if name in known]
    usual += [lower[name] for name in _MORE_IMAGE_KEYS if name in lower and lower[name] not in usual]
    shapes = {name: shape for name, info in known.items() if (shape := _read_shape(archive, info))}
    like = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
    if usual:
        chosen = usual[0]
    else:
        train = [name for name in like if (part := splits.find_part(name)) and part.kind == splits.TRAIN]
        if len(like) != 1 and len(train) != 1:
            held = ", ".join(f"{escape(name)} {list(shapes.get(name, ()))}" for name in list(known)[:8])
            example = f"; name one, such as {place}/{escape(like[0])}" if like else ""
            raise DataError(f"holds {held}; {EXPECTED}{example}")
        chosen = train[0] if len(train) == 1 else like[0]
    others = [name for name in like if name != chosen]
    notes = [] if chosen in IMAGE_KEYS else [f"pictures are read from the array {escape(chosen)}"]
    if others:
        notes.append(
            f"the arrays {list_names(others)} are left out; "
            f"{place}/{escape(others[0])} names the first of them"
        )
    return chosen, notes


def _choose_labels(
    archive: zipfile.ZipFile, known: _Known, image_key: str, count: int, notes: list[str]
) -> str | None:
    """Choose the array of labels: by its usual names, else the one with a label for each picture."""
    if image_key in IMAGE_KEYS and (found := next((name for name in LABEL_KEYS if name in known), None)):
        return found
    lower = {name.lower(): name for name in reversed(list(known)) if name != image_key}
    own = image_key.lower()
    partners = [own.replace(one, other) for one, other in _PARTNERS if one in own]
    others = [*partners, *_MORE_LABEL_KEYS]
    found = next((lower[name] for name in others if name in lower), None)
    if found is None:
        fits = [name for name, info in known.items() if name != image_key and name not in NAME_KEYS]
        fits = [name for name in fits if _holds_labels(archive, known[name], count)]
        found = fits[0] if len(fits) == 1 else None
        if fits[1:]:
            notes.append(
                f"the arrays {list_names(fits)} may be labels, and are not used; call one of them labels"
            )
    if found is not None:
        notes.append(f"labels are read from the array {escape(found)}")
    return found


def _holds_labels(archive: zipfile.ZipFile, info: zipfile.ZipInfo, count: int) -> bool:
    """Return whether an array of any name holds a class for each picture."""
    shape = _read_shape(archive, info)
    if not shape or shape[0] != count or len(shape) > 2 or info.file_size > _MAX_LABEL_BYTES:
        return False
    try:
        labels, names = arrays.to_classes(_read_small(archive, info), count, "labels", None, [])
    except DataError:
        return False
    return 2 * len(names) <= len(labels)


def _read_shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """Return an array's shape, () if it cannot be read."""
    try:
        with archive.open(info) as stream:
            return _read_header(stream, info.filename)[0]
    except Exception:
        return ()


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> npt.NDArray[Any]:
    """Read an array whose header and size in the archive agree; a large one stays on disk if it can."""
    with archive.open(info) as stream:
        shape, fortran, dtype = _read_header(stream, info.filename)
        start = stream.tell()
        size = math.prod(shape) * dtype.itemsize
        if info.file_size - start != size:
            raise DataError(f"{info.filename} is cut short: {info.file_size - start:,} of {size:,} bytes")
        plainly_stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        if size > IN_MEMORY_BYTES and plainly_stored:
            at = _find_offset(place, info) + start
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
        stream.read(1)  # the content is checked at its end
    return array.view(dtype).reshape(shape, order="F" if fortran else "C")


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
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


def _find_offset(place: Path, info: zipfile.ZipInfo) -> int:
    """Return where a member's bytes begin: after its own header, a name and an extra field."""
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


def _read_small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[np.generic]:
    if info.file_size > _MAX_LABEL_BYTES:
        raise DataError(f"{info.filename} is too large for labels")
    content = io.BytesIO(archive.read(info))
    _read_header(content, info.filename)
    content.seek(0)
    array: npt.NDArray[np.generic] = np.lib.format.read_array(content, allow_pickle=False)
    return array
