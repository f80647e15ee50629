"""Draws the pictures of seeds from a generator in training, as its exported file will draw them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gan_infer.conditions import classes_of_seeds
from gan_infer.conditions.base import of_inputs
from gan_infer.conditions.spec import LATENT, Input
from gan_infer.latent import seeds as latents
from gan_train.networks import pixels
from gan_train.networks.conditioning import of_class
from gan_train.networks.ways import Condition

Seeds = Sequence[int] | range | npt.NDArray[np.integer]


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Draws pictures of seeds.

    Attributes:
        generator: (latent, Condition) -> pictures in [-1, 1]; in eval mode while it draws.
        latent_dim, distribution: of its latents.
        classes: how many it knows, 0 for none.
        device: where it lies.
        truncation: what latents are scaled by.
        others: the inputs of its conditions of other kinds than a class; seeds choose their values, as
            they do in the exported file.
    """

    generator: nn.Module
    latent_dim: int
    distribution: str
    classes: int = 0
    device: torch.device | str = "cpu"
    truncation: float = 1.0
    others: tuple[Input, ...] = ()

    def latents(self, seeds: Seeds) -> torch.Tensor:
        """Return the latents of seeds on the device, float32 [n, latent_dim], scaled."""
        drawn = latents.latents(np.asarray(seeds), self.latent_dim, self.distribution)
        return torch.from_numpy(drawn).to(self.device) * self.truncation

    def choose_classes(self, seeds: Seeds, given: npt.NDArray[np.int64] | None = None) -> torch.Tensor | None:
        """Return the given classes, or else those of the seeds, int64 [n]; None without classes."""
        if not self.classes:
            return None
        chosen = classes_of_seeds(np.asarray(seeds), self.classes) if given is None else given
        return torch.from_numpy(chosen).to(self.device)

    def condition(self, seeds: Seeds, given: npt.NDArray[np.int64] | None = None) -> Condition:
        """Return what the seeds' pictures are made under; the classes are those of `choose_classes`."""
        return {**of_class(self.choose_classes(seeds, given)), **self._choose_others(np.asarray(seeds))}

    def draw(self, seeds: Seeds, given: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.uint8]:
        """Return the pictures of seeds, uint8 [n, height, width, channels].

        Args:
            given: their classes, int64 [n]; None lets each seed choose.
        """
        return pixels.draw(self.generator, self.latents(seeds), self.condition(seeds, given))

    def draw_latents(
        self, latents: npt.NDArray[np.float32], given: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Return the pictures of latents [n, latent_dim], uint8 [n, height, width, channels].

        Args:
            given: their classes, int64 [n]; None for a generator without classes. Other conditions are
                those of seed 0.
        """
        chosen = None if given is None else torch.from_numpy(given).to(self.device)
        condition = {**of_class(chosen), **self._choose_others(np.zeros(len(latents), np.uint64))}
        return pixels.draw(self.generator, torch.from_numpy(latents).to(self.device), condition)

    def _choose_others(self, seeds: npt.NDArray[Any]) -> Condition:
        """Return what seeds [n] choose of the conditions of other kinds than a class."""
        if not self.others:
            return {}
        chosen = of_inputs(self.others, LATENT, "in training").feed({}, seeds.astype(np.uint64))
        return {name: torch.from_numpy(array).to(self.device) for name, array in chosen.items()}
