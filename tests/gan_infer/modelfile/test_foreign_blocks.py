"""What networks of others are often built of, exported by tracing: it loads, and draws as PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer import Generator
from tests.gan_infer.modelfile.test_foreign import assert_alike, export, levels, spread

Z, CLASSES = 16, 5


class Attention(nn.Module):
    """Places that look at each other (Zhang et al. 2019), with the sides asked of the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x).flatten(2).transpose(1, 2) @ self.key(x).flatten(2)
        seen = self.value(x).flatten(2) @ scores.softmax(-1).transpose(1, 2)
        return x + seen.view(-1, *x.shape[1:])


class PixelNorm(nn.Module):
    """Karras et al. 2018."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
        return normed


class Resized(nn.Module):
    """Twice the size, which is worked out of the tensor's own or given as a factor."""

    def __init__(self, mode: str, *, by_size: bool) -> None:
        super().__init__()
        self.mode, self.by_size = mode, by_size

    def forward(self, x: Tensor) -> Tensor:
        if self.by_size:
            return F.interpolate(x, size=(x.shape[2] * 2, x.shape[3] * 2), mode=self.mode)
        return F.interpolate(x, scale_factor=2, mode=self.mode)


class Tokens(nn.Module):
    """A transformer's layer over 16 places of 16 features."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.layer(x.reshape(x.shape[0], 16, 16))
        return tokens.permute(0, 2, 1).reshape(x.shape[0], 16, 4, 4)


class LabelMap(nn.Module):
    """The label as one more channel, out of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.table = nn.Linear(Z, 8 * 64), nn.Embedding(CLASSES, 64)
        self.end = nn.Conv2d(9, 3, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        joined = torch.cat((self.start(z).view(-1, 8, 8, 8), self.table(y).view(-1, 1, 8, 8)), 1)
        return torch.tanh(self.end(joined))


class OneHotInside(nn.Module):
    """The label one-hot, made of an integer within the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(Z + CLASSES, 64)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        joined = torch.cat((z, F.one_hot(y, CLASSES).float()), 1)
        return torch.tanh(self.dense(joined).view(z.size(0), 1, 8, 8))


def start(channels: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Linear(Z, channels * 64), nn.Unflatten(1, (channels, 8, 8)))


def end(channels: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "unflatten": lambda: nn.Sequential(start(), nn.BatchNorm2d(8), nn.Upsample(scale_factor=2), end()),
    "pixel shuffle": lambda: nn.Sequential(start(), nn.PixelShuffle(2), end(2)),
    "size of the tensor": lambda: nn.Sequential(start(), Resized("nearest", by_size=True), end()),
    "bicubic": lambda: nn.Sequential(start(), Resized("bicubic", by_size=False), end()),
    "attention": lambda: nn.Sequential(start(), Attention(), end()),
    "pixel norm": lambda: nn.Sequential(PixelNorm(), start(), PixelNorm(), end()),
    "mirrored edges": lambda: nn.Sequential(start(), nn.ReflectionPad2d(1), nn.Conv2d(8, 3, 3), nn.Tanh()),
    "group norm": lambda: nn.Sequential(start(), nn.GroupNorm(2, 8), nn.PReLU(8), end()),
    "gated": lambda: nn.Sequential(
        nn.Linear(Z, 1024), nn.GLU(1), nn.SiLU(), nn.Unflatten(1, (8, 8, 8)), end()
    ),
    "dense": lambda: nn.Sequential(
        nn.Linear(Z, 64), nn.BatchNorm1d(64), nn.Linear(64, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))
    ),
    "tokens": lambda: nn.Sequential(nn.Linear(Z, 256), Tokens(), nn.ConvTranspose2d(16, 3, 4, 4), nn.Tanh()),
    "label map": LabelMap,
    "one-hot inside": OneHotInside,
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_loads_and_draws_what_pytorch_does(block: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = spread(BLOCKS[block]())
    conditional = isinstance(network, (LabelMap, OneHotInside))
    inputs = ["z", "y"] if conditional else ["z"]
    example = (torch.zeros(2, Z), torch.zeros(2, dtype=torch.long))[: len(inputs)]
    free = {name: {0: "n"} for name in (*inputs, "pictures")}
    names = {"input_names": inputs, "output_names": ["pictures"], "dynamic_axes": free}
    generator = Generator.load(export(network, example, tmp_path / "x.onnx", **names), device="cpu")
    labels = torch.tensor([4, 0, 2])
    given = (torch.from_numpy(generator.latents(range(3))), labels)[: len(inputs)]
    assert generator.class_names == (("0", "1", "2", "3", "4") if conditional else ())
    label = labels.tolist() if conditional else None
    pictures = generator.sample(3, label=label, seed=0)
    assert_alike(pictures, levels(network, -1, 1, *given))
    alone = generator.sample(1, label=label[2] if label else None, seed=2)
    assert np.abs(pictures[2].astype(int) - alone[0]).max() <= 1
