from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_infer.errors import OptionError
from gan_infer.outputs import image as images
from gan_train.config.options import Config
from gan_train.reports import trackers
from gan_train.reports.status import Quiet, Status
from gan_train.tasks.generate import FIGURES
from tests.report_runs import status


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


def test_transparent_sheets_are_laid_on_white(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    session = types.SimpleNamespace(define_metric=lambda name, step_metric: None, log=lambda values: None)
    fake = types.SimpleNamespace(init=lambda **how: session, Image=shown.append)
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    images.save(np.zeros((4, 4, 4), np.uint8), run / "samples" / "000000000500.png")
    trackers.TRACKERS["wandb"](run, options, 0, FIGURES).sheet(run / "samples" / "000000000500.png")
    assert (shown[0] == 255).all()


def test_a_tracker_that_is_not_installed_says_what_to_install(
    run: Path, options: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(OptionError, match=r"--log wandb needs wandb.*pip install wandb"):
        trackers.TRACKERS["wandb"](run, options, 0, FIGURES)


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
