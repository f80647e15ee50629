from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_infer.errors import OptionError, TrainingError
from gan_train import tasks
from gan_train.config import presets
from gan_train.config.options import OptimizerOptions, replace, write
from gan_train.config.settled import Settled, read
from gan_train.data import batches
from gan_train.data.batches import Batches
from gan_train.data.columns import CLASS
from gan_train.data.pictures import PictureSet
from gan_train.metrics import feature_networks
from gan_train.objectives import augment
from gan_train.planning import budget
from gan_train.planning.device import pick_precision, set_up
from gan_train.reports import html
from gan_train.reports.status import Status
from gan_train.runs import checkpoint
from gan_train.tasks import Task, state
from gan_train.tasks.generate import FIGURES, Generate
from gan_train.training import loop
from gan_train.training.recorder import Recorder


class Watcher:
    """Remembers what a run says; asks it to stop after a number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.left = stop_after
        self.notes: list[str] = []
        self.statuses: list[Status] = []
        self.sheets: list[Path] = []
        self.measured: list[tuple[int, bool]] = []
        self.events: list[tuple[str, str]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def sheet(self, path: Path) -> None:
        self.sheets.append(path)

    def metrics(self, images_seen: int, values: Mapping[str, float], best: bool) -> None:
        self.measured.append((images_seen, best))

    def event(self, kind: str, text: str) -> None:
        self.events.append((kind, text))

    def stop_asked(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    return PictureSet.from_arrays("noise", images, np.arange(40) % 3, ("a", "b", "c"))


def settled(pictures: PictureSet, preset: str = "resnet", **changes: Any) -> Settled:
    small = {
        "network.width": 2,
        "network.latent_dim": 4,
        "optimizer.batch_size": 8,
        "budget.images": 240,
        "machine.precision": "fp32",
        "machine.device": "cpu",
        "reports": 3,
        "evaluation.samples": 0,
    }
    return budget.settle(presets.make(preset, {**small, **changes}), pictures)


def run_whole(options: Settled, pictures: PictureSet, run: Path) -> Watcher:
    write(options, run / checkpoint.CONFIG)
    watcher = Watcher()
    assert loop.train(options, pictures, run, watcher) is True
    return watcher


def test_a_run_writes_the_folder_of_the_contract(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    watcher = run_whole(options, pictures, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best",
        "checkpoints",
        "config.json",
        "events.jsonl",
        "last",
        "log.jsonl",
        "metrics.jsonl",
        "report.html",
        "samples",
        "times.jsonl",
        "walk.webp",
    ]
    assert read(tmp_path / "config.json") == options
    assert [path.name for path in watcher.sheets] == [
        "000000000080.png",
        "000000000160.png",
        "000000000240.png",
    ]
    with Image.open(watcher.sheets[0]) as image:
        factor = 4  # 16 pixels brought to 64
        assert image.size == ((8 * 18 + 2) * factor, (3 * 18 + 2) * factor)
    log = html.read_log(tmp_path / "log.jsonl")
    assert [line["images_seen"] for line in log] == [80, 160, 240]
    times = html.read_log(tmp_path / "times.jsonl")
    fields = {field.name for field in dataclasses.fields(Status)} - {"figures"}
    assert {*log[0], *times[0]} == fields | {figure.name for figure in FIGURES}
    assert {*log[0]} & {*times[0]} == {"images_seen"}
    assert [line["images_seen"] for line in times] == [80, 160, 240]
    assert watcher.statuses[-1].progress == 1.0
    assert watcher.statuses[-1].seconds_left == 0.0
    report = (tmp_path / "report.html").read_text()
    assert report.count('alt="samples after') == 3


@pytest.mark.parametrize(
    ("preset", "bf16"),
    [(name, False) for name in presets.PRESETS] + [(name, True) for name in ("resnet", "sngan", "dcgan")],
)
def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(
    pictures: PictureSet, tmp_path: Path, preset: str, bf16: bool
) -> None:
    images = 120 * presets.make(preset, {}).optimizer.discriminator_steps
    precision = "bf16" if bf16 else "fp32"
    options = settled(pictures, preset, **{"machine.precision": precision, "budget.images": images})
    run_whole(options, pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    write(options, parts / checkpoint.CONFIG)
    for steps in (1, 3, 4):
        assert loop.train(options, pictures, parts, Watcher(stop_after=steps)) is False
    last = Watcher()
    assert loop.train(options, pictures, parts, last) is True
    assert "resuming" in last.notes[0]
    whole, _ = checkpoint.load_newest(tmp_path / "whole")
    resumed, _ = checkpoint.load_newest(parts)
    assert whole is not None
    assert resumed is not None
    assert set(whole.tensors) == set(resumed.tensors)
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name]), name
    kinds = {name.split(".")[0] for name in whole.tensors}
    assert kinds == {
        "generator",
        "discriminator",
        "average",
        "generator_optimizer",
        "discriminator_optimizer",
        "augment",
    }
    assert timeless(tmp_path / "whole") == timeless(parts)


def timeless(run: Path) -> dict[str, Any]:
    """Return all that a run wrote which does not depend on how fast it was, byte for byte."""
    untimely = (checkpoint.TIMES, checkpoint.REPORT)  # say when and how fast
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in untimely
    }


def test_what_is_measured_is_kept_and_best_is_by_it(pictures: PictureSet, tmp_path: Path) -> None:
    plain = pictures.without("class")
    measured = {"evaluation.samples": 30, "evaluation.network": "random-convolutions"}
    options = settled(plain, **measured, **{"optimizer.learning_rate": 0.02})
    watcher = run_whole(options, plain, tmp_path / "whole")
    lines = html.read_log(tmp_path / "whole" / checkpoint.METRICS)
    assert [line["images_seen"] for line in lines] == [80, 160, 240]
    distances = [line["values"]["frechet"] for line in lines]
    best = lines[int(np.argmin(distances))]["images_seen"]
    assert (tmp_path / "whole" / "best").read_text() == f"{best:012d}\n"
    assert watcher.measured == [
        (line["images_seen"], line["values"]["frechet"] == min(distances[: index + 1]))
        for index, line in enumerate(lines)
    ]
    assert lines[0]["protocol"]["network"] == "random-convolutions"
    assert "baseline" not in lines[0]  # 8 pictures are held out: they do not compare with 30 samples
    kept = checkpoint.load_named(tmp_path / "whole", "best")
    assert kept.facts["metrics"]["values"]["frechet"] == min(distances)
    assert (tmp_path / "whole" / checkpoint.NEIGHBOURS).exists()
    parts = tmp_path / "parts"
    write(options, parts / checkpoint.CONFIG)
    assert loop.train(options, plain, parts, Watcher(stop_after=17)) is False
    assert "Nearest real pictures" in (parts / checkpoint.REPORT).read_text()
    last = Watcher()
    assert loop.train(options, plain, parts, last) is True
    assert last.notes[0].endswith(f"best so far: Frechet distance {distances[0]:.4g}, at 80 images")
    assert timeless(tmp_path / "whole") == timeless(parts)


def test_real_pictures_are_measured_beside_samples_where_there_are_as_many(
    pictures: PictureSet, tmp_path: Path
) -> None:
    plain = pictures.without("class")
    run_whole(settled(plain, **{"evaluation.samples": 8, "evaluation.network": "pixels"}), plain, tmp_path)
    lines = html.read_log(tmp_path / checkpoint.METRICS)
    assert lines[0]["baseline"] == lines[-1]["baseline"]
    assert lines[-1]["baseline"]["frechet"] > 0
    assert "(real " in (tmp_path / checkpoint.REPORT).read_text()


def test_a_run_that_goes_on_is_measured_by_the_network_that_it_began_with(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = pictures.without("class")
    options = settled(plain, **{"evaluation.samples": 30})
    write(options, tmp_path / checkpoint.CONFIG)
    assert loop.train(options, plain, tmp_path, Watcher(stop_after=13)) is False
    monkeypatch.setattr(feature_networks, "suggest", lambda pictures, device: ("pixels", "another machine"))
    assert loop.train(options, plain, tmp_path, Watcher()) is True
    lines = html.read_log(tmp_path / checkpoint.METRICS)
    assert [line["protocol"]["network"] for line in lines] == ["random-convolutions"] * 3


def test_another_seed_gives_other_weights(pictures: PictureSet, tmp_path: Path) -> None:
    finals = []
    for seed in (0, 0, 1):
        run = tmp_path / f"run{len(finals)}"
        run_whole(settled(pictures, seed=seed), pictures, run)
        newest, _ = checkpoint.load_newest(run)
        assert newest is not None
        finals.append(newest.tensors["average.linear.weight"])
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])


def test_a_complete_run_is_left_as_it_is(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert loop.train(options, pictures, tmp_path, Watcher()) is True
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_of_which_no_checkpoint_is_whole_is_left_as_it_is(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(OptionError, match=r"has 3 checkpoints and none is whole .* give another --out"):
        loop.train(options, pictures, tmp_path, Watcher())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_was_saved_between_reports_goes_and_nothing_else_with_it(
    pictures: PictureSet, tmp_path: Path
) -> None:
    options = settled(pictures, reports=6)
    write(options, tmp_path / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path, Watcher(stop_after=23)) is False
    assert checkpoint.interims(tmp_path) == [checkpoint.names(tmp_path)[-1]] == ["000000000184"]
    assert loop.train(options, pictures, tmp_path, Watcher()) is True
    assert [int(name) for name in checkpoint.names(tmp_path)] == [160, 200, 240]


def test_a_kill_before_old_checkpoints_are_dropped_is_made_good(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settled(pictures, reports=6)
    run_whole(options, pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    write(options, parts / checkpoint.CONFIG)
    keep = checkpoint.keep

    def killed(run: Path, wanted: Any) -> None:
        if checkpoint.names(run)[-1] == "000000000240":
            raise KeyboardInterrupt
        keep(run, wanted)

    monkeypatch.setattr(checkpoint, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train(options, pictures, parts, Watcher())
    monkeypatch.undo()
    (parts / "samples" / "000000000248.png").write_bytes(b"of a report that was never finished")
    assert loop.train(options, pictures, parts, Watcher()) is True
    assert timeless(tmp_path / "whole") == timeless(parts)
    assert "after 240 images" in (parts / "report.html").read_text()


def test_a_log_that_cannot_be_written_is_one_clear_line(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    write(options, tmp_path / checkpoint.CONFIG)

    class Filling(Watcher):
        def stop_asked(self) -> bool:
            with contextlib.suppress(OSError):
                (tmp_path / checkpoint.LOG).unlink()
                (tmp_path / checkpoint.LOG).symlink_to("/dev/full")
            return False

    with pytest.raises(OptionError, match=r"cannot write .*log.jsonl: No space left on device; make room"):
        loop.train(options, pictures, tmp_path, Filling())


def test_a_damaged_checkpoint_is_told_and_passed_over(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path)
    whole, _ = checkpoint.load_newest(tmp_path)
    (tmp_path / "checkpoints" / "000000000240.safetensors").write_bytes(b"damaged")
    watcher = Watcher()
    assert loop.train(options, pictures, tmp_path, watcher) is True
    assert "000000000240.safetensors is damaged" in watcher.notes[0]
    again, _ = checkpoint.load_newest(tmp_path)
    assert whole is not None
    assert again is not None
    assert all(torch.equal(whole.tensors[name], again.tensors[name]) for name in whole.tensors)
    assert [line["images_seen"] for line in html.read_log(tmp_path / "log.jsonl")] == [80, 160, 240]


def test_what_a_kill_in_the_middle_of_a_write_leaves_harms_nothing(
    pictures: PictureSet, tmp_path: Path
) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    write(options, parts / checkpoint.CONFIG)
    assert loop.train(options, pictures, parts, Watcher(stop_after=13)) is False
    torn = [
        parts / "samples" / ".000000000160.0123456789ab.part.png",
        parts / "checkpoints" / ".000000000160.0123456789ab.part.safetensors",
        parts / ".report.0123456789ab.part.html",
    ]
    for path in torn:
        path.write_bytes(b"half of i")
    assert loop.train(options, pictures, parts, Watcher()) is True
    assert not [path for path in torn if path.exists()]
    assert timeless(tmp_path / "whole") == timeless(parts)


def test_a_kill_between_the_last_checkpoint_and_its_pointers_is_made_good(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    write(options, parts / checkpoint.CONFIG)
    point = checkpoint.point

    def killed(run: Path, last: str, best: str) -> None:
        if last == "000000000240":
            raise KeyboardInterrupt
        point(run, last, best)

    monkeypatch.setattr(checkpoint, "point", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train(options, pictures, parts, Watcher())
    assert (parts / "last").read_text() == "000000000160\n"
    monkeypatch.undo()
    assert loop.train(options, pictures, parts, Watcher()) is True
    assert timeless(tmp_path / "whole") == timeless(parts)
    assert "after 240 images" in (parts / "report.html").read_text()


def test_a_budget_of_minutes_ends_in_time(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures, **{"budget.images": None, "budget.minutes": 0.02})
    watcher = run_whole(options, pictures, tmp_path)
    newest, _ = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert newest.facts["seconds"] >= 1.2
    assert newest.facts["images_seen"] > 0
    assert watcher.statuses[-1].progress >= 1.0


def test_reports_that_take_long_leave_most_of_the_minutes_to_training(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, reported = Recorder.report, list[tuple[float, float]]()

    def slow(*arguments: Any, **named: Any) -> Any:
        start = time.monotonic()
        alarm = real(*arguments, **named)
        time.sleep(0.2)
        reported.append((start, time.monotonic()))
        return alarm

    monkeypatch.setattr(Recorder, "report", slow)
    options = settled(pictures, **{"budget.images": None, "budget.minutes": 0.05, "reports": 20})
    run_whole(options, pictures, tmp_path)
    assert len(reported) > 1
    for (start, end), (following, _) in itertools.pairwise(reported[:-1]):  # the last comes at the end
        assert following - end > 3.5 * (end - start)


def test_reports_come_when_they_are_due_where_images_are_counted(pictures: PictureSet) -> None:
    options = settled(pictures)
    assert loop.find_next_report(0.34, options, 0.34) == loop.find_next_report(0.34, options) == 2
    assert loop.find_next_report(0.34, options, 0.36) == 2
    assert loop.find_next_report(0.34, options, 0.5) == pytest.approx(3 * (0.5 + 4 * 0.16))


Poison = Callable[[int, Any, Any], Any]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[Poison], None]:
    """Return a function that has every step's outcome go through another: (calls, players, outcome)."""

    def poison(change: Poison) -> None:
        calls = 0

        class Poisoned(Generate):
            def phases(self, players: Any) -> Any:
                *first, last = super().phases(players)

                def run(batch: Any, controls: Any, costly: bool) -> Any:
                    nonlocal calls
                    calls += 1
                    return change(calls, players, last.run(batch, controls, costly))

                return (*first, dataclasses.replace(last, run=run))

        monkeypatch.setitem(tasks.TASKS, "generate", Poisoned)

    return poison


def test_a_damaged_good_checkpoint_is_passed_over_when_a_run_goes_back(
    pictures: PictureSet, tmp_path: Path, poisoned: Callable[[Poison], None]
) -> None:
    def once(calls: int, players: Any, outcome: Any) -> Any:
        if calls == 25:
            (tmp_path / "checkpoints" / "000000000160.safetensors").write_bytes(b"damaged")
            return {**outcome, "generator_loss": torch.tensor(math.nan)}
        return outcome

    poisoned(once)
    watcher = run_whole(settled(pictures), pictures, tmp_path)
    assert "000000000160.safetensors is damaged" in watcher.notes[-1]
    assert "going back to 80 images" in watcher.events[0][1]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_loss_that_is_not_finite_sends_the_run_back_once_and_it_ends_well(
    pictures: PictureSet, tmp_path: Path, poisoned: Callable[[Poison], None], player: str
) -> None:
    def once(calls: int, players: Any, outcome: Any) -> Any:
        broken = {f"{player}_loss": torch.tensor(math.nan)}
        return {**outcome, **broken} if calls == 15 else outcome

    poisoned(once)
    watcher = run_whole(settled(pictures), pictures, tmp_path)
    ((kind, text),) = watcher.events
    assert kind == "rollback"
    assert text.startswith(f"the {player} loss became nan; going back to 80 images with half the learning")
    log = html.read_log(tmp_path / "log.jsonl")
    assert [line["images_seen"] for line in log] == [80, 160, 240]
    usual = loop.learning_rate(settled(pictures).optimizer, 152 / 240)
    assert log[1]["learning_rate"] == pytest.approx(usual / 2)
    assert [line["kind"] for line in html.read_log(tmp_path / "events.jsonl")] == ["rollback"]
    newest, _ = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert newest.facts["rollbacks"] == 1


def test_a_run_that_keeps_going_wrong_stops_and_says_what_to_try(
    pictures: PictureSet, tmp_path: Path, poisoned: Callable[[Poison], None]
) -> None:
    def always(calls: int, players: Any, outcome: Any) -> Any:
        with torch.no_grad():
            if calls > 10:
                next(players.averages["average"].parameters())[0, 0] = math.inf
        return outcome

    poisoned(always)
    options = settled(pictures, rollbacks=2)
    write(options, tmp_path / checkpoint.CONFIG)
    watcher = Watcher()
    said = (
        r"a weight of the average is no longer finite; rollbacks so far: 2, as many as are allowed; "
        r".*lower --learning-rate"
    )
    with pytest.raises(TrainingError, match=said):
        loop.train(options, pictures, tmp_path, watcher)
    assert [kind for kind, _ in watcher.events] == ["rollback", "rollback"]
    assert checkpoint.names(tmp_path) == ["000000000080"]  # what was good is kept
    kept, _ = checkpoint.load_newest(tmp_path)
    assert kept is not None
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.tensors.values())


def test_a_run_that_goes_wrong_before_its_first_checkpoint_begins_again(
    pictures: PictureSet, tmp_path: Path, poisoned: Callable[[Poison], None]
) -> None:
    def early(calls: int, players: Any, outcome: Any) -> Any:
        with torch.no_grad():
            if calls == 4:
                for parameter in players.networks["discriminator"].parameters():
                    parameter.fill_(math.nan)
        return outcome

    poisoned(early)
    watcher = run_whole(settled(pictures), pictures, tmp_path)
    assert "going back to 0 images" in watcher.events[0][1]
    assert checkpoint.names(tmp_path)[-1] == "000000000240"


def test_a_discriminator_that_wins_is_warned_of_then_turned_back(
    pictures: PictureSet, tmp_path: Path, poisoned: Callable[[Poison], None]
) -> None:
    def sure(calls: int, players: Any, outcome: Any) -> Any:
        if 10 < calls <= 30:
            beliefs = {"belief_in_real": torch.tensor(0.999), "belief_in_fake": torch.tensor(0.001)}
            return {**outcome, **beliefs}
        return outcome

    poisoned(sure)
    # A critic may be sure: Wasserstein's loss teaches the better for it.
    critic = settled(pictures, **{"loss.name": "wasserstein"})
    assert run_whole(critic, pictures, tmp_path / "critic").events == []
    poisoned(sure)
    watcher = run_whole(settled(pictures), pictures, tmp_path)
    assert [kind for kind, _ in watcher.events] == ["warning", "rollback"]
    assert "the discriminator has won" in watcher.events[1][1]
    assert "going back to 80 images" in watcher.events[1][1]
    assert [line["images_seen"] for line in html.read_log(tmp_path / "log.jsonl")] == [80, 160, 240]


@pytest.mark.parametrize("stop", [12, 23, 28])
def test_a_run_that_was_rolled_back_resumes_to_the_same_end(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    class Diverging(Generate):
        def phases(self, players: Any) -> Any:
            *first, last = super().phases(players)

            def run(batch: Any, controls: Any, costly: bool) -> Any:
                # Wrong at one place of the run, and only at the full learning rate: not by counting calls.
                outcome = last.run(batch, controls, costly)
                if abs(controls.learning_rate - rates[25]) < 1e-9:
                    return {**outcome, "generator_loss": torch.tensor(math.inf)}
                return outcome

            return (*first, dataclasses.replace(last, run=run))

    monkeypatch.setitem(tasks.TASKS, "generate", Diverging)
    options = settled(pictures)
    rates = [loop.learning_rate(options.optimizer, step * 8 / 240) for step in range(30)]
    run_whole(options, pictures, tmp_path / "whole")
    write(options, tmp_path / "parts" / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path / "parts", Watcher(stop_after=stop)) is False
    assert loop.train(options, pictures, tmp_path / "parts", Watcher()) is True
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")
    assert "rollback" in (tmp_path / "parts" / "events.jsonl").read_text()


def test_a_checkpoint_of_other_networks_is_refused(pictures: PictureSet, tmp_path: Path) -> None:
    run_whole(settled(pictures), pictures, tmp_path)
    with pytest.raises(OptionError, match="does not fit these networks"):
        loop.train(settled(pictures, **{"network.width": 3}), pictures, tmp_path, Watcher())


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    optimizer = OptimizerOptions(learning_rate=1.0, final_learning_rate=0.1, warmup=0.1)
    assert loop.learning_rate(optimizer, 0.05) == pytest.approx(0.5, abs=0.01)
    assert loop.learning_rate(optimizer, 0.5) == pytest.approx(0.55)
    assert loop.learning_rate(optimizer, 1.0) == pytest.approx(0.1)
    assert loop.learning_rate(optimizer, 0.0) > 0
    steady = dataclasses.replace(optimizer, warmup=0.0, final_learning_rate=1.0)
    assert loop.learning_rate(steady, 0.0) == loop.learning_rate(steady, 0.7) == 1.0


def batches_of(pictures: PictureSet, options: Settled) -> Batches:
    return task_of(pictures, options).batches(torch.device("cpu"))


def task_of(pictures: PictureSet, options: Settled) -> Task:
    return tasks.make(options, pictures.columns)


def test_batches_show_every_picture_once_an_epoch_in_a_new_order(pictures: PictureSet) -> None:
    numbered = pictures.with_values(
        "image",
        np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 16, 16, 1)).copy(),
    )
    options = settled(numbered, seed=3, **{"network.latent_distribution": "uniform"})
    drawn = batches_of(numbered, options)
    epochs = [
        [int(v) for start in range(0, 40, 8) for v in drawn.at(epoch * 40 + start)["real"][:, 0, 0, 0]]
        for epoch in (0, 1)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    assert epochs[0] != epochs[1]
    crossing = drawn.at(36)["real"][:, 0, 0, 0].tolist()  # four of one epoch, four of the next
    assert crossing == epochs[0][36:] + epochs[1][:4]
    batch = drawn.at(16)
    assert torch.equal(batch.conditions["real"][CLASS], batch["real"][:, 0, 0, 0].long() % 3)
    assert ((batch.conditions["mismatch"][CLASS] - batch.conditions["real"][CLASS]) % 3 != 0).all()
    assert 0 <= batch.conditions["mismatch"][CLASS].min() <= batch.conditions["mismatch"][CLASS].max() < 3
    assert batch["latents"].shape == (2, 8, 4)
    assert batch["latents"].abs().max() <= 1
    assert not torch.equal(batch["latents"][0], batch["latents"][1])
    assert torch.equal(batch["latents"], drawn.at(16)["latents"])
    assert not torch.equal(batch["latents"], drawn.at(16, rollbacks=1)["latents"])
    assert batch["draws"].shape == (3, 8, augment.DRAWS)
    assert batch["mix"].shape == (8,)


def test_flips_mirror_about_half_of_the_pictures_where_asked(pictures: PictureSet) -> None:
    plain = batches_of(pictures, settled(pictures))
    flipping = batches_of(pictures, settled(pictures, **{"augment.flip": True}))
    mirrored = 0
    for seen in range(0, 400, 8):
        real, flipped = plain.at(seen)["real"], flipping.at(seen)["real"]
        for one, other in zip(real, flipped, strict=True):
            assert torch.equal(one, other) or torch.equal(one.flip(2), other)
            mirrored += not torch.equal(one, other)
    assert 120 < mirrored < 280


def test_pictures_on_disk_give_the_same_batches_as_in_memory(pictures: PictureSet, tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", pictures.images)
    mapped = pictures.with_values("image", np.load(tmp_path / "pictures.npy", mmap_mode="r"))
    options = settled(pictures)
    for seen in (0, 8, 36, 400):
        one = batches_of(pictures, options).at(seen)
        other = batches_of(mapped, options).at(seen)
        assert torch.equal(one["real"], other["real"])
        assert other["real"].stride() == one["real"].stride()


def test_mapped_pictures_come_to_a_device_in_parts(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "pictures.npy", pictures.images)
    monkeypatch.setattr(batches, "BROUGHT_AT_ONCE", 7)
    brought = batches.bring(np.load(tmp_path / "pictures.npy", mmap_mode="r"), torch.device("cpu"))
    whole = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    assert torch.equal(brought, whole)
    assert brought.stride() == whole.stride()


def test_repeatable_kernels_are_asked_for_when_a_run_goes_on_too(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settled(pictures)
    repeatable = replace(options, {"machine.deterministic": True})
    monkeypatch.setattr(os, "environ", {})
    set_up(options)
    assert not os.environ
    set_up(repeatable)
    assert os.environ == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def test_a_gpu_that_emulates_bfloat16_trains_in_float32(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = presets.make("resnet", {"machine.precision": "auto"})
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert pick_precision(options, torch.device("cuda")) == "fp32"


def test_settling_measures_a_precision_and_leaves_torchs_randomness_alone(pictures: PictureSet) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    options = settled(pictures, **{"machine.precision": "auto"})
    assert options.machine.precision in ("fp32", "bf16")
    assert (options.data.height, options.data.channels) == (16, 1)
    assert options.data.sha256 == pictures.sha256()
    assert torch.equal(torch.get_rng_state(), before)
    assert json.loads(options.to_json())["machine"]["device"] == "cpu"


def test_restoring_keeps_the_memory_format(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures)
    run_whole(options, pictures, tmp_path)
    newest, _ = checkpoint.load_newest(tmp_path)
    assert newest is not None
    players = task_of(pictures, options).make_players(torch.device("cpu"))
    state.restore(players, newest.tensors)
    for parameter in players.networks["generator"].parameters():
        if parameter.dim() == 4:
            moments = players.optimizers["generator"].state[parameter]
            assert moments["exp_avg"].stride() == parameter.stride()
