"""The objective of a linear mixed model: the criterion as a function of θ, for a search, for inference, and for users.

`WorkingObjective` computes in working coordinates, which a search and inference see; ``objective(theta)`` and its
derivatives are in the user's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmmsparse.arguments import as_list, as_numbers, as_real, checked_flag, shown
from lmmsparse.covariance.charts import Chart
from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.crossproducts.responses import replace_response, response_products
from lmmsparse.crossproducts.sums import cross_products
from lmmsparse.crossproducts.triangle import triangular_rows
from lmmsparse.design.coordinates import (
    ManyResponses,
    ResponseCoordinates,
    WorkingDesign,
    theta_maps,
    working_design,
    working_response,
    working_responses,
)
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.numerics.dense import row_chunks
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.blocks import Block, blocks_of
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.objective.sensitivity import Differentiate, Sensitivity, covariance_jacobian, hessian, sensitivity
from lmmsparse.objective.stacked import StackedObjective
from lmmsparse.pls.engine import choose_engine
from lmmsparse.pls.orthogonal import LoadedOrthogonal, Orthogonal
from lmmsparse.pls.plan import Plan, check_vectors
from lmmsparse.pls.rounding import rounding_of
from lmmsparse.pls.row_variances import RowVariances, WorkingRows, leverages

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Rounding error of the criterion that is not worth a pass over the rows.
NEGLIGIBLE_NOISE = 1e-8
# Random and fixed effects of a model that may be factored by reflections, and multiplications that these may take.
MOST_COLUMNS, MOST_REFLECTIONS = 400, 2e9
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

    # what a search asks, in working coordinates

    @property
    def reml(self) -> bool:
        """Whether it is the REML criterion."""
        return self.working.reml

    @property
    def degrees(self) -> int:
        """n for ML, n − p for REML."""
        return self.working.degrees

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Where each term stands in θ, among entries of covariances and among the columns of its factor."""
        return self.working.blocks

    @property
    def plan(self) -> Plan:
        """Order of elimination and predicted cost."""
        return self.working.plan

    @property
    def from_rows(self) -> bool:
        """Whether it works with the rows by reflections, not with sums of their squares."""
        return not self.working.engine.squares

    def start(self) -> Float:
        """Where a search begins that knows nothing: λ = I in working coordinates."""
        return self.working.start()

    def bounds(self) -> tuple[Float, Float]:
        """Lower and upper bounds of θ, the same in all units."""
        lower, upper = zip(*(block.structure.bounds() for block in self.blocks), strict=True)
        return np.concatenate(lower), np.concatenate(upper)

    def evaluate(self, psi: Float) -> Point:
        """A point with which `differentiate` can do: near ψ where a covariance is singular there."""
        return self.working.evaluate(psi)

    def exact(self, psi: Float) -> Point:
        """A point at ψ and nowhere else."""
        return self.working.exact(psi)

    def differentiate(self, point: Point) -> Derivatives:
        """Derivatives at a point of `evaluate`."""
        return self.working.differentiate(point)

    def chart(self, point: Point, derivatives: Derivatives) -> Chart:
        """Local coordinates around a point."""
        return self.working.chart(point, derivatives)

    def refined(self, point: Point) -> Point:
        """A point with r² summed over the rows where rounding would show in the criterion.

        r² as a difference from yᵀWy loses the digits by which it is smaller; the rows know them.
        """
        noise = 2.0 * self.degrees * point.rounding.sigma
        if not self.working.engine.squares or noise <= NEGLIGIBLE_NOISE * max(1.0, abs(point.value) / 1e4):
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
        value = point.value + self.degrees * float(np.log(pwrss / point.pwrss))
        losses = replace(point.solution.losses, response=self.products.fixed[-1, -1] / pwrss)
        rounding = rounding_of(losses, value, self.degrees, self.reml, self.working.engine.squares, from_rows=True)
        return replace(point, pwrss=pwrss, sigma2=pwrss / self.degrees, value=value, rounding=rounding)

    # the way to the user's units

    @cached_property
    def theta_map(self) -> Float:
        """T with θ_working = T θ."""
        return theta_maps(self.design.coordinates.term_maps, self.terms)

    @cached_property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the parameters, as lme4 writes them."""
        return tuple(name for term in self.terms for name in term.theta_names)

    @cached_property
    def constant(self) -> float:
        """Criterion in the user's units minus the working one: the log-Jacobian of the change of coordinates."""
        value = 2.0 * self.degrees * np.log(self.response.scale)
        if self.reml and self.design.X.shape[1]:
            value += 2.0 * self.design.coordinates.log_det
        return float(value)

    def to_working(self, theta: Float) -> Float:
        """θ in working coordinates."""
        return np.asarray(self.theta_map @ theta)

    def to_user(self, theta: Float) -> Float:
        """θ in the user's units from working coordinates."""
        return np.asarray(np.linalg.solve(self.theta_map, theta))

    def user_scores(self, derivatives: Derivatives) -> list[Float]:
        """∂d/∂Σ of every term in the user's units, (k_t, k_t)."""
        maps = self.design.coordinates.term_maps
        return [L.T @ score @ L for L, score in zip(maps, derivatives.scores, strict=True)]

    def _checked(self, theta: ArrayLike) -> Float:
        found = as_numbers(theta)
        if found is None:
            raise ArgumentError(f"theta must be numbers ({', '.join(self.theta_names)}), got {shown(theta)}")
        values = found.ravel()
        if len(values) != len(self.theta_names):
            raise ArgumentError(
                f"theta has {len(values)} values, but this model has {len(self.theta_names)}: "
                f"{', '.join(self.theta_names)}"
            )
        if not np.isfinite(values).all():
            raise ArgumentError(f"theta must be finite, got {values}")
        for block, term in zip(self.blocks, self.terms, strict=True):
            block.structure.check(values[block.parameters], term.theta_names)
        return values

    def checked_start(self, start: ArrayLike) -> Float:
        """A start of the search: finite, of the right length, and not beyond all reason."""
        expected = f"start must hold {len(self.theta_names)} finite values ({', '.join(self.theta_names)})"
        try:
            values = self._checked(start)
        except ArgumentError as error:
            raise ArgumentError(f"{expected}, got {shown(start)}: {error}") from error
        if np.abs(self.to_working(values)).max() > LARGEST_START:
            raise ArgumentError(
                f"{expected}; standard deviations of {LARGEST_START:g} sigma are too far, got {shown(start)}"
            )
        return values

    def solve(self, theta: Float) -> Point:
        """Penalized least squares at a working θ, `exact` and `refined`."""
        return self.refined(self.exact(theta))

    def __call__(self, theta: ArrayLike) -> float:
        """Profiled deviance or REML criterion at θ, (n_theta,)."""
        with single_threaded_blas():
            return self.solve(self.to_working(self._checked(theta))).value + self.constant

    def gradient(self, theta: ArrayLike) -> Float:
        """Gradient of the criterion at θ, (n_theta,)."""
        with single_threaded_blas():
            found = self.differentiate(self.evaluate(self.to_working(self._checked(theta))))
        return np.asarray(self.theta_map.T @ found.gradient)

    def hessian(self, theta: ArrayLike) -> Float:
        """Hessian of the criterion at θ, (n_theta, n_theta), by central differences of the analytic gradient."""
        with single_threaded_blas():
            found = hessian(self.working, self.to_working(self._checked(theta)))
        return np.asarray(self.theta_map.T @ found @ self.theta_map)

    # what inference asks

    def sensitivity(self, point: Point, differentiate: Differentiate = sensitivity) -> Sensitivity:
        """Second derivatives of the criterion at its minimum, over θ or as `local_sensitivity` has them."""
        with single_threaded_blas():
            return differentiate(self.working, point)

    def covariance_jacobian(self, point: Point) -> Float:
        """∂Σ/∂θ on the supports of all terms, (s, n_theta)."""
        return covariance_jacobian(self.blocks, point.theta)

    def row_variances(self, rows: WorkingRows) -> RowVariances:
        """Variances of x(β̂ − β) + z(b̂ − b) over σ², as a function of a point's solution."""
        return RowVariances(self.plan, rows)

    def leverages(self, point: Point) -> Float:
        """Diagonal of the matrix that maps y to the fitted values at a point, (n,)."""
        with single_threaded_blas():
            return leverages(self.plan, self.design, self.weights, point.solution)

    @property
    def products(self) -> CrossProducts:
        """[Z X y]ᵀW[Z X y] in working coordinates."""
        return self.working.products

    @property
    def largest_square(self) -> float:
        """The largest share of a single row in yᵀWy."""
        squares = self.y**2 if self.weights is None else self.weights * self.y**2
        return float(squares.max() / squares.sum())

    def template(self, point: Point, term: int) -> Float:
        """λ of a term in working coordinates, (k, k)."""
        block = self.blocks[term]
        return point.templates[block.factor][block.columns, block.columns]

    # the same with something else

    def with_response(self, response: Float) -> Objective:
        """The same model for another response y − offset, (n,): only the last column of [X y] is formed anew."""
        with single_threaded_blas():
            y, coordinates = working_response(response, self.design, self.weights)
            products = replace_response(self.products, self.design, y, self.weights)
        working = self.working.with_products(products, self.reml)
        return Objective(self.terms, self.design, y, self.weights, coordinates, working)

    def with_reml(self, reml: bool) -> Objective:
        """The same model with the other criterion."""
        working = self.working.with_products(self.products, reml)
        return Objective(self.terms, self.design, self.y, self.weights, self.response, working)

    def with_products(self, products: CrossProducts) -> WorkingObjective:
        """The deviance of the same terms with other columns of X, in working coordinates."""
        return WorkingObjective.of(self.working.engine, products, self.blocks, reml=False)

    def on_rows(self, part: WorkingDesign, rows: Index, memory_limit: float) -> WorkingObjective:
        """The same terms on some rows, ``part`` being their design, in the same working coordinates."""
        weights = None if self.weights is None else self.weights[rows]
        products = cross_products(part, self.y[rows], weights)
        engine = choose_engine(products.pattern, products.p, self.plan.groups, memory_limit)
        return WorkingObjective.of(engine, products, self.blocks, self.reml)

    def by_rows(self) -> Objective | None:
        """The same criterion by reflections of the rows, which lose fewer digits; None where that costs too much."""
        loaded, plan, n = self.working.loaded, self.plan, len(self.y)
        columns = plan.q + self.products.p + 1
        if not loaded.engine.squares or columns > MOST_COLUMNS or n * columns**2 > MOST_REFLECTIONS:
            return None
        with single_threaded_blas():
            rows = triangular_rows(self.design, self.y, self.weights)
        working = WorkingObjective(LoadedOrthogonal(Orthogonal(plan, rows, loaded), loaded.request), self.blocks)
        return Objective(self.terms, self.design, self.y, self.weights, self.response, working)

    def stacked(self, responses: Float) -> tuple[StackedObjective, ManyResponses] | None:
        """The same design for many responses y − offset (n, m) at once; None where the engine takes one at a time."""
        Y, origins = working_responses(responses, self.design, self.weights)
        rhs, fixed, squares = response_products(self.design, Y, self.weights)
        solver = self.working.loaded.batch(rhs, fixed, squares)
        if solver is None:
            return None
        return StackedObjective(self.working, solver, rhs, squares, NEGLIGIBLE_NOISE), origins

    def at_many(self) -> StackedObjective | None:
        """The criterion for many θ at once, each as a problem of response 0; None where the engine takes one."""
        solver = self.working.loaded.many()
        if solver is None:
            return None
        right = tuple(rhs[:, :, -1:] for rhs in self.products.rhs)
        return StackedObjective(self.working, solver, right, self.products.fixed[-1:, -1], NEGLIGIBLE_NOISE)


def _checked_parts(
    response: Float, X: Float, terms: Sequence[RandomTerm], weights: Float | None, memory_limit: float
) -> tuple[Float, Float, Sequence[RandomTerm], Float | None, float]:
    """The parts of a model as arrays that fit together; those that do already are not copied."""
    limit = as_real(memory_limit)
    if limit is None or not limit > 0.0:
        raise ArgumentError(f"make_objective: memory_limit must be a positive number, got {shown(memory_limit)}")
    known = as_list(terms)
    if not known or not all(isinstance(term, RandomTerm) for term in known):
        raise ArgumentError(f"make_objective: terms must be those of random_terms(), got {shown(terms)}")
    n, found = len(known[0].codes), []
    given = {"response": (response, 1), "X": (X, 2)} | ({} if weights is None else {"weights": (weights, 1)})
    for name, (value, dimensions) in given.items():
        numbers = as_numbers(value, copy=False)
        if numbers is None or numbers.ndim != dimensions or len(numbers) != n:
            shape = f"({n},)" if dimensions == 1 else f"({n}, p)"
            raise ArgumentError(f"make_objective: {name} must be an array of numbers {shape}, got {shown(value)}")
        if not np.isfinite(numbers).all():
            raise ArgumentError(f"make_objective: {name} must be finite")
        found.append(np.ascontiguousarray(numbers) if dimensions == 1 else numbers)
    if weights is not None and not found[2].min() > 0.0:
        raise ArgumentError("make_objective: weights must be positive")
    return found[0], found[1], known, found[2] if weights is not None else None, limit


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

    Raises
    ------
    ArgumentError
        An argument is none of these.
    """
    response, X, terms, weights, memory_limit = _checked_parts(response, X, terms, weights, memory_limit)
    checked_flag("make_objective", "reml", reml)
    design = working_design(X, terms, weights)
    check_vectors([(one.n_levels, one.columns.shape[1]) for one in design.blocks], X.shape[1], memory_limit)
    y, coordinates = working_response(response, design, weights)
    products = cross_products(design, y, weights)
    groups = tuple(block.group for block in design.blocks)
    engine = choose_engine(products.pattern, products.p, groups, memory_limit)
    blocks = blocks_of([term.structure for term in terms], [block.terms for block in design.blocks])
    working = WorkingObjective.of(engine, products, blocks, reml)
    return Objective(terms, design, y, weights, coordinates, working)
