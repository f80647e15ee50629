from __future__ import annotations

import io
import json
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer.errors import OptionError
from gan_train import checkpoint, presets
from gan_train.config import Config, replace
from gan_train.reports import charts, html, live, trackers, walk
from gan_train.reports.charts import Chart, Line
from gan_train.reports.status import Quiet, Status
from tests.conftest import CONDITIONAL, UNCONDITIONAL, Kind, make_network


class _Page(HTMLParser):
    """Collects a page's elements; fails on tags that are not closed in order."""

    VOID = ("meta", "img", "input", "br", "line", "polyline", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def status(images: int) -> Status:
    return Status(images, images / 400, images / 100, 99.0, 1.0, 1e-3, 0.8, 1.3, 0.6, 0.4)


@pytest.fixture
def options() -> Config:
    config = presets.make("resnet", {"budget.images": 400, "network.width": 24})
    return replace(config, {"data.height": 8, "data.width": 8, "data.channels": 1})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Give a run's folder as a run of four reports leaves it."""
    folder = tmp_path / "a run <of> mine"
    (folder / "samples").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    logged, measured = [], []
    for images in (100, 200, 300, 400):
        logged.append(json.dumps(vars(status(images))))
        values = {"frechet": 900 / images + (images == 400), "precision": 0.5, "recall": 0.4, "coverage": 0.3}
        protocol = {"network": "classifier", "samples": 2000}
        measured.append(json.dumps({"images_seen": images, "values": values, "protocol": protocol}))
        Image.new("L", (80, 20)).save(folder / "samples" / f"{images:012d}.png")
    (folder / "log.jsonl").write_text("\n".join(logged) + '\n{"torn')
    (folder / "metrics.jsonl").write_text("\n".join(measured))
    event = {"images_seen": 150, "kind": "rollback", "text": "the loss <became> nan"}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    facts = {"data": {"name": "noise", "pictures": 1234, "class_names": ["<cat>", "dog"]}}
    (folder / "checkpoints" / "000000000400.json").write_text(json.dumps(facts))
    (folder / "walk.webp").write_bytes(walk.animation(np.zeros((2, 8, 8, 1), np.uint8)))
    return folder


def test_the_page_holds_everything_in_one_file_and_escapes_names(run: Path, options: Config) -> None:
    text = html.render(run, options)
    page = _Page()
    page.feed(text)
    assert not page.open
    assert "a run <of> mine: resnet on digits" in page.text
    assert "the loss <became> nan" in page.text
    assert "<cat>" in page.text
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    sheets = [attributes for attributes in images if "data-sheet" in attributes]
    assert [sheet["alt"] for sheet in sheets] == [f"after {n} images" for n in (100, 200, 300, 400)]
    assert ["hidden" in sheet for sheet in sheets] == [True, True, True, False]
    assert all(str(image["src"]).startswith("data:image/") and image["alt"] for image in images)
    (slider,) = (attributes for tag, attributes in page.elements if tag == "input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "3", "3")
    assert slider["aria-label"]
    assert "src=" not in text.replace('src="data:', "")
    assert "http" not in text.replace("http-equiv", "")


def test_the_page_shows_curves_events_the_best_and_what_is_not_usual(run: Path, options: Config) -> None:
    text = html.render(run, options)
    labels = [str(attributes["aria-label"]) for tag, attributes in _parsed(text).elements if tag == "svg"]
    assert "Frechet distance (lower is better) over images seen: samples from 9 to 3.25" in labels
    assert any(label.startswith("Precision and recall over images seen") for label in labels)
    assert any("belief" in label or "discriminator holds" in label for label in labels)
    assert not any("augmentation" in label.lower() for label in labels)
    assert text.count('class="best"') == 1
    assert text.count('class="mark"') == len(labels)
    assert "<b>3</b><span>Frechet distance, the best</span>" in text
    assert "<b>300</b><span>images seen by then</span>" in text
    assert "<tr class=set><td>width</td><td>24</td></tr>" in text
    assert "<tr><td>family</td><td>resnet</td></tr>" in text
    assert "network: classifier; samples: 2000" in text


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path, options: Config) -> None:
    page = _parsed(html.render(tmp_path, options))
    assert not [tag for tag, _ in page.elements if tag in ("svg", "img", "input")]
    assert "latent_dim" in page.text


def test_a_long_run_gives_a_page_of_bounded_size(run: Path, options: Config) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    body = io.BytesIO()
    Image.fromarray(noise).save(body, "PNG")
    for images in range(1000, 1060):
        (run / "samples" / f"{images:012d}.png").write_bytes(body.getvalue())
    text = html.render(run, options)
    assert len(text) < 8_000_000
    sheets = [attributes for tag, attributes in _parsed(text).elements if "data-sheet" in attributes]
    assert sheets[-1]["alt"] == "after 1,059 images"


def _parsed(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page


def test_charts_leave_out_what_cannot_be_drawn() -> None:
    assert charts.draw(Chart("empty", [Line("a", [])])) == ""
    assert charts.draw(Chart("one", [Line("a", [(1.0, 2.0)])])) == ""
    drawn = charts.draw(Chart("a & b", [Line("x<y", [(0, 1.0), (5, float("nan")), (10, 3.0)])]))
    assert "a &amp; b" in drawn
    assert "x&lt;y" in drawn
    assert "nan" not in drawn
    flat = charts.draw(Chart("flat", [Line("a", [(0, 2.0), (9, 2.0)])], logarithmic=True))
    assert "inf" not in flat


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    high = low + span
    found = charts.ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1e-6)
    assert len(found) <= 6
    assert all(low - slack <= tick <= high + slack for tick in found)


def test_numbers_are_written_short() -> None:
    assert [charts.number(v) for v in (0.01234, 4.567, 1240, 3_100_000)] == [
        "0.0123",
        "4.57",
        "1,240",
        "3.1M",
    ]
    assert charts.spread(list(range(10)), 4) == [0, 3, 6, 9]


@pytest.mark.parametrize("kind", [CONDITIONAL, UNCONDITIONAL, Kind(channels=4, latent_dim=4)], ids=str)
def test_a_walk_begins_at_its_seeds_moves_smoothly_and_closes(kind: Kind) -> None:
    network = make_network(kind)
    frames = walk.draw(network, kind.latent_dim, "normal", kind.classes, torch.device("cpu"))
    assert frames.shape[0] == 32
    assert frames.shape[3] == kind.channels
    steps = np.abs(frames.astype(int) - np.roll(frames, -1, axis=0)).mean((1, 2, 3))
    far = np.abs(frames[0].astype(int) - frames[16]).mean()
    assert steps.max() < 0.7 * far  # the last step, back to the first, as well
    with Image.open(io.BytesIO(walk.animation(frames))) as image:
        assert image.n_frames == 32  # type: ignore[attr-defined]


def test_a_walk_of_normal_latents_stays_near_their_sphere() -> None:
    path = walk._path(256, "normal", 0)
    lengths = np.linalg.norm(path, axis=1)
    assert lengths.min() > 0.85 * 16
    straight = walk._path(256, "uniform", 0)
    assert np.abs(straight).max() <= 1.0
    assert np.linalg.norm(straight, axis=1).min() < 0.85 * np.linalg.norm(straight[0])


def test_tensorboard_gets_every_curve_and_sheet(run: Path, options: Config) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = trackers.TRACKERS["tensorboard"](run, options, 0)
    tracker.note("nothing")
    for images in (100, 200):
        tracker.status(status(images))
    tracker.metrics(200, {"frechet": 4.5}, True)
    tracker.sheet(run / "samples" / "000000000200.png")
    tracker.event("rollback", "back")
    assert tracker.stop_asked() is False
    tracker.close()
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("measured/frechet")] == [(200, 4.5)]
    assert [e.step for e in events.Scalars("game/belief_in_real")] == [100, 200]
    assert [e.step for e in events.Images("samples")] == [200]


def test_wandb_gets_the_same(run: Path, options: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    session = types.SimpleNamespace(
        log=told.append,
        alert=lambda **what: told.append(what),
        finish=lambda: told.append({"finished": True}),
    )
    fake = types.SimpleNamespace(init=lambda **how: session, Image=lambda array: array.shape)
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    tracker = trackers.TRACKERS["wandb"](run, options, 0)
    tracker.status(status(100))
    tracker.metrics(100, {"frechet": 4.5}, True)
    tracker.sheet(run / "samples" / "000000000200.png")
    tracker.event("warning", "look")
    tracker.close()
    assert told[0]["game/generator_loss"] == 0.8
    assert told[1] == {"measured/frechet": 4.5, "images_seen": 100}
    assert told[2] == {"samples": (20, 80, 3), "images_seen": 200}
    assert told[3]["title"] == "warning"
    assert told[4] == {"finished": True}


def test_a_tracker_that_is_not_installed_says_what_to_install(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(OptionError, match=r"--log wandb needs wandb.*pip install wandb"):
        trackers.TRACKERS["wandb"](run, options, 0)


def test_several_watchers_are_told_alike_and_any_may_stop() -> None:
    first, second = Quiet(), Quiet()
    several = trackers.Several([first, second])
    several.note("a")
    several.status(status(100))
    several.metrics(100, {}, False)
    several.event("warning", "b")
    several.sheet(Path("c"))
    assert several.stop_asked() is False
    second.stopping = True
    assert several.stop_asked() is True


def test_a_line_says_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    screen = live.Screen("title")
    with screen:
        screen.metrics(400, {"frechet": 4.567, "label_accuracy": 0.987, "coverage": 0.5, "kernel": 1.0}, True)
        screen.status(status(400))
    err = capsys.readouterr().err
    assert "400 images  Frechet distance 4.567, label accuracy 98.7%, coverage 0.50, the best so far" in err
    assert checkpoint.name_of(400) == "000000000400"
