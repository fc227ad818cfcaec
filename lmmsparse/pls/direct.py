"""The engine that factors M(θ) by a plan, block by block: for models of any size whose core has room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.numerics.dense import inner, solve_lower, solve_lower_transposed
from lmmsparse.pls.plan import Plan, plan_of
from lmmsparse.pls.releasable import ReleasableFactor
from lmmsparse.pls.rounding import Losses
from lmmsparse.pls.solution import Request, Solution
from lmmsparse.pls.values import Values, lay_out

Float = NDArray[np.float64]

# Share of yᵀWy below which r² is the rounding error of its own computation.
SMALLEST_RESIDUAL = 1e-13
NOT_IDENTIFIED = "X'V^-1 X is not positive definite: the fixed effects are not identified at this theta"


class Direct:
    """Cholesky factorization by a plan that is made once."""

    squares = True

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def load(self, products: CrossProducts, request: Request) -> LoadedDirect:
        """Lay cross-products out for the plan."""
        return LoadedDirect(self, lay_out(self.plan, products), products, request)


class LoadedDirect:
    """A plan with the numbers of one set of cross-products.

    Parameters
    ----------
    engine : Direct
    values : Values
        ZᵀWZ in the layout of its plan.
    products : CrossProducts
    request : Request
    """

    def __init__(self, engine: Direct, values: Values, products: CrossProducts, request: Request) -> None:
        self.engine, self.values, self.products, self.request = engine, values, products, request
        # a search needs the factor of its latest point alone, and two large ones would double its memory
        self._latest: ref[ReleasableFactor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_latest": None}

    def with_right(self, products: CrossProducts, request: Request) -> LoadedDirect:
        """The same ZᵀW[Z X] with another response or request."""
        return LoadedDirect(self.engine, self.values, products, request)

    def batch(self, rhs: Sequence[Float], fixed: Float, squares: Float) -> None:
        """One problem at a time: the factor would be most of the memory."""

    def many(self) -> None:
        """One λ at a time, for the same reason."""

    def solve(self, templates: Sequence[Float]) -> Solution:
        """Factor M and solve for λ of every grouping factor.

        Raises
        ------
        FactorizationError
            λ is out of range, or the fixed effects are not identified.
        """
        held = self.factor_for(templates)
        found = eliminate(held, self.products.fixed)
        pwrss, degenerate = floored(found.pwrss, float(self.products.fixed[-1, -1]))
        return Solution(
            products=self.products,
            request=self.request,
            templates=tuple(templates),
            releasable=held,
            logdet=found.logdet,
            pwrss=pwrss,
            sigma2=pwrss / self.request.degrees(self.products),
            beta=found.beta,
            u=found.u,
            fixed_factor=found.fixed_factor,
            degenerate=degenerate,
            losses=losses_of(self.products, found.fixed_factor, pwrss, *held.factor.lost),
        )

    def factor_for(self, templates: Sequence[Float]) -> ReleasableFactor:
        """The factor of M for new templates, not made yet; that of the ones before is given up if it is large."""
        previous = self._latest() if self._latest is not None else None
        if previous is not None:
            previous.release()
        factor = ReleasableFactor(self.engine.plan, self.values, self.products.rhs, list(templates))
        self._latest = ref(factor)
        return factor


def fixed_equations(
    products: CrossProducts, groups: tuple[str, ...], templates: Sequence[Float], memory_limit: float
) -> Float:
    """[X y]ᵀV⁻¹[X y], (p + 1, p + 1), by a factorization of its own; arguments as of `plan_of`."""
    plan = plan_of(products.pattern, products.p, groups, memory_limit)
    right = ReleasableFactor(plan, lay_out(plan, products), products.rhs, list(templates)).right
    return np.asarray(products.fixed - sum(inner(r, r) for r in right))


class Elimination(NamedTuple):
    """What is left when the random and the fixed effects are eliminated, and their values; names as in `Solution`."""

    logdet: float
    pwrss: float
    beta: Float
    u: tuple[Float, ...]
    fixed_factor: Float


def eliminate(releasable: ReleasableFactor, fixed: Float) -> Elimination:
    """Solve the penalized least-squares problem with the factor of M.

    Parameters
    ----------
    releasable : ReleasableFactor
    fixed : (p + 1, p + 1) array
        [X y]ᵀW[X y].
    """
    p, right = len(fixed) - 1, releasable.right
    schur = fixed - sum(inner(r, r) for r in right)
    try:
        L = np.asarray(np.linalg.cholesky(schur[:p, :p]))
    except np.linalg.LinAlgError as error:
        raise FactorizationError(NOT_IDENTIFIED) from error
    half = solve_lower(L, schur[:p, p])
    beta = solve_lower_transposed(L, half)
    contrast = np.append(-beta, 1.0)
    modes = releasable.factor.backward([(r @ contrast)[:, :, None] for r in right])
    u = tuple(u[:, :, 0] for u in modes)
    return Elimination(releasable.factor.logdet, float(schur[p, p] - half @ half), beta, u, L)


def losses_of(products: CrossProducts, fixed_factor: Float, pwrss: float, pivots: float, pivot: float) -> Losses:
    """What elimination has cancelled, from the cross-products of columns of unit mean square."""
    fixed = (np.diagonal(products.fixed)[:-1] / np.diagonal(fixed_factor) ** 2).tolist()
    return Losses(pivots, pivot, max(fixed, default=1.0), sum(fixed), float(products.fixed[-1, -1]) / pwrss)


def floored(pwrss: float, yy: float) -> tuple[float, bool]:
    """r², at least what rounding leaves of yᵀWy, and whether that is all there is."""
    floor = max(SMALLEST_RESIDUAL * yy, np.finfo(float).tiny)  # yᵀWy is exactly zero where the arithmetic is
    return max(pwrss, floor), not pwrss > floor
