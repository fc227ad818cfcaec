"""From an objective to estimates: search θ, settle the boundary, certify the end, map everything back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.estimation.boundary import (
    EmptyDirection,
    canonical,
    describe_empty,
    doubtful_terms,
    emptied,
    empty_directions,
    leave_boundary,
)
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.estimates import Estimates, user_estimates
from lmmsparse.estimation.subsample import thinned_start
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.plan import Plan
from lmmsparse.search.newton import Evaluation, Optimum, cobyqa, combined_hessian, newton

Float = NDArray[np.float64]

# A variance stays at zero when that raises the criterion by less than this (times |criterion|/1e4 for large values).
ZERO_TOLERANCE = 1e-9
# Another start must promise more than this to be followed.
WORTHWHILE = 1e-7
# With fewer rows a parameter than this, a deviance often has several minima, and evaluations cost nothing:
MANY_ROWS = 20
# the search is repeated from these multiples of the start.
OTHER_STARTS = (0.1, 3.0)
OTHER_BUDGET = 50
# A search that begins where another response had its optimum begins with no standard deviation below this.
SMALLEST_START = 0.1
# Second minima where a variance is zero are a matter of small data as well.
FEW_ROWS = 5000
# Searches of one fit: the first, and those from better starts that its end suggests.
SEARCHES = 3
# Eigenvalues of the average information below this share of the largest say that θ is not identified.
FLAT = 1e-9


@dataclass(frozen=True)
class OptInfo:
    """Record of a search, enough to audit the fit.

    Attributes
    ----------
    optimizer : str
    evaluations : int
        Factorizations of M(θ) in the search.
    converged : bool
    message : str
        One sentence: how the search ended.
    gradient_norm : float
        Largest entry of the gradient in working coordinates (curvature there is of the order of the levels).
    hessian_eigenvalues : (n_theta,) array
        Of the approximate Hessian in working coordinates, increasing.
    predicted_decrease : float
        What one more Newton step would gain.
    boundary : dict
        Empty direction of a term → derivative of the criterion with respect to its relative variance;
        positive where zero is optimal.
    flat : tuple of str
        Parameters that the data do not tell apart; empty for an identified model.
    history : tuple of Evaluation
        θ (in the user's units) and criterion of every evaluation.
    plan : Plan
        Order of elimination with its predicted cost.
    preliminary : int
        Evaluations on a part of the data that found the start; 0 where there was no such search.
    """

    optimizer: str
    evaluations: int
    converged: bool
    message: str
    gradient_norm: float
    hessian_eigenvalues: Float
    predicted_decrease: float
    boundary: dict[str, float]
    flat: tuple[str, ...]
    history: tuple[Evaluation, ...] = field(repr=False)
    plan: Plan = field(repr=False)
    preliminary: int = 0


class Recorder:
    """History of a fit in the user's units, and what is left of its budget."""

    def __init__(self, objective: Objective, budget: int, watch: Callable[[Evaluation], None] | None) -> None:
        self.objective, self.budget, self.watch = objective, budget, watch
        self.history: list[Evaluation] = []

    def __call__(self, evaluation: Evaluation) -> None:
        """Record one evaluation in working coordinates."""
        theta = self.objective.to_user(evaluation.theta)
        seen = replace(evaluation, theta=theta, value=evaluation.value + self.objective.constant)
        self.history.append(seen)
        if self.watch is not None:
            self.watch(seen)

    @property
    def left(self) -> int:
        """Evaluations that may still be spent."""
        return self.budget - len(self.history)


def fit(
    objective: Objective,
    *,
    start: Float | None = None,
    optimizer: str = "newton",
    tolerance: float = 1e-10,
    max_evaluations: int = 200,
    watch: Callable[[Evaluation], None] | None = None,
) -> tuple[Estimates, OptInfo]:
    """Minimize an objective and collect the estimates.

    Parameters
    ----------
    objective : Objective
    start : (n_theta,) array, optional
        In the user's units; λ = I in working coordinates by default.
    optimizer : {"newton", "cobyqa"}
    tolerance : float
        Predicted decrease of the criterion at which the search ends.
    max_evaluations : int
    watch : callable, optional
        Called with every `Evaluation` (in the user's units).
    """
    with single_threaded_blas():
        if objective.response.exact:
            return _exact_fit(objective, optimizer)
        return _fit(objective, start, optimizer, tolerance, max_evaluations, watch)


def controlled_fit(
    objective: Objective,
    control: Control,
    *,
    start: Float | None = None,
    watch: Callable[[Evaluation], None] | None = None,
) -> tuple[Estimates, OptInfo]:
    """`fit` with the settings of a `Control`."""
    return fit(
        objective,
        start=start,
        optimizer=control.optimizer,
        tolerance=control.tolerance,
        max_evaluations=control.max_evaluations,
        watch=watch,
    )


def _fit(
    objective: Objective,
    start: Float | None,
    optimizer: str,
    tolerance: float,
    max_evaluations: int,
    watch: Callable[[Evaluation], None] | None,
) -> tuple[Estimates, OptInfo]:
    working = objective.working
    record = Recorder(objective, max_evaluations if optimizer == "newton" else 10 * max_evaluations, watch)
    thinned = thinned_start(objective) if start is None and optimizer == "newton" else None
    preliminary = 0
    if thinned is not None:
        first, preliminary = thinned
    else:
        first = working.start() if start is None else canonical(working.structures, objective.to_working(start))
    optimum = _search(objective, first, optimizer, tolerance, record)
    if start is None and optimizer == "newton":
        for theta in other_starts(working):
            if record.left > 0 and not optimum.point.degenerate:
                other = _search(objective, theta, optimizer, tolerance, record, OTHER_BUDGET)
                if other.point.value < optimum.point.value - (0.0 if other.converged else WORTHWHILE):
                    optimum = other
    for _ in range(SEARCHES - 1):
        if optimum.point.degenerate or record.left < 1:
            break
        better = _better_start(objective, optimum, record)
        if better is None:
            break
        other = _search(objective, better, optimizer, tolerance, record)
        if not other.point.value < optimum.point.value:
            break
        optimum = other
    solution = objective.refined(_settled(objective, optimum, record))
    directions = empty_directions(objective, solution.theta, optimum.slopes)
    estimates = user_estimates(objective, solution, singular=bool(directions))
    info = _certificate(objective, optimum, directions, estimates, optimizer, tuple(record.history))
    return estimates, replace(info, preliminary=preliminary)


def other_starts(working: WorkingObjective) -> list[Float]:
    """Starts of further searches, where there are so few rows that the criterion may have several minima."""
    first = working.start()
    if working.degrees >= MANY_ROWS * len(first) or len(first) == 1:
        return []
    return [scale * first for scale in OTHER_STARTS]


def warm_start(objective: Objective, theta: Float) -> Float:
    """Where to begin in working coordinates when θ, in the user's units, was the optimum for another response.

    No standard deviation is near zero there: where a variance is zero, its derivative says little.
    """
    working, parts = objective.working, []
    theta = objective.to_working(theta)
    for structure, part in zip(working.structures, working.slices, strict=True):
        parts.append(structure.theta(structure.spread_at_least(structure.template(theta[part]), SMALLEST_START)))
    return np.concatenate(parts)


def start_near(objective: Objective, theta: Float) -> Float | None:
    """A start in the user's units when θ was the optimum for like data; None where a cold search has several starts."""
    return None if other_starts(objective.working) else objective.to_user(warm_start(objective, theta))


def _better_start(objective: Objective, optimum: Optimum[Point, Derivatives], record: Recorder) -> Float | None:
    """Where the search should go on: off the boundary where the deviance falls there, or at a lower second minimum."""
    theta = emptied(objective.working.structures, optimum.point.theta)
    directions = empty_directions(objective, theta, optimum.slopes)
    outward = [d for d in directions if d.score < -1e-6 * max(1.0, d.scale)]
    if outward:
        return leave_boundary(objective, theta, outward)
    if objective.working.degrees > FEW_ROWS:
        return None
    lowest, found = optimum.point.value - WORTHWHILE, None
    for candidate in doubtful_terms(objective, theta, optimum.slopes):
        try:
            point = objective.working.solve(candidate)
        except FactorizationError:
            continue
        record(Evaluation(candidate, point.value, point.value < lowest))
        if point.value < lowest:
            lowest, found = point.value, candidate
    return found


def _settled(objective: Objective, optimum: Optimum[Point, Derivatives], record: Recorder) -> Point:
    """The optimum with tiny variances at exactly zero, where that costs nothing."""
    working, point = objective.working, optimum.point
    theta = emptied(working.structures, point.theta)
    if point.exact and np.array_equal(theta, point.theta):
        return point
    settled = working.solve(theta)
    slack = max(ZERO_TOLERANCE * max(1.0, abs(settled.value) / 1e4), settled.noise)
    accepted = settled.value <= point.value + slack
    record(Evaluation(theta, settled.value, accepted))
    if accepted or np.array_equal(theta, point.theta):
        return settled
    kept = working.solve(point.theta)
    record(Evaluation(point.theta, kept.value, True))
    return kept


def _exact_fit(objective: Objective, optimizer: str) -> tuple[Estimates, OptInfo]:
    """The fixed effects reproduce the response: nothing is left to estimate θ from, and it is set to zero."""
    working = objective.working
    solution = working.solve(np.zeros(len(objective.theta_names)))
    estimates = replace(user_estimates(objective, solution, singular=True), perfect=True)
    info = OptInfo(
        optimizer=optimizer,
        evaluations=1,
        converged=True,
        message=(
            "perfect fit: the fixed effects reproduce the response to machine precision; "
            "theta is set to 0 and means nothing"
        ),
        gradient_norm=0.0,
        hessian_eigenvalues=np.zeros(len(solution.theta)),
        predicted_decrease=0.0,
        boundary={},
        flat=(),
        history=(Evaluation(estimates.theta, estimates.criterion, True),),
        plan=objective.plan,
    )
    return estimates, info


def _search(
    objective: Objective,
    start: Float,
    optimizer: str,
    tolerance: float,
    record: Recorder,
    budget: int | None = None,
) -> Optimum[Point, Derivatives]:
    working = objective.working
    budget = record.left if budget is None else min(budget, record.left)
    if optimizer == "cobyqa":
        return cobyqa(
            working.solve_nearby,
            working.differentiate,
            start,
            objective.lower_bounds,
            max_evaluations=budget,
            watch=record,
        )
    return newton(
        working.solve_nearby,
        working.differentiate,
        start,
        chart=working.chart,
        tolerance=tolerance,
        max_evaluations=budget,
        watch=record,
    )


def _certificate(
    objective: Objective,
    optimum: Optimum[Point, Derivatives],
    directions: list[EmptyDirection],
    estimates: Estimates,
    optimizer: str,
    history: tuple[Evaluation, ...],
) -> OptInfo:
    """One verdict: converged, at the boundary, without residual variance, or not converged, and why."""
    slopes = optimum.slopes
    eigenvalues = np.asarray(np.linalg.eigvalsh(combined_hessian(slopes)))
    gradient_norm = float(np.abs(slopes.gradient).max())
    information, vectors = np.linalg.eigh(slopes.information)
    flat = information <= FLAT * information[-1]
    involved = (np.abs(vectors[:, flat]) > 0.1).any(axis=1)
    names: tuple[str, ...] = ()
    if not directions and not estimates.perfect:
        names = tuple(name for name, use in zip(objective.theta_names, involved, strict=True) if use)
    if estimates.perfect:
        message = "the residual variance is zero to machine precision: theta and the criterion have no finite optimum"
    elif not optimum.converged:
        message = (
            f"not converged after {len(history)} evaluations: one more step is predicted to lower the criterion by "
            f"{optimum.predicted:.2g} (largest gradient entry {gradient_norm:.2g})"
        )
    elif directions:
        message = f"converged: boundary (singular) fit: {describe_empty(objective, directions)}"
    elif names:
        message = f"converged, but the data cannot tell apart {', '.join(names)}"
    else:
        message = "converged"
    return OptInfo(
        optimizer=optimizer,
        evaluations=len(history),
        converged=optimum.converged and not estimates.perfect,
        message=message,
        gradient_norm=gradient_norm,
        hessian_eigenvalues=eigenvalues,
        predicted_decrease=optimum.predicted,
        boundary={d.name: d.score for d in directions},
        flat=names,
        history=history,
        plan=objective.plan,
    )
