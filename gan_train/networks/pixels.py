"""Maps between the networks' [-1, 1] and pixel values, alike in training and in model files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan_infer.conditions.spec import IMAGE, LATENT, Input, Output
from gan_train.networks.conditioning import NAMES, DiscriminatorOutput, class_inputs, of_tensors, own_values
from gan_train.networks.deployment import Deployment
from gan_train.networks.ways import Condition

# The kind of output that says how real a picture looks.
SCORE: Final = "score"
_DRAWN_AT_ONCE: Final = 64


class PixelGenerator(nn.Module):
    """Wraps a generator with the inputs and the output of the model-file contract."""

    def __init__(self, generator: nn.Module, truncation: float = 1.0, names: Sequence[str] = NAMES) -> None:
        """Wrap a generator; `truncation` scales every latent, `names` are those of the conditions' inputs.

        Below 1 it trades variety for fidelity, as the truncation trick of BigGAN (Brock et al.,
        ICLR 2019) does; scaling, unlike resampling, keeps a seed's picture recognisable.
        """
        super().__init__()
        self.generator = generator
        self.truncation = truncation
        self.names = tuple(names)

    def forward(self, latent: Tensor, *given: Tensor | None) -> Tensor:
        """Return uint8 [batch, height, width, channels] of latents [batch, latent_dim].

        Pixel values are 127.5 * (x + 1), rounded half to even, clipped to 0..255; `given` are the tensors
        of the conditions, in the order of their names, or None for an unconditional generator.
        """
        return self.draw(latent, of_tensors(given, self.names))

    def draw(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return uint8 [batch, height, width, channels] of latents under a condition; see `forward`."""
        pixel_values = torch.clamp(torch.round(self._pixel_values(latent, condition)), 0.0, 255.0)
        return pixel_values.to(torch.uint8).permute(0, 2, 3, 1)

    def pixel_values(self, latent: Tensor, *given: Tensor | None) -> Tensor:
        """Return pixel values before they are rounded, float32 of the same shape, for their gradient."""
        return torch.clamp(self._pixel_values(latent, of_tensors(given, self.names)), 0.0, 255.0).permute(
            0, 2, 3, 1
        )

    def fold(self) -> PixelGenerator:
        """Return the wrapper of the generator for inference alone, see `fold`."""
        return PixelGenerator(fold(self.generator), self.truncation, self.names).eval()

    def _pixel_values(self, latent: Tensor, condition: Condition) -> Tensor:
        if self.truncation != 1.0:
            latent = latent * self.truncation
        pictures: Tensor = self.generator(latent, condition)
        return (pictures + 1.0) * 127.5


class PixelCritic(nn.Module):
    """Wraps a discriminator with the inputs and the output of the model-file contract."""

    intercepts: Tensor

    def __init__(
        self, discriminator: nn.Module, slope: float = 1.0, intercepts: Sequence[float] = (0.0,)
    ) -> None:
        """Wrap a discriminator; realness is the logistic function of slope * logit + intercept.

        There is one intercept for all pictures, or one for each class.
        """
        super().__init__()
        self.discriminator = discriminator
        self.slope = slope
        self.register_buffer("intercepts", torch.tensor(intercepts, dtype=torch.float32))

    def logits(self, image: Tensor, *given: Tensor | None) -> Tensor:
        """Return float32 [batch] of uint8 [batch, height, width, channels], higher for more real."""
        return self._logits(image, of_tensors(given))

    def forward(self, image: Tensor, *given: Tensor | None) -> Tensor:
        """Return realness float32 [batch] from 0 to 1 of uint8 [batch, height, width, channels].

        `given` are the tensors of the condition, or None for an unconditional discriminator.
        """
        condition = of_tensors(given)
        return torch.sigmoid(
            self._logits(image, condition) * self.slope + own_values(self.intercepts, condition)
        )

    def _logits(self, image: Tensor, condition: Condition) -> Tensor:
        pictures = image.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        output: DiscriminatorOutput = self.discriminator(pictures, condition)
        return output.logits


def deploy_generator(
    generator: nn.Module,
    *,
    latent_dim: int,
    distribution: str,
    image_shape: tuple[int, int, int],
    class_names: Sequence[str] = (),
    others: Sequence[Input] = (),
    truncation: float = 1.0,
) -> Deployment:
    """Return a generator as it will be in its model file.

    Args:
        generator: on the CPU, in eval mode.
        image_shape: (height, width, channels).
        class_names: by index; none for a generator without classes.
        others: the inputs of its other conditions, by the names of their tensors.
    """
    latent = Input("latent", LATENT, "float32", (latent_dim,), {"distribution": distribution})
    classes = class_inputs(class_names, mixed=True)
    given = (*classes[:1], *others, *classes[1:])  # optional ones come last
    return Deployment(
        PixelGenerator(generator, truncation, [each.name for each in given]).eval(),
        (latent, *given),
        (Output("image", IMAGE, "uint8", image_shape),),
    )


def deploy_critic(
    critic: PixelCritic, *, image_shape: tuple[int, int, int], class_names: Sequence[str] = ()
) -> Deployment:
    """Return a critic as it will be in its model file; arguments as of `deploy_generator`."""
    image = Input("image", IMAGE, "uint8", image_shape)
    return Deployment(
        critic.eval(), (image, *class_inputs(class_names)), (Output("realness", SCORE, "float32"),)
    )


def fold(network: nn.Module) -> nn.Module:
    """Return a network with its normalisation folded into its weights, if it has a method `fold`."""
    folded = getattr(network, "fold", None)
    return cast(nn.Module, folded()) if folded else network


@torch.no_grad()
def compute_logits(
    discriminator: nn.Module, images: npt.NDArray[np.uint8], given: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64]:
    """Return the logits, float64 [n], of pictures [n, height, width, channels] and their classes (or None).

    On the CPU, in eval mode, a part at a time.
    """
    critic = PixelCritic(discriminator).eval()
    parts = []
    for start in range(0, len(images), _DRAWN_AT_ONCE):
        own = slice(start, start + _DRAWN_AT_ONCE)
        pictures = torch.from_numpy(np.ascontiguousarray(images[own]))
        classes = None if given is None else torch.from_numpy(given[own])
        parts.append(critic.logits(pictures, classes).double().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def draw(generator: nn.Module, latent: Tensor, condition: Condition) -> npt.NDArray[np.uint8]:
    """Return the pictures, uint8 [n, height, width, channels], of latents [n, latent_dim], a part at a time.

    The generator is in eval mode meanwhile; latents and the condition are on its device.
    """
    was_training = generator.training
    pixels = PixelGenerator(generator).eval()
    parts = []
    for start in range(0, len(latent), _DRAWN_AT_ONCE):
        own = slice(start, start + _DRAWN_AT_ONCE)
        part = {name: tensor[own] for name, tensor in condition.items()}
        parts.append(pixels.draw(latent[own], part).cpu().numpy())
    generator.train(was_training)
    return np.concatenate(parts)
