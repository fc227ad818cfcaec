"""How much memory there is."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

MEMORY_SHARE = 0.8


def available_memory() -> float:
    """Bytes that a process can still allocate: the kernel's estimate, capped by a control group; inf where unknown.

    The files are read once a second at most, which is often enough and costs a small fit nothing.
    """
    return _available_in(int(time.monotonic()))


@lru_cache(maxsize=1)
def _available_in(_second: int) -> float:
    available = float("inf")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = 1024.0 * float(line.split()[1])
    except OSError:
        return available
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = float(Path("/sys/fs/cgroup/memory.current").read_text())
        if limit != "max":
            available = min(available, max(0.0, float(limit) - used))
    except (OSError, ValueError):
        pass
    return available


def usable_memory() -> float:
    """Bytes that one evaluation, or one model matrix, may take unless told otherwise."""
    return MEMORY_SHARE * available_memory()
