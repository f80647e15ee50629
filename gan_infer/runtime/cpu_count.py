"""How many processor cores this process may use, by affinity and cgroup quota; it starts no threads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def usable(root: Path = _ROOT) -> int:
    """Return the cores that this process can keep busy: at least 1.

    The smaller of affinity and quota; a quota of 1.5 cores counts as 2, for a second thread still
    gains half a core. The host's own count, which a container also sees, plays no part.
    """
    quota = by_cgroup(root)
    return by_affinity() if quota is None else max(1, min(by_affinity(), math.ceil(quota)))


def by_affinity() -> int:
    """Return the cores that the scheduler may put this process on (taskset, cpuset), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def by_cgroup(root: Path = _ROOT) -> float | None:
    """Return the cores' worth of time that control groups grant; None where they set no limit.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`) of this process's group and of
    those around it, the tightest of which holds. `root` is where /proc and /sys are.
    """
    limits = [
        limit for folder in _groups(root) for limit in (_version_2(folder), _version_1(folder)) if limit
    ]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Return the folders of the groups that this process is in, from the inmost to the mount."""
    mounts = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has no controllers in the line; beside version 1 it is mounted as `unified`.
        for name in (controllers, "cpu") if controllers else ("", "unified"):
            mount = mounts / name
            # In a container the path may be that of the host and lead nowhere: then the mount is ours.
            parts = [part for part in inside.split("/") if part not in ("", ".", "..")]
            for depth in range(len(parts), -1, -1):
                yield mount.joinpath(*parts[:depth])


def _version_2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period or "100000")


def _version_1(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Return quota over period, both in microseconds; None for "max", -1, nothing or nonsense."""
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return limit if limit > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
