"""Pixels themselves as features, averaged down to 16x16; it knows no network."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from gan_train.metrics.network import FeatureNetwork, smaller

NAME: Final = "pixels"
SIDE: Final = 16


def load(device: torch.device) -> FeatureNetwork:
    """Return levels 0 to 1 of pictures averaged by area, at most 1,024 features."""

    def look(batch: Tensor) -> tuple[Tensor, None]:
        levels = batch.to(device).permute(0, 3, 1, 2).float() / 255
        return smaller(levels, SIDE).flatten(1), None

    return FeatureNetwork(NAME, f"{NAME}/1/{SIDE}", f"sides over {SIDE} averaged by area to {SIDE}", look)
