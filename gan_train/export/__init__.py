"""From a run's checkpoint to one checked model file: build, fold, write, verify, rename."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn

from gan_infer import __version__, files
from gan_infer.errors import ModelError
from gan_infer.modelfile.metadata import KEY, Metadata
from gan_infer.models.critic import Critic
from gan_infer.models.generator import Generator
from gan_infer.runtime.session import Session
from gan_train.config.options import Config
from gan_train.export import float16, graph
from gan_train.graphs import amend, contract, label_mixing
from gan_train.networks.pixels import PixelGenerator
from gan_train.runs import trained
from gan_train.runs.progress import Say, silent

VERIFIED_BATCHES: Final = (1, 2, 7, 64)
# What a file scales latents by unless asked otherwise: those far out give the least convincing
# pictures. Two runs of ten minutes on MNIST gave distances of 0.37 and 0.32 and label accuracies of
# 99.2 and 99.0 % at 1, 0.48 and 0.43 and 99.5 and 99.3 % at 0.95, 0.71 and 0.66 and 99.7 and 99.4 %
# at 0.9 (benchmarks/judge.py; real test pictures: 0.35 and 99.5 %).
TRUNCATION: Final = 0.9
# How many of 256 levels a file may be off PyTorch's float32.
# In float16, 1 was measured on four networks with random weights and 2 on 1,000 pictures of `fashion`.
MOST_LEVELS: Final = {"float32": 1, "float16": 4}


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written: `difference` is the largest from PyTorch, in levels of 256."""

    path: Path
    size_bytes: int
    difference: int
    differing: float
    metadata: Metadata


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
    """Write the averaged generator of a run's checkpoint as a model file.

    The file takes its name only after it gave PyTorch's pictures at several batch sizes, to one
    level of 256, and the same bytes whatever the batch; else nothing is left behind.

    Args:
        which: "best", "last", or a checkpoint's name.
        precision: "float32", or "float16" for weights and arithmetic of half the size.
        say: told where another checkpoint than `which` had to be taken.

    Raises:
        OptionError: the folder holds no whole run, or `to` cannot be written.
        ModelError: the written graph is not the generator.
    """
    model = trained.load(run, which, say)
    options, facts = model.options, model.facts
    network, data = options.network, options.data
    assert data.height is not None
    assert data.width is not None
    assert data.channels is not None
    metadata = Metadata(
        name=name or run.resolve().name,
        latent_dim=network.latent_dim,
        latent_distribution=network.latent_distribution,
        truncation=truncation,
        precision=precision,
        height=data.height,
        width=data.width,
        channels=data.channels,
        class_names=model.class_names,
        data_name=facts["data"]["name"],
        data_sha256=data.sha256,
        data_licence=facts["data"]["licence"],
        preparation=facts["data"]["preparation"],
        recipe=recipe_of(options),
        images_seen=facts["images_seen"],
        metrics=(facts["metrics"],) if facts.get("metrics") else (),
        licence=licence,
        intended_use=intended_use,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={"ganforge": __version__, "torch": version("torch"), "onnx": version("onnx")},
    )
    return write(model.generator, metadata, to, say)


def write(generator: nn.Module, metadata: Metadata, to: Path, say: Say = silent) -> Exported:
    """Write a generator in eval mode on the CPU to a model file, checked before it takes its name.

    Args:
        say: told where those who get the file will have to trust it.

    Raises:
        OptionError: `to` cannot be written.
        ModelError: the written graph is not the generator.
    """
    with files.stage(to) as part:
        fold = getattr(generator, "folded", None)
        model = graph.to_onnx(fold() if fold else generator, metadata)
        label_mixing.add_label_weights(model, len(metadata.class_names))
        if metadata.precision == "float16":
            float16.to_half(model)
        opened = _open(model, metadata)
        metadata = dataclasses.replace(
            metadata, golden=contract.draw_golden(opened), directions=amend.unnamed(model, metadata)
        )
        onnx.helper.set_model_props(model, {KEY: metadata.to_json()})
        graph.check(model)
        body = model.SerializeToString()
        part.write_bytes(body)
        opened = Generator.load(part, device="cpu", trust=True)
        difference, differing = verify(generator, opened, allowed=MOST_LEVELS[metadata.precision])
        make_known(part, to, Generator, say)
    return Exported(to, len(body), difference, differing, metadata)


def verify(
    generator: nn.Module,
    opened: Generator,
    batches: Sequence[int] = VERIFIED_BATCHES,
    allowed: int = 1,
) -> tuple[int, float]:
    """Compare a model file with the PyTorch generator that it was made of.

    Returns:
        the largest difference in levels, and the share of values that differ at all.

    Raises:
        ModelError: a level is off by more than `allowed`, or a picture depends on its batch.
    """
    reference = PixelGenerator(generator, opened.metadata.truncation).eval()
    first: np.ndarray[Any, Any] | None = None
    largest, differing, total = 0, 0, 0
    for count in sorted(batches, reverse=True):
        latent = opened.latents(range(count))
        labels = np.arange(count) % len(opened.class_names) if opened.conditional else None
        with torch.no_grad():
            expected = reference(
                torch.from_numpy(latent), None if labels is None else torch.from_numpy(labels)
            ).numpy()
        got = opened(latent, labels)
        gap = np.abs(got.astype(np.int16) - expected.astype(np.int16))
        largest = max(largest, int(gap.max()))
        differing, total = differing + int((gap > 0).sum()), total + gap.size
        if largest > allowed:
            raise ModelError(
                f"the exported graph is up to {largest} levels of 256 off PyTorch at batch {count}; "
                f"at most {allowed} may be at {opened.metadata.precision}, so nothing was written"
            )
        if first is None:
            first = got
        elif not np.array_equal(got, first[:count]):
            raise ModelError(
                f"the exported graph gives other pixels at batch {count} than at {len(first)}; "
                "a seed must name one picture, so nothing was written"
            )
    return largest, differing / max(1, total)


def make_known(part: Path, to: Path, kind: type[Generator | Critic], say: Say) -> None:
    """Let a file of our own be tried, so that this machine knows it; say where others will refuse it."""
    try:
        kind.load(part, device="cpu").close()
    except ModelError as error:
        say(f"note: {str(error).replace(str(part), str(to))}; this holds for whoever gets the file")


def _open(model: onnx.ModelProto, metadata: Metadata) -> Generator:
    session = Session(model.SerializeToString(), source="the exported graph", device="cpu")
    return Generator(session, metadata, "the exported graph")


def recipe_of(options: Config) -> dict[str, Any]:
    """Return the options of a run without anything of the machine's paths."""
    recipe = dataclasses.asdict(options)
    recipe["data"]["source"] = Path(recipe["data"]["source"]).name
    return recipe
