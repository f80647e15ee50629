from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer.outputs import image as images
from gan_train.config import presets
from gan_train.config.options import Config, replace
from gan_train.reports import walk
from tests.report_runs import log_line, status


@pytest.fixture
def options() -> Config:
    config = presets.make("resnet", {"budget.images": 400, "network.width": 24, "reports": 7})
    return replace(config, {"data.height": 8, "data.width": 8, "data.channels": 1})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder as a run of four reports leaves it."""
    folder = tmp_path / "a run <of> mine"
    (folder / "samples").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    lines, measured = [], []
    for seen in (100, 200, 300, 400):
        lines.append(log_line(status(seen)))
        values = {"frechet": 900 / seen + (seen == 400), "precision": 0.5, "recall": 0.4, "variety": 0.9}
        protocol = {"network": "classifier", "samples": 2000}
        measured.append(json.dumps({"images_seen": seen, "values": values, "protocol": protocol}))
        Image.new("L", (8 * 10 * 8 + 16, 2 * 10 * 8 + 16), seen // 2).save(
            folder / "samples" / f"{seen:012d}.png"
        )
    (folder / "log.jsonl").write_text("\n".join(lines) + '\n{"torn')
    (folder / "metrics.jsonl").write_text("\n".join(measured))
    event = {"images_seen": 150, "kind": "rollback", "text": "the loss <became> nan"}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    facts = {"data": {"name": "noise", "pictures": 1234, "class_names": ["<cat>", "dog"]}}
    (folder / "checkpoints" / "000000000400.json").write_text(json.dumps(facts))
    frames = np.arange(3, dtype=np.uint8)[:, None, None, None] * 100 + np.zeros((3, 80, 160, 1), np.uint8)
    (folder / "walk.webp").write_bytes(walk.animation(frames))
    images.save(np.zeros((80, 560, 1), np.uint8), folder / "neighbours.png")
    return folder
