"""Turns a generator's outputs into pictures for sheets and walks, by the kind of output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from gan_infer.conditions.spec import IMAGE
from gan_train.tasks.base import Drawer

Pictures = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@runtime_checkable
class Walker(Drawer, Protocol):
    """Draws the outputs of latents as well, so that a walk between two seeds can be drawn."""

    @property
    def distribution(self) -> str:
        """The distribution of its latents: "normal" or "uniform"."""
        ...

    def latents(self, seeds: Any) -> torch.Tensor:
        """Return the latents of seeds, float32 [n, latent_dim]."""
        ...

    def draw_latents(
        self, latents: npt.NDArray[np.float32], given: Indices | None = None
    ) -> npt.NDArray[Any]:
        """Return the outputs of latents [n, latent_dim] and classes [n], [n, ...]."""
        ...


def show_images(images: npt.NDArray[Any]) -> Pictures:
    """Return uint8 [n, height, width, channels] as it is."""
    return images


# The kind of an output -> its pictures, uint8 [n, height, width, channels]; any other kind has no sheet.
VIEWS: Final[dict[str, Callable[[npt.NDArray[Any]], Pictures]]] = {IMAGE: show_images}
