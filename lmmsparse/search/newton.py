"""Trust-region Newton search for the minimum of one objective.

The search sees only callables.  It runs unbounded in local coordinates (a chart) around each point that it accepts: the
criterion is even across the boundary of a family of covariances, which is an interior point there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.search.protocols import D, Derivatives, Evaluation, LocalChart, Optimum, P, PlainChart
from lmmsparse.search.rules import (
    DIFFERENCE,
    bounded_steps,
    is_accepted,
    is_settled,
    loosened,
    next_radius,
    turned_hessian,
    usable_hessian,
)

Float = NDArray[np.float64]

# The secant correction of the Hessian is trusted only this close to the minimum, in units of the deviance,
SECANT_RANGE = 0.02
# only after a step whose gain was within these factors of the predicted one,
SECANT_RATIOS = (0.3, 4.0)
# and only while it does not shrink the smallest eigenvalue more than this.
SECANT_SHRINKAGE = 1e-3
# Differences of gradients replace the information when it has been a poor Hessian after more full steps than this, with
# a gain that was not within these factors of the predicted one, and after so many evaluations in any case.
POOR_STEPS, FAIR, PATIENCE = 5, (0.6, 1.6), 40
# A step below this length moves nothing.
SHORTEST_STEP = 1e-14


def combined_hessian(derivatives: Derivatives) -> Float:
    """`usable_hessian` of one problem."""
    return np.asarray(usable_hessian(derivatives.information[None], derivatives.curvature[None])[0])


def trust_region_step(hessian: Float, gradient: Float, radius: float) -> tuple[Float, float]:
    """`bounded_steps` of one problem."""
    step, decrease = bounded_steps(hessian[None], gradient[None], np.array([radius]))
    return step[0], float(decrease[0])


def secant_hessian(hessian: Float, step: Float, change: Float) -> Float:
    """Symmetric rank-one correction with which ``hessian @ step`` equals the observed change of the gradient.

    The average information differs from the Hessian by a term that makes the last steps converge linearly; near the
    minimum the last step shows it.  The correction is dropped where it would make the matrix nearly singular.
    """
    residual = change - hessian @ step
    scale = residual @ step
    if abs(scale) <= 1e-8 * np.linalg.norm(residual) * np.linalg.norm(step):
        return hessian
    corrected = hessian + np.outer(residual, residual) / scale
    if np.linalg.eigvalsh(corrected)[0] < SECANT_SHRINKAGE * np.linalg.eigvalsh(hessian)[0]:
        return hessian
    return corrected


def differenced_hessian(
    solve: Callable[[Float], P], differentiate: Callable[[P], D], local: LocalChart, size: int
) -> Float | None:
    """The Hessian in local coordinates from gradients around the point; None where one of them does not exist.

    Where the average information overstates the curvature, every step is too short by the same factor and a search
    creeps; so many more evaluations show the truth.
    """
    steps, changes = np.empty((size, size)), np.empty((size, size))
    for i, move in enumerate(DIFFERENCE * np.eye(size)):
        try:
            beside = solve(local.theta(move))
        except FactorizationError:
            return None
        steps[i], changes[i] = local.secant(beside.theta, differentiate(beside))
    try:
        return np.asarray(turned_hessian(steps[None], changes[None])[0])
    except np.linalg.LinAlgError:  # a parameter that its family holds where it is
        return None


def newton(
    solve: Callable[[Float], P],
    differentiate: Callable[[P], D],
    start: Float,
    *,
    chart: Callable[[P, D], LocalChart] = PlainChart.around,
    tolerance: float = 1e-10,
    max_evaluations: int = 200,
    watch: Callable[[Evaluation], None] | None = None,
) -> Optimum[P, D]:
    """Trust-region Newton method on value, gradient and average-information Hessian.

    Parameters
    ----------
    solve : callable
        θ → point with its value; may raise `FactorizationError` where θ is out of range.
    differentiate : callable
        point → derivatives there; called for accepted points only.
    start : (n_theta,) array
    chart : callable, optional
        (point, derivatives) → `LocalChart`; θ itself by default.
    tolerance : float
        The search ends when the predicted decrease is below this (times |value|/1e4 for large values).
    max_evaluations : int
    watch : callable, optional
        Called after every evaluation.
    """
    history: list[Evaluation] = []

    def record(theta: Float, value: float, accepted: bool) -> None:
        history.append(Evaluation(theta, value, accepted))
        if watch is not None:
            watch(history[-1])

    def beside(theta: Float) -> P:
        found = solve(theta)
        record(theta, found.value, False)
        return found

    point = solve(np.array(start, dtype=float))
    record(point.theta, point.value, True)
    derivatives = differentiate(point)
    local = chart(point, derivatives)
    radius, predicted, converged = np.ones(1), np.inf, False
    pair: tuple[Float, Float] | None = None
    hessian, poor, shut = None, 0, False
    while not point.degenerate:
        if hessian is None:
            hessian = combined_hessian(local)
            if poor > POOR_STEPS or len(history) >= PATIENCE:
                exact = differenced_hessian(beside, differentiate, local, len(point.theta))
                hessian = hessian if exact is None else exact
            elif pair is not None:
                hessian = secant_hessian(hessian, *pair)
        steps, decreases = bounded_steps(hessian[None], local.gradient[None], radius)
        step, predicted = steps[0], float(decreases[0])
        if shut:  # what can be gained where nothing can be evaluated is still to be gained
            predicted = trust_region_step(hessian, local.gradient, np.inf)[1]
        if is_settled(predicted, point.value, loosened(tolerance, len(history))):
            converged = True
            break
        length = float(np.linalg.norm(step))
        if len(history) >= max_evaluations or length <= SHORTEST_STEP:
            break
        theta = local.theta(step)
        try:
            trial = solve(theta)
        except FactorizationError:
            record(theta, np.inf, False)
            shut = True
            radius = next_radius(radius, -np.inf, length)
            continue
        actual, noise = point.value - trial.value, max(point.noise, trial.noise)
        settled = max(predicted, abs(actual)) <= noise  # the rest is rounding
        ratio = 1.0 if settled else actual / float(decreases[0])
        accepted = bool(is_accepted(ratio)) and not (settled and actual < 0.0)
        record(theta, trial.value, accepted)
        poor += not (settled or length >= radius[0] or FAIR[0] < ratio < FAIR[1])
        radius = next_radius(radius, ratio, length)
        if accepted:
            before, before_derivatives = point, derivatives
            point, derivatives = trial, differentiate(trial)
            local, hessian, shut = chart(point, derivatives), None, False
            near = predicted < SECANT_RANGE and SECANT_RATIOS[0] < ratio < SECANT_RATIOS[1]
            pair = local.secant(before.theta, before_derivatives) if near else None
        if settled:
            converged = not shut
            break
    return Optimum(point, derivatives, converged, float(predicted), tuple(history))
