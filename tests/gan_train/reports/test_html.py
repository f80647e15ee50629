from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_train.config.options import Config, replace
from gan_train.reports import html
from gan_train.tasks.generate import FIGURES
from tests.report_runs import TWO_GAMES, parse_page


def test_the_page_holds_everything_in_one_file_and_escapes_names(run: Path, options: Config) -> None:
    text = html.render(run, options, FIGURES)
    page = parse_page(text)
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
    page = parse_page(html.render(run, options, FIGURES))
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
    labels = [str(attributes["aria-label"]) for tag, attributes in parse_page(text).elements if tag == "svg"]
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
    page = parse_page(html.render(tmp_path, options, FIGURES))
    assert not [tag for tag, _ in page.elements if tag in ("svg", "img", "input")]
    assert "latent_dim" in page.text
    (tmp_path / "samples").mkdir()
    Image.new("L", (80, 20)).save(tmp_path / "samples" / "000000000005.png")
    page = parse_page(html.render(tmp_path, options, FIGURES))
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
    page = parse_page(html.render(run, options, FIGURES))
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
    sheets = [attributes for tag, attributes in parse_page(text).elements if "data-frame" in attributes]
    assert sheets[-1]["alt"] == "samples after 1,025 images"
    together = sum(len(str(one["src"])) for one in sheets)
    assert 0.4 * html.MOST_CHARACTERS < together <= html.MOST_CHARACTERS


def test_a_new_report_reads_the_new_sheet_alone(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    html.render(run, options, FIGURES)
    Image.new("L", (656, 176), 77).save(run / "samples" / "000000000500.png")
    opened, open_ = [], Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path.name) or open_(path))
    html.render(run, options, FIGURES)
    assert [name for name in opened if name[0].isdigit()] == ["000000000500.png"]


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
    page = parse_page(html.render(run, options, TWO_GAMES))
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
    page = parse_page(text)
    assert not page.open
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert [tag for tag, _ in page.elements].count("img") == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not set("\u200b\x1b\u202e\udcff") & set(text)
    for shown in (*hostile[:2], "d\\u200bog\\x1b[2J\\u202ecat", "\\udcff{{ 7 }}"):
        assert page.text.count(shown) >= 2  # in its row, and of what happened
    assert "<script>run\\udcff" in page.text
    assert text.encode()
