"""From a run's discriminator to one checked critic file: calibrate, trace, write, verify, rename."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch

from gan_infer import __version__, files
from gan_infer.errors import ModelError
from gan_infer.modelfile.golden import golden_picture
from gan_infer.modelfile.metadata import KEY, CriticMetadata, GoldenScore
from gan_infer.models.critic import Critic
from gan_infer.outputs import image
from gan_infer.runtime.session import Session
from gan_train.export import TRUNCATION, VERIFIED_BATCHES, graph, make_known, recipe_of
from gan_train.export.calibration_data import drawn, fitted, judged_classes, pictures_for, refer
from gan_train.networks.pixels import PixelCritic
from gan_train.runs import trained
from gan_train.runs.progress import Say, silent

Pictures = npt.NDArray[np.uint8]

# Realness may differ so much from PyTorch's, and from batch to batch.
_TOLERANCE: Final = 1e-3
_TOLERANCE_OF_BATCH: Final = 1e-6
_GOLDEN: Final = 4
_GOLDEN_SIDE: Final = 32


@dataclasses.dataclass(frozen=True)
class ExportedCritic:
    """What was written: `difference` is the largest from PyTorch, in realness."""

    path: Path
    size_bytes: int
    difference: float
    metadata: CriticMetadata


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

    The file takes its name only after it gave PyTorch's judgements at several batch sizes.

    Args:
        which: "best", "last", or a checkpoint's name.
        truncation: scales the latents of the generated pictures that it is calibrated on: give the
            generator file's own.
        calibrate: real pictures that training did not see; "" for the test split beside the run's
            data, or else the run's own pictures.
        say: told what is worth knowing.

    Raises:
        OptionError: the folder holds no whole run, or `to` cannot be written.
        DataError: there are no pictures to calibrate by.
        ModelError: the written graph is not the discriminator.
    """
    model, judging = trained.load(run, which, say), trained.discriminator(run, which)
    reference = refer(model, judging, *pictures_for(model, calibrate, say), truncation=truncation)
    slope, intercepts, told = fitted(reference)
    if reference.seen:
        say(
            f"warning: calibrated on {reference.origin}, which the discriminator has learnt by: new "
            "pictures will read less real than they are; name others with --calibrate"
        )
    options, facts = model.options, model.facts
    assert options.data.height is not None
    assert options.data.width is not None
    assert options.data.channels is not None
    metadata = CriticMetadata(
        name=name or run.resolve().name,
        height=options.data.height,
        width=options.data.width,
        channels=options.data.channels,
        class_names=judged_classes(model),
        fit=options.data.fit,
        calibration=told,
        data_name=facts["data"]["name"],
        data_sha256=options.data.sha256,
        data_licence=facts["data"]["licence"],
        preparation=facts["data"]["preparation"],
        recipe=recipe_of(options),
        images_seen=facts["images_seen"],
        licence=licence,
        intended_use=intended_use,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={"ganforge": __version__, "torch": version("torch"), "onnx": version("onnx")},
    )
    samples = drawn(model, np.arange(max(VERIFIED_BATCHES)), None, truncation)
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
    critic.eval()
    inputs: dict[str, torch.Tensor] = {"image": torch.zeros(2, *metadata.image_shape, dtype=torch.uint8)}
    if metadata.conditional:
        inputs["label"] = torch.zeros(2, dtype=torch.int64)
    with files.stage(to) as part:
        model = graph.traced(critic, inputs, "realness", "critic")
        graph.label(model, metadata)
        graph.check(model)
        session = Session(model.SerializeToString(), source="the exported graph", device="cpu")
        opened = Critic(session, metadata, "the exported graph")
        metadata = dataclasses.replace(metadata, golden=_golden(opened, samples))
        onnx.helper.set_model_props(model, {KEY: metadata.to_json()})
        body = model.SerializeToString()
        part.write_bytes(body)
        difference = verify(critic, Critic.load(part, device="cpu", trust=True), samples)
        make_known(part, to, Critic, say)
    return ExportedCritic(to, len(body), difference, metadata)


def verify(
    critic: PixelCritic, opened: Critic, samples: Pictures, batches: Sequence[int] = VERIFIED_BATCHES
) -> float:
    """Compare a critic file with what it was made of; give the largest difference in realness.

    Raises:
        ModelError: it is over 0.001, or a judgement depends on the other pictures of its batch.
    """
    first: npt.NDArray[np.float32] | None = None
    largest = 0.0
    for count in sorted(batches, reverse=True):
        pictures = samples[:count]
        labels = np.arange(count) % len(opened.class_names) if opened.conditional else None
        with torch.no_grad():
            expected = critic(
                torch.from_numpy(pictures), None if labels is None else torch.from_numpy(labels)
            ).numpy()
        got = opened(pictures, labels)
        gap = float(np.abs(got - expected).max())
        largest = max(largest, gap)
        if not gap <= _TOLERANCE:  # nor a gap that is no number
            raise ModelError(
                f"the exported critic is up to {gap:.2g} off PyTorch at batch {count}; "
                f"at most {_TOLERANCE:g} is allowed, so nothing was written"
            )
        first = got if first is None else first
        if np.abs(got - first[:count]).max() > _TOLERANCE_OF_BATCH:
            raise ModelError(
                f"the exported critic judges otherwise at batch {count} than at {len(first)}; "
                "a judgement must not depend on its batch, so nothing was written"
            )
    return largest


def _golden(opened: Critic, samples: Pictures) -> tuple[GoldenScore, ...]:
    found = []
    for index, sample in enumerate(samples[:_GOLDEN]):
        step = -(-max(sample.shape[:2]) // _GOLDEN_SIDE)
        body = io.BytesIO()
        image.to_pil(sample[::step, ::step]).save(body, "PNG")
        png = base64.b64encode(body.getvalue()).decode()
        label = index % len(opened.class_names) if opened.conditional else None
        shown = golden_picture(GoldenScore(png, label, 0.0), opened.image_shape)
        realness = float(opened(shown[None], None if label is None else [label])[0])
        found.append(GoldenScore(png, label, round(realness, 6)))
    return tuple(found)
