"""Two processes that share a batch do what one does with the whole of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_infer.errors import DeviceError, OptionError
from gan_train import cli, data, distributed
from gan_train.config import options, presets
from gan_train.planning import budget, device
from gan_train.reports import html
from gan_train.runs import checkpoint
from gan_train.training import log, loop
from tests.conftest import CommandLine
from tests.gan_train.training.test_loop import Watcher

ROOT = Path(__file__).parent.parent.parent

# What each needs of the exchange: gradients alone; batch statistics; pairs and the agreed strength.
CASES: dict[str, dict[str, Any]] = {
    "resnet": {},
    "dcgan": {},
    "sngan": {"optimizer.learning_rate": 1e-4},
    "relativistic": {"augment.policy": "translation,cutout", "augment.target": 0.6},
}


def train_every_case(folder: Path) -> None:
    """Train each case for ten steps, and where there are two processes settle a budget with them."""
    torch.set_num_threads(1)
    with distributed.join(on_cuda=False):
        for preset, changes in CASES.items():
            small = {
                "data.height": 16,
                "data.width": 16,
                "network.width": 4,
                "network.latent_dim": 8,
                "optimizer.batch_size": 32,
                "budget.images": 320 * presets.make(preset, changes).optimizer.discriminator_steps,
                "machine.precision": "fp32",
                "machine.device": "cpu",
                "evaluation.samples": 0,
                "reports": 1,
            }
            wanted = presets.make(preset, {**small, **changes})
            digits = data.load(wanted.data)
            loop.train(budget.settle(wanted, digits), digits, folder / preset, Watcher())
        if distributed.size() > 1:  # within the block, for a group that is joined anew may wait for ever
            measure_by_clocks_that_differ(folder.parent)
    threads = [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in threads if "gloo" in name], "the group outlives its block"


def measure_by_clocks_that_differ(folder: Path) -> None:
    """Settle a budget of minutes where the second process's clock runs a thousand times as fast."""
    clock, pace = time.perf_counter, 1000.0 ** distributed.rank()
    device.time = SimpleNamespace(perf_counter=lambda: clock() * pace)  # type: ignore[assignment, attr-defined]
    fixed = {"budget.minutes": 20.0, "machine.device": "cpu", "machine.precision": "auto"}
    wanted = presets.make("resnet", {**fixed, "data.height": 8, "data.width": 8})
    settled = budget.settle(wanted, data.load(wanted.data))
    options.write(settled, folder / f"{distributed.rank()}.json")


def torchrun(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(port)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", *flags, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        timeout=600,
    )


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of what one process trained and of what two did."""
    folder = tmp_path_factory.mktemp("ends")
    code = "import sys, pathlib; from tests.gan_train import test_distributed as t; "
    code += "t.train_every_case(pathlib.Path(sys.argv[1]).absolute())"
    (folder / "work.py").write_text(code)
    threads = torch.get_num_threads()
    train_every_case(folder / "one")
    torch.set_num_threads(threads)
    done = torchrun(folder, "work.py", "two")
    assert done.returncode == 0, done.stderr
    return folder / "one", folder / "two"


@pytest.mark.parametrize("preset", CASES)
def test_two_processes_end_where_one_does_to_rounding(preset: str, ends: tuple[Path, Path]) -> None:
    one, two = (checkpoint.load_named(folder / preset, "last") for folder in ends)
    assert set(one.tensors) == set(two.tensors)
    for name, tensor in one.tensors.items():
        if preset == "relativistic" and name == "discriminator.head.linear.bias":
            continue  # it cancels in the differences of logits: its gradient is rounding alone
        if name.startswith(("generator.", "discriminator.", "average.", "augment.")):
            # As a whole: Adam makes a step of full length of a gradient that is nearly 0, so single
            # weights may go either way.
            gap = (two.tensors[name].double() - tensor.double()).norm()
            assert gap <= 5e-3 * tensor.double().norm() + 5e-4, name
    (first,), (second,) = (html.read_log(folder / preset / "log.jsonl") for folder in ends)
    for name in ("generator_loss", "discriminator_loss", "belief_in_real", "augment_strength"):
        assert second[name] == pytest.approx(first[name], abs=2e-3), name


def test_what_one_process_measures_is_what_all_pick(ends: tuple[Path, Path]) -> None:
    folder = ends[0].parent
    assert options.read(folder / "0.json") == options.read(folder / "1.json")


def test_torchrun_resumes_bit_for_bit_and_speaks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine
) -> None:
    small = (
        "--size",
        "16",
        "--images",
        "128",
        "--batch-size",
        "32",
        "--width",
        "4",
        "--threads",
        "1",
        "--device",
        "cpu",
    )
    plain = ("--precision", "fp32", "--reports", "2", "--set", "evaluation.samples=0")
    fit = ("-m", "gan_train", "fit", "digits", "--out", "run", *small, *plain)
    done = torchrun(tmp_path, *fit)
    assert (done.returncode, done.stdout) == (0, "run\n"), done.stderr
    assert done.stderr.count("complete; look at") == 1
    run = tmp_path / "run"
    assert options.read(run / "config.json").machine.processes == 2
    whole = checkpoint.load_named(run, "last")
    checkpoint.drop(run, "000000000128")
    assert torchrun(tmp_path, *fit).returncode == 0
    again = checkpoint.load_named(run, "000000000128")
    assert all(torch.equal(whole.tensors[name], again.tensors[name]) for name in whole.tensors)
    monkeypatch.chdir(tmp_path)
    code, _, err = command_line("gan-train", cli.main)(*fit[2:])
    assert code == 1
    assert "machine.processes: 2 -> 1" in err


def test_alone_every_exchange_is_the_identity() -> None:
    value = torch.randn(3, requires_grad=True)
    assert distributed.size() == 1
    assert distributed.mean(value) is value
    assert distributed.differentiable_mean(value) is value
    assert distributed.agree(1.0, 2.0) == (1.0, 2.0)
    assert distributed.share_object("x") == "x"
    assert distributed.share(32) == slice(0, 32)


def test_a_batch_that_cannot_be_shared_equally_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 3)
    monkeypatch.setattr(distributed, "rank", lambda: 2)
    assert distributed.share(30) == slice(20, 30)
    with pytest.raises(OptionError, match="a batch of 32 cannot be shared equally by 3 processes"):
        distributed.share(32)


def test_what_torchrun_would_have_set_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    refused = pytest.raises(OptionError, match=r"WORLD_SIZE is 2 .* LOCAL_RANK, MASTER_ADDR, MASTER_PORT not")
    with refused, distributed.join(on_cuda=False):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    refused = pytest.raises(DeviceError, match="process 3 of this machine has no GPU: PyTorch sees 2")
    with refused, distributed.join(on_cuda=True):
        pass


@pytest.mark.parametrize("count", [2, 3, 7])
def test_figures_agreed_on_before_a_stop_stay_as_they_are(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def summed(total: torch.Tensor) -> None:
        own = total.clone()
        for _ in range(count - 1):
            total += own

    monkeypatch.setattr(distributed, "size", lambda: count)
    monkeypatch.setattr(torch.distributed, "all_reduce", summed)
    agreed = torch.rand(64, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(log.agree_on(agreed), agreed)
