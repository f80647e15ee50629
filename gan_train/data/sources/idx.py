"""Reads IDX files, the format of MNIST: a pair of arrays, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from gan_infer.decoding.decode import explain
from gan_infer.errors import DataError
from gan_train.data import listing

_MAX_BYTES: Final = 4 * 1024**3


def find_pair(path: Path) -> tuple[Path, Path | None] | None:
    """Return (images, labels or None) for a path that names an IDX image file, or None."""
    if not path.is_file() or not _is_named_so(path):
        return None
    stem = path.name.removesuffix(".gz")
    labels = stem.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    for name in (labels, labels + ".gz"):
        beside = path.with_name(name)
        if beside.is_file() and beside != path:
            return path, beside
    return path, None


def find_pair_in(folder: Path) -> tuple[Path, Path | None] | None:
    """Return the training pair of a folder that holds IDX files, or None."""
    found = sorted(path for path in folder.glob("*idx[34]*") if path.is_file() and _is_named_so(path))
    chosen = [path for path in found if "train" in path.name] or found
    return find_pair(chosen[0]) if chosen else None


def _is_named_so(path: Path) -> bool:
    stem = path.name.removesuffix(".gz")
    return ("idx3" in stem or "idx4" in stem) and not stem.lower().endswith(listing.SUFFIXES)


def read(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped or not.

    The format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each dimension
    as a big-endian 32-bit integer, then the bytes.

    Raises:
        DataError: names the file and says what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            return _read_array(file, path)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path} cannot be read: {explain(error)}; fetch it again") from None


def _read_array(file: BinaryIO | gzip.GzipFile, path: Path) -> npt.NDArray[np.uint8]:
    begin = file.read(4)
    if len(begin) < 4 or begin[:3] != b"\x00\x00\x08" or not 1 <= begin[3] <= 4:
        raise DataError(f"{path} is no IDX file of bytes; expected it to begin with 00 00 08")
    sides = file.read(4 * begin[3])
    shape = tuple(int.from_bytes(sides[i : i + 4], "big") for i in range(0, len(sides), 4))
    count = math.prod(shape)
    if count > _MAX_BYTES:
        raise DataError(f"{path} says that it holds {count:,} values; at most {_MAX_BYTES:,} are read")
    body = bytearray()  # grows as bytes come: the header may be wrong
    while len(body) <= count and (more := file.read(min(2**24, count + 1 - len(body)))):
        body += more
    if len(sides) != 4 * begin[3] or len(body) != count:
        held = f"{len(body):,}" if len(body) <= count else "more"
        raise DataError(
            f"{path} is cut short or padded: its header says {count:,} values, "
            f"it holds {held}; fetch it again"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def read_pair(
    images: Path, labels: Path | None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """Read pictures uint8 [n, height, width, channels] and labels int64 [n] or None.

    Raises:
        DataError: as `read`, or the two files do not belong together.
    """
    pixels = read(images)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3, 4) or not math.prod(pixels.shape[1:]):
        raise DataError(f"{images} has shape {pixels.shape}; expected [n, height, width] of pictures")
    if labels is None:
        return pixels, None
    classes = read(labels).astype(np.int64)
    if classes.shape != (len(pixels),):
        raise DataError(
            f"{labels} has shape {classes.shape} for the {len(pixels)} pictures of {images.name}; "
            "expected one label for each picture"
        )
    return pixels, classes
