"""Kills training at random moments and resumes it, again and again: the end must be as if never stopped.

    python -m benchmarks.resume --kills 20
    python -m benchmarks.resume --kills 20 --signals SIGKILL SIGINT SIGTERM SIGHUP --data photos

A run is made once without a stop. Then the same command is started, killed (SIGKILL), or asked to stop by
one of the given signals in turn, at a random moment of the time it takes, started again, and so on until it
is complete; runs follow runs until there were that many kills. Every other kill waits from its moment for a
file that is being written, and comes up to 20 ms after it is seen. Each complete run
is compared with the one never stopped, bit for bit: checkpoints (weights, optimisers' state, average, facts),
config, log, measurements, events, sheets, walk, neighbours, `best` and `last`; only times are left out, and
no other file may be left. Prints one JSON line per kill and one at the end; stops at the first run that
differs or fails to resume, with exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import lines
from gan_infer import console

# Times, speeds, and the hash over them: they differ from run to run, as they should.
TIMES: Final = frozenset({"seconds", "images_per_second", "seconds_left", "facts_sha256"})
# For a checkpoint that is being written.
LONGEST_WAIT_S: Final = 30.0
_LATEST_STRIKE_S: Final = 0.02
_KILL: Final = int(getattr(signal, "SIGKILL", signal.SIGTERM))
_INTERRUPTED: Final = 130
_BY_ITSELF: Final = ("complete", "failed")


def command(arguments: argparse.Namespace, run: Path, **instead: Any) -> list[str]:
    """Return the training command of this benchmark for a run's folder, with changed options."""
    asked = {
        "images": arguments.images,
        "width": arguments.width,
        "reports": arguments.reports,
        "seed": arguments.seed,
        "threads": 1,
        "precision": arguments.precision,
        "out": run,
        "preset": arguments.preset,
        "set": f"evaluation.samples={arguments.samples}",
        **instead,
    }
    options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "gan_train", "fit", str(arguments.data), *options]


def state(run: Path) -> dict[str, Any]:
    """Return all parts of a run that must be equal, by file: bytes, or lines and facts without times."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir():
            continue
        if name in ("report.html", "times.jsonl"):  # hold times, but must exist
            found[name] = None
        elif path.suffix == ".jsonl":
            found[name] = [drop_times(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".json":
            found[name] = drop_times(json.loads(path.read_text()))
        else:
            found[name] = path.read_bytes()
    return found


def drop_times(value: Any) -> Any:
    """Return a JSON value without times and speeds, at any depth."""
    if isinstance(value, dict):
        return {key: drop_times(inner) for key, inner in value.items() if key not in TIMES}
    return [drop_times(inner) for inner in value] if isinstance(value, list) else value


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Name what differs between two states."""
    names = one.keys() | other.keys()
    return sorted(name for name in names if one.get(name, "none") != other.get(name, "none"))


def is_writing(run: Path) -> bool:
    """Return whether a file of the run is being written right now."""
    for place in (run / "checkpoints", run, run / "samples"):
        with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
            if any(entry.name.startswith(".") and ".part" in entry.name for entry in entries):
                return True
    return False


def strike(
    process: subprocess.Popen[bytes],
    run: Path,
    after: float,
    while_writing: bool,
    jitter: float,
    number: int = _KILL,
) -> str:
    """Kill a process after some seconds, or send it another signal, and return what it was doing.

    Returns:
        "anywhere" or "writing"; "complete" or "failed" where it had ended by itself.
    """
    end = time.monotonic() + after
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.005)
    end = time.monotonic() + LONGEST_WAIT_S
    met = "anywhere"
    while while_writing and met == "anywhere" and time.monotonic() < end and process.poll() is None:
        if is_writing(run):
            met = "writing"
            time.sleep(jitter)
        time.sleep(0.0002)
    ended = process.poll() is not None
    process.send_signal(number)
    process.wait()
    if not ended and process.returncode in (-number, _INTERRUPTED):
        return met
    return "complete" if process.returncode == 0 else "failed"


def kill_until_complete(
    arguments: argparse.Namespace, run: Path, duration: float, chance: random.Random
) -> Iterator[str]:
    """Start and kill a run until it ends by itself; yield how each start ended."""
    for life in itertools.count():
        with run.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(command(arguments, run), stdout=log, stderr=log)
            try:
                after, jitter = chance.uniform(0, duration), chance.uniform(0, _LATEST_STRIKE_S)
                numbers = [getattr(signal, name) for name in getattr(arguments, "signals", ["SIGKILL"])]
                number = numbers[life % len(numbers)]
                end = strike(process, run, after, life // len(numbers) % 2 == 0, jitter, number)
            finally:
                process.kill()
                process.wait()
        yield end
        if end in _BY_ITSELF:
            return


def run_whole(arguments: argparse.Namespace, run: Path, **instead: Any) -> float:
    """Make a run without a stop, with changed options, and return its seconds.

    Raises:
        RuntimeError: it failed.
    """
    start = time.monotonic()
    done = subprocess.run(command(arguments, run, **instead), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the run without a stop failed: {done.stderr[-500:]}")
    return time.monotonic() - start


def images_kept(run: Path) -> int:
    """Return the images seen at the newest checkpoint, 0 without one."""
    return max((int(path.stem) for path in run.glob("checkpoints/*.json") if path.stem.isdigit()), default=0)


def main() -> None:
    arguments = _arguments()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(markdown(kept.all))
        return
    chance = random.Random(arguments.chance)
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="resume-"))
    whole = folder / "whole"
    run_whole(arguments, folder / "first", images=1, reports=1)  # what is made once for the data
    duration = run_whole(arguments, whole)
    console.say(f"a run without a stop takes {duration:.1f} s")
    wanted = state(whole)
    kills, writes, runs, wrong = 0, 0, 0, list[str]()
    while kills < arguments.kills and not wrong:
        run = folder / f"run{runs}"
        for end in kill_until_complete(arguments, run, duration, chance):
            if end not in _BY_ITSELF:
                kills, writes = kills + 1, writes + (end == "writing")
                line = {"kill": kills, "run": runs, "while": end, "images_kept": images_kept(run)}
                print(json.dumps(line), flush=True)
        runs += 1
        if end == "failed":
            wrong.append(f"{run.name} failed to go on, see its log")
        differing = differences(wanted, state(run))
        wrong += [f"{run.name}/{name}" for name in differing]
        if not differing:
            shutil.rmtree(run)
    told = {"preset": arguments.preset, "kills": kills, "while_writing": writes, "runs": runs}
    kept.add({**told, "seconds_a_run": round(duration, 1), "different": wrong})
    if wrong:
        console.say(f"what differs is kept in {folder}")
        sys.exit(1)
    if arguments.folder is None:
        shutil.rmtree(folder)


def markdown(kept: list[lines.Line]) -> str:
    """Return the table of summaries."""
    rows = [
        (line["preset"], line["kills"], line["while_writing"], line["runs"], len(line["different"]))
        for line in kept
    ]
    return lines.table(
        rows, ["preset", "kills", "of them while writing", "runs completed", "files that differ"]
    )


def _arguments() -> argparse.Namespace:
    parser = lines.parser(__doc__, "runs/resume.jsonl")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", nargs="+", default=["SIGKILL"], help="sent in turn")
    parser.add_argument("--preset", default="resnet")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--reports", type=int, default=20)
    parser.add_argument("--samples", type=int, default=200, help="measured at every report; 0 for none")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--chance", type=int, default=0, help="seed of the moments; a machine's pace differs")
    parser.add_argument("--folder", type=Path, help="folder of the runs  [default: a temporary one]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
