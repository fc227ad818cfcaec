"""How well θ and σ are known, and how the covariance matrix of β̂ depends on them.

The parameters are φ = (θ, σ) in working coordinates; what follows from them (degrees of freedom, covariances of β̂) does
not depend on the coordinates.  Nothing here has n rows, and no n × n or q × q matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.remembered import remembered
from lmmsparse.numerics.dense import cholesky_inverse
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point
from lmmsparse.objective.sensitivity import Sensitivity, local_sensitivity

Float = NDArray[np.float64]

# Eigenvalues of the Hessian below this share of the largest carry no information.
FLAT = 1e-8
# Beside standard deviations of so many σ, entries of λ are no parameters to take differences over.
FAR_APART = 20.0


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Second derivatives at the optimum.

    Attributes
    ----------
    hessian : (n_theta + 1, n_theta + 1) array
        Of the criterion d(θ, σ), σ not profiled out, with respect to θ and σ (in units of σ̂).
    units : (n_theta + 1,) array
        Steps of θ and σ that change the criterion about equally.
    covariance : (n_theta + 1, n_theta + 1) array
        2 hessian⁻¹, the covariance matrix of the estimates; directions without information are left out, and
        parameters at an end of their range are known.
    beta_units : (p,) array
        Powers of two, about the sizes of the standard errors: in the user's units squares may be no numbers.
    fixed : (p, p) array
        Covariance matrix of β̂ in `beta_units`.
    jacobian : (n_theta + 1, p, p) array
        Its derivatives.
    ended : (n_theta,) array of bool
        Parameters at an end of their range: no difference is taken beyond it.
    tests : Slopes
        For degrees of freedom.
    """

    hessian: Float
    units: Float
    covariance: Float
    beta_units: Float
    fixed: Float
    jacobian: Float
    ended: NDArray[np.bool_]
    tests: Slopes


class Slopes(NamedTuple):
    """What degrees of freedom rest on: a covariance matrix of parameters, and derivatives of ``fixed`` over them.

    The parameters are θ and σ, or others in their place where standard deviations are far apart.
    """

    covariance: Float
    jacobian: Float


def uncertainty(objective: Objective, point: Point) -> Uncertainty:
    """How well the parameters are known, and the derivatives of the covariance matrix of β̂.

    Parameters
    ----------
    objective : Objective
    point : Point
        The optimum, in working coordinates.
    """
    known, n_theta = objective.sensitivity(point), len(point.theta)
    F = cholesky_inverse(point.fixed_factor)
    coordinates, scale = objective.design.coordinates, float(np.sqrt(point.sigma2)) * objective.response.scale
    beta_units = coordinates.beta_units(scale)
    to_user = coordinates.beta_map(scale) / beta_units[:, None]
    fixed = to_user @ F @ to_user.T

    def slopes(of: Sensitivity) -> Slopes:
        jacobian = np.empty((n_theta + 1, *fixed.shape))
        jacobian[:n_theta] = to_user @ F @ of.information_slopes @ F @ to_user.T
        jacobian[n_theta] = 2.0 * fixed
        covariance = 2.0 * _inverse(of.hessian, of.units)
        places = np.flatnonzero(of.ended)
        covariance[places] = covariance[:, places] = 0.0
        return Slopes(covariance, jacobian)

    own = slopes(known)
    far = known.units.max() > FAR_APART
    tests = slopes(objective.sensitivity(point, local_sensitivity)) if far else own
    return Uncertainty(known.hessian, known.units, own.covariance, beta_units, fixed, own.jacobian, known.ended, tests)


@remembered
def uncertainty_of(model: FittedModel) -> Uncertainty:
    """Second derivatives of the criterion at θ̂, σ̂, and the derivatives of the covariance matrix of β̂."""
    return uncertainty(model.objective, model.estimates.point)


def _inverse(hessian: Float, units: Float) -> Float:
    """Inverse on the directions of positive curvature."""
    values, vectors = np.linalg.eigh(units[:, None] * hessian * units)
    kept = values > FLAT * values[-1]
    vectors = units[:, None] * vectors[:, kept]
    return np.asarray((vectors / values[kept]) @ vectors.T)
