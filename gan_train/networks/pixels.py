"""Between the networks' [-1, 1] and pixels: the same mapping in training and in the model files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan_train.networks.conditioning import Verdict, of_class

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
        """Return uint8 [batch, height, width, channels] of latents [batch, latent_dim].

        Levels are 127.5 * (x + 1), rounded half to even, clipped to 0..255; `label` is int64
        [batch], or None for an unconditional generator.
        """
        levels = torch.clamp(torch.round(self._levels(latent, label)), 0.0, 255.0)
        return levels.to(torch.uint8).permute(0, 2, 3, 1)

    def levels(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the levels before they are rounded, float32 of the same shape, for their gradient."""
        return torch.clamp(self._levels(latent, label), 0.0, 255.0).permute(0, 2, 3, 1)

    def _levels(self, latent: Tensor, label: Tensor | None) -> Tensor:
        if self.truncation != 1.0:
            latent = latent * self.truncation
        pictures: Tensor = self.generator(latent, of_class(label))
        return (pictures + 1.0) * 127.5


class PixelCritic(nn.Module):
    """Wraps a discriminator with the inputs and the output of the model-file contract."""

    intercepts: Tensor

    def __init__(
        self, discriminator: nn.Module, slope: float = 1.0, intercepts: Sequence[float] = (0.0,)
    ) -> None:
        """Wrap a discriminator; realness is the logistic function of slope * logit + intercept.

        There is one intercept, or one a label.
        """
        super().__init__()
        self.discriminator = discriminator
        self.slope = slope
        self.register_buffer("intercepts", torch.tensor(intercepts, dtype=torch.float32))

    def logits(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the discriminator's own judgement, float32 [batch]; arguments are those of `forward`."""
        pictures = image.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        verdict: Verdict = self.discriminator(pictures, of_class(label))
        return verdict.logits

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Return realness float32 [batch] from 0 to 1 of uint8 [batch, height, width, channels].

        `label` is int64 [batch], or None for an unconditional discriminator.
        """
        own = self.intercepts if label is None or len(self.intercepts) == 1 else self.intercepts[label]
        return torch.sigmoid(self.logits(image, label) * self.slope + own)


@torch.no_grad()
def judge(
    discriminator: nn.Module, images: npt.NDArray[np.uint8], label: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64]:
    """Return the logits, float64 [n], of pictures [n, height, width, channels] and labels [n] (or None).

    On the CPU, in eval mode, a part at a time.
    """
    critic = PixelCritic(discriminator).eval()
    parts = []
    for start in range(0, len(images), _DRAWN_AT_ONCE):
        own = slice(start, start + _DRAWN_AT_ONCE)
        pictures = torch.from_numpy(np.ascontiguousarray(images[own]))
        labels = None if label is None else torch.from_numpy(label[own])
        parts.append(critic.logits(pictures, labels).double().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def draw(generator: nn.Module, latent: Tensor, label: Tensor | None = None) -> npt.NDArray[np.uint8]:
    """Return the pictures, uint8 [n, height, width, channels], of latents [n, latent_dim], a part at a time.

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
