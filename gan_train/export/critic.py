"""Exports a run's discriminator as one checked critic file, calibrated."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx

from gan_infer.conditions import classes_of_seeds
from gan_infer.conditions.spec import Input, Output
from gan_infer.modelfile.golden import golden_picture
from gan_infer.modelfile.metadata import CriticMetadata, GoldenScore
from gan_infer.models.critic import Critic
from gan_infer.outputs import image
from gan_infer.runtime.session import Session
from gan_train.export import verification, writing
from gan_train.export.calibration_data import calibrate as fit_calibration
from gan_train.export.calibration_data import find_classes, pictures_for, refer
from gan_train.export.generator import TRUNCATION
from gan_train.export.verification import VERIFIED_BATCHES
from gan_train.networks.deployment import Deployment
from gan_train.networks.pixels import PixelCritic, deploy_critic
from gan_train.runs import trained
from gan_train.runs.progress import Say, silent

Pictures = npt.NDArray[np.uint8]

_GOLDEN: Final = 4
_GOLDEN_SIDE: Final = 32


@dataclasses.dataclass(frozen=True)
class ExportedCritic:
    """What was written: `difference` is the largest from PyTorch, in realness."""

    path: Path
    size_bytes: int
    difference: float
    metadata: CriticMetadata
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
    calibrate: str = "",
    say: Say = silent,
) -> ExportedCritic:
    """Write the discriminator of a run's checkpoint as a critic file.

    The file takes its name only after it gave PyTorch's realness at several batch sizes.

    Args:
        which: "best", "last", or a checkpoint's name.
        truncation: scales the latents of the generated pictures for calibration; give the one of
            the generator's file.
        calibrate: real pictures that training did not see; "" for the test split beside the run's
            data, or else the run's own pictures.
        say: prints notes.

    Raises:
        OptionError: the folder holds no whole run, or `to` cannot be written.
        DataError: there are no pictures to calibrate on.
        ModelError: the written graph is not the discriminator.
    """
    model, judging = trained.load(run, which, say), trained.discriminator(run, which)
    reference = refer(model, judging, *pictures_for(model, calibrate, say), truncation=truncation)
    slope, intercepts, facts = fit_calibration(reference)
    if reference.seen:
        say(
            f"warning: calibrated on {reference.origin}, which the discriminator has learnt by: new "
            "pictures will read less real than they are; name others with --calibrate"
        )
    data = model.options.data
    sides = (data.height, data.width, data.channels)
    metadata = CriticMetadata(
        **writing.facts_of(model, sides, name or run.resolve().name, licence, intended_use),
        class_names=find_classes(model),
        fit=data.fit,
        calibration=facts,
    )
    samples = model.sampler(truncation).draw(range(max(VERIFIED_BATCHES)))
    return write(PixelCritic(judging, slope, intercepts), metadata, samples, to, say)


def write(
    critic: PixelCritic, metadata: CriticMetadata, samples: Pictures, to: Path, say: Say = silent
) -> ExportedCritic:
    """Write a critic on the CPU to a model file, checked before it takes its name.

    Args:
        samples: uint8 [at least 64, height, width, channels], to compare on; the first few become
            the golden pictures.

    Raises:
        OptionError: `to` cannot be written.
        ModelError: the written graph is not the critic.
    """

    def add_golden(model: onnx.ModelProto, metadata: CriticMetadata) -> CriticMetadata:
        session = Session(model.SerializeToString(), source="the exported graph", device="cpu")
        with contextlib.closing(Critic(session, metadata, "the exported graph")) as judging:
            return dataclasses.replace(metadata, golden=_golden(judging, samples))

    deployed = _deploy(critic, metadata)
    feeds = [_feed(deployed, samples)]
    written = writing.write(deployed, metadata, to, finish=add_golden, feeds=feeds, opener=Critic, say=say)
    largest = written.differences["realness"].largest
    return ExportedCritic(to, written.size_bytes, largest, written.metadata, written.inputs, written.outputs)


def verify(
    critic: PixelCritic, opened: Critic, samples: Pictures, batches: Sequence[int] = VERIFIED_BATCHES
) -> float:
    """Compare a critic file with its discriminator; return the largest difference in realness.

    Raises:
        ModelError: it is over 0.001, or a value depends on the other pictures of its batch.
    """
    deployed = _deploy(critic, opened.metadata)
    body = Path(opened.source).read_bytes()
    with contextlib.closing(Session(body, source=opened.source, device="cpu")) as session:
        feeds = [_feed(deployed, samples)]
        differences = verification.verify(deployed, session.run, feeds=feeds, batches=batches)
    return differences["realness"].largest


def _deploy(critic: PixelCritic, metadata: CriticMetadata) -> Deployment:
    return deploy_critic(critic, image_shape=metadata.image_shape, class_names=metadata.class_names)


def _feed(deployed: Deployment, samples: Pictures) -> verification.Feed:
    """Return samples, each with the condition of its index."""
    (example,) = verification.example_feeds(deployed.inputs, len(samples))
    return {**example, "image": samples}


def _golden(judging: Critic, samples: Pictures) -> tuple[GoldenScore, ...]:
    found = []
    count = len(judging.class_names)
    for index, sample in enumerate(samples[:_GOLDEN]):
        step = -(-max(sample.shape[:2]) // _GOLDEN_SIDE)
        body = io.BytesIO()
        image.to_pil(sample[::step, ::step]).save(body, "PNG")
        png = base64.b64encode(body.getvalue()).decode()
        given = classes_of_seeds(np.array([index]), count) if count else None
        chosen = None if given is None else int(given[0])
        shown = golden_picture(GoldenScore(png, chosen, 0.0), judging.image_shape)
        realness = float(judging(shown[None], given)[0])
        found.append(GoldenScore(png, chosen, round(realness, 6)))
    return tuple(found)
