"""The objective in the user's units: profiled deviance or REML criterion as a function of θ.

`WorkingObjective` computes in working coordinates; here θ, the value and the derivatives are translated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmmsparse.crossproducts.responses import replace_response
from lmmsparse.crossproducts.sums import cross_products
from lmmsparse.design.coordinates import (
    ResponseCoordinates,
    WorkingDesign,
    theta_maps,
    working_design,
    working_response,
)
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.numerics.dense import row_chunks
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.engine import choose_engine
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.row_variances import leverages

Float = NDArray[np.float64]

# Rounding error of the criterion that is not worth a pass over the rows.
NEGLIGIBLE_NOISE = 1e-8
# Relative standard deviation (of a column of unit mean square) at which no search can begin: nothing is curved there.
LARGEST_START = 1e7


class Objective:
    """The criterion as a function of θ in the user's units: what an optimizer minimizes.

    ``objective(theta)`` is the profiled deviance d(θ), or the REML criterion d_R(θ), and
    ``objective.gradient(theta)`` its gradient.

    Parameters
    ----------
    terms : sequence of RandomTerm
    design : WorkingDesign
    y : (n,) array
        Working response.
    weights : (n,) array or None
        Prior weights w: the rows have precision w/σ².
    response : ResponseCoordinates
    working : WorkingObjective
        The criterion in working coordinates.
    """

    def __init__(
        self,
        terms: Sequence[RandomTerm],
        design: WorkingDesign,
        y: Float,
        weights: Float | None,
        response: ResponseCoordinates,
        working: WorkingObjective,
    ) -> None:
        self.terms, self.design, self.y, self.weights = tuple(terms), design, y, weights
        self.response, self.working = response, working

    @property
    def reml(self) -> bool:
        """Whether it is the REML criterion."""
        return self.working.reml

    @property
    def plan(self) -> Plan:
        """Order of elimination and predicted cost."""
        return self.working.plan

    @cached_property
    def theta_map(self) -> Float:
        """T with θ_working = T θ."""
        return theta_maps(self.design.coordinates.term_maps, self.terms)

    @cached_property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the parameters, as lme4 writes them."""
        return tuple(name for term in self.terms for name in term.theta_names)

    @cached_property
    def lower_bounds(self) -> Float:
        """0 for diagonal entries of templates, -inf for the others."""
        return np.concatenate([term.structure.lower_bounds() for term in self.terms])

    @cached_property
    def constant(self) -> float:
        """Criterion in the user's units minus the working one: the log-Jacobian of the change of coordinates."""
        value = 2.0 * self.working.degrees * np.log(self.response.scale)
        if self.reml and self.working.products.p:
            value += 2.0 * self.design.coordinates.log_det
        return float(value)

    def to_working(self, theta: Float) -> Float:
        """θ in working coordinates."""
        return np.asarray(self.theta_map @ theta)

    def to_user(self, theta: Float) -> Float:
        """θ in the user's units from working coordinates."""
        return np.asarray(np.linalg.solve(self.theta_map, theta))

    def _checked(self, theta: ArrayLike) -> Float:
        try:
            values = np.asarray(theta, dtype=float).ravel()
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"theta must be numbers ({', '.join(self.theta_names)}), got {theta!r}") from error
        if len(values) != len(self.theta_names):
            raise ArgumentError(
                f"theta has {len(values)} values, but this model has {len(self.theta_names)}: "
                f"{', '.join(self.theta_names)}"
            )
        if not np.isfinite(values).all():
            raise ArgumentError(f"theta must be finite, got {values}")
        return values

    def checked_start(self, start: ArrayLike) -> Float:
        """A start of the search: finite, of the right length, and not beyond all reason."""
        expected = f"start must hold {len(self.theta_names)} finite values ({', '.join(self.theta_names)})"
        try:
            values = self._checked(start)
        except ArgumentError as error:
            raise ArgumentError(f"{expected}, got {start!r}") from error
        if np.abs(self.to_working(values)).max() > LARGEST_START:
            raise ArgumentError(
                f"{expected}; standard deviations of {LARGEST_START:g} sigma are too far, got {start!r}"
            )
        return values

    def solve(self, theta: Float) -> Point:
        """Penalized least squares at a working θ, with r² summed over the rows where its cross-products have cancelled.

        r² as a difference from yᵀWy loses the digits by which it is smaller; the rows know them.
        """
        return self.refined(self.working.solve(theta))

    def refined(self, point: Point) -> Point:
        """A point with r² summed over the rows where rounding would show in the criterion."""
        if point.noise <= NEGLIGIBLE_NOISE * max(1.0, abs(point.value) / 1e4):
            return point
        w, effects, penalty, square = self.weights, [], 0.0, 0.0
        for u, lam in zip(point.u, point.templates, strict=True):
            effects.append(u @ lam.T)
            penalty += float((u**2).sum())
        for rows in row_chunks(len(self.y), self.design.X.shape[1] + 2):
            residual = self.y[rows] - self.design.X[rows] @ point.beta
            for block, b in zip(self.design.blocks, effects, strict=True):
                residual -= np.einsum("ik,ik->i", block.columns[rows], b[block.codes[rows]])
            square += float(residual @ (residual if w is None else w[rows] * residual))
        pwrss = square + penalty
        value = point.value + self.working.degrees * float(np.log(pwrss / point.pwrss))
        return replace(point, pwrss=pwrss, sigma2=pwrss / self.working.degrees, value=value)

    def __call__(self, theta: ArrayLike) -> float:
        """Profiled deviance or REML criterion at θ, (n_theta,)."""
        with single_threaded_blas():
            return self.solve(self.to_working(self._checked(theta))).value + self.constant

    def gradient(self, theta: ArrayLike) -> Float:
        """Gradient of the criterion at θ, (n_theta,)."""
        return np.asarray(self.theta_map.T @ self._slopes(theta).gradient)

    def hessian(self, theta: ArrayLike) -> Float:
        """Approximate Hessian at θ, (n_theta, n_theta): average information plus the exact curvature of λλᵀ."""
        slopes = self._slopes(theta)
        return np.asarray(self.theta_map.T @ (slopes.information + slopes.curvature) @ self.theta_map)

    def _slopes(self, theta: ArrayLike) -> Derivatives:
        with single_threaded_blas():
            return self.working.differentiate(self.working.solve_nearby(self.to_working(self._checked(theta))))

    def leverages(self, point: Point) -> Float:
        """Diagonal of the matrix that maps y to the fitted values at a point, (n,)."""
        with single_threaded_blas():
            return leverages(self.plan, self.design, self.weights, point.solution)

    def with_response(self, response: Float) -> Objective:
        """The same model for another response y − offset, (n,): only the last column of [X y] is formed anew."""
        with single_threaded_blas():
            y, coordinates = working_response(response, self.design, self.weights)
            products = replace_response(self.working.products, self.design, y, self.weights)
        working = self.working.with_products(products, self.reml)
        return Objective(self.terms, self.design, y, self.weights, coordinates, working)

    def with_reml(self, reml: bool) -> Objective:
        """The same model with the other criterion."""
        working = self.working.with_products(self.working.products, reml)
        return Objective(self.terms, self.design, self.y, self.weights, self.response, working)


def make_objective(
    response: Float,
    X: Float,
    terms: Sequence[RandomTerm],
    *,
    weights: Float | None = None,
    reml: bool = True,
    memory_limit: float = np.inf,
) -> Objective:
    """Working coordinates, cross-products and plan of a model, ready to be evaluated.

    Parameters
    ----------
    response : (n,) array
        y − offset.
    X : (n, p) array of full column rank
    terms : sequence of RandomTerm
    weights : (n,) array, optional
        Positive prior weights.
    reml : bool
    memory_limit : float
        Bytes that one evaluation may take.
    """
    design = working_design(X, terms, weights)
    y, coordinates = working_response(response, design, weights)
    products = cross_products(design, y, weights)
    groups = tuple(block.group for block in design.blocks)
    engine = choose_engine(products.pattern, products.p, groups, memory_limit)
    structures, members = [term.structure for term in terms], [block.terms for block in design.blocks]
    working = WorkingObjective.of(engine, products, structures, members, reml)
    return Objective(terms, design, y, weights, coordinates, working)
