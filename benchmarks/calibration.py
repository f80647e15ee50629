"""Measures how far a critic's realness is from the truth: expected calibration error on held-out pictures.

    python -m benchmarks.calibration RUN ... --calibrate HELD_OUT

Each run's discriminator scores held-out real pictures and as many new generated ones; a calibration
is fitted on a random half and measured on the other, in 15 bins. Prints one JSON line per run:

    written      what `gan-train export --critic` writes: logistic, with an intercept per class
    logistic     one intercept for all classes (Platt)
    isotonic     a rising step function for all (pool adjacent violators), the steps joined by lines
    few_*        the same fitted on only 200 pictures
    by_chance    the error of a perfect calibration on as many pictures
    control      no calibration: the logistic function of the discriminator's own logits
    on_training  as written, fitted on the pictures that training saw, to show the effect on the error
    separation   the chance that a real picture scores higher than a generated one, as written

With `--repeats`, medians over that many random halves.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from gan_infer import console
from gan_train import data
from gan_train.data import matching
from gan_train.export import calibration
from gan_train.export.calibration import Flags, Values
from gan_train.export.calibration_data import CalibrationPictures, pictures_for, refer
from gan_train.runs import trained

_FEW: Final = 200


def measure(
    reference: CalibrationPictures, on_training: CalibrationPictures | None, seed: int
) -> dict[str, float]:
    """Return the expected calibration errors of one random half."""
    logits, real = reference.logits, reference.real
    order = np.random.default_rng(seed).permutation(len(logits))
    learn, hold = order[: len(order) // 2], order[len(order) // 2 :]

    def error(realness: Values) -> float:
        return calibration.expected_error(realness, real[hold])

    def of(other: CalibrationPictures, which: calibration.Classes) -> Values:
        return reference.scores(*other.fit(which))[hold]

    def logistic(which: calibration.Classes) -> float:
        slope, intercept = calibration.platt(logits[which], real[which])
        return error(calibration.sigmoid(slope * logits[hold] + intercept))

    def isotonic(which: calibration.Classes) -> float:
        return error(np.interp(logits[hold], *pool_adjacent_violators(logits[which], real[which])))

    told = {}
    for name, which in (("", learn), ("few_", learn[:_FEW])):
        told[f"{name}written"] = error(calibration.sigmoid(of(reference, which)))
        told[f"{name}logistic"], told[f"{name}isotonic"] = logistic(which), isotonic(which)
    scores = of(reference, learn)
    told["by_chance"] = calibration.error_by_chance(calibration.sigmoid(scores))
    told["control"] = error(calibration.sigmoid(logits[hold]))
    if on_training is not None:
        told["on_training"] = error(calibration.sigmoid(of(on_training, np.arange(len(on_training.logits)))))
    return {**told, "separation": calibration.separation(scores, real[hold])}


def pool_adjacent_violators(logits: Values, real: Flags) -> tuple[Values, Values]:
    """Fit the rising step function nearest to `real` in least squares.

    Ayer et al. (1955); for calibration, Zadrozny and Elkan (2002).

    Returns:
        for each step the mean logit and the share that is real, both rising.
    """
    order = np.argsort(logits, kind="stable")
    blocks: list[tuple[float, float, float]] = []  # sum of logits, number of real ones, size
    for logit, one in zip(logits[order], real[order], strict=True):
        block = (float(logit), float(one), 1.0)
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    sums = np.array(blocks)
    return sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]


def references(run: Path, calibrate: str) -> tuple[CalibrationPictures, CalibrationPictures | None]:
    """Score held-out pictures, and those that the run trained on if they can be read."""
    model, judging = trained.load(run), trained.discriminator(run)
    held = refer(model, judging, *pictures_for(model, calibrate, console.say))
    if held.seen:
        return held, None
    seen, _ = matching.match_classes(data.load(model.options.data), model.class_names, console.say)
    return held, refer(model, judging, seen, "the training pictures", True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--calibrate", default="", help="pictures held out  [default: the test split]")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for run in arguments.runs:
        held, seen = references(run, arguments.calibrate)
        found = [measure(held, seen, seed) for seed in range(arguments.repeats)]
        middle = {key: round(median(each[key] for each in found), 4) for key in found[0]}
        print(json.dumps({"run": run.name, "held_out": held.origin, **middle}), flush=True)


if __name__ == "__main__":
    main()
