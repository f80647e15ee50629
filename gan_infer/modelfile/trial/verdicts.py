"""What trials found, kept by the SHA-256 of the file: in this process, and in a folder between runs.

A verdict is one small file of JSON, `verdicts/<sha256>.json` in GANFORGE_HOME. One of other rules, of
another version of the runtime, or that somebody else than this user (or root) wrote, is passed over.
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

# Raised whenever a rule of the vetting or of the trial changes, so that files are tried anew.
RULES: Final = 3
_MAX_BYTES: Final = 65_536


@dataclasses.dataclass(frozen=True)
class TrialVerdict:
    """What a trial found of a file that may be opened.

    Attributes:
        batch: pictures in one call, at most.
        limited: it was tried within a limit of memory; else the stricter static bounds held.
        golden: how its golden pictures came out, a result of `gan_infer.modelfile.golden`.
        tried: by a process of its own; else the stricter bounds of the vetting held, and that is not kept.
        note: what is to be said at each load; "" where nothing is.
        open_s, picture_s: of the processor.
        memory: bytes that the trial took at most; 0 where it is not known.
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
        RuntimeError: the user's home cannot be told.
    """
    return files.home() / "verdicts"


def find(sha256: str, runtime: str) -> TrialVerdict | None:
    """Return the verdict on a file, None where there is none for this version of the runtime."""
    if (known := _known.get((sha256, runtime))) is not None:
        return known
    try:
        told = json.loads(_read(folder() / f"{sha256}.json"))
        kept = {field.name: told[field.name] for field in dataclasses.fields(TrialVerdict)}
        right = told["rules"] == RULES and told["runtime"] == runtime and told["sha256"] == sha256
        if not right or not _fits(kept):
            return None
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, RecursionError, GanError):
        return None
    _known[sha256, runtime] = found = TrialVerdict(**kept)
    return found


def forget() -> None:
    """Hold no verdict in memory, as a new process does."""
    _known.clear()


def remember(sha256: str, runtime: str, verdict: TrialVerdict) -> None:
    """Keep a verdict for this process alone."""
    _known[sha256, runtime] = verdict


def keep(sha256: str, runtime: str, verdict: TrialVerdict) -> str:
    """Keep a verdict; give why it is kept for this process alone, "" where it is not."""
    remember(sha256, runtime, verdict)
    told = {"rules": RULES, "runtime": runtime, "sha256": sha256, **dataclasses.asdict(verdict)}
    try:
        files.write(folder() / f"{sha256}.json", json.dumps(told, sort_keys=True).encode() + b"\n")
    except (GanError, OSError, RuntimeError, ValueError) as error:
        return str(error).split(";", maxsplit=1)[0]
    return ""


def _read(path: Path) -> bytes:
    # Without waiting, for there may be a pipe in its place.
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
