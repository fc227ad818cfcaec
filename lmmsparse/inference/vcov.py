"""Covariance matrices of the estimates: fixed effects, standard deviations, correlations and σ."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.parameters import delta_covariance, standard_deviations, variance_parameters
from lmmsparse.inference.uncertainty import uncertainty_of

Float = NDArray[np.float64]


def vcov(model: FittedModel, full: bool = False) -> pd.DataFrame:
    """Covariance matrix of β̂, σ̂²(XᵀV⁻¹X)⁻¹.

    Parameters
    ----------
    full : bool
        With the standard deviations, correlations and σ̂, from the Hessian of the criterion.  Their estimates are
        asymptotically independent of β̂; NaN for parameters on the boundary.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> list(m.vcov(full=True).columns)
    ['(Intercept)', 'sd_(Intercept)|Batch', 'sigma']
    """
    if checked_flag("vcov", "full", full):
        return full_covariance(model)
    names = list(model.frame.fixed_names)
    return pd.DataFrame(model.estimates.fixed_covariance, index=names, columns=names)


def variance_estimates(model: FittedModel) -> tuple[Float, Float]:
    """Standard deviations and correlations, and their covariance matrix; NaN where there is none."""
    values, slopes = standard_deviations(model.terms, model.estimates.theta, model.sigma)
    parameters = variance_parameters(model.terms)
    if model.estimates.perfect:
        return values, np.full(slopes.shape, np.nan)
    working, known = slopes.copy(), uncertainty_of(model)
    # the second derivatives are with respect to θ in working coordinates
    working[:, :-1] = np.linalg.solve(model.objective.theta_map.T, slopes[:, :-1].T).T
    at_end = np.array([one.is_at_end(value) for one, value in zip(parameters, values.tolist(), strict=True)])
    units = known.units
    hessian, covariance = units[:, None] * known.hessian * units, known.covariance / units / units[:, None]
    return values, delta_covariance(working * units, at_end, hessian, covariance)


def full_covariance(model: FittedModel) -> pd.DataFrame:
    """Covariance matrix of fixed effects, standard deviations, correlations and σ: the two blocks, by name."""
    names = [*model.fixef.index, *(parameter.name for parameter in variance_parameters(model.terms))]
    p = len(model.fixef)
    matrix = np.zeros((len(names), len(names)))
    matrix[:p, :p] = model.estimates.fixed_covariance
    matrix[p:, p:] = variance_estimates(model)[1]
    return pd.DataFrame(matrix, index=names, columns=names)
