"""Puts the lists of a model's inputs and outputs into what its file says of itself (format 1.1)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from gan_infer.conditions.spec import Input, Output
from gan_infer.modelfile.metadata import CriticMetadata, Metadata

FORMAT: Final = "1.1"
Described = TypeVar("Described", Metadata, CriticMetadata)


def with_lists(metadata: Described, inputs: Sequence[Input], outputs: Sequence[Output]) -> Described:
    """Return metadata of the format that has the lists; with the lists, where it has fields for them."""
    changes: dict[str, Any] = {"format_version": FORMAT}
    if _has_lists(metadata):
        changes.update(inputs=tuple(inputs), outputs=tuple(outputs))
    return dataclasses.replace(metadata, **changes)


def to_json(metadata: Metadata | CriticMetadata, inputs: Sequence[Input], outputs: Sequence[Output]) -> str:
    """Return the text that stands in the file, with the lists."""
    if _has_lists(metadata):
        return metadata.to_json()
    data = json.loads(metadata.to_json())
    data["inputs"] = [dataclasses.asdict(each) for each in inputs]
    data["outputs"] = [dataclasses.asdict(each) for each in outputs]
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def _has_lists(metadata: Metadata | CriticMetadata) -> bool:
    return "inputs" in {field.name for field in dataclasses.fields(metadata)}
