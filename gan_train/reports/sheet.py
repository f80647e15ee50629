"""The sample sheet: the same seeds every time, a row a class, so that sheets can be compared."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gan_infer.latent import seeds as latents
from gan_infer.outputs import image
from gan_train.networks import pixels

_COLUMNS: Final = 8
_MOST_ROWS: Final = 16
_MOST_PIXELS: Final = 2**21
_LONGEST_SIDE: Final = 256


def draw(
    generator: nn.Module,
    latent_dim: int,
    distribution: str,
    classes: int,
    device: torch.device,
) -> npt.NDArray[np.uint8]:
    """Return a sheet, uint8 [height, width, channels], of the pictures of seeds 0, 1, ...

    With classes, row r is class r and column c seed c, just as `gan-infer grid` lays them out;
    without, the seeds follow each other row by row. Of large pictures there are fewer, see `layout`.
    """
    one = pixels.draw(generator, *_wanted(1, 1, latent_dim, distribution, classes, device))
    height, width = one.shape[1:3]
    rows, columns = layout(height, width, classes)
    drawn = pixels.draw(generator, *_wanted(rows, columns, latent_dim, distribution, classes, device))
    return image.enlarge(image.tile(drawn, columns), factor(height, width))


def layout(height: int, width: int, classes: int) -> tuple[int, int]:
    """Return the rows and columns of a sheet of pictures of a size.

    16 classes (or all, if fewer) by 8 seeds, or 8 by 8 without classes; halved one way or the other
    until about two million pixels are enough, and each side is one that viewers open.
    """
    rows, columns = min(classes, _MOST_ROWS) or 8, _COLUMNS
    while rows > 1 and rows * (height + image.GAP) * factor(height, width) > image.VIEWABLE_SIDE:
        rows = -(-rows // 2)
    while columns > 1 and columns * (width + image.GAP) * factor(height, width) > image.VIEWABLE_SIDE:
        columns = -(-columns // 2)
    area = height * width * factor(height, width) ** 2
    while rows * columns * area > _MOST_PIXELS and rows * columns > 4:
        if rows > columns or (rows == columns and not classes):
            rows = -(-rows // 2)
        else:
            columns = -(-columns // 2)
    return rows, columns


def factor(height: int, width: int) -> int:
    """Return how often a pixel is repeated both ways, so that small pictures can be seen."""
    return max(1, min(image.factor_for(height, width), _LONGEST_SIDE // max(height, width)))


def _wanted(
    rows: int, columns: int, latent_dim: int, distribution: str, classes: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if classes:
        seeds = np.tile(np.arange(columns), rows)
        labels = torch.arange(rows, device=device).repeat_interleave(columns)
    else:
        seeds, labels = np.arange(rows * columns), None
    return torch.from_numpy(latents.latents(seeds, latent_dim, distribution)).to(device), labels
