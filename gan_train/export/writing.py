"""Writes what a task deploys to one checked model file: trace, describe, write, verify, rename."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

import onnx

from gan_infer import __version__, files
from gan_infer.conditions.spec import Input, Output
from gan_infer.errors import ModelError
from gan_infer.modelfile.metadata import CriticMetadata, Metadata
from gan_infer.models.critic import Critic
from gan_infer.models.generator import Generator
from gan_infer.runtime.session import Session
from gan_train.config.settled import Settled
from gan_train.export import float16, graph
from gan_train.export.verification import Difference, Feed, verify
from gan_train.graphs import contract
from gan_train.networks.deployment import Deployment
from gan_train.runs.progress import Say, silent
from gan_train.runs.trained import Trained

Described = TypeVar("Described", Metadata, CriticMetadata)


@dataclasses.dataclass(frozen=True)
class Written(Generic[Described]):
    """What was written: `differences` from PyTorch by the name of the output."""

    path: Path
    size_bytes: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    differences: dict[str, Difference]
    metadata: Described


def write(
    deployed: Deployment,
    metadata: Described,
    to: Path,
    *,
    finish: Callable[[onnx.ModelProto, Described], Described] | None = None,
    precision: str = "float32",
    feeds: Iterable[Feed] | None = None,
    opener: type[Generator | Critic] | None = None,
    say: Say = silent,
) -> Written[Described]:
    """Write a network to a model file, which takes its name once it gives what PyTorch gives.

    Args:
        metadata: what the file says of itself; the lists of inputs and outputs are added.
        finish: from the graph and the metadata to metadata with what only the graph can tell.
        precision: "float32", or "float16" for weights and arithmetic of half the size.
        feeds: what to compare on, see `verification.verify`.
        opener: loads files of this kind; None where the SDK has nothing that does.
        say: prints a note if those who get the file will have to trust it.

    Raises:
        OptionError: `to` cannot be written.
        ModelError: the written graph is not the network.
    """
    with files.stage(to) as part:
        model, inputs = graph.to_onnx(deployed, metadata.kind)
        deployed = dataclasses.replace(deployed, inputs=inputs)
        if precision == "float16":
            float16.to_half(model)
        metadata = contract.list_arrays(metadata, inputs, deployed.outputs)
        metadata = finish(model, metadata) if finish else metadata
        contract.describe(model, metadata)
        contract.check(model)
        body = model.SerializeToString()
        part.write_bytes(body)
        if opener is not None:
            opener.load(part, device="cpu", trust=True).close()
        with contextlib.closing(Session(body, source=str(to), device="cpu")) as session:
            differences = verify(deployed, session.run, feeds=feeds, precision=precision)
        if opener is not None:
            _make_known(part, to, opener, say)
    return Written(to, len(body), inputs, deployed.outputs, differences, metadata)


def facts_of(
    model: Trained, image_shape: tuple[int, int, int], name: str, licence: str, intended_use: str
) -> dict[str, Any]:
    """Return what every file of a run says of itself: fields of its metadata by name.

    Args:
        image_shape: (height, width, channels) of its pictures; zeros where it has none.
    """
    options, facts = model.options, model.facts
    height, width, channels = image_shape
    return {
        "name": name,
        "height": height,
        "width": width,
        "channels": channels,
        "data_name": facts["data"]["name"],
        "data_sha256": options.data.sha256,
        "data_licence": facts["data"]["licence"],
        "preparation": facts["data"]["preparation"],
        "recipe": recipe_of(options),
        "images_seen": facts["images_seen"],
        "licence": licence,
        "intended_use": intended_use,
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"ganforge": __version__, "torch": version("torch"), "onnx": version("onnx")},
    }


def recipe_of(options: Settled) -> dict[str, Any]:
    """Return the options of a run without anything of the machine's paths."""
    recipe = dataclasses.asdict(options)
    recipe["data"]["source"] = Path(recipe["data"]["source"]).name
    return recipe


def _make_known(part: Path, to: Path, opener: type[Generator | Critic], say: Say) -> None:
    """Let a file of our own be tried, so that this machine knows it; say where others will refuse it."""
    try:
        opener.load(part, device="cpu").close()
    except ModelError as error:
        say(f"note: {str(error).replace(str(part), str(to))}; this holds for whoever gets the file")
