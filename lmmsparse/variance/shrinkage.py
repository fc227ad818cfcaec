"""How far the data of a level carry its conditional mode away from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.effects import terms_by_group

Float = NDArray[np.float64]


def reliabilities(
    terms: Sequence[RandomTerm], covariances: Sequence[Float], conditional: Mapping[str, Float]
) -> list[Float]:
    """1 − Var(b_j | y)/Σ_jj of every effect of every level, a (q_t, k_t) array a term; NaN where Σ_jj is zero.

    Parameters
    ----------
    terms : sequence of RandomTerm
    covariances : sequence of (k_t, k_t) arrays
        Σ of every term.
    conditional : mapping of str to (q, K, K) arrays
        Conditional covariances of the effects of every level of a grouping factor, its terms side by side.
    """
    out: list[Float] = [np.empty((0, 0))] * len(terms)
    for group, members in terms_by_group(terms).items():
        variances, start = np.einsum("qkk->qk", conditional[group]), 0
        for t in members:
            prior = np.diag(covariances[t])
            own = variances[:, start : start + len(prior)]
            start += len(prior)
            left = np.divide(own, prior, out=np.full(own.shape, np.nan), where=prior > 0)
            out[t] = np.clip(1.0 - left, 0.0, 1.0)  # rounding alone leads out of this range
    return out
