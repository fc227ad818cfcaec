"""Random effects as people look at them: conditional modes, their covariances, and coefficients by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.objective.linear import Objective
from lmmsparse.pls.row_variances import conditional_covariances, prediction_covariances

Float = NDArray[np.float64]


def ranef(model: FittedModel, cond_var: bool = False, pred_var: bool = False) -> dict[str, Any]:
    """Conditional modes b̂ of the random effects.

    Parameters
    ----------
    cond_var : bool
        Return pairs of the frame and the (q, K, K) conditional covariance matrices σ²ΛM⁻¹Λᵀ of the effects of every
        level, given β̂ and θ̂.
    pred_var : bool
        Return pairs of the frame and the (q, K, K) covariance matrices of b̂ − b, which count the uncertainty of β̂
        (Henderson 1975): σ²Λ[M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ]Λᵀ with U_X = M⁻¹ΛᵀZᵀWX.

    Returns
    -------
    dict of str to frame
        A frame for every grouping factor: one row a level, one column an effect.

    Raises
    ------
    ArgumentError
        Both kinds of covariance matrices are asked for.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> modes, covariances = m.ranef(pred_var=True)["Batch"]
    >>> float(modes.loc["A", "(Intercept)"]), float(covariances[0, 0, 0])
    (-17.6068, 613.7039)
    """
    given, predicted = checked_flag("ranef", "cond_var", cond_var), checked_flag("ranef", "pred_var", pred_var)
    if given and predicted:
        raise ArgumentError("ranef: cond_var and pred_var are two covariance matrices; ask for one of them")
    frames = mode_frames(model.terms, model.estimates.b, model.frame.library)
    if not (given or predicted):
        return dict(frames)
    covariances = mode_covariances(model.terms, model.objective, model.estimates, with_fixed=predicted)
    return {group: (frame, covariances[group]) for group, frame in frames.items()}


def coef(model: FittedModel) -> dict[str, Any]:
    """Fixed plus random effects of every level.

    Returns
    -------
    dict of str to frame
        A frame for every grouping factor: one row a level, one column an effect.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.coef()["Subject"].head(2).round(2)
         (Intercept)   Days
    308       253.66  19.67
    309       211.01   1.85
    """
    return coefficient_frames(model.terms, model.estimates.b, model.fixef, model.frame.library)


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
        inverse = prediction_covariances(estimates.point.solution)
    else:
        inverse = conditional_covariances(estimates.point.solution)
    out = {}
    for group, members in terms_by_group(terms).items():
        # from u to the user's effects, for all terms of the factor together: they are correlated given the data
        K = sum(len(terms[t].names) for t in members)
        to_user, start = np.zeros((K, K)), 0
        for t in members:
            part = slice(start, start + len(terms[t].names))
            to_user[part, part] = estimates.templates[t]
            start = part.stop
        out[group] = estimates.sigma**2 * (to_user @ inverse[objective.blocks[members[0]].factor] @ to_user.T)
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
