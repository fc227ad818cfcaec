"""The engine for small models that have lost digits: an orthogonal factorization of the rows, not of their products.

A nearly perfect fit has standard deviations of random effects that are 10⁵ σ or more.  Elimination subtracts sums of
squares there, and loses as many digits as the square of that ratio has; reflections lose half as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.numerics.dense import cholesky_inverse
from lmmsparse.pls.direct import NOT_IDENTIFIED
from lmmsparse.pls.engine import Loaded
from lmmsparse.pls.factor import SelectedInverse
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.releasable import ReleasableFactor
from lmmsparse.pls.rounding import Losses
from lmmsparse.pls.solution import Request, Solution, directions

Float = NDArray[np.float64]

# Share of |y| below which |r| is the rounding error of its own computation.
SMALLEST_ROOT = 1e-13
# Pivots of fixed effects below this are rounding.
SMALLEST_FIXED = 1e-13


@dataclass(frozen=True)
class OrthogonalSolution(Solution):
    """A solution by reflections, which keeps their triangle.

    It is that of [W^½ZΛ W^½X W^½y W^½Z] over [I 0 0 0].  Below the rows of the random effects it holds roots of
    [X y Z]ᵀV⁻¹[X y Z].
    """

    triangle: Float

    @property
    def _q(self) -> int:
        return sum(u.size for u in self.u)

    def _split(self, stacked: Float) -> list[Float]:
        """(q, m) as a (q_g, K_g, m) array a factor."""
        ends = np.cumsum([u.size for u in self.u])[:-1]
        return [part.reshape(*u.shape, -1) for part, u in zip(np.split(stacked, ends), self.u, strict=True)]

    def _joined(self, parts: Sequence[Float]) -> Float:
        return np.concatenate([part.reshape(part.shape[0] * part.shape[1], -1) for part in parts])

    def _root(self) -> Float:
        return self.triangle[: self._q, : self._q]

    def _below(self, first: int) -> Float:
        """Rows of the columns of Z from one on."""
        return self.triangle[first:, self._q + len(self.beta) + 1 :]

    def fixed_modes(self) -> list[Float]:
        """As `Solution.fixed_modes`."""
        q, p = self._q, len(self.beta)
        return self._split(solve_triangular(self._root(), self.triangle[:q, q : q + p])) if p else []

    def inverse(self, couplings: bool = False) -> SelectedInverse:
        """As `Solution.inverse`; what couplings ask for is computed by elimination."""
        found = super().inverse(couplings=True) if couplings else None
        half = solve_triangular(self._root(), np.eye(self._q))
        diagonal = tuple(rows @ rows.transpose(0, 2, 1) for rows in self._split(half))
        if found is None:
            return SelectedInverse(diagonal, (), (), None)
        return SelectedInverse(diagonal, found.entries, found.parents, found.core)

    def sums(self) -> list[Float]:
        """As `Solution.sums`."""
        out, U = [], self.fixed_modes()
        inverse_fixed = cholesky_inverse(self.fixed_factor)
        for g, C in enumerate(self.inverse().diagonal):
            total = C.sum(axis=0) + self.u[g].T @ self.u[g] / self.sigma2
            if self.request.reml and U:
                total = total + np.einsum("lap,pr,lbr->ab", U[g], inverse_fixed, U[g])
            out.append(total)
        return out

    def information(self) -> Float:
        """As `Solution.information`."""
        c, projected = directions(self.residual_scores(), self.request.entries)
        F = self._below(self._q + len(self.beta)) @ self._joined(c)
        return np.asarray((F.T @ F - np.outer(projected, projected) / self.pwrss) / self.sigma2)

    def residual_scores(self) -> list[Float]:
        """As `Solution.residual_scores`."""
        row = self._q + len(self.beta)
        scores = self.triangle[row, row] * self._below(row)[0]
        return [part[:, :, 0] for part in self._split(scores[:, None])]

    def fixed_scores(self) -> list[Float]:
        """As `Solution.fixed_scores`."""
        q, p = self._q, len(self.beta)
        return self._split((self.triangle[q : q + p, q : q + p].T @ self._below(q)[:p]).T)

    def projected(self, c: list[Float]) -> list[Float]:
        """As `Solution.projected`."""
        G = self._below(self._q)
        return self._split(G.T @ (G @ self._joined(c)))

    def apply_inverse(self, right: list[Float]) -> list[Float]:
        """As `Solution.apply_inverse`."""
        root = self._root()
        return self._split(solve_triangular(root, solve_triangular(root, self._joined(right), trans="T")))


class Orthogonal:
    """Reflections of the rows, reduced to a triangle.

    Parameters
    ----------
    plan : Plan
    rows : (N, N) array
        R with RᵀR = [Z X y]ᵀW[Z X y].
    other : Loaded
        What solves the same equations by elimination.
    """

    squares = False

    def __init__(self, plan: Plan, rows: Float, other: Loaded) -> None:
        self.plan, self.rows, self.other = plan, rows, other

    def load(self, products: CrossProducts, request: Request) -> Loaded:
        """Of other cross-products the rows are not known: they are solved by elimination."""
        return self.other.engine.load(products, request)


class LoadedOrthogonal:
    """The rows with a request.

    Parameters
    ----------
    engine : Orthogonal
    request : Request
    """

    def __init__(self, engine: Orthogonal, request: Request) -> None:
        self.engine, self.products, self.request = engine, engine.other.products, request

    def with_right(self, products: CrossProducts, request: Request) -> Loaded:
        """Another request, or another response by elimination."""
        if products is self.products:
            return LoadedOrthogonal(self.engine, request)
        return self.engine.other.with_right(products, request)

    def batch(self, rhs: Sequence[Float], fixed: Float, squares: Float) -> None:
        """One problem at a time."""

    def many(self) -> None:
        """One λ at a time."""

    def factor_for(self, templates: Sequence[Float]) -> ReleasableFactor:
        """As `Loaded.factor_for`."""
        return self.engine.other.factor_for(templates)

    def solve(self, templates: Sequence[Float]) -> Solution:
        """As `Loaded.solve`."""
        rows, p, shapes = self.engine.rows, self.products.p, self.engine.plan.shapes
        q = sum(levels * K for levels, K in shapes)
        N, start = len(rows), 0
        stacked = np.zeros((N + q, 2 * q + p + 1))
        for lam, (levels, K) in zip(templates, shapes, strict=True):
            own = slice(start, start + levels * K)
            with np.errstate(over="ignore", invalid="ignore"):
                stacked[:N, own] = (rows[:, own].reshape(N, levels, K) @ lam).reshape(N, -1)
            start = own.stop
        stacked[N:, :q] = np.eye(q)
        stacked[:N, q : q + p + 1], stacked[:N, q + p + 1 :] = rows[:, q:], rows[:, :q]
        if not np.isfinite(stacked).all():
            raise FactorizationError("a standard deviation is beyond floating-point numbers at this theta")
        R = np.asarray(np.linalg.qr(stacked, mode="r"))
        R = R * np.where(np.diagonal(R) < 0.0, -1.0, 1.0)[:, None]
        fixed = R[q : q + p, q : q + p].T
        pivots = np.diagonal(fixed)
        if not (pivots > SMALLEST_FIXED * np.sqrt(np.diagonal(self.products.fixed)[:p]) / N).all():
            raise FactorizationError(NOT_IDENTIFIED)
        beta = solve_triangular(fixed.T, R[q : q + p, q + p]) if p else np.zeros(0)
        modes = solve_triangular(R[:q, :q], R[:q, q + p] - R[:q, q : q + p] @ beta)
        ends = np.cumsum([levels * K for levels, K in shapes])[:-1]
        u = tuple(part.reshape(shape) for part, shape in zip(np.split(modes, ends), shapes, strict=True))
        root, floor = float(R[q + p, q + p]), SMALLEST_ROOT * float(np.linalg.norm(rows[:, -1]))
        pwrss = max(root, floor, np.finfo(float).tiny) ** 2
        before, after = (stacked[:, :q] ** 2).sum(axis=0), np.diagonal(R)[:q] ** 2
        shares = before / after
        n_over = np.diagonal(self.products.fixed)[:p] / pivots**2
        return OrthogonalSolution(
            products=self.products,
            request=self.request,
            templates=tuple(templates),
            releasable=self.factor_for(templates),
            logdet=2.0 * float(np.log(np.diagonal(R)[:q]).sum()),
            pwrss=pwrss,
            sigma2=pwrss / self.request.degrees(self.products),
            beta=beta,
            u=u,
            fixed_factor=fixed,
            degenerate=not root > floor,
            losses=Losses(
                pivots=float(np.maximum(shares - 1.0, 0.0).sum()),
                pivot=float(shares.max(initial=1.0)),
                fixed=float(n_over.max(initial=1.0)),
                fixed_total=float(n_over.sum()),
                response=float(self.products.fixed[-1, -1]) / pwrss,
            ),
            triangle=R,
        )
