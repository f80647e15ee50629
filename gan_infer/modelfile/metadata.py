"""What a model file says of itself: a frozen dataclass and its JSON text in `metadata_props`."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gan_infer.conditions import spec
from gan_infer.conditions.base import Conditions, of_inputs
from gan_infer.conditions.labels import LABEL, LABEL_WEIGHTS
from gan_infer.conditions.spec import CLASS, IMAGE, LATENT, OF, SCORE, Input, Output
from gan_infer.errors import GanError, ModelError
from gan_infer.latent.directions import Direction
from gan_infer.latent.seeds import ALGORITHM, DISTRIBUTIONS, SEED_LIMIT
from gan_infer.text import strict

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed

KEY: Final = "ganforge"
# What a file is: makes pictures, or says how real pictures look.
GENERATOR: Final = "generator"
CRITIC: Final = "critic"
FORMAT_VERSION: Final = "1.1"
# How the preparation of a file of other tools begins, which says no name of itself.
FOREIGN: Final = "a foreign file"

# What versions before 1.1 wrote with NaN in it, where a measure was no number.
_MEASURED: Final = ("calibration", "metrics")
# The sizes of a picture; they are left out where the model has none.
_PICTURE: Final = ("height", "width", "channels")
# Bounds that every file of this format keeps, so that a hostile one cannot ask for too much.
MAX_LATENT_DIM: Final = 65_536
MAX_SIDE: Final = 8_192
MAX_CLASSES: Final = 100_000
CHANNELS: Final = (1, 3, 4)
MAX_DIRECTIONS: Final = 256
# Characters: of names of models and classes, and of any other text.
MAX_NAME: Final = 1_024
MAX_TEXT: Final = 65_536


@dataclasses.dataclass(frozen=True)
class GoldenResult:
    """How one golden picture or judgement came out.

    Attributes:
        result: `golden.SAME`, CLOSE (off as far as another processor may be), UNTOLD (the file holds a
            hash alone: damaged, or another processor) or CHANGED.
        off: the largest difference, in levels of 256 or in realness; None where it cannot be told.
    """

    label: int | None
    result: str
    seed: int | None = None
    off: float | None = None

    @property
    def place(self) -> str:
        """Which one it is, as people read it."""
        return f"class {self.label}" if self.seed is None else f"seed {self.seed}"


class _UnderConditions:
    """A golden picture or judgement; the fields are those of its heirs."""

    label: int | None
    conditions: Mapping[str, Any]

    def feed(self, conditions: Conditions, seed: npt.NDArray[np.uint64]) -> Feed:
        """Return the feed of the conditions; the seed, uint64 [1], chooses those that are not named.

        Raises:
            ModelError: the model takes no such condition or value.
        """
        try:
            rows = dict(conditions.read(self.conditions, 1))
            if self.label is not None:
                rows[LABEL] = conditions.each[LABEL].choice(np.array([self.label], np.int64))
            return conditions.feed(rows, seed)
        except GanError as error:
            raise ModelError(f"a golden item of the file cannot be fed: {error}; export it again") from None

    def compared(self, result: str, seed: int | None = None, off: float | None = None) -> GoldenResult:
        """Return how it came out."""
        return GoldenResult(self.label, result, seed, off)


@dataclasses.dataclass(frozen=True)
class Golden(_UnderConditions):
    """A picture that the model must give: the SHA-256 of its pixels, row by row.

    `label` is None for an unconditional model. `conditions` are the values of other conditions by
    name, as people give them; the seed chooses those that are not there. The hash holds on the machine
    and execution provider that wrote the file; elsewhere a level may differ by one, and the hash with
    it. `png` is the picture as PNG in base64, or each k-th pixel of a large one, see
    `golden.kept_picture`; "" in files of before.
    """

    seed: int
    label: int | None
    sha256: str
    png: str = ""
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class ModelMetadata:
    """What every model file says of itself; the fields are those of its heirs.

    `inputs` and `outputs` list the arrays of the file. Where they are left out, as in files of format 1.0,
    they follow from the other fields. The class names of the input `label` are those of the file.
    """

    main_kind: ClassVar[str]

    name: str
    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        """Fill in the lists where they are left out, and the class names that the file holds once."""
        inputs = self.inputs or (self._main_input(), *self._class_inputs())
        named = tuple(
            dataclasses.replace(each, facts={**each.facts, "class_names": self.class_names})
            if each.name == LABEL
            else each
            for each in inputs
        )
        object.__setattr__(self, "inputs", named)
        object.__setattr__(self, "outputs", self.outputs or (self._main_output(),))

    @property
    def conditional(self) -> bool:
        """True where the model takes a label."""
        return bool(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels); zeros where the model has no pictures."""
        return self.height, self.width, self.channels

    def to_json(self) -> str:
        """Return the text that stands under `KEY` in the file; a measure that is no number is null there."""
        told = _as_json(self)
        for field in _PICTURE:
            if not told[field]:
                del told[field]
        for each in told["inputs"]:
            if each["name"] == LABEL:
                del each["facts"]["class_names"]
        text = json.dumps(told, ensure_ascii=False, sort_keys=True, allow_nan=False)
        # Names of folders, which need not be text; a model file holds nothing else.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def conditions(self) -> Conditions:
        """Return the conditions of all listed inputs.

        Raises:
            ModelError: an input is of a kind that this version does not know, or not as it needs it.
        """
        return of_inputs(self.inputs, self.main_kind, self.name)

    def _class_inputs(self) -> list[Input]:
        return [Input(LABEL, CLASS, "int64")] if self.class_names else []

    def _main_input(self) -> Input:
        raise NotImplementedError

    def _main_output(self) -> Output:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Metadata(ModelMetadata):
    """What a generator file says of itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    `truncation` is the factor that the graph itself puts on every latent: whoever runs the file
    feeds latents as they are drawn. `precision` is that of the graph's weights and arithmetic,
    "float32" or "float16"; the types of its inputs and output are the same for both.
    """

    main_kind = LATENT

    name: str
    latent_dim: int
    height: int = 0
    width: int = 0
    channels: int = 0
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
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Read the text under `KEY`; unknown keys are ignored.

        Raises:
            ModelError: it is no JSON object, a needed key is missing or out of its range, or the
                file is of a newer major format version.
        """
        known = _read_fields(cls, text, GENERATOR)
        classes = len(known["class_names"])
        known["golden"] = tuple(_golden(item, classes) for item in known.get("golden", ()))
        known["directions"] = _directions(known.get("directions", ()), known["latent_dim"], classes)
        metadata = cls(**known)
        _check_lists(metadata)
        return metadata

    def _main_input(self) -> Input:
        return Input("latent", LATENT, "float32", (self.latent_dim,))

    def _class_inputs(self) -> list[Input]:
        found = super()._class_inputs()
        if found:
            shape, facts = (len(self.class_names),), {OF: LABEL}
            found.append(Input(LABEL_WEIGHTS, CLASS, "float32", shape, facts, optional=True))
        return found

    def _main_output(self) -> Output:
        return Output("image", IMAGE, "uint8", self.image_shape)


@dataclasses.dataclass(frozen=True)
class GoldenScore(_UnderConditions):
    """A judgement that a critic must give, within 0.001 on any machine.

    `png` is a PNG file in base64. Where it is smaller than the critic's pictures, each of its
    pixels stands for a square of them, see `golden.golden_picture`. `label` is None for an
    unconditional critic.
    """

    png: str
    label: int | None
    realness: float
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CriticMetadata(ModelMetadata):
    """What a critic file says of itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    `fit` is how a picture of another shape gets the critic's, "crop" or "pad". `calibration` says
    what `realness` was calibrated on, by which method, and holds the calibration curve.
    """

    main_kind = IMAGE

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
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> CriticMetadata:
        """Read the text under `KEY`; unknown keys are ignored.

        Raises:
            ModelError: as `Metadata.from_json`.
        """
        known = _read_fields(cls, text, CRITIC)
        classes = len(known["class_names"])
        known["golden"] = tuple(_golden_score(item, classes) for item in known.get("golden", ()))
        metadata = cls(**known)
        _check_lists(metadata)
        return metadata

    def _main_input(self) -> Input:
        return Input("image", IMAGE, "uint8", self.image_shape)

    def _main_output(self) -> Output:
        return Output("realness", SCORE, "float32")


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_lists(metadata: Metadata | CriticMetadata) -> None:
    """Hold the lists of inputs and outputs to the other fields, and each input to its kind."""
    images = [each for each in (*metadata.inputs, *metadata.outputs) if each.kind == IMAGE]
    for field in _PICTURE:
        if images and not getattr(metadata, field):
            raise _bad(field, "nothing", "a value")
    main = [each for each in metadata.inputs if each.kind == metadata.main_kind]
    wanted = metadata._main_input()
    right = len(main) == 1 and dataclasses.replace(main[0], facts={}) == wanted
    _expect(right, "inputs", _as_json(main), f"one input {_as_json(wanted)}")
    labels = [each for each in metadata.inputs if each.name == LABEL]
    right = len(labels) == metadata.conditional and all(each.kind == CLASS for each in labels)
    _expect(right, "inputs", _as_json(labels), "the input of the classes that the file names")
    if metadata.outputs[0].kind in (IMAGE, SCORE) or isinstance(metadata, CriticMetadata):
        output, made = metadata.outputs[0], metadata._main_output()
        right = dataclasses.replace(output, facts={}) == made
        _expect(right, "outputs", _as_json(output), f"the output {_as_json(made)} first")
    metadata.conditions()


def kind_of(text: str) -> str:
    """Tell what the file is whose text stands under `KEY`; files that do not say are generators.

    Raises:
        ModelError: the text is no JSON object, or of a newer major format version.
    """
    kind = _parse(text).get("kind", GENERATOR)
    _expect(isinstance(kind, str), "kind", kind, "a text")
    return str(kind)


def _parse(text: str) -> dict[str, Any]:
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


def _read_fields(cls: type[Metadata | CriticMetadata], text: str, kind: str) -> dict[str, Any]:
    """Return the keys that a class has, each held to its rule."""
    data = _parse(text)
    _expect(data.get("kind", GENERATOR) == kind, "kind", data.get("kind", GENERATOR), repr(kind))
    known: dict[str, Any] = {"class_names": ()}
    for field in dataclasses.fields(cls):
        if field.name not in data:
            if field.default is field.default_factory is dataclasses.MISSING:
                raise _bad(field.name, "nothing", "a value")
            continue
        value = data[field.name]
        right, wanted = _RULES.get(field.name, _text(MAX_TEXT))
        _expect(right(value), field.name, value, wanted)
        known[field.name] = _READ[field.name](value) if field.name in _READ else value
    return known


def _check_version(version: object) -> None:
    match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", version) if isinstance(version, str) else None
    if not match:
        raise _bad("format_version", version, f"a text like {FORMAT_VERSION!r}")
    if int(match[1]) > int(FORMAT_VERSION.split(".")[0]):
        raise ModelError(
            f"the model is of format {version}, this ganforge reads up to {FORMAT_VERSION}; "
            "update it with: pip install --upgrade ganforge"
        )


# Whether a value is right, and in words what is.
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
    """Return whether a value is as a run measures: images seen, numbers by name, and how they came about."""
    return (
        isinstance(value, dict)
        and _whole(0, 2**63)[0](value.get("images_seen", 0))
        and isinstance(values := value.get("values", {}), dict)
        and all(each is None or type(each) in (int, float) for each in values.values())
    )


def _is_list_of(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(right, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_LIST: Final = (
    f"a list of 1 to {spec.MOST_SPECS} objects of different names, each with a name, a kind, a dtype "
    f"({', '.join(spec.DTYPES)}) and a shape of integers or of low, high and multiple"
)

# What each key holds; those that are not listed are texts.
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
    "metrics": (_is_list_of(_is_measurement), "a list of measurements"),
    "golden": (_is_list_of(_is_object), "a list of objects"),
    "directions": (_is_list_of(_is_object), "a list of objects"),
    "inputs": (spec.are_specs, _LIST),
    "outputs": (spec.are_specs, _LIST),
}
# How the keys are read that hold lists.
_READ: Final[Mapping[str, Callable[[Any], tuple[Any, ...]]]] = {
    "class_names": tuple,
    "metrics": tuple,
    "golden": tuple,
    "directions": tuple,
    "inputs": spec.read_inputs,
    "outputs": spec.read_outputs,
}


def _golden(item: dict[str, Any], classes: int) -> Golden:
    seed, digest, png = item.get("seed"), item.get("sha256"), item.get("png", "")
    right = type(seed) is int and 0 <= seed < SEED_LIMIT and isinstance(digest, str) and isinstance(png, str)
    _expect(right and _is_given(item, classes), "golden", item, "a seed, a label of the model and a sha256")
    return Golden(int(seed or 0), item.get("label"), str(digest), str(png), item.get("conditions", {}))


def _is_given(item: dict[str, Any], classes: int) -> bool:
    """Return whether a golden item gives a class where there are any, and other conditions by name."""
    label, conditions = item.get("label"), item.get("conditions", {})
    right = label is None if classes == 0 else type(label) is int and 0 <= label < classes
    return right and isinstance(conditions, dict) and LABEL not in conditions


def _directions(items: Sequence[dict[str, Any]], dim: int, classes: int) -> tuple[Direction, ...]:
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
        and _text(MAX_TEXT)[0](source)
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
    """Return whether it is a list of so many numbers, all of a size that float32 holds."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < 1e6 for value in values)  # a NaN is not less
    )


def _golden_score(item: dict[str, Any], classes: int) -> GoldenScore:
    png, realness = item.get("png"), item.get("realness")
    right = (
        isinstance(png, str)
        and isinstance(realness, (int, float))
        and not isinstance(realness, bool)
        and 0 <= realness <= 1
        and _is_given(item, classes)
    )
    _expect(right, "golden", item, "a png, a label of the model and a realness from 0 to 1")
    return GoldenScore(str(png), item.get("label"), float(realness or 0.0), item.get("conditions", {}))


def _expect(right: bool, field: str, value: object, wanted: str) -> None:
    if not right:
        raise _bad(field, value, wanted)


def _bad(field: str, value: object, wanted: str) -> ModelError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ModelError(f"the model's {KEY!r} metadata has {shown} for {field}, not {wanted}; export it again")
