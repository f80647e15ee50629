"""Penalties that keep the discriminator smooth: functions of it and its inputs.

All need a discriminator whose logit for one picture does not depend on the others of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_train.networks import Condition, DiscriminatorOutput


def squared_norm(discriminator: nn.Module, pictures: Tensor, condition: Condition) -> Tensor:
    """Return the mean over the batch of the squared norm of the logit's gradient by the picture.

    Half of it times gamma is R1 on real pictures and R2 on generated ones (Mescheder, Geiger and
    Nowozin, ICML 2018, equations 9 and 10).

    Args:
        pictures: float [batch, channels, height, width].

    Returns:
        a scalar that can be differentiated with respect to the discriminator's parameters.
    """
    return _squares(discriminator, pictures, condition).mean()


def distance_from_one(
    discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor, condition: Condition
) -> Tensor:
    """Return the mean squared distance of the gradient's norm from 1, between real and fake pictures.

    Lambda times it is the gradient penalty of WGAN-GP (Gulrajani et al. 2017, equation 3).

    Args:
        real, fake: float [batch, channels, height, width].
        mix: float [batch], the share of the real picture in each mixture.

    Returns:
        a scalar that can be differentiated with respect to the discriminator's parameters.
    """
    mixed = torch.lerp(fake, real, mix[:, None, None, None])
    # The root's own gradient is infinite at 0.
    norms = (_squares(discriminator, mixed, condition) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def _squares(discriminator: nn.Module, pictures: Tensor, condition: Condition) -> Tensor:
    inputs = pictures.detach().requires_grad_(True)
    # `forward` itself: a compiled call cannot be differentiated twice.
    output: DiscriminatorOutput = discriminator.forward(inputs, condition)
    logits = output.logits
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))
