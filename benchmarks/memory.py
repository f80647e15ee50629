"""Memory of 100,000 pictures through iter_batches: the peak must not grow with their number.

    python -m benchmarks.memory

Prints the process's peak after every tenth of the way; the last line is JSON. `control` keeps
what iter_batches gives, as a caller would not: its growth shows that growth would be seen.
"""

from __future__ import annotations

import json
import resource

from gan_infer import Generator

PICTURES = 100_000


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    generator = Generator.load("digits", device="cpu")
    flat = walk(generator, keep=False)
    print("MiB after each tenth:", *flat)
    control = walk(generator, keep=True)
    print("control, kept:       ", *control)
    growth, kept = flat[-1] - flat[0], control[-1] - control[0]
    print(
        json.dumps(
            {"growth_mib": round(growth, 1), "control_growth_mib": round(kept, 1), "peak_mib": flat[-1]}
        )
    )


if __name__ == "__main__":
    main()
