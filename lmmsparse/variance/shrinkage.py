"""How far the data of a level carry its conditional mode away from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.effects import mode_covariances, mode_frames, terms_by_group
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.varcorr import term_covariances
from lmmsparse.numerics.threads import single_threaded_blas

Float = NDArray[np.float64]


def shrinkage(model: FittedModel) -> dict[str, Any]:
    """Reliability of the random effects of every level: 1 − Var(b_j | y)/Σ_jj, given β̂ and θ̂.

    One: the data of the level say all, and nothing is shrunken; zero: they say nothing, and the effect is zero.
    For one random intercept it is n_i τ²/(n_i τ² + σ²), the factor by which the mean residual of the level is
    shrunken.

    Returns
    -------
    dict of str to frame
        As `ranef`: a frame for every grouping factor, one row a level, one column an effect; NaN where the
        variance of the effect is zero.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> m.shrinkage()["Batch"].round(3).head(2)
       (Intercept)
    A        0.783
    B        0.783
    """
    covariances = [term.covariance for term in term_covariances(model.terms, model.estimates)]
    with single_threaded_blas():
        conditional = mode_covariances(model.terms, model.objective, model.estimates)
    return mode_frames(model.terms, reliabilities(model.terms, covariances, conditional), model.frame.library)


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
