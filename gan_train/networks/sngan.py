"""The residual pair of SNGAN (Miyato et al., ICLR 2018, appendix B.4), at any size.

Batch normalisation in the generator (conditional where the spec says so), none in the discriminator,
whose weights are meant to be spectrally normalised, by an option of their own. Up to 32 pixels
every size has `width` channels, as in the paper's CIFAR-10 networks; above, they double with each
halving down to 32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_train.networks.conditioning import (
    ConditionalBatchNorm,
    ConditionSpec,
    DiscriminatorOutput,
    LatentInput,
    OutputHead,
    PictureInput,
)
from gan_train.networks.pyramid import Size, crop, pyramid
from gan_train.networks.ways import Condition

SMALLEST = 4
_CONSTANT_TO = 32


class Generator(nn.Module):
    """latent -> linear -> base of 3 to 4 pixels -> residual blocks that double it -> tanh."""

    def __init__(self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec) -> None:
        super().__init__()
        sizes = pyramid(size, SMALLEST)
        counts = _channels(width, sizes)
        self.base = (counts[0], *sizes[0])
        self.input = LatentInput(latent_dim, spec, length=1.0)
        self.linear = nn.Linear(self.input.features, counts[0] * sizes[0][0] * sizes[0][1])
        self.blocks = nn.ModuleList(
            UpBlock(counts[i], counts[i + 1], sizes[i + 1], spec) for i in range(len(sizes) - 1)
        )
        self.norm = ConditionalBatchNorm(counts[-1], spec)
        self.output = nn.Conv2d(counts[-1], channels, 3, padding=1)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures [batch, channels, height, width] in [-1, 1] of latents [batch, latent_dim]."""
        x = self.linear(self.input(latent, condition)).unflatten(1, self.base)
        for block in self.blocks:
            x = block(x, condition)
        return torch.tanh(self.output(F.relu(self.norm(x, condition))))


class UpBlock(nn.Module):
    """Normalise, double, convolve, twice; a 1x1 convolution as the shortcut."""

    def __init__(self, inputs: int, outputs: int, size: Size, spec: ConditionSpec) -> None:
        super().__init__()
        self.size = size
        self.first_norm = ConditionalBatchNorm(inputs, spec)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second_norm = ConditionalBatchNorm(outputs, spec)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Return [batch, outputs, *size] of [batch, inputs, about half of it]."""
        residual = self.first(self._double(F.relu(self.first_norm(x, condition))))
        residual = self.second(F.relu(self.second_norm(residual, condition)))
        total: Tensor = self._double(self.shortcut(x)) + residual
        return total

    def _double(self, x: Tensor) -> Tensor:
        return crop(F.interpolate(x, scale_factor=2.0, mode="nearest"), self.size)


class Discriminator(nn.Module):
    """Residual blocks that halve down to a quarter, two more, the sum over places, the output head."""

    def __init__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        counts = _channels(width, pyramid(size, SMALLEST))[::-1]
        self.input = PictureInput(size, channels, spec)
        halvings = max(1, len(counts) - 2)  # the paper stops at 8x8
        widths = [self.input.channels, *counts[:halvings], counts[-1], counts[-1]]
        self.blocks = nn.ModuleList(
            DownBlock(widths[i], widths[i + 1], first=i == 0, halve=i < halvings)
            for i in range(len(widths) - 1)
        )
        self.head = OutputHead(widths[-1], spec)

    def forward(self, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for pictures [batch, channels, height, width]."""
        x = self.input(pictures, condition)
        for block in self.blocks:
            x = block(x)
        output: DiscriminatorOutput = self.head(F.relu(x).sum((2, 3)), condition)
        return output


class DownBlock(nn.Module):
    """Two 3x3 convolutions and their shortcut, then the mean of 2x2 places where it halves."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, halve: bool) -> None:
        super().__init__()
        self.activate = not first  # pixels go in as they are
        self.halve = halve
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        straight = inputs == outputs and not halve
        self.shortcut = nn.Identity() if straight else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, outputs, height, width] of [batch, inputs, ...], half as large where it halves."""
        residual = self.first(F.relu(x) if self.activate else x)
        total: Tensor = self.second(F.relu(residual)) + self.shortcut(x)
        return F.avg_pool2d(total, 2) if self.halve else total


def _channels(width: int, sizes: list[Size]) -> list[int]:
    above = [sum(min(size) > _CONSTANT_TO for size in sizes[i:]) for i in range(len(sizes))]
    return [width * min(2**count, 8) for count in above]
