"""Interrupts each command in each of its phases, and measures how long it takes to end.

    python -m benchmarks.interruption --signal SIGINT

Each case is started; a little after its stderr shows the beginning of its phase, it gets the signal.
Prints one JSON line per case: the seconds to its end, its exit code, its last line, and what it left behind:
parts of files, and threads or processes still running (none should be).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

_PATIENCE_S: Final = 240.0
_TINY: Final = ("--width", "4", "--batch-size", "16", "--precision", "fp32", "--threads", "1")
# By name: the arguments, the text on stderr before the signal, and the seconds to wait after it.
CASES: Final[dict[str, tuple[tuple[str, ...], str, float]]] = {
    "fit: importing": (("fit", "grey", "--images", "1000", *_TINY), "loading PyTorch", 0.3),
    "fit: decoding": (("fit", "large", "--images", "1000", *_TINY), "decoded 1,000 ", 0.0),
    "fit: measuring the speed": (("fit", "grey", "--minutes", "1"), "decoded 1,200 of", 2.0),
    "fit: the classifier": (("fit", "grey", "--images", "1000", *_TINY), "training a small classifier", 2.0),
    "fit: features of the data": (
        ("fit", "colour", "--images", "9000", "--set", "evaluation.network=efficientnet-lite0", *_TINY),
        "run runs/colour",
        3.0,
    ),
    "fit: steps": (
        (
            *("fit", "grey", "--images", "90000", "--reports", "1", "--out", "runs/steps", *_TINY),
            *("--set", "evaluation.samples=0"),
        ),
        "run runs/steps",
        4.0,
    ),
    "fit: a report": (
        (
            *("fit", "colour", "--images", "32", "--reports", "1", "--out", "runs/report", *_TINY),
            *("--set", "evaluation.samples=9000", "--set", "evaluation.network=efficientnet-lite0"),
        ),
        "score: real pictures",
        0.5,
    ),
    "data check": (("data", "check", "large"), "decoded 1,000 ", 0.0),
    "export": (("export", "--run", "whole", "--to", "gen.onnx"), "exporting", 0.7),
    "export, the critic": (("export", "--run", "whole", "--critic", "c.onnx"), "exporting", 2.0),
    "evaluate": (("evaluate", "--run", "whole", "--samples", "20000", "--network", "pixels"), "drawing", 0.5),
    "invert": (("invert", "grey/a/00000.png", "--run", "whole", "--to", "near.png"), "loading PyTorch", 4.0),
    "directions": (
        ("directions", "--model", "digits", "--to", "d.onnx", "--attribute", "slant", "--samples", "900000"),
        "measured",
        0.0,
    ),
}


def make_pictures(folder: Path, count: int, side: int, channels: int) -> None:
    """Write pictures of noise in two classes."""
    chance = np.random.default_rng(0)
    for index in range(count):
        path = folder / ("a" if index % 2 else "b") / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = chance.integers(0, 256, (side, side, channels), dtype=np.uint8)
        Image.fromarray(levels if channels > 1 else levels[:, :, 0]).save(path, compress_level=1)


def interrupt(folder: Path, name: str, number: int) -> dict[str, object]:
    """Start a case, signal it in its phase, and return how it ended."""
    arguments, begins, after = CASES[name]
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_train", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "GANFORGE_HOME": str(folder / "home")},
    )
    assert process.stderr is not None
    said = list(_until(process.stderr, begins))
    time.sleep(after)
    ended_before = process.poll() is not None
    start = time.monotonic()
    process.send_signal(number)
    _, rest = process.communicate(timeout=_PATIENCE_S)
    seconds = time.monotonic() - start
    told = [*said, *rest.splitlines()]
    return {
        "case": name,
        "seconds": round(seconds, 2),
        "code": process.returncode,
        "last": told[-1] if told else "",
        "ended_before": ended_before,
        "left": [path.name for path in folder.rglob(".*.part*")],
        "running": _members(process.pid),
    }


def _until(lines: Iterator[str], begins: str) -> Iterator[str]:
    for line in lines:
        yield line.rstrip()
        if begins in line:
            return


def _members(group: int) -> int:
    """Count the processes that are left in a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return 0
    return 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--signal", default="SIGINT", choices=["SIGINT", "SIGTERM", "SIGHUP"])
    parser.add_argument("cases", nargs="*", help="beginnings of their names  [default: all]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interruption-") as name:
        folder = Path(name)
        make_pictures(folder / "grey", 1200, 16, 1)
        make_pictures(folder / "colour", 900, 16, 3)
        make_pictures(folder / "large", 2400, 128, 3)
        fit = ["fit", "digits", "--images", "64", "--set", "evaluation.samples=0", "--out", "whole", *_TINY]
        subprocess.run([sys.executable, "-m", "gan_train", *fit], cwd=folder, check=True, capture_output=True)
        for case in CASES:
            if not arguments.cases or case.startswith(tuple(arguments.cases)):
                print(json.dumps(interrupt(folder, case, getattr(signal, arguments.signal))), flush=True)


if __name__ == "__main__":
    main()
