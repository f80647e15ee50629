from __future__ import annotations

import os
from pathlib import Path

import pytest

from gan_infer.runtime import cpu_count


def tree(root: Path, group: str, files: dict[str, str]) -> Path:
    """Make a faked /proc and /sys."""
    for name, text in {"proc/self/cgroup": group, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "200000\n"}, 2.0),  # the period may be left out
        ("0::/\n", {}, None),
        ("", {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, None),  # in no group
        # The tightest of a group and those around it holds.
        (
            "0::/pod/box\n",
            {"sys/fs/cgroup/pod/cpu.max": "50000 100000", "sys/fs/cgroup/pod/box/cpu.max": "300000 100000"},
            0.5,
        ),
        # The path is the host's; inside the container its own group is the mount.
        ("0::/kubepods/pod7/box\n", {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4.0),
        ("0::/../../other\n", {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4.0),
        # Version 1.
        (
            "5:memory:/box\n4:cpu,cpuacct:/box\n",
            {
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/box/cpu.max": "1 100000",
            },
            2.5,
        ),
        (
            "4:cpuacct,cpu:/host/path\n",
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000"},
            2.0,
        ),
        # Both at once: version 2 beside version 1.
        (
            "4:cpu:/\n0::/box\n",
            {
                "sys/fs/cgroup/unified/box/cpu.max": "120000 100000",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1.2,
        ),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "\x00\xff nonsense"}, None),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "100000 0"}, None),
    ],
)
def test_quotas_of_both_versions_are_read(
    tmp_path: Path, group: str, files: dict[str, str], expected: float | None
) -> None:
    assert cpu_count.count_by_cgroup(tree(tmp_path, group, files)) == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [(8, "max", 8), (8, "400000", 4), (2, "400000", 2), (8, "150000", 2), (8, "10000", 1)],
)
def test_the_smaller_of_affinity_and_quota_is_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, affinity: int, quota: str, expected: int
) -> None:
    root = tree(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": f"{quota} 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cpu_count.count_usable(root) == expected


def test_without_affinity_or_groups_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu_count.count_usable(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu_count.count_usable(tmp_path) == 1


def test_here_there_is_at_least_one_core_and_no_more_than_the_host_has() -> None:
    assert 1 <= cpu_count.count_usable() <= (os.cpu_count() or 1)
