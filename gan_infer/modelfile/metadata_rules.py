"""Checks and reads the JSON metadata of a model file, key by key."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gan_infer.conditions import spec
from gan_infer.errors import ModelError
from gan_infer.latent.directions import Direction
from gan_infer.latent.seeds import ALGORITHM, DISTRIBUTIONS
from gan_infer.text import strict

KEY: Final = "ganforge"
# The kinds of files: one makes pictures, one says how real pictures look.
GENERATOR: Final = "generator"
CRITIC: Final = "critic"
FORMAT_VERSION: Final = "1.1"
# The first words of `preparation` for a file of other tools, which has no name of its own.
FOREIGN: Final = "a foreign file"

# Versions before 1.1 wrote NaN into these keys.
_MEASURED: Final = ("calibration", "metrics")
# Limits of this format, so that a hostile file cannot ask for too much.
MAX_LATENT_DIM: Final = 65_536
MAX_SIDE: Final = 8_192
MAX_CLASSES: Final = 100_000
CHANNELS: Final = (1, 3, 4)
MAX_DIRECTIONS: Final = 256
# Characters in names of models and classes, and in other texts.
MAX_NAME: Final = 1_024
MAX_TEXT: Final = 65_536


def parse(text: str) -> dict[str, Any]:
    """Return the JSON object that a text holds, of a format version that this reader knows.

    Raises:
        ModelError: it is not a JSON object, or has a newer major format version.
    """
    try:
        data = strict.read(text, _MEASURED)
    except ValueError as error:
        raise ModelError(
            f"the model's {KEY!r} metadata cannot be read as JSON ({error}); export it again"
        ) from None
    if not isinstance(data, dict):
        raise ModelError(f"the model's {KEY!r} metadata is no JSON object; export it again")
    _check_version(data.get("format_version"))
    return data


def read_fields(fields: Iterable[dataclasses.Field[Any]], text: str, kind: str) -> dict[str, Any]:
    """Return the keys of a JSON text that are fields of a dataclass, each checked against its rule.

    Args:
        kind: GENERATOR or CRITIC.

    Raises:
        ModelError: as `parse`; a key is missing or breaks its rule, or the file is of another kind.
    """
    data = parse(text)
    expect(data.get("kind", GENERATOR) == kind, "kind", data.get("kind", GENERATOR), repr(kind))
    known: dict[str, Any] = {"class_names": ()}
    for field in fields:
        if field.name not in data:
            if field.default is field.default_factory is dataclasses.MISSING:
                raise make_error(field.name, "nothing", "a value")
            continue
        value = data[field.name]
        right, wanted = _RULES.get(field.name, _text(MAX_TEXT))
        expect(right(value), field.name, value, wanted)
        known[field.name] = _READ[field.name](value) if field.name in _READ else value
    return known


def _check_version(version: object) -> None:
    match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", version) if isinstance(version, str) else None
    if not match:
        raise make_error("format_version", version, f"a text like {FORMAT_VERSION!r}")
    if int(match[1]) > int(FORMAT_VERSION.split(".")[0]):
        raise ModelError(
            f"the model is of format {version}, this ganforge reads up to {FORMAT_VERSION}; "
            "update it with: pip install --upgrade ganforge"
        )


# Whether a value is right, and a description of right values.
Rule = tuple[Callable[[Any], bool], str]


def _text(most: int) -> Rule:
    return lambda value: type(value) is str and len(value) <= most, f"a text of at most {most:,} characters"


def _whole(low: int, high: int) -> Rule:
    return lambda value: type(value) is int and low <= value <= high, f"an integer from {low} to {high}"


def _one_of(*values: object) -> Rule:
    return lambda value: any(type(value) is type(each) and value == each for each in values), (
        f"one of {', '.join(map(repr, values))}"
    )


def _number(low: float, high: float, wanted: str) -> Rule:
    return lambda value: type(value) in (int, float) and low < value <= high, wanted


def _is_class_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_CLASSES
        and all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in value)
        and len(set(value)) == len(value)
    )


def _is_measurement(value: Any) -> bool:
    """Return whether a value has the form of a measurement: images seen, and numbers by name."""
    return (
        isinstance(value, dict)
        and _whole(0, 2**63)[0](value.get("images_seen", 0))
        and isinstance(values := value.get("values", {}), dict)
        and all(each is None or type(each) in (int, float) for each in values.values())
    )


def _make_list_rule(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(right, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_LIST: Final = (
    f"a list of 1 to {spec.MOST_SPECS} objects of different names, each with a name, a kind, a dtype "
    f"({', '.join(spec.DTYPES)}) and a shape of integers or of low, high and multiple"
)

# Key -> rule; keys that are not listed are texts.
_RULES: Final[Mapping[str, Rule]] = {
    "name": _text(MAX_NAME),
    "latent_dim": _whole(1, MAX_LATENT_DIM),
    "height": _whole(1, MAX_SIDE),
    "width": _whole(1, MAX_SIDE),
    "channels": _one_of(*CHANNELS),
    "images_seen": _whole(0, 2**63),
    "class_names": (
        _is_class_names,
        f"a list of different, non-empty texts of at most {MAX_NAME:,} characters",
    ),
    "truncation": _number(0, 2, "a number over 0, at most 2"),
    "latent_distribution": _one_of(*DISTRIBUTIONS),
    "latent_algorithm": _one_of(ALGORITHM),
    "fit": _one_of("crop", "pad"),
    "recipe": (_is_object, "an object"),
    "calibration": (_is_object, "an object"),
    "versions": (
        lambda value: isinstance(value, dict) and all(map(_text(MAX_NAME)[0], value.values())),
        "an object of texts",
    ),
    "metrics": (_make_list_rule(_is_measurement), "a list of measurements"),
    "golden": (_make_list_rule(_is_object), "a list of objects"),
    "directions": (_make_list_rule(_is_object), "a list of objects"),
    "inputs": (spec.are_specs, _LIST),
    "outputs": (spec.are_specs, _LIST),
}
# Key that holds a list -> how it is read.
_READ: Final[Mapping[str, Callable[[Any], tuple[Any, ...]]]] = {
    "class_names": tuple,
    "metrics": tuple,
    "golden": tuple,
    "directions": tuple,
    "inputs": spec.read_inputs,
    "outputs": spec.read_outputs,
}


def read_directions(items: Sequence[dict[str, Any]], dim: int, classes: int) -> tuple[Direction, ...]:
    """Return the directions of JSON objects, for latents of `dim` elements.

    Raises:
        ModelError: one is not as it must be, two have one name, or there are too many.
    """
    directions = tuple(_read_direction(item, dim, classes) for item in items)
    names = [direction.name for direction in directions]
    right = len(set(names)) == len(names) <= MAX_DIRECTIONS
    expect(right, "directions", names, f"at most {MAX_DIRECTIONS} of different names")
    return directions


def _read_direction(item: dict[str, Any], dim: int, classes: int) -> Direction:
    name, scale, source = item.get("name"), item.get("scale", 1.0), item.get("source", "")
    vector, own = item.get("vector"), item.get("class_vectors", [])
    right = (
        isinstance(name, str)
        and 0 < len(name) <= 64
        and _text(MAX_TEXT)[0](source)
        and _are_finite([scale])
        and _are_finite(vector, dim)
        and isinstance(own, list)
        and len(own) in {0, classes}
        and all(_are_finite(each, dim) for each in own)
    )
    expect(right, "directions", item, f"a name, a scale and a vector of {dim} numbers, or one per class")
    assert isinstance(vector, list)
    return Direction(str(name), tuple(vector), float(scale), str(source), tuple(tuple(each) for each in own))


def _are_finite(values: object, count: int = 1) -> bool:
    """Return whether values are a list of `count` numbers, none too large for float32."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < 1e6 for value in values)  # a NaN is not less
    )


def expect(right: bool, field: str, value: object, wanted: str) -> None:
    """Refuse a value of a key, unless it is right; `wanted` describes what is.

    Raises:
        ModelError: it is not right.
    """
    if not right:
        raise make_error(field, value, wanted)


def make_error(field: str, value: object, wanted: str) -> ModelError:
    """Return the error for a value that a key must not have."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ModelError(f"the model's {KEY!r} metadata has {shown} for {field}, not {wanted}; export it again")
