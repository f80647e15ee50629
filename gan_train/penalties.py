"""Penalties that keep the discriminator smooth: functions of it and its inputs; no losses here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_train.networks import Condition, judge


def gradient_norm(discriminator: nn.Module, pictures: Tensor, condition: Condition) -> Tensor:
    """Give the mean over the batch of the squared norm of the logit's gradient by the picture.

    Half of it times gamma is R1 on real pictures and R2 on generated ones (Mescheder, Geiger and
    Nowozin, ICML 2018, equations 9 and 10). Needs a discriminator whose logit for one picture
    does not depend on the others of the batch.

    Args:
        pictures: float [batch, channels, height, width].

    Returns:
        a scalar that can be differentiated by the discriminator's parameters.
    """
    inputs = pictures.detach().requires_grad_(True)
    logits = judge(discriminator, inputs, condition)
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
