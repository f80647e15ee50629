from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import sys
import types
from collections.abc import Mapping, Sequence
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
from gan_infer.latent import interpolation, seeds
from gan_infer.outputs import image as images
from gan_train.config import presets
from gan_train.config.options import Config, replace
from gan_train.networks import pixels
from gan_train.reports import charts, embed, html, live, sheet, trackers, views, walk
from gan_train.reports.charts import Chart, Line
from gan_train.reports.status import Quiet, Status
from gan_train.runs import checkpoint
from gan_train.runs.sampler import Sampler
from gan_train.tasks.figures import LOSS, SCORE, Figure
from gan_train.tasks.generate import FIGURES
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
    names = (figure.name for figure in FIGURES)
    figures = dict(zip(names, (0.8, 1.3, 0.6, 0.4, 0.0), strict=True))
    return Status(images, images / 400, images / 100, 99.0, 1.0, 1e-3, figures)


def logged(status: Status) -> str:
    """Return the line of the log that a run writes of a status, of before: with its times."""
    return json.dumps({**vars(status), **status.figures, "figures": None})


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
        lines.append(logged(status(seen)))
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


def test_the_page_holds_everything_in_one_file_and_escapes_names(run: Path, options: Config) -> None:
    text = html.render(run, options, FIGURES)
    page = _parsed(text)
    assert not page.open
    for told in ("a run <of> mine: resnet on digits", "the loss <became> nan", "<cat>dog", "1,234"):
        assert told in page.text
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    sheets = [attributes for attributes in pictures if "data-frame" in attributes]
    assert [sheet["alt"] for sheet in sheets] == [f"samples after {n} images" for n in (100, 200, 300, 400)]
    assert ["hidden" in sheet for sheet in sheets] == [True, True, True, False]
    assert len(pictures) == 4 + 2
    assert all(str(image["src"]).startswith("data:image/webp") and image["alt"] for image in pictures)
    assert "src=" not in text.replace('src="data:', "")
    assert "http" not in text


def test_sheets_and_walk_have_sliders_with_a_caption_for_each_place(run: Path, options: Config) -> None:
    page = _parsed(html.render(run, options, FIGURES))
    sliders = [attributes for tag, attributes in page.elements if tag == "input"]
    assert [(s["min"], s["max"], s["value"]) for s in sliders] == [("0", "3", "3"), ("0", "2", "0")]
    assert all(slider["aria-label"] and slider["aria-valuetext"] for slider in sliders)
    players = [attributes for _, attributes in page.elements if attributes.get("class") == "player"]
    sheets, steps = (json.loads(str(player["data-captions"])) for player in players)
    assert sheets[0] == "after 100 images"
    assert steps == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert len([tag for tag, _ in page.elements if tag == "button"]) == 2


def test_the_page_shows_curves_events_the_best_and_what_is_not_usual(run: Path, options: Config) -> None:
    text = html.render(run, options, FIGURES)
    labels = [str(attributes["aria-label"]) for tag, attributes in _parsed(text).elements if tag == "svg"]
    assert "Frechet distance (lower is better) over images seen: samples from 9 to 3.25" in labels
    assert any(label.startswith("Precision and recall over images seen") for label in labels)
    assert any("discriminator finds" in label for label in labels)
    assert not any("augmentation" in label.lower() or "copies" in label.lower() for label in labels)
    assert text.count('<circle class="best') == 4  # of Frechet distance, precision, recall and variety
    assert text.count('<g class="mark">') == len(labels)
    assert "<title>rollback: the loss &lt;became&gt; nan</title>" in text
    assert "<b>3</b><span>Frechet distance then</span>" in text
    assert "<b>300</b><span>images seen at the best</span>" in text
    assert "<th scope=row>Frechet distance</th><td>3.250</td><td>3.000</td><td>lower</td>" in text
    assert "<tr class=set><th scope=row>width</th><td>24</td></tr>" in text
    assert "<tr class=set><th scope=row>reports</th><td>7 <small>(default 20)</small></td></tr>" in text
    assert "<tr><th scope=row>family</th><td>resnet</td></tr>" in text
    assert "<th scope=row>network</th><td>classifier</td>" in text


def test_the_best_is_what_the_run_points_at_and_real_pictures_give_a_level(
    run: Path, options: Config
) -> None:
    (run / "best").write_text("000000000200\n")
    lines = html.read_log(run / "metrics.jsonl")
    lines[-1]["baseline"] = {"frechet": 0.5, "recall": 0.8}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = html.render(run, options, FIGURES)
    assert "<b>200</b><span>images seen at the best</span>" in text
    assert text.count('<line class="level') == 2
    assert "(real 0.8)" in text
    assert "Dotted: held-out real pictures" in text
    assert "<td>3.250</td><td>4.500</td><td>0.500</td><td>lower</td>" in text


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path, options: Config) -> None:
    page = _parsed(html.render(tmp_path, options, FIGURES))
    assert not [tag for tag, _ in page.elements if tag in ("svg", "img", "input")]
    assert "latent_dim" in page.text
    (tmp_path / "samples").mkdir()
    Image.new("L", (80, 20)).save(tmp_path / "samples" / "000000000005.png")
    page = _parsed(html.render(tmp_path, options, FIGURES))
    assert [tag for tag, _ in page.elements if tag in ("svg", "img", "input")] == ["img"]
    assert "after 5 images" in page.text


def test_rows_are_named_where_the_sheet_is_laid_out_so(run: Path, options: Config) -> None:
    text = html.render(run, options, FIGURES)
    assert '<ol class="rows" aria-label="classes of the rows, from the top"><li title="&lt;cat&gt;">' in text
    assert '<ol class="columns" aria-label="classes of the columns, from the left">' in text
    Image.new("L", (80, 80)).save(run / "samples" / "000000000400.png")
    assert '<ol class="rows"' not in html.render(run, options, FIGURES)
    plain = {"condition.generator": "none", "condition.discriminator": "none"}
    assert '<ol class="columns"' not in html.render(run, replace(options, plain), FIGURES)


def test_many_classes_are_counted_not_listed(run: Path, options: Config) -> None:
    facts = {"data": {"class_names": [f"name{index}" for index in range(100)]}}
    (run / "checkpoints" / "000000000400.json").write_text(json.dumps(facts))
    Image.new("L", (656, 16 * 80 + 16)).save(run / "samples" / "000000000400.png")
    page = _parsed(html.render(run, options, FIGURES))
    assert "name19, and 80 more" in page.text
    assert "The first 16 of 100 classes." in page.text


def test_a_long_run_gives_a_page_of_bounded_size(run: Path, options: Config) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1000, 3), dtype=np.uint8)
    body = io.BytesIO()
    Image.fromarray(noise).save(body, "PNG")
    for images_seen in range(1000, 1026):
        (run / "samples" / f"{images_seen:012d}.png").write_bytes(body.getvalue())
    text = html.render(run, options, FIGURES)
    assert len(text) < 8_000_000
    sheets = [attributes for tag, attributes in _parsed(text).elements if "data-frame" in attributes]
    assert sheets[-1]["alt"] == "samples after 1,025 images"
    together = sum(len(str(one["src"])) for one in sheets)
    assert 0.4 * html._MOST_CHARACTERS < together <= html._MOST_CHARACTERS


def test_a_new_report_reads_the_new_sheet_alone(run: Path, options: Config) -> None:
    html.render(run, options, FIGURES)
    before = embed._picture.cache_info().misses
    Image.new("L", (656, 176), 77).save(run / "samples" / "000000000500.png")
    html.render(run, options, FIGURES)
    assert embed._picture.cache_info().misses == before + 1


def test_a_small_picture_is_kept_exactly_and_without_its_enlargement(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    images.save(images.enlarge(pixels, 4), tmp_path / "a.png")
    shown = embed.picture(tmp_path / "a.png", 4)
    assert shown.size == (80, 120)
    with Image.open(io.BytesIO(base64.b64decode(shown.uri.partition(",")[2]))) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_film_is_the_frames_one_below_the_other(channels: int, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 9, channels), dtype=np.uint8)
    frames[..., 3:] = 90 + frames[..., 3:] // 4
    (tmp_path / "walk.webp").write_bytes(walk.animation(frames.repeat(2, 1).repeat(2, 2)))
    film = embed.film(tmp_path / "walk.webp", 2)
    assert (film.size, film.frames) == ((18, 12), 5)
    with Image.open(io.BytesIO(base64.b64decode(film.uri.partition(",")[2]))) as image:
        assert image.mode == ("RGBA" if channels == 4 else "RGB")
        strip = np.asarray(image)
    expected = frames.reshape(30, 9, channels)
    assert np.abs(strip.astype(int) - expected).max() <= (2 if channels == 4 else 0)  # blended frames


@given(st.integers(1, 400), st.integers(1, 30))
def test_what_is_left_out_of_many_stays_out(count: int, most: int) -> None:
    chosen, later = embed.thin(range(count), most), embed.thin(range(count + 1), most)
    assert len(chosen) <= most + 1
    assert len(chosen) >= min(count, most / 2)
    assert chosen[-1] == count - 1
    assert chosen == sorted(set(chosen))
    assert set(later) <= {*chosen, count}


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
    assert flat.count(">images seen</text>") == 1
    assert "log scale" in flat


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_says_how_to_read_a_value_off_it(logarithmic: bool) -> None:
    points = [(100.0 * x, 0.01 * 1.5**x) for x in range(20)]
    drawn = charts.draw(Chart("a", [Line("b", points)], logarithmic=logarithmic))
    scale = drawn.split('data-scale="')[1].split('"')[0]
    left, right, bottom, top, end, low, high, bent = map(float, scale.split())
    places = [
        tuple(map(float, place.split(","))) for place in drawn.split('points="')[1].split('"')[0].split()
    ]
    for (x, y), (across, up) in zip(points, places, strict=True):
        assert end * (across - left) / (right - left) == pytest.approx(x, abs=end / 1000)
        value = low + (high - low) * (bottom - up) / (bottom - top)
        assert (10**value if bent else value) == pytest.approx(y, rel=1e-3, abs=1e-4 * points[-1][1])


@pytest.mark.parametrize(("low", "high"), [(1.1, 16), (3, 4), (0.02, 900), (1e-3, 0.5), (2, 60)])
def test_a_logarithmic_chart_has_a_few_heights_inside(low: float, high: float) -> None:
    drawn = charts.draw(Chart("a", [Line("b", [(0, high), (9, low)])], logarithmic=True))
    assert 3 <= drawn.count('class="grid"') <= 6


def test_a_logarithmic_axis_over_a_wide_range_ends_at_round_numbers() -> None:
    drawn = charts.draw(Chart("a", [Line("b", [(0, 253.0), (9, 51.5)])], logarithmic=True))
    low, high = map(float, drawn.split('data-scale="')[1].split('"')[0].split()[5:7])
    assert (10**low, 10**high) == pytest.approx((50, 300), rel=1e-4)
    assert ">50</text>" in drawn


def test_marks_are_numbered_where_they_are_few_and_stay_on_the_chart() -> None:
    line = Line("a", [(0, 1.0), (10, 3.0)])
    marks = [charts.Mark(x, "so") for x in (1, 5, 50)]
    drawn = charts.draw(Chart("t", [line], marks=marks))
    assert drawn.count('<g class="mark">') == 2
    assert ">2</text></g>" in drawn
    assert "</text></g>" not in charts.draw(Chart("t", [line], marks=marks * 4))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 50))
def test_thinned_curves_keep_their_ends_and_their_peaks(values: list[float], most: int) -> None:
    points = [(float(x), y) for x, y in enumerate(values)]
    kept = charts.thin(points, most)
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert {points[0], points[-1]} <= set(kept) <= set(points)
    assert min(y for _, y in kept) == min(values)
    assert max(y for _, y in kept) == max(values)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    high = low + span
    found = charts.ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1e-6)
    assert len(found) <= 6
    assert all(low - slack <= tick <= high + slack for tick in found)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_a_free_axis_ends_at_round_numbers_just_outside(low: float, span: float) -> None:
    high = low + span
    found = charts.ticks_around(low, high)
    step = found[1] - found[0]
    slack = 1e-6 * max(abs(low), abs(high), step)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert low - found[0] < step + slack
    assert found[-1] - high < step + slack
    assert 2 <= len(found) <= 6


def test_numbers_are_written_short() -> None:
    given_ = (0, 2e-4, 1.5e-3, 0.01234, 4.567, 999.7, 1240, 12_345, 3_100_000)
    written = ["0", "2e-4", "1.5e-3", "0.0123", "4.57", "1,000", "1,240", "12.3k", "3.1M"]
    assert [charts.number(value) for value in given_] == written


@given(st.integers(8, 256), st.integers(8, 256), st.integers(0, 200))
def test_sheets_and_walks_stay_of_a_sane_size(height: int, width: int, classes: int) -> None:
    rows, columns = sheet.layout(height, width, classes)
    area = height * width * sheet.factor(height, width) ** 2
    assert 1 <= columns <= 8
    assert 1 <= rows <= min(classes or 8, 16)
    assert rows * columns * area <= 2**21
    assert walk.count_walks(height, width, classes) * area <= 2**17
    wanted = (min(classes, 16) or 8, 8)
    if wanted[0] * wanted[1] * area <= 2**21:
        assert (rows, columns) == wanted


def test_a_sheet_of_large_pictures_shows_fewer_of_the_same() -> None:
    kind = Kind("mlp", 160, 200, 3, classes=20, latent_dim=4, condition="one_hot")
    network = make_network(kind)
    drawn = sheet.draw(Sampler(network, 4, "normal", 20))
    assert drawn is not None
    rows, columns = sheet.layout(160, 200, 20)
    assert drawn.shape == (rows * 162 + 2, columns * 202 + 2, 3)
    latent = torch.from_numpy(seeds.latents([2], 4, "normal"))
    alone = pixels.draw(network, latent, torch.tensor([5]))
    there = drawn[5 * 162 + 2 : 6 * 162, 2 * 202 + 2 : 3 * 202]
    assert np.abs(there.astype(int) - alone[0]).max() <= 1


@pytest.mark.parametrize("kind", [CONDITIONAL, UNCONDITIONAL, Kind(channels=4, latent_dim=4)], ids=str)
def test_a_walk_begins_at_its_seeds_moves_smoothly_and_closes(kind: Kind) -> None:
    network = make_network(kind)
    frames = walk.draw(Sampler(network, kind.latent_dim, "normal", kind.classes))
    assert frames is not None
    assert frames.shape[0] == 32
    assert frames.shape[3] == kind.channels
    steps = np.abs(frames.astype(int) - np.roll(frames, -1, axis=0)).mean((1, 2, 3))
    far = np.abs(frames[0].astype(int) - frames[16]).mean()
    assert steps.max() < 0.7 * far  # the last step, back to the first, as well
    with Image.open(io.BytesIO(walk.animation(frames))) as image:
        assert image.n_frames == 32  # type: ignore[attr-defined]


class _Listening(Sampler):
    """Keeps the latents that it is to draw, and draws nothing but black."""

    def draw_latents(self, latents: Any, given: Any = None) -> Any:
        self.generator.heard = latents
        return np.zeros((len(latents), 8, 8, 1), np.uint8)


def walked(dim: int, distribution: str) -> Any:
    """Return the latents that a walk of one picture per frame goes through."""
    listening = _Listening(torch.nn.Identity(), dim, distribution, 1)
    frames = walk.draw(listening)
    assert frames is not None
    assert len(frames) == len(listening.generator.heard)
    return listening.generator.heard


def test_a_walk_of_normal_latents_stays_near_their_sphere() -> None:
    lengths = np.linalg.norm(walked(256, "normal"), axis=1)
    assert lengths.min() > 0.85 * 16
    straight = walked(256, "uniform")
    assert np.abs(straight).max() <= 1.0
    assert np.linalg.norm(straight, axis=1).min() < 0.85 * np.linalg.norm(straight[0])


def test_a_walk_meets_its_seeds_and_goes_the_way_of_interpolation() -> None:
    path, corners = walked(16, "normal"), seeds.latents(range(4), 16, "normal")
    assert np.array_equal(path[::8], corners)
    assert np.array_equal(path, interpolation.loop(corners, 32))


class _Speaker:
    """Draws sounds, which nothing shows yet: float32 [n, samples]."""

    distribution, classes = "normal", 2

    def latents(self, seeds: Any) -> torch.Tensor:
        return torch.zeros(len(seeds), 3)

    def draw(self, seeds: Any, given: Any = None) -> Any:
        return np.full((len(seeds), 64), np.asarray(seeds)[:, None] / 100, np.float32)

    def draw_latents(self, latents: Any, given: Any = None) -> Any:
        return np.full((len(latents), 64), 0.5, np.float32)


def test_outputs_of_a_kind_without_a_view_have_no_sheet_and_no_walk() -> None:
    assert sheet.draw(_Speaker(), "audio") is None
    assert walk.draw(_Speaker(), "audio") is None


def test_a_view_of_a_kind_is_one_line_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def show_loudness(sounds: Any) -> Any:
        level = np.abs(sounds).max(1) * 255
        return np.broadcast_to(level.astype(np.uint8)[:, None, None, None], (len(sounds), 8, 8, 1))

    monkeypatch.setitem(views.VIEWS, "audio", show_loudness)
    drawn = sheet.draw(_Speaker(), "audio")
    assert drawn is not None
    assert {int(c / 100 * 255 + 1e-4) for c in range(8)} < set(drawn.ravel())
    frames = walk.draw(_Speaker(), "audio")
    assert frames is not None
    assert frames.max() == 127


def test_what_draws_seeds_alone_has_a_sheet_and_no_walk() -> None:
    class Plain:
        classes = 0

        def draw(self, seeds: Any, given: Any = None) -> Any:
            return np.full((len(seeds), 8, 8, 1), 9, np.uint8)

    assert sheet.draw(Plain()) is not None
    assert walk.draw(Plain()) is None


def test_tensorboard_gets_every_curve_and_sheet(run: Path, options: Config) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = trackers.TRACKERS["tensorboard"](run, options, 0, FIGURES)
    tracker.note("nothing")
    for seen in (100, 200):
        tracker.status(status(seen))
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
    assert [e.step for e in events.Tensors("rollback/text_summary")] == [200]


def test_tensorboard_goes_on_after_the_checkpoint_that_a_run_resumes_from(run: Path, options: Config) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, distances in ((0, {100: 9.0, 200: 8.0, 300: 7.0}), (200, {300: 6.0, 400: 5.0})):
        tracker = trackers.TRACKERS["tensorboard"](run, options, start, FIGURES)
        for images_seen, distance in distances.items():
            tracker.metrics(images_seen, {"frechet": distance}, True)
        tracker.close()
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    found = [(e.step, e.value) for e in events.Scalars("measured/frechet")]
    assert found == [(100, 9.0), (200, 8.0), (300, 6.0), (400, 5.0)]


def test_tensorboard_forgets_what_a_rollback_undid_but_not_the_rollback(run: Path, options: Config) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = trackers.TRACKERS["tensorboard"](run, options, 0, FIGURES)
    for seen in (100, 200, 300):
        tracker.status(status(seen))
    tracker.event("rollback", "back")
    for seen in (200, 300, 400):
        tracker.status(status(seen))
    tracker.close()
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("game/generator_loss")] == [100, 200, 300, 400]
    assert [e.step for e in events.Tensors("rollback/text_summary")] == [200]


def test_wandb_gets_the_same(run: Path, options: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    session = types.SimpleNamespace(
        define_metric=lambda name, step_metric: None,
        log=told.append,
        alert=lambda **what: told.append(what),
        finish=lambda: told.append({"finished": True}),
    )
    begun: list[dict[str, Any]] = []
    fake = types.SimpleNamespace(
        init=lambda **how: begun.append(how) or session,
        Image=lambda array: array.shape,
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    tracker = trackers.TRACKERS["wandb"](run, options, 0, FIGURES)
    tracker.status(status(100))
    tracker.metrics(100, {"frechet": 4.5}, True)
    tracker.sheet(run / "samples" / "000000000200.png")
    tracker.event("warning", "look")
    tracker.close()
    assert told[0]["game/generator_loss"] == 0.8
    assert told[1] == {"measured/frechet": 4.5, "images_seen": 100}
    assert told[2] == {"samples": (176, 656, 3), "images_seen": 200}
    assert told[3]["title"] == "warning"
    assert told[4] == {"finished": True}
    assert begun[0]["config"]["network"]["width"] == 24
    assert begun[0]["id"].startswith("a-run-of-mine-")
    assert begun[0]["resume"] == "allow"


def test_a_tracker_that_cannot_start_says_what_to_do(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**how: Any) -> None:
        raise RuntimeError("No API key\nconfigured")

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=refuse))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"No API key configured; .*WANDB_MODE=offline"):
        trackers.TRACKERS["wandb"](run, options, 0, FIGURES)


def test_transparent_sheets_are_laid_on_white(tmp_path: Path) -> None:
    images.save(np.zeros((4, 4, 4), np.uint8), tmp_path / "a.png")
    assert (trackers._pixels(tmp_path / "a.png") == 255).all()


def test_a_tracker_that_is_not_installed_says_what_to_install(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(OptionError, match=r"--log wandb needs wandb.*pip install wandb"):
        trackers.TRACKERS["wandb"](run, options, 0, FIGURES)


class _Listener(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    def status(self, status: Status) -> None:
        self.told.append(status)

    def sheet(self, path: Path) -> None:
        self.told.append(path)

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        self.told.append((images_seen, values, best))

    def event(self, kind: str, text: str) -> None:
        self.told.append((kind, text))


def test_several_watchers_are_told_alike_and_any_may_stop() -> None:
    listeners = [_Listener(), _Listener()]
    several = trackers.Several(listeners)
    several.note("a")
    several.status(status(100))
    several.metrics(100, {"frechet": 2.0}, False)
    several.event("warning", "b")
    several.sheet(Path("c"))
    expected = ["a", status(100), (100, {"frechet": 2.0}, False), ("warning", "b"), Path("c")]
    assert [listener.told for listener in listeners] == [expected, expected]
    assert several.stop_asked() is False
    listeners[1].stopping = True
    assert several.stop_asked() is True


TWO_GAMES = (
    Figure("loss_of_voices", "voices", LOSS, "speaker"),
    Figure("likes_music", "recordings", SCORE, "hearer_of_music", of_real=True),
    Figure("likes_voices", "made voices", SCORE, "hearer_of_voices", of_real=False),
)


def show(figures: Sequence[Figure], values: Mapping[str, float], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the panel that a screen draws on a terminal, its lines and gaps as single spaces."""
    screen = live.Screen("title", figures)
    with screen:
        screen.metrics(200, {"frechet": 3.0, "coverage": 0.6}, True)
        screen.metrics(400, {"frechet": 4.567, "label_accuracy": 0.987}, False)
        screen.sheet(Path("[b]newest.png"))
        screen.status(dataclasses.replace(status(400), figures=values))
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^ -~\n]", "", capsys.readouterr().err).split())


def test_the_panel_shows_the_figures_the_newest_scores_and_the_best(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "110")
    at_start = dict(status(400).figures)
    text = show(FIGURES, {**at_start, "augment_strength": 0.37}, capsys)
    assert "generator loss 0.800" in text
    assert "discriminator's score of real pictures 0.60" in text
    assert "measured Frechet distance 4.567, label accuracy 98.7%" in text
    assert "best Frechet distance 3, coverage 0.60, at 200 images" in text
    assert "augmentation 0.37" in text
    assert "[b]newest.png" in text
    for strength in (0.0, 1.0):
        assert "augmentation" not in show(FIGURES, {**at_start, "augment_strength": strength}, capsys)
    other = show(TWO_GAMES, {"loss_of_voices": 2.5, "likes_music": 0.75, "likes_voices": 0.125}, capsys)
    assert "voices loss 2.500 hearer of music's score of recordings 0.75" in other
    assert "hearer of voices's score of made voices 0.12" in other


def test_a_line_names_the_figures_of_any_task() -> None:
    values = {"loss_of_voices": 2.5, "likes_music": 0.75, "likes_voices": 0.25}
    one = live.format_line(dataclasses.replace(status(100), figures=values), TWO_GAMES)
    assert one.split("  ")[-4:] == [
        "loss: voices 2.500",
        "score by hearer of music: recordings 0.75",
        "score by hearer of voices: made voices 0.25",
        "0:01 left",
    ]
    assert "loss: generator 0.800, discriminator 1.300  score: real pictures 0.60" in live.format_line(
        status(100), FIGURES
    )


def test_the_page_draws_the_figures_of_any_task(run: Path, options: Config) -> None:
    lines = [
        {
            "images_seen": seen,
            "progress": 0.5,
            "loss_of_voices": seen,
            "likes_music": 0.5,
            "likes_voices": 0.1,
        }
        for seen in (10, 20)
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = _parsed(html.render(run, options, TWO_GAMES))
    names = [str(attributes["aria-label"]) for tag, attributes in page.elements if tag == "svg"]
    assert "Losses over images seen: voices from 10 to 20" in names
    for network, figure in (
        ("music", "recordings from 0.5 to 0.5"),
        ("voices", "made voices from 0.1 to 0.1"),
    ):
        title = f"How real the hearer of {network} finds them (0.5: it cannot tell)"
        assert f"{title} over images seen: {figure}" in names
    assert not any("generator" in name or "augmentation" in name for name in names)


def test_a_share_is_drawn_where_it_is_not_always_at_an_end(run: Path, options: Config) -> None:
    lines = html.read_log(run / "log.jsonl")
    for strength, drawn in ((0.0, False), (1.0, False), (0.4, True)):
        lines[-1]["augment_strength"] = strength
        (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        text = html.render(run, options, FIGURES)
        assert ('aria-label="Strength of augmentation over images seen' in text) is drawn


def test_a_line_says_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    screen = live.Screen("title", FIGURES)
    with screen:
        screen.metrics(400, {"frechet": 4.567, "label_accuracy": 0.987, "coverage": 0.5, "kernel": 1.0}, True)
        screen.status(status(400))
    err = capsys.readouterr().err
    assert "400 images  Frechet distance 4.567, coverage 0.50, label accuracy 98.7%, the best so far" in err
    assert checkpoint.name_of(400) == "000000000400"


@pytest.mark.parametrize(("height", "width", "classes"), [(8192, 8, 0), (8, 8192, 5000), (4096, 4, 100)])
def test_sample_sheets_of_long_pictures_stay_within_what_viewers_open(
    height: int, width: int, classes: int
) -> None:
    rows, columns = sheet.layout(height, width, classes)
    assert rows * (height + images.GAP) * sheet.factor(height, width) <= images.VIEWABLE_SIDE
    assert columns * (width + images.GAP) * sheet.factor(height, width) <= images.VIEWABLE_SIDE


def test_names_in_a_report_steer_nothing(tmp_path: Path, options: Config) -> None:
    hostile = [
        "</style><script>alert(1)</script>",
        '"><img src=x onerror=y>',
        "d\u200bog\x1b[2J\u202ecat",
        "\udcff{{ 7 }}",
    ]
    run = tmp_path / "<script>run\udcff"
    for folder in ("samples", "checkpoints"):
        (run / folder).mkdir(parents=True)
    facts = {"data": {"name": hostile[0], "class_names": hostile}, "machine": {hostile[1]: hostile[2]}}
    (run / "checkpoints" / "000000000400.json").write_text(json.dumps(facts))
    Image.new("L", (656, 4 * 80 + 16)).save(run / "samples" / "000000000400.png")
    events = [{"images_seen": 1, "kind": hostile[0], "text": text} for text in hostile]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    measured = {"images_seen": 1, "values": {"frechet": 2.0}, "protocol": {hostile[0]: hostile[1]}}
    lines = [json.dumps({**measured, "images_seen": seen}) for seen in (1, 2)]
    (run / "metrics.jsonl").write_text("\n".join(lines))
    text = html.render(run, replace(options, {"data.labels": hostile[0]}), FIGURES)
    page = _parsed(text)
    assert not page.open
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert [tag for tag, _ in page.elements].count("img") == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not set("\u200b\x1b\u202e\udcff") & set(text)
    for shown in (*hostile[:2], "d\\u200bog\\x1b[2J\\u202ecat", "\\udcff{{ 7 }}"):
        assert page.text.count(shown) >= 2  # in its row, and of what happened
    assert "<script>run\\udcff" in page.text
    assert text.encode()


def test_texts_on_the_screen_steer_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    live.Screen("[bold]\u202erun", FIGURES).event("data", "[red]a\u2028b\x1b[2J")
    assert capsys.readouterr().err == "data: [red]a\\u2028b\\x1b[2J\n"
