"""Tells whether an ICC profile (ICC.1:2022) says no more than sRGB, which is what viewers take anyway."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.display.findings import Findings

if TYPE_CHECKING:
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

MAX_BYTES: Final = 2**20
# Levels by which colours may come out otherwise; profiles of sRGB round their numbers.
_LEVELS: Final = 1.5
_HEADER: Final = 128
_MATRIX: Final = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")
_SAYS_NOTHING_OF_COLOUR: Final = frozenset(
    b"desc cprt dmnd dmdd dscm mmod targ calt tech meta wtpt bkpt chad chrm lumi meas view vued".split()
)
_WHITES: Final = ((0.9642, 1.0, 0.8249), (0.9505, 1.0, 1.0891))  # D50, and D65 as in older profiles
# sRGB under D50 (IEC 61966-2-1, adapted by Bradford's transform), a row a coordinate.
_SRGB: Final = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
)


class _OtherError(ValueError):
    """The profile is of a kind that is not read here."""


def check(profile: bytes, found: Findings) -> None:
    """Note a profile that changes colours."""
    try:
        off = _levels_off(profile)
    except (_OtherError, struct.error, ValueError, IndexError, OverflowError):
        found.doubt("holds an ICC profile that may change its colours")
        return
    if not off <= _LEVELS:  # what is no number is not sRGB either
        found.change("holds an ICC profile that changes its colours")
    else:
        found.add("an ICC profile of sRGB")


def _levels_off(profile: bytes) -> float:
    """Return by how many levels a colour comes out otherwise than by sRGB, at most."""
    size, _, major, kind, space, connection = struct.unpack_from(">I4sB3x4s4s4s", profile)
    intent = struct.unpack_from(">I", profile, 64)[0]
    known = (b"mntr", b"XYZ ", b"acsp")
    if (kind, connection, profile[36:40]) != known or size > len(profile) or major > 4 or intent > 2:
        raise _OtherError
    tags = _tags(profile)
    needed = (b"kTRC",) if space == b"GRAY" else _MATRIX + _CURVES
    if space not in (b"GRAY", b"RGB ") or set(tags) - _SAYS_NOTHING_OF_COLOUR != set(needed):
        raise _OtherError
    if b"wtpt" in tags and not any(np.allclose(_xyz(tags[b"wtpt"]), white, atol=2e-3) for white in _WHITES):
        raise _OtherError
    levels = np.linspace(0, 1, 256)
    if space == b"GRAY":
        return float(np.abs(_encoded(_curve(tags[b"kTRC"], levels)) - levels).max() * 255)
    linear = np.stack([_curve(tags[name], levels) for name in _CURVES])
    matrix = np.stack([_xyz(tags[name]) for name in _MATRIX], axis=1)
    steps = linear[:, ::15]  # 18 levels a channel, black and white among them
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*steps, indexing="ij")])
    right = np.stack([axis.ravel() for axis in np.meshgrid(*[levels[::15]] * 3, indexing="ij")])
    shown = _encoded(np.linalg.solve(_SRGB, matrix @ grid))
    greys = _encoded(np.linalg.solve(_SRGB, matrix @ linear))
    return float(max(np.abs(shown - right).max(), np.abs(greys - levels).max()) * 255)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    tags = {}
    for index in range(min(struct.unpack_from(">I", profile, _HEADER)[0], 100)):
        name, place, length = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * index)
        if name in tags or place + length > len(profile):
            raise _OtherError
        tags[name] = profile[place : place + length]
    return tags


def _xyz(tag: bytes) -> Doubles:
    if tag[:4] != b"XYZ ":
        raise _OtherError
    return _fixed(tag, 8, 3)


def _fixed(tag: bytes, place: int, count: int) -> Doubles:
    return np.array(struct.unpack_from(f">{count}i", tag, place)) / 65536


def _curve(tag: bytes, levels: Doubles) -> Doubles:
    """Return the light of levels, both from 0 to 1."""
    if tag[:4] == b"para":
        return _parametric(tag, levels)
    if tag[:4] != b"curv":
        raise _OtherError
    count = struct.unpack_from(">I", tag, 8)[0]
    if count == 0:
        return levels
    if count == 1:
        return levels ** (struct.unpack_from(">H", tag, 12)[0] / 256)  # type: ignore[no-any-return]
    table = np.array(struct.unpack_from(f">{min(count, 2**16)}H", tag, 12)) / 65535
    return np.interp(levels, np.linspace(0, 1, len(table)), table)


def _parametric(tag: bytes, levels: Doubles) -> Doubles:
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        raise _OtherError
    given = _fixed(tag, 12, (1, 3, 4, 5, 7)[kind])
    g, a, b, c, d, e, f = np.concatenate([given, np.zeros(7 - len(given))]).tolist()
    if kind == 0:
        return levels**g  # type: ignore[no-any-return]
    if kind in (1, 2):
        if not a:
            raise _OtherError
        c, d, e, f = 0.0, -b / a, (c if kind == 2 else 0.0), (c if kind == 2 else 0.0)
    power = np.maximum(a * levels + b, 0) ** g + e
    shown: Doubles = np.where(levels >= d, power, c * levels + f)
    return shown


def _encoded(linear: Any) -> Doubles:
    """Return the levels of sRGB, 0 to 1, of light from 0 to 1."""
    light = np.clip(linear, 0, 1)
    shown: Doubles = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return shown
