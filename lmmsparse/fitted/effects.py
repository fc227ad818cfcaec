"""Random effects as people look at them: conditional modes, their covariances, and coefficients by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.frame.output import to_library
from lmmsparse.objective.linear import Objective
from lmmsparse.pls.row_variances import conditional_covariances, prediction_covariances

Float = NDArray[np.float64]


def terms_by_group(terms: Sequence[RandomTerm]) -> dict[str, list[int]]:
    """Positions of the terms of every grouping factor."""
    members: dict[str, list[int]] = {}
    for t, term in enumerate(terms):
        members.setdefault(term.group, []).append(t)
    return members


def mode_frames(terms: Sequence[RandomTerm], modes: Sequence[Float], library: str) -> dict[str, Any]:
    """Conditional modes, one frame a grouping factor; terms of one factor stand side by side."""
    frames = {}
    for group, members in terms_by_group(terms).items():
        values = np.hstack([modes[t] for t in members])
        names = [name for t in members for name in terms[t].names]
        frames[group] = to_library(pd.DataFrame(values, index=terms[members[0]].levels, columns=names), library, group)
    return frames


def mode_covariances(
    terms: Sequence[RandomTerm], objective: Objective, estimates: Estimates, with_fixed: bool = False
) -> dict[str, Float]:
    """Covariance σ² Λ C_ℓℓ Λᵀ of the effects of every level, (q, K, K) a factor.

    C = M⁻¹: of b given β̂ and θ̂.  With the uncertainty of β̂, C = M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ: of b̂ − b (Henderson 1975).
    """
    if with_fixed:
        inverse = prediction_covariances(estimates.solution.solution)
    else:
        inverse = conditional_covariances(estimates.solution.solution)
    out = {}
    for group, members in terms_by_group(terms).items():
        # from u to the user's effects, for all terms of the factor together: they are correlated given the data
        K = sum(len(terms[t].names) for t in members)
        to_user, start = np.zeros((K, K)), 0
        for t in members:
            part = slice(start, start + len(terms[t].names))
            to_user[part, part] = estimates.templates[t]
            start = part.stop
        out[group] = estimates.sigma**2 * (to_user @ inverse[objective.working.columns[members[0]][0]] @ to_user.T)
    return out


def coefficient_frames(
    terms: Sequence[RandomTerm], modes: Sequence[Float], fixef: pd.Series, library: str
) -> dict[str, Any]:
    """Fixed plus random effects of every level, one frame a grouping factor."""
    out = {}
    for group, members in terms_by_group(terms).items():
        levels = terms[members[0]].levels
        names = list(fixef.index)
        names += [n for t in members for n in terms[t].names if n not in names]
        total = {name: np.full(len(levels), float(fixef.get(name, 0.0))) for name in names}
        for t in members:
            for j, name in enumerate(terms[t].names):
                total[name] = total[name] + modes[t][:, j]
        out[group] = to_library(pd.DataFrame(total, index=levels), library, group)
    return out
