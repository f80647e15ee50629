"""A way into a network of a kind of condition that the packages do not know."""

from __future__ import annotations

import torch

from gan_train.networks.ways import Condition, Way


class Years(Way):
    """An age in years [batch]: a column of features, or a term of the logits."""

    def __init__(self, size: int) -> None:
        self._weights = torch.nn.Linear(1, size, bias=False)
        super().__init__({"years": self._weights}, size)

    def __call__(self, condition: Condition, *more: torch.Tensor) -> torch.Tensor:
        spread: torch.Tensor = self._weights(condition["age"][:, None] / 100)
        return (spread * more[0]).sum(1) if more else spread
