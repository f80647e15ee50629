"""From a generator's [-1, 1] to pixels ready to show: the same mapping in training and in the file."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan_train.networks.condition import Condition

_DRAWN_AT_ONCE: Final = 64


class PixelGenerator(nn.Module):
    """Wraps a generator with the inputs and the output of the model-file contract."""

    def __init__(self, generator: nn.Module, truncation: float = 1.0) -> None:
        """Wrap a generator; `truncation` scales every latent.

        Below 1 it trades variety for fidelity, as the truncation trick of BigGAN (Brock et al.,
        ICLR 2019) does; scaling, unlike resampling, keeps a seed's picture recognisable.
        """
        super().__init__()
        self.generator = generator
        self.truncation = truncation

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Give uint8 [batch, height, width, channels] of latents [batch, latent_dim].

        Levels are 127.5 * (x + 1), rounded half to even, clipped to 0..255; `label` is int64
        [batch], or None for an unconditional generator.
        """
        if self.truncation != 1.0:
            latent = latent * self.truncation
        pictures = self.generator(latent, Condition(label))
        levels = torch.clamp(torch.round((pictures + 1.0) * 127.5), 0.0, 255.0)
        return levels.to(torch.uint8).permute(0, 2, 3, 1)


@torch.no_grad()
def draw(generator: nn.Module, latent: Tensor, label: Tensor | None = None) -> npt.NDArray[np.uint8]:
    """Give the pictures, uint8 [n, height, width, channels], of latents [n, latent_dim], a part at a time.

    The generator is in eval mode meanwhile; latents and labels [n] (or None) are on its device.
    """
    was_training = generator.training
    pixels = PixelGenerator(generator).eval()
    parts = []
    for start in range(0, len(latent), _DRAWN_AT_ONCE):
        own = slice(start, start + _DRAWN_AT_ONCE)
        parts.append(pixels(latent[own], None if label is None else label[own]).cpu().numpy())
    generator.train(was_training)
    return np.concatenate(parts)
