"""Paths between latents: straight lines, arcs and closed loops.

A latent is float [dim]; positions on a path run from 0 (its start) to 1 (its end). All is computed in
float64 and rounded to float32 once, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.errors import OptionError
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    Latents = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

# Latents in one array, more than any sheet or animation shows.
_MOST_STEPS: Final = 10_000_000
MODES: Final = ("slerp", "lerp")
MAX_PSI: Final = 2.0

# Latents closer to parallel than this are joined by a line: the arc rounds to the same.
_PARALLEL: Final = 1e-9


def lerp(a: npt.ArrayLike, b: npt.ArrayLike, positions: npt.ArrayLike) -> Latents:
    """Return the points of the straight line from a to b: float32 [number of positions, dim].

    Position 0 gives a and position 1 gives b, exactly.

    Raises:
        OptionError: a and b are not vectors of the same length, or hold values that are not finite.
    """
    start, end, t = _check_ends(a, b, positions)
    return _round(start * (1.0 - t) + end * t, start, end, t)


def slerp(a: npt.ArrayLike, b: npt.ArrayLike, positions: npt.ArrayLike) -> Latents:
    """Return the points of the arc from a to b: float32 [number of positions, dim].

    The direction turns at constant speed along the great circle (Shoemake, SIGGRAPH 1985, section
    3.3); the length changes linearly from that of a to that of b. High-dimensional normal latents lie
    near a sphere, and the middle of a straight line does not (White, 2016). Position 0 gives a and
    position 1 gives b, exactly. Parallel latents, and those of length 0, are joined by a line; exactly
    opposite ones by one of the many arcs, always the same.

    Raises:
        OptionError: a and b are not vectors of the same length, or hold values that are not finite.
    """
    start, end, t = _check_ends(a, b, positions)
    lengths = float(np.linalg.norm(start)), float(np.linalg.norm(end))
    if min(lengths) == 0.0:
        return _round(start * (1.0 - t) + end * t, start, end, t)
    first, last = start / lengths[0], end / lengths[1]
    along = float(first @ last)
    across = last - along * first
    apart = float(np.linalg.norm(across))
    if apart < _PARALLEL:
        if along > 0 or len(first) == 1:
            return _round(start * (1.0 - t) + end * t, start, end, t)
        across = np.zeros_like(first)
        across[np.argmin(np.abs(first))] = 1.0
        across -= (across @ first) * first
        apart, angle = float(np.linalg.norm(across)), np.pi
    else:
        angle = float(np.arctan2(apart, along))  # exact near 0 and pi, where the arc cosine is not
    turned = first * np.cos(t * angle) + across / apart * np.sin(t * angle)
    return _round(turned * (lengths[0] * (1.0 - t) + lengths[1] * t), start, end, t)


def between(a: npt.ArrayLike, b: npt.ArrayLike, steps: int, mode: str = "slerp") -> Latents:
    """Return `steps` latents at even positions from a to b, both included.

    Returns:
        float32 [steps, dim].

    Raises:
        OptionError: `steps` is under 2, `mode` is unknown, or as `slerp`.
    """
    steps = arguments.whole_number(steps, "steps", 2, _MOST_STEPS)
    path: Latents = _choose(mode)(a, b, np.linspace(0.0, 1.0, steps))
    return path


def loop(points: npt.ArrayLike, steps: int, mode: str = "slerp") -> Latents:
    """Return `steps` latents on the closed path through all points, in order, starting at the first.

    Each leg has the same number of steps. The last latent lies one step before the first, so that an
    animation repeats without a stop; if `steps` is a multiple of the number of points, every point is
    included.

    Args:
        points: float [n, dim], n >= 1; a single one gives the same latent each time.

    Returns:
        float32 [steps, dim].

    Raises:
        OptionError: `steps` is under 1, `mode` is unknown, or `points` is of another shape.
    """
    corners = arguments.numbers(points, "points")
    steps = arguments.whole_number(steps, "steps", most=_MOST_STEPS)
    if corners.ndim != 2 or len(corners) == 0:
        raise OptionError(f"points of shape {corners.shape} were given; expected [n, dim] with n >= 1")
    legs, rest = loop_positions(len(corners), steps)
    join, result = _choose(mode), np.empty((steps, corners.shape[1]), np.float32)
    for leg in range(len(corners)):
        rows = legs == leg
        if rows.any():
            result[rows] = join(corners[leg], corners[(leg + 1) % len(corners)], rest[rows])
    return result


def loop_positions(points: int, steps: int) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Return the position of each of `steps` frames on a closed path of so many points.

    Returns:
        (leg, position): int64 [steps] from 0, the point before the frame, and float64 [steps] in
        [0, 1), the part of the way to the next point.

    Raises:
        OptionError: `steps` is under 1.
    """
    points = arguments.whole_number(points, "points", most=_MOST_STEPS)
    steps = arguments.whole_number(steps, "steps", most=_MOST_STEPS)
    # In integers, so that a frame at a point lies exactly on it.
    whole = np.arange(steps, dtype=np.int64) * points
    return whole // steps, (whole % steps) / steps


def check_psi(psi: Any) -> float:
    """Return the truncation, a factor on latents, as a float.

    Raises:
        OptionError: it is not a number from 0 to 2.
    """
    is_number = isinstance(psi, (int, float, np.integer, np.floating)) and not isinstance(psi, bool)
    if not is_number or not 0.0 <= psi <= MAX_PSI:
        raise OptionError(
            f"psi was {abridge(psi)}; "
            f"give a number from 0 (the mean picture) to {MAX_PSI:g}, 1 for no truncation"
        )
    return float(psi)


def _choose(mode: str) -> Any:
    if not isinstance(mode, str) or mode not in MODES:
        raise OptionError(f"mode {abridge(mode)} is unknown; give one of {', '.join(MODES)}")
    return slerp if mode == "slerp" else lerp


def _check_ends(
    a: npt.ArrayLike, b: npt.ArrayLike, positions: npt.ArrayLike
) -> tuple[Doubles, Doubles, Doubles]:
    start, end = arguments.numbers(a, "a latent"), arguments.numbers(b, "a latent")
    if start.ndim != 1 or start.shape != end.shape or start.size == 0:
        raise OptionError(
            f"latents of shapes {start.shape} and {end.shape} were given; expected two of the same [dim]"
        )
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise OptionError("a latent holds numbers that are not finite; give finite ones")
    places = arguments.numbers(positions, "positions").reshape(-1, 1)
    if not np.isfinite(places).all():
        raise OptionError(
            f"positions were {abridge(positions)}; give finite numbers, from 0 at the start to 1 at the end"
        )
    return start, end, places


def _round(path: Doubles, start: Doubles, end: Doubles, t: Doubles) -> Latents:
    with np.errstate(over="ignore"):
        result = path.astype(np.float32)
    result[t[:, 0] == 0.0] = start
    result[t[:, 0] == 1.0] = end
    return result
