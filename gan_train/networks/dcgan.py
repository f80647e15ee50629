"""DCGAN (Radford, Metz and Chintala, ICLR 2016), plain and conditional, at any size.

At 64x64, width 128 and latent_dim 100 with a uniform latent this is the paper's figure 1:
project to 4x4x1024, four transposed convolutions of stride 2, batch normalisation and ReLU in
the generator; strided convolutions, batch normalisation and leaky ReLU 0.2 in the discriminator;
no normalisation on the generator's output and the discriminator's input; weights from N(0, 0.02). Kernels are
4x4, which double a side exactly (the paper does not give theirs). Other sizes have more or fewer
stages; odd sides are cropped.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_weights

from gan_train.networks.conditioning import (
    ConditionalBatchNorm,
    ConditionSpec,
    DiscriminatorOutput,
    LatentInput,
    OutputHead,
    PictureInput,
)
from gan_train.networks.normalization import BatchNorm
from gan_train.networks.pyramid import Size, channels_at, crop, pyramid
from gan_train.networks.ways import Condition

SMALLEST = 4
_SLOPE = 0.2


class Generator(nn.Module):
    """latent -> linear -> base -> transposed convolutions that double it -> tanh."""

    def __init__(self, size: Size, channels: int, width: int, latent_dim: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.sizes = pyramid(size, SMALLEST)
        # The paper's `width` channels stand before the last layer, which maps them to colours.
        counts = channels_at(width, len(self.sizes) - 1)
        self.base = (counts[0], *self.sizes[0])
        # The length of a one-hot class. A longer one, once normalised by batch, outweighs the
        # latent, and the generator learns to draw one picture per class.
        self.input = LatentInput(latent_dim, spec, length=1.0)
        self.linear = nn.Linear(
            self.input.features, counts[0] * self.sizes[0][0] * self.sizes[0][1], bias=False
        )
        self.norms = nn.ModuleList(ConditionalBatchNorm(count, spec) for count in counts)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
            for inputs, outputs in zip(counts, [*counts[1:], channels], strict=True)
        )
        self.apply(_paper_init)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures [batch, channels, height, width] in [-1, 1] of latents [batch, latent_dim]."""
        x = self.linear(self.input(latent, condition)).unflatten(1, self.base)
        for norm, up, size in zip(self.norms, self.ups, self.sizes[1:], strict=True):
            x = crop(up(F.relu(norm(x, condition))), size)
        return torch.tanh(x)

    def fold(self) -> Generator:
        """Return a copy with its normalisation folded into the weights before it, for inference only.

        Where scale and shift depend on the class, return the generator itself.
        """
        other = copy.deepcopy(self).eval()
        norms = [norm for norm in other.norms if isinstance(norm, ConditionalBatchNorm)]
        if any(norm.is_conditional for norm in norms):
            return other
        first, *rest = (norm.norm for norm in norms)
        other.linear = _fold_linear(other.linear, first)
        for index, norm in enumerate(rest):  # norm i + 1 follows transposed convolution i
            up = other.ups[index]
            assert isinstance(up, nn.ConvTranspose2d)
            other.ups[index] = fuse_conv_bn_eval(up, norm, transpose=True)
        other.norms = nn.ModuleList(_Nothing() for _ in norms)
        return other


class _Nothing(nn.Module):
    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return x


class Discriminator(nn.Module):
    """Convolutions of stride 2, batch normalisation after all but the first, one linear output."""

    def __init__(self, size: Size, channels: int, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        stages = len(pyramid(size, SMALLEST)) - 1
        self.input = PictureInput(size, channels, spec)
        counts = [self.input.channels, *channels_at(width, stages)[::-1]]
        self.downs = nn.ModuleList(
            nn.Conv2d(counts[i], counts[i + 1], 4, stride=2, padding=1, bias=i == 0) for i in range(stages)
        )
        self.norms = nn.ModuleList(
            nn.Identity() if i == 0 else BatchNorm(counts[i + 1]) for i in range(stages)
        )
        height, breadth = size[0] >> stages, size[1] >> stages
        self.head = OutputHead(counts[-1] * height * breadth, spec)
        self.apply(_paper_init)

    def forward(self, pictures: Tensor, condition: Condition) -> DiscriminatorOutput:
        """Return the output for pictures [batch, channels, height, width]."""
        x = self.input(pictures, condition)
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = F.leaky_relu(norm(down(x)), _SLOPE)
        output: DiscriminatorOutput = self.head(x.flatten(1), condition)
        return output


def _paper_init(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)


def _fold_linear(linear: nn.Linear, norm: nn.BatchNorm2d) -> nn.Linear:
    """Fold a normalisation over channels into the linear layer whose output becomes the base."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    repeat = linear.out_features // norm.num_features
    mean, variance, scale, shift = (
        tensor.repeat_interleave(repeat)
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight, folded.bias = fuse_linear_bn_weights(
        linear.weight, linear.bias, mean, variance, norm.eps, scale, shift
    )
    return folded.eval()
