"""Tails and quantiles of the reference distributions; SciPy's own module of distributions takes long to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import chdtrc, fdtrc, ndtr, ndtri, stdtr, stdtrit


def t_two_sided(statistic: Any, df: Any) -> Any:
    """P(|T| > |statistic|) with ``df`` degrees of freedom."""
    return 2.0 * stdtr(df, -abs(statistic))


def t_quantile(probability: Any, df: Any) -> Any:
    """Quantile of Student's t."""
    return stdtrit(df, probability)


def f_upper(statistic: Any, num_df: Any, den_df: Any) -> Any:
    """P(F > statistic); with infinite ``den_df`` num_df F is χ²."""
    known = np.isposinf(den_df)
    return np.where(known, chdtrc(num_df, num_df * statistic), fdtrc(num_df, np.where(known, 1.0, den_df), statistic))


def chi2_upper(statistic: Any, df: Any) -> Any:
    """P(χ² > statistic)."""
    return chdtrc(df, statistic)


def normal_lower(value: Any) -> Any:
    """P(Z <= value)."""
    return ndtr(value)


def normal_quantile(probability: Any) -> Any:
    """Quantile of the standard normal distribution."""
    return ndtri(probability)
