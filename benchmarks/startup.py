"""Whole processes: `gan-infer grid --label 4` against a bare script, imports of the SDK against numpy.

    python -m benchmarks.startup

The bare script imports numpy and onnxruntime, loads the same file and runs the same batch; it
writes no picture. `import_ms` is what `import gan_infer` costs over `import numpy`, `generator_ms` what
`from gan_infer import Generator` does, each the median of differences of pairs; `import_control_ms` the
same of numpy against itself. All are run in turn, in processor time as well, which tells more than the
clock on a busy machine. The last line is JSON.
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

from gan_infer import catalog

ROUNDS = 15
IMPORTS = 21
BARE = """
import sys
import numpy as np
import onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
latent = np.random.default_rng(0).standard_normal((64, 64), np.float32)
session.run(["image"], {"latent": latent, "label": np.full(64, 4)})
"""


def process_ms(code: str, bytecode: str) -> tuple[float, float]:
    """Give (elapsed, processor) milliseconds of Python running some code, compiled as if installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return elapsed * 1e3, busy * 1e3


def import_cost() -> dict[str, float]:
    """Give what importing gan_infer costs over numpy alone, in milliseconds."""
    codes = {
        "numpy": "import numpy",
        "gan_infer": "import gan_infer",
        "generator": "from gan_infer import Generator",
        "again": "import numpy",
    }
    with tempfile.TemporaryDirectory() as bytecode:
        times = {name: [process_ms(code, bytecode)] for name, code in codes.items()}
        for index in range(IMPORTS):
            for name in list(codes) if index % 2 else list(codes)[::-1]:
                times[name].append(process_ms(codes[name], bytecode))

    def over(name: str, which: int) -> float:
        pairs = zip(times[name][1:], times["numpy"][1:], strict=True)  # the first warmed the disk cache
        return round(statistics.median(mine[which] - bare[which] for mine, bare in pairs), 1)

    return {
        "import_ms": over("gan_infer", 0),
        "import_processor_ms": over("gan_infer", 1),
        "generator_ms": over("generator", 0),
        "generator_processor_ms": over("generator", 1),
        "import_control_ms": over("again", 0),
    }


def main() -> None:
    model = str(catalog.find(catalog.DEFAULT))
    times: dict[str, list[float]] = {"grid": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "bare.py")
        script.write_text(BARE)
        grid = str(Path(sys.executable).with_name("gan-infer"))
        commands = {
            "grid": [grid, "grid", "--label", "4", "--to", str(Path(folder, "grid.png"))],
            "bare": [sys.executable, str(script), model],
        }
        for index in range(ROUNDS + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                if index:  # the first round warms the disk cache
                    times[name].append(time.perf_counter() - start)
    ratios = [mine / bare for mine, bare in zip(times["grid"], times["bare"], strict=True)]
    medians = {name: round(statistics.median(each) * 1e3) for name, each in times.items()}
    result = {"ratio": round(statistics.median(ratios), 3), "median_ms": medians, "rounds": ROUNDS}
    print(json.dumps(result | import_cost()))


if __name__ == "__main__":
    main()
