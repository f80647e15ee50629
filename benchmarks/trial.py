"""What the first load of a model file costs, with its trial, and what each later load costs.

    python -m benchmarks.trial [FILE ...]

Without files, copies of the shipped models that no machine knows. `first_ms` is a load with the trial;
`known_ms` one of a file whose verdict is on disk; `trusted_ms` one that is vetted and opened without a
trial, as every load was before there were trials. All are run in turn, in one process that has imported
everything; each number is a median. `known_ratio` is that of known to trusted, the median of pairs. The
last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from gan_infer import Generator, catalog
from gan_infer.trial import verdicts

ROUNDS = 15


def load_ms(body: bytes, trust: bool = False) -> float:
    """Give the milliseconds of a load, by a process that holds no verdict in memory."""
    verdicts.forget()
    start = time.perf_counter()
    Generator.load(body, device="cpu", trust=trust).close()
    return (time.perf_counter() - start) * 1e3


def measure(body: bytes, rounds: int = ROUNDS) -> dict[str, float]:
    """Give the medians of a file's loads, in an empty GANFORGE_HOME."""
    times: dict[str, list[float]] = {"first_ms": [], "known_ms": [], "trusted_ms": []}
    for index in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home:
            os.environ["GANFORGE_HOME"] = home
            spent = {
                "trusted_ms": load_ms(body, trust=True),
                "first_ms": load_ms(body),
                "known_ms": load_ms(body),
            }
        if index:  # the first round imports
            for name, each in spent.items():
                times[name].append(each)
    medians = {name: round(statistics.median(each), 1) for name, each in times.items()}
    pairs = zip(times["known_ms"], times["trusted_ms"], strict=True)
    return {**medians, "known_ratio": round(statistics.median(known / new for known, new in pairs), 3)}


def unknown(path: Path) -> bytes:
    """Give a model file's bytes with another name of its producer, by which no catalog knows it."""
    return path.read_bytes().replace(b"ganforge", b"somebody", 1)  # the first is the producer's


def main() -> None:
    files = {path: Path(path).read_bytes() for path in sys.argv[1:]}
    shipped = {name: unknown(path) for name, path in catalog.shipped_models().items()}
    print(json.dumps({name: measure(body) for name, body in (files or shipped).items()}))


if __name__ == "__main__":
    main()
