"""How much of a solution is rounding: estimates from what elimination has cancelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Twice the unit of rounding: what one subtraction of like numbers leaves.
UNIT = 2.0 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Losses:
    """By how much sums of squares were reduced by what was subtracted from them.

    Attributes
    ----------
    pivots : float
        Σ of the diagonal entries of M over their pivots, less their number: 0 where nothing was subtracted.
    pivot : float
        The largest of these quotients.
    fixed : float
        The largest of n over a squared pivot of XᵀV⁻¹X.
    fixed_total : float
        Their sum.
    response : float
        yᵀWy/r².
    """

    pivots: float
    pivot: float
    fixed: float
    fixed_total: float
    response: float


@dataclass(frozen=True)
class Rounding:
    """Rounding errors to be expected in what a fit reports.

    Attributes
    ----------
    criterion : float
        In units of the criterion.
    sigma : float
        As a share of σ̂.
    beta : float
        In standard errors.
    std_error : float
        As a share of the standard errors.
    effects : float
        Of the conditional modes, in their standard deviations.
    """

    criterion: float
    sigma: float
    beta: float
    std_error: float
    effects: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(self.criterion, self.sigma, self.beta, self.std_error, self.effects)


def rounding_of(losses: Losses, value: float, degrees: int, reml: bool, squared: bool, from_rows: bool) -> Rounding:
    """Rounding errors of a solution.

    Parameters
    ----------
    losses : Losses
    value : float
        The criterion.
    degrees : int
        n, or n − p for REML.
    reml : bool
    squared : bool
        Whether sums of squares were subtracted; an orthogonal factorization works with their roots.
    from_rows : bool
        Whether r² was summed over the rows.
    """

    def lost(quotient: float) -> float:
        return UNIT * (quotient if squared else float(np.sqrt(quotient)))

    sigma = UNIT * (float(np.sqrt(losses.response)) if from_rows or not squared else losses.response / 2.0)
    fixed = lost(losses.fixed)
    criterion = UNIT * abs(value) + 2.0 * degrees * sigma + lost(losses.pivots)
    if reml:
        criterion += lost(losses.fixed_total)
    beta = UNIT * float(np.sqrt(losses.fixed * losses.response)) if squared else lost(losses.response)
    return Rounding(criterion, sigma, fixed + beta, fixed + sigma, fixed + lost(losses.pivot))
