from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_infer.errors import OptionError, TrainingError
from gan_train import checkpoint, config, loop, machine, state
from gan_train.batches import Batches
from gan_train.config import Config, OptimizerOptions
from gan_train.data.pictures import PictureSet
from gan_train.reports import html
from gan_train.reports.status import Status


class Watcher:
    """Remembers what a run says; asks it to stop after a number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.left = stop_after
        self.notes: list[str] = []
        self.statuses: list[Status] = []
        self.sheets: list[Path] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def sheet(self, path: Path) -> None:
        self.sheets.append(path)

    def stop_asked(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    return PictureSet("noise", images, np.arange(40) % 3, ("a", "b", "c"))


def settled(pictures: PictureSet, preset: str = "resnet", **changes: Any) -> Config:
    small = {
        "network.width": 2,
        "network.latent_dim": 4,
        "optimizer.batch_size": 8,
        "budget.images": 240,
        "machine.precision": "fp32",
        "machine.device": "cpu",
        "reports": 3,
    }
    return machine.settle(config.make(preset, {**small, **changes}), pictures)


def run_whole(options: Config, pictures: PictureSet, run: Path) -> Watcher:
    config.write(options, run / checkpoint.CONFIG)
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
        "last",
        "log.jsonl",
        "report.html",
        "samples",
    ]
    assert config.read(tmp_path / "config.json") == options
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
    assert set(log[0]) == {field.name for field in dataclasses.fields(Status)}
    assert watcher.statuses[-1].progress == 1.0
    assert watcher.statuses[-1].seconds_left == 0.0
    report = (tmp_path / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 4  # the newest large, and all three in a row
    assert report.count("<svg") == 2
    assert "http" not in report.replace("http-equiv", "")


@pytest.mark.parametrize("preset", ["resnet", "relativistic", "dcgan"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(
    pictures: PictureSet, tmp_path: Path, preset: str, bf16: bool
) -> None:
    options = settled(pictures, preset, **{"machine.precision": "bf16" if bf16 else "fp32"})
    run_whole(options, pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    config.write(options, parts / checkpoint.CONFIG)
    for steps in (1, 6, 11):
        assert loop.train(options, pictures, parts, Watcher(stop_after=steps)) is False
    last = Watcher()
    assert loop.train(options, pictures, parts, last) is True
    assert "resuming" in last.notes[0]
    whole, _ = checkpoint.load_newest(tmp_path / "whole")
    resumed, _ = checkpoint.load_newest(parts)
    assert whole is not None
    assert resumed is not None
    assert whole.facts["images_seen"] == resumed.facts["images_seen"] == 240
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
    }


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


def test_a_budget_of_minutes_ends_in_time(pictures: PictureSet, tmp_path: Path) -> None:
    options = settled(pictures, **{"budget.images": None, "budget.minutes": 0.02})
    watcher = run_whole(options, pictures, tmp_path)
    newest, _ = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert newest.facts["seconds"] >= 1.2
    assert newest.facts["images_seen"] > 0
    assert watcher.statuses[-1].progress >= 1.0


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_losses_that_are_not_finite_stop_the_run_and_keep_what_was_good(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, player: str
) -> None:
    options = settled(pictures)
    config.write(options, tmp_path / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path, Watcher(stop_after=12)) is False
    before = {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    real, calls = loop.step, 0

    def poisoned(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        outcome = real(*arguments, **options)
        if calls == 3:
            return dataclasses.replace(outcome, **{f"{player}_loss": torch.tensor(math.nan)})
        return outcome

    monkeypatch.setattr(loop, "step", poisoned)
    with pytest.raises(TrainingError, match=rf"the {player} loss became nan at step 15;"):
        loop.train(options, pictures, tmp_path, Watcher())
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()} == before


def test_weights_that_are_not_finite_are_never_saved(
    pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settled(pictures)
    config.write(options, tmp_path / checkpoint.CONFIG)
    real = loop.step

    def poisoned(players: Any, *arguments: Any, **options: Any) -> Any:
        outcome = real(players, *arguments, **options)
        with torch.no_grad():
            next(players.average.parameters())[0, 0] = math.inf
        return outcome

    monkeypatch.setattr(loop, "step", poisoned)
    with pytest.raises(TrainingError, match="a weight of the average is no longer finite at step 10"):
        loop.train(options, pictures, tmp_path, Watcher())
    assert checkpoint.names(tmp_path) == []


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


def test_batches_show_every_picture_once_an_epoch_in_a_new_order(pictures: PictureSet) -> None:
    numbered = dataclasses.replace(
        pictures,
        images=np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 16, 16, 1)).copy(),
    )
    batches = Batches(numbered, 8, 4, "uniform", 3, torch.device("cpu"))
    epochs = [
        [int(v) for start in range(0, 40, 8) for v in batches.at(epoch * 40 + start).real[:, 0, 0, 0]]
        for epoch in (0, 1)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    assert epochs[0] != epochs[1]
    crossing = batches.at(36).real[:, 0, 0, 0].tolist()  # four of one epoch, four of the next
    assert crossing == epochs[0][36:] + epochs[1][:4]
    batch = batches.at(16)
    assert batch.condition.label is not None
    assert torch.equal(batch.condition.label, batch.real[:, 0, 0, 0].long() % 3)
    assert batch.latents.shape == (2, 8, 4)
    assert batch.latents.abs().max() <= 1
    assert not torch.equal(batch.latents[0], batch.latents[1])
    assert torch.equal(batch.latents, batches.at(16).latents)


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
    players = loop.make_players(options, machine.shape_of(pictures), torch.device("cpu"))
    state.restore(players, newest.tensors)
    for parameter in players.generator.parameters():
        if parameter.dim() == 4:
            moments = players.generator_optimizer.state[parameter]
            assert moments["exp_avg"].stride() == parameter.stride()
