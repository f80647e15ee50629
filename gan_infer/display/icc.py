"""Checks whether an ICC profile (ICC.1:2022) equals sRGB, which viewers assume anyway."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.display.findings import Findings

if TYPE_CHECKING:
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

MAX_BYTES: Final = 2**20
# Pixel values by which colours may differ; profiles of sRGB round their numbers.
_TOLERANCE: Final = 1.5
_HEADER: Final = 128
_MATRIX: Final = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")
_SAYS_NOTHING_OF_COLOUR: Final = frozenset(
    b"desc cprt dmnd dmdd dscm mmod targ calt tech meta wtpt bkpt chad chrm lumi meas view vued".split()
)
_WHITES: Final = ((0.9642, 1.0, 0.8249), (0.9505, 1.0, 1.0891))  # D50, and D65 as in older profiles
# sRGB under D50 (IEC 61966-2-1, adapted by Bradford's transform), a row per coordinate.
_SRGB: Final = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
)


class _OtherError(ValueError):
    """The profile is of a kind that this file does not read."""


def check(profile: bytes, findings: Findings) -> None:
    """Note a profile that changes colours."""
    try:
        error = _measure_error(profile)
    except (_OtherError, struct.error, ValueError, IndexError, OverflowError):
        findings.doubt("holds an ICC profile that may change its colours")
        return
    if not error <= _TOLERANCE:  # NaN is not sRGB either
        findings.change("holds an ICC profile that changes its colours")
    else:
        findings.add("an ICC profile of sRGB")


def _measure_error(profile: bytes) -> float:
    """Return the largest difference of a colour from sRGB, in pixel values (0 to 255)."""
    size, _, major, kind, space, connection = struct.unpack_from(">I4sB3x4s4s4s", profile)
    intent = struct.unpack_from(">I", profile, 64)[0]
    known = (b"mntr", b"XYZ ", b"acsp")
    if (kind, connection, profile[36:40]) != known or size > len(profile) or major > 4 or intent > 2:
        raise _OtherError
    tags = _read_tags(profile)
    needed = (b"kTRC",) if space == b"GRAY" else _MATRIX + _CURVES
    if space not in (b"GRAY", b"RGB ") or set(tags) - _SAYS_NOTHING_OF_COLOUR != set(needed):
        raise _OtherError
    if b"wtpt" in tags and not any(
        np.allclose(_read_xyz(tags[b"wtpt"]), white, atol=2e-3) for white in _WHITES
    ):
        raise _OtherError
    values = np.linspace(0, 1, 256)
    if space == b"GRAY":
        return float(np.abs(_encode_srgb(_apply_curve(tags[b"kTRC"], values)) - values).max() * 255)
    linear = np.stack([_apply_curve(tags[name], values) for name in _CURVES])
    matrix = np.stack([_read_xyz(tags[name]) for name in _MATRIX], axis=1)
    steps = linear[:, ::15]  # 18 values per channel, black and white among them
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*steps, indexing="ij")])
    right = np.stack([axis.ravel() for axis in np.meshgrid(*[values[::15]] * 3, indexing="ij")])
    shown = _encode_srgb(np.linalg.solve(_SRGB, matrix @ grid))
    greys = _encode_srgb(np.linalg.solve(_SRGB, matrix @ linear))
    return float(max(np.abs(shown - right).max(), np.abs(greys - values).max()) * 255)


def _read_tags(profile: bytes) -> dict[bytes, bytes]:
    tags = {}
    for index in range(min(struct.unpack_from(">I", profile, _HEADER)[0], 100)):
        name, place, length = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * index)
        if name in tags or place + length > len(profile):
            raise _OtherError
        tags[name] = profile[place : place + length]
    return tags


def _read_xyz(tag: bytes) -> Doubles:
    if tag[:4] != b"XYZ ":
        raise _OtherError
    return _read_fixed(tag, 8, 3)


def _read_fixed(tag: bytes, place: int, count: int) -> Doubles:
    return np.array(struct.unpack_from(f">{count}i", tag, place)) / 65536


def _apply_curve(tag: bytes, values: Doubles) -> Doubles:
    """Return the linear light of values, both from 0 to 1."""
    if tag[:4] == b"para":
        return _apply_parametric(tag, values)
    if tag[:4] != b"curv":
        raise _OtherError
    count = struct.unpack_from(">I", tag, 8)[0]
    if count == 0:
        return values
    if count == 1:
        light: Doubles = values ** (struct.unpack_from(">H", tag, 12)[0] / 256)
        return light
    table = np.array(struct.unpack_from(f">{min(count, 2**16)}H", tag, 12)) / 65535
    return np.interp(values, np.linspace(0, 1, len(table)), table)


def _apply_parametric(tag: bytes, values: Doubles) -> Doubles:
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        raise _OtherError
    given = _read_fixed(tag, 12, (1, 3, 4, 5, 7)[kind])
    g, a, b, c, d, e, f = np.concatenate([given, np.zeros(7 - len(given))]).tolist()
    if kind == 0:
        light: Doubles = values**g
        return light
    if kind in (1, 2):
        if not a:
            raise _OtherError
        c, d, e, f = 0.0, -b / a, (c if kind == 2 else 0.0), (c if kind == 2 else 0.0)
    power = np.maximum(a * values + b, 0) ** g + e
    result: Doubles = np.where(values >= d, power, c * values + f)
    return result


def _encode_srgb(linear: Any) -> Doubles:
    """Return the values in sRGB, 0 to 1, of linear light from 0 to 1."""
    light = np.clip(linear, 0, 1)
    result: Doubles = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return result
