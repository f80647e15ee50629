"""What a model file says of itself: a frozen dataclass and its JSON text in `metadata_props`.

It knows nothing of ONNX or of pictures; whoever holds the file hands it the text under `KEY`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from gan_infer.errors import ModelError
from gan_infer.latents import ALGORITHM, DISTRIBUTIONS, SEED_LIMIT

KEY: Final = "ganforge"
# What a file is: makes pictures, or says how real pictures look.
GENERATOR: Final = "generator"
CRITIC: Final = "critic"
FORMAT_VERSION: Final = "1.0"
# How the preparation of a file of other tools begins, which says no name of itself.
FOREIGN: Final = "a foreign file"

# Bounds that every file of this format keeps, so that a hostile one cannot ask for the moon.
MAX_LATENT_DIM: Final = 65_536
MAX_SIDE: Final = 8_192
MAX_CLASSES: Final = 100_000
CHANNELS: Final = (1, 3, 4)
MAX_DIRECTIONS: Final = 256
# Halves of a character that JSON can write alone, and that nothing can print.
_LONE: Final = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True)
class Golden:
    """A picture that the model must give: the SHA-256 of its pixels, row by row.

    `label` is None for an unconditional model. The hash holds on the machine and execution
    provider that wrote the file; elsewhere a level may differ by one, and the hash with it.
    """

    seed: int
    label: int | None
    sha256: str


@dataclasses.dataclass(frozen=True)
class Direction:
    """A way to change a picture: latent + amount * scale * vector draws it changed by `amount` units.

    The sum of the changes along several directions is taken first; where latents are normal, the
    changed latent is then brought back to the length that it had.

    Attributes:
        name: what changes ("thickness"), or "direction1", "direction2", ... where nobody named it.
        vector: [latent_dim], of length 1.
        scale: latent units in one unit of the direction.
        source: how it was found, and what a unit is.
        class_vectors: [classes][latent_dim] where classes have vectors of their own, which then
            stand in for `vector` (and need not be of length 1); a mix of labels mixes them too.
    """

    name: str
    vector: tuple[float, ...]
    scale: float = 1.0
    source: str = ""
    class_vectors: tuple[tuple[float, ...], ...] = ()


class Described:
    """What follows from what every model file says of itself; the fields are those of its heirs."""

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]

    @property
    def conditional(self) -> bool:
        """True where the model takes a label."""
        return bool(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def to_json(self) -> str:
        """Give the text that stands under `KEY` in the file."""
        text = json.dumps(dataclasses.asdict(cast(Any, self)), ensure_ascii=False, sort_keys=True)
        # Names of folders, which need not be text; a model file holds nothing else.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Metadata(Described):
    """What a generator file says of itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    `truncation` is the factor that the graph itself puts on every latent: whoever runs the file
    feeds latents as they are drawn. `precision` is that of the graph's weights and arithmetic,
    "float32" or "float16"; the types of its inputs and output are the same for both.
    """

    name: str
    latent_dim: int
    height: int
    width: int
    channels: int
    class_names: tuple[str, ...] = ()
    latent_distribution: str = "normal"
    latent_algorithm: str = ALGORITHM
    kind: str = GENERATOR
    truncation: float = 1.0
    precision: str = "float32"
    format_version: str = FORMAT_VERSION
    data_name: str = ""
    data_sha256: str = ""
    data_licence: str = ""
    preparation: str = ""
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    images_seen: int = 0
    metrics: tuple[Mapping[str, Any], ...] = ()
    licence: str = ""
    intended_use: str = ""
    created_at: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    golden: tuple[Golden, ...] = ()
    directions: tuple[Direction, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Read the text under `KEY`; unknown keys are ignored.

        Raises:
            ModelError: it is no JSON object, a needed key is missing or out of its range, or the
                file is of a newer major format version.
        """
        known = _known(cls, text, GENERATOR)
        for needed in ("name", "latent_dim", "height", "width", "channels"):
            if needed not in known:
                raise _bad(needed, "nothing", "a value")
        _expect_int(known, "latent_dim", 1, MAX_LATENT_DIM)
        _check_shared(known)
        truncation = known.get("truncation", 1.0)
        _expect(
            type(truncation) in (int, float) and 0 < truncation <= 2,
            "truncation",
            truncation,
            "a number over 0, at most 2",
        )
        distribution = known.get("latent_distribution", "normal")
        _expect(distribution in DISTRIBUTIONS, "latent_distribution", distribution, f"one of {DISTRIBUTIONS}")
        algorithm = known.get("latent_algorithm", ALGORITHM)
        _expect(algorithm == ALGORITHM, "latent_algorithm", algorithm, repr(ALGORITHM))
        known["metrics"] = _objects("metrics", known.get("metrics", []))
        known["golden"] = tuple(
            _golden(item, len(known["class_names"])) for item in _objects("golden", known.get("golden", []))
        )
        known["directions"] = _directions(
            _objects("directions", known.get("directions", [])),
            known["latent_dim"],
            len(known["class_names"]),
        )
        return cls(**known)


@dataclasses.dataclass(frozen=True)
class GoldenScore:
    """A judgement that a critic must give, within 0.001 on any machine.

    `png` is a PNG file in base64. Where it is smaller than the critic's pictures, each of its
    pixels stands for a square of them, see `critic.golden_picture`. `label` is None for an
    unconditional critic.
    """

    png: str
    label: int | None
    realness: float


@dataclasses.dataclass(frozen=True)
class CriticMetadata(Described):
    """What a critic file says of itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    `fit` is how a picture of another shape gets the critic's, "crop" or "pad". `calibration` says
    what `realness` was calibrated on, by which method, and holds the calibration curve.
    """

    name: str
    height: int
    width: int
    channels: int
    class_names: tuple[str, ...] = ()
    kind: str = CRITIC
    format_version: str = FORMAT_VERSION
    fit: str = "crop"
    calibration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data_name: str = ""
    data_sha256: str = ""
    data_licence: str = ""
    preparation: str = ""
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    images_seen: int = 0
    licence: str = ""
    intended_use: str = ""
    created_at: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    golden: tuple[GoldenScore, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> CriticMetadata:
        """Read the text under `KEY`; unknown keys are ignored.

        Raises:
            ModelError: as `Metadata.from_json`.
        """
        known = _known(cls, text, CRITIC)
        for needed in ("name", "height", "width", "channels"):
            if needed not in known:
                raise _bad(needed, "nothing", "a value")
        _check_shared(known)
        fit = known.get("fit", "crop")
        _expect(fit in ("crop", "pad"), "fit", fit, "'crop' or 'pad'")
        known["golden"] = tuple(
            _golden_score(item, len(known["class_names"]))
            for item in _objects("golden", known.get("golden", []))
        )
        return cls(**known)


def kind_of(text: str) -> str:
    """Tell what the file is whose text stands under `KEY`; files that do not say are generators.

    Raises:
        ModelError: the text is no JSON object, or of a newer major format version.
    """
    kind = _parsed(text).get("kind", GENERATOR)
    _expect(isinstance(kind, str), "kind", kind, "a text")
    return str(kind)


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the model's {KEY!r} metadata is no JSON ({error}); export it again") from None
    if not isinstance(data, dict):
        raise ModelError(f"the model's {KEY!r} metadata is no JSON object; export it again")
    if "\\u" in text and _LONE.search(json.dumps(data, ensure_ascii=False)):
        raise ModelError(f"the model's {KEY!r} metadata holds what is no Unicode text; export it again")
    _check_version(data.get("format_version"))
    return data


def _known(cls: type[Metadata | CriticMetadata], text: str, kind: str) -> dict[str, Any]:
    """Give the keys that a class has; texts, objects and the file's kind are checked."""
    data = _parsed(text)
    fields = dataclasses.fields(cls)
    known = {field.name: data[field.name] for field in fields if field.name in data}
    for field in fields:
        type_ = str(field.type)  # a text, annotations being postponed
        if type_ == "str" and field.name in known:
            _expect(isinstance(known[field.name], str), field.name, known[field.name], "a text")
        if type_.startswith("Mapping") and field.name in known:
            _expect(isinstance(known[field.name], dict), field.name, known[field.name], "an object")
    _expect(known.get("kind", GENERATOR) == kind, "kind", known.get("kind", GENERATOR), repr(kind))
    return known


def _check_shared(known: dict[str, Any]) -> None:
    _expect_int(known, "height", 1, MAX_SIDE)
    _expect_int(known, "width", 1, MAX_SIDE)
    _expect_int(known, "images_seen", 0, 2**63)
    _expect(known["channels"] in CHANNELS, "channels", known["channels"], f"one of {CHANNELS}")
    known["class_names"] = _class_names(known.get("class_names", []))


def _check_version(version: object) -> None:
    match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", version) if isinstance(version, str) else None
    if not match:
        raise _bad("format_version", version, f"a text like {FORMAT_VERSION!r}")
    if int(match[1]) > int(FORMAT_VERSION.split(".")[0]):
        raise ModelError(
            f"the model is of format {version}, this ganforge reads up to {FORMAT_VERSION}; "
            "update it with: pip install --upgrade ganforge"
        )


def _class_names(value: object) -> tuple[str, ...]:
    right = (
        isinstance(value, list)
        and len(value) <= MAX_CLASSES
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )
    _expect(right, "class_names", value, "a list of different, non-empty texts")
    assert isinstance(value, list)
    return tuple(value)


def _objects(field: str, value: object) -> tuple[dict[str, Any], ...]:
    right = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    _expect(right, field, value, "a list of objects")
    assert isinstance(value, list)
    return tuple(value)


def _golden(item: dict[str, Any], classes: int) -> Golden:
    seed, label, digest = item.get("seed"), item.get("label"), item.get("sha256")
    right = (
        type(seed) is int
        and 0 <= seed < SEED_LIMIT
        and (label is None if classes == 0 else type(label) is int and 0 <= label < classes)
        and isinstance(digest, str)
    )
    _expect(right, "golden", item, "a seed, a label of the model and a sha256")
    return Golden(int(seed or 0), label, str(digest))


def _directions(items: tuple[dict[str, Any], ...], dim: int, classes: int) -> tuple[Direction, ...]:
    directions = tuple(_direction(item, dim, classes) for item in items)
    names = [direction.name for direction in directions]
    right = len(set(names)) == len(names) <= MAX_DIRECTIONS
    _expect(right, "directions", names, f"at most {MAX_DIRECTIONS} of different names")
    return directions


def _direction(item: dict[str, Any], dim: int, classes: int) -> Direction:
    name, scale, source = item.get("name"), item.get("scale", 1.0), item.get("source", "")
    vector, own = item.get("vector"), item.get("class_vectors", [])
    right = (
        isinstance(name, str)
        and 0 < len(name) <= 64
        and isinstance(source, str)
        and _finite([scale])
        and _finite(vector, dim)
        and isinstance(own, list)
        and len(own) in {0, classes}
        and all(_finite(each, dim) for each in own)
    )
    _expect(right, "directions", item, f"a name, a scale and a vector of {dim} numbers, or one a class")
    assert isinstance(vector, list)
    return Direction(str(name), tuple(vector), float(scale), str(source), tuple(tuple(each) for each in own))


def _finite(values: object, count: int = 1) -> bool:
    """Say whether it is a list of so many numbers, all of a size that float32 holds."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < 1e6 for value in values)  # a NaN is not less
    )


def _golden_score(item: dict[str, Any], classes: int) -> GoldenScore:
    png, label, realness = item.get("png"), item.get("label"), item.get("realness")
    right = (
        isinstance(png, str)
        and (label is None if classes == 0 else type(label) is int and 0 <= label < classes)
        and type(realness) in (int, float)
    )
    _expect(right, "golden", item, "a png, a label of the model and a realness")
    return GoldenScore(str(png), label, float(realness or 0.0))


def _expect_int(known: dict[str, Any], field: str, low: int, high: int) -> None:
    value = known.get(field, low)
    _expect(type(value) is int and low <= value <= high, field, value, f"an integer from {low} to {high}")


def _expect(right: bool, field: str, value: object, wanted: str) -> None:
    if not right:
        raise _bad(field, value, wanted)


def _bad(field: str, value: object, wanted: str) -> ModelError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ModelError(f"the model's {KEY!r} metadata has {shown} for {field}, not {wanted}; export it again")
