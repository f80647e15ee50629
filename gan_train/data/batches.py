"""Which pictures and latents a step sees: a function of (seed, images seen) alone; keeps no state.

Pictures come in a fresh random order each time round (an epoch), so that each is seen equally
often; a batch may reach from one time round into the next.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from gan_train import distributed, seeding
from gan_train.config.settled import Settled
from gan_train.data import PictureSet
from gan_train.networks import Condition
from gan_train.objectives import augment
from gan_train.tasks.generate import Batch

# Kept on the device whole where they fill no more of its memory than this.
_MOST_OF_CUDA: Final = 0.5
_BROUGHT_AT_ONCE: Final = 4096


class Batches:
    """Draws this process's share of each batch, from pictures in memory, on the device or mapped."""

    def __init__(self, pictures: PictureSet, config: Settled, device: torch.device) -> None:
        self._batch_size = config.optimizer.batch_size
        self._network = config.network
        self._flip = config.augment.flip
        self._seed = config.seed
        self._device = device
        self._pictures = pictures.images
        self._resident = _resident(pictures.images, device)
        labels = pictures.labels if config.condition.generator != "none" else None
        self._labels = None if labels is None else torch.from_numpy(labels).to(device)
        self._classes = len(pictures.class_names)
        self._order = functools.lru_cache(maxsize=2)(self._order_of_epoch)

    def at(self, images_seen: int, turn: int = 0) -> Batch:
        """Return the batch of the step that begins when so many images have been seen.

        Args:
            turn: how often the run was rolled back: each time, other chance.
        """
        own = distributed.share(self._batch_size)
        index = self._indices(images_seen)[own]
        chance = seeding.generator(self._seed, "step", images_seen, turn)
        latents = self._latents(chance)[:, own]
        draws = torch.rand((3, self._batch_size, augment.DRAWS), generator=chance)[:, own]
        mix = torch.rand(self._batch_size, generator=chance)[own]
        real = self._real(index)
        if self._flip:
            mirrored = torch.rand(self._batch_size, generator=chance)[own] < 0.5
            real = torch.where(mirrored.to(self._device)[:, None, None, None], real.flip(3), real)
        device = self._device
        condition = mismatch = Condition()
        if self._labels is not None:
            label = self._labels[torch.from_numpy(index).to(device)]
            step = torch.randint(1, max(2, self._classes), (self._batch_size,), generator=chance)[own]
            condition, mismatch = Condition(label), Condition((label + step.to(device)) % self._classes)
        return Batch(real, condition, mismatch, latents.to(device), draws.to(device), mix.to(device))

    def _real(self, index: npt.NDArray[np.int64]) -> torch.Tensor:
        if self._resident is not None:
            return self._resident[torch.from_numpy(index).to(self._device)]
        # Sorted, so that a mapped file is read in one direction; then put back in the batch's order.
        order = np.argsort(index, kind="stable")
        batch = np.empty((len(index), *self._pictures.shape[1:]), np.uint8)
        batch[order] = self._pictures[index[order]]
        return torch.from_numpy(batch).permute(0, 3, 1, 2).to(self._device)

    def _indices(self, images_seen: int) -> npt.NDArray[np.int64]:
        total = len(self._pictures)
        places = np.arange(images_seen, images_seen + self._batch_size)
        epochs, within = places // total, places % total
        index = np.empty(self._batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            index[chosen] = self._order(int(epoch))[within[chosen]]
        return index

    def _order_of_epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(self._seed, "order", epoch)))
        return generator.permutation(len(self._pictures))

    def _latents(self, chance: torch.Generator) -> torch.Tensor:
        shape = (2, self._batch_size, self._network.latent_dim)
        if self._network.latent_distribution == "uniform":
            return torch.rand(shape, generator=chance) * 2 - 1
        return torch.randn(shape, generator=chance)


def _resident(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor | None:
    """Return pictures as one tensor on the device, [n, c, h, w]; None where they are too large for it."""
    if isinstance(images, np.memmap):
        if device.type != "cuda" or images.nbytes > _MOST_OF_CUDA * torch.cuda.mem_get_info(device)[0]:
            return None
        return _brought(images, device)
    # [n, h, w, c] seen as [n, c, h, w]: no copy, and channels_last from the start.
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


def _brought(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Return mapped pictures on the device, [n, c, h, w], a part at a time: they may exceed main memory."""
    brought = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), _BROUGHT_AT_ONCE):
        part = np.array(images[start : start + _BROUGHT_AT_ONCE])
        brought[start : start + len(part)].copy_(torch.from_numpy(part))
    return brought.permute(0, 3, 1, 2)
