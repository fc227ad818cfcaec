"""Wald intervals: array-only functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Float = NDArray[np.float64]


def t_intervals(estimate: Float, error: Float, df: Float, level: float) -> Float:
    """Estimate ± t quantile times standard error, (m, 2); normal quantiles where ``df`` is infinite."""
    upper = 0.5 + level / 2.0
    quantile = np.where(np.isinf(df), ndtri(upper), stdtrit(np.where(np.isinf(df), 1.0, df), upper))
    half = quantile * error
    return np.column_stack([estimate - half, estimate + half])


def sd_intervals(estimate: Float, error: Float, level: float) -> Float:
    """Intervals of standard deviations that are symmetric on the log scale, (m, 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        half = ndtri(0.5 + level / 2.0) * error / estimate
        return np.column_stack([estimate * np.exp(-half), estimate * np.exp(half)])


def correlation_intervals(estimate: Float, error: Float, level: float) -> Float:
    """Intervals of correlations that are symmetric on Fisher's scale artanh r, (m, 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        centre, half = np.arctanh(estimate), ndtri(0.5 + level / 2.0) * error / (1.0 - estimate**2)
        return np.column_stack([np.tanh(centre - half), np.tanh(centre + half)])
