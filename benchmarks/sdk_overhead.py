"""The SDK against bare onnxruntime on the shipped digits, in turn within one process.

    python -m benchmarks.sdk_overhead

Two comparisons at batch 1 and 64, on the CPU, the medians of many short turns:
`call` is gen(latents, labels) against session.run with the same arrays; `sample` is
gen.sample(n, label=4, seed=s) against drawing the latents of those seeds, making the label array
and session.run. The last line is JSON; `control` compares the bare call with itself.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime as ort

from gan_infer import Generator, latents

ROUNDS = 40
TURN = 10


def ratio(ours: Callable[[], object], bare: Callable[[], object], rounds: int) -> dict[str, float]:
    """Time both in turn; give the ratio of the medians, and our median in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(rounds):
        order = (0, 1) if index % 2 else (1, 0)  # neither always runs behind the other
        for which in order:
            (ours, bare)[which]()  # the other session's threads spin on for a moment
            for _ in range(TURN):
                start = time.perf_counter()
                (ours, bare)[which]()
                times[which].append(time.perf_counter() - start)
    mine, theirs = (statistics.median(each) for each in times)
    return {"ratio": round(mine / theirs, 3), "ms": round(mine * 1e3, 3)}


def main() -> None:
    generator = Generator.load("digits", device="cpu")
    session = ort.InferenceSession(generator.source, providers=["CPUExecutionProvider"])
    result: dict[str, object] = {}
    for batch in (1, 64):
        latent, label = generator.latents(range(batch)), np.full(batch, 4)
        rounds = ROUNDS * (8 if batch == 1 else 1)

        def bare(latent: np.ndarray = latent, label: np.ndarray = label) -> object:
            return session.run(["image"], {"latent": latent, "label": label})[0]

        def bare_from_seeds(batch: int = batch) -> object:
            drawn = latents.latents(np.arange(batch, dtype=np.uint64), 64)
            return session.run(["image"], {"latent": drawn, "label": np.full(batch, 4)})[0]

        def call(latent: np.ndarray = latent, label: np.ndarray = label) -> object:
            return generator(latent, label)

        def sample(batch: int = batch) -> object:
            return generator.sample(batch, label=4, seed=0)

        result[f"call, batch {batch}"] = ratio(call, bare, rounds)
        result[f"sample, batch {batch}"] = ratio(sample, bare_from_seeds, rounds)
        result[f"control, batch {batch}"] = ratio(bare, bare, rounds)
        for name in ("call", "sample", "control"):
            print(f"{name:>8}, batch {batch:>2}: {result[f'{name}, batch {batch}']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
