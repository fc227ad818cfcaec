"""t and F tests with the degrees of freedom that were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from lmmsparse.arguments import as_text, shown
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.kenward_roger import kenward_roger_of, kr_test
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.inference.wald import FTest, TTest, f_test, independent_rows, scaled_rows, t_tests
from lmmsparse.numerics.distributions import chi2_upper, normal_lower, t_two_sided

Float = NDArray[np.float64]

#: Names of the methods and what a summary calls them.
METHODS = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}


def checked_ddf(ddf: Any, where: str, reml: bool) -> str | None:
    """A method of degrees of freedom, or None for none.

    Raises
    ------
    ArgumentError
        It is unknown, or Kenward and Roger's is asked of an ML fit.
    """
    if ddf is None:
        return None
    method = (as_text(ddf) or "").lower().replace("_", "-")
    if method not in METHODS:
        raise ArgumentError(f"{where}: ddf must be 'satterthwaite', 'kenward-roger' or None, got {shown(ddf)}")
    if method == "kenward-roger" and not reml:
        raise ArgumentError(
            f"{where}: Kenward and Roger's method needs a REML fit, and this one is by maximum likelihood; "
            "fit with REML=True, or ask for ddf='satterthwaite'"
        )
    return method


def fixed_tests(model: FittedModel, method: str | None) -> TTest:
    """Test of every fixed effect; without a method, or with a residual variance of zero, df and p-values are NaN."""
    beta, count = model.estimates.beta, len(model.estimates.beta)
    if not count or method is None or model.estimates.perfect:
        error, nothing = model.estimates.std_error, np.full(count, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return TTest(beta, error, nothing, beta / error, nothing)
    if method == "satterthwaite":
        return t_tests(np.eye(count), beta, uncertainty_of(model))
    known = kenward_roger_of(model)
    error = known.beta_units * np.sqrt(np.diag(known.adjusted))
    df = np.array([kr_test(row[None], beta, known).den_df for row in np.eye(count)])
    statistic = beta / error
    return TTest(beta, error, df, statistic, np.asarray(2.0 * stdtr(df, -np.abs(statistic))))


def joint_test(model: FittedModel, L: Float, ddf: str | None) -> FTest:
    """F test of Lβ = 0; without degrees of freedom (None) r F is referred to χ²_r.  NaN for a perfect fit.

    Parameters
    ----------
    model : FittedModel
    L : (rows, p) array
        Rows may be linearly dependent.
    ddf : {"satterthwaite", "kenward-roger"} or None
    """
    beta, C, units = model.estimates.beta, model.estimates.unit_covariance, model.estimates.beta_units
    if model.estimates.perfect:  # without a residual variance an F has no distribution
        return FTest(len(independent_rows(L, C, units)), np.nan, np.nan, np.nan)
    if ddf == "satterthwaite":
        return f_test(L, beta, uncertainty_of(model))
    independent = independent_rows(L, C, units)
    if ddf == "kenward-roger":
        return kr_test(independent, beta, kenward_roger_of(model))
    rank = len(independent)
    independent = scaled_rows(independent, units)[0]
    variance = np.einsum("mi,ij,mj->m", independent, C, independent)
    statistic = float(((independent @ (beta / units)) ** 2 / variance).mean())
    return FTest(rank, np.nan, statistic, float(chi2_upper(rank * statistic, rank)))


def single_tests(model: FittedModel, L: Float, ddf: str | None) -> TTest:
    """t tests of the rows of Lβ = 0; without degrees of freedom (None) they are normal tests.  NaN for a perfect fit.

    Parameters
    ----------
    model : FittedModel
    L : (rows, p) array
    ddf : {"satterthwaite", "kenward-roger"} or None
    """
    beta = model.estimates.beta
    if model.estimates.perfect:
        return TTest(L @ beta, *np.full((4, len(L)), np.nan))
    if ddf == "satterthwaite":
        return t_tests(L, beta, uncertainty_of(model))
    C, units = model.estimates.unit_covariance, model.estimates.beta_units
    if ddf is not None:
        C, units = kenward_roger_of(model).adjusted, kenward_roger_of(model).beta_units
    rows, sizes = scaled_rows(L, units)
    estimate, error = L @ beta, sizes * np.sqrt(np.einsum("mi,ij,mj->m", rows, C, rows))
    statistic = estimate / error
    if ddf is None:
        return TTest(
            estimate, error, np.full(len(L), np.nan), statistic, np.asarray(2.0 * normal_lower(-np.abs(statistic)))
        )
    df = np.array([kr_test(row[None, :], beta, kenward_roger_of(model)).den_df for row in L])
    return TTest(estimate, error, df, statistic, np.asarray(t_two_sided(statistic, df)))


def df_fixed(model: FittedModel, ddf: str = "satterthwaite") -> pd.Series:
    """Degrees of freedom of the t test of every fixed effect.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger"}

    Returns
    -------
    pandas.Series
        By name of the fixed effect; NaN when the residual variance is zero.

    Raises
    ------
    ArgumentError
        The method is unknown, or Kenward and Roger's is asked of an ML fit.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"))
    >>> [round(df, 1) for df in m.df_fixed()]
    [22.8, 161.0]
    """
    method = checked_ddf(ddf, "df_fixed", model.is_reml)
    if method is None:
        raise ArgumentError("df_fixed: ddf must be 'satterthwaite' or 'kenward-roger', got None")
    return pd.Series(fixed_tests(model, method).df, index=model.fixef.index, name="df")
