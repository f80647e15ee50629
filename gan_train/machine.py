"""Settles what `auto` stands for on this machine: device, and the precision that is faster here."""

from __future__ import annotations

import dataclasses
import time

import torch

from gan_infer.errors import DeviceError, OptionError
from gan_train.batches import Batches
from gan_train.config import Config
from gan_train.data import PictureSet
from gan_train.step import Players, Shape, make_players, step

# bfloat16 must be faster by this much to be taken: the measurement is short, machines are noisy.
_WORTH = 1.2
_TIMED_STEPS = 4


def pick_device(name: str) -> torch.device:
    """Give the torch device that `auto`, `cpu`, `cuda` or `cuda:1` names.

    Raises:
        DeviceError: it cannot be had; says what is missing.
        OptionError: it is none that there is.
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
                f"device {name!r} cannot be had: this PyTorch ({torch.__version__}) is built without "
                "CUDA; install a CUDA build of torch, or use --device cpu"
            )
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f"device {name!r} cannot be had: PyTorch sees {torch.cuda.device_count()} CUDA devices; "
                "see what nvidia-smi says, or use --device cpu"
            )
    return device


def pick_precision(config: Config, shape: Shape, pictures: PictureSet, device: torch.device) -> str:
    """Give "fp32" or "bf16": as asked for, else by a short measurement of real steps.

    Processors with bfloat16 matrix units (Intel AMX, say) train twice as fast with it; others are
    slower than in float32. Measured on networks that are thrown away afterwards.
    """
    if config.machine.precision != "auto":
        return config.machine.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    times = {"fp32": float("inf"), "bf16": float("inf")}
    with torch.random.fork_rng(devices=[]):
        players = make_players(config, shape, device)
        network, batch_size = config.network, config.optimizer.batch_size
        batches = Batches(pictures, batch_size, network.latent_dim, network.latent_distribution, 0, device)
        for precision in ("fp32", "bf16", "fp32", "bf16"):
            times[precision] = min(times[precision], _time(config, players, batches, precision))
    return "bf16" if times["fp32"] > _WORTH * times["bf16"] else "fp32"


def _time(config: Config, players: Players, batches: Batches, precision: str) -> float:
    fastest = float("inf")
    for index in range(_TIMED_STEPS):
        start = time.perf_counter()
        step(
            players,
            config.loss,
            batches.at(index * config.optimizer.batch_size),
            learning_rate=0.0,
            average_weight=1.0,
            penalise=False,
            bf16=precision == "bf16",
        )
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def describe() -> dict[str, str]:
    """Name what a result depends on: versions and the processor's abilities."""
    return {
        "torch": str(torch.__version__),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def shape_of(pictures: PictureSet) -> Shape:
    """Give what a data set asks of the networks."""
    return Shape(pictures.height, pictures.width, pictures.channels, len(pictures.class_names))


def use_threads(config: Config) -> int:
    """Set torch's CPU threads to what the config names, and give their number."""
    if config.machine.threads is not None:
        torch.set_num_threads(config.machine.threads)
    return torch.get_num_threads()


def settle(config: Config, pictures: PictureSet) -> Config:
    """Give the config with every open choice closed: sizes and hash from the data, device, precision."""
    device = pick_device(config.machine.device)
    threads = use_threads(config)
    data = dataclasses.replace(
        config.data,
        height=pictures.height,
        width=pictures.width,
        channels=pictures.channels,
        sha256=pictures.sha256(),
    )
    precision = pick_precision(config, shape_of(pictures), pictures, device)
    machine = dataclasses.replace(config.machine, device=str(device), precision=precision, threads=threads)
    return dataclasses.replace(config, data=data, machine=machine)
