"""The sample sheet: the same seeds every time, a row a class, so that sheets can be compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gan_infer import images, latents
from gan_train.networks.pixels import PixelGenerator

_COLUMNS = 8
_MOST_ROWS = 16


def draw(
    generator: nn.Module,
    latent_dim: int,
    distribution: str,
    classes: int,
    device: torch.device,
) -> npt.NDArray[np.uint8]:
    """Give a sheet, uint8 [height, width, channels], of the pictures of seeds 0, 1, ...

    With classes, row r is class r (of the first 16) and column c seed c, just as
    `gan-infer grid` lays them out; without, 8 rows of 8 seeds.
    """
    rows = min(classes, _MOST_ROWS) or 8
    if classes:
        seeds = np.tile(np.arange(_COLUMNS), rows)
        labels = torch.arange(rows, device=device).repeat_interleave(_COLUMNS)
    else:
        seeds, labels = np.arange(rows * _COLUMNS), None
    latent = torch.from_numpy(latents.latents(seeds, latent_dim, distribution)).to(device)
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        pictures = PixelGenerator(generator)(latent, labels).cpu().numpy()
    generator.train(was_training)
    sheet = images.tile(pictures, _COLUMNS)
    return images.enlarge(sheet, images.factor_for(*pictures.shape[1:3]))
