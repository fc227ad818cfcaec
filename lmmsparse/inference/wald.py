"""t and F tests of linear hypotheses with Satterthwaite's degrees of freedom: array-only functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.inference.uncertainty import Uncertainty
from lmmsparse.numerics.distributions import f_upper, t_two_sided

Float = NDArray[np.float64]

# Eigenvalues of a contrast's covariance matrix below this share of the largest are linear dependence.
DEPENDENT = 1e-8
# The same where every row is in the unit of its own standard error.
DEPENDENT_IN_UNITS = 1e-12


class TTest(NamedTuple):
    """Tests of single contrasts: arrays of one value a contrast."""

    estimate: Float
    std_error: Float
    df: Float
    statistic: Float
    p_value: Float


class FTest(NamedTuple):
    """Test of several contrasts at once; ``scale`` is the factor by which the statistic was made to follow an F."""

    num_df: int
    den_df: float
    statistic: float
    p_value: float
    scale: float = 1.0


def t_tests(L: Float, beta: Float, known: Uncertainty) -> TTest:
    """Tests of Lβ = 0, row by row.

    Satterthwaite's degrees of freedom are 2 v²/(gᵀAg) with v = l C lᵀ, g its derivatives and A the covariance of θ̂, σ̂.

    Parameters
    ----------
    L : (m, p) array
    beta : (p,) array
    known : Uncertainty
    """
    L, sizes = scaled_rows(L, known.beta_units)
    estimate = L @ (beta / known.beta_units)
    variance = np.einsum("mi,ij,mj->m", L, known.fixed, L)
    slopes = np.einsum("mi,kij,mj->mk", L, known.tests.jacobian, L)
    relative = slopes / variance[:, None]  # squares of variances leave the range of numbers before these do
    df = 2.0 / np.einsum("mk,kl,ml->m", relative, known.tests.covariance, relative)
    error = np.sqrt(variance)
    statistic = estimate / error
    return TTest(sizes * estimate, sizes * error, df, statistic, t_two_sided(statistic, df))


def f_test(L: Float, beta: Float, known: Uncertainty) -> FTest:
    """Test of Lβ = 0 jointly.

    The eigenvectors of L C Lᵀ make independent contrasts with ν_i degrees of freedom each; F is the mean of their
    squared t values, and its denominator's degrees of freedom are those for which an F has the same mean (Fai and
    Cornelius 1996, as in lmerTest): 2E/(E − r) with E = Σ ν_i/(ν_i − 2).

    Parameters
    ----------
    L : (m, p) array
        Rows may be linearly dependent.
    """
    tests = t_tests(independent_rows(L, known.fixed, known.beta_units), beta, known)
    rank = len(tests.df)
    statistic = float((tests.statistic**2).mean())
    den_df = joint_df(tests.df)
    return FTest(rank, den_df, statistic, float(f_upper(statistic, rank, den_df)))


def scaled_rows(L: Float, units: Float) -> tuple[Float, Float]:
    """Contrasts of β in units, each divided by a power of two of its own size, and these powers: (m, p), (m,)."""
    rows = L * units
    sizes = np.ldexp(1.0, np.frexp(np.abs(rows).max(axis=1, initial=0.0))[1] - 1)
    return rows / sizes[:, None], sizes


def independent_rows(L: Float, C: Float, units: Float) -> Float:
    """Combinations of the rows of L with uncorrelated estimates, (rank, p).

    The eigenvectors of L C Lᵀ, as in lmerTest; where the standard errors of the rows are so different that the smaller
    ones are lost among the larger, those of the correlation matrix.

    Parameters
    ----------
    L : (m, p) array
    C : (p, p) array
        Covariance matrix of β̂ in its units.
    units : (p,) array
    """
    rows, sizes = scaled_rows(L, units)
    common = rows * (sizes / sizes.max())[:, None]
    covariance = common @ C @ common.T
    values, vectors = np.linalg.eigh(covariance)
    kept = values > DEPENDENT * values[-1]
    if kept.all():
        return np.asarray(vectors.T @ L)
    covariance = rows @ C @ rows.T
    unit = 1.0 / np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
    values, rotation = np.linalg.eigh(unit[:, None] * covariance * unit)
    among = values > DEPENDENT_IN_UNITS * values[-1]
    if among.sum() > kept.sum():
        return np.asarray((unit[:, None] * rotation[:, among]).T @ (L / sizes[:, None]))
    return np.asarray(vectors[:, kept].T @ L)


def joint_df(df: Float) -> float:
    """Degrees of freedom of a mean of squared t values with ``df`` each."""
    if len(df) == 1:
        return float(df[0])
    if np.ptp(df) < 1e-8 * df.max():
        return float(df.mean())
    if (df <= 2.0).any():
        return 2.0
    E = float((df / (df - 2.0)).sum())
    return 2.0 * E / (E - len(df))
