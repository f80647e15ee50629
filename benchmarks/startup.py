"""`gan-infer grid --label 4` as a whole process, against a bare script that makes the same pictures.

    python -m benchmarks.startup

The bare script imports numpy and onnxruntime, loads the same file and runs the same batch; it
writes no picture. Both are run in turn. The last line is JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gan_infer import catalog

ROUNDS = 15
BARE = """
import sys
import numpy as np
import onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
latent = np.random.default_rng(0).standard_normal((64, 64), np.float32)
session.run(["image"], {"latent": latent, "label": np.full(64, 4)})
"""


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
    print(json.dumps({"ratio": round(statistics.median(ratios), 3), "median_ms": medians, "rounds": ROUNDS}))


if __name__ == "__main__":
    main()
