"""The profiled deviance d(θ) or REML criterion d_R(θ) in working coordinates: value, gradient, Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmmsparse.charts import Chart, chart_around, natural_slopes
from lmmsparse.crossproducts import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.linalg import cholesky_inverse, inner, solve_lower, solve_lower_transposed
from lmmsparse.pls.factor import Factor, SelectedInverse, multiply
from lmmsparse.pls.plan import Plan, Values
from lmmsparse.terms import RandomTerm

Float = NDArray[np.float64]

# Derivatives need λ⁻¹: a singular value of a working template below this is raised to it there.
SMALLEST_SPREAD = 1e-5
# Share of yᵀWy below which r² is the rounding error of its own computation.
SMALLEST_RESIDUAL = 1e-13
ROUNDING = 2.0 * np.finfo(float).eps


@dataclass(frozen=True)
class Solution:
    """Penalized least squares for one θ, in working coordinates.

    Attributes
    ----------
    theta : (n_theta,) array
    value : float
        Profiled criterion.
    pwrss, sigma2 : float
        Penalized weighted residual sum of squares r² and r²/n or r²/(n − p).
    beta : (p,) array
    u : tuple of (q_g, K_g) arrays
        Conditional modes on the spherical scale.
    templates : tuple of (K_g, K_g) arrays
        λ of every grouping factor.
    factor : Factor
    fixed_factor : (p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    right : tuple of (q_g, K_g, p + 1) arrays
        L⁻¹ΛᵀZᵀW[X y].
    degenerate : bool
        r² is zero to rounding: nothing is left of the response.
    exact : bool
        False when the numbers are those of nearby templates.
    noise : float
        Rounding error to be expected in the value; it grows as r² becomes a small part of yᵀWy.
    """

    theta: Float
    value: float
    pwrss: float
    sigma2: float
    beta: Float
    u: tuple[Float, ...]
    templates: tuple[Float, ...]
    factor: Factor
    fixed_factor: Float
    right: tuple[Float, ...]
    degenerate: bool
    exact: bool
    noise: float


@dataclass(frozen=True)
class Derivatives:
    """First and second derivatives at one θ, in working coordinates.

    Attributes
    ----------
    scores : tuple of (k_t, k_t) arrays
        T_t, the derivative with respect to the covariance Σ_t = λ_tλ_tᵀ of every term.
    covariance_information : (n_theta, n_theta) array
        Average information with respect to the free entries of all Σ_t, positive semidefinite.
    gradient : (n_theta,) array
        With respect to θ.
    information, curvature : (n_theta, n_theta) arrays
        The Hessian with respect to θ in two parts: average information, and the exact remainder from ∂²Σ/∂θ_i∂θ_j,
        which vanishes where the gradient of every free variance does.
    """

    scores: tuple[Float, ...]
    covariance_information: Float
    gradient: Float
    information: Float
    curvature: Float


class WorkingObjective:
    """d(θ) in working coordinates, from cross-products and a plan.

    Parameters
    ----------
    products : CrossProducts
    plan, values : Plan, Values
    terms : sequence of RandomTerm
    members : sequence of tuples of int
        Terms of every grouping factor, in the order of their columns.
    reml : bool
    """

    def __init__(
        self,
        products: CrossProducts,
        plan: Plan,
        values: Values,
        terms: Sequence[RandomTerm],
        members: Sequence[tuple[int, ...]],
        reml: bool,
    ) -> None:
        self.products, self.plan, self.values, self.reml = products, plan, values, reml
        self.structures = [term.structure for term in terms]
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
        products, p = self.products, self.products.p
        templates = self.templates(theta)
        factor = Factor(self.plan, self.values, templates)
        scaled = [lam.T @ b for lam, b in zip(templates, products.rhs, strict=True)]
        right = factor.forward(scaled)
        schur = products.fixed - sum(inner(r, r) for r in right)
        try:
            L = np.asarray(np.linalg.cholesky(schur[:p, :p]))
        except np.linalg.LinAlgError as error:
            raise FactorizationError(
                "X'V^-1 X is not positive definite: the fixed effects are not identified at this theta"
            ) from error
        half = solve_lower(L, schur[:p, p])
        pwrss = float(schur[p, p] - half @ half)
        floor = SMALLEST_RESIDUAL * float(products.fixed[p, p])
        degenerate = not pwrss > floor
        pwrss = max(pwrss, floor)
        sigma2 = pwrss / self.degrees
        value = factor.logdet - products.sum_log_weights + self.degrees * (1.0 + np.log(2.0 * np.pi * sigma2))
        if self.reml:
            value += 2.0 * float(np.log(np.diag(L)).sum())
        beta = solve_lower_transposed(L, half)
        contrast = np.append(-beta, 1.0)
        modes = factor.backward([(r @ contrast)[:, :, None] for r in right])
        return Solution(
            theta=np.array(theta, dtype=float),
            value=float(value),
            pwrss=pwrss,
            sigma2=sigma2,
            beta=beta,
            u=tuple(u[:, :, 0] for u in modes),
            templates=tuple(templates),
            factor=factor,
            fixed_factor=L,
            right=tuple(right),
            degenerate=degenerate,
            exact=True,
            noise=ROUNDING * (abs(value) + self.degrees * float(products.fixed[p, p]) / pwrss),
        )

    def solve_nearby(self, theta: Float) -> Solution:
        """`solve` where no direction of a term has a standard deviation below `SMALLEST_SPREAD`.

        The solution keeps θ; its numbers are those of the nearby templates, and its value is off by less than rounding
        unless the score of a vanishing variance is huge.
        """
        nearby = self._away_from_zero(theta)
        if nearby is theta:
            return self.solve(theta)
        return replace(self.solve(nearby), theta=np.array(theta, dtype=float), exact=False)

    def inverse(self, solution: Solution) -> tuple[SelectedInverse, tuple[Float, ...]]:
        """Selected inverse of M, and U_X = M⁻¹ΛᵀZᵀWX of every factor, (q, K, p)."""
        p = self.products.p
        selected = solution.factor.selected_inverse()
        U = solution.factor.backward([r[:, :, :p] for r in solution.right]) if p else []
        return selected, tuple(U)

    def differentiate(self, solution: Solution) -> Derivatives:
        """Gradient and Hessian of the criterion at a point of `solve_nearby`.

        ∂d/∂λ_t = 2 T_t λ_t with the score T_t = ½ λ_t⁻ᵀ N_t λ_t⁻¹ of the covariance λλᵀ and
        N_t = 2 Σ_ℓ [I − C_ℓℓ − û_ℓ û_ℓᵀ/σ̂²].  T_t is continuous in λ_t, so that it may be taken at the nearby template
        where λ_t itself is singular.
        """
        selected, U = self.inverse(solution)
        p, sums = self.products.p, []
        inverse_fixed = cholesky_inverse(solution.fixed_factor)
        for g, C in enumerate(selected.diagonal):
            q, K = C.shape[:2]
            total = C.sum(axis=0) + solution.u[g].T @ solution.u[g] / solution.sigma2
            if self.reml and p:
                by_column = U[g].transpose(0, 2, 1)
                total += inner((U[g] @ inverse_fixed).transpose(0, 2, 1), by_column)
            sums.append(q * np.eye(K) - total)
        scores = []
        for g, where in self.columns:
            inverse_template = np.linalg.inv(solution.templates[g][where, where])
            score = inverse_template.T @ sums[g][where, where] @ inverse_template
            scores.append((score + score.T) / 2)
        information = self._information(solution)
        return Derivatives(
            tuple(scores), information, *natural_slopes(self.structures, solution.theta, scores, information)
        )

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

    def _information(self, solution: Solution) -> Float:
        """Average information with respect to the free entries of every Σ_t.

        H_ij = [f_iᵀPf_j − (sᵀc_i)(sᵀc_j)/r²]/σ̂² with s = ZᵀWe, c_i = (∂Σ/∂Σ_i) s and f_i = Z c_i.
        """
        products, p = self.products, self.products.p
        n_theta = len(solution.theta)
        contrast = np.append(-solution.beta, 1.0)
        modes = [(u @ lam.T)[:, :, None] for u, lam in zip(solution.u, solution.templates, strict=True)]
        fitted = multiply(self.plan, self.values, modes)
        s = [b @ contrast - f[:, :, 0] for b, f in zip(products.rhs, fitted, strict=True)]
        c = [np.zeros((*u.shape, n_theta)) for u in solution.u]
        projected = np.empty(n_theta)
        for structure, part, (g, where) in zip(self.structures, self.slices, self.columns, strict=True):
            for i, (a, b) in enumerate(zip(*structure.entries, strict=True), start=part.start):
                c[g][:, where.start + a, i] += s[g][:, where.start + b]
                if a != b:
                    c[g][:, where.start + b, i] += s[g][:, where.start + a]
                projected[i] = (s[g] * c[g][:, :, i]).sum()
        Ac = multiply(self.plan, self.values, c)
        scaled = [lam.T @ f for lam, f in zip(solution.templates, Ac, strict=True)]
        r = solution.factor.forward(scaled)
        fPf = sum(inner(ci, f) - inner(ri, ri) for ci, f, ri in zip(c, Ac, r, strict=True))
        if p:
            x = np.zeros((p, n_theta)) + sum(
                inner(b[:, :, :p], ci) - inner(rx[:, :, :p], ri)
                for b, ci, rx, ri in zip(products.rhs, c, solution.right, r, strict=True)
            )
            half = solve_lower(solution.fixed_factor, x)
            fPf = fPf - half.T @ half
        return np.asarray((fPf - np.outer(projected, projected) / solution.pwrss) / solution.sigma2)
