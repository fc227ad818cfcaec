"""From an objective to estimates: search θ, settle the boundary, certify the end, map everything back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import checked_object, shown
from lmmsparse.errors import ArgumentError, FactorizationError
from lmmsparse.estimation.boundary import (
    canonical,
    emptied,
    empty_parts,
    leave_boundary,
    without_doubtful_terms,
)
from lmmsparse.estimation.certificate import OptInfo, certificate, perfect_fit
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.estimates import Estimates, user_estimates
from lmmsparse.estimation.searched import WORTHWHILE, Found, Searched
from lmmsparse.estimation.spread import spread_ends
from lmmsparse.estimation.starts import other_starts
from lmmsparse.estimation.subsample import thinned_start
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point
from lmmsparse.objective.protocols import Criterion
from lmmsparse.search.cobyqa import cobyqa
from lmmsparse.search.newton import newton
from lmmsparse.search.protocols import Evaluation

Float = NDArray[np.float64]
Watch = Callable[[Evaluation], None]

# A variance stays at zero when that raises the criterion by less than this (times |criterion|/1e4 for large values).
ZERO_TOLERANCE = 1e-9
# Evaluations of a search from another start.
OTHER_BUDGET = 50
# Second minima where a variance is zero are a matter of small data as well.
FEW_ROWS = 5000
# Searches of one fit: the first, and those from better starts that its end suggests.
SEARCHES = 3
# Evaluations of COBYQA for one of the Newton search.
SLOWER = 10


class Recorder:
    """Evaluations of a fit in working coordinates, and what is left of its budget."""

    def __init__(self, objective: Objective, budget: int, watch: Watch | None) -> None:
        self.objective, self.budget, self.watch = objective, budget, watch
        self.evaluations: list[Evaluation] = []

    def __call__(self, evaluation: Evaluation) -> None:
        """Record one evaluation, and show it to who watches."""
        self.evaluations.append(evaluation)
        if self.watch is not None:
            self.watch(*self._in_user_units([evaluation]))

    @property
    def history(self) -> tuple[Evaluation, ...]:
        """All of them in the user's units."""
        return self._in_user_units(self.evaluations)

    def _in_user_units(self, evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
        thetas = self.objective.to_user(np.column_stack([one.theta for one in evaluations])).T
        pairs = zip(thetas, evaluations, strict=True)
        return tuple(Evaluation(theta, one.value + self.objective.constant, one.accepted) for theta, one in pairs)

    @property
    def left(self) -> int:
        """Evaluations that may still be spent."""
        return self.budget - len(self.evaluations)


@dataclass(frozen=True)
class Start:
    """Where the first search begins, in working coordinates.

    Attributes
    ----------
    theta : (n_theta,) array
    is_cold : bool
        Nobody has asked for it, so that other starts are tried as well.
    preliminary : int
        Evaluations on a part of the data that found it.
    """

    theta: Float
    is_cold: bool
    preliminary: int = 0


# Searches from one start with so many evaluations at most: what `optimizer` chooses.
Estimator = Callable[[Objective, Float, Recorder, int], Found]


def by_newton(criterion: Criterion, start: Float, record: Recorder, budget: int, *, tolerance: float) -> Found:
    """Trust-region Newton on analytic derivatives, in local coordinates."""
    return newton(
        criterion.evaluate,
        criterion.differentiate,
        start,
        chart=criterion.chart,
        tolerance=tolerance,
        max_evaluations=budget,
        watch=record,
    )


def by_cobyqa(objective: Objective, start: Float, record: Recorder, budget: int) -> Found:
    """SciPy's derivative-free COBYQA."""
    return cobyqa(
        objective.evaluate,
        objective.differentiate,
        start,
        objective.bounds(),
        max_evaluations=budget,
        watch=record,
    )


def fit(
    objective: Objective,
    *,
    start: Float | None = None,
    optimizer: str = "newton",
    tolerance: float = 1e-10,
    max_evaluations: int = 200,
    watch: Watch | None = None,
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
    known = checked_object("fit", "objective", objective, Objective, "an Objective, as make_objective returns")
    settings = Control(optimizer=optimizer, tolerance=tolerance, max_evaluations=max_evaluations)
    if watch is not None and not callable(watch):
        raise ArgumentError(f"fit: watch must be a function of an evaluation, got {shown(watch)}")
    first = None if start is None else known.checked_start(start)
    return controlled_fit(known, settings, start=first, watch=watch)


def controlled_fit(
    objective: Objective, control: Control, *, start: Float | None = None, watch: Watch | None = None
) -> tuple[Estimates, OptInfo]:
    """`fit` with the settings of a `Control`."""
    with single_threaded_blas():
        if objective.response.exact:
            # nothing is left to estimate θ from, and it is set to zero
            nothing = objective.exact(np.zeros(len(objective.theta_names)))
            estimates = replace(user_estimates(objective, nothing, singular=True), perfect=True)
            return estimates, perfect_fit(objective, estimates, control.optimizer)
        if control.optimizer == "newton":
            search: Estimator = partial(by_newton, tolerance=control.tolerance)
            record = Recorder(objective, control.max_evaluations, watch)
            first = _newton_start(objective, start)
        else:
            search, record = by_cobyqa, Recorder(objective, SLOWER * control.max_evaluations, watch)
            first = _given_start(objective, start)
        searched = _searched(objective, first, search, record)
        optimum = searched.optimum
        point = objective.refined(_settled(objective, optimum, record))
        empty = empty_parts(objective, point.theta, optimum.derivatives)
        estimates = user_estimates(objective, point, singular=bool(empty))
        return estimates, certificate(
            objective, searched, empty, estimates, control.optimizer, record.history, first.preliminary
        )


def _given_start(objective: Objective, start: Float | None) -> Start:
    if start is None:
        return Start(objective.start(), is_cold=False)
    return Start(canonical(objective.blocks, objective.to_working(start)), is_cold=False)


def _newton_start(objective: Objective, start: Float | None) -> Start:
    if start is not None:
        return _given_start(objective, start)
    thinned = thinned_start(objective)
    if thinned is None:
        return Start(objective.start(), is_cold=True)
    return Start(thinned[0], is_cold=True, preliminary=thinned[1])


def _searched(objective: Objective, start: Start, search: Estimator, record: Recorder) -> Searched:
    """The lowest end of searches from the start, from others where it is cold, and from where their ends point."""
    ends = spread_ends(objective) if start.is_cold else None
    first_budget = record.left if ends is None else max(1, record.left // 2)  # something is left for better ends
    best = Searched.first(search(objective, start.theta, record, first_budget))
    if start.is_cold and not best.optimum.point.degenerate:
        if ends is None:
            for theta in other_starts(objective):
                if record.left > 0:
                    with suppress(FactorizationError):  # nothing is there
                        best = best.or_lower(search(objective, theta, record, min(OTHER_BUDGET, record.left)))
        else:
            best = best.beside(ends)
            for theta, spent in ends.promising(best.optimum.point.value):
                if record.left > 0:
                    with suppress(FactorizationError):
                        best = best.or_lower(search(objective, theta, record, record.left), spent)
    for _ in range(SEARCHES - 1):
        if best.optimum.point.degenerate or record.left < 1:
            break
        better = _better_start(objective, best.optimum, record)
        if better is None:
            break
        other = search(objective, better, record, record.left)
        if not other.point.value < best.optimum.point.value:
            break
        best = best.continued(other)
    return best


def _better_start(objective: Objective, optimum: Found, record: Recorder) -> Float | None:
    """Where the search should go on: off the boundary where the deviance falls there, or at a lower second minimum."""
    theta = emptied(objective.blocks, optimum.point.theta)
    outward = [part for part in empty_parts(objective, theta, optimum.derivatives) if part.falls_inwards]
    if outward:
        return leave_boundary(objective, theta, outward)
    if objective.degrees > FEW_ROWS:
        return None
    lowest, found = optimum.point.value - WORTHWHILE, None
    for candidate in without_doubtful_terms(objective, theta, optimum.derivatives):
        try:
            point = objective.exact(candidate)
        except FactorizationError:
            continue
        record(Evaluation(candidate, point.value, point.value < lowest))
        if point.value < lowest:
            lowest, found = point.value, candidate
    return found


def _settled(objective: Objective, optimum: Found, record: Recorder) -> Point:
    """The optimum with tiny variances at exactly zero, where that costs nothing."""
    point = optimum.point
    theta = emptied(objective.blocks, point.theta)
    if point.exact and np.array_equal(theta, point.theta):
        return point
    settled = objective.exact(theta)
    slack = max(ZERO_TOLERANCE * max(1.0, abs(settled.value) / 1e4), settled.noise)
    accepted = settled.value <= point.value + slack
    record(Evaluation(theta, settled.value, accepted))
    if accepted or np.array_equal(theta, point.theta):
        return settled
    kept = objective.exact(point.theta)
    record(Evaluation(point.theta, kept.value, True))
    return kept
