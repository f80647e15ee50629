"""Draws the pictures of seeds from a generator in training (see `gan_train.networks.sampler`)."""

from gan_train.networks.sampler import Sampler, Seeds

__all__ = ["Sampler", "Seeds"]
