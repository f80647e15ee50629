from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gan_train.reports import live
from gan_train.runs import checkpoint
from gan_train.tasks.figures import Figure
from gan_train.tasks.generate import FIGURES
from tests.report_runs import TWO_GAMES, status


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
    assert "score of real pictures 0.60" in text
    assert "measured Frechet distance 4.567, label accuracy 98.7%" in text
    assert "best Frechet distance 3, coverage 0.60, at 200 images" in text
    assert "augmentation 0.37" in text
    assert "[b]newest.png" in text
    for strength in (0.0, 1.0):
        assert "augmentation" not in show(FIGURES, {**at_start, "augment_strength": strength}, capsys)
    other = show(TWO_GAMES, {"loss_of_voices": 2.5, "likes_music": 0.75, "likes_voices": 0.125}, capsys)
    assert "voices loss 2.500 score of recordings by hearer of music 0.75" in other
    assert "score of made voices by hearer of voices 0.12" in other


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


def test_a_line_says_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    screen = live.Screen("title", FIGURES)
    with screen:
        screen.metrics(400, {"frechet": 4.567, "label_accuracy": 0.987, "coverage": 0.5, "kernel": 1.0}, True)
        screen.status(status(400))
    err = capsys.readouterr().err
    assert "400 images  Frechet distance 4.567, coverage 0.50, label accuracy 98.7%, the best so far" in err
    assert checkpoint.name_of(400) == "000000000400"


def test_texts_on_the_screen_steer_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    live.Screen("[bold]\u202erun", FIGURES).event("data", "[red]a\u2028b\x1b[2J")
    assert capsys.readouterr().err == "data: [red]a\\u2028b\\x1b[2J\n"
