"""Tests of the terms of the fixed part that may be dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.fitted.model import FittedModel, as_ml
from lmmsparse.frame.libraries import to_library
from lmmsparse.frame.model_terms import ModelTerm, model_terms
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.hypotheses.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.hypotheses.reduced import (
    check_likelihood,
    droppable,
    dropped_contrast,
    dropped_map,
    refitted_criterion,
)
from lmmsparse.inference.hypotheses.term_contrasts import is_alone, marginal_contrast, sequential_contrasts
from lmmsparse.inference.hypotheses.tests import F_COLUMNS, f_row, triangle

Float = NDArray[np.float64]


def drop1(model: FittedModel, ddf: str | None = None) -> Any:
    """Tests of every term of the fixed part that no other term includes.

    Parameters
    ----------
    ddf : None, "satterthwaite" or "kenward-roger"
        None: likelihood-ratio tests, by maximum likelihood, each with a refit without the term.  Otherwise F tests.

    Returns
    -------
    frame
        ``term, npar, AIC, LRT, Df, p_value`` with the whole model in the first row, ``<none>``; or
        ``term, sum_sq, mean_sq, NumDF, DenDF, F, p_value``.

    Raises
    ------
    ArgumentError
        An unknown method, or the model fits perfectly.

    Notes
    -----
    Where columns of X were left out because others span them, the model without a term has those again that
    only the term helped to span.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.drop1()[["term", "AIC", "LRT"]].round(3).to_numpy().tolist()[1]
    ['Days', 1785.476, 23.537]
    """
    ddf = checked_ddf(ddf, "drop1", model.is_reml)
    p, library = model.frame.X.shape[1], model.frame.library
    terms = model_terms(model.frame.spec.fixed_design)
    if ddf is not None:
        tested = list(zip(droppable(terms), _dropped_contrasts(model, terms), strict=True))
        rows = [{"term": term.label, **f_row(model, L, ddf)} for term, L in tested if len(L)]
        return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), library)
    check_likelihood(model, "drop1")
    whole = as_ml(model).criterion
    out = [("<none>", model.df, whole + 2.0 * model.df, np.nan, np.nan, np.nan)]
    for term in droppable(terms):
        W = dropped_map(term, terms, model.frame)
        value = whole
        if W.shape[1] < p:  # else others span its columns
            value = refitted_criterion(model, term.label, model.frame.X @ W, model.terms, reml=False)
        test = likelihood_ratio(value - whole, p - W.shape[1], 0)
        less = model.df - test.df
        out.append((term.label, less, value + 2.0 * less, test.statistic, float(test.df), test.p_value))
    return to_library(pd.DataFrame(out, columns=["term", "npar", "AIC", "LRT", "Df", "p_value"]), library)


def _dropped_contrasts(model: FittedModel, terms: tuple[ModelTerm, ...]) -> list[Float]:
    """Hypothesis matrix of every term that can be dropped."""
    if model.frame.spec.fixed_design.keep is not None:
        return [dropped_contrast(dropped_map(term, terms, model.frame)) for term in droppable(terms)]
    if is_alone(terms):
        pairs = zip(terms, sequential_contrasts(terms, triangle(model)), strict=True)
        return [L for term, L in pairs if not term.is_intercept]
    return [_own_columns(term, marginal_contrast(term, terms, model.frame.X.shape[1])) for term in droppable(terms)]


def _own_columns(term: ModelTerm, L: Float) -> Float:
    """A hypothesis about all coefficients of a term as one about each, as lmerTest's drop1 has it; others unchanged."""
    own = list(term.kept)
    if len(L) == len(own) and not np.delete(L, own, axis=1).any():
        return np.eye(L.shape[1])[own]
    return L
