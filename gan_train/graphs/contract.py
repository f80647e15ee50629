"""Checks an ONNX graph against the contract of model files, strips it, and writes its metadata."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
import onnx

from gan_infer.conditions import classes_of_seeds
from gan_infer.conditions.spec import Input, Output
from gan_infer.errors import ModelError
from gan_infer.modelfile import golden
from gan_infer.modelfile.metadata import FORMAT_VERSION, KEY, CriticMetadata, Golden, Metadata
from gan_infer.models.generator import Generator

Described = TypeVar("Described", Metadata, CriticMetadata)

MAX_OPSET: Final = 21
MAX_IR_VERSION: Final = 10
_GOLDEN: Final = 4


def list_arrays(metadata: Described, inputs: Sequence[Input], outputs: Sequence[Output]) -> Described:
    """Return metadata of the current format that lists these inputs and outputs."""
    return dataclasses.replace(
        metadata, format_version=FORMAT_VERSION, inputs=tuple(inputs), outputs=tuple(outputs)
    )


def describe(model: onnx.ModelProto, metadata: Metadata | CriticMetadata) -> None:
    """Write a model's metadata into it, and the version that wrote it."""
    model.producer_name, model.producer_version = "ganforge", metadata.versions.get("ganforge", "")
    onnx.helper.set_model_props(model, {KEY: metadata.to_json()})


def check(model: onnx.ModelProto) -> None:
    """Check a model against the contract.

    Raises:
        ModelError: names the rule that is broken.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the exported graph fails the ONNX checker: {error}") from None
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if domains or model.functions:
        raise ModelError(f"the exported graph uses operators of other domains: {sorted(domains)}")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelError("the exported graph keeps tensors in other files")
    if any(item.domain in ("", "ai.onnx") and item.version > MAX_OPSET for item in model.opset_import):
        raise ModelError(f"the exported graph needs operators newer than opset {MAX_OPSET}")


def strip(model: onnx.ModelProto, name: str) -> None:
    """Remove what the exporter notes about this machine: stack traces, paths, module names."""
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    del model.metadata_props[:], graph.metadata_props[:]
    graph.name = name
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.value_info[:]  # shapes inside follow from the inputs
    for tensor in graph.initializer:
        del tensor.external_data[:]


def draw_golden(drawing: Generator) -> tuple[Golden, ...]:
    """Return the first few seeds, each of another class, with their pictures and the hashes of these.

    For a model that makes other things than pictures, only the hashes.
    """
    seeds = range(_GOLDEN)
    count = len(drawing.class_names)
    classes = classes_of_seeds(np.array(seeds), count).tolist() if count else [None] * _GOLDEN
    pictures = [drawing.sample(1, seed=seed)[0] for seed in seeds]
    are_pictures = pictures[0].dtype == np.uint8 and pictures[0].ndim == 3
    kept = golden.keep_pictures(pictures) if are_pictures else ("",) * _GOLDEN
    return tuple(
        Golden(seed, index, hashlib.sha256(picture.tobytes()).hexdigest(), png)
        for seed, index, picture, png in zip(seeds, classes, pictures, kept, strict=True)
    )
