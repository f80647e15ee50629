from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_infer.errors import OptionError, TrainingError
from gan_train import cli
from gan_train.config.options import Config, read, write
from gan_train.config.settled import read as read_settled
from gan_train.data.pictures import PictureSet
from gan_train.runs import checkpoint, journal
from gan_train.training import loop
from tests.conftest import CommandLine, Run
from tests.gan_train.training.test_loop import Watcher, settled, timeless

TINY = (
    *("--images", "24", "--size", "8", "--preset", "cgan", "--width", "1", "--batch-size", "8"),
    *("--reports", "3", "--precision", "fp32", "--threads", "1"),
    *("--set", "evaluation.samples=8", "--set", "evaluation.network=pixels"),
    *("--set", "condition.generator=none", "--set", "condition.discriminator=none"),
)
PLAIN: dict[str, Any] = {
    "network.family": "mlp",
    "condition.generator": "none",
    "condition.discriminator": "none",
    "evaluation.samples": 20,
}


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    return PictureSet.from_arrays("noise", images)


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    return command_line("gan-train", cli.main)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 12 grey pictures without classes."""
    folder = tmp_path_factory.mktemp("data") / "noise"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def fitted(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a complete run on it, for tests to copy."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_HOME", str(folder.parent / "home"))
        patch.setattr(sys, "argv", ["gan-train", "fit", str(noise), "--out", str(folder), *TINY])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 0
    return folder


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda body: b"",
    "half": lambda body: body[: len(body) // 2],
    "binary": lambda body: bytes(range(256)) * 4,
    "marked": lambda body: b"\xef\xbb\xbf" + body,
    "utf-16": lambda body: body.decode("latin-1").encode("utf-16"),
    "deep": lambda body: b"[" * 100_000,
    "deep line": lambda body: body + b'{"a":' * 50_000 + b"\n",
    "list": lambda body: b"[1, 2]\n",
    "huge": lambda body: b'{"images_seen": ' + b"9" * 6000 + b"}\n" + body,
    "infinite": lambda body: body.replace(b"0", b"1e999", 1),
    "not a number": lambda body: b"NaN\n",
    "other types": lambda body: b'{"images_seen": "x", "values": 3, "progress": [], "kind": 1}\n' + body,
    "true for a number": lambda body: b'{"images_seen": true}\n' + body,
    "another name": lambda body: b"999999999999\n",
}
FILES = {
    "config.json": ("fit", "export"),
    "log.jsonl": ("fit",),
    "metrics.jsonl": ("fit",),
    "events.jsonl": ("fit",),
    "times.jsonl": ("fit",),
    "last": ("fit",),
    "best": ("fit", "export"),
    "checkpoints/000000000024.json": ("fit", "export"),
    "checkpoints/000000000024.safetensors": ("fit", "export"),
    "samples/000000000024.png": ("fit",),
    "walk.webp": ("fit",),
}


def damage(path: Path, how: str) -> None:
    body = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
        (path / "in it").touch()
    elif how == "leads nowhere":
        path.symlink_to("nowhere")
    elif how == "leads to itself":
        path.symlink_to(path.name)
    elif how != "gone":
        path.write_bytes(DAMAGES[how](body))


QUICK = ("half", "deep", "other types", "folder")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_damaged_file_is_one_line_or_healed(
    run: Run, noise: Path, fitted: Path, name: str, whole: bool
) -> None:
    commands = {
        "fit": ("fit", noise, "--out", "run", *TINY),
        "export": ("export", "--run", "run", "--to", "g.onnx"),
    }
    for how in (*DAMAGES, "gone", "folder", "leads nowhere", "leads to itself") if whole else QUICK:
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree(fitted, "run")
        damage(Path("run", name), how)
        for command in FILES[name] if whole else ("fit",):
            code, _, err = run(*commands[command])
            assert code in (0, 1), (how, command, err)
            assert "Traceback" not in err
            if code == 1:
                assert err.splitlines()[-1].startswith("gan-train: "), (how, command, err)
            elif command == "fit":
                assert checkpoint.load_named(Path("run"), "last").facts["images_seen"] == 24
                assert checkpoint.load_named(Path("run"), "best").facts["images_seen"] in (8, 16, 24)


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("config.json", "deep", "is no JSON (nested too deeply)"),
        ("config.json", "gone", "has checkpoints and no config.json"),
        ("log.jsonl", "other types", "log.jsonl is damaged; 1 line is left out"),
        ("metrics.jsonl", "binary", "metrics.jsonl is damaged; written again"),
        ("checkpoints/000000000024.json", "deep", "its facts are nested too deeply; going back to"),
    ],
)
def test_what_is_damaged_is_named(
    run: Run, noise: Path, fitted: Path, name: str, how: str, said: str
) -> None:
    shutil.copytree(fitted, "run")
    damage(Path("run", name), how)
    assert said in run("fit", noise, "--out", "run", *TINY)[2]


def test_a_config_with_a_mark_or_in_utf_16_is_read_and_a_name_that_is_there_twice_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.json"
    text = Config().to_json()
    for body in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), text.replace("\n", "\r\n").encode()):
        path.write_bytes(body)
        assert read(path) == Config()
    for wrong, told in (
        (text.replace('"seed": 0', '"seed": 1, "seed": 0'), "'seed' is there twice"),
        (text.replace('"seed": 0', '"seed": NaN'), "option seed is nan"),
        (text.replace('"r1_gamma": 1.0', '"r1_gamma": 1' + "0" * 400), "option loss.r1_gamma is 1000"),
        (text.replace('"source": "digits"', '"source": "a\\u0000b"'), r"option data.source is 'a\x00b'"),
        (text.replace('"source": "digits"', '"source": "\\ud800"'), "option data.source is"),
    ):
        path.write_text(wrong)
        with pytest.raises(OptionError) as error:
            read(path)
        assert told in str(error.value)
        assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("data.height", None, "only one of data.height and data.width"),
        ("data.channels", None, "option data.channels is not settled"),
        ("machine.device", "auto", "option machine.device is not settled"),
        ("budget.images", None, "option budget.images is not settled"),
        ("network.width", 2, "the checkpoint does not fit these networks"),
        ("network.family", "dcgan", "the checkpoint does not fit these networks"),
    ],
)
def test_a_config_that_was_changed_since_is_one_line(
    run: Run, fitted: Path, place: str, value: object, said: str
) -> None:
    shutil.copytree(fitted, "run")
    tree = json.loads(Path("run/config.json").read_text())
    group, name = place.split(".")
    tree[group][name] = value
    if value == "dcgan":
        tree["loss"]["r1_gamma"] = 0
    Path("run/config.json").write_text(json.dumps(tree))
    code, _, err = run("export", "--run", "run", "--to", "g.onnx")
    assert code == 1
    assert said in err.splitlines()[-1]


def test_facts_of_other_kinds_are_damage_even_where_their_hash_is_right(fitted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for key, value in {
        "images_seen": "24",
        "history": [{"images_seen": 8, "values": [], "protocol": {}}],
        "events": [{"images_seen": 8, "kind": 1, "text": ""}],
        "data": {"class_names": [1]},
        "rollbacks": True,
        "good": 1,
        "strikes": -1,
        "judge": [],
        "machine": {"torch": None},
    }.items():
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(fitted, run)
        path = run / "checkpoints" / "000000000024.json"
        facts = {**json.loads(path.read_text()), key: value}
        facts["facts_sha256"] = checkpoint.hash_of(facts)
        path.write_text(json.dumps(facts))
        with pytest.raises(OptionError, match=f"a {key} of another kind than was written"):
            checkpoint.load(run, "000000000024")
        assert checkpoint.facts(run, "000000000024") == {}
        newest, troubles = checkpoint.load_newest(run)
        assert newest is not None
        assert newest.facts["images_seen"] == 16
        assert len(troubles) == 1
    for suffix in ("json", "safetensors"):
        (run / f"checkpoints/000000000016.{suffix}").rename(run / f"checkpoints/000000000099.{suffix}")
    with pytest.raises(OptionError, match="its facts are those of another, of 16 images"):
        checkpoint.load(run, "000000000099")


def test_a_journal_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    kept = journal.Journal(path)
    kept.begin([{"images_seen": 1}])
    kept.add({"images_seen": 2})
    path.unlink()
    kept.add({"images_seen": 3})
    path.write_bytes(path.read_bytes()[:20])
    kept.add({"images_seen": 4})
    assert journal.read(path) == ([{"images_seen": n} for n in (1, 2, 3, 4)], 0)
    again = {"images_seen": 5}
    kept.add(again)
    path.unlink()
    kept.add(again)
    kept.add(again)
    assert [line["images_seen"] for line in journal.read(path)[0]] == [1, 2, 3, 4, 5]
    kept.keep_until(2)
    path.write_bytes(path.read_bytes() + b'\n\n{"torn')
    assert journal.read(path) == ([{"images_seen": 1}, {"images_seen": 2}], 0)


class _Meddler(Watcher):
    """Does something to the run's folder at one of the questions whether to stop."""

    def __init__(self, at: int, meddle: Callable[[], None]) -> None:
        super().__init__()
        self.asked, self.at, self.meddle = 0, at, meddle

    def stop_asked(self) -> bool:
        self.asked += 1
        if self.asked == self.at:
            self.meddle()
        return False


@pytest.mark.parametrize("at", [3, 12, 31])
def test_a_removed_folder_is_made_anew_with_what_is_in_memory(
    pictures: PictureSet, tmp_path: Path, at: int
) -> None:
    options = settled(pictures, **PLAIN)
    for name in ("whole", "parts"):
        write(options, tmp_path / name / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path / "whole", Watcher()) is True
    run = tmp_path / "parts"
    watcher = _Meddler(at, lambda: shutil.rmtree(run))
    assert loop.train(options, pictures, run, watcher) is True
    assert watcher.notes.count(f"the run's folder {run} was removed; making it again") == 1
    whole, parts = timeless(tmp_path / "whole"), timeless(run)
    for name in ("config.json", "log.jsonl", "metrics.jsonl", "events.jsonl", "last"):
        assert whole[name] == parts[name], name
    assert whole["checkpoints/000000000240.safetensors"] == parts["checkpoints/000000000240.safetensors"]
    assert checkpoint.load_named(run, "best").tensors
    checkpoint.load(run, checkpoint.pointers(run)[1])


@contextlib.contextmanager
def meddling_in_a_write(at: int, meddle: Callable[[], object]) -> Iterator[None]:
    """Do something in the middle of the write of that number: what it wrote has not its name yet."""
    sync, count = os.fsync, itertools.count(1)

    def meddle_and_sync(descriptor: int) -> None:
        if next(count) == at:
            meddle()
        sync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", meddle_and_sync)
        yield


@pytest.mark.parametrize(("at", "stopped"), [(1, False), (9, False), (22, False), (14, True), (38, True)])
def test_a_folder_that_is_removed_while_it_is_written_is_made_anew(
    pictures: PictureSet, tmp_path: Path, at: int, stopped: bool
) -> None:
    options = settled(pictures, **PLAIN)
    for name in ("whole", "parts"):
        write(options, tmp_path / name / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path / "whole", Watcher()) is True
    run = tmp_path / "parts"
    with meddling_in_a_write(at, lambda: shutil.rmtree(run)):
        done = loop.train(options, pictures, run, Watcher(stop_after=12) if stopped else Watcher())
    assert done is not stopped
    assert done or loop.train(options, pictures, run, Watcher()) is True
    whole, parts = timeless(tmp_path / "whole"), timeless(run)
    for name in ("config.json", "log.jsonl", "metrics.jsonl", "events.jsonl", "last"):
        assert whole[name] == parts[name], name
    assert whole["checkpoints/000000000240.safetensors"] == parts["checkpoints/000000000240.safetensors"]


@pytest.mark.parametrize("at", [9, 14])
def test_a_folder_that_is_renamed_while_it_is_written_is_named(
    pictures: PictureSet, tmp_path: Path, at: int
) -> None:
    options = settled(pictures, **PLAIN)
    run = tmp_path / "run"
    write(options, run / checkpoint.CONFIG)

    def put_a_file_there() -> None:
        run.rename(tmp_path / "other")
        run.touch()

    with (
        meddling_in_a_write(at, put_a_file_there),
        pytest.raises(TrainingError, match=r"was renamed to other while training; give the same command"),
    ):
        loop.train(options, pictures, run, Watcher())
    assert loop.train(options, pictures, tmp_path / "other", Watcher()) is True


def test_a_folder_that_was_renamed_or_taken_by_another_run_ends_the_run(
    pictures: PictureSet, tmp_path: Path
) -> None:
    options = settled(pictures, **PLAIN)
    run = tmp_path / "run"
    write(options, run / checkpoint.CONFIG)
    with pytest.raises(TrainingError, match=r"was renamed to other while training; give the same command"):
        loop.train(options, pictures, run, _Meddler(15, lambda: shutil.move(run, tmp_path / "other")))
    assert not run.exists()
    assert loop.train(options, pictures, tmp_path / "other", Watcher()) is True

    def take_its_place() -> None:
        shutil.rmtree(run)
        held.enter_context(checkpoint.only_writer(run))

    with contextlib.ExitStack() as held, checkpoint.only_writer(run):
        write(options, run / checkpoint.CONFIG)
        with pytest.raises(OptionError, match="another process is training in"):
            loop.train(options, pictures, run, _Meddler(15, take_its_place))


@pytest.mark.parametrize("lost", ["checkpoints", "best", "config.json", "log.jsonl"])
def test_what_is_lost_at_the_end_is_written_anew(pictures: PictureSet, tmp_path: Path, lost: str) -> None:
    options = settled(pictures, **PLAIN)
    write(options, tmp_path / checkpoint.CONFIG)

    def remove() -> None:
        path = tmp_path / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert loop.train(options, pictures, tmp_path, _Meddler(31, remove)) is True
    assert read_settled(tmp_path / "config.json") == options
    for pointer in ("best", "last"):
        said: list[str] = []
        assert checkpoint.load_named(tmp_path, pointer, said.append).tensors
        assert not said
    assert [line["images_seen"] for line in journal.read(tmp_path / "log.jsonl")[0]] == [80, 160, 240]
    assert (tmp_path / "report.html").is_file()
