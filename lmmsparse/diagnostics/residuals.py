"""Residuals and hat values of a fitted model, and what scales residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_choice
from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.means import Selected, fitted_means, predict_rows, selected_effects
from lmmsparse.fitted.model import FittedModel

Float = NDArray[np.float64]

RESIDUALS = ("response", "pearson", "scaled")


def resid(model: FittedModel, type: str = "response", re_form: Any = None) -> pd.Series:
    """Residuals: the response less its mean given all, some or none of the random effects.

    Parameters
    ----------
    type : {"response", "pearson", "scaled"}
        y − mean; times √w; or over the standard deviation that the model gives to it.
    re_form : None, str or 0
        Random effects in the mean, as in `predict`: all of them (None; conditional residuals), none (``"~0"`` or 0;
        marginal ones), or those of a one-sided formula such as ``"~(1|g)"``.

    Returns
    -------
    pandas.Series
        One value a row, (n,); NaN for rows that were left out under ``na_action="exclude"``.

    Raises
    ------
    ArgumentError
        The type is unknown, or ``re_form`` names random effects that the model does not have.

    Notes
    -----
    The variance of y_i − x_iᵀβ − (the random effects in the mean) is σ²/w_i + Σ z_iᵀΣ_t z_i over the effects that
    the mean leaves out.  The estimates are taken for the parameters: a scaled conditional residual is lme4's,
    √w_i (y_i − ŷ_i)/σ̂, and its variance falls below 1 by the hat value (see `hatvalues`).

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.resid("scaled").head(2).round(3).to_list()
    [-0.16, -0.571]
    >>> m.resid("scaled", re_form=0).head(2).round(3).to_list()
    [-0.052, -0.087]
    """
    type = checked_choice("resid", "type", type, RESIDUALS)
    frame, estimates = model.frame, model.estimates
    if re_form is None:
        values = frame.y - fitted_means(model)
    else:
        values = frame.y - predict_rows(frame, model.terms, estimates.beta, estimates.b, re_form)
    kept = selected_effects(re_form, model.terms, frame.spec)
    complete = all(len(choice.columns) == len(model.terms[choice.term].names) for choice in kept)
    if type == "scaled" and not (complete and len(kept) == len(model.terms)):
        variances = row_variances(model.terms, estimates.templates, frame.weights, kept, len(values))
        return frame.series(values / (model.sigma * np.sqrt(variances)), "resid")
    if type != "response":
        values = frame.pearson(values)
    if type == "scaled":
        values = values / model.sigma
    return frame.series(values, "resid")


def hatvalues(model: FittedModel) -> pd.Series:
    """Leverages: the diagonal of the matrix that maps y to the fitted values.

    Returns
    -------
    pandas.Series
        One value a row, (n,), between 0 and 1; NaN for rows that were left out under ``na_action="exclude"``.

    Notes
    -----
    h = w[z̃ᵀM⁻¹z̃ + x̃ᵀ(XᵀV⁻¹X)⁻¹x̃] with z̃ = Λᵀz and x̃ = x − XᵀWZΛM⁻¹z̃, θ held at θ̂.  They sum to the effective
    number of coefficients of the mean.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.hatvalues().head(2).round(3).to_list()
    [0.229, 0.170]
    """
    values = model.objective.leverages(model.estimates.point)
    return model.frame.series(values, "hat")


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
