"""The profiled deviance d(θ) or REML criterion d_R(θ) in working coordinates: value, gradient, Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import Chart, chart_around
from lmmsparse.covariance.structure import CovarianceStructure
from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.pls.engine import Engine, Loaded
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.solution import Entries, Request

Float = NDArray[np.float64]

# Derivatives need λ⁻¹: a singular value of a working template below this is raised to it there.
SMALLEST_SPREAD = 1e-5
ROUNDING = 2.0 * np.finfo(float).eps


class WorkingObjective:
    """d(θ) in working coordinates, from an engine loaded with cross-products.

    Parameters
    ----------
    loaded : Loaded
    structures : sequence of CovarianceStructure
        Of every term.
    members : sequence of tuples of int
        Terms of every grouping factor, in the order of their columns.
    """

    def __init__(
        self, loaded: Loaded, structures: Sequence[CovarianceStructure], members: Sequence[tuple[int, ...]]
    ) -> None:
        self.loaded, self.products, self.reml = loaded, loaded.products, loaded.request.reml
        self.structures, self.members = list(structures), tuple(members)
        self.slices, self.columns = _places(structures, members)

    @classmethod
    def of(
        cls,
        engine: Engine,
        products: CrossProducts,
        structures: Sequence[CovarianceStructure],
        members: Sequence[tuple[int, ...]],
        reml: bool,
    ) -> WorkingObjective:
        """Load an engine with cross-products and with what the terms ask of it."""
        return cls(engine.load(products, Request(reml, _entries(structures, members))), structures, members)

    @property
    def plan(self) -> Plan:
        """Order of elimination and predicted cost."""
        return self.engine.plan

    @property
    def engine(self) -> Engine:
        """What solves the penalized least-squares problem."""
        return self.loaded.engine

    @property
    def degrees(self) -> int:
        """n for ML, n − p for REML."""
        return self.loaded.request.degrees(self.products)

    def start(self) -> Float:
        """λ = I for every term."""
        parts = [structure.theta(np.eye(structure.size)) for structure in self.structures]
        return np.concatenate(parts)

    def templates(self, theta: Float) -> list[Float]:
        """λ of every grouping factor, block diagonal over its terms."""
        out = [np.zeros((d.shape[1], d.shape[1])) for d in self.products.diagonal]
        for structure, part, (g, where) in zip(self.structures, self.slices, self.columns, strict=True):
            out[g][where, where] = structure.template(theta[part])
        return out

    def solve(self, theta: Float) -> Point:
        """Factor M(θ), profile β, u and σ² out, and evaluate the criterion."""
        solution = self.loaded.solve(self.templates(theta))
        value = float(self.criterion(solution.logdet, solution.logdet_fixed, solution.pwrss))
        square = float(self.products.fixed[-1, -1])
        return Point(
            theta=np.array(theta, dtype=float),
            value=value,
            pwrss=solution.pwrss,
            sigma2=solution.sigma2,
            noise=ROUNDING * (abs(value) + self.degrees * square / solution.pwrss),
            exact=True,
            solution=solution,
        )

    def criterion(self, logdet: Any, logdet_fixed: Any, pwrss: Any) -> Any:
        """d(θ) from log|M|, log|XᵀV⁻¹X| and r², numbers or arrays of them."""
        value = logdet - self.products.log_det
        value = value + self.degrees * (1.0 + np.log(2.0 * np.pi * pwrss / self.degrees))
        return value + logdet_fixed if self.reml else value

    def with_products(self, products: CrossProducts, reml: bool) -> WorkingObjective:
        """The same design with another response or the other criterion."""
        loaded = self.loaded.with_right(products, replace(self.loaded.request, reml=reml))
        return WorkingObjective(loaded, self.structures, self.members)

    def solve_nearby(self, theta: Float) -> Point:
        """`solve` where no direction of a term has a standard deviation below `SMALLEST_SPREAD`.

        The solution keeps θ; its numbers are those of the nearby templates, and its value is off by less than rounding
        unless the score of a vanishing variance is huge.
        """
        nearby = self._away_from_zero(theta)
        if nearby is theta:
            return self.solve(theta)
        return replace(self.solve(nearby), theta=np.array(theta, dtype=float), exact=False)

    def differentiate(self, point: Point) -> Derivatives:
        """Gradient and Hessian of the criterion at a point of `solve_nearby`.

        ∂d/∂λ_t = 2 T_t λ_t with the score T_t = ½ λ_t⁻ᵀ N_t λ_t⁻¹ of the covariance λλᵀ and
        N_t = 2 Σ_ℓ [I − C_ℓℓ − û_ℓ û_ℓᵀ/σ̂²].  T_t is continuous in λ_t, so that it may be taken at the nearby template
        where λ_t itself is singular.
        """
        scores, sums = [], point.solution.sums()
        for g, where in self.columns:
            q, size = len(point.u[g]), where.stop - where.start
            inverse_template = np.linalg.inv(point.templates[g][where, where])
            score = inverse_template.T @ (q * np.eye(size) - sums[g][where, where]) @ inverse_template
            scores.append((score + score.T) / 2)
        return Derivatives(tuple(self.structures), point.theta, tuple(scores), point.solution.information())

    def chart(self, point: Point, slopes: Derivatives) -> Chart:
        """Local coordinates around a point, for the search."""
        return chart_around(self.structures, point.theta, slopes.scores, slopes.covariance_information)

    def _away_from_zero(self, theta: Float) -> Float:
        """θ with singular values of templates below `SMALLEST_SPREAD` raised to it; θ itself when there are none."""
        moved = None
        for structure, part in zip(self.structures, self.slices, strict=True):
            template = structure.template(theta[part])
            raised = structure.spread_at_least(template, SMALLEST_SPREAD)
            if raised is not template:
                moved = theta.copy() if moved is None else moved
                moved[part] = structure.theta(raised)
        return theta if moved is None else moved


def _places(
    structures: Sequence[CovarianceStructure], members: Sequence[tuple[int, ...]]
) -> tuple[list[slice], list[tuple[int, slice]]]:
    """Places of the terms in θ, and their factors with their columns."""
    edges = np.concatenate([[0], np.cumsum([structure.n_theta for structure in structures])])
    slices = [slice(int(a), int(b)) for a, b in pairwise(edges)]
    columns: list[tuple[int, slice]] = [(0, slice(0))] * len(structures)
    for g, positions in enumerate(members):
        start = 0
        for t in positions:
            size = structures[t].size
            columns[t] = (g, slice(start, start + size))
            start += size
    return slices, columns


def _entries(structures: Sequence[CovarianceStructure], members: Sequence[tuple[int, ...]]) -> Entries:
    """Factor, row and column of the entry of a covariance matrix that each parameter is."""
    owner, rows, columns = [], [], []
    for structure, (g, where) in zip(structures, _places(structures, members)[1], strict=True):
        a, b = structure.entries
        owner.append(np.full(len(a), g))
        rows.append(where.start + a)
        columns.append(where.start + b)
    which, row, column = (np.concatenate(part).astype(np.int32) for part in (owner, rows, columns))
    return which, row, column
