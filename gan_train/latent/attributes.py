"""Measures attributes of pictures by their pixels: thickness, slant, brightness, extent.

Pictures are uint8 [n, height, width, channels] with 1 (grey), 3 (RGB) or 4 (RGBA) channels. A
stroke is what differs from the background, which is the median of the border.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]
Planes = npt.NDArray[np.float32]

# Rec. 601, as Pillow turns colours to grey.
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
# Strokes are measured on pictures enlarged to about this side, to fractions of a pixel.
_FINE_SIDE: Final = 84
_AT_ONCE: Final = 256


def grey_values(pictures: Pictures) -> Planes:
    """Return the grey values, 0 to 1, float32 [n, height, width]; transparent pixels are black."""
    values: Planes = pictures.astype(np.float32)
    values /= 255
    grey: Planes = values[..., 0] if pictures.shape[3] == 1 else values[..., :3] @ _LUMA
    if pictures.shape[3] == 4:
        grey = grey * values[..., 3]
    return grey


def ink(pictures: Pictures) -> Planes:
    """Return how far each pixel is from the background, 0 to 1, float32 [n, height, width]."""
    grey = grey_values(pictures)
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    far: Planes = np.abs(grey - np.median(border, axis=1).astype(np.float32)[:, None, None])
    return far


def brightness(pictures: Pictures) -> Doubles:
    """Return the mean grey value of each picture, 0 to 1, float64 [n]."""
    means: Doubles = grey_values(pictures).mean((1, 2), dtype=np.float64)
    return means


def slant(pictures: Pictures) -> Doubles:
    """Return how far strokes lean to the right of upright, in degrees, float64 [n].

    The angle of the shear that removes the covariance of the ink's x and y: atan(-mu11 / mu02),
    y pointing down, as it is used to deskew digits. 0 for a picture without ink, or whose ink has no
    height.
    """
    _, down, covariance = _moments(pictures)
    angles: Doubles = np.degrees(np.arctan2(-covariance, np.where(down > 0, down, 1.0)))
    return angles


def width(pictures: Pictures) -> Doubles:
    """Return how wide the ink spreads, in pixels, float64 [n]: the width of a filled box of that spread."""
    across, _, _ = _moments(pictures)
    return _side(across)


def height(pictures: Pictures) -> Doubles:
    """Return how high the ink spreads, in pixels, float64 [n]: the height of a filled box of that spread."""
    _, down, _ = _moments(pictures)
    return _side(down)


def thickness(pictures: Pictures) -> Doubles:
    """Return the width of the strokes in pixels, float64 [n]; 0 for a picture without ink.

    Four times the mean distance of the ink from its edge, which for a straight stroke is its width;
    ink is where an enlarged picture is over half of its darkest.
    """
    parts = [_thickness(pictures[start : start + _AT_ONCE]) for start in range(0, len(pictures), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros(0)


ATTRIBUTES: Final[dict[str, Callable[[Pictures], Doubles]]] = {
    "thickness": thickness,
    "slant": slant,
    "brightness": brightness,
    "width": width,
    "height": height,
}


def _moments(pictures: Pictures) -> tuple[Doubles, Doubles, Doubles]:
    """Return the variance of the ink's x, that of its y, and their covariance, in pixels^2; 0 without ink."""
    plane = ink(pictures).astype(np.float64)
    rows, columns = np.arange(plane.shape[1]), np.arange(plane.shape[2])
    total = np.maximum(plane.sum((1, 2)), 1e-12)
    y = rows - ((plane.sum(2) @ rows) / total)[:, None]
    x = columns - ((plane.sum(1) @ columns) / total)[:, None]
    pairs = (("nij,nj,nj->n", x, x), ("nij,ni,ni->n", y, y), ("nij,ni,nj->n", y, x))
    across, down, covariance = (np.einsum(text, plane, a, b, optimize=True) / total for text, a, b in pairs)
    return across, down, covariance


def _side(variance: Doubles) -> Doubles:
    # Pixels side by side fill a box whose variance is (side^2 - 1) / 12.
    side: Doubles = np.sqrt(12 * variance + (variance > 0))
    return side


def _thickness(pictures: Pictures) -> Doubles:
    plane = ink(pictures)
    factor = max(2, round(_FINE_SIDE / max(plane.shape[1:])))
    fine = _enlarge(_enlarge(plane, factor, 1), factor, 2)
    deepest = fine.max((1, 2), keepdims=True)
    mask = (fine > deepest / 2) & (deepest > 1 / 255)
    distance = np.where(mask, edge_distance(mask) - 0.5, 0.0)
    area = np.maximum(mask.sum((1, 2)), 1)
    widths: Doubles = 4.0 * distance.sum((1, 2), dtype=np.float64) / area / factor
    return widths


def edge_distance(mask: npt.NDArray[np.bool_]) -> Planes:
    """Return each pixel's Euclidean distance to the nearest one outside the mask, 0 outside.

    Distances are between centres; all beyond the picture is outside. Exact: nearest along columns,
    then the lower envelope along rows (Felzenszwalb and Huttenlocher, Theory of Computing 2012).

    Args:
        mask: bool [n, height, width].

    Returns:
        float32 [n, height, width].
    """
    count, rows, columns = mask.shape
    column = np.zeros((count, rows + 2, columns + 2), np.float32)
    inside = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    for row in range(1, rows + 1):
        column[:, row] = (column[:, row - 1] + 1) * inside[:, row]
    for row in range(rows, 0, -1):
        column[:, row] = np.minimum(column[:, row], (column[:, row + 1] + 1) * inside[:, row])
    squared = column**2
    nearest = squared.copy()
    for offset in range(1, columns + 2):
        if offset**2 >= nearest.max(initial=0):
            break
        np.minimum(nearest[..., offset:], squared[..., :-offset] + offset**2, out=nearest[..., offset:])
        np.minimum(nearest[..., :-offset], squared[..., offset:] + offset**2, out=nearest[..., :-offset])
    distance: Planes = np.sqrt(nearest[:, 1:-1, 1:-1])
    return distance


def _enlarge(plane: Planes, factor: int, axis: int) -> Planes:
    """Interpolate linearly between pixel centres along an axis, `factor` times as many."""
    side = plane.shape[axis]
    places = np.clip((np.arange(side * factor) + 0.5) / factor - 0.5, 0, side - 1)
    low = np.minimum(places.astype(np.int64), max(side - 2, 0))
    share = (places - low).astype(np.float32)
    share = share[:, None] if axis == 1 else share
    high = np.minimum(low + 1, side - 1)
    large: Planes = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return large
