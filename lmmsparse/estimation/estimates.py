"""Estimates in the user's units, from a point in working coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import DataError
from lmmsparse.numerics.dense import cholesky_inverse
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point

Float = NDArray[np.float64]

# Spread of a response whose square, times the number of rows, is a floating-point number.
SMALLEST_RESPONSE, LARGEST_RESPONSE = 1e-145, 1e145


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates in the user's units.

    Attributes
    ----------
    theta : (n_theta,) array
    criterion : float
        REML criterion or −2 log-likelihood at the minimum.
    beta : (p,) array
    beta_units : (p,) array
        Powers of two, about the sizes of the standard errors.
    unit_covariance : (p, p) array
        Covariance matrix of β̂ in these units, whatever those of the data.
    sigma : float
        Residual standard deviation.
    pwrss : float
        r².
    u, b : tuple of (q_t, k_t) arrays
        Conditional modes of every term on the spherical and the original scale.
    templates : tuple of (k_t, k_t) arrays
        λ_t.
    singular : bool
    perfect : bool
        The residual variance is zero to rounding.
    point : Point
        The criterion there with its solution, in working coordinates.
    """

    theta: Float
    criterion: float
    beta: Float
    beta_units: Float
    unit_covariance: Float
    sigma: float
    pwrss: float
    u: tuple[Float, ...]
    b: tuple[Float, ...]
    templates: tuple[Float, ...]
    singular: bool
    perfect: bool
    point: Point

    @property
    def fixed_covariance(self) -> Float:
        """Covariance matrix of β̂, (p, p); squares of standard errors can be beyond floating-point numbers."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.beta_units[:, None] * self.unit_covariance * self.beta_units)

    @property
    def solution(self) -> Point:
        """`point`, under its name of version 0.2."""
        return self.point

    @property
    def std_error(self) -> Float:
        """Standard errors of β̂, (p,)."""
        return np.asarray(self.beta_units * np.sqrt(np.diag(self.unit_covariance)))


def user_estimates(objective: Objective, point: Point, singular: bool) -> Estimates:
    """Everything in the user's units."""
    coordinates, response = objective.design.coordinates, objective.response
    scale = response.scale
    if not (response.exact or SMALLEST_RESPONSE < scale < LARGEST_RESPONSE):
        raise DataError(
            f"the response spreads by about {scale:.3g}, whose square is beyond floating-point numbers: measure it in "
            "another unit"
        )
    theta = objective.to_user(point.theta) + 0.0  # no negative zeros
    units = coordinates.beta_units(scale)
    unit_map = coordinates.beta_map(scale) / units[:, None]
    covariance = unit_map @ cholesky_inverse(point.fixed_factor) @ unit_map.T if len(point.beta) else unit_map
    sigma2 = point.sigma2 * scale**2
    u, b, templates = [], [], []
    for block in objective.blocks:
        lam = block.structure.template(theta[block.parameters])
        u.append(scale * point.u[block.factor][:, block.columns])
        b.append(u[-1] @ lam.T)
        templates.append(lam)
    return Estimates(
        theta=theta,
        criterion=point.value + objective.constant,
        beta=response.beta(point.beta, coordinates),
        beta_units=units,
        unit_covariance=np.asarray(point.sigma2 * covariance),
        sigma=float(np.sqrt(sigma2)),
        pwrss=point.pwrss * scale**2,
        u=tuple(u),
        b=tuple(b),
        templates=tuple(templates),
        singular=singular,
        perfect=point.degenerate,
        point=point,
    )
