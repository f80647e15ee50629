"""Measures whether named directions work: the attribute moves monotonically, the label stays.

    python -m benchmarks.directions --data MNIST_FOLDER --judge JUDGE.safetensors MODEL.onnx

For each of --seeds seeds (from --first-seed on; class seed % classes) and each direction, a picture is edited
from one end of --range to the other in --steps steps. Its attribute is measured from the pixels
(gan_train/latent/attributes.py): monotone means that each step's value is strictly over the one before, with
no tolerance. Its label is read by a classifier trained separately (benchmarks/judge.py): it stays if
the classifier gives the expected class at every step, from end to end; the share of single pictures that
keep it is given as well. `elsewhere` is how far the other attributes move at the same time: the mean over
seeds of |last - first|, in their standard deviations over unedited pictures; the attribute's own
figure is beside it. One JSON line per direction. Seeds by which something was chosen give too
good figures: then give others.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks import judge, lines
from gan_infer import Generator
from gan_infer.errors import OptionError
from gan_infer.latent import directions
from gan_train.latent.attributes import ATTRIBUTES

Doubles = npt.NDArray[np.float64]

_JUDGED_SIDE: Final = 28
_UNEDITED: Final = 1_000


def main() -> None:
    parser = lines.parser(__doc__, "runs/directions.jsonl")
    parser.add_argument("model", nargs="?", default="digits", metavar="MODEL.onnx")
    parser.add_argument("--directions", default="thickness,slant")
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--range", default="-3:3")
    parser.add_argument("--steps", type=int, default=7)
    judge.add_options(parser)
    arguments = parser.parse_args()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept.all))
        return
    generator = Generator.load(arguments.model, device="cpu")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    classifier = load_classifier(arguments)
    spread = deviations(generator)
    for name in arguments.directions.split(","):
        amounts = np.linspace(*directions.parse_range(arguments.range), arguments.steps)
        figures = measure(generator, classifier, name, amounts, seeds, spread)
        told = {"model": arguments.model, "direction": name, "range": arguments.range}
        of = {"steps": arguments.steps, "seeds": len(seeds), "first_seed": seeds.start}
        kept.add({**told, **of, **figures})


def load_classifier(arguments: argparse.Namespace) -> judge.DigitClassifier:
    """Return the classifier that the options name; train it if it is not there yet."""
    if arguments.data is None or arguments.judge is None:
        raise OptionError(
            "give --data with four IDX files, and --judge, where the classifier lies or will lie"
        )
    images, labels = judge.read(arguments.data, "train")
    return judge.train_or_load(arguments.judge, images, labels, arguments.judge_seed, arguments.judge_epochs)


def deviations(generator: Generator) -> dict[str, float]:
    """Return the standard deviation of each attribute within a class, over unedited pictures."""
    classes = max(1, len(generator.class_names))
    pictures = generator.sample(_UNEDITED, seed=0)
    spread = {}
    for name, look in ATTRIBUTES.items():
        values = look(pictures)
        within = [values[first::classes].var() for first in range(classes)]
        spread[name] = float(np.sqrt(np.mean(within)))
    return spread


def measure(
    generator: Generator,
    classifier: judge.DigitClassifier,
    name: str,
    amounts: Doubles,
    seeds: range,
    spread: dict[str, float],
) -> dict[str, Any]:
    """Return the figures of one direction, which has the name of its attribute."""
    strips = np.stack([generator.edit(seed, None, {name: amounts}) for seed in seeds])
    pictures = strips.reshape(-1, *strips.shape[2:])
    if pictures.shape[1:] != (_JUDGED_SIDE, _JUDGED_SIDE, 1):
        raise OptionError(f"the model draws pictures of {pictures.shape[1:]}; the judge takes (28, 28, 1)")
    values = {each: look(pictures).reshape(len(seeds), -1) for each, look in ATTRIBUTES.items()}
    wanted = np.array(seeds) % max(1, len(generator.class_names))
    stays = judge.classify(classifier, pictures[..., 0])[1].reshape(len(seeds), -1) == wanted[:, None]
    moves = {each: np.abs(rows[:, -1] - rows[:, 0]).mean() / spread[each] for each, rows in values.items()}
    return {
        "monotone": round(float((np.diff(values[name], axis=1) > 0).all(1).mean()), 4),
        "label_stays": round(float(stays.all(1).mean()), 4),
        "pictures_that_keep_the_label": round(float(stays.mean()), 4),
        "mean_at_each_step": [round(float(value), 3) for value in values[name].mean(0)],
        "moves": round(float(moves.pop(name)), 2),
        "elsewhere": {each: round(float(move), 2) for each, move in moves.items()},
    }


def markdown(kept: list[lines.Line]) -> str:
    """Return the table of result lines; of several lines on one model and direction, the newest."""
    newest = {(each["model"], each["direction"]): each for each in kept}
    rows = [
        (
            each["model"],
            each["direction"],
            f"{each['range']} in {each['steps']} steps",
            f"{each['seeds']:,} from {each.get('first_seed', 0):,}",
            lines.percent(each["monotone"]),
            lines.percent(each["label_stays"]),
        )
        for each in newest.values()
    ]
    return lines.table(
        rows, ["model", "direction", "range", "seeds", "monotone", "label stays at every step"]
    )


if __name__ == "__main__":
    main()
