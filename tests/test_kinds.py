"""Few files name a kind of condition: a class is known where it is given, encoded and stored."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
# The rooms of conditions and of data, which are about kinds.
FREE = ("gan_infer/conditions/", "gan_train/data/")
# Files that may say "label", and why; there are to be 20 at most.
NAMED = {
    "gan_infer/__init__.py": "exports LabelError",
    "gan_infer/errors.py": "LabelError is the name that apps catch",
    "gan_infer/commands/score.py": "has --label, and its lines have the keys label and label_from",
    "gan_infer/commands/shared.py": "has --label, --from-label, --to-label and --label-input",
    "gan_infer/latent/directions.py": "reads the key label_index of a latent's file",
    "gan_infer/modelfile/metadata.py": "the inputs label and label_weights of format 1.0; golden items' key",
    "gan_infer/modelfile/reading.py": "the argument label_input",
    "gan_infer/modelfile/foreign/__init__.py": "describes how a foreign file takes labels",
    "gan_infer/modelfile/foreign/inputs.py": "finds the input of a foreign file that takes labels",
    "gan_infer/modelfile/foreign/plan.py": "feeds labels to a foreign file",
    "gan_infer/models/critic.py": "the argument labels",
    "gan_infer/models/generator.py": "the arguments label and labels, mixes_labels",
    "gan_infer/provenance/record.py": "the key labels of a record",
    "gan_train/commands/shared.py": "has --label, --labels and --column label=NAME",
    "gan_train/config/options.py": "the options data.labels and data.label_column",
    "gan_train/graphs/adopt.py": "writes the input label of a foreign file",
    "gan_train/graphs/mixing.py": "adds the input label_weights to files of before",
    "gan_train/metrics/classifier.py": "the measure label_accuracy, and the key labels of a protocol",
    "gan_train/metrics/feature_networks.py": "the reasons that metrics.jsonl keeps, which mention labels",
    "gan_train/networks/conditioning.py": "the names of the inputs of a model file",
}


def named() -> set[str]:
    """Return the files outside of the free rooms that say "label"."""
    paths = (path for package in ("gan_infer", "gan_train") for path in (ROOT / package).rglob("*.py"))
    found = {path.relative_to(ROOT).as_posix() for path in paths if "label" in path.read_text().lower()}
    return {name for name in found if not name.startswith(FREE)}


def test_no_other_file_names_a_label() -> None:
    assert named() - NAMED.keys() == set()


def test_the_list_is_short_and_true() -> None:
    assert len(NAMED) <= 20
    assert NAMED.keys() - named() == set()
