"""From a run's discriminator to one checked critic file: calibrate, trace, write, verify, rename."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from gan_infer import __version__, files, images, latents
from gan_infer.critic import Critic, golden_picture
from gan_infer.errors import DataError, ModelError
from gan_infer.metadata import KEY, CriticMetadata, GoldenScore
from gan_infer.session import Session
from gan_train import data, trained
from gan_train.config import DataOptions
from gan_train.data import PictureSet, held_out, matching
from gan_train.export import TRUNCATION, VERIFIED_BATCHES, calibration, graph, recipe_of
from gan_train.metrics import split
from gan_train.networks import pixels
from gan_train.networks.pixels import PixelCritic
from gan_train.saying import Say, silent
from gan_train.trained import Trained

Pictures = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

# Realness may differ so much from PyTorch's, and from batch to batch.
_TOLERANCE: Final = 1e-3
_TOLERANCE_OF_BATCH: Final = 1e-6
_MOST_HELD: Final = 10_000
_LEAST_HELD: Final = 50
# Far from the seeds that people use, and from those that samples are measured by.
_FIRST_SEED: Final = 2**40
_GOLDEN: Final = 4
_GOLDEN_SIDE: Final = 32


@dataclasses.dataclass(frozen=True)
class ExportedCritic:
    """What was written: `difference` is the largest from PyTorch, in realness."""

    path: Path
    size_bytes: int
    difference: float
    metadata: CriticMetadata


@dataclasses.dataclass(frozen=True)
class Reference:
    """Real and generated pictures to calibrate by, as many of each, class by class.

    Attributes:
        origin: where the real ones are from, for people.
        seen: True where training saw the real ones.
        truncation: what the latents of the generated ones were scaled by.
        logits: float64 [2 n], of the real ones first.
        labels: int64 [2 n], what they were judged as; None where the critic takes none.
        classes: the number of labels, 0 where it takes none.
    """

    origin: str
    seen: bool
    truncation: float
    logits: calibration.Values
    labels: Labels | None = None
    classes: int = 0

    @property
    def real(self) -> calibration.Flags:
        """Bool [2 n]: which are real."""
        return np.arange(len(self.logits)) < len(self.logits) // 2

    def fit(self, which: Labels) -> tuple[float, calibration.Values]:
        """Calibrate on some of the pictures, given by their places; see `calibration.fit`."""
        labels = None if self.labels is None else self.labels[which]
        return calibration.fit(self.logits[which], self.real[which], labels, self.classes)

    def scores(self, slope: float, intercepts: calibration.Values) -> calibration.Values:
        """Give slope * logit + intercept, float64 [2 n]."""
        own = intercepts[self.labels] if self.labels is not None else intercepts
        return slope * self.logits + own


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
        class_names=_class_names(model),
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
    samples = _generated(model, np.arange(max(VERIFIED_BATCHES)), None, truncation)
    return write(PixelCritic(judging, slope, intercepts), metadata, samples, to)


def write(critic: PixelCritic, metadata: CriticMetadata, samples: Pictures, to: Path) -> ExportedCritic:
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
    with files.replacing(to) as part:
        model = graph.traced(critic, inputs, "realness", "critic")
        graph.label(model, metadata)
        graph.check(model)
        session = Session(model.SerializeToString(), source="the exported graph", device="cpu")
        opened = Critic(session, metadata, "the exported graph")
        metadata = dataclasses.replace(metadata, golden=_golden(opened, samples))
        onnx.helper.set_model_props(model, {KEY: metadata.to_json()})
        body = model.SerializeToString()
        part.write_bytes(body)
        difference = verify(critic, Critic.load(part, device="cpu"), samples)
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


def refer(
    model: Trained,
    judging: nn.Module,
    pictures: PictureSet,
    origin: str,
    seen: bool,
    truncation: float = TRUNCATION,
) -> Reference:
    """Judge real pictures and as many freshly generated ones of the same classes."""
    chosen = split.part(np.arange(len(pictures)), pictures.labels, _MOST_HELD)
    if len(chosen) < _LEAST_HELD:
        raise DataError(f"{origin} holds {len(chosen)} pictures; a calibration needs at least {_LEAST_HELD}")
    if len(chosen) < len(pictures):
        origin = f"{len(chosen):,} of {origin}"
    labels = None if pictures.labels is None else pictures.labels[chosen]
    seeds = np.arange(_FIRST_SEED, _FIRST_SEED + len(chosen))
    made = _generated(model, seeds, labels, truncation)
    known = labels if _class_names(model) else None
    on_real = pixels.judge(judging, np.ascontiguousarray(pictures.images[chosen]), known)
    on_made = pixels.judge(judging, made, known)
    return Reference(
        origin,
        seen,
        truncation,
        np.concatenate([on_real, on_made]),
        None if known is None else np.tile(known, 2),
        len(_class_names(model)),
    )


def fitted(reference: Reference, seed: int = 0) -> tuple[float, list[float], dict[str, Any]]:
    """Calibrate on a random half, and measure on the other.

    Returns:
        slope and intercepts (one, or one a class), and what the file says of its calibration.
    """
    logits, real = reference.logits, reference.real
    if not np.isfinite(logits).all():
        raise ModelError("the discriminator gives values that are not finite; give another --checkpoint")
    order = np.random.default_rng(seed).permutation(len(logits))
    learn, hold = order[: len(order) // 2], order[len(order) // 2 :]
    slope, intercepts = reference.fit(learn)
    scores = reference.scores(slope, intercepts)[hold]
    realness = calibration.sigmoid(scores)
    told = {
        "method": "logistic",
        "slope": slope,
        "intercepts": intercepts.tolist(),
        "origin": reference.origin,
        "seen_in_training": reference.seen,
        "truncation": reference.truncation,
        "fitted_on": len(learn),
        "measured_on": len(hold),
        "bins": calibration.BINS,
        "expected_error": calibration.expected_error(realness, real[hold]),
        "expected_error_by_chance": calibration.error_by_chance(realness),
        "expected_error_uncalibrated": calibration.expected_error(
            calibration.sigmoid(logits[hold]), real[hold]
        ),
        "separation": calibration.separation(scores, real[hold]),
        "curve": calibration.curve(realness, real[hold]),
    }
    return slope, intercepts.tolist(), told


def pictures_for(model: Trained, calibrate: str, say: Say) -> tuple[PictureSet, str, bool]:
    """Give real pictures of the run's shape and classes, their origin, and whether training saw them."""
    options = model.options.data
    shape = {"height": options.height, "width": options.width, "channels": options.channels}
    beside = held_out.beside(options)
    if calibrate:
        chosen = DataOptions(source=calibrate, fit=options.fit, on_bad="skip", **shape)  # type: ignore[arg-type]
    else:
        chosen = beside or options
    try:
        pictures = data.load(chosen)
    except DataError as error:
        if calibrate:
            raise
        raise DataError(f"{error}; to calibrate by other pictures, name them with --calibrate") from None
    if pictures.images.shape[1:] != tuple(shape.values()):
        raise DataError(
            f"{chosen.source} gives pictures of {list(pictures.images.shape[1:])}; the discriminator "
            f"judges {list(shape.values())}"
        )
    pictures, seen = _unseen(pictures, options, say)
    pictures, labelled = matching.matched(pictures, model.class_names, say)
    if _class_names(model) and not labelled:
        raise DataError(
            f"{chosen.source} has no classes like the run's ({', '.join(_class_names(model)[:10])}); "
            "calibrate by pictures in a subfolder a class"
        )
    origin = f"{len(pictures):,} pictures of {pictures.name}"
    if not calibrate and beside is not None and (split := Path(beside.source).name) != pictures.name:
        origin += f" ({split})"
    return pictures, origin, seen


def _unseen(pictures: PictureSet, options: DataOptions, say: Say) -> tuple[PictureSet, bool]:
    """Leave out what the run was trained on; where too few would remain, give all, and True."""
    if pictures.sha256() == options.sha256:
        return pictures, True
    try:
        common = pictures.in_common(data.load(options))
    except DataError:  # they are gone, so there is nothing to compare with
        return pictures, False
    fresh = int((~common).sum())
    if fresh == len(pictures):
        return pictures, False
    if fresh < _LEAST_HELD:
        return pictures, True
    say(
        f"note: {len(pictures) - fresh:,} of {len(pictures):,} pictures of {pictures.name} are among those "
        "that training saw; left out"
    )
    return pictures.only(~common), False


def _class_names(model: Trained) -> tuple[str, ...]:
    """Give the classes where the judgement depends on them; an auxiliary classifier stands beside it."""
    entering = ("concatenation", "projection")
    return model.class_names if model.options.condition.discriminator in entering else ()


def _generated(model: Trained, seeds: Labels, labels: Labels | None, truncation: float) -> Pictures:
    network = model.options.network
    if labels is None and model.class_names:
        labels = seeds % len(model.class_names)
    latent = latents.latents(seeds, network.latent_dim, network.latent_distribution)
    latent = latent * np.float32(truncation)
    return model.pictures(latent, labels if model.class_names else None)


def _golden(opened: Critic, samples: Pictures) -> tuple[GoldenScore, ...]:
    found = []
    for index, sample in enumerate(samples[:_GOLDEN]):
        step = -(-max(sample.shape[:2]) // _GOLDEN_SIDE)
        body = io.BytesIO()
        images.to_pil(sample[::step, ::step]).save(body, "PNG")
        png = base64.b64encode(body.getvalue()).decode()
        label = index % len(opened.class_names) if opened.conditional else None
        shown = golden_picture(GoldenScore(png, label, 0.0), opened.image_shape)
        realness = float(opened(shown[None], None if label is None else [label])[0])
        found.append(GoldenScore(png, label, round(realness, 6)))
    return tuple(found)
