"""Compares our step of DCGAN at 64x64 with a plain loop of the same networks, in turn within one process.

    python -m benchmarks.dcgan_speed                       # CPU
    python -m benchmarks.dcgan_speed --device cuda --precision bf16 --steps graphed

`plain` is written after the description of pytorch/examples' dcgan: a DataLoader whose worker
processes turn each picture into a Pillow image, resize and normalise it; float32, contiguous tensors,
two backward passes of the discriminator, and five figures read back from the device at every step.
`ours` is the step of the preset `dcgan` at the same width (64), latent (100) and batch (64), with its
running average, on 64x64 pictures in memory. Turns alternate; the ratio is of the medians of images per
second. --plain-in-memory leaves out the plain loop's reading, to compare only the steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks import lines, peers, training
from gan_infer import console
from gan_train.config.options import MachineOptions
from gan_train.data import PictureSet

SIDE: Final = 64
_WIDTH: Final = 64
_LATENT: Final = 100
_PICTURES: Final = 4096


class DecodedPictures(Dataset[Tensor]):
    """Pictures that become a normalised tensor [3, 64, 64] each time one is asked for."""

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self._images = images

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        """Return one picture in [-1, 1]."""
        picture = Image.fromarray(self._images[index]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        return tensor.float().div(255).sub(0.5).div(0.5)


def noise_pictures(count: int) -> npt.NDArray[np.uint8]:
    """Return pictures [count, 64, 64, 3] of noise: their content does not change the speed."""
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def plain_step(batches: Iterator[Tensor], device: torch.device) -> Callable[[], object]:
    """Return a function that takes one step of a fresh plain DCGAN."""
    generator, discriminator = (network.to(device) for network in peers.dcgan_networks(3, _WIDTH))
    of_generator, of_discriminator = peers.adam(generator), peers.adam(discriminator)

    def backward(pictures: Tensor, target: float) -> tuple[Tensor, Tensor]:
        score = torch.sigmoid(discriminator(pictures))
        error = F.binary_cross_entropy(score, torch.full_like(score, target))
        error.backward()  # type: ignore[no-untyped-call]
        return error, score.mean()

    def step() -> list[float]:
        real = next(batches).to(device)
        of_discriminator.zero_grad()
        on_real, score_in_real = backward(real, 1)
        fake = generator(torch.randn(len(real), _LATENT, device=device))
        on_fake, score_in_fake = backward(fake.detach(), 0)
        of_discriminator.step()
        of_generator.zero_grad()
        error, score_after = backward(fake, 1)
        of_generator.step()
        figures = on_real + on_fake, error, score_in_real, score_in_fake, score_after
        return [figure.item() for figure in figures]

    return step


def endless(batches: DataLoader[Tensor]) -> Iterator[Tensor]:
    """Yield a loader's batches, epoch after epoch."""
    while True:
        yield from batches


def our_step(
    arguments: argparse.Namespace, images: npt.NDArray[np.uint8]
) -> tuple[Callable[[], object], MachineOptions]:
    """Return a function that takes the next step of a run of the preset `dcgan`, and its machine options."""
    changes: dict[str, Any] = {
        "network.width": _WIDTH,
        "network.latent_dim": _LATENT,
        "optimizer.batch_size": peers.BATCH,
        "budget.images": 1,
        "machine.device": arguments.device,
        "machine.precision": arguments.precision,
        "machine.steps": arguments.steps,
        "machine.threads": arguments.threads,
    }
    pictures = PictureSet.from_arrays("noise", images)
    options = training.settle("dcgan", changes, pictures)
    step, _ = training.steps(options, pictures)
    return step, options.machine


def rates(step: Callable[[], object], seconds: float) -> list[float]:
    """Take steps for `seconds` seconds; return images per second of about every tenth of them."""
    found, start = list[float](), time.perf_counter()
    block = 1
    while time.perf_counter() - start < seconds:
        begun = time.perf_counter()
        for _ in range(block):
            step()
        training.finish()
        took = time.perf_counter() - begun
        found.append(peers.BATCH * block / took)
        if took < seconds / 20:  # about a tenth: on a GPU, waiting after each step would cost time
            block *= 2
    return found


def main() -> None:
    arguments = _arguments()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept.all))
        return
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device, images = torch.device(arguments.device), noise_pictures(_PICTURES)
    batches: Iterator[Tensor]
    if arguments.plain_in_memory:
        ready = torch.stack([DecodedPictures(images)[index] for index in range(peers.BATCH)]).to(device)
        batches = iter(lambda: ready, None)
    else:
        loader = DataLoader(
            DecodedPictures(images), peers.BATCH, shuffle=True, num_workers=arguments.loaders, drop_last=True
        )
        batches = endless(loader)
    found: dict[str, list[float]] = {"ours": [], "plain": []}
    ours, machine = our_step(arguments, images)
    console.say(f"ours: {machine.precision}, {machine.steps}, on {machine.device}")
    steps = {"ours": ours, "plain": plain_step(batches, device)}
    for turn in range(arguments.turns + 1):
        for name, step in steps.items():
            measured = rates(step, arguments.seconds if turn else min(arguments.seconds, 3))
            found[name] += measured[1:] or measured if turn else []  # the first turn warms up
            console.say(f"{name}: {measured[-1]:,.1f} images/s")
    kept.add(_line(arguments, machine, found))


def _line(
    arguments: argparse.Namespace, machine: MachineOptions, found: dict[str, list[float]]
) -> lines.Line:
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {
        "device": torch.cuda.get_device_name() if arguments.device.startswith("cuda") else "cpu",
        "precision": machine.precision,
        "steps": machine.steps,
        "threads": arguments.threads,
        "plain": "in memory" if arguments.plain_in_memory else f"{arguments.loaders} loaders",
        **{f"{name}_images_per_second": round(value, 1) for name, value in medians.items()},
        "ratio": round(medians["ours"] / medians["plain"], 3),
    }


def markdown(kept: list[lines.Line]) -> str:
    """Return the table of result lines."""
    rows = [
        (
            line["device"],
            f"{line['precision']}, {line['steps']}",
            lines.figure(line["ours_images_per_second"]),
            f"{lines.figure(line['plain_images_per_second'])} ({line['plain']})",
            f"{line['ratio']:.2f}",
        )
        for line in kept
    ]
    return lines.table(rows, ["device", "ours", "ours, images/s", "plain, images/s", "ratio"])


def _arguments() -> argparse.Namespace:
    parser = lines.parser(__doc__, "runs/dcgan_speed.jsonl")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of ours")
    parser.add_argument("--steps", choices=["auto", "eager", "compiled", "graphed"], default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--loaders", type=int, default=2, help="the plain loop's worker processes")
    parser.add_argument("--plain-in-memory", action="store_true")
    parser.add_argument("--seconds", type=float, default=15.0, help="a turn")
    parser.add_argument("--turns", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
