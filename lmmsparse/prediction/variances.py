"""Variances of predictions and how they depend on θ: array-only functions.

Everything is in working coordinates and over σ², the parameters being φ = (θ, log σ).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.inference.kenward_roger import KenwardRoger
from lmmsparse.inference.uncertainty import Uncertainty
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point
from lmmsparse.objective.sensitivity import STEP
from lmmsparse.pls.row_variances import FactorRows, WorkingRows
from lmmsparse.prediction.rows import PredictedRows, TermRows

Float = NDArray[np.float64]


# An estimated variance spreads as a single square at most.  Linearised in θ where θ̂ is below its own standard error s
# it seems to spread more: θ̂² has 2(θ² + s²)²/(4θ²s² + 2s⁴) ≥ 1 degrees of freedom, not the θ²/(2s²) of its slope.
SMALLEST_DF = 1.0


class Variance(NamedTuple):
    """Variance of every row (m,), and its derivatives with respect to θ (m, n_theta)."""

    value: Float
    slopes: Float

    def plus(self, other: Variance) -> Variance:
        """Sum of two."""
        return Variance(self.value + other.value, self.slopes + other.slopes)


def mean_variance(objective: Objective, point: Point, rows: PredictedRows, known: Uncertainty | None) -> Variance:
    """Variance of x(β̂ − β) + z(b̂ − b) over σ², z being zero on effects that are not chosen or of new levels.

    Its derivatives are central differences, each from two points at nearby θ.

    Parameters
    ----------
    objective : Objective
    point : Point
        At θ̂.
    rows : PredictedRows
    known : Uncertainty, optional
        For the steps; without it zeros stand for the derivatives, as they do where a parameter is at an end.
    """
    slopes = np.zeros((len(rows.X), len(point.theta)))
    with single_threaded_blas():
        variances = objective.row_variances(working_rows(objective, rows))
        value = variances(point.solution)
        units = np.zeros(len(point.theta)) if known is None else np.where(known.ended, 0.0, known.units[:-1])
        for i in np.flatnonzero(units):
            step = np.zeros(len(point.theta))
            step[i] = STEP * units[i]
            for sign in (1.0, -1.0):
                beside = objective.exact(point.theta + sign * step)
                slopes[:, i] += sign * variances(beside.solution) / (2.0 * step[i])
    return Variance(value, slopes)


def fixed_variance(X: Float, known: Uncertainty, sigma: float) -> Variance:
    """Variance of xβ̂ over σ² in the user's columns, with analytic derivatives."""
    X = X * known.beta_units
    slopes = [np.einsum("ma,ab,mb->m", X, J, X, optimize=True) for J in known.jacobian[:-1]]
    value = np.einsum("ma,ab,mb->m", X, known.fixed, X, optimize=True)
    return Variance(value / sigma**2, np.column_stack(slopes) / sigma**2)


def new_effects_variance(objective: Objective, point: Point, rows: PredictedRows, others: bool) -> Variance:
    """zᵀΛΛᵀz of random effects that are drawn anew.

    Those are the chosen ones of levels that the fit has not seen or, with ``others``, those that are not chosen.
    """
    total = Variance(np.zeros(len(rows.X)), np.zeros((len(rows.X), len(point.theta))))
    for one in rows.others if others else rows.chosen:
        if not others and (one.codes >= 0).all():
            continue
        block = objective.blocks[one.term]
        masked = one.masked(None if others else one.codes < 0)
        columns = objective.design.coordinates.term_rows(one.term, masked)
        total.value[:] += ((columns @ objective.template(point, one.term)) ** 2).sum(axis=1)
        a, b = block.structure.support
        products = np.where(a == b, 1.0, 2.0) * columns[:, a] * columns[:, b]
        total.slopes[:, block.parameters] += products @ block.structure.jacobian(point.theta[block.parameters])
    return total


def satterthwaite(variance: Variance, covariance: Float) -> Float:
    """Degrees of freedom 2v²/(gᵀAg) of every row, at least `SMALLEST_DF`, (m,); infinite where v is known exactly.

    Parameters
    ----------
    variance : Variance
    covariance : (n_theta + 1, n_theta + 1) array
        A, that of θ̂ and log σ̂: the derivative of σ²v with respect to log σ is 2σ²v.
    """
    g = np.column_stack([variance.slopes, 2.0 * variance.value])
    df = _ratio(variance.value, np.einsum("mi,ij,mj->m", g, covariance, g, optimize=True))
    return np.asarray(np.maximum(df, SMALLEST_DF))


def kenward_roger_rows(X: Float, known: KenwardRoger) -> tuple[Float, Float]:
    """Kenward and Roger's variance of xβ̂ and degrees of freedom of every row, (m,) each, σ² included.

    For a single row their degrees of freedom are 2(xᵀCx)²/Σ W_ij g_i g_j with g_i = xᵀCP_iCx.
    """
    X = (X * known.beta_units) @ known.basis
    XF = X @ known.F
    g = np.column_stack([np.einsum("ma,ab,mb->m", XF, P, XF, optimize=True) for P in known.P])
    value = np.einsum("ma,ma->m", XF, X)
    df = _ratio(value, np.einsum("mi,ij,mj->m", g, known.W, g, optimize=True))
    return np.einsum("ma,ab,mb->m", X, known.A, X, optimize=True), df


def _ratio(value: Float, spread: Float) -> Float:
    """2 value²/spread, (m,); infinite where nothing spreads."""
    known = ~(spread > 0.0) & ~np.isnan(spread)
    return np.where(known, np.inf, 2.0 * value**2 / np.where(known, 1.0, spread))


def working_rows(objective: Objective, rows: PredictedRows) -> WorkingRows:
    """Rows in working coordinates, with the random effects that are chosen."""
    design = objective.design
    by_factor: dict[int, list[TermRows]] = {}
    for one in rows.chosen:
        by_factor.setdefault(objective.blocks[one.term].factor, []).append(one)
    factors = tuple(
        FactorRows(g, members[0].codes, _factor_columns(objective, g, members, rows.fitted))
        for g, members in sorted(by_factor.items())
    )
    X: Float = design.X
    if not rows.fitted:
        X = design.coordinates.fixed_rows(rows.X)
    return WorkingRows(X, factors, rows.fitted)


def _factor_columns(objective: Objective, g: int, members: Sequence[TermRows], fitted: bool) -> Float:
    """Working columns of the chosen effects of one factor, (m, K)."""
    block = objective.design.blocks[g]
    chosen = sum(len(one.selected) for one in members)
    if fitted and chosen == block.columns.shape[1]:
        return block.columns
    columns = np.zeros((len(members[0].codes), block.columns.shape[1]))
    for one in members:
        columns[:, objective.blocks[one.term].columns] = objective.design.coordinates.term_rows(one.term, one.masked())
    return columns
