"""Uses convolutions with random weights as features.

They are for pictures that no trained network knows. Random filters tell textures and strokes apart
(Ulyanov et al. 2018 and Naeem et al. 2020 use untrained networks like this), but not what pictures mean.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_train import seeding
from gan_train.metrics.network import FeatureNetwork, shrink

NAME: Final = "random-convolutions"
SIDE: Final = 32
_WIDTH: Final = 32
_LAYERS: Final = 3
_VERSION: Final = 1
# Scales the features of digits and clothes to a variance of about 1, so that scores are easy to read.
_SCALE: Final = 10.0


class RandomConvolutions(nn.Module):
    """Pictures float32 [n, channels, h, w] in -1 .. 1 to features [n, 384].

    Three layers of 32 filters, each at half the side of the one before and averaged over the four
    quarters of the picture: features say mostly what is there, and roughly where.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        random = seeding.generator(0, "metrics", "random convolutions")
        for layer in range(_LAYERS):
            inputs = channels if layer == 0 else _WIDTH
            weight = torch.randn(_WIDTH, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            self.register_buffer(f"weight_{layer}", weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages of all layers, one after another."""
        found = []
        for layer in range(_LAYERS):
            x = F.leaky_relu(F.conv2d(x, self.get_buffer(f"weight_{layer}"), padding=1), 0.2)
            found.append(_SCALE * F.adaptive_avg_pool2d(x, 2).flatten(1))
            x = F.avg_pool2d(x, 2)
        return torch.cat(found, 1)


def load(channels: int, device: torch.device) -> FeatureNetwork:
    """Return the network; the same weights everywhere and always."""
    network = RandomConvolutions(channels).to(device)

    def extract(batch: Tensor) -> tuple[Tensor, None]:
        values = shrink(batch.to(device).permute(0, 3, 1, 2).float(), SIDE)
        return network(values / 127.5 - 1), None

    return FeatureNetwork(
        NAME, f"{NAME}/{_VERSION}", f"as they are, sides over {SIDE} averaged by area to {SIDE}", extract
    )
