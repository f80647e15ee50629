"""Compares whole processes: `gan-infer grid --label 4` with a bare script, imports of the SDK with numpy.

    python -m benchmarks.startup

The bare script imports numpy and onnxruntime, loads the same file and runs the same batch; it
writes no picture. `ratio` is of elapsed time, `processor_ratio` of processor time, which is more reliable
on a busy machine. `import_ms` is the cost of `import gan_infer` over `import numpy`, `generator_ms` that of
`from gan_infer import Generator`, each the median of differences of pairs; `import_control_ms` the
same for numpy against itself. All are run in turn. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gan_infer.modelfile import catalog

ROUNDS = 15
IMPORTS = 21
BARE = """
import sys
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level = 3  # its warnings would be a part of the time
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
latent = np.random.default_rng(0).standard_normal((64, 64), np.float32)
session.run(["image"], {"latent": latent, "label": np.full(64, 4)})
"""


def process_ms(command: list[str], bytecode: Path) -> tuple[float, float]:
    """Return (elapsed, processor) milliseconds of a command, its Python compiled as if installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return elapsed * 1e3, busy * 1e3


def in_turn(commands: dict[str, list[str]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the (elapsed, processor) milliseconds of each command in each round, in changing order."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(rounds + 1):
            for name in list(commands) if index % 2 else list(commands)[::-1]:
                spent = process_ms(commands[name], Path(folder))
                if index:  # the first round compiles, and warms the disk cache
                    times[name].append(spent)
    return times


def import_cost() -> dict[str, float]:
    """Return what importing gan_infer costs over numpy alone, in milliseconds."""
    codes = {
        "numpy": "import numpy",
        "gan_infer": "import gan_infer",
        "generator": "from gan_infer import Generator",
        "again": "import numpy",
    }
    times = in_turn({name: [sys.executable, "-c", code] for name, code in codes.items()}, IMPORTS)

    def over(name: str, which: int) -> float:
        pairs = zip(times[name], times["numpy"], strict=True)
        return round(statistics.median(mine[which] - bare[which] for mine, bare in pairs), 1)

    return {
        "import_ms": over("gan_infer", 0),
        "import_processor_ms": over("gan_infer", 1),
        "generator_ms": over("generator", 0),
        "generator_processor_ms": over("generator", 1),
        "import_control_ms": over("again", 0),
    }


def grid_cost() -> dict[str, object]:
    """Return the ratio of a sheet to the bare script, and the median of each in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        script, sheet = Path(folder, "bare.py"), Path(folder, "grid.png")
        script.write_text(BARE)
        grid = str(Path(sys.executable).with_name("gan-infer"))
        commands = {
            "grid": [grid, "grid", "--label", "4", "--to", str(sheet)],
            "bare": [sys.executable, str(script), str(catalog.find(catalog.DEFAULT))],
        }
        times = in_turn(commands, ROUNDS)
    pairs = list(zip(times["grid"], times["bare"], strict=True))
    elapsed, busy = (statistics.median(mine[i] / bare[i] for mine, bare in pairs) for i in (0, 1))
    medians = {name: round(statistics.median(each for each, _ in times[name])) for name in times}
    return {"ratio": round(elapsed, 3), "processor_ratio": round(busy, 3), "median_ms": medians}


def main() -> None:
    print(json.dumps({**grid_cost(), "rounds": ROUNDS, **import_cost()}))


if __name__ == "__main__":
    main()
