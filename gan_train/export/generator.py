"""From what a run's task deploys to one checked model file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx
from torch import nn

from gan_infer.conditions.spec import LATENT, Input, Output
from gan_infer.errors import OptionError
from gan_infer.modelfile.metadata import Metadata
from gan_infer.models.generator import Generator
from gan_infer.runtime.session import Session
from gan_train.export import verification, writing
from gan_train.export.verification import VERIFIED_BATCHES
from gan_train.graphs import amend, contract
from gan_train.networks import pixels
from gan_train.networks.conditioning import NAMES
from gan_train.networks.deployment import Deployment
from gan_train.runs import trained
from gan_train.runs.progress import Say, silent

# What a file scales latents by unless asked otherwise: those far out give the least convincing
# pictures. Two runs of ten minutes on MNIST gave distances of 0.37 and 0.32 and accuracies of the
# class of 99.2 and 99.0 % at 1, 0.48 and 0.43 and 99.5 and 99.3 % at 0.95, 0.71 and 0.66 and 99.7 and
# 99.4 % at 0.9 (benchmarks/judge.py; real test pictures: 0.35 and 99.5 %).
TRUNCATION: Final = 0.9


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        difference: the largest from PyTorch, in pixel values of 256 where it makes pictures.
        differing: the share of values that differ at all.
    """

    path: Path
    size_bytes: int
    difference: float
    differing: float
    metadata: Metadata
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]


def export(
    run: Path,
    to: Path,
    *,
    which: str = "best",
    name: str | None = None,
    licence: str = "",
    intended_use: str = "",
    truncation: float = TRUNCATION,
    precision: str = "float32",
    say: Say = silent,
) -> Exported:
    """Write what the task of a run deploys, its averaged generator, as a model file.

    The file takes its name only after it gave PyTorch's pictures at several batch sizes, to one
    pixel value of 256 (of sounds: to 1/32768), and the same bytes whatever the batch; else nothing is
    left behind.

    Args:
        which: "best", "last", or a checkpoint's name.
        precision: "float32", or "float16" for weights and arithmetic of half the size.
        say: prints a note if another checkpoint than `which` had to be used.

    Raises:
        OptionError: the folder holds no whole run, its task deploys no generator, or `to` cannot be
            written.
        ModelError: the written graph is not the generator.
    """
    model = trained.load(run, which, say)
    deployed = model.deploy(truncation)
    latent = _find_latent(deployed, model.options.task)
    sides = trained.image_shape(deployed.outputs[0])
    metadata = Metadata(
        **writing.facts_of(model, sides, name or run.resolve().name, licence, intended_use),
        latent_dim=int(str(latent.shape[0])),
        latent_distribution=latent.facts.get("distribution", "normal"),
        truncation=truncation,
        precision=precision,
        class_names=_class_names(deployed),
        metrics=(model.facts["metrics"],) if model.facts.get("metrics") else (),
    )
    return write_deployed(deployed, metadata, to, say)


def write(generator: nn.Module, metadata: Metadata, to: Path, say: Say = silent) -> Exported:
    """Write a generator in eval mode on the CPU to a model file, checked before it takes its name.

    Args:
        say: prints a note if those who get the file will have to trust it.

    Raises:
        OptionError: `to` cannot be written.
        ModelError: the written graph is not the generator.
    """
    return write_deployed(_deploy(generator, metadata), metadata, to, say)


def write_deployed(deployed: Deployment, metadata: Metadata, to: Path, say: Say = silent) -> Exported:
    """Write what a task deploys to a generator's file; arguments are those of `write`.

    Args:
        deployed: its first output is what the generator makes.
    """
    written = writing.write(
        deployed,
        metadata,
        to,
        finish=_finish,
        precision=metadata.precision,
        opener=Generator,
        say=say,
    )
    difference = written.differences[deployed.outputs[0].name]
    return Exported(
        to,
        written.size_bytes,
        difference.largest,
        difference.share,
        written.metadata,
        written.inputs,
        written.outputs,
    )


def verify(
    generator: nn.Module, opened: Generator, batches: Sequence[int] = VERIFIED_BATCHES
) -> tuple[int, float]:
    """Compare a model file with the PyTorch generator that it was made of.

    Returns:
        the largest difference in pixel values of 256, and the share of values that differ at all.

    Raises:
        ModelError: a value is further off than the file's precision allows, or depends on its batch.
    """
    metadata = opened.metadata
    body = Path(opened.source).read_bytes()
    with contextlib.closing(Session(body, source=opened.source, device="cpu")) as session:
        differences = verification.verify(
            _deploy(generator, metadata), session.run, batches=batches, precision=metadata.precision
        )
    return int(differences["image"].largest), differences["image"].share


def _finish(model: onnx.ModelProto, metadata: Metadata) -> Metadata:
    """Add golden pictures, and the strongest directions of the first layer."""
    session = Session(model.SerializeToString(), source="the exported graph", device="cpu")
    with contextlib.closing(Generator(session, metadata, "the exported graph")) as drawing:
        golden = contract.draw_golden(drawing)
    return dataclasses.replace(metadata, golden=golden, directions=amend.find_unnamed(model, metadata))


def _find_latent(deployed: Deployment, task: str) -> Input:
    """Return the input that takes latents, which every generator has."""
    for each in deployed.inputs:
        if each.kind == LATENT:
            return each
    raise OptionError(
        f"the run's task is {task}, which deploys {', '.join(each.name for each in deployed.inputs)} and no "
        "latent; a generator's file needs one, so give another --run"
    )


def _class_names(deployed: Deployment) -> tuple[str, ...]:
    """Return the classes that a file's own class input chooses among; none where it has none."""
    main = (each for each in deployed.inputs if each.name == NAMES[0])
    return tuple(name for each in main for name in each.facts["class_names"])


def _deploy(generator: nn.Module, metadata: Metadata) -> Deployment:
    return pixels.deploy_generator(
        generator,
        latent_dim=metadata.latent_dim,
        distribution=metadata.latent_distribution,
        image_shape=metadata.image_shape,
        class_names=metadata.class_names,
        truncation=metadata.truncation,
    )
