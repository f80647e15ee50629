"""Converts arrays of other axes, types and ranges to pictures of 8 bits and to classes."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gan_infer.errors import DataError
from gan_train.data.names import escape, number_classes

EXPECTED: Final = "expected `images` uint8 [n, height, width] or [n, height, width, channels]"

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_WHITE: Final = 255
# Below, it is not clear what is white: sklearn's digits go from 0 to 16.
_SURELY_255: Final = 128
_ABOUT: Final = 1e-3
_STEP_BYTES: Final = 2**26
_LOOKED_AT: Final = 1000
_LEAST_SIDE: Final = 8


def to_pictures(array: npt.NDArray[Any], key: str) -> tuple[Pixels, list[str]]:
    """Return an array as uint8 [n, height, width, channels], and notes on what was done to it.

    Raises:
        DataError: its shape, type or range is not that of pictures, or is not clear.
    """
    shaped, notes = _arrange(array, key)
    if not math.prod(shaped.shape[1:]):
        raise _make_error(shaped, key)
    if shaped.dtype == np.uint8:
        if len(shaped) and int(shaped[:_LOOKED_AT].max()) <= 1:
            notes.append(f"`{key}` holds 0 and 1 alone, which is nearly black; save it as bool if 1 is white")
        return shaped, notes
    if shaped.dtype.kind not in "fiub":
        raise _make_error(array, key)
    scale, offset, note = _find_range(shaped, key)
    return _scale(shaped, scale, offset), [*notes, note]


def to_classes(
    values: npt.NDArray[Any], count: int, key: str, names: npt.NDArray[Any] | None, notes: list[str]
) -> tuple[Labels, tuple[str, ...]]:
    """Return int64 [n] and the names of the classes, of numbers, texts or one-hot rows.

    Args:
        names: of the classes, if the labels are numbers.
        notes: a list to which notes are added.

    Raises:
        DataError: there is not one class for each picture.
    """
    if values.shape == (count, 1):
        values = values[:, 0]
    if values.ndim == 2 and len(values) == count and _is_one_hot(values):
        notes.append(f"`{key}` {list(values.shape)} is one-hot: of each row the place of its 1 is the class")
        values = values.argmax(1)
    kind = values.dtype.kind
    whole = kind in "iub" or (kind == "f" and _is_whole(values))
    if values.shape != (count,) or not (whole or kind in "US"):
        raise DataError(
            f"`{key}` is {values.dtype} {list(values.shape)} for {count} pictures{_name_fraction(values)}; "
            "expected one whole number or text for each picture"
        )
    found, places = np.unique(values, return_inverse=True)
    texts = [_to_text(value) if kind in "US" else str(int(value)) for value in found.tolist()]
    if whole and names is not None and names.ndim == 1 and names.dtype.kind in "US" and count:
        if int(found[0]) < 0 or int(found[-1]) >= len(names):
            raise DataError(f"`{key}` reaches from {texts[0]} to {texts[-1]}; {len(names)} class names")
        texts = [_to_text(name) for name in names[found.astype(np.int64)].tolist()]
    numbers, class_names = number_classes(texts)
    return numbers[places.reshape(-1)], class_names


def _is_whole(values: npt.NDArray[Any]) -> bool:
    """Return whether all values are whole numbers that their float type holds exactly."""
    exact = values.astype(np.float64)
    return bool(np.isfinite(exact).all() and (np.abs(exact) < 2**53).all() and (exact == exact.round()).all())


def _name_fraction(values: npt.NDArray[Any]) -> str:
    """Return the first float that is no whole number, for a message; "" of other values."""
    if values.dtype.kind != "f":
        return ""
    return next((f" with {value:g} among them" for value in values.reshape(-1) if not _is_whole(value)), "")


def _to_text(value: str | bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _is_one_hot(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind not in "iufb" or values.shape[1] < 2:
        return False
    return bool((((values == 0) | (values == 1)).all()) and (values.sum(1) == 1).all())


def _arrange(array: npt.NDArray[Any], key: str) -> tuple[npt.NDArray[Any], list[str]]:
    """Return an array as [n, height, width, channels], a view if possible."""
    shape = array.shape
    if array.ndim == 3:
        return array[..., None], []
    if array.ndim == 2 and math.isqrt(shape[1]) ** 2 == shape[1] >= _LEAST_SIDE**2:
        side = math.isqrt(shape[1])
        return array.reshape(-1, side, side, 1), [
            f"`{key}` {list(shape)} is read as pictures of {side}x{side}"
        ]
    if array.ndim == 4 and shape[3] in (1, 3, 4):
        return array, []
    if array.ndim == 4 and shape[1] in (1, 3, 4):
        return np.moveaxis(array, 1, 3), [f"`{key}` {list(shape)} is read as [n, channels, height, width]"]
    raise _make_error(array, key)


def _make_error(array: npt.NDArray[Any], key: str) -> DataError:
    shape = array.shape
    todo = ""
    if array.ndim == 2 and shape[1] % 3 == 0 and (side := math.isqrt(shape[1] // 3)) ** 2 * 3 == shape[1] > 3:
        todo = (
            f"; save {key}.reshape(-1, 3, {side}, {side}) where channels come first, as CIFAR's, "
            f"else {key}.reshape(-1, {side}, {side}, 3)"
        )
    elif array.ndim == 4 and shape[2] in (1, 3, 4):
        todo = f"; save numpy.moveaxis({key}, -1, 0)"
    return DataError(
        f"`{escape(key)}` is {array.dtype} {list(shape)}; {EXPECTED}, channels being 1, 3 or 4{todo}"
    )


def _find_range(array: npt.NDArray[Any], key: str) -> tuple[float, float, str]:
    """Return (scale, offset) that map values to 0 to 255, and a note on the range."""
    if array.dtype.kind == "b":
        return _WHITE, 0, f"`{key}` is of true and false, read as white and black"
    low, high = _find_extent(array)
    what = f"`{key}` is {array.dtype} from {low:g} to {high:g}"
    whole = array.dtype.kind in "iu"
    about = 0.0 if whole else _ABOUT
    if low >= -about and high <= 1 + about:
        return _WHITE, 0, f"{what}, read as 0 to 1"
    if not whole and low >= -1 - about and high <= 1 + about:
        return _WHITE / 2, _WHITE / 2, f"{what}, read as -1 to 1"
    if low >= 0 and _SURELY_255 <= high <= _WHITE + about:
        return 1, 0, f"{what}, read as 0 to 255"
    raise DataError(
        f"{what}, which is none of 0 to 1, -1 to 1 and 0 to 255; save numpy.uint8 of 0 to 255, "
        f"as by ({key} - black) / (white - black) * 255"
    )


def _find_extent(array: npt.NDArray[Any]) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for part in _split_rows(array):
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        if not (math.isfinite(float(part.min())) and math.isfinite(float(part.max()))):
            raise DataError("pictures hold values that are not finite; leave these pictures out")
    return low, high


def _scale(array: npt.NDArray[Any], scale: float, offset: float) -> Pixels:
    made = np.empty(array.shape, np.uint8)
    at = 0
    for part in _split_rows(array):
        values = part.astype(np.float64) * scale + offset
        made[at : at + len(part)] = np.clip(np.rint(values), 0, _WHITE)
        at += len(part)
    return made


def _split_rows(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    step = max(1, _STEP_BYTES // max(1, 8 * math.prod(array.shape[1:])))
    return [array[start : start + step] for start in range(0, len(array), step)]
