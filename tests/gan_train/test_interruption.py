from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_train import interruption
from gan_train.config.options import write
from gan_train.data.pictures import PictureSet
from gan_train.runs import checkpoint
from gan_train.training import loop, samples
from tests.gan_train.training.test_loop import Watcher, settled, timeless

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_obeyed_at_once_or_remembered_where_work_must_be_whole(number: int) -> None:
    before = signal.getsignal(number)
    with interruption.handle(), pytest.raises(KeyboardInterrupt):
        send(number)
    with interruption.handle():
        assert not interruption.is_requested()
        with interruption.defer():
            send(number)
            assert interruption.is_requested()
            with pytest.raises(KeyboardInterrupt), interruption.allow():
                pass
            with pytest.raises(KeyboardInterrupt):
                send(number)
    assert not interruption.is_requested()
    assert signal.getsignal(number) == before


def test_a_closed_terminal_is_no_matter_where_nohup_said_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.handle():
            send(signal.SIGHUP)
            assert not interruption.is_requested()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("lost", ["reader", "terminal", "closed"])
def test_what_is_said_to_nobody_stops_nothing(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    if lost == "reader":
        reading, writing = os.pipe()
    else:
        reading, writing = os.openpty()
    stream = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    with contextlib.closing(stream), interruption.handle():
        print("heard", file=sys.stderr, flush=True)
        assert os.read(reading, 5) == b"heard"
        os.close(reading)
        if lost == "closed":
            stream.close()
        print("lost", file=sys.stderr, flush=True)


def test_progress_that_a_full_disk_cannot_take_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(full, write_through=True))
        with pytest.raises(OSError, match="No space left"):
            print("text", file=sys.stderr, flush=True)
        with interruption.handle():
            print("text", file=sys.stderr, flush=True)


@pytest.mark.parametrize("preset", ["resnet", "dcgan"])  # one has statistics, which a report measures anew
@pytest.mark.parametrize("at", [1, 3])
def test_a_report_that_is_stopped_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, at: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    pictures = PictureSet.from_arrays("noise", images)
    measured = {"evaluation.samples": 20, "evaluation.network": "pixels", "network.width": 1}
    options = settled(pictures, preset, **measured)
    for name in ("whole", "parts"):
        write(options, tmp_path / name / checkpoint.CONFIG)
    assert loop.train(options, pictures, tmp_path / "whole", Watcher()) is True
    take_snapshot, asked = samples.take_snapshot, []

    def stopped(*given: Any) -> Any:
        asked.append(take_snapshot(*given))
        if len(asked) == at:
            send(signal.SIGINT)
        return asked[-1]

    monkeypatch.setattr(samples, "take_snapshot", stopped)
    with interruption.handle():
        assert loop.train(options, pictures, tmp_path / "parts", Watcher()) is False
    newest, _ = checkpoint.load_newest(tmp_path / "parts")
    assert newest is not None
    assert (newest.facts["images_seen"], newest.facts["owed"]) == (80 * at, True)
    assert loop.train(options, pictures, tmp_path / "parts", Watcher()) is True
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")
