from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from gan_infer.errors import OptionError
from gan_train.runs import checkpoint
from gan_train.runs.checkpoint import Checkpoint


def save(run: Path, images_seen: int, keep: tuple[str, ...] = ()) -> Path:
    tensors = {"a": torch.full((2, 3), float(images_seen)), "b.c": torch.arange(3)}
    name = checkpoint.save(run, Checkpoint(tensors, {"images_seen": images_seen, "seconds": 1.5}))
    checkpoint.point(run, name, name)
    checkpoint.keep(run, keep)
    return run / "checkpoints" / f"{name}.safetensors"


def test_what_is_saved_is_loaded_and_the_last_few_are_kept(tmp_path: Path) -> None:
    for images in (100, 200, 300, 400, 5_000_000_000):
        save(tmp_path, images)
    assert checkpoint.names(tmp_path) == ["000000000300", "000000000400", "005000000000"]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 6
    newest, troubles = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert not troubles
    assert newest.facts["images_seen"] == 5_000_000_000
    assert torch.equal(newest.tensors["a"], torch.full((2, 3), 5e9))
    assert (tmp_path / "last").read_text() == "005000000000\n"
    assert checkpoint.load_named(tmp_path, "best").facts == newest.facts


@pytest.mark.parametrize(
    "harm", ["cut", "flip", "empty", "no tensors", "no json", "json", "no facts", "fact"]
)
def test_a_damaged_newest_one_falls_back_to_the_one_before_saying_so(tmp_path: Path, harm: str) -> None:
    save(tmp_path, 100)
    path = save(tmp_path, 200)
    body = path.read_bytes()
    if harm == "cut":
        path.write_bytes(body[:-7])
    elif harm == "flip":
        path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "no tensors":
        path.unlink()
    elif harm == "no json":
        path.with_suffix(".json").unlink()
    elif harm == "json":
        path.with_suffix(".json").write_text("{")
    elif harm == "no facts":
        path.with_suffix(".json").write_text("{}")
    else:
        facts = path.with_suffix(".json").read_text()
        path.with_suffix(".json").write_text(facts.replace('"seconds": 1.5', '"seconds": 9.5'))
    newest, troubles = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert newest.facts["images_seen"] == 100
    assert len(troubles) == 1
    assert "000000000200.safetensors is damaged" in troubles[0]
    said: list[str] = []
    assert checkpoint.load_named(tmp_path, "best", said.append).facts["images_seen"] == 100
    assert len(said) == 1
    assert "taking the newest whole checkpoint, 000000000100" in said[0]


def test_tensors_without_their_facts_do_not_count_and_go_with_the_next_write(tmp_path: Path) -> None:
    save(tmp_path, 100)
    half = save(tmp_path, 200)
    half.with_suffix(".json").unlink()  # as a crash between the two writes leaves it
    newest, (trouble,) = checkpoint.load_newest(tmp_path)
    assert newest is not None
    assert newest.facts["images_seen"] == 100
    assert trouble.endswith("there is no 000000000200.json")
    assert checkpoint.halves(tmp_path) == ["000000000200"]
    save(tmp_path, 300)
    assert not half.exists()


def test_one_process_at_a_time_writes_a_run(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    with checkpoint.only_writer(run):
        refused = pytest.raises(OptionError, match=r"another process is training in .*run; wait for it")
        with refused, checkpoint.only_writer(run):
            pass
        (run / "config.json").write_text("{}")
    with checkpoint.only_writer(run):  # let go of
        pass
    assert (run / "config.json").exists()


def test_a_folder_in_which_nothing_was_written_is_not_left_behind(tmp_path: Path) -> None:
    with checkpoint.only_writer(tmp_path / "runs" / "run"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    refused = pytest.raises(OptionError, match="it is a file; give the name of a folder")
    with refused, checkpoint.only_writer(tmp_path / "file"):
        pass


def test_folders_without_a_whole_checkpoint_are_refused(tmp_path: Path) -> None:
    assert checkpoint.load_newest(tmp_path) == (None, [])
    with pytest.raises(OptionError, match="no whole checkpoint"):
        checkpoint.load_named(tmp_path, "best")
    save(tmp_path, 100).write_bytes(b"")
    with pytest.raises(OptionError, match=r"no whole checkpoint.*damaged"):
        checkpoint.load_named(tmp_path, "best")


def test_the_newest_run_is_the_one_that_saved_last(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="make one with gan-train fit"):
        checkpoint.newest_run(tmp_path)
    for name, when in (("a", 5), ("b", 9), ("c", 7)):
        save(tmp_path / name, 100)
        os.utime(tmp_path / name / "last", (when, when))
    assert checkpoint.newest_run(tmp_path) == tmp_path / "b"


def test_what_is_wanted_is_kept_however_old(tmp_path: Path) -> None:
    for images in (100, 200, 300, 400, 500):
        save(tmp_path, images, keep=("000000000200",))
    assert [int(name) for name in checkpoint.names(tmp_path)] == [200, 300, 400, 500]
    checkpoint.point(tmp_path, "000000000500", "000000000200")
    assert checkpoint.load_named(tmp_path, "best").facts["images_seen"] == 200
    assert checkpoint.load_named(tmp_path, "last").facts["images_seen"] == 500
    assert checkpoint.load_named(tmp_path, "000000000300").facts["images_seen"] == 300
    with pytest.raises(OptionError, match=r"no checkpoint '000000000100'; give best, last, or one of 0"):
        checkpoint.load_named(tmp_path, "000000000100")
    checkpoint.drop(tmp_path, "000000000300")
    assert [int(name) for name in checkpoint.names(tmp_path)] == [200, 400, 500]
    assert checkpoint.facts(tmp_path, "000000000400")["seconds"] == 1.5
    assert checkpoint.facts(tmp_path, "000000000300") == {}
