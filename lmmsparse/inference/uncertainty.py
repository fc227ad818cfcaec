"""How well θ and σ are known, and how the covariance matrix of β̂ depends on them.

The parameters are φ = (θ, σ) in working coordinates; what follows from them (degrees of freedom, covariances of β̂) does
not depend on the coordinates.  Nothing here has n rows, and no n × n or q × q matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.remembered import remembered
from lmmsparse.numerics.dense import cholesky_inverse
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.solution import directions

Float = NDArray[np.float64]

# Step of the central differences of the gradient, in units of a relative standard deviation.
STEP = 1e-4
# Eigenvalues of the Hessian below this share of the largest carry no information.
FLAT = 1e-8


@dataclass(frozen=True)
class Uncertainty:
    """Second derivatives at the optimum.

    Attributes
    ----------
    hessian : (n_theta + 1, n_theta + 1) array
        Of the criterion d(θ, σ), σ not profiled out, with respect to θ and σ (in units of σ̂).
    units : (n_theta + 1,) array
        Steps of θ and σ that change the criterion about equally.
    covariance : (n_theta + 1, n_theta + 1) array
        2 hessian⁻¹, the covariance matrix of the estimates; directions without information are left out.
    fixed : (p, p) array
        Covariance matrix of β̂ in the user's units.
    jacobian : (n_theta + 1, p, p) array
        Its derivatives.
    """

    hessian: Float
    units: Float
    covariance: Float
    fixed: Float
    jacobian: Float


def uncertainty(objective: Objective, solution: Point) -> Uncertainty:
    """Second derivatives of the criterion and the derivatives of the covariance matrix of β̂.

    With s = σ², m = n − p (n for ML) and r² the penalized residual sum of squares, d(θ, s) = … + m log s + r²(θ)/s has
    ∂²d/∂s² = m/s² and ∂²d/∂s∂θ = −(∂r²/∂θ)/s² at s = r²/m, so that its Hessian follows from that of the profiled
    criterion, which is found by central differences of the analytic gradient.

    Parameters
    ----------
    objective : Objective
    solution : Point
        At the optimum, in working coordinates.
    """
    working, coordinates = objective.working, objective.design.coordinates
    units = np.append(_units(working, solution.theta), 1.0)
    with single_threaded_blas():
        profiled = _profiled_hessian(working, solution, STEP * units[:-1])
        J = _covariance_jacobian(working, solution.theta)
        decrease = J.T @ _residual_slopes(working, solution)
        sensitivity = np.tensordot(J.T, _information_slopes(working, solution), axes=1)
    n_theta, degrees = len(solution.theta), working.degrees
    # per unit of σ̂: ∂/∂log σ at σ̂, hence the factors 2 and 4
    mixed = -2.0 * decrease / solution.sigma2
    hessian = np.empty((n_theta + 1, n_theta + 1))
    hessian[:n_theta, :n_theta] = profiled + np.outer(mixed, mixed) / (4.0 * degrees)
    hessian[:n_theta, n_theta] = hessian[n_theta, :n_theta] = mixed
    hessian[n_theta, n_theta] = 4.0 * degrees
    F = cholesky_inverse(solution.fixed_factor)
    to_user = coordinates.beta_map(float(np.sqrt(solution.sigma2)) * objective.response.scale)
    fixed = to_user @ F @ to_user.T
    jacobian = np.empty((n_theta + 1, *fixed.shape))
    jacobian[:n_theta] = to_user @ F @ sensitivity @ F @ to_user.T
    jacobian[n_theta] = 2.0 * fixed
    return Uncertainty(hessian, units, 2.0 * _inverse(hessian, units), fixed, jacobian)


@remembered
def uncertainty_of(model: FittedModel) -> Uncertainty:
    """Second derivatives of the criterion at θ̂, σ̂, and the derivatives of the covariance matrix of β̂."""
    return uncertainty(model.objective, model.estimates.solution)


def _units(working: WorkingObjective, theta: Float) -> Float:
    """Length of the row of λ that an entry is in, at least 1: a large standard deviation is known in its own unit."""
    out = np.ones(len(theta))
    for structure, part in zip(working.structures, working.slices, strict=True):
        lengths = np.linalg.norm(structure.template(theta[part]), axis=1)
        out[part] = np.maximum(1.0, lengths[structure.entries[0]])
    return out


def _profiled_hessian(working: WorkingObjective, solution: Point, steps: Float) -> Float:
    """Hessian of the profiled criterion with respect to θ by central differences of its gradient."""
    n_theta = len(solution.theta)
    hessian = np.empty((n_theta, n_theta))
    for i, (unit, step) in enumerate(zip(np.eye(n_theta), steps, strict=True)):
        ends = []
        for sign in (1.0, -1.0):
            point = working.solve_nearby(solution.theta + sign * step * unit)
            ends.append(working.differentiate(point).gradient)
        hessian[i] = (ends[0] - ends[1]) / (2.0 * step)
    return (hessian + hessian.T) / 2


def _covariance_jacobian(working: WorkingObjective, theta: Float) -> Float:
    """∂Σ/∂θ on the free entries of all terms, (n_theta, n_theta)."""
    J = np.zeros((len(theta), len(theta)))
    for structure, part in zip(working.structures, working.slices, strict=True):
        a, b = structure.entries
        columns = structure.template(theta[part])[:, b]
        J[part, part] = (a[:, None] == a) * columns[b] + columns[a] * (b[:, None] == a)
    return J


def _residual_slopes(working: WorkingObjective, solution: Point) -> Float:
    """∂r²/∂Σ_i = −sᵀ(∂Σ/∂Σ_i)s with s = ZᵀWe."""
    return -directions(solution.solution.residual_scores(), working.loaded.request.entries)[1]


def _information_slopes(working: WorkingObjective, solution: Point) -> Float:
    """−∂(XᵀV⁻¹X)/∂Σ_i = Sᵀ(∂Σ/∂Σ_i)S, (n_theta, p, p)."""
    S = solution.solution.fixed_scores() if working.products.p else []
    slopes = np.zeros((len(solution.theta), working.products.p, working.products.p))
    if not S:
        return slopes
    for i, (g, a, b) in enumerate(zip(*working.loaded.request.entries, strict=True)):
        product = S[g][:, a].T @ S[g][:, b]
        slopes[i] = product if a == b else product + product.T
    return slopes


def _inverse(hessian: Float, units: Float) -> Float:
    """Inverse on the directions of positive curvature."""
    values, vectors = np.linalg.eigh(units[:, None] * hessian * units)
    kept = values > FLAT * values[-1]
    vectors = units[:, None] * vectors[:, kept]
    return np.asarray((vectors / values[kept]) @ vectors.T)
