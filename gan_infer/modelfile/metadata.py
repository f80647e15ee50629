"""What a model file says about itself: a frozen dataclass, written as JSON into `metadata_props`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gan_infer.conditions.base import Conditions, of_inputs
from gan_infer.conditions.labels import LABEL, LABEL_WEIGHTS
from gan_infer.conditions.spec import CLASS, IMAGE, LATENT, OF, SCORE, Input, Output
from gan_infer.errors import GanError, ModelError
from gan_infer.latent.directions import Direction
from gan_infer.latent.seeds import ALGORITHM, SEED_LIMIT
from gan_infer.modelfile import metadata_rules
from gan_infer.modelfile.metadata_rules import (
    CHANNELS,
    CRITIC,
    FOREIGN,
    FORMAT_VERSION,
    GENERATOR,
    KEY,
    MAX_CLASSES,
    MAX_LATENT_DIM,
    MAX_SIDE,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed

__all__ = [
    "CHANNELS",
    "CRITIC",
    "FOREIGN",
    "FORMAT_VERSION",
    "GENERATOR",
    "KEY",
    "MAX_CLASSES",
    "MAX_LATENT_DIM",
    "MAX_SIDE",
    "CriticMetadata",
    "Golden",
    "GoldenResult",
    "GoldenScore",
    "Metadata",
    "ModelMetadata",
    "kind_of",
]

# The sizes of a picture, left out by a model that has none.
_PICTURE: Final = ("height", "width", "channels")


@dataclasses.dataclass(frozen=True)
class GoldenResult:
    """The result of comparing one golden picture or score.

    Attributes:
        result: `golden.SAME`, CLOSE (a difference as between processors), UNTOLD (the file has only a
            hash: it is damaged, or from another processor) or CHANGED.
        off: the largest difference, of pixel values or of realness; None if it is not known.
    """

    label: int | None
    result: str
    seed: int | None = None
    off: float | None = None

    @property
    def place(self) -> str:
        """The picture or score, in words."""
        return f"class {self.label}" if self.seed is None else f"seed {self.seed}"


class _GoldenItem:
    """A golden picture or score; subclasses have the fields."""

    label: int | None
    conditions: Mapping[str, Any]

    def feed(self, conditions: Conditions, seed: npt.NDArray[np.uint64]) -> Feed:
        """Return the feed of the conditions; the seed, uint64 [1], chooses those that are not given.

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

    def make_result(self, result: str, seed: int | None = None, off: float | None = None) -> GoldenResult:
        """Return the result of a comparison."""
        return GoldenResult(self.label, result, seed, off)


@dataclasses.dataclass(frozen=True)
class Golden(_GoldenItem):
    """A picture that the model must give: the SHA-256 of its pixels, row by row.

    `label` is None for an unconditional model. `conditions` are the values of other conditions by
    name, as a person gives them; the seed chooses those that are not there. The hash is that of the
    machine and execution provider that wrote the file; elsewhere a pixel value can differ by 1, and
    then the hash differs. `png` is the picture as PNG in base64, or every k-th pixel of a large one,
    see `golden.kept_picture`; "" in older files.
    """

    seed: int
    label: int | None
    sha256: str
    png: str = ""
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, item: Mapping[str, Any], classes: int) -> Golden:
        """Read a golden picture of a model with a number of classes.

        Raises:
            ModelError: a key is missing or wrong.
        """
        seed, digest, png = item.get("seed"), item.get("sha256"), item.get("png", "")
        right = (
            type(seed) is int and 0 <= seed < SEED_LIMIT and isinstance(digest, str) and isinstance(png, str)
        )
        wanted = "a seed, a label of the model and a sha256"
        metadata_rules.expect(right and _is_given(item, classes), "golden", item, wanted)
        return cls(int(seed or 0), item.get("label"), str(digest), str(png), item.get("conditions", {}))


class ModelMetadata:
    """What every model file says about itself; subclasses have more fields.

    `inputs` and `outputs` list the arrays of the file. If they are left out, as in files of format 1.0,
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
        """Fill in lists that are left out, and the class names, which the file holds once."""
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
        """True if the model takes a label."""
        return bool(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels); zeros if the model has no pictures."""
        return self.height, self.width, self.channels

    def to_json(self) -> str:
        """Return the text under `KEY` in the file; a number that is not finite becomes null."""
        facts = _as_json(self)
        for field in _PICTURE:
            if not facts[field]:
                del facts[field]
        for each in facts["inputs"]:
            if each["name"] == LABEL:
                del each["facts"]["class_names"]
        text = json.dumps(facts, ensure_ascii=False, sort_keys=True, allow_nan=False)
        # Names of folders need not be text, but a model file must be.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def conditions(self) -> Conditions:
        """Return the conditions of all listed inputs.

        Raises:
            ModelError: an input has a kind that this version does not know, or does not fit its kind.
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
    """What a generator file says about itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    The graph itself multiplies every latent by `truncation`: the caller does not. `precision` is that of
    the graph's weights and arithmetic, "float32" or "float16"; the types of its inputs and output are the
    same for both.
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
            ModelError: it is not a JSON object, a required key is missing, a value is not valid, or the
                file has a newer major format version.
        """
        known = metadata_rules.read_fields(dataclasses.fields(cls), text, GENERATOR)
        classes = len(known["class_names"])
        known["golden"] = tuple(Golden.from_json(item, classes) for item in known.get("golden", ()))
        known["directions"] = metadata_rules.read_directions(
            known.get("directions", ()), known["latent_dim"], classes
        )
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
class GoldenScore(_GoldenItem):
    """A score that a critic must give, within 0.001 on every machine.

    `png` is a PNG file in base64. If it is smaller than the critic's pictures, each of its pixels stands
    for a square of pixels, see `golden.golden_picture`. `label` is None for an unconditional critic.
    """

    png: str
    label: int | None
    realness: float
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, item: Mapping[str, Any], classes: int) -> GoldenScore:
        """Read a golden score of a critic with a number of classes.

        Raises:
            ModelError: a key is missing or wrong.
        """
        png, realness = item.get("png"), item.get("realness")
        right = (
            isinstance(png, str)
            and isinstance(realness, (int, float))
            and not isinstance(realness, bool)
            and 0 <= realness <= 1
            and _is_given(item, classes)
        )
        wanted = "a png, a label of the model and a realness from 0 to 1"
        metadata_rules.expect(right, "golden", item, wanted)
        return cls(str(png), item.get("label"), float(realness or 0.0), item.get("conditions", {}))


@dataclasses.dataclass(frozen=True)
class CriticMetadata(ModelMetadata):
    """What a critic file says about itself. Sizes are in pixels, `created_at` is ISO 8601 UTC.

    `fit` says how a picture of another shape is fitted, "crop" or "pad". `calibration` says on what and
    by which method `realness` was calibrated, and has the calibration curve.
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
        known = metadata_rules.read_fields(dataclasses.fields(cls), text, CRITIC)
        classes = len(known["class_names"])
        known["golden"] = tuple(GoldenScore.from_json(item, classes) for item in known.get("golden", ()))
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
    """Check that the lists of inputs and outputs fit the other fields, and each input its kind."""
    images = [each for each in (*metadata.inputs, *metadata.outputs) if each.kind == IMAGE]
    for field in _PICTURE:
        if images and not getattr(metadata, field):
            raise metadata_rules.make_error(field, "nothing", "a value")
    main = [each for each in metadata.inputs if each.kind == metadata.main_kind]
    wanted = metadata._main_input()
    right = len(main) == 1 and dataclasses.replace(main[0], facts={}) == wanted
    metadata_rules.expect(right, "inputs", _as_json(main), f"one input {_as_json(wanted)}")
    labels = [each for each in metadata.inputs if each.name == LABEL]
    right = len(labels) == metadata.conditional and all(each.kind == CLASS for each in labels)
    metadata_rules.expect(right, "inputs", _as_json(labels), "the input of the classes that the file names")
    if metadata.outputs[0].kind in (IMAGE, SCORE) or isinstance(metadata, CriticMetadata):
        output, made = metadata.outputs[0], metadata._main_output()
        right = dataclasses.replace(output, facts={}) == made
        metadata_rules.expect(right, "outputs", _as_json(output), f"the output {_as_json(made)} first")
    metadata.conditions()


def kind_of(text: str) -> str:
    """Return the kind of a file by the text under `KEY`; a file that does not say is a generator.

    Raises:
        ModelError: the text is not a JSON object, or has a newer major format version.
    """
    kind = metadata_rules.parse(text).get("kind", GENERATOR)
    metadata_rules.expect(isinstance(kind, str), "kind", kind, "a text")
    return str(kind)


def _is_given(item: Mapping[str, Any], classes: int) -> bool:
    """Return whether a golden item has a class, if there are classes, and other conditions by name."""
    label, conditions = item.get("label"), item.get("conditions", {})
    right = label is None if classes == 0 else type(label) is int and 0 <= label < classes
    return right and isinstance(conditions, dict) and LABEL not in conditions
