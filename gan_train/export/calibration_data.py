"""Collects pictures to calibrate a critic on: real ones, held out if possible, and as many generated."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import nn

from gan_infer.errors import DataError, ModelError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import PictureSet, held_out, matching
from gan_train.data.columns import CLASS
from gan_train.export import calibration
from gan_train.export.generator import TRUNCATION
from gan_train.metrics import split
from gan_train.networks import pixels
from gan_train.runs.progress import Say
from gan_train.runs.trained import Trained

Pictures = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.int64]

MOST_HELD: Final = 10_000
LEAST_HELD: Final = 50
# Far from the seeds that people use, and from those of measured samples.
_FIRST_SEED: Final = 2**40


@dataclasses.dataclass(frozen=True)
class CalibrationPictures:
    """Real and generated pictures to calibrate on, as many of each, class by class.

    Attributes:
        origin: where the real ones are from, for people.
        seen: True if training saw the real ones.
        truncation: the factor that scaled the latents of the generated ones.
        logits: float64 [2 n], the real ones first.
        given: int64 [2 n], the classes that the critic was given; None if it takes none.
        classes: the number of classes, 0 if it takes none.
    """

    origin: str
    seen: bool
    truncation: float
    logits: calibration.Values
    given: Classes | None = None
    classes: int = 0

    @property
    def real(self) -> calibration.Flags:
        """Which pictures are real, bool [2 n]."""
        return np.arange(len(self.logits)) < len(self.logits) // 2

    def fit(self, which: Classes) -> tuple[float, calibration.Values]:
        """Calibrate on some of the pictures, given by their indices; see `calibration.fit`."""
        given = None if self.given is None else self.given[which]
        return calibration.fit(self.logits[which], self.real[which], given, self.classes)

    def scores(self, slope: float, intercepts: calibration.Values) -> calibration.Values:
        """Return slope * logit + intercept, float64 [2 n]."""
        own = intercepts[self.given] if self.given is not None else intercepts
        return slope * self.logits + own


def refer(
    model: Trained,
    judging: nn.Module,
    pictures: PictureSet,
    origin: str,
    seen: bool,
    truncation: float = TRUNCATION,
) -> CalibrationPictures:
    """Compute the logits of real pictures and of as many new generated ones of the same classes."""
    known = pictures.values(CLASS)
    chosen = split.part(np.arange(len(pictures)), known, MOST_HELD)
    if len(chosen) < LEAST_HELD:
        raise DataError(f"{origin}: {len(chosen)} are too few; a calibration needs at least {LEAST_HELD}")
    if len(chosen) < len(pictures):
        origin = f"{len(chosen):,} of {origin}"
    classes = None if known is None else known[chosen]
    seeds = np.arange(_FIRST_SEED, _FIRST_SEED + len(chosen))
    made = model.sampler(truncation).draw(seeds, classes)
    given = classes if find_classes(model) else None
    on_real = pixels.compute_logits(judging, np.ascontiguousarray(pictures.images[chosen]), given)
    on_made = pixels.compute_logits(judging, made, given)
    return CalibrationPictures(
        origin,
        seen,
        truncation,
        np.concatenate([on_real, on_made]),
        None if given is None else np.tile(given, 2),
        len(find_classes(model)),
    )


def calibrate(reference: CalibrationPictures, seed: int = 0) -> tuple[float, list[float], dict[str, Any]]:
    """Calibrate on a random half, and measure on the other.

    Returns:
        slope and intercepts (one, or one per class), and the facts of the calibration for the file.
    """
    logits, real = reference.logits, reference.real
    if not np.isfinite(logits).all():
        raise ModelError("the discriminator gives values that are not finite; give another --checkpoint")
    order = np.random.default_rng(seed).permutation(len(logits))
    learn, hold = order[: len(order) // 2], order[len(order) // 2 :]
    slope, intercepts = reference.fit(learn)
    scores = reference.scores(slope, intercepts)[hold]
    realness = calibration.sigmoid(scores)
    facts = {
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
    return slope, intercepts.tolist(), facts


def pictures_for(model: Trained, calibrate: str, say: Say) -> tuple[PictureSet, str, bool]:
    """Return real pictures of the run's shape and classes, their origin, and whether training saw them.

    Those that training saw are left out if enough others remain, with a note to `say`.

    Raises:
        DataError: they cannot be read, or are of another shape or other classes.
    """
    options = model.options.data
    shape = (options.height, options.width, options.channels)
    beside = held_out.find_beside(options)
    chosen = _options_for(calibrate, options) if calibrate else beside or options
    try:
        pictures = data.load(chosen)
    except DataError as error:
        if calibrate:
            raise
        raise DataError(f"{error}; to calibrate by other pictures, name them with --calibrate") from None
    if pictures.images.shape[1:] != shape:
        raise DataError(
            f"{chosen.source} gives pictures of {list(pictures.images.shape[1:])}; the discriminator "
            f"judges {list(shape)}"
        )
    pictures, seen = _leave_out_trained(pictures, options, say)
    pictures, known = matching.match_classes(pictures, model.class_names, say)
    if find_classes(model) and not known:
        raise DataError(
            f"{chosen.source} has no classes like the run's ({', '.join(find_classes(model)[:10])}); "
            "calibrate by pictures in a subfolder a class"
        )
    origin = f"{len(pictures):,} pictures of {pictures.name}"
    if not calibrate and beside is not None and (held := Path(beside.source).name) != pictures.name:
        origin += f" ({held})"
    return pictures, origin, seen


def _options_for(source: str, options: DataOptions) -> DataOptions:
    """Return the options that prepare other pictures like the run's."""
    return DataOptions(
        source=source,
        on_bad="skip",
        fit=options.fit,
        value_range=options.value_range,
        height=options.height,
        width=options.width,
        channels=options.channels,
    )


def _leave_out_trained(pictures: PictureSet, options: DataOptions, say: Say) -> tuple[PictureSet, bool]:
    """Leave out what the run was trained on; if too few would remain, return all, and True."""
    if pictures.sha256() == options.sha256:
        return pictures, True
    try:
        common = pictures.in_common(data.load(options))
    except DataError:  # the run's pictures are gone, so there is nothing to compare with
        return pictures, False
    fresh = int((~common).sum())
    if fresh == len(pictures):
        return pictures, False
    if fresh < LEAST_HELD:
        return pictures, True
    say(
        f"note: {len(pictures) - fresh:,} of {len(pictures):,} pictures of {pictures.name} are among those "
        "that training saw; left out"
    )
    return pictures.only(~common), False


def find_classes(model: Trained) -> tuple[str, ...]:
    """Return the classes if the logit depends on them; with an auxiliary classifier it does not."""
    entering = ("concatenation", "projection")
    return model.class_names if model.options.condition.discriminator in entering else ()
