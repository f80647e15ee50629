"""Keeps the verdicts of trials by the SHA-256 of the file, in this process and in a folder between runs.

A verdict is a small JSON file, `verdicts/<sha256>.json` in GANFORGE_HOME. It is ignored if it has other
rules or another version of the runtime, or if another user than this one (or root) wrote it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from gan_infer import files
from gan_infer.errors import GanError

# Increased when a rule of the vetting or of the trial changes, so that files are tried again.
RULES: Final = 3
_MAX_BYTES: Final = 65_536


@dataclasses.dataclass(frozen=True)
class TrialVerdict:
    """The result of a trial, for a file that may be opened.

    Attributes:
        batch: the most pictures in one call.
        limited: True if the trial had a memory limit; else the file met the stricter static bounds.
        golden: the result of comparing its golden pictures, see `gan_infer.modelfile.golden`.
        tried: True if a process tried it; else the file met the stricter bounds, and this is not kept.
        note: a text for the user at each load; "" if there is none.
        open_s, picture_s: processor time.
        memory: the most bytes that the trial used; 0 if not known.
    """

    batch: int
    limited: bool = False
    golden: str = ""
    tried: bool = True
    note: str = ""
    open_s: float = 0.0
    picture_s: float = 0.0
    memory: int = 0


_known: dict[tuple[str, str], TrialVerdict] = {}


def folder() -> Path:
    """Return the folder in which verdicts are kept.

    Raises:
        RuntimeError: the user's home folder is not known.
    """
    return files.home() / "verdicts"


def find(sha256: str, runtime: str) -> TrialVerdict | None:
    """Return the verdict on a file; None if there is none for this version of the runtime."""
    if (known := _known.get((sha256, runtime))) is not None:
        return known
    try:
        data = json.loads(_read(folder() / f"{sha256}.json"))
        kept = {field.name: data[field.name] for field in dataclasses.fields(TrialVerdict)}
        right = data["rules"] == RULES and data["runtime"] == runtime and data["sha256"] == sha256
        if not right or not _fits(kept):
            return None
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, RecursionError, GanError):
        return None
    _known[sha256, runtime] = found = TrialVerdict(**kept)
    return found


def forget() -> None:
    """Forget the verdicts in memory, as in a new process."""
    _known.clear()


def remember(sha256: str, runtime: str, verdict: TrialVerdict) -> None:
    """Keep a verdict in this process only."""
    _known[sha256, runtime] = verdict


def keep(sha256: str, runtime: str, verdict: TrialVerdict) -> str:
    """Keep a verdict in the folder, too; return why that is not possible, else ""."""
    remember(sha256, runtime, verdict)
    data = {"rules": RULES, "runtime": runtime, "sha256": sha256, **dataclasses.asdict(verdict)}
    try:
        files.write(folder() / f"{sha256}.json", json.dumps(data, sort_keys=True).encode() + b"\n")
    except (GanError, OSError, RuntimeError, ValueError) as error:
        return str(error).split(";", maxsplit=1)[0]
    return ""


def _read(path: Path) -> bytes:
    # Without waiting, because the path may be a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        own = not hasattr(os, "geteuid") or facts.st_uid in (os.geteuid(), 0)
        anybodys = os.name == "posix" and facts.st_mode & stat.S_IWOTH
        if not own or not stat.S_ISREG(facts.st_mode) or anybodys:
            raise PermissionError
        return file.read(_MAX_BYTES)


def _fits(kept: dict[str, Any]) -> bool:
    return (
        type(kept["batch"]) is int
        and kept["batch"] >= 1
        and type(kept["limited"]) is type(kept["tried"]) is bool
        and all(isinstance(kept[name], str) for name in ("golden", "note"))
        and all(type(kept[name]) in (int, float) for name in ("open_s", "picture_s", "memory"))
    )
