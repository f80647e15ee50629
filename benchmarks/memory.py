"""Measures the memory of 100,000 pictures through iter_batches: the peak must not grow with their number.

    python -m benchmarks.memory [--device cuda]

Prints the process's peak after every tenth of the way; the last line is JSON. `control` keeps
all pictures, as a caller would not: its growth shows that growth would be seen. On a GPU the
batches have every size in turn, and the device's own memory is printed beside the peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess

from gan_infer import Generator

PICTURES = 100_000


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_mib(generator: Generator) -> float | None:
    """Return the memory in use on the generator's GPU, by its driver; None on a CPU."""
    if not generator.device.startswith("cuda:"):
        return None
    ask = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    ask += ["--id", generator.device.removeprefix("cuda:")]
    return float(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)


def walk_sizes(generator: Generator) -> list[float | None]:
    """Return the device's memory after each of ten rounds of batches of 1 to 64 pictures."""
    used = []
    for _ in range(10):
        for size in range(1, 65):
            generator.sample(size, label=4, seed=0)
        used.append(device_mib(generator))
    return used


def walk(generator: Generator, keep: bool) -> list[float]:
    kept: list[object] = []
    peaks: list[float] = []
    done = 0
    for batch in generator.iter_batches(PICTURES, label=4, seed=0):
        done += len(batch)
        if keep:
            kept.append(batch)
        if done >= (len(peaks) + 1) * PICTURES // 10:
            peaks.append(round(peak_mib(), 1))
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="as of Generator.load")
    generator = Generator.load("digits", device=parser.parse_args().device)
    on_device = walk_sizes(generator) if generator.device.startswith("cuda:") else None
    if on_device:
        print("MiB on the device after each round of all batch sizes:", *on_device)
    flat = walk(generator, keep=False)
    print("MiB after each tenth:", *flat)
    control = walk(generator, keep=True)
    print("control, kept:       ", *control)
    growth, kept = flat[-1] - flat[0], control[-1] - control[0]
    print(
        json.dumps(
            {
                "growth_mib": round(growth, 1),
                "control_growth_mib": round(kept, 1),
                "peak_mib": flat[-1],
                "device": generator.device,
                "device_mib": on_device,
            }
        )
    )


if __name__ == "__main__":
    main()
