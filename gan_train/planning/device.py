"""Settles what `auto` means on this machine: device, precision and threads."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence

import torch

from gan_infer.errors import DeviceError, OptionError
from gan_infer.runtime import cpu_count
from gan_train import distributed, tasks
from gan_train.config import settled
from gan_train.config.options import Config
from gan_train.config.settled import Settled
from gan_train.data import DataSet
from gan_train.data.batches import Batch
from gan_train.planning import processor
from gan_train.tasks.base import Controls, Phase

_TIMED_STEPS = 4
# No step is timed again after so long.
TIMED_SECONDS = 2.0


def pick_device(name: str) -> torch.device:
    """Return the torch device that `auto`, `cpu`, `cuda` or `cuda:1` names.

    Raises:
        DeviceError: the device is not available; says what is missing.
        OptionError: there is no device of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"device {name!r} is unknown; give auto, cpu, cuda or cuda:1")
    if device.type == "cuda":
        if torch.version.cuda is None:
            raise DeviceError(
                f"device {name!r} is not available: this PyTorch ({torch.__version__}) is built without "
                "CUDA; install a CUDA build of torch, or use --device cpu"
            )
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f"device {name!r} is not available: PyTorch sees {torch.cuda.device_count()} CUDA devices; "
                "see what nvidia-smi says, or use --device cpu"
            )
    return device


def pick_precision(config: Config, device: torch.device) -> str:
    """Return "fp32" or "bf16": as asked for, else by the units that the processor names.

    Processors with units for bfloat16 (AMX, AVX512_BF16) train about 1.3 to 2.6 times as fast with it, the
    smallest networks as fast; others are slower than in float32. A measurement could differ each time.
    """
    if config.machine.precision != "auto":
        return config.machine.precision
    if device.type == "cuda":  # where it is emulated it is slow
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if processor.bfloat16_units() else "fp32"


def why_precision(device: torch.device) -> str:
    """Return a few words on why `pick_precision` picks what it picks."""
    if device.type == "cuda":
        return "by what the GPU computes in"
    units = processor.bfloat16_units()
    return f"this processor has {units}" if units else "this processor names no units for bfloat16"


def seconds_per_step(config: Settled, pictures: DataSet, device: torch.device, costly: bool = False) -> float:
    """Measure a step, the fastest of a few, on networks that are thrown away.

    Several processes take as many steps as the first one, and all use its time: each step
    exchanges gradients, and all must pick the same by the time.

    Args:
        costly: measure a step in which every phase takes its costly part.
    """
    fastest = float("inf")
    with torch.random.fork_rng(devices=[]):
        task = tasks.make(config, pictures.columns)
        phases = task.phases(task.make_players(device))
        batches = task.batches(device)
        begin = time.perf_counter()
        for index in range(_TIMED_STEPS + 1):
            start = time.perf_counter()
            take_step(phases, batches.at(index), costly)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            now = time.perf_counter()
            took, over = distributed.agree(now - start, now - begin > TIMED_SECONDS)
            if index > 0 or over:  # the first also sets up, which is little in a long step
                fastest = min(fastest, took)
                if over:
                    break
    return fastest


def take_step(phases: Sequence[Phase], batch: Batch, costly: bool) -> None:
    """Run every phase on one batch, with controls that leave the networks as they are."""
    for phase in phases:
        phase.run(batch, Controls(learning_rate=0.0, average_weight=1.0, share=0.0), costly)


def describe() -> dict[str, str]:
    """Name what a result depends on: versions and the processor's abilities."""
    return {
        "torch": str(torch.__version__),
        "processor": processor.name(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def set_up(config: Config) -> int:
    """Set up torch as the config asks, and return the number of its CPU threads.

    Call it before the first step, when a run begins and when it resumes.
    """
    if config.machine.deterministic:
        # cuBLAS asks for this before its first call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Of cores that a container may not use, threads would only wait for one another.
    torch.set_num_threads(config.machine.threads or min(torch.get_num_threads(), cpu_count.count_usable()))
    return torch.get_num_threads()


def settle(config: Config) -> Settled:
    """Return a config, which has width and batch, with the choices closed that depend on the machine."""
    device = pick_device(config.machine.device)
    machine = dataclasses.replace(
        config.machine,
        device=str(device),
        precision=pick_precision(config, device),
        threads=set_up(config),
        steps=_steps(config, device),
        processes=distributed.size(),
    )
    return settled.close(dataclasses.replace(config, machine=machine))


def _steps(config: Config, device: torch.device) -> str:
    """Return how to carry out steps; refuse what was asked for and is not available."""
    asked = config.machine.steps
    if asked == "graphed" and (device.type == "cpu" or distributed.size() > 1):
        raise OptionError("machine.steps graphed needs one process on a CUDA device; give eager, or compiled")
    return "eager" if asked == "auto" else asked
