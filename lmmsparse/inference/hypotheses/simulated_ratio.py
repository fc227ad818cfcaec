"""Null distribution of the likelihood-ratio statistic of one variance component in finite samples, by simulation.

Crainiceanu and Ruppert (2004): with one component the statistic depends on the data through independent χ² variables
alone, whose weights are the eigenvalues of ZᵀWZ before and after X is projected out.  No response is drawn and no model
is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import ArgumentError
from lmmsparse.numerics.dense import solve_lower
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Eigenvalues nearer than this share are one, and those below this share of the largest are zero.
SAME, ZERO = 1e-9, 1e-10
# The largest dense eigenvalue problem; levels with the same diagonal entry share p of its rows.
LARGEST_PROBLEM = 4000
# Values of log λ at which the criterion is computed: between them it is a parabola.
STEP = 0.1
# The first λ moves the criterion of no draw by more than about this share of its standard deviation; the last one is
# this many times the reciprocal of a typical eigenvalue.
FIRST, LAST = 1e-4, 1e5
# Numbers drawn at a time.
CHUNK_NUMBERS = 2_000_000
# A statistic is reached by draws that fall short of it by less than its rounding errors.
ROUNDING = 1e-8


@dataclass(frozen=True)
class SimulatedRatio:
    """A p-value and the distribution that it was taken from; NaN and the reason where there is none."""

    p_value: float
    reference: str


def simulated_ratio(
    objective: Objective, component: tuple[int, int], statistic: float, nsim: int, rng: np.random.Generator
) -> SimulatedRatio:
    """Simulated p-value of the test of one variance component, (1 + draws that reach the statistic)/(1 + nsim).

    Exact, but for the Monte Carlo error, where the model has no other variance parameter.  With others it is that of
    the model with this component alone, which Greven, Crainiceanu, Küchenhoff and Peters (2008) found to be a good
    approximation.

    Parameters
    ----------
    objective : Objective
        Of the model with the component.
    component : (int, int)
        Term, and column of the term.
    statistic : float
    nsim : int
    rng : numpy.random.Generator
    """
    block = objective.blocks[component[0]]
    try:
        spectrum = null_spectrum(objective.products, block.factor, block.columns.start + component[1], objective.reml)
    except ArgumentError as error:
        return SimulatedRatio(np.nan, f"not simulated: {error}")
    reached = np.count_nonzero(simulated_ratios(spectrum, nsim, rng) >= statistic - ROUNDING)
    kind = "restricted LRT" if objective.reml else "LRT"
    exact = len(objective.theta_names) == 1
    name = f"simulated exact {kind}" if exact else f"simulated {kind} of this component alone (approximate)"
    return SimulatedRatio((1 + reached) / (1 + nsim), f"{name}, {nsim} draws")


@dataclass(frozen=True)
class NullSpectrum:
    """What the distribution depends on.

    Attributes
    ----------
    values, counts : (k,) arrays
        Distinct positive eigenvalues μ of Zᵀ(W − WX(XᵀWX)⁻¹XᵀW)Z and how often each occurs.
    penalties, penalty_counts : (j,) arrays
        Those in the determinant of the criterion: again μ for REML, the eigenvalues of ZᵀWZ for ML.
    left : int
        Degrees of freedom outside the range of Z and X.
    degrees : int
        n − p for REML, n for ML.
    """

    values: Float
    counts: Counts
    penalties: Float
    penalty_counts: Counts
    left: int
    degrees: int


def null_spectrum(products: CrossProducts, factor: int, column: int, reml: bool) -> NullSpectrum:
    """The spectrum of one column of a grouping factor.

    Parameters
    ----------
    products : CrossProducts
        In working coordinates; the unit of the column does not matter.
    factor, column : int
    reml : bool

    Raises
    ------
    ArgumentError
        The eigenvalue problem is too large.
    """
    n, p = products.n, products.p
    diagonal = products.diagonal[factor][:, column, column]
    # ZᵀWX(XᵀWX)⁻¹XᵀWZ = UUᵀ
    factor_of_X = np.asarray(np.linalg.cholesky(products.fixed[:p, :p]))
    U = solve_lower(factor_of_X, products.rhs[factor][:, column, :p].T).T
    values, counts = residual_eigenvalues(diagonal, U)
    left = n - p - int(counts.sum())
    if reml:
        return NullSpectrum(values, counts, values, counts, left, n - p)
    return NullSpectrum(values, counts, *_distinct(diagonal[diagonal > 0.0]), left, n)


def residual_eigenvalues(diagonal: Float, U: Float) -> tuple[Float, Counts]:
    """Distinct positive eigenvalues of diag(d) − UUᵀ, increasing, and how often each occurs.

    Where m > p entries of d are equal, m − p eigenvalues are d again, and p rows stand for the m in the eigenvalue
    problem of the rest.

    Parameters
    ----------
    diagonal : (q,) array
        d
    U : (q, p) array

    Raises
    ------
    ArgumentError
        More rows than `LARGEST_PROBLEM` are left.
    """
    p, order = U.shape[1], np.argsort(diagonal)
    values, counts = _distinct(diagonal)
    if p == 0:
        kept = values > 0.0
        return values[kept], counts[kept]
    rows = int(np.minimum(counts, p).sum())
    if rows > LARGEST_PROBLEM:
        raise ArgumentError(f"an eigenvalue problem of {rows} rows, and {LARGEST_PROBLEM} are the most")
    U, parts = U[order], np.split(order, np.cumsum(counts)[:-1])
    reduced, first = [], 0
    for part in parts:
        block = U[first : first + len(part)]
        reduced.append(np.asarray(np.linalg.qr(block, mode="r")) if len(part) > p else block)
        first += len(part)
    stacked = np.vstack(reduced)
    matrix = -stacked @ stacked.T
    matrix[np.diag_indices(rows)] += np.repeat(values, np.minimum(counts, p))
    again = np.maximum(counts - p, 0)
    every = np.concatenate([np.linalg.eigvalsh(matrix), np.repeat(values, again)])
    return _distinct(every[every > ZERO * values[-1]])


def _distinct(values: Float) -> tuple[Float, Counts]:
    """Values that are equal but for rounding as one, increasing, with their counts."""
    ordered = np.sort(values)
    new = np.diff(ordered, prepend=-np.inf) > SAME * np.abs(ordered)
    first = np.flatnonzero(new)
    return ordered[first], np.diff(first, append=len(ordered))


def simulated_ratios(spectrum: NullSpectrum, nsim: int, rng: np.random.Generator) -> Float:
    """Draws of the statistic, (nsim,).

    The largest value over λ >= 0 of m log(S/D(λ)) − Σ log(1 + λξ_j), with D(λ) = Σ c_s/(1 + λμ_s) + c₀, S = D(0), and
    c independent χ² variables with as many degrees of freedom as the eigenvalue occurs.

    Parameters
    ----------
    spectrum : NullSpectrum
    nsim : int
    rng : numpy.random.Generator
    """
    values, counts = spectrum.values, spectrum.counts
    if not len(values):
        return np.zeros(nsim)
    log_lambda = _grid(spectrum)
    scale = np.exp(log_lambda)
    shrunk = 1.0 / (1.0 + np.outer(values, scale))
    penalty = spectrum.penalty_counts @ np.log1p(np.outer(spectrum.penalties, scale))
    single, out = counts == 1, np.empty(nsim)
    size = max(1, CHUNK_NUMBERS // (len(values) + len(scale)))
    for first in range(0, nsim, size):
        draws = min(size, nsim - first)
        drawn = np.empty((draws, len(values)))
        drawn[:, single] = rng.standard_normal((draws, int(single.sum()))) ** 2
        drawn[:, ~single] = rng.chisquare(counts[~single], (draws, int((~single).sum())))
        left = rng.chisquare(spectrum.left, draws) if spectrum.left else np.zeros(draws)
        total = drawn.sum(axis=1) + left
        rise = spectrum.degrees * -np.log((drawn @ shrunk + left[:, None]) / total[:, None]) - penalty
        out[first : first + draws] = np.maximum(0.0, _peaks(rise))
    return out


def _grid(spectrum: NullSpectrum) -> Float:
    """Values of log λ."""
    values, counts = spectrum.values, spectrum.counts
    low = np.log(FIRST) - 0.5 * np.log(counts @ values**2)
    high = np.log(LAST) - counts @ np.log(values) / counts.sum()
    return np.arange(low, high + STEP, STEP)


def _peaks(heights: Float) -> Float:
    """Largest values of the rows, by a parabola through the highest point and its neighbours."""
    top = np.clip(heights.argmax(axis=1), 1, heights.shape[1] - 2)
    rows = np.arange(len(heights))
    before, at, after = (heights[rows, top + move] for move in (-1, 0, 1))
    bend = 2.0 * at - before - after
    inside = (at >= before) & (at >= after) & (bend > 0.0)
    above = np.where(inside, (after - before) ** 2 / (8.0 * np.where(inside, bend, 1.0)), 0.0)
    return np.maximum(heights.max(axis=1), at + above)
