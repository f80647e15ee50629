"""Names this machine's processor, and its units for bfloat16."""

from __future__ import annotations

import functools
import platform
from pathlib import Path
from typing import Final

# By the names of Linux: matrix units (Intel), and products of pairs in vectors (Intel and AMD).
_BFLOAT16: Final = ("amx_bf16", "avx512_bf16")
CPU_INFO: Final = Path("/proc/cpuinfo")


def name() -> str:
    """Return the processor's name as the system states it, else its kind, such as "arm64"."""
    return read_cpu_info().get("model name") or platform.processor() or platform.machine() or "unknown"


def bfloat16_units() -> str:
    """Name the processor's units for bfloat16; "" if it has none, or does not say."""
    flags = set(read_cpu_info().get("flags", "").split())
    return next((flag for flag in _BFLOAT16 if flag in flags), "")


@functools.lru_cache(maxsize=1)
def read_cpu_info() -> dict[str, str]:
    """Return what Linux says of the first core, by name; {} on other systems."""
    try:
        first = CPU_INFO.read_text(errors="replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
