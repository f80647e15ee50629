"""From a generator's [-1, 1] to pixels ready to show: the same mapping in training and in the file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_train.networks.condition import Condition


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
