"""What solves the penalized least-squares problem: one protocol, and which engine a model gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts, Pattern
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.plan import Plan, plan_of
from lmmsparse.pls.releasable import ReleasableFactor
from lmmsparse.pls.small import Small, SmallSolutions, is_small
from lmmsparse.pls.solution import Request, Solution

Float = NDArray[np.float64]


class BatchSolver(Protocol):
    """Many problems of one design in one call."""

    def __call__(self, which: NDArray[np.intp], templates: Sequence[Float]) -> SmallSolutions:
        """Solve for the response of each problem (m,) and λ of every grouping factor, (m, K_g, K_g)."""


class Engine(Protocol):
    """Symbolic work, made once from a pattern."""

    @property
    def plan(self) -> Plan:
        """Order of elimination with its predicted cost."""

    @property
    def squares(self) -> bool:
        """Whether it subtracts sums of squares, which loses twice the digits that their roots would."""

    def load(self, products: CrossProducts, request: Request) -> Loaded:
        """Numbers on the engine's pattern, ready to be solved for any λ."""


class Loaded(Protocol):
    """An engine with the numbers of one set of cross-products."""

    @property
    def engine(self) -> Engine:
        """The engine."""

    @property
    def products(self) -> CrossProducts:
        """What it was loaded with."""

    @property
    def request(self) -> Request:
        """What is asked of its solutions."""

    def solve(self, templates: Sequence[Float]) -> Solution:
        """Penalized least squares for λ of every grouping factor; `FactorizationError` where λ is out of range."""

    def batch(self, rhs: Sequence[Float], fixed: Float, squares: Float) -> BatchSolver | None:
        """The same design with many responses, as `lmmsparse.crossproducts.responses.response_products` has them.

        None where problems are solved one at a time.
        """

    def many(self) -> BatchSolver | None:
        """The problem itself for many λ at once, its only response having the number 0; None as for `batch`."""

    def factor_for(self, templates: Sequence[Float]) -> ReleasableFactor:
        """The factor of M for new templates, not made yet."""

    def with_right(self, products: CrossProducts, request: Request) -> Loaded:
        """The same ZᵀW[Z X] with another response or request: nothing of ZᵀWZ is written down again."""


def choose_engine(pattern: Pattern, p: int, groups: tuple[str, ...], memory_limit: float) -> Engine:
    """The engine that evaluates a model fastest.

    Parameters
    ----------
    pattern : Pattern
    p : int
        Fixed-effect columns.
    groups : tuple of str
        Names of the grouping factors, for messages.
    memory_limit : float
        Bytes that one evaluation may take.

    Raises
    ------
    MemoryLimitError
        It would take more; the message states the bytes.
    """
    plan = plan_of(pattern, p, groups, memory_limit)
    return Small(plan) if is_small(plan, p) else Direct(plan)
