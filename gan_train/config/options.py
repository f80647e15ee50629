"""All options of a run: frozen dataclasses and their strict JSON form.

An option is named, described and checked here once; the command line, Python and `config.json`
share it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_type_hints

from gan_infer import files
from gan_infer.decoding import ranges
from gan_infer.errors import OptionError
from gan_infer.text.escaping import one_line

MIN_SIDE: Final = 8
MAX_SIDE: Final = 256
# Options that are paths, and those that say how what lies there is read.
PATHS: Final = ("data.source", "data.labels")
LAYOUT: Final = ("data.label_column", "data.split")


def option(default: Any, low: float | None = None, high: float | None = None, one_of: Any = ()) -> Any:
    """Return a field of options: its default, and which values it takes."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "one_of": one_of})


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Which pictures to train on, and at what size. None is filled in from the data.

    `labels` is a CSV or JSON file of labels, "" where the layout says them; `class_names` replaces the
    data's own names, in its order, with commas between them; `fit` says how a picture is brought to
    another shape; `value_range` which values of pictures with more than 8 bits are
    black and white ("0:4095"; "auto" settles it once for the whole set).

    `file_column` and `label_column` are columns of the table, by name or number, "" to find them;
    `split` "none" takes folders such as test as classes; `zip_encoding` is the encoding of names in a zip
    file that do not state it; `follow_links` follows links to folders elsewhere.
    """

    source: str = "digits"
    labels: str = ""
    class_names: str = ""
    height: int | None = option(None, MIN_SIDE, MAX_SIDE)
    width: int | None = option(None, MIN_SIDE, MAX_SIDE)
    channels: int | None = option(None, one_of=(1, 3, 4))
    fit: str = option("crop", one_of=("crop", "pad"))
    on_bad: str = option("refuse", one_of=("refuse", "skip"))
    sha256: str = ""
    file_column: str = dataclasses.field(default="", metadata={"added": True})
    label_column: str = dataclasses.field(default="", metadata={"added": True})
    split: str = dataclasses.field(default="auto", metadata={"added": True, "one_of": ("auto", "none")})
    zip_encoding: str = dataclasses.field(default="", metadata={"added": True})
    follow_links: bool = dataclasses.field(default=False, metadata={"added": True})
    value_range: str = dataclasses.field(default="auto", metadata={"added": True})


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """The pair of networks; `width` is the channels at full size, and sets the cost.

    `family` is one of `gan_train.networks.FAMILIES`, which the task checks.
    `spectral_norm` divides each of the discriminator's weights by its largest singular value.
    """

    family: str = "resnet"
    width: int | None = option(None, 1, 4096)
    latent_dim: int = option(64, 1, 4096)
    latent_distribution: str = option("normal", one_of=("normal", "uniform"))
    spectral_norm: bool = False


@dataclasses.dataclass(frozen=True)
class ConditionOptions:
    """How labels enter each network, where the data has any; "none" for both leaves them out.

    `auxiliary_weight` is the weight of an auxiliary classifier's loss. `mismatch_weight`, with
    projection, is the weight of the loss on real pictures under another label: more of it gives
    clearer classes, and less of what lies between them.
    """

    generator: str = option("embedding", one_of=("none", "one_hot", "embedding", "batch_norm"))
    discriminator: str = option("projection", one_of=("none", "concatenation", "projection", "auxiliary"))
    auxiliary_weight: float = option(1.0, 0, 1e6)
    mismatch_weight: float = option(0.0, 0, 1e6)


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """The game. `name` is one of `objectives.adversarial.LOSSES`, which the task checks.

    Penalties are taken every `penalty_interval` steps, weighted to make up for it.

    `r1_gamma` and `r2_gamma` weight the squared norm of the gradient on real and on generated
    pictures, `gradient_penalty` the squared distance of the norm from 1 between them.
    """

    name: str = "non_saturating"
    r1_gamma: float = option(1.0, 0, 1e6)
    r2_gamma: float = option(0.0, 0, 1e6)
    gradient_penalty: float = option(0.0, 0, 1e6)
    penalty_interval: int = option(8, 1, 1024)


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """How pictures are augmented before the discriminator sees them, so that few pictures last longer.

    `policy` lists of `objectives.augment.TRANSFORMS` (DiffAugment), "" for none. `strength` is
    the share of pictures it is done to; with `target` it moves so that the discriminator is right
    about real pictures that much more often than wrong. `flip` mirrors half of the real pictures.
    """

    policy: str = ""
    strength: float = option(1.0, 0, 1)
    target: float | None = option(None, 0, 1)
    flip: bool = False


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """Adam and its schedule; `warmup` and `ema_ramp` are fractions of the images, see `loop`."""

    batch_size: int | None = option(None, 2, 65536)
    discriminator_steps: int = option(1, 1, 100)
    learning_rate: float = option(2e-3, 1e-9, 1)
    final_learning_rate: float = option(2e-4, 0, 1)
    warmup: float = option(0.02, 0, 1)
    beta1: float = option(0.0, 0, 0.9999)
    beta2: float = option(0.99, 0, 0.999999)
    ema_half_life_images: float = option(10_000.0, 0, 1e12)
    ema_ramp: float = option(0.05, 0, 1)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long to train: minutes of training or images seen, one of them."""

    minutes: float | None = option(None, 0.01, 1e6)
    images: int | None = option(None, 1, 10**15)


@dataclasses.dataclass(frozen=True)
class MachineOptions:
    """Where and how it runs. `auto` is settled before the first step and written down.

    `steps` on CUDA: "graphed" replays whole steps as CUDA graphs, "compiled" compiles the networks
    where no penalty is taken. `deterministic` gives up speed on CUDA for equal results.
    `processes` is the number of processes that share each batch (torchrun sets it).
    """

    device: str = "auto"
    precision: str = option("auto", one_of=("auto", "fp32", "bf16"))
    threads: int | None = option(None, 1, 1024)
    steps: str = option("auto", one_of=("auto", "eager", "compiled", "graphed"))
    deterministic: bool = False
    processes: int | None = option(None, 1, 65536)


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """What is measured at every report: `samples` pictures on a feature network.

    0 samples: nothing; None: as many as the network's cost allows. `network` is "auto" or one of
    `gan_train.metrics`.
    """

    samples: int | None = option(None, 0, 1_000_000)
    network: str = "auto"


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole run. `task` is one of `gan_train.tasks`; `seed` fixes weights, order and latents.

    `reports` counts the sheets, checkpoints and measurements over the run; `rollbacks` is how
    many times a run that went wrong may go back to its last good checkpoint before it gives up.
    """

    preset: str = "resnet"
    task: str = dataclasses.field(default="generate", metadata={"added": True})
    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    condition: ConditionOptions = ConditionOptions()
    loss: LossOptions = LossOptions()
    augment: AugmentOptions = AugmentOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    budget: Budget = Budget()
    machine: MachineOptions = MachineOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    seed: int = option(0, 0, 2**63 - 1)
    reports: int = option(20, 1, 10_000)
    rollbacks: int = option(3, 0, 100)

    def to_json(self) -> str:
        """Return the text of `config.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


AnyConfig = TypeVar("AnyConfig", bound=Config)


def replace(config: AnyConfig, changes: Mapping[str, Any]) -> AnyConfig:
    """Return a config with options changed; `changes` maps "group.option" or "option" to a value.

    Raises:
        OptionError: no such option, or a value of the wrong type or out of range.
    """
    tree = dataclasses.asdict(config)
    known = dict(leaves(config))
    for place, value in changes.items():
        if place not in known:
            near = difflib.get_close_matches(place, known, 3, 0.5)
            hint = f"; near it are {', '.join(near)}" if near else f"; options are {', '.join(known)}"
            raise OptionError(f"option {place!r} is unknown{hint}")
        *groups, name = place.split(".")
        branch = tree
        for group in groups:
            branch = branch[group]
        branch[name] = value
    return from_tree(tree, type(config))


def parse(assignment: str) -> tuple[str, Any]:
    """Return ("group.option", value) of a text like "loss.r1_gamma=0.5"; "none" is None.

    Raises:
        OptionError: it is not of that form.
    """
    place, equals, text = (part.strip() for part in assignment.partition("="))
    if not equals or not place:
        raise OptionError(f"{assignment!r} sets no option; write it like loss.r1_gamma=0.5")
    kinds = _kinds(place)
    word = text.lower()
    if word == "none" and type(None) in kinds:
        return place, None
    if word in ("true", "false") and bool in kinds:
        return place, word == "true"
    for kind in (int, float):
        if kind in kinds:
            with contextlib.suppress(ValueError):
                return place, kind(text)
    return place, text


def _kinds(place: str) -> tuple[Any, ...]:
    """Return the types that an option takes; none if there is no such option."""
    hint: Any = Config
    for name in place.split("."):
        hint = get_type_hints(hint).get(name) if dataclasses.is_dataclass(hint) else None
    return get_args(hint) or (hint,)


def read(path: Path) -> Config:
    """Read a `config.json`.

    Raises:
        OptionError: it cannot be read, is no JSON, or has an unknown, missing or wrong option.
    """
    try:
        tree = json.loads(path.read_bytes(), object_pairs_hook=_once_each)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}; give a run's config.json") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise OptionError(f"{path} is no JSON ({why}); restore it, or start another run") from None
    try:
        return from_tree(tree, Config)
    except OptionError as error:
        raise OptionError(
            f"{path}: {error}; mend it there, or, where another version wrote it, go on with that one or "
            "give another --out to start a new run"
        ) from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of some pairs, each name once: of two values, nobody knows which one counts."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} is there twice")
    return dict(pairs)


def write(config: Config, path: Path) -> None:
    """Write `config.json`, whole or not at all."""
    files.write(path, config.to_json().encode())


def from_tree(tree: object, kind: type[AnyConfig]) -> AnyConfig:
    """Make a config of a class from nested dicts, strictly: all options, no others, each in range.

    Raises:
        OptionError: names the option, what it was and what is expected.
    """
    config: AnyConfig = _build(kind, tree, "")
    budget = config.budget
    if budget.minutes is not None and budget.images is not None:
        raise OptionError("both budget.minutes and budget.images are given; give one of them")
    if (config.data.height is None) != (config.data.width is None):
        raise OptionError("only one of data.height and data.width is given; give both or neither")
    _agree(config)
    return config


def _agree(config: Config) -> None:
    """Refuse options that are in range but do not fit together."""
    try:
        ranges.parse(config.data.value_range)
    except OptionError as error:
        raise OptionError(f"option data.value_range: {error}") from None
    condition = config.condition
    if (condition.generator == "none") != (condition.discriminator == "none"):
        raise OptionError(
            "only one of condition.generator and condition.discriminator is none; "
            "give both a kind, or none to both"
        )


def policies(augment: AugmentOptions) -> tuple[str, ...]:
    """List the augmentations of a policy like "translation,cutout"."""
    return tuple(name.strip() for name in augment.policy.split(",") if name.strip())


def differences(old: Config, new: Config) -> list[tuple[str, Any, Any]]:
    """List the options that differ, each as ("group.option", old, new)."""
    return [
        (place, was, now)
        for (place, was), (_, now) in zip(leaves(old), leaves(new), strict=True)
        if was != now
    ]


def leaves(node: Any, place: str = "") -> Iterable[tuple[str, Any]]:
    """List a config's options, each as ("group.option", value)."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{place}{field.name}.")
        else:
            yield place + field.name, value


def _build(kind: Any, tree: object, place: str) -> Any:
    if not isinstance(tree, dict):
        raise OptionError(f"{place.rstrip('.') or 'the config'} is {shorten(tree)}, not a group of options")
    hints = get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}
    for name in tree:
        if name not in known:
            raise OptionError(
                f"option {shorten(place + name)[1:-1]} is unknown; options here are {', '.join(known)}"
            )
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in tree and field.metadata.get("added"):  # by a version after the file's
            values[name] = field.default
            continue
        if name not in tree:
            raise OptionError(f"option {place}{name} is missing")
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _build(hints[name], tree[name], f"{place}{name}.")
        else:
            values[name] = _check_value(tree[name], hints[name], field.metadata, place + name)
    return kind(**values)


def _check_value(value: Any, hint: Any, limits: Mapping[str, Any], place: str) -> Any:
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = kinds[0]
    if kind is float and type(value) is int and abs(value) < _MOST:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)) or _is_no_text(value):
        raise OptionError(f"option {place} is {shorten(value)}; expected {_NOUNS[kind]}")
    one_of = limits.get("one_of") or ()
    if one_of and value not in one_of:
        raise OptionError(
            f"option {place} is {shorten(value)}; expected one of {', '.join(map(str, one_of))}"
        )
    low, high = limits.get("low"), limits.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise OptionError(
            f"option {place} is {shorten(value)}; expected {_NOUNS[kind]} from {low:g} to {high:g}"
        )
    return value


def _is_no_text(value: Any) -> bool:
    """Return whether a value is a text with characters that no file name can have: NUL, half of a pair."""
    return isinstance(value, str) and ("\0" in value or any("\ud800" <= each < "\udc80" for each in value))


def shorten(value: Any) -> str:
    """Return a value as messages show it: quoted, and cut where it is long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_MOST: Final = 2**1000
_LONGEST_SHOWN: Final = 100
_NOUNS: Final = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
