"""The machine: processor, cores, memory, system."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def describe() -> dict[str, Any]:
    """What the times depend on."""
    return {
        "cpu": _processor(),
        "cores": cores(),
        "memory_gb": round(memory() / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Bytes of memory."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def limit_memory(size: int) -> None:
    """Let allocations of this process fail beyond `size` bytes, so that a greedy program does not end the others."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def environment(threads: int | None) -> dict[str, str]:
    """Variables that limit a program's threads; none without a limit, so that the caller's own do not count."""
    kept = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    return kept if threads is None else kept | dict.fromkeys(THREAD_VARIABLES, str(threads))
