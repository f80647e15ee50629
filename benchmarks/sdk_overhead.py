"""Compares the SDK with bare onnxruntime on the shipped digits, in turn within one process.

    python -m benchmarks.sdk_overhead

Two comparisons at batch 1 and 64, on the CPU, the medians of many short rounds:
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

from gan_infer import Generator
from gan_infer.latent import seeds

# Rounds of a pair, by batch size.
ROUNDS = {1: 40, 64: 6}
TURN = 10
# The place of a session's weights in memory makes it faster or slower by a few per cent, for all its
# life; so several are compared.
PAIRS = 4


def settle() -> None:
    """Wait until no thread of this process computes: those of the other session spin for a moment."""
    while True:
        before = time.process_time()
        time.sleep(0.005)
        if time.process_time() - before < 0.0005:
            return


def ratios(ours: Callable[[], object], bare: Callable[[], object], rounds: int) -> list[tuple[float, float]]:
    """Time both in turn; return each round's ratio of medians, and our median in seconds.

    A round's ratio is of neighbours in time, so that a machine that grows slower changes both.
    """
    found = []
    for index in range(rounds):
        order = (0, 1) if index % 2 else (1, 0)  # neither always runs behind the other
        middle = [0.0, 0.0]
        for which in order:
            settle()
            (ours, bare)[which]()
            times = []
            for _ in range(TURN):
                start = time.perf_counter()
                (ours, bare)[which]()
                times.append(time.perf_counter() - start)
            middle[which] = statistics.median(times)
        found.append((middle[0] / middle[1], middle[0]))
    return found


def pair(batch: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Compare a generator and a bare session, both newly opened."""
    generator = Generator.load("digits", device="cpu")
    options = ort.SessionOptions()
    options.log_severity_level = 3  # else it warns about optional inputs at each start
    session = ort.InferenceSession(generator.source, options, providers=["CPUExecutionProvider"])
    latent, label = generator.latents(range(batch)), np.full(batch, 4)

    def bare() -> object:
        return session.run(["image"], {"latent": latent, "label": label})[0]

    def bare_from_seeds() -> object:
        drawn = seeds.latents(np.arange(batch, dtype=np.uint64), 64)
        return session.run(["image"], {"latent": drawn, "label": np.full(batch, 4)})[0]

    return {
        "call": ratios(lambda: generator(latent, label), bare, rounds),
        "sample": ratios(lambda: generator.sample(batch, label=4, seed=0), bare_from_seeds, rounds),
        "control": ratios(bare, bare, rounds),
    }


def main() -> None:
    result = {}
    for batch, rounds in ROUNDS.items():
        pairs = [pair(batch, rounds) for _ in range(PAIRS)]
        for name in pairs[0]:
            found = [each for one in pairs for each in one[name]]
            middle, seconds = (statistics.median(column) for column in zip(*found, strict=True))
            told = {"ratio": round(middle, 3), "ms": round(seconds * 1e3, 3)}
            result[f"{name}, batch {batch}"] = told
            print(f"{name:>8}, batch {batch:>2}: {told}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
