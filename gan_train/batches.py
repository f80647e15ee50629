"""Which pictures and latents a step sees: a function of (seed, images seen) alone; keeps no state.

Pictures come in a fresh random order each time round (an epoch), so that each is seen equally
often; a batch may reach from one time round into the next.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from gan_train import seeding
from gan_train.data import PictureSet
from gan_train.networks import Condition
from gan_train.step import Batch


class Batches:
    """Draws batches from pictures that lie whole in the device's memory."""

    def __init__(
        self,
        pictures: PictureSet,
        batch_size: int,
        latent_dim: int,
        distribution: str,
        seed: int,
        device: torch.device,
    ) -> None:
        # [n, h, w, c] seen as [n, c, h, w]: no copy, and channels_last from the start.
        self._images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2).to(device)
        labels = pictures.labels
        self._labels = None if labels is None else torch.from_numpy(labels).to(device)
        self._batch_size = batch_size
        self._latent_dim = latent_dim
        self._distribution = distribution
        self._seed = seed
        self._device = device
        self._order = functools.lru_cache(maxsize=2)(self._order_of_epoch)

    def at(self, images_seen: int) -> Batch:
        """Give the batch of the step that begins when so many images have been seen."""
        index = torch.from_numpy(self._indices(images_seen)).to(self._device)
        condition = Condition(None if self._labels is None else self._labels[index])
        return Batch(self._images[index], condition, self._latents(images_seen))

    def _indices(self, images_seen: int) -> np.ndarray:
        total = len(self._images)
        places = np.arange(images_seen, images_seen + self._batch_size)
        epochs, within = places // total, places % total
        index = np.empty(self._batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            index[chosen] = self._order(int(epoch))[within[chosen]]
        return index

    def _order_of_epoch(self, epoch: int) -> np.ndarray:
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(self._seed, "order", epoch)))
        return generator.permutation(len(self._images))

    def _latents(self, images_seen: int) -> torch.Tensor:
        generator = seeding.generator(self._seed, "latents", images_seen)
        shape = (2, self._batch_size, self._latent_dim)
        if self._distribution == "uniform":
            drawn = torch.rand(shape, generator=generator) * 2 - 1
        else:
            drawn = torch.randn(shape, generator=generator)
        return drawn.to(self._device)
