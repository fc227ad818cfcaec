"""Second derivatives of the criterion at its minimum, and how XᵀV⁻¹X depends on θ: what inference rests on.

The parameters are φ = (θ, log σ) in working coordinates.  Nothing here has n rows, and no q × q matrix is formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.objective.blocks import Block
from lmmsparse.objective.points import Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.solution import Solution, directions

Float = NDArray[np.float64]

# Step of the central differences of the gradient, in units of a relative standard deviation.
STEP = 1e-4


@dataclass(frozen=True)
class Sensitivity:
    """Second derivatives at a minimum.

    Attributes
    ----------
    hessian : (n_theta + 1, n_theta + 1) array
        Of the criterion d(θ, σ), σ not profiled out, with respect to θ and σ (in units of σ̂).
    units : (n_theta + 1,) array
        Steps of θ and σ that change the criterion about equally.
    information_slopes : (n_theta, p, p) array
        −∂(XᵀV⁻¹X)/∂θ_i.
    ended : (n_theta,) array of bool
        Parameters at an end of their range, which count as known.
    """

    hessian: Float
    units: Float
    information_slopes: Float
    ended: NDArray[np.bool_]


Differentiate = Callable[[WorkingObjective, Point], Sensitivity]


def sensitivity(working: WorkingObjective, point: Point) -> Sensitivity:
    """Second derivatives at the minimum of a criterion.

    With s = σ², m = n − p (n for ML) and r² the penalized residual sum of squares, d(θ, s) = … + m log s + r²(θ)/s has
    ∂²d/∂s² = m/s² and ∂²d/∂s∂θ = −(∂r²/∂θ)/s² at s = r²/m, so that its Hessian follows from that of the profiled
    criterion, which is found by central differences of the analytic gradient.

    A parameter at an end of its range stays there: it is known, and moves nothing.
    """
    ended = np.concatenate([block.structure.at_end(point.theta[block.parameters]) for block in working.blocks])
    units = np.append(step_units(working.blocks, point.theta), 1.0)
    profiled = _differenced(working, point.theta, STEP * units[:-1], ~ended)
    J = np.where(ended, 0.0, covariance_jacobian(working.blocks, point.theta))
    return _joint(working, point, profiled, J, units, ended)


def _joint(
    working: WorkingObjective, point: Point, profiled: Float, J: Float, units: Float, ended: NDArray[np.bool_]
) -> Sensitivity:
    """With σ beside the parameters, from the Hessian of the profiled criterion and ∂Σ over them."""
    decrease = J.T @ _residual_slopes(point.solution)
    n_theta, degrees = len(profiled), working.degrees
    # per unit of σ̂: ∂/∂log σ at σ̂, hence the factors 2 and 4
    mixed = -2.0 * decrease / point.sigma2
    hessian = np.empty((n_theta + 1, n_theta + 1))
    hessian[:n_theta, :n_theta] = profiled + np.outer(mixed, mixed) / (4.0 * degrees)
    hessian[:n_theta, n_theta] = hessian[n_theta, :n_theta] = mixed
    hessian[n_theta, n_theta] = 4.0 * degrees
    places = np.flatnonzero(ended)
    hessian[places, places] = 4.0 * degrees
    return Sensitivity(hessian, units, np.tensordot(J.T, _information_slopes(point.solution), axes=1), ended)


def local_sensitivity(working: WorkingObjective, point: Point) -> Sensitivity:
    """`sensitivity` with respect to coordinates of the search around the minimum, in place of θ.

    They are relative changes along the directions of every Σ: standard deviations of very different sizes, and effects
    that are nearly the same, keep their digits, which entries of λ do not.
    """
    here = working.evaluate(point.theta)
    derivatives = working.differentiate(here)
    chart = working.chart(here, derivatives)
    ended = np.concatenate([block.structure.at_end(point.theta[block.parameters]) for block in working.blocks])
    n_theta = len(point.theta)
    profiled, J = np.zeros((n_theta, n_theta)), np.zeros((working.blocks[-1].support.stop, n_theta))
    for i, move in enumerate(STEP * np.eye(n_theta)):
        if ended[i]:
            continue
        gradients, places = [], []
        for step in (move, -move):
            beside = working.evaluate(chart.theta(step))
            back, change = chart.secant(beside.theta, working.differentiate(beside))
            gradients.append(chart.gradient - change)
            places.append(-back[i])
        if abs(places[0] - places[1]) < STEP:  # the criterion is even there, and its gradient zero
            gradients[1], places[1] = np.zeros(n_theta), 0.0
        profiled[i] = (gradients[0] - gradients[1]) / (places[0] - places[1])
    profiled[:, ended] = 0.0
    for block, frame, score in zip(working.blocks, chart.frames, derivatives.scores, strict=True):
        J[block.support, block.parameters] = frame.derivatives(score)[1]
    return _joint(working, point, (profiled + profiled.T) / 2, np.where(ended, 0.0, J), np.ones(n_theta + 1), ended)


def step_units(blocks: tuple[Block, ...], theta: Float) -> Float:
    """A step of every parameter that is small beside the standard deviations it belongs to, (n_theta,)."""
    return np.concatenate([block.structure.step_units(theta[block.parameters]) for block in blocks])


def covariance_jacobian(blocks: tuple[Block, ...], theta: Float) -> Float:
    """∂Σ/∂θ on the supports of all terms, (s, n_theta)."""
    J = np.zeros((blocks[-1].support.stop, len(theta)))
    for block in blocks:
        J[block.support, block.parameters] = block.structure.jacobian(theta[block.parameters])
    return J


def hessian(working: WorkingObjective, theta: Float) -> Float:
    """Hessian of the profiled criterion at any θ, (n_theta, n_theta); at an end of a range that of the inner side."""
    lower, upper = (np.concatenate(ends) for ends in zip(*(b.structure.bounds() for b in working.blocks), strict=True))
    steps = STEP * step_units(working.blocks, theta)
    inside = np.clip(theta, lower + steps, upper - steps)  # a difference may be taken a step further in
    return _differenced(working, inside, steps, np.ones(len(theta), dtype=bool))


def _differenced(working: WorkingObjective, theta: Float, steps: Float, free: NDArray[np.bool_]) -> Float:
    """Hessian of the profiled criterion by central differences of its gradient; zero for parameters not ``free``."""
    n_theta = len(theta)
    found = np.zeros((n_theta, n_theta))
    for i in np.flatnonzero(free):
        ends = []
        for step in (steps[i], -steps[i]):
            beside = working.evaluate(theta + step * np.eye(n_theta)[i])
            ends.append(working.differentiate(beside).gradient[free])
        found[i, free] = (ends[0] - ends[1]) / (2.0 * steps[i])
    return (found + found.T) / 2


def _residual_slopes(solution: Solution) -> Float:
    """∂r²/∂Σ_i = −sᵀ(∂Σ/∂Σ_i)s with s = ZᵀWe."""
    return -directions(solution.residual_scores(), solution.request.entries)[1]


def _information_slopes(solution: Solution) -> Float:
    """−∂(XᵀV⁻¹X)/∂Σ_i = Sᵀ(∂Σ/∂Σ_i)S, (s, p, p), with S = ZᵀV⁻¹X."""
    entries, p = solution.request.entries, len(solution.beta)
    slopes = np.zeros((len(entries[0]), p, p))
    if not p:
        return slopes
    S = solution.fixed_scores()
    for i, (g, a, b) in enumerate(zip(*entries, strict=True)):
        product = S[g][:, a].T @ S[g][:, b]
        slopes[i] = product if a == b else product + product.T
    return slopes
