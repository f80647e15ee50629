"""The default pair: small residual generator, plain convolutional discriminator, no normalisation.

Without normalisation a picture never depends on its batch, in training or after, and nothing has
to be folded or re-estimated at export.
"""

from __future__ import annotations

import math

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
from gan_train.networks.pyramid import Size, channels_at, crop, pyramid
from gan_train.networks.ways import Condition

SMALLEST = 8
_SLOPE = 0.2
_FEATURES = 128


class Generator(nn.Module):
    """latent -> linear -> base of 5 to 8 pixels -> residual blocks that double it -> tanh."""

    def __init__(self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec) -> None:
        super().__init__()
        sizes = _sizes(size)
        counts = channels_at(width, len(sizes))
        self.base = (counts[0], *sizes[0])
        self.input = LatentInput(latent_dim, spec, length=math.sqrt(latent_dim) / 2)
        self.linear = nn.Linear(self.input.features, counts[0] * sizes[0][0] * sizes[0][1])
        self.blocks = nn.ModuleList(
            UpBlock(counts[i], counts[i + 1], sizes[i + 1]) for i in range(len(sizes) - 1)
        )
        self.output = nn.Conv2d(counts[-1], channels, 3, padding=1)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures [batch, channels, height, width] in [-1, 1] of latents [batch, latent_dim]."""
        x = self.linear(self.input(latent, condition)).unflatten(1, self.base)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.output(F.leaky_relu(x, _SLOPE)))


class UpBlock(nn.Module):
    """Doubles height and width (then crops to `size`), with a 1x1 convolution as the shortcut."""

    def __init__(self, inputs: int, outputs: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
        with torch.no_grad():  # start close to the shortcut, as blocks without normalisation need
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, outputs, *size] of [batch, inputs, about half of it]."""
        residual = self.first(self._double(F.leaky_relu(x, _SLOPE)))
        residual = self.second(F.leaky_relu(residual, _SLOPE))
        total: Tensor = self._double(self.shortcut(x)) + residual
        return total

    def _double(self, x: Tensor) -> Tensor:
        return crop(F.interpolate(x, scale_factor=2.0, mode="nearest"), self.size)


class Discriminator(nn.Module):
    """A 3x3 convolution, 4x4 convolutions of stride 2 down to the base, then a projection head."""

    def __init__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        levels = len(_sizes(size))
        counts = channels_at(width, levels)[::-1]
        self.input = PictureInput(size, channels, spec)
        self.first = nn.Conv2d(self.input.channels, counts[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Conv2d(counts[i], counts[i + 1], 4, stride=2, padding=1) for i in range(levels - 1)
        )
        height, breadth = size[0] >> (levels - 1), size[1] >> (levels - 1)
        self.linear = nn.Linear(counts[-1] * height * breadth, _FEATURES)
        self.head = OutputHead(_FEATURES, spec)

    def forward(self, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for pictures [batch, channels, height, width]."""
        x = F.leaky_relu(self.first(self.input(pictures, condition)), _SLOPE)
        for down in self.downs:
            x = F.leaky_relu(down(x), _SLOPE)
        x = F.leaky_relu(self.linear(x.flatten(1)), _SLOPE)
        output: DiscriminatorOutput = self.head(x, condition)
        return output


def _sizes(size: Size) -> list[Size]:
    """Return the pyramid, of at least one doubling however small the picture."""
    return pyramid(size, min(SMALLEST, min(size) // 2))
