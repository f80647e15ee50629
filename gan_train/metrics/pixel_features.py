"""Uses the pixels themselves as features, averaged down to 16x16."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_train.metrics.network import FeatureNetwork, Features, Pictures, shrink

NAME: Final = "pixels"
SIDE: Final = 16


def load(device: torch.device) -> FeatureNetwork:
    """Return a network whose features are pixel values, 0 to 1, averaged by area: at most 1,024 of them."""

    def extract(batch: Tensor) -> tuple[Tensor, None]:
        values = batch.to(device).permute(0, 3, 1, 2).float() / 255
        return shrink(values, SIDE).flatten(1), None

    return FeatureNetwork(NAME, f"{NAME}/1/{SIDE}", f"sides over {SIDE} averaged by area to {SIDE}", extract)


def averages(pictures: Pictures, rows: npt.NDArray[np.int64] | None = None) -> Features:
    """Return the features, float32 [n, d], of uint8 [n, height, width, channels], or of those at `rows`."""
    return load(torch.device("cpu"))(pictures, rows)[0]
