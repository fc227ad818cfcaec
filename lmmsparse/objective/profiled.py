"""The profiled deviance d(θ) or REML criterion d_R(θ) in working coordinates: value, gradient, Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import Chart, chart_around
from lmmsparse.covariance.structure import CovarianceStructure
from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.pls.factor import TOO_LARGE
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.releasable import HeldFactor
from lmmsparse.pls.small import SmallDesign, SmallResponses, SmallSolutions, evaluate, small_design, small_responses
from lmmsparse.pls.solution import Derivatives, Solution
from lmmsparse.pls.solve import NOT_IDENTIFIED, Elimination, average_information, eliminate, score_sums
from lmmsparse.pls.values import Values

Float = NDArray[np.float64]

# Derivatives need λ⁻¹: a singular value of a working template below this is raised to it there.
SMALLEST_SPREAD = 1e-5
# Share of yᵀWy below which r² is the rounding error of its own computation.
SMALLEST_RESIDUAL = 1e-13
ROUNDING = 2.0 * np.finfo(float).eps


class WorkingObjective:
    """d(θ) in working coordinates, from cross-products and a plan.

    Parameters
    ----------
    products : CrossProducts
    plan, values : Plan, Values
    structures : sequence of CovarianceStructure
        Of every term.
    members : sequence of tuples of int
        Terms of every grouping factor, in the order of their columns.
    reml : bool
    """

    def __init__(
        self,
        products: CrossProducts,
        plan: Plan,
        values: Values,
        structures: Sequence[CovarianceStructure],
        members: Sequence[tuple[int, ...]],
        reml: bool,
    ) -> None:
        self.products, self.plan, self.values, self.reml = products, plan, values, reml
        self._last: ref[HeldFactor] | None = None  # of the latest evaluation
        self.structures = list(structures)
        self.members = tuple(members)
        counts = [structure.n_theta for structure in self.structures]
        edges = np.concatenate([[0], np.cumsum(counts)])
        self.slices = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        self.columns: list[tuple[int, slice]] = [(0, slice(0))] * len(self.structures)
        for g, positions in enumerate(self.members):
            start = 0
            for t in positions:
                size = self.structures[t].size
                self.columns[t] = (g, slice(start, start + size))
                start += size

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    @property
    def degrees(self) -> int:
        """n for ML, n − p for REML."""
        return self.products.n - (self.products.p if self.reml else 0)

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

    def solve(self, theta: Float) -> Solution:
        """Factor M(θ), profile β, u and σ² out, and evaluate the criterion."""
        products = self.products
        templates = self.templates(theta)
        held = self._hold(templates)
        small = None
        if self.small is None:
            found = eliminate(held, products.fixed)
        else:
            found, small = self._at_once(templates)
        yy = float(products.fixed[-1, -1])
        floor = max(SMALLEST_RESIDUAL * yy, np.finfo(float).tiny)  # yy is exactly zero where the arithmetic is
        degenerate = not found.pwrss > floor
        pwrss = max(found.pwrss, floor)
        sigma2 = pwrss / self.degrees
        value = self.criterion(found.logdet, 2.0 * float(np.log(np.diag(found.fixed_factor)).sum()), pwrss)
        return Solution(
            theta=np.array(theta, dtype=float),
            value=float(value),
            pwrss=pwrss,
            sigma2=sigma2,
            beta=found.beta,
            u=found.u,
            templates=tuple(templates),
            held=held,
            fixed_factor=found.fixed_factor,
            small=small,
            degenerate=degenerate,
            exact=True,
            noise=ROUNDING * (abs(value) + self.degrees * yy / pwrss),
        )

    def criterion(self, logdet: Any, logdet_fixed: Any, pwrss: Any) -> Any:
        """d(θ) from log|M|, log|XᵀV⁻¹X| and r², numbers or arrays of them."""
        value = logdet - self.products.log_det
        value = value + self.degrees * (1.0 + np.log(2.0 * np.pi * pwrss / self.degrees))
        return value + logdet_fixed if self.reml else value

    def _hold(self, templates: list[Float]) -> HeldFactor:
        """The factor of a new point; that of the point before is given up if it is large."""
        previous = self._last() if self._last is not None else None
        if previous is not None:
            previous.release()
        held = HeldFactor(self.plan, self.values, self.products.rhs, templates)
        self._last = ref(held)
        return held

    def _at_once(self, templates: list[Float]) -> tuple[Elimination, SmallSolutions]:
        """Solve the problem of a small model in one call."""
        found = self.small_solutions(self.responses, np.zeros(1, dtype=np.intp), [lam[None] for lam in templates])
        if found.failed[0]:
            raise FactorizationError(TOO_LARGE if found.failed[0] == 1 else NOT_IDENTIFIED)
        u = tuple(u[0] for u in found.u)
        logdet, pwrss = float(found.logdet[0]), float(found.pwrss[0])
        return Elimination(logdet, pwrss, found.beta[0], u, found.fixed_factor[0]), found

    @cached_property
    def small(self) -> SmallDesign | None:
        """The design of a model that is small enough to be evaluated in one call."""
        return small_design(self.products, self.plan)

    @cached_property
    def responses(self) -> SmallResponses:
        """The response of a small model."""
        assert self.small is not None
        p, fixed = self.products.p, self.products.fixed
        return small_responses(self.small, [b[:, :, p:] for b in self.products.rhs], fixed[:p, p:], fixed[p:, p])

    @cached_property
    def covariance_entries(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Factor, row and column of the entry of a covariance matrix that each parameter is."""
        owner, rows, columns = [], [], []
        for structure, (g, where) in zip(self.structures, self.columns, strict=True):
            a, b = structure.entries
            owner.append(np.full(len(a), g))
            rows.append(where.start + a)
            columns.append(where.start + b)
        which, row, column = (np.concatenate(part).astype(np.int32) for part in (owner, rows, columns))
        return which, row, column

    def small_solutions(
        self, responses: SmallResponses, which: NDArray[np.intp], templates: Sequence[Float]
    ) -> SmallSolutions:
        """Solutions of a small model for several responses and templates (problems, K_g, K_g)."""
        assert self.small is not None
        return evaluate(
            self.small,
            responses,
            which,
            templates,
            self.covariance_entries,
            self.degrees,
            self.reml,
            SMALLEST_RESIDUAL,
        )

    def with_products(self, products: CrossProducts, reml: bool) -> WorkingObjective:
        """The same design with another response or the other criterion."""
        other = WorkingObjective(products, self.plan, self.values, self.structures, self.members, reml)
        other.__dict__["small"] = self.small
        return other

    def solve_nearby(self, theta: Float) -> Solution:
        """`solve` where no direction of a term has a standard deviation below `SMALLEST_SPREAD`.

        The solution keeps θ; its numbers are those of the nearby templates, and its value is off by less than rounding
        unless the score of a vanishing variance is huge.
        """
        nearby = self._away_from_zero(theta)
        if nearby is theta:
            return self.solve(theta)
        return replace(self.solve(nearby), theta=np.array(theta, dtype=float), exact=False)

    def differentiate(self, solution: Solution) -> Derivatives:
        """Gradient and Hessian of the criterion at a point of `solve_nearby`.

        ∂d/∂λ_t = 2 T_t λ_t with the score T_t = ½ λ_t⁻ᵀ N_t λ_t⁻¹ of the covariance λλᵀ and
        N_t = 2 Σ_ℓ [I − C_ℓℓ − û_ℓ û_ℓᵀ/σ̂²].  T_t is continuous in λ_t, so that it may be taken at the nearby template
        where λ_t itself is singular.
        """
        small, scores = solution.small, []
        sums = score_sums(solution, self.reml) if small is None else [total[0] for total in small.sums]
        for g, where in self.columns:
            q, size = len(solution.u[g]), where.stop - where.start
            inverse_template = np.linalg.inv(solution.templates[g][where, where])
            score = inverse_template.T @ (q * np.eye(size) - sums[g][where, where]) @ inverse_template
            scores.append((score + score.T) / 2)
        if small is None:
            information = average_information(self.products, self.plan, self.values, solution, self.covariance_entries)
        else:
            information = small.information[0]
        return Derivatives(tuple(self.structures), solution.theta, tuple(scores), information)

    def chart(self, solution: Solution, slopes: Derivatives) -> Chart:
        """Local coordinates around a solution, for the search."""
        return chart_around(self.structures, solution.theta, slopes.scores, slopes.covariance_information)

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
