"""A factorization that may be given up for its memory and made again when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import MemoryLimitError
from lmmsparse.pls.factor import Factor
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.values import Values

Float = NDArray[np.float64]

# A core of fewer bytes is kept: making it again would cost more than the memory is worth.
LARGE_CORE = 32e6


class ReleasableFactor:
    """The factor of M for one θ, or the means to make it.

    A search needs the factors of no point but the last; two dense cores at once would double its memory.

    Parameters
    ----------
    plan, values : Plan, Values
    rhs : sequence of (q_g, K_g, m) arrays
        ZᵀW[X y].
    templates : list of (K, K) arrays
    """

    def __init__(self, plan: Plan, values: Values, rhs: Sequence[Float], templates: list[Float]) -> None:
        self.plan, self.values, self._rhs, self._templates = plan, values, rhs, templates
        self._lock = RLock()
        self._factor: Factor | None = None
        self._right: tuple[Float, ...] | None = None

    def __reduce__(self) -> tuple[type[ReleasableFactor], tuple[Any, ...]]:
        """A copy makes its factor itself."""
        return ReleasableFactor, (self.plan, self.values, self._rhs, self._templates)

    @property
    def factor(self) -> Factor:
        """The factor, made now if it is not there."""
        with self._lock:
            if self._factor is None:
                try:
                    self._factor = Factor(self.plan, self.values, self._templates)
                except MemoryError as error:
                    raise MemoryLimitError(
                        f"there is no memory for a factorization of about {self.plan.bytes:.3g} bytes "
                        f"({self.plan.core.size} rows are left in its core): use fewer levels or fewer crossed factors"
                    ) from error
            return self._factor

    @property
    def right(self) -> tuple[Float, ...]:
        """L⁻¹ΛᵀZᵀW[X y], a (q_g, K_g, m) array a factor."""
        with self._lock:
            if self._right is None:
                scaled = [lam.T @ b for lam, b in zip(self._templates, self._rhs, strict=True)]
                self._right = tuple(self.factor.forward(scaled))
            return self._right

    def release(self) -> None:
        """Let go of a factor with a large core."""
        matrix = self.plan.core.matrix
        if matrix is not None and matrix.bytes > LARGE_CORE:
            with self._lock:
                self._factor = self._right = None
