"""Draws the examples and random numbers of a step from (seed, images seen, rollbacks) only.

Examples come in a new random order in each epoch, so that each is seen equally often; a batch may
reach from one epoch into the next.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_infer.conditions.spec import Input
from gan_train import distributed, seeding
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.networks import Condition, of_class
from gan_train.networks.conditioning import KINDS
from gan_train.objectives import augment

# Kept on the device as a whole if they fill no more of its memory than this.
_MOST_OF_CUDA: Final = 0.5
# Pictures that are copied from disk to a device in one go.
BROUGHT_AT_ONCE: Final = 4096


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch for the phases of a step: this process's share of it, on the device.

    Attributes:
        tensors: [batch, ...] or [draws, batch, ...], by name.
        conditions: the conditions that examples are made or scored under, by name.
    """

    tensors: Mapping[str, Tensor]
    conditions: Mapping[str, Condition] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def leaves(self) -> Iterator[Tensor]:
        """List every tensor, always in the same order."""
        yield from self.tensors.values()
        for condition in self.conditions.values():
            yield from condition.values()

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return a batch of the changed tensors."""
        tensors = {name: change(tensor) for name, tensor in self.tensors.items()}
        conditions = {
            name: {kind: change(tensor) for kind, tensor in condition.items()}
            for name, condition in self.conditions.items()
        }
        return Batch(tensors, conditions)


class Batches(Protocol):
    """Draws the batches of a run."""

    def at(self, images_seen: int, rollbacks: int = 0) -> Batch:
        """Return the batch that begins when this many examples have been seen.

        Args:
            rollbacks: the number of rollbacks: each changes the random numbers.
        """
        ...


class ExampleOrder:
    """The order in which the examples of a data set are seen."""

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._of_epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)

    def at(self, images_seen: int) -> npt.NDArray[np.int64]:
        """Return the indices of the whole batch, for all processes, int64 [batch_size]."""
        places = np.arange(images_seen, images_seen + self._batch_size)
        epochs, within = places // self._count, places % self._count
        index = np.empty(self._batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            index[chosen] = self._of_epoch(int(epoch))[within[chosen]]
        return index

    def _draw_epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(self._seed, "order", epoch)))
        return generator.permutation(self._count)


class Pictures:
    """Pictures by their indices: in memory, on the device or mapped."""

    def __init__(self, values: npt.NDArray[np.uint8], device: torch.device) -> None:
        self._values, self._device = values, device
        self._resident = _resident(values, device)

    def __getitem__(self, index: npt.NDArray[np.int64]) -> Tensor:
        """Return uint8 [batch, channels, height, width] on the device."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(index).to(self._device)]
        # Sorted, so that a mapped file is read in one direction; then put back in the batch's order.
        order = np.argsort(index, kind="stable")
        batch = np.empty((len(index), *self._values.shape[1:]), np.uint8)
        batch[order] = self._values[index[order]]
        return torch.from_numpy(batch).permute(0, 3, 1, 2).to(self._device)


@dataclasses.dataclass(frozen=True)
class Draw:
    """Options for drawing batches of pictures and latents.

    Attributes:
        batch_size: of all processes together.
        flip: whether half of the pictures are mirrored.
        conditional: whether classes are drawn with them.
        distribution: of the latents, "normal" or "uniform".
        others: columns of conditions of other kinds than a class, drawn with the pictures.
        draws: how many random numbers an augmented picture needs, see `augment.count_draws`.
    """

    batch_size: int
    seed: int
    flip: bool
    conditional: bool
    latent_dim: int
    distribution: str
    draws: int = augment.DRAWS
    others: tuple[str, ...] = ()


def find_others(columns: Mapping[str, Column]) -> tuple[Input, ...]:
    """Return the inputs by which conditions of other kinds than a class are given: columns of those kinds."""
    return tuple(
        Input(name, each.kind, str(each.values.dtype), each.shape, dict(each.facts))
        for name, each in columns.items()
        if each.kind in KINDS and each.kind != CLASS
    )


class PictureBatches:
    """Draws pictures, their conditions, and the random numbers of a step.

    Tensors of a batch: "real" uint8 [batch, channels, height, width]; "latents" float32 [2, batch,
    latent_dim], the discriminator's first; "draws" float32 [3, batch, draw.draws] in [0, 1), for the
    real pictures, the discriminator's fakes and the generator's; "mix" float32 [batch] in [0, 1), see
    `penalties.distance_from_one`. Conditions: "real", of the real pictures and what fakes are made
    under; "mismatch", another class than the real picture's own, at random, {} without classes.
    """

    def __init__(self, columns: Mapping[str, Column], draw: Draw, device: torch.device) -> None:
        images = columns[IMAGE].values
        self._draw, self._device = draw, device
        self._pictures = Pictures(images, device)
        self._order = ExampleOrder(len(images), draw.batch_size, draw.seed)
        column = columns.get(CLASS) if draw.conditional else None
        self._labels = None if column is None else torch.from_numpy(column.values).to(device)
        self._others = {name: torch.from_numpy(columns[name].values).to(device) for name in draw.others}
        self._classes = 0 if column is None else len(column.facts["class_names"])

    def at(self, images_seen: int, rollbacks: int = 0) -> Batch:
        """Return the batch that begins when this many images have been seen; see `Batches.at`."""
        draw, device = self._draw, self._device
        own = distributed.share(draw.batch_size)
        index = self._order.at(images_seen)[own]
        chance = seeding.generator(draw.seed, "step", images_seen, rollbacks)
        latents = self._draw_latents(chance)[:, own]
        draws = torch.rand((3, draw.batch_size, draw.draws), generator=chance)[:, own]
        mix = torch.rand(draw.batch_size, generator=chance)[own]
        real = self._pictures[index]
        if draw.flip:
            mirrored = torch.rand(draw.batch_size, generator=chance)[own] < 0.5
            real = torch.where(mirrored.to(device)[:, None, None, None], real.flip(3), real)
        tensors = {
            "real": real,
            "latents": latents.to(device),
            "draws": draws.to(device),
            "mix": mix.to(device),
        }
        return Batch(tensors, self._draw_conditions(index, own, chance))

    def _draw_conditions(
        self, index: npt.NDArray[np.int64], own: slice, chance: torch.Generator
    ) -> dict[str, Condition]:
        places = torch.from_numpy(index).to(self._device)
        others = {name: values[places] for name, values in self._others.items()}
        if self._labels is None:
            return {"real": others, "mismatch": {}}
        label = self._labels[places]
        step = torch.randint(1, max(2, self._classes), (self._draw.batch_size,), generator=chance)[own]
        other = (label + step.to(self._device)) % self._classes
        return {"real": {**of_class(label), **others}, "mismatch": {**of_class(other), **others}}

    def _draw_latents(self, chance: torch.Generator) -> Tensor:
        shape = (2, self._draw.batch_size, self._draw.latent_dim)
        if self._draw.distribution == "uniform":
            return torch.rand(shape, generator=chance) * 2 - 1
        return torch.randn(shape, generator=chance)


def _resident(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor | None:
    """Return pictures as one tensor on the device, [n, c, h, w]; None if they are too large for it."""
    if isinstance(images, np.memmap):
        if device.type != "cuda" or images.nbytes > _MOST_OF_CUDA * torch.cuda.mem_get_info(device)[0]:
            return None
        return bring(images, device)
    # [n, h, w, c] seen as [n, c, h, w]: no copy, and channels_last from the start.
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


def bring(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return mapped pictures on the device, [n, c, h, w], a part at a time: they may exceed main memory."""
    brought = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), BROUGHT_AT_ONCE):
        part = np.array(images[start : start + BROUGHT_AT_ONCE])
        brought[start : start + len(part)].copy_(torch.from_numpy(part))
    return brought.permute(0, 3, 1, 2)
