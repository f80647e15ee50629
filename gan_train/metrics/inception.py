"""Loads Inception v3 of the standard Frechet protocol from a file of weights on this machine.

The network of Szegedy et al. 2016 in the TensorFlow graph of 2015-12-05 with which Heusel et al. 2017
computed their distances, with parameters named as in the converted weights that others use
(`pt_inception-2015-12-05-6726825d.pth`, or `weights-inception-2015-12-05-6726825d.pth`). Three
peculiarities of that graph are kept: average pools leave their padding out of the mean, the last
block has a max pool, and pictures are resized to 299x299 by TensorFlow 1's bilinear rule.
"""

# torch-fidelity 0.4.0 has the same network: with equal weights its features differ by 6e-8 at most. It is not
# used because it cannot be imported without torchvision, which must fit the PyTorch that is installed to the
# digit; it unpickles its weights, so that such a file may run code; it downloads them where no file is named;
# and its wheel installs a package called `tests`.

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_infer import files
from gan_infer.errors import OptionError
from gan_infer.text.escaping import one_line
from gan_train.metrics.network import FeatureNetwork, as_colour

NAME: Final = "inception"
VARIABLE: Final = "GANFORGE_INCEPTION"
SIDE: Final = 299
FEATURES: Final = 2048
_CLASSES: Final = 1008
_FILES: Final = tuple(
    f"{stem}-2015-12-05-6726825d{ending}"
    for stem in ("pt_inception", "weights-inception")
    for ending in (".safetensors", ".pth")
)

# (inputs, outputs, kernel (height, width), stride, padding (height, width))
_ConvolutionShape = tuple[int, int, tuple[int, int], int, tuple[int, int]]
# A branch is convolutions and pools one after another; where names stand in a tuple, it splits.
_Branch = Sequence[str | tuple[str, str]]
_AVERAGE, _MAX_SAME, _MAX_HALVING = "average pool", "max pool", "halving max pool"


def _same(inputs: int, outputs: int, height: int, width: int) -> _ConvolutionShape:
    return inputs, outputs, (height, width), 1, (height // 2, width // 2)


def _valid(inputs: int, outputs: int, side: int, stride: int = 1) -> _ConvolutionShape:
    return inputs, outputs, (side, side), stride, (0, 0)


class _Convolution(nn.Module):
    """A convolution, batch normalisation and a rectifier."""

    def __init__(self, shape: _ConvolutionShape) -> None:
        super().__init__()
        inputs, outputs, kernel, stride, padding = shape
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, their outputs concatenated in the channels."""

    def __init__(self, shapes: Mapping[str, _ConvolutionShape], branches: Sequence[_Branch]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.add_module(name, _Convolution(shape))
        self.branches = branches

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._along(branch, x) for branch in self.branches], 1)

    def _along(self, branch: _Branch, x: Tensor) -> Tensor:
        for name in branch:
            if isinstance(name, tuple):
                return torch.cat([self.get_submodule(part)(x) for part in name], 1)
            if name == _AVERAGE:
                x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            elif name == _MAX_SAME:
                x = F.max_pool2d(x, 3, 1, 1)
            elif name == _MAX_HALVING:
                x = F.max_pool2d(x, 3, 2)
            else:
                x = self.get_submodule(name)(x)
        return x


def _mixed_35(inputs: int, pooled: int) -> _Mixed:
    return _Mixed(
        {
            "branch1x1": _same(inputs, 64, 1, 1),
            "branch5x5_1": _same(inputs, 48, 1, 1),
            "branch5x5_2": _same(48, 64, 5, 5),
            "branch3x3dbl_1": _same(inputs, 64, 1, 1),
            "branch3x3dbl_2": _same(64, 96, 3, 3),
            "branch3x3dbl_3": _same(96, 96, 3, 3),
            "branch_pool": _same(inputs, pooled, 1, 1),
        },
        [
            ["branch1x1"],
            ["branch5x5_1", "branch5x5_2"],
            ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"],
            [_AVERAGE, "branch_pool"],
        ],
    )


def _halve_to_17() -> _Mixed:
    return _Mixed(
        {
            "branch3x3": _valid(288, 384, 3, 2),
            "branch3x3dbl_1": _same(288, 64, 1, 1),
            "branch3x3dbl_2": _same(64, 96, 3, 3),
            "branch3x3dbl_3": _valid(96, 96, 3, 2),
        },
        [["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], [_MAX_HALVING]],
    )


def _mixed_17(inner: int) -> _Mixed:
    return _Mixed(
        {
            "branch1x1": _same(768, 192, 1, 1),
            "branch7x7_1": _same(768, inner, 1, 1),
            "branch7x7_2": _same(inner, inner, 1, 7),
            "branch7x7_3": _same(inner, 192, 7, 1),
            "branch7x7dbl_1": _same(768, inner, 1, 1),
            "branch7x7dbl_2": _same(inner, inner, 7, 1),
            "branch7x7dbl_3": _same(inner, inner, 1, 7),
            "branch7x7dbl_4": _same(inner, inner, 7, 1),
            "branch7x7dbl_5": _same(inner, 192, 1, 7),
            "branch_pool": _same(768, 192, 1, 1),
        },
        [
            ["branch1x1"],
            ["branch7x7_1", "branch7x7_2", "branch7x7_3"],
            [f"branch7x7dbl_{place}" for place in range(1, 6)],
            [_AVERAGE, "branch_pool"],
        ],
    )


def _halve_to_8() -> _Mixed:
    return _Mixed(
        {
            "branch3x3_1": _same(768, 192, 1, 1),
            "branch3x3_2": _valid(192, 320, 3, 2),
            "branch7x7x3_1": _same(768, 192, 1, 1),
            "branch7x7x3_2": _same(192, 192, 1, 7),
            "branch7x7x3_3": _same(192, 192, 7, 1),
            "branch7x7x3_4": _valid(192, 192, 3, 2),
        },
        [
            ["branch3x3_1", "branch3x3_2"],
            [f"branch7x7x3_{place}" for place in range(1, 5)],
            [_MAX_HALVING],
        ],
    )


def _mixed_8(inputs: int, pool: str) -> _Mixed:
    return _Mixed(
        {
            "branch1x1": _same(inputs, 320, 1, 1),
            "branch3x3_1": _same(inputs, 384, 1, 1),
            "branch3x3_2a": _same(384, 384, 1, 3),
            "branch3x3_2b": _same(384, 384, 3, 1),
            "branch3x3dbl_1": _same(inputs, 448, 1, 1),
            "branch3x3dbl_2": _same(448, 384, 3, 3),
            "branch3x3dbl_3a": _same(384, 384, 1, 3),
            "branch3x3dbl_3b": _same(384, 384, 3, 1),
            "branch_pool": _same(inputs, 192, 1, 1),
        },
        [
            ["branch1x1"],
            ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
            ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")],
            [pool, "branch_pool"],
        ],
    )


class Inception(nn.Module):
    """Pictures float32 [n, 3, 299, 299] in -1 .. 1 to features float32 [n, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(_valid(3, 32, 3, 2))
        self.Conv2d_2a_3x3 = _Convolution(_valid(32, 32, 3))
        self.Conv2d_2b_3x3 = _Convolution(_same(32, 64, 3, 3))
        self.Conv2d_3b_1x1 = _Convolution(_same(64, 80, 1, 1))
        self.Conv2d_4a_3x3 = _Convolution(_valid(80, 192, 3))
        self.Mixed_5b = _mixed_35(192, 32)
        self.Mixed_5c = _mixed_35(256, 64)
        self.Mixed_5d = _mixed_35(288, 64)
        self.Mixed_6a = _halve_to_17()
        self.Mixed_6b = _mixed_17(128)
        self.Mixed_6c = _mixed_17(160)
        self.Mixed_6d = _mixed_17(160)
        self.Mixed_6e = _mixed_17(192)
        self.Mixed_7a = _halve_to_8()
        self.Mixed_7b = _mixed_8(1280, _AVERAGE)
        self.Mixed_7c = _mixed_8(2048, _MAX_SAME)
        self.fc = nn.Linear(FEATURES, _CLASSES)  # part of the weights; features come before it

    def forward(self, x: Tensor) -> Tensor:
        """Return the last block's channels, averaged over the picture."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))


def resize(pictures: Tensor, side: int = SIDE) -> Tensor:
    """Resize [n, c, height, width] to [n, c, side, side] by TensorFlow 1's bilinear rule.

    Pixel i of the result lies at i * height / side of the source: corners are not aligned and
    centres are not either.
    """
    for axis in (2, 3):
        size = pictures.shape[axis]
        place = torch.arange(side, dtype=torch.float32, device=pictures.device) * (size / side)
        low = place.floor().long().clamp(max=size - 1)
        high = (low + 1).clamp(max=size - 1)
        weight = (place - low).view((-1, 1) if axis == 2 else (-1,))
        first, second = pictures.index_select(axis, low), pictures.index_select(axis, high)
        pictures = first + (second - first) * weight
    return pictures


def find() -> Path | None:
    """Return the file of weights, or None if this machine has none.

    Looked for in $GANFORGE_INCEPTION (a file), in the folder of all that is kept between runs
    (`files.home`), and where PyTorch keeps downloads ($TORCH_HOME/hub/checkpoints, by default
    ~/.cache/torch/hub/checkpoints).

    Raises:
        OptionError: $GANFORGE_INCEPTION names no file.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(files.expand(named))
        if not path.is_file():
            raise OptionError(f"{VARIABLE} names {named!r}, which is no file; unset it or name the weights")
        return path
    folders = [files.home()]
    if torch_home := _torch_home():
        folders.append(torch_home / "hub" / "checkpoints")
    candidates = (folder / name for folder in folders for name in _FILES)
    return next((path for path in candidates if path.is_file()), None)


def _torch_home() -> Path | None:
    if named := os.environ.get("TORCH_HOME"):
        return Path(files.expand(named))
    cache = files.user_cache()
    return None if cache is None else cache / "torch"


def load(device: torch.device, weights: Path | None = None) -> FeatureNetwork:
    """Return the network with the weights of a file, by default the one found.

    Raises:
        OptionError: there is no file, or it does not hold this network's weights.
    """
    path = weights or find()
    if path is None:
        raise OptionError(
            f"network {NAME} needs its weights; put {_FILES[1]} into ~/.cache/torch/hub/checkpoints, "
            f"or name it in {VARIABLE}"
        )
    tensors, digest = _read(path)
    with torch.device("meta"):
        network = Inception()
    counters = {name for name in network.state_dict() if name.endswith("num_batches_tracked")}
    missing = network.state_dict().keys() - counters - tensors.keys()
    unknown = tensors.keys() - network.state_dict().keys()
    if missing or unknown:
        raise OptionError(
            f"{path} holds no weights of this network ({len(missing)} are missing, such as "
            f"{min(missing, default='none')}; {len(unknown)} are unknown); give {_FILES[1]}"
        )
    try:
        network.load_state_dict(
            {**dict.fromkeys(counters, torch.tensor(0)), **tensors}, strict=True, assign=True
        )
    except RuntimeError as error:
        raise OptionError(
            f"{path} holds weights of other shapes; {str(error).splitlines()[1].strip()}"
        ) from None
    return as_network(network.float().eval().requires_grad_(False).to(device), digest, device)


def as_network(network: Inception, digest: str, device: torch.device) -> FeatureNetwork:
    """Return an Inception, in eval mode, as a feature network."""

    def extract(batch: Tensor) -> tuple[Tensor, None]:
        return network((resize(as_colour(batch.to(device))) - 128) / 128), None

    return FeatureNetwork(
        name=NAME,
        identity=f"{NAME}/{digest[:32]}",
        resizer=f"TensorFlow 1 bilinear to {SIDE}x{SIDE}",
        extract=extract,
        costly=True,
        notes={"weights_sha256": digest},
    )


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read tensors, never code."""
    try:
        body = path.read_bytes()
        if path.suffix == ".safetensors":
            tensors = safetensors.torch.load(body)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
            raise ValueError("it holds something else than tensors by name")
    except Exception as error:  # a damaged or hostile file fails in many ways
        raise OptionError(f"{path} cannot be read as weights: {one_line(error)}; give {_FILES[1]}") from None
    return dict(tensors), hashlib.sha256(body).hexdigest()
