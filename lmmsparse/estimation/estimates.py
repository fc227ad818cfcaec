"""Estimates in the user's units, from the engine's solution in working coordinates."""

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


@dataclass(frozen=True)
class Estimates:
    """Estimates in the user's units.

    Attributes
    ----------
    theta : (n_theta,) array
    criterion : float
        REML criterion or −2 log-likelihood at the minimum.
    beta : (p,) array
    fixed_covariance : (p, p) array
        Covariance matrix of β̂.
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
    solution : Point
        The engine's own numbers, in working coordinates.
    """

    theta: Float
    criterion: float
    beta: Float
    fixed_covariance: Float
    sigma: float
    pwrss: float
    u: tuple[Float, ...]
    b: tuple[Float, ...]
    templates: tuple[Float, ...]
    singular: bool
    perfect: bool
    solution: Point


def user_estimates(objective: Objective, solution: Point, singular: bool) -> Estimates:
    """Everything in the user's units."""
    working, coordinates, response = objective.working, objective.design.coordinates, objective.response
    p, scale = working.products.p, response.scale
    if not (response.exact or SMALLEST_RESPONSE < scale < LARGEST_RESPONSE):
        raise DataError(
            f"the response spreads by about {scale:.3g}, whose square is beyond floating-point numbers: measure it in "
            "another unit"
        )
    unit_map = coordinates.beta_map(1.0)
    covariance = unit_map @ cholesky_inverse(solution.fixed_factor) @ unit_map.T if p else np.zeros((0, 0))
    sigma2 = solution.sigma2 * scale**2
    theta = objective.to_user(solution.theta) + 0.0  # no negative zeros
    u, b, templates = [], [], []
    for t, (g, where) in enumerate(working.columns):
        structure, part = working.structures[t], working.slices[t]
        lam = structure.template(theta[part])
        u.append(scale * solution.u[g][:, where])
        b.append(u[-1] @ lam.T)
        templates.append(lam)
    return Estimates(
        theta=theta,
        criterion=solution.value + objective.constant,
        beta=response.beta(solution.beta, coordinates),
        fixed_covariance=np.asarray(sigma2 * covariance),
        sigma=float(np.sqrt(sigma2)),
        pwrss=solution.pwrss * scale**2,
        u=tuple(u),
        b=tuple(b),
        templates=tuple(templates),
        singular=singular,
        perfect=solution.degenerate,
        solution=solution,
    )
