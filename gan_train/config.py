"""All options of a run: frozen dataclasses, their strict JSON form, and the presets.

An option is named, described and checked here once; the command line, Python and `config.json`
share it. It knows nothing of how options are carried out.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from gan_infer import files
from gan_infer.errors import OptionError

MIN_SIDE: Final = 16
MAX_SIDE: Final = 128


def _option(default: Any, low: float | None = None, high: float | None = None, one_of: Any = ()) -> Any:
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "one_of": one_of})


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Which pictures, and at what size they are learnt. None is filled in from the data."""

    source: str = "digits"
    height: int | None = _option(None, MIN_SIDE, MAX_SIDE)
    width: int | None = _option(None, MIN_SIDE, MAX_SIDE)
    channels: int | None = _option(None, one_of=(1, 3))
    on_bad: str = _option("refuse", one_of=("refuse", "skip"))
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """The pair of networks; `width` is the channels at full size, and sets the cost."""

    family: str = _option("resnet", one_of=("resnet", "dcgan"))
    width: int = _option(16, 1, 1024)
    latent_dim: int = _option(64, 1, 4096)
    latent_distribution: str = _option("normal", one_of=("normal", "uniform"))


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """The game. Penalties are taken every `penalty_interval` steps, weighted to make up for it."""

    name: str = _option("non_saturating", one_of=("non_saturating", "relativistic"))
    r1_gamma: float = _option(1.0, 0, 1e6)
    r2_gamma: float = _option(0.0, 0, 1e6)
    penalty_interval: int = _option(8, 1, 1024)


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """Adam and its schedule; `warmup` and `ema_ramp` are fractions of the images, see `loop`."""

    batch_size: int = _option(64, 2, 65536)
    learning_rate: float = _option(2e-3, 1e-9, 1)
    final_learning_rate: float = _option(2e-4, 0, 1)
    warmup: float = _option(0.02, 0, 1)
    beta1: float = _option(0.0, 0, 0.9999)
    beta2: float = _option(0.99, 0, 0.999999)
    ema_half_life_images: float = _option(10_000.0, 0, 1e12)
    ema_ramp: float = _option(0.05, 0, 1)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long to train: minutes of training or images seen, one of them."""

    minutes: float | None = _option(None, 0.01, 1e6)
    images: int | None = _option(None, 1, 10**15)


@dataclasses.dataclass(frozen=True)
class MachineOptions:
    """Where and how it runs. `auto` is settled before the first step and written down."""

    device: str = "auto"
    precision: str = _option("auto", one_of=("auto", "fp32", "bf16"))
    threads: int | None = _option(None, 1, 1024)


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole run. `seed` fixes weights, order and latents; `reports` counts the sample sheets."""

    preset: str = "resnet"
    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    loss: LossOptions = LossOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    budget: Budget = Budget()
    machine: MachineOptions = MachineOptions()
    seed: int = _option(0, 0, 2**63 - 1)
    reports: int = _option(20, 1, 10_000)

    def to_json(self) -> str:
        """Give the text of `config.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


PRESETS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "resnet": (
        "the default: small residual pair, non-saturating loss, lazy R1",
        {},
    ),
    "relativistic": (
        "the default's networks with relativistic pairing and lazy R1 + R2 (after R3GAN, 2024)",
        {"loss.name": "relativistic", "loss.r2_gamma": 1.0},
    ),
    "dcgan": (
        "DCGAN as published in 2016, at any size; conditional where the data has classes",
        {
            "network.family": "dcgan",
            "network.width": 128,
            "network.latent_dim": 100,
            "network.latent_distribution": "uniform",
            "loss.r1_gamma": 0.0,
            "optimizer.batch_size": 128,
            "optimizer.learning_rate": 2e-4,
            "optimizer.final_learning_rate": 2e-4,
            "optimizer.warmup": 0.0,
            "optimizer.beta1": 0.5,
            "optimizer.beta2": 0.999,
        },
    ),
}


def make(preset: str, changes: Mapping[str, Any]) -> Config:
    """Give a preset with options changed; `changes` maps "group.option" or "option" to a value.

    Raises:
        OptionError: no such preset or option, or a value of the wrong type or out of range.
    """
    if preset not in PRESETS:
        raise OptionError(f"preset {preset!r} is unknown; give one of {', '.join(PRESETS)}")
    return replace(Config(preset=preset), {**PRESETS[preset][1], **changes})


def replace(config: Config, changes: Mapping[str, Any]) -> Config:
    """Give a config with options changed, named as for `make`, and check it again."""
    tree = dataclasses.asdict(config)
    for place, value in changes.items():
        *groups, name = place.split(".")
        branch = tree
        for group in groups:
            branch = branch[group]
        if name not in branch:
            raise OptionError(f"option {place!r} is unknown")
        branch[name] = value
    return from_tree(tree)


def read(path: Path) -> Config:
    """Read a `config.json`.

    Raises:
        OptionError: it cannot be read, is no JSON, or has an unknown, missing or wrong option.
    """
    try:
        tree = json.loads(path.read_text())
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}; give a run's config.json") from None
    except ValueError as error:
        raise OptionError(f"{path} is no JSON ({error}); restore it, or start another run") from None
    try:
        return from_tree(tree)
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None


def write(config: Config, path: Path) -> None:
    """Write `config.json`, whole or not at all."""
    files.write(path, config.to_json().encode())


def from_tree(tree: object) -> Config:
    """Make a config of nested dicts, strictly: every option there, none more, each in range.

    Raises:
        OptionError: names the option, what it was and what is expected.
    """
    config: Config = _build(Config, tree, "")
    budget = config.budget
    if budget.minutes is not None and budget.images is not None:
        raise OptionError("both budget.minutes and budget.images are given; give one of them")
    if (config.data.height is None) != (config.data.width is None):
        raise OptionError("only one of data.height and data.width is given; give both or neither")
    if config.loss.r1_gamma + config.loss.r2_gamma > 0 and config.network.family == "dcgan":
        raise OptionError(
            "loss.r1_gamma and loss.r2_gamma need a discriminator without batch normalisation, "
            "whose judgement of one picture does not depend on the others; set them to 0 for dcgan"
        )
    return config


def differences(old: Config, new: Config) -> list[str]:
    """Name the options that differ, each as "group.option: old -> new"."""
    return [
        f"{place}: {was!r} -> {now!r}"
        for (place, was), (_, now) in zip(_leaves(old), _leaves(new), strict=True)
        if was != now
    ]


def _leaves(node: Any, place: str = "") -> Iterable[tuple[str, Any]]:
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{place}{field.name}.")
        else:
            yield place + field.name, value


def _build(kind: Any, tree: object, place: str) -> Any:
    if not isinstance(tree, dict):
        raise OptionError(f"{place.rstrip('.') or 'the config'} is {tree!r}, not a group of options")
    hints = get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}
    for name in tree:
        if name not in known:
            raise OptionError(f"option {place}{name} is unknown; options here are {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in tree:
            raise OptionError(f"option {place}{name} is missing")
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _build(hints[name], tree[name], f"{place}{name}.")
        else:
            values[name] = _checked(tree[name], hints[name], field.metadata, place + name)
    return kind(**values)


def _checked(value: Any, hint: Any, limits: Mapping[str, Any], place: str) -> Any:
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = kinds[0]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise OptionError(f"option {place} is {value!r}; expected {_NOUNS[kind]}")
    one_of = limits.get("one_of") or ()
    if one_of and value not in one_of:
        raise OptionError(f"option {place} is {value!r}; expected one of {', '.join(map(str, one_of))}")
    low, high = limits.get("low"), limits.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise OptionError(f"option {place} is {value!r}; expected {_NOUNS[kind]} from {low:g} to {high:g}")
    return value


_NOUNS: Final = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
