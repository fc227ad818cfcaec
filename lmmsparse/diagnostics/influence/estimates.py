"""Estimates without each of several sets of rows, in the user's units: array-only functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Share of a coefficient's row that may lie along lost directions by rounding.
ESTIMABLE = 1e-6


@dataclass(frozen=True)
class RemainingEstimates:
    """Estimates without each of m sets of rows, and what they say of the set; NaN where there are none.

    Attributes
    ----------
    table : EstimateTable
    cooks, mdffits : (m,) arrays
        (β̂ − β̂_S)ᵀ C⁻¹ (β̂ − β̂_S)/p with the covariance matrix C of all rows, and with that of the rows that are left.
    covratio : (m,) array
        |C_S| / |C|.
    """

    table: EstimateTable
    cooks: Float
    mdffits: Float
    covratio: Float

    @classmethod
    def unfitted(cls, count: int, p: int, n_theta: int) -> RemainingEstimates:
        """Room for so many sets of rows."""
        measures = (np.full(count, np.nan) for _ in range(3))
        return cls(EstimateTable.unfitted(count, p, n_theta), *measures)


def write_estimates(
    out: RemainingEstimates,
    which: Index,
    objective: Objective,
    estimates: Estimates,
    shift: Float,
    information: Float,
    sigma2: Float,
) -> None:
    """Put the estimates of sets of rows in their places, where all coefficients were estimated.

    Parameters
    ----------
    which : (m,) array
        Their places.
    shift : (m, p) array
        β̂_S − β̂ in working coordinates.
    information : (m, p, p) array
        X_SᵀV_S⁻¹X_S in working coordinates.
    sigma2 : (m,) array
        σ̂²_S in working units, NaN where no degree of freedom is left.
    """
    solution, scale = estimates.point, objective.response.scale
    p = shift.shape[1]
    out.table.sigma[which] = scale * np.sqrt(sigma2)
    if not p or not len(which):
        return
    to_user = objective.design.coordinates.beta_map(scale)
    out.table.beta[which] = estimates.beta + shift @ to_user.T
    covariance = np.linalg.inv(information)
    out.table.std_error[which] = np.sqrt(sigma2[:, None] * np.einsum("ja,mab,jb->mj", to_user, covariance, to_user))
    moved = shift @ solution.fixed_factor
    out.cooks[which] = (moved**2).sum(axis=1) / (p * solution.sigma2)
    out.mdffits[which] = np.einsum("ma,mab,mb->m", shift, information, shift) / (p * sigma2)
    before = 2.0 * np.log(np.diag(solution.fixed_factor)).sum() - p * np.log(solution.sigma2)
    with np.errstate(over="ignore"):
        out.covratio[which] = np.exp(before - np.linalg.slogdet(information)[1] + p * np.log(sigma2))


def write_partial(
    out: RemainingEstimates,
    place: int,
    objective: Objective,
    estimates: Estimates,
    shift: Float,
    covariance: Float,
    lost: Float,
    sigma2: float,
) -> None:
    """Put the estimates of one set of rows in their place, where the rows that are left do not determine β.

    A coefficient is estimable when no lost direction moves it.

    Parameters
    ----------
    shift : (p,) array
        In working coordinates; what is lost does not matter.
    covariance : (p, p) array
        Over σ², likewise.
    lost : (p, k) array
        Directions of β, in working coordinates, that the rows do not determine.
    """
    scale = objective.response.scale
    to_user = objective.design.coordinates.beta_map(scale)
    length = np.linalg.norm(to_user, axis=1)
    estimable = np.linalg.norm(to_user @ lost, axis=1) < ESTIMABLE * length
    out.table.sigma[place] = scale * np.sqrt(sigma2)
    out.table.beta[place] = np.where(estimable, estimates.beta + to_user @ shift, np.nan)
    variance = sigma2 * np.einsum("ja,ab,jb->j", to_user, covariance, to_user)
    out.table.std_error[place] = np.where(estimable, np.sqrt(np.maximum(variance, 0.0)), np.nan)
