"""Multilayer perceptrons, as the first GANs had them (Goodfellow et al. 2014; Mirza and Osindero 2014).

The generator has linear layers, ReLU and a bounded output, the discriminator has maxout layers;
the papers' dropout is left out: the running average and the penalties do its work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_train.networks.conditioning import (
    ConditionSpec,
    DiscriminatorOutput,
    LatentInput,
    OutputHead,
    PictureInput,
)
from gan_train.networks.pyramid import Size
from gan_train.networks.ways import Condition

_PIECES = 4
_DEPTH = 3


class Generator(nn.Module):
    """latent -> three hidden layers of 2, 4 and 8 times `width` units -> every pixel at once -> tanh."""

    def __init__(self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.shape = (channels, *size)
        self.input = LatentInput(latent_dim, spec, length=1.0)
        counts = [self.input.features, *(width * 2 ** (i + 1) for i in range(_DEPTH))]
        self.hidden = nn.ModuleList(nn.Linear(counts[i], counts[i + 1]) for i in range(_DEPTH))
        self.output = nn.Linear(counts[-1], channels * size[0] * size[1])

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures [batch, channels, height, width] in [-1, 1] of latents [batch, latent_dim]."""
        x = self.input(latent, condition)
        for layer in self.hidden:
            x = F.relu(layer(x))
        return torch.tanh(self.output(x)).view(-1, *self.shape)


class Discriminator(nn.Module):
    """Two maxout layers (Goodfellow et al. 2013) of 4 and 2 times `width` units, then the output head."""

    def __init__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.input = PictureInput(size, channels, spec)
        counts = [self.input.channels * size[0] * size[1], width * 4, width * 2]
        self.hidden = nn.ModuleList(nn.Linear(counts[i], counts[i + 1] * _PIECES) for i in range(2))
        self.head = OutputHead(counts[-1], spec)

    def forward(self, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for pictures [batch, channels, height, width]."""
        x = self.input(pictures, condition).flatten(1)
        for layer in self.hidden:
            x = layer(x).unflatten(1, (-1, _PIECES)).amax(2)
        output: DiscriminatorOutput = self.head(x, condition)
        return output
