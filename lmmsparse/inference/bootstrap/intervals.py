"""Bootstrap intervals of one parameter from its replicates: array-only functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.numerics.distributions import normal_lower, normal_quantile

Float = NDArray[np.float64]

METHODS = ("percentile", "basic", "bca", "studentized")


def quantile(values: Float, share: float) -> float:
    """The order statistic number (m + 1)·share, between two of them linear on the normal scale.

    Beyond the first and the last it is these.

    Parameters
    ----------
    values : (m,) array
        Sorted.
    share : float
    """
    m = len(values)
    place = (m + 1) * share
    k = int(place + 1e-10)
    if k < 1 or k >= m:
        return float(values[0] if k < 1 else values[-1])
    low, high = (float(normal_quantile(i / (m + 1))) for i in (k, k + 1))
    along = (normal_quantile(share) - low) / (high - low)
    return float(values[k - 1] + along * (values[k] - values[k - 1]))


def interval(
    values: Float, estimate: float, level: float, method: str, acceleration: float = 0.0
) -> tuple[float, float]:
    """Lower and upper end; NaN without two finite replicates.

    Percentile intervals are quantiles t_α of the replicates, basic ones 2t̂ − t_{1−α}, and those with bias correction
    and acceleration (Efron 1987) quantiles at Φ(z₀ + (z₀ + z_α)/(1 − a(z₀ + z_α))).

    Parameters
    ----------
    values : (m,) array
        Replicates; those that are not finite are left out.
    estimate : float
        t̂
    level : float
    method : {"percentile", "basic", "bca"}
    acceleration : float
        a
    """
    kept = np.sort(values[np.isfinite(values)])
    if len(kept) < 2 or not np.isfinite(estimate):
        return np.nan, np.nan
    shares = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    if method == "bca":
        # ties, as of variances at zero, count half
        below = (np.count_nonzero(kept < estimate) + 0.5 * np.count_nonzero(kept == estimate)) / len(kept)
        origin = normal_quantile(np.clip(below, 0.5 / len(kept), 1.0 - 0.5 / len(kept)))
        at = origin + normal_quantile(shares)
        shares = normal_lower(origin + at / (1.0 - acceleration * at))
    low, high = (quantile(kept, float(share)) for share in shares)
    return (2.0 * estimate - high, 2.0 * estimate - low) if method == "basic" else (low, high)


def studentized_interval(
    values: Float, errors: Float, estimate: float, error: float, level: float
) -> tuple[float, float]:
    """t̂ − q_{1−α} s and t̂ − q_α s, with q the quantiles of (t* − t̂)/s*; NaN without two finite replicates.

    Parameters
    ----------
    values, errors : (m,) arrays
        Replicates t* with their standard errors s*; those that are not finite are left out.
    estimate, error : float
        t̂ and s
    level : float
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (values - estimate) / errors
    low, high = interval(ratios, 0.0, level, "percentile")
    return estimate - high * error, estimate - low * error


def accelerations(left_out: Float) -> Float:
    """a = Σd³/(6 (Σd²)^(3/2)) of every column, with d the mean of the rows minus each row.

    Parameters
    ----------
    left_out : (g, k) array
        Estimates without each of g parts of the data; NaN where there is none.
    """
    out = np.zeros(left_out.shape[1])
    for j, column in enumerate(left_out.T):
        kept = column[np.isfinite(column)]
        if len(kept) > 1:
            d = kept.mean() - kept
            square = float((d**2).sum())
            out[j] = float((d**3).sum()) / (6.0 * square**1.5) if square > 0.0 else 0.0
    return out
