"""Grouped residual stages without normalisation, after R3GAN (Huang et al., NeurIPS 2024, section 4).

Each block is a 1x1 convolution, a grouped 3x3 and a 1x1 (the bottleneck of ResNeXt, inverted), scaled
at the start as Fixup asks (Zhang et al., ICLR 2019); stages are joined by bilinear resampling. It
needs many images on a GPU.
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
from gan_train.networks.pyramid import Size, channels_at, pyramid
from gan_train.networks.ways import Condition

SMALLEST = 4
_SLOPE = 0.2
_BLOCKS = 2
_EXPANSION = 2
_GROUP_WIDTH = 16
_MOST = 4


class Generator(nn.Module):
    """latent -> linear -> base of 3 to 4 pixels -> stages, each twice as large as the one before -> tanh."""

    def __init__(self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.sizes = pyramid(size, SMALLEST)
        counts = channels_at(width, len(self.sizes), _MOST)
        self.base = (counts[0], *self.sizes[0])
        self.input = LatentInput(latent_dim, spec, length=latent_dim**0.5 / 2)
        self.linear = nn.Linear(self.input.features, counts[0] * self.sizes[0][0] * self.sizes[0][1])
        self.stages = nn.ModuleList(Stage(count, _BLOCKS * len(counts)) for count in counts)
        self.changes = nn.ModuleList(
            nn.Conv2d(counts[i], counts[i + 1], 1, bias=False) for i in range(len(counts) - 1)
        )
        self.output = nn.Conv2d(counts[-1], channels, 1)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures [batch, channels, height, width] in [-1, 1] of latents [batch, latent_dim]."""
        x = self.linear(self.input(latent, condition)).unflatten(1, self.base)
        x = self.stages[0](x)
        for change, stage, size in zip(self.changes, self.stages[1:], self.sizes[1:], strict=True):
            x = stage(F.interpolate(change(x), size=size, mode="bilinear", align_corners=False))
        return torch.tanh(self.output(x))


class Discriminator(nn.Module):
    """The generator in reverse: stages, each half as large, then one linear map of all places."""

    def __init__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.sizes = pyramid(size, SMALLEST)[::-1]
        counts = channels_at(width, len(self.sizes), _MOST)[::-1]
        self.input = PictureInput(size, channels, spec)
        self.first = nn.Conv2d(self.input.channels, counts[0], 1)
        self.stages = nn.ModuleList(Stage(count, _BLOCKS * len(counts)) for count in counts)
        self.changes = nn.ModuleList(
            nn.Conv2d(counts[i], counts[i + 1], 1, bias=False) for i in range(len(counts) - 1)
        )
        self.linear = nn.Linear(counts[-1] * self.sizes[-1][0] * self.sizes[-1][1], counts[-1])
        self.head = OutputHead(counts[-1], spec)

    def forward(self, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for pictures [batch, channels, height, width]."""
        x = self.stages[0](self.first(self.input(pictures, condition)))
        for change, stage in zip(self.changes, self.stages[1:], strict=True):
            # Mean of 2x2 places; an odd last row or column is met by itself, as in the pyramid.
            x = stage(change(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)))
        x = F.leaky_relu(self.linear(x.flatten(1)), _SLOPE)
        output: DiscriminatorOutput = self.head(x, condition)
        return output


class Stage(nn.Module):
    """Residual blocks of one size."""

    def __init__(self, channels: int, blocks_in_all: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels, blocks_in_all) for _ in range(_BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, channels, height, width] of the same."""
        for block in self.blocks:
            x = block(x)
        return x


class Block(nn.Module):
    """1x1, grouped 3x3, 1x1, added to what came in; at the start it adds nothing."""

    def __init__(self, channels: int, blocks_in_all: int) -> None:
        super().__init__()
        inner = channels * _EXPANSION
        groups = max(1, inner // _GROUP_WIDTH) if inner % _GROUP_WIDTH == 0 else 1
        self.first = nn.Conv2d(channels, inner, 1)
        self.second = nn.Conv2d(inner, inner, 3, padding=1, groups=groups)
        self.third = nn.Conv2d(inner, channels, 1, bias=False)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                # Fixup: L^(-1 / (2m - 2)) for L blocks of m = 3 layers.
                layer.weight.mul_(blocks_in_all**-0.25)
        nn.init.zeros_(self.third.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, channels, height, width] of the same."""
        residual = F.leaky_relu(self.first(x), _SLOPE)
        residual = F.leaky_relu(self.second(residual), _SLOPE)
        total: Tensor = x + self.third(residual)
        return total
