"""t and F tests with the degrees of freedom that were asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.kenward_roger import kenward_roger_of, kr_test
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.inference.wald import FTest, TTest, f_test, independent_rows, t_tests
from lmmsparse.numerics.distributions import chi2_upper, normal_lower, t_two_sided

Float = NDArray[np.float64]


def joint_test(m: FittedModel, L: Float, ddf: str | None) -> FTest:
    """F test of Lβ = 0; without degrees of freedom (None) r F is referred to χ²_r.  NaN for a perfect fit.

    Parameters
    ----------
    m : FittedModel
    L : (rows, p) array
        Rows may be linearly dependent.
    ddf : {"satterthwaite", "kenward-roger"} or None
    """
    beta = m.estimates.beta
    if m.estimates.perfect:  # without a residual variance an F has no distribution
        return FTest(len(independent_rows(L, m.estimates.fixed_covariance)), np.nan, np.nan, np.nan)
    if ddf == "satterthwaite":
        return f_test(L, beta, uncertainty_of(m))
    C = m.estimates.fixed_covariance
    independent = independent_rows(L, C)
    if ddf == "kenward-roger":
        return kr_test(independent, beta, kenward_roger_of(m))
    rank = len(independent)
    variance = np.einsum("mi,ij,mj->m", independent, C, independent)
    statistic = float(((independent @ beta) ** 2 / variance).mean())
    return FTest(rank, np.nan, statistic, float(chi2_upper(rank * statistic, rank)))


def single_tests(m: FittedModel, L: Float, ddf: str | None) -> TTest:
    """t tests of the rows of Lβ = 0; without degrees of freedom (None) they are normal tests.  NaN for a perfect fit.

    Parameters
    ----------
    m : FittedModel
    L : (rows, p) array
    ddf : {"satterthwaite", "kenward-roger"} or None
    """
    beta = m.estimates.beta
    if m.estimates.perfect:
        return TTest(L @ beta, *np.full((4, len(L)), np.nan))
    if ddf == "satterthwaite":
        return t_tests(L, beta, uncertainty_of(m))
    C = m.estimates.fixed_covariance if ddf is None else kenward_roger_of(m).adjusted
    estimate, error = L @ beta, np.sqrt(np.einsum("mi,ij,mj->m", L, C, L))
    statistic = estimate / error
    if ddf is None:
        return TTest(
            estimate, error, np.full(len(L), np.nan), statistic, np.asarray(2.0 * normal_lower(-np.abs(statistic)))
        )
    df = np.array([kr_test(row[None, :], beta, kenward_roger_of(m)).den_df for row in L])
    return TTest(estimate, error, df, statistic, np.asarray(t_two_sided(statistic, df)))
