"""Residuals and what scales them: array-only functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.means import Selected

Float = NDArray[np.float64]


def row_variances(
    terms: Sequence[RandomTerm], templates: Sequence[Float], weights: Float | None, kept: Sequence[Selected], n: int
) -> Float:
    """Variance over σ² of a row about its mean given some random effects: 1/w + Σ zᵀλλᵀz over the others, (n,).

    Parameters
    ----------
    templates : sequence of (k, k) arrays
        λ of every term.
    weights : (n,) array or None
    kept : sequence of Selected
        The random effects that the mean has.
    """
    total = np.ones(n) if weights is None else 1.0 / weights
    given = {choice.term: set(choice.columns) for choice in kept}
    for t, (term, lam) in enumerate(zip(terms, templates, strict=True)):
        rest = [j for j in range(len(term.names)) if j not in given.get(t, ())]
        if rest:
            total = total + ((term.columns[:, rest] @ lam[rest]) ** 2).sum(axis=1)
    return total


def cooks_distances(residuals: Float, hat: Float, sigma: float, p: int) -> Float:
    """(r/(1 − h))² h/(σ² p) of Pearson residuals r and hat values h, (n,); NaN where h is 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (residuals / (1.0 - hat)) ** 2 * hat / (sigma**2 * p)
    return np.where(np.isfinite(values), values, np.nan)
