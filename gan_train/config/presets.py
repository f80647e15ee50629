"""Known-good sets of options, as data, each with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from gan_infer.errors import OptionError
from gan_train.config import options
from gan_train.config.options import Config


@dataclasses.dataclass(frozen=True)
class Preset:
    """Changes of the default options, their purpose and their source."""

    purpose: str
    source: str
    changes: Mapping[str, Any]


# DCGAN's networks and moments, a quarter as wide and learning faster: for minutes, not for days.
_DCGAN: Final = {
    "network.family": "dcgan",
    "network.width": 32,
    "network.latent_dim": 100,
    "network.latent_distribution": "uniform",
    "loss.r1_gamma": 0.0,
    "optimizer.learning_rate": 1e-3,
    "optimizer.final_learning_rate": 1e-4,
    "optimizer.beta1": 0.5,
    "optimizer.beta2": 0.999,
}

PRESETS: Final[dict[str, Preset]] = {
    "resnet": Preset(
        "the default: small residual networks, the best for minutes on a laptop",
        "non-saturating loss (Goodfellow 2014), lazy R1 (Mescheder 2018; Karras 2020)",
        {},
    ),
    "relativistic": Preset(
        "the default's networks where every mode of varied data has to be covered",
        "relativistic pairing with R1 and R2 (R3GAN, Huang 2024)",
        {"loss.name": "relativistic", "loss.r2_gamma": 1.0},
    ),
    "few": Preset(
        "some hundreds of pictures, or a few thousands",
        "DiffAugment (Zhao 2020) with an adaptive strength (Karras 2020)",
        {
            "augment.policy": "colour,translation,cutout",
            "augment.strength": 0.0,
            "augment.target": 0.6,
        },
    ),
    "cgan": Preset(
        "the first conditional GAN: multilayer perceptrons, one-hot classes joined to both inputs",
        "Mirza and Osindero 2014; networks after Goodfellow 2014",
        {
            "network.family": "mlp",
            "network.width": 128,
            "network.latent_dim": 100,
            "network.latent_distribution": "uniform",
            "condition.generator": "one_hot",
            "condition.discriminator": "concatenation",
            "optimizer.batch_size": 100,
        },
    ),
    "dcgan": Preset(
        "the first GAN of convolutions alone, at any size; conditional where the data has classes",
        "Radford 2016",
        _DCGAN,
    ),
    "lsgan": Preset(
        "DCGAN's networks with the least-squares loss",
        "Mao 2017",
        {**_DCGAN, "loss.name": "least_squares"},
    ),
    "acgan": Preset(
        "a discriminator that also names the class, and a generator that is told it",
        "Odena 2017",
        {**_DCGAN, "condition.generator": "one_hot", "condition.discriminator": "auxiliary"},
    ),
    "wgan-gp": Preset(
        "Wasserstein loss with gradient penalty: slow and steady",
        "Gulrajani 2017",
        {
            "network.width": 16,
            "network.latent_dim": 128,
            "loss.name": "wasserstein",
            "loss.r1_gamma": 0.0,
            "loss.gradient_penalty": 10.0,
            "loss.penalty_interval": 1,
            "optimizer.batch_size": 64,
            "optimizer.discriminator_steps": 2,
            "optimizer.learning_rate": 1e-3,
            "optimizer.final_learning_rate": 1e-4,
            "optimizer.beta2": 0.9,
        },
    ),
    "sngan": Preset(
        "residual networks, conditional batch normalisation in one, spectral normalisation in the other",
        "Miyato 2018; Miyato and Koyama 2018",
        {
            "network.family": "sngan",
            "network.width": 16,
            "network.latent_dim": 128,
            "network.spectral_norm": True,
            "condition.generator": "batch_norm",
            "condition.mismatch_weight": 0.5,
            "loss.name": "hinge",
            "loss.r1_gamma": 0.0,
            "optimizer.batch_size": 32,
            "optimizer.discriminator_steps": 2,
            "optimizer.learning_rate": 1e-3,
            "optimizer.final_learning_rate": 1e-4,
            "optimizer.beta2": 0.9,
        },
    ),
    "fashion": Preset(
        "what the shipped model of clothes was trained with, on Fashion-MNIST",
        "the default, with the names of the classes",
        {
            "data.class_names": "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot",
        },
    ),
    "cifar10": Preset(
        "what the shipped model of small photographs was trained with, on CIFAR-10",
        "the default, wider, learning slower under less penalty; flips; wrong classes doubted (Reed 2016)",
        {
            "network.width": 24,
            "augment.flip": True,
            "loss.r1_gamma": 0.1,
            "condition.mismatch_weight": 0.1,
            "optimizer.learning_rate": 1e-3,
            "optimizer.final_learning_rate": 1e-4,
        },
    ),
    "r3": Preset(
        "grouped residual stages without normalisation, for a GPU",
        "R3GAN (Huang 2024)",
        {
            "network.family": "r3",
            "network.width": 192,
            "loss.name": "relativistic",
            "loss.r1_gamma": 0.05,
            "loss.r2_gamma": 0.05,
            "loss.penalty_interval": 1,
            "optimizer.batch_size": 512,
            "optimizer.learning_rate": 2e-4,
            "optimizer.final_learning_rate": 5e-5,
            "augment.policy": "translation,cutout",
            "augment.strength": 0.5,
        },
    ),
}


def make(preset: str, changes: Mapping[str, Any]) -> Config:
    """Return a preset with options changed; `changes` maps "group.option" or "option" to a value.

    Raises:
        OptionError: no such preset or option, or a value of the wrong type or out of range.
    """
    if preset not in PRESETS:
        raise OptionError(f"preset {preset!r} is unknown; give one of {', '.join(PRESETS)}")
    return options.replace(Config(preset=preset), {**PRESETS[preset].changes, **changes})
