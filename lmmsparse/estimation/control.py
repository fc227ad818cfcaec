"""Settings of a fit that have nothing to do with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lmmsparse.arguments import as_dict, as_real, as_text, checked_choice, checked_count, shown
from lmmsparse.errors import ArgumentError
from lmmsparse.numerics.memory import usable_memory

OPTIMIZERS = ("newton", "cobyqa")


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
        optimizer = checked_choice("control", "optimizer", self.optimizer, OPTIMIZERS)
        tolerance = as_real(self.tolerance)
        if tolerance is None or not 0.0 < tolerance < np.inf:
            raise ArgumentError(f"control: tolerance must be a positive number, got {shown(self.tolerance)}")
        count = checked_count("control", "max_evaluations", self.max_evaluations)
        limit = np.inf if self.memory_limit is None else as_real(self.memory_limit)
        if limit is None or not limit > 0.0:
            raise ArgumentError(f"control: memory_limit must be a positive number, got {shown(self.memory_limit)}")
        memory = None if self.memory_limit is None else limit
        plain = {"optimizer": optimizer, "tolerance": tolerance, "max_evaluations": count, "memory_limit": memory}
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def memory_bytes(self) -> float:
        """The limit in force."""
        return usable_memory() if self.memory_limit is None else self.memory_limit


def as_control(control: Control | Mapping[str, Any] | None) -> Control:
    """A `Control` from one, from a mapping of its fields, or from None."""
    if control is None:
        return Control()
    if isinstance(control, Control):
        return control
    if not isinstance(control, Mapping):
        raise ArgumentError(f"control must be a Control or a dict of its settings, got {type(control).__name__}")
    known = [field.name for field in fields(Control)]
    settings = as_dict(control)
    if settings is None:
        raise ArgumentError(f"control must be a Control or a dict of its settings, got {shown(control)}")
    unknown = [key for key in settings if as_text(key) not in known]
    if unknown:
        raise ArgumentError(f"control: unknown setting {shown(unknown[0])}; there are {', '.join(known)}")
    return Control(**settings)
