"""Measures the first load of a model file, with its trial, and each later load.

    python -m benchmarks.trial [FILE ...]

Without files, copies of the shipped models that no machine knows. `first_ms` is a load with the trial;
`known_ms` one of a file whose verdict is on disk; `trusted_ms` one that is vetted and opened without a
trial, as every load was before there were trials; `first_processor_ms` is the processor time of the first,
that of the trial's process included, which is more reliable on a busy machine. All are run in turn, in one
process that has imported everything; each number is a median. `known_ratio` is that of known to trusted,
the median of pairs. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from gan_infer import Generator
from gan_infer.modelfile import catalog
from gan_infer.modelfile.trial import verdicts

ROUNDS = 15


def load_ms(body: bytes, trust: bool = False) -> tuple[float, float]:
    """Return (elapsed, processor) milliseconds of a load, by a process that holds no verdict in memory."""
    verdicts.forget()
    start, busy = time.perf_counter(), processor_s()
    Generator.load(body, device="cpu", trust=trust).close()
    return (time.perf_counter() - start) * 1e3, (processor_s() - busy) * 1e3


def processor_s() -> float:
    """Return the processor seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])


def measure(body: bytes, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the medians of a file's loads, in an empty GANFORGE_HOME."""
    names = ("first_ms", "first_processor_ms", "known_ms", "trusted_ms")
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home:
            os.environ["GANFORGE_HOME"] = home
            trusted, first, known = load_ms(body, trust=True), load_ms(body), load_ms(body)
        if index:  # the first round imports
            for name, spent in zip(names, (*first, known[0], trusted[0]), strict=True):
                times[name].append(spent)
    medians = {name: round(statistics.median(each), 1) for name, each in times.items()}
    pairs = zip(times["known_ms"], times["trusted_ms"], strict=True)
    return {**medians, "known_ratio": round(statistics.median(late / new for late, new in pairs), 3)}


def unknown(path: Path) -> bytes:
    """Return a model file's bytes with another name of its producer, by which no catalog knows it."""
    return path.read_bytes().replace(b"ganforge", b"somebody", 1)  # the first is the producer's


def main() -> None:
    files = {path: Path(path).read_bytes() for path in sys.argv[1:]}
    shipped = {name: unknown(path) for name, path in catalog.shipped_models().items()}
    print(json.dumps({name: measure(body) for name, body in (files or shipped).items()}))


if __name__ == "__main__":
    main()
