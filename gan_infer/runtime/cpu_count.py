"""Counts the processor cores that this process may use, by affinity and cgroup quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def count_usable(root: Path = _ROOT) -> int:
    """Return the number of cores that this process can keep busy, at least 1.

    It is the smaller of affinity and quota; a quota of 1.5 cores counts as 2, because a second thread
    still gains half a core. The host's own count, which a container also sees, does not matter.
    """
    quota = count_by_cgroup(root)
    return count_by_affinity() if quota is None else max(1, min(count_by_affinity(), math.ceil(quota)))


def count_by_affinity() -> int:
    """Return how many cores the scheduler may use for this process (taskset, cpuset), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def count_by_cgroup(root: Path = _ROOT) -> float | None:
    """Return the quota of control groups, in cores; None where they set no limit.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`) of this process's group and of
    its parents; the smallest limit counts. `root` is the folder that holds /proc and /sys.
    """
    limits = [
        limit
        for folder in _list_groups(root)
        for limit in (_read_version_2(folder), _read_version_1(folder))
        if limit
    ]
    return min(limits, default=None)


def _list_groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, from the innermost to the mount."""
    mounts = root / "sys" / "fs" / "cgroup"
    for line in _read_text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 names no controllers here; next to version 1 it is mounted as `unified`.
        for name in (controllers, "cpu") if controllers else ("", "unified"):
            mount = mounts / name
            # In a container the path may be the host's and not exist: then the mount itself counts.
            parts = [part for part in inside.split("/") if part not in ("", ".", "..")]
            for depth in range(len(parts), -1, -1):
                yield mount.joinpath(*parts[:depth])


def _read_version_2(folder: Path) -> float | None:
    quota, _, period = _read_text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period or "100000")


def _read_version_1(folder: Path) -> float | None:
    return _ratio(_read_text(folder / "cpu.cfs_quota_us"), _read_text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Return quota over period, both in microseconds; None for "max", -1, nothing or nonsense."""
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return limit if limit > 0 else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
