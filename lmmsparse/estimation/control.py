"""Settings of a fit that have nothing to do with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lmmsparse.arguments import checked_choice, checked_count
from lmmsparse.errors import ArgumentError

OPTIMIZERS = ("newton", "cobyqa")
# Share of the memory that is available which one evaluation may take unless told otherwise.
MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class Control:
    """How a model is fitted.

    Parameters
    ----------
    optimizer : {"newton", "cobyqa"}
        Trust-region Newton on analytic derivatives, or SciPy's derivative-free COBYQA.
    tolerance : float
        The search ends when one more step is predicted to lower the criterion by less; for criteria d beyond 1e4 in
        size, by less than this times abs(d)/1e4.
    max_evaluations : int
        Limit of the Newton search; COBYQA may use ten times as many.
    memory_limit : float, optional
        Bytes that one evaluation may take; 80 % of the available memory by default.

    Examples
    --------
    >>> Control(optimizer="cobyqa").max_evaluations
    200
    """

    optimizer: str = "newton"
    tolerance: float = 1e-10
    max_evaluations: int = 200
    memory_limit: float | None = None

    def __post_init__(self) -> None:
        checked_choice("control", "optimizer", self.optimizer, OPTIMIZERS)
        if not (_is_number(self.tolerance) and 0 < self.tolerance < np.inf):
            raise ArgumentError(f"control: tolerance must be a positive number, got {self.tolerance!r}")
        checked_count("control", "max_evaluations", self.max_evaluations)
        if self.memory_limit is not None and not (_is_number(self.memory_limit) and self.memory_limit > 0):
            raise ArgumentError(f"control: memory_limit must be a positive number, got {self.memory_limit!r}")

    @property
    def memory_bytes(self) -> float:
        """The limit in force."""
        return MEMORY_SHARE * available_memory() if self.memory_limit is None else float(self.memory_limit)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def as_control(control: Control | Mapping[str, Any] | None) -> Control:
    """A `Control` from one, from a mapping of its fields, or from None."""
    if control is None:
        return Control()
    if isinstance(control, Control):
        return control
    if not isinstance(control, Mapping):
        raise ArgumentError(f"control must be a Control or a dict of its settings, got {type(control).__name__}")
    known = [field.name for field in fields(Control)]
    unknown = [key for key in control if key not in known]
    if unknown:
        raise ArgumentError(f"control: unknown setting {unknown[0]!r}; there are {', '.join(known)}")
    return Control(**control)


def available_memory() -> float:
    """Bytes that a process can still allocate: the kernel's estimate, capped by a control group; inf where unknown."""
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
