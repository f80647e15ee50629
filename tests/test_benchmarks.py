"""What the benchmarks compute and print, on small and made-up inputs; nothing is trained for long."""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import budget, dcgan_speed, judge, lines, peers, presets, resume, stacked, training, watermark
from gan_infer.errors import DataError, OptionError
from gan_train import data
from gan_train.config import options as config
from gan_train.config import presets as all_presets
from gan_train.config.options import DataOptions
from gan_train.data import PictureSet
from gan_train.planning import budget as all_budget


def digits_like(count: int, seed: int = 0) -> tuple[judge.Pixels, judge.Labels]:
    """Pictures whose class is the place of a bright bar."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row, 2 * label + 3 : 2 * label + 5] = 255
    return images, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("bars")
    for split, count in (("train", 200), ("t10k", 100)):
        images, labels = digits_like(count, seed=count)
        sides = b"".join(side.to_bytes(4, "big") for side in images.shape)
        table = b"\0\0\x08\1" + count.to_bytes(4, "big") + labels.astype(np.uint8).tobytes()
        (place / f"{split}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(b"\0\0\x08\3" + sides + images.tobytes())
        )
        (place / f"{split}-labels-idx1-ubyte").write_bytes(table)
    return place


class BarJudge(judge.DigitClassifier):
    """Sees where the bar is; its features are the rows' means."""

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = pictures.float().mean(2)
        return rows, rows[:, 3:23].reshape(-1, 10, 2).mean(2)


@pytest.fixture(scope="module")
def scorer() -> judge.Scorer:
    reference, _ = judge.classify(BarJudge(), digits_like(200)[0])
    return judge.Scorer(BarJudge(), reference, 1.0, 10)


class TestJudge:
    def test_the_frechet_distance_of_gaussians_is_that_of_the_formula(self) -> None:
        rng = np.random.default_rng(0)
        one = rng.standard_normal((200_000, 3))
        other = rng.standard_normal((200_000, 3)) * [1, 2, 3] + [0.5, 0, 0]
        # |mean difference|^2 + the sum of (sigma - sigma')^2, where covariances commute.
        assert judge.frechet(one, other) == pytest.approx(0.25 + 1 + 4, rel=0.02)
        assert judge.frechet(one, one) == pytest.approx(0, abs=1e-6)

    def test_worse_pictures_lie_further_and_wrong_labels_are_counted(self, scorer: judge.Scorer) -> None:
        images, labels = digits_like(300, seed=5)
        noisy = np.minimum(images + np.random.default_rng(0).integers(0, 80, images.shape), 255)
        good = scorer.score(images, labels)
        assert good.accuracy == 1.0
        assert good.distance < scorer.score(noisy.astype(np.uint8)).distance
        assert scorer.score(images).accuracy is None
        wrong = np.where(np.arange(300) < 75, (labels + 1) % 10, labels)
        assert scorer.score(images, wrong).accuracy == 0.75
        assert dataclasses.replace(scorer, scale=2.0).score(images).distance == 2 * good.distance

    def test_a_judge_is_kept_and_sets_real_pictures_at_their_distance(self, folder: Path) -> None:
        first, real = judge.make_scorer(folder, folder / "judge.safetensors", epochs=1)
        assert real.distance == pytest.approx(0.35)
        half, real = judge.make_scorer(folder, folder / "judge.safetensors", real_distance=0.175)
        assert real.distance == pytest.approx(0.175)
        assert half.scale == pytest.approx(first.scale / 2)
        (folder / "other").write_bytes(b"no judge")
        with pytest.raises(OptionError, match="is no judge"):
            judge.make_scorer(folder, folder / "other")

    @pytest.mark.slow
    def test_a_judge_learns_to_name_digits(self) -> None:
        digits = data.load(DataOptions())
        assert digits.labels is not None
        order = np.random.default_rng(0).permutation(len(digits))
        images, labels = digits.images[order, ..., 0], digits.labels[order]
        judged = judge.train(images[:6000], labels[:6000], seed=0, epochs=2)
        assert (judge.classify(judged, images[6000:8000])[1] == labels[6000:8000]).mean() > 0.96

    def test_the_distance_of_real_pictures_goes_by_the_folder(self) -> None:
        assert judge.real_distance_of(Path("x/fashion-mnist")) == 0.13
        assert judge.real_distance_of(Path("x/mnist")) == 0.35

    def test_other_sizes_are_refused(self, tmp_path: Path) -> None:
        images = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (1, 2, 2)) + bytes(4)
        (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\1\0")
        with pytest.raises(DataError, match="the judge takes"):
            judge.read(tmp_path, "train")


class TestPeers:
    images = np.random.default_rng(0).integers(0, 256, (128, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(128) % 10

    @pytest.mark.parametrize(
        ("name", "side", "generator_size", "discriminator_size"),
        [
            # Counted by hand from the layers of the descriptions.
            ("cgan", 32, 1_757_412, 1_055_845),
            ("acgan", 32, 1_050_985, 103_243),
            ("acgan-mended", 32, 1_050_985, 103_243),
            ("dcgan", 64, 3_574_656, 2_763_520),
        ],
    )
    def test_a_step_changes_all_weights_and_samples_are_28_pixels(
        self, name: str, side: int, generator_size: int, discriminator_size: int
    ) -> None:
        run = peers.begin(name, self.images, self.labels, seed=0)
        players = {"g": run.peer.generator, "d": run.peer.discriminator}
        sizes = [sum(p.numel() for p in network.parameters()) for network in players.values()]
        assert sizes == [generator_size, discriminator_size]
        pictures, _ = next(run.batches)
        assert pictures.shape == (64, 1, side, side)
        before = {
            f"{which}.{key}": value.clone()
            for which, network in players.items()
            for key, value in network.named_parameters()
        }
        run.step()
        for which, network in players.items():
            for key, value in network.named_parameters():
                assert not torch.equal(value, before[f"{which}.{key}"]), key
        drawn = run.peer.sample(70, np.arange(70) % 10)
        assert drawn.shape == (70, 28, 28)
        assert drawn.dtype == np.uint8
        assert drawn.std() > 0

    def test_the_discriminator_learns_to_tell(self) -> None:
        run = peers.begin("cgan", np.full((64, 28, 28, 1), 255, np.uint8), self.labels[:64], seed=0)
        for _ in range(30):
            run.step()
        real, labels = next(run.batches)
        with torch.no_grad():
            on_real = run.peer.discriminator(real.float() / 127.5 - 1, labels).mean()
            on_fake = run.peer.discriminator(run.peer.generator(run.peer.draw(64), labels), labels).mean()
        assert on_real > on_fake

    def test_the_same_seed_trains_the_same_peer(self) -> None:
        drawn = []
        for seed in (0, 0, 1):
            run = peers.begin("cgan", self.images, self.labels, seed)
            run.step()
            drawn.append(run.peer.sample(8, np.arange(8)))
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])

    def test_every_picture_comes_once_an_epoch(self) -> None:
        images = torch.arange(130)
        given_out = peers.batches(images, images, seed=3)
        first = torch.cat([next(given_out)[0], next(given_out)[0]])
        assert len(set(first.tolist())) == 128
        second = torch.cat([next(given_out)[0], next(given_out)[0]])
        assert first.tolist() != second.tolist()

    def test_resizing_keeps_even_areas(self) -> None:
        for side in (32, 64):
            assert (peers.resize(np.full((2, 28, 28, 1), 100, np.uint8), side) == 100).all()

    def test_unknown_ones_are_refused(self) -> None:
        with pytest.raises(OptionError, match="'gan' is unknown"):
            peers.begin("gan", self.images, self.labels, 0)


class TestPresets:
    def test_every_published_form_is_one_that_settles(self) -> None:
        pictures = PictureSet.from_arrays(
            "noise", np.zeros((20, 28, 28, 1), np.uint8), np.arange(20) % 10, tuple("0123456789")
        )
        for subject in presets.subjects("ours,published"):
            preset, changes = presets.options_of(subject)
            small = {"network.width": 2, "machine.precision": "fp32", "budget.images": 1}
            options = training.settle(preset, {**changes, **small}, pictures)
            assert options.preset == preset
            assert options.reports == 1

    def test_every_preset_of_digits_has_a_published_form_that_differs(self) -> None:
        assert set(presets.PUBLISHED) == set(presets.subjects("ours"))
        for name in presets.PUBLISHED:
            ours, published = (
                all_presets.make(*presets.options_of(subject)) for subject in (name, f"{name} as published")
            )
            assert config.differences(ours, published), name
            if name in presets.SMALLER:
                assert ours.network == published.network, name

    def test_names_and_groups_are_taken_in_the_tables_order(self) -> None:
        assert presets.subjects("peer cgan,resnet") == ["resnet", "peer cgan"]
        assert presets.subjects("peers")[-1] == "peer dcgan"
        assert "cifar10" not in presets.subjects("ours")
        with pytest.raises(OptionError, match="'resent' is no subject"):
            presets.subjects("resent")

    def test_the_table_says_what_was_measured_and_why_not(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept = lines.Lines(tmp_path / "lines.jsonl")
        scorer = judge.Scorer(judge.DigitClassifier(), np.zeros((1, 128)), 1.0, 10)
        for subject, told in (
            ("resnet", (judge.Score(3.4567, 0.98765), "")),
            ("peer dcgan", (judge.Score(1234.5, None), "")),
            ("dcgan", (None, "the discriminator's loss became nan")),
        ):
            kept.add({"kind": "speed", "subject": subject, "images_per_second": 100.4, "precision": "fp32"})
            kept.add(presets.score_line(presets.Job(subject, 24_000, "fp32", 0, 1, scorer), 4.0, told))
        assert presets.markdown(lines.Lines(tmp_path / "lines.jsonl"), 4.0, 0).splitlines()[2:] == [
            "| resnet | 100 | 24,000 | 3.46 | 98.77 % |",
            "| dcgan | 100 | 24,000 | the discriminator's loss became nan | - |",
            "| peer dcgan | 100 | 24,000 | 1,234 | - |",
        ]
        assert len(capsys.readouterr().out.splitlines()) == 6

    def test_minutes_become_images(self) -> None:
        assert training.images_in(0.5, 12.25) == 368
        assert training.images_in(0.001, 1.0) == 1


class TestStacked:
    def test_triples_stand_in_the_channels_and_depend_on_the_seed(self) -> None:
        images = np.arange(50, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
        one, again, other = (stacked.stack(images, 40, seed).images for seed in (0, 0, 1))
        assert one.shape == (40, 28, 28, 3)
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)
        assert len(np.unique(one[:, 0, 0, 0])) > 15
        assert (one == one[:, :1, :1]).all()

    def test_modes_are_the_three_digits_in_a_row(self, scorer: judge.Scorer) -> None:
        images, labels = digits_like(30)
        triples = np.stack([images[[4, 0]], images[[7, 0]], images[[2, 9]]], -1)
        assert labels[[4, 7, 2, 9]].tolist() == [4, 7, 2, 9]
        assert stacked.modes(scorer.classifier, triples).tolist() == [472, 9]

    @pytest.mark.parametrize(
        ("found", "modes", "divergence"),
        [
            (np.arange(26_000) % 1000, 1000, 0.0),
            (np.full(100, 7), 1, np.log(1000)),
            (np.arange(5000) % 500, 500, np.log(2)),
        ],
    )
    def test_coverage_of_known_shares(self, found: judge.Labels, modes: int, divergence: float) -> None:
        told = stacked.coverage(found)
        assert told.modes == modes
        assert told.divergence == pytest.approx(divergence, abs=1e-12)

    def test_equal_shares_come_out_at_the_documented_floor(self) -> None:
        drawn = np.random.default_rng(0).integers(0, 1000, stacked.SAMPLES)
        assert stacked.coverage(drawn).divergence == pytest.approx(0.0192, abs=0.002)

    @given(st.lists(st.integers(0, 999), min_size=1, max_size=200))
    def test_the_divergence_is_never_negative_and_grows_as_modes_are_missed(self, found: list[int]) -> None:
        told = stacked.coverage(np.array(found))
        assert told.modes == len(set(found))
        assert np.log(1000 / told.modes) - 1e-9 <= told.divergence <= np.log(1000) + 1e-9


class TestBudget:
    def test_the_table_marks_the_pick(self, tmp_path: Path) -> None:
        kept = lines.Lines(tmp_path / "lines.jsonl")
        sizes = {(8, 64): 4.0, (16, 64): 2.0, (12, 64): 2.5, (8, 32): 5.0}
        kept.add({"kind": "pick", "minutes": 1.0, "width": 12, "batch_size": 64})
        for (width, batch), distance in sizes.items():
            if width != 12:
                kept.add({"kind": "fixed", "fixed": [width, batch]})
            kept.add(
                {"kind": "score", "minutes": 1.0, "width": width, "batch_size": batch, "seed": 0}
                | {"images": 100, "distance": distance, "label_accuracy": 0.9}
            )
        assert budget.markdown(kept).splitlines()[2:] == [
            "| 1 | 8 | 32 | 100 | 5 | 90.00 % | - |",
            "| 1 | 8 | 64 | 100 | 4 | 90.00 % | - |",
            "| 1 | **12** | **64** | 100 | 2.5 | 90.00 % | 1.25 |",
            "| 1 | 16 | 64 | 100 | 2 | 90.00 % | - |",
        ]

    def test_every_width_goes_with_every_batch_and_the_pick_leaves_both_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(all_budget, "images_per_second", lambda config, pictures: 1.0)
        arguments = argparse.Namespace(
            preset="resnet", set=["machine.precision=fp32"], seed=0, threads=1, widths=[2, 4], batches=[4, 8]
        )
        kept, pictures = (
            lines.Lines(tmp_path / "lines.jsonl"),
            PictureSet.from_arrays("noise", np.zeros((9, 8, 8, 1), np.uint8)),
        )
        sizes = [
            tuple(budget.size(each).values()) for each in budget.list_configs(arguments, kept, 1.0, pictures)
        ]
        assert sizes == [(2, 4), (2, 8), (4, 4), (4, 8), (all_budget.WIDTHS[0], all_budget.SMALL_BATCH)]
        assert [line["fixed"] for line in kept.all if line["kind"] == "fixed"] == [
            [2, 4],
            [2, 8],
            [4, 4],
            [4, 8],
        ]


class TestResume:
    def folder(self, place: Path, seconds: float, weight: bytes) -> Path:
        (place / "checkpoints").mkdir(parents=True)
        (place / "checkpoints" / "000000000064.safetensors").write_bytes(weight)
        facts = {"images_seen": 64, "seconds": seconds, "history": [{"seconds_left": seconds, "values": 1}]}
        (place / "checkpoints" / "000000000064.json").write_text(json.dumps(facts))
        (place / "log.jsonl").write_text(json.dumps({"images_seen": 64, "seconds": seconds}) + "\n")
        (place / "best").write_text("000000000064\n")
        (place / "report.html").write_text(f"{seconds}")
        return place

    def test_times_may_differ_and_nothing_else(self, tmp_path: Path) -> None:
        one = resume.state(self.folder(tmp_path / "a", 1.0, b"w"))
        same = resume.state(self.folder(tmp_path / "b", 2.0, b"w"))
        other = resume.state(self.folder(tmp_path / "c", 1.0, b"x"))
        assert resume.differences(one, same) == []
        assert resume.differences(one, other) == ["checkpoints/000000000064.safetensors"]
        for name in ("best", "report.html"):
            (tmp_path / "b" / name).unlink()
        (tmp_path / "b" / "log.jsonl").write_text(json.dumps({"images_seen": 128, "seconds": 1.0}))
        assert resume.differences(one, resume.state(tmp_path / "b")) == ["best", "log.jsonl", "report.html"]
        assert resume.images_kept(tmp_path / "a") == 64

    def test_a_file_in_writing_is_seen(self, tmp_path: Path) -> None:
        assert not resume.is_writing(tmp_path / "none")
        self.folder(tmp_path / "a", 1.0, b"w")
        assert not resume.is_writing(tmp_path / "a")
        (tmp_path / "a" / "checkpoints" / ".000000000128.1a2b.part.safetensors").touch()
        assert resume.is_writing(tmp_path / "a")

    @pytest.mark.parametrize(
        ("code", "after", "while_writing", "met"),
        [
            ("import time; time.sleep(60)", 0.2, False, "anywhere"),
            ("pass", 30, False, "complete"),
            ("import pathlib, time; pathlib.Path('.a.part').touch(); time.sleep(60)", 0.0, True, "writing"),
        ],
    )
    def test_a_process_is_struck(
        self, code: str, after: float, while_writing: bool, met: str, tmp_path: Path
    ) -> None:
        start = time.monotonic()
        process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
        assert resume.strike(process, tmp_path, after, while_writing, 0.01) == met
        assert process.poll() is not None
        assert time.monotonic() - start < 20

    def test_starts_go_on_until_a_run_is_complete(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = "import sys, time; time.sleep(0.3)"
        monkeypatch.setattr(resume, "command", lambda arguments, run: [sys.executable, "-c", code])
        monkeypatch.setattr(resume, "LONGEST_WAIT_S", 0.0)
        ends = list(resume.kill_until_complete(argparse.Namespace(), tmp_path / "run", 1.0, random.Random(1)))
        assert ends[-1] == "complete"
        assert set(ends[:-1]) <= {"anywhere"}

    def test_a_run_that_fails_is_no_kill(self, tmp_path: Path) -> None:
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
        assert resume.strike(process, tmp_path, 30, False, 0) == "failed"


class TestDcganSpeed:
    def test_both_have_the_same_networks(self) -> None:
        from gan_train.planning.flops import count

        pictures = PictureSet.from_arrays("noise", dcgan_speed.noise_pictures(16))
        changes = {
            "network.width": 64,
            "network.latent_dim": 100,
            "optimizer.batch_size": 2,
            "budget.images": 1,
            "machine.precision": "fp32",
        }
        ours = count(training.settle("dcgan", changes, pictures), pictures)
        plain = [sum(p.numel() for p in network.parameters()) for network in peers.dcgan_networks(3)]
        # Ours judges by a linear layer that has a bias, and so does its first convolution.
        assert ours.parameters["generator"] == plain[0]
        assert ours.parameters["discriminator"] == plain[1] + 1 + 64

    def test_a_plain_step_trains_on_decoded_pictures(self) -> None:
        one = dcgan_speed.DecodedPictures(dcgan_speed.noise_pictures(4))
        assert len(one) == 4
        assert one[0].shape == (3, 64, 64)
        assert -1 <= one[0].min() < one[0].max() <= 1
        batch = torch.stack([one[index] for index in range(4)])
        figures = dcgan_speed.plain_step(iter([batch]), torch.device("cpu"))()
        assert isinstance(figures, list)
        assert all(0 < figure < 20 for figure in figures)
        assert len(figures) == 5


class TestLines:
    def test_lines_are_kept_found_and_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "some" / "lines.jsonl"
        kept = lines.Lines(path)
        kept.add({"a": 1, "b": 2})
        kept.add({"a": 1, "b": 3})
        again = lines.Lines(path)
        assert again.find(a=1) == {"a": 1, "b": 3}
        assert again.find(a=1, b=2) == {"a": 1, "b": 2}
        assert again.find(a=2) is None
        assert again.find(c=None) is None

    @given(st.floats(1e-6, 1e9))
    def test_figures_keep_three_digits(self, value: float) -> None:
        text = lines.figure(value)
        assert text is not None
        assert float(text.replace(",", "")) == pytest.approx(value, rel=0.006)

    def test_a_table(self) -> None:
        assert lines.table([("x", 1234, None)], ["a", "b", "c"]) == (
            "| a | b | c |\n| --- | --- | --- |\n| x | 1,234 | - |"
        )


class TestTraining:
    def test_the_fastest_block_counts(self) -> None:
        waits = iter([0.0, 0.05, 0.01, 0.05, *[0.05] * 100])
        rate = training.fastest_rate(lambda: time.sleep(next(waits)), 10, seconds=0.15)
        assert 300 < rate <= 1000

    def test_a_run_goes_on_where_the_same_one_stopped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pictures = PictureSet.from_arrays("noise", np.zeros((20, 16, 16, 1), np.uint8))
        small = {"network.width": 2, "optimizer.batch_size": 8, "machine.precision": "fp32"}
        options = training.settle("resnet", {**small, "budget.images": 16}, pictures)
        watcher, notes = training.Reporter("a"), list[str]()
        monkeypatch.setattr(watcher, "note", notes.append)
        made = training.train(options, pictures, tmp_path / "run", watcher)
        drawn, labels = training.draw(made, 3)
        assert drawn.shape == (3, 16, 16, 1)
        assert labels is None
        training.train(options, pictures, tmp_path / "run", watcher, anew=False)
        assert any("resuming" in note for note in notes)
        notes.clear()
        training.train(options, pictures, tmp_path / "run", watcher)
        assert not notes
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter.txt").touch()
        with pytest.raises(OptionError, match="something else than a run"):
            training.train(options, pictures, tmp_path / "mine", watcher)
        assert (tmp_path / "mine" / "letter.txt").exists()


def test_a_strong_watermark_is_found_moved_or_not_and_none_is_seen_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    soft = watermark.smooth(watermark.smooth(rng.uniform(60, 200, (80, 28, 28, 3))))
    plain, others = np.array_split(soft.astype(np.uint8), 2)
    bound = np.quantile(watermark.correlate(others), 0.99)
    strong = watermark.mark(plain, 20)
    assert (watermark.correlate(plain) > bound).mean() < 0.15
    for way in ("png", "cropped by 2"):
        through = watermark.change(strong, watermark.WAYS[way])
        assert (watermark.correlate(through) > bound).all()
    assert np.array_equal(watermark.change(strong, watermark.WAYS["png"]), strong)
