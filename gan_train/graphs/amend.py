"""Adds directions and the mixing of classes to an existing model file; its pictures stay the same."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from gan_infer import files
from gan_infer.errors import ModelError
from gan_infer.latent.directions import Direction
from gan_infer.modelfile import golden
from gan_infer.modelfile.metadata import KEY, Metadata
from gan_infer.models.generator import Generator
from gan_train.graphs import contract, mixing, sefa

_BATCHES = (1, 7, 64)


def find_unnamed(model: onnx.ModelProto, metadata: Metadata) -> tuple[Direction, ...]:
    """Return the strongest directions of an exported graph's first layer: direction1, direction2, ...

    A unit is one standard deviation of the latent. Empty if the graph does not start with a
    matrix product.
    """
    matrix = sefa.first_layer(model, metadata.latent_dim)
    if matrix is None:
        return ()
    unit = 1.0 if metadata.latent_distribution == "normal" else 3**-0.5
    return tuple(
        Direction(f"direction{index + 1}", round_vector(vector), round(unit, 4), "closed form, first layer")
        for index, vector in enumerate(sefa.strongest(matrix, sefa.COUNT))
    )


def round_vector(vector: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Return the elements to four decimals, which is finer than any direction is measured."""
    return tuple(float(element) for element in np.round(vector, 4) + 0.0)


def read_own(source: Path) -> onnx.ModelProto:
    """Read a model file that one of our exports wrote.

    Raises:
        ModelError: another tool wrote it, so it has no metadata to add to.
    """
    model = onnx.load_model_from_string(source.read_bytes())
    if not any(entry.key == KEY for entry in model.metadata_props):
        raise ModelError(
            f"{source} was written by another tool and has no place for directions; make it a file of ours "
            f"first: gan-infer adopt {shlex.quote(str(source))} --to gen.onnx"
        )
    return model


def amend(source: Path, to: Path, directions: Sequence[Direction] = (), *, trust: bool = False) -> Generator:
    """Write a model file that also has these directions, those of the first layer, and mixes classes.

    A direction replaces one of the same name. All other metadata stay, also those that this version does
    not know.

    Returns:
        the written file, opened on the CPU.

    Raises:
        ModelError: `source` is no model file of ours, or the written one draws other pictures.
        OptionError: `to` cannot be written.
    """
    before = Generator.load(source, device="cpu", trust=trust)
    model = read_own(Path(before.source))
    classes = len(before.class_names)
    mixes = mixing.add_mixing(model, classes)
    known = before.directions or {each.name: each for each in find_unnamed(model, before.metadata)}
    known.update({each.name: each for each in directions})
    described = {entry.key: entry.value for entry in model.metadata_props}
    data = {**json.loads(described[KEY]), "directions": [dataclasses.asdict(each) for each in known.values()]}
    if mixes and mixing.NAME not in {each["name"] for each in data.get("inputs", [{"name": mixing.NAME}])}:
        data["inputs"].append(dataclasses.asdict(mixing.describe_input(classes)))
    described[KEY] = json.dumps(data, ensure_ascii=False, sort_keys=True)
    onnx.helper.set_model_props(model, described)
    contract.check(model)
    with files.stage(to) as part:
        part.write_bytes(model.SerializeToString())
        after = Generator.load(part, device="cpu", trust=trust)
        _compare(before, after)
    after.source = str(to)
    return after


def _compare(before: Generator, after: Generator) -> None:
    """Compare the pictures of the new file with those of the old one.

    Raises:
        ModelError: one differs.
    """
    for feed, kept in zip(golden.feeds(before.metadata), before.metadata.golden, strict=False):
        old, new = (each(*feed.values()) for each in (before, after))
        if not np.array_equal(old, new):
            raise ModelError(
                f"the changed file draws another picture of seed {kept.seed}; nothing was written"
            )
    for count in _BATCHES:
        if not np.array_equal(before.sample(count, seed=0), after.sample(count, seed=0)):
            raise ModelError(f"the changed file draws other pictures at batch {count}; nothing was written")
