"""Batch normalisation over all processes that share a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_train import distributed


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d, with the statistics of the whole batch where several processes share it."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, channels, height, width], normalised."""
        if not self.training or distributed.size() == 1:
            plain: Tensor = super().forward(x)
            return plain
        # torch.nn.SyncBatchNorm does this on CUDA alone.
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float()
            moments = torch.stack([wide.mean((0, 2, 3)), wide.square().mean((0, 2, 3))])
            mean, square = distributed.differentiable_mean(moments)
            variance = square - mean.square()
            self._remember(mean.detach(), variance.detach(), x.numel() / x.shape[1] * distributed.size())
            scale = torch.rsqrt(variance + self.eps)
            shift = -mean * scale
            if self.affine:
                scale, shift = scale * self.weight, shift * self.weight + self.bias
            wide = wide * scale[:, None, None] + shift[:, None, None]
        shared: Tensor = wide.to(x.dtype)
        return shared

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        # momentum None: a plain mean over all batches, as nn.BatchNorm2d has it.
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * count / max(count - 1, 1), weight)
