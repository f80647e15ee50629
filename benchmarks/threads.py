"""Compares one Generator shared by eight threads with the same calls one after the other, in turn.

    python -m benchmarks.threads [--threads 2]

8 threads of 200 calls, batch 1, on the shipped digits and the CPU. Serial and shared turns
alternate; the last line is JSON: `ratio` is the throughput of the threads over that of serial
calls (1 or more: sharing costs nothing), `equal` whether each caller got the bytes of its serial
call, `control` the serial turn against itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from gan_infer import Generator

CALLERS = 8
CALLS = 200
# Turns are short, so that other work of the machine affects both alike.
TURN = 20


def turns(rounds: int, threads: int | None) -> dict[str, object]:
    """Time `rounds` pairs of turns of CALLERS x TURN calls."""
    times: dict[str, list[float]] = {"serial": [], "shared": [], "again": []}
    equal = True
    with (
        Generator.load("digits", device="cpu", threads=threads) as generator,
        ThreadPoolExecutor(CALLERS) as pool,
    ):

        def draw(first: int) -> list[bytes]:
            return [
                generator.sample(1, label=seed % 10, seed=seed).tobytes()
                for seed in range(first, first + TURN)
            ]

        for index in range(rounds):
            starts = [(index * CALLERS + caller) * TURN for caller in range(CALLERS)]
            drawn = {}
            for name in ("serial", "shared", "again") if index % 2 else ("again", "shared", "serial"):
                start = time.perf_counter()
                drawn[name] = list(pool.map(draw, starts)) if name == "shared" else list(map(draw, starts))
                times[name].append(time.perf_counter() - start)
            equal &= drawn["serial"] == drawn["shared"]
        used = generator._session.threads
    serial, shared, again = (statistics.median(times[name]) for name in ("serial", "shared", "again"))
    return {
        "ratio": round(serial / shared, 3),
        "control": round(serial / again, 3),
        "equal": equal,
        "serial_ms_a_call": round(serial / (CALLERS * TURN) * 1e3, 3),
        "threads": used,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, help="as of Generator.load")
    print(json.dumps(turns(CALLS // TURN, parser.parse_args().threads)))


if __name__ == "__main__":
    main()
