"""Likelihood-ratio statistics and the distributions that they are referred to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmsparse.numerics.distributions import chi2_upper

# A statistic below this is zero but for rounding.
ZERO = 1e-8


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Difference of the deviances, at least 0.
    df : int
        Difference of the numbers of parameters.
    p_value : float
        By χ² with ``df`` degrees of freedom; NaN without any.
    p_mixture : float
        By the 50:50 mixture of χ² with ``df`` − 1 and with ``df`` degrees of freedom; NaN where it does not hold.
    reference : str
        The distributions used, ``"chi2(2); mixture: 0.5 chi2(1) + 0.5 chi2(2)"``.
    """

    statistic: float
    df: int
    p_value: float
    p_mixture: float
    reference: str


def likelihood_ratio(difference: float, df: int, variances: int) -> LikelihoodRatio:
    """Test from a difference of deviances.

    When the hypothesis puts one variance at zero, the end of its range, the statistic is asymptotically distributed as
    the mixture (Self and Liang 1987; Stram and Lee 1994), and χ² with ``df`` degrees of freedom is conservative.

    Parameters
    ----------
    difference : float
        Deviance of the smaller model minus that of the larger.
    df : int
        Parameters that the hypothesis takes away.
    variances : int
        How many of them are variances.
    """
    statistic = max(0.0, difference)
    if df < 1:
        return LikelihoodRatio(statistic, df, np.nan, np.nan, "")
    upper = float(chi2_upper(statistic, df))
    reference = f"chi2({df})"
    if variances != 1:
        return LikelihoodRatio(statistic, df, upper, np.nan, reference)
    lower = float(chi2_upper(statistic, df - 1)) if df > 1 else float(statistic < ZERO)
    reference += f"; mixture: 0.5 chi2({df - 1}) + 0.5 chi2({df})"
    return LikelihoodRatio(statistic, df, upper, 0.5 * (lower + upper), reference)
