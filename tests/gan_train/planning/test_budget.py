from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_train.config import presets
from gan_train.config.options import Config
from gan_train.data.pictures import PictureSet
from gan_train.planning import budget, device, flops, processor, speeds


@pytest.fixture
def pictures() -> PictureSet:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    return PictureSet.from_arrays("noise", images, np.arange(40) % 2, ("a", "b"))


def wanted(**changes: object) -> Config:
    small = {"machine.device": "cpu", "machine.precision": "fp32", "network.latent_dim": 4}
    return presets.make("resnet", {**small, **changes})


@pytest.mark.parametrize(("minutes", "width"), [(0.01, 8), (2.0, 16), (6.0, 24), (1e4, 64)])
def test_a_longer_budget_picks_a_wider_network_and_says_why(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch, minutes: float, width: int
) -> None:
    def speed(options: Config, pictures: PictureSet) -> float:
        assert options.network.width is not None
        return 40_000 / options.network.width

    monkeypatch.setattr(budget, "images_per_second", speed)
    said: list[str] = []
    settled = budget.settle(wanted(**{"budget.minutes": minutes}), pictures, said.append)
    assert settled.network.width == width
    text, of_batch = said
    assert text.startswith(f"picked width {width}")
    assert "--width takes another" in text
    assert of_batch.startswith(
        "picked batch 32: of about 3,000 images"
        if width == 8
        else "picked batch 64: batch 128 sees 1.00 times the images, fewer than the 1.5 times"
    )
    assert settled.optimizer.batch_size == (32 if width == 8 else 64)


@pytest.mark.parametrize(
    ("full", "batch"),
    [(32.0, 64), (150.0, 128), (300.0, 256), (1e9, 512)],
)
def test_the_batch_is_doubled_while_the_machine_has_room(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch, full: float, batch: int
) -> None:
    def speed(options: Config, pictures: PictureSet) -> float:
        size = options.optimizer.batch_size
        assert size is not None
        return 1e5 * min(size, full)  # what a small step costs is its launching, up to a full machine

    monkeypatch.setattr(budget, "images_per_second", speed)
    said: list[str] = []
    open_batch = wanted(**{"budget.minutes": 1.0, "network.width": 5})
    settled = budget.settle(open_batch, pictures, said.append)
    assert (settled.network.width, settled.optimizer.batch_size) == (5, batch)
    assert [text.startswith(f"picked batch {batch}: batch ") for text in said] == [True]
    by_hand = wanted(**{"budget.minutes": 1.0, "network.width": 5, "optimizer.batch_size": 100})
    assert budget.settle(by_hand, pictures, said.append).optimizer.batch_size == 100
    assert len(said) == 1


def test_where_a_step_takes_long_no_larger_one_is_tried(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(options: Config, pictures: PictureSet) -> float:
        assert options.optimizer.batch_size == budget.BATCH
        return 20.0

    monkeypatch.setattr(budget, "images_per_second", slow)
    said: list[str] = []
    open_batch = wanted(**{"budget.minutes": 100.0, "network.width": 5})
    assert budget.settle(open_batch, pictures, said.append).optimizer.batch_size == budget.BATCH
    assert said == ["picked batch 64: a step takes 3.2 s, which larger ones would not speed up"]


def test_what_is_asked_for_and_a_budget_of_images_are_left_alone(pictures: PictureSet) -> None:
    said: list[str] = []
    asked = wanted(**{"budget.minutes": 1.0, "network.width": 5, "optimizer.batch_size": 7})
    assert budget.settle(asked, pictures, said.append).network.width == 5
    by_images = budget.settle(wanted(**{"budget.images": 100}), pictures, said.append)
    assert (by_images.network.width, by_images.optimizer.batch_size) == (16, 64)
    assert not said
    other = presets.make("cgan", {"budget.minutes": 1.0, "machine.device": "cpu"})
    assert budget.settle(other, pictures, said.append).network.width == 128


def test_the_speed_is_measured_and_changes_nothing_outside(pictures: PictureSet) -> None:
    settled = budget.settle(wanted(**{"budget.images": 100, "network.width": 2}), pictures)
    before = torch.get_rng_state()
    assert budget.images_per_second(settled, pictures) > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_costs_are_those_of_a_network_counted_by_hand(pictures: PictureSet) -> None:
    changes = {"budget.images": 100, "network.family": "mlp", "network.width": 4, "optimizer.batch_size": 8}
    plain = {"condition.generator": "none", "condition.discriminator": "none"}
    settled = budget.settle(wanted(**changes, **plain), pictures)
    told = flops.count(settled, pictures)
    layers = [(4, 8), (8, 16), (16, 32), (32, 256)]
    assert told.parameters["generator"] == sum(i * o + o for i, o in layers)
    assert told.drawing_flops == 2 * sum(i * o for i, o in layers)
    assert told.training_flops > 3 * told.drawing_flops
    dearer = budget.settle(wanted(**changes, **plain, **{"loss.penalty_interval": 1}), pictures)
    assert flops.count(dearer, pictures).training_flops > told.training_flops
    # A batch that fills the memory of some machines is counted without being drawn.
    larger = budget.settle(wanted(**{**changes, **plain, "optimizer.batch_size": 65536}), pictures)
    assert flops.count(larger, pictures) == dataclasses.replace(
        told, training_flops=pytest.approx(told.training_flops)
    )


def test_a_step_that_takes_long_is_measured_once(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = budget.settle(wanted(**{"budget.images": 100, "network.width": 2}), pictures)
    taken: list[object] = []
    monkeypatch.setattr(device, "take_step", lambda *arguments: taken.append(arguments))
    assert device.seconds_per_step(settled, pictures, torch.device("cpu")) > 0
    assert len(taken) > 2
    taken.clear()
    monkeypatch.setattr(device, "_TIMED_SECONDS", 0.0)
    assert device.seconds_per_step(settled, pictures, torch.device("cpu")) > 0
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("fpu avx512f avx512_bf16", "bf16"), ("amx_bf16 amx_tile", "bf16"), ("fpu avx2 bf16ish", "fp32")],
)
def test_the_processor_and_no_clock_decides_on_the_precision(
    pictures: PictureSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, precision: str
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"model name\t: Some Processor 9000\nflags\t\t: {flags}\n\nmodel name\t: other\n")
    monkeypatch.setattr(processor, "_CPU_INFO", told)
    monkeypatch.setattr(device, "take_step", None)  # nothing is tried out
    processor._read_cpu_info.cache_clear()
    said: list[str] = []
    asked = wanted(**{"budget.images": 100, "machine.precision": "auto"})
    settled = budget.settle(asked, pictures, said.append)
    described = device.describe()
    processor._read_cpu_info.cache_clear()
    assert settled.machine.precision == precision
    assert settled.machine.threads == torch.get_num_threads()
    assert said[0].startswith(f"picked {precision}, {settled.machine.threads} CPU threads: this processor")
    assert described["processor"] == "Some Processor 9000"


def test_speeds_are_measured_once_and_kept(pictures: PictureSet, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([4000.0, 3000.0, 100.0, 4100.0, *[1.0] * 20])
    monkeypatch.setattr(budget, "images_per_second", lambda options, pictures: next(rates))
    said: list[list[str]] = []
    picked = []
    for _ in range(2):
        said.append([])
        settled = budget.settle(wanted(**{"budget.minutes": 1.0}), pictures, said[-1].append)
        picked.append((settled.network.width, settled.optimizer.batch_size))
    assert picked[0] == picked[1]
    assert said[1][:-1] == said[0]
    assert "speeds are those measured here before" in said[1][-1]
    kept = sorted(speeds.directory().iterdir())
    for path, damage in zip(kept, [b"", b"[]", b'{"images_per_second": NaN}'], strict=False):
        path.write_bytes(damage)  # counts as nothing
    said.append([])
    budget.settle(wanted(**{"budget.minutes": 1.0}), pictures, said[-1].append)
    assert said[-1] != said[0]
