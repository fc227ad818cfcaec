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


def correlation_intervals(estimate: Float, error: Float, level: float, ends: Float) -> Float:
    """Intervals of correlations that are symmetric on Fisher's scale artanh r, (m, 2).

    ``ends`` (m, 2) are their ranges; r is taken to lie in one from −1 to 1.
    """
    middle, half_range = ends.mean(axis=1), np.diff(ends, axis=1)[:, 0] / 2.0
    r = (estimate - middle) / half_range
    with np.errstate(invalid="ignore", divide="ignore"):
        centre, half = np.arctanh(r), ndtri(0.5 + level / 2.0) * error / half_range / (1.0 - r**2)
        limits = np.column_stack([np.tanh(centre - half), np.tanh(centre + half)])
    return np.asarray(middle[:, None] + half_range[:, None] * limits)
