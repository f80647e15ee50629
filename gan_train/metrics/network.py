"""FeatureNetwork: a network that turns pictures into features, and resizes them for that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Pictures = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

BATCH: Final = 64
# One batch, uint8 [n, height, width, channels], to (features [n, d], logits [n, classes] or None).
Extract = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network that turns pictures into features.

    Attributes:
        name: as in the table of networks.
        identity: changes whenever the features change; the key of the cache.
        resizer: how pictures are resized for the network, for the protocol.
        extract: one batch to features, and logits if the network knows the classes.
        costly: whether features of the data are worth keeping on disk.
        notes: more for the protocol.
    """

    name: str
    identity: str
    resizer: str
    extract: Extract
    costly: bool = False
    notes: dict[str, float | str] = dataclasses.field(default_factory=dict)

    def __call__(
        self, pictures: Pictures, rows: npt.NDArray[np.int64] | None = None
    ) -> tuple[Features, Classes | None]:
        """Compute the features of pictures, uint8 [n, height, width, channels], n >= 1, a batch at a time.

        Args:
            rows: indices of pictures, in their order; None for all. Large sets are on disk: only
                one batch at a time is read into memory.

        Returns:
            features float32 [n, d], and the predicted classes int64 [n] or None.
        """
        features, predicted = [], []
        with torch.inference_mode():
            for start in range(0, len(pictures if rows is None else rows), BATCH):
                own = slice(start, start + BATCH)
                batch = np.array(pictures[own] if rows is None else pictures[rows[own]])
                found, logits = self.extract(torch.from_numpy(batch))
                features.append(found.float().cpu().numpy())
                if logits is not None:
                    predicted.append(logits.argmax(1).cpu().numpy())
        return np.concatenate(features), np.concatenate(predicted) if predicted else None


def as_colour(batch: Tensor) -> Tensor:
    """Return float32 [n, 3, height, width], values 0 to 255, of uint8 [n, height, width, 1, 3 or 4].

    Transparency is laid on white.
    """
    pictures = batch.permute(0, 3, 1, 2).float()
    if pictures.shape[1] == 4:
        opacity = pictures[:, 3:] / 255
        return pictures[:, :3] * opacity + 255 * (1 - opacity)
    return pictures.expand(-1, 3, -1, -1)


def shrink(pictures: Tensor, side: int) -> Tensor:
    """Average [n, c, h, w] by area so that no side is over `side`; smaller sides stay."""
    height, width = pictures.shape[2:]
    wanted = (min(height, side), min(width, side))
    return pictures if wanted == (height, width) else F.adaptive_avg_pool2d(pictures, wanted)
