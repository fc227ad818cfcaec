"""F and t tests of hypotheses about the fixed effects, and of their terms."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, as_whole, checked_flag, checked_level, shown
from lmmsparse.errors import ArgumentError, RankDeficiencyWarning
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.frame.model_terms import ModelTerm, model_terms
from lmmsparse.inference.ddf import checked_ddf, joint_test, single_tests
from lmmsparse.inference.hypotheses.anova import compared
from lmmsparse.inference.hypotheses.contrast_matrix import contrast_rows
from lmmsparse.inference.hypotheses.estimable import estimable_contrasts
from lmmsparse.inference.hypotheses.reduced import all_columns
from lmmsparse.inference.hypotheses.term_contrasts import (
    contained_contrasts,
    has_empty_cells,
    is_alone,
    marginal_contrasts,
    sequential_contrasts,
)
from lmmsparse.inference.intervals import t_intervals

Float = NDArray[np.float64]

TYPES: dict[Any, int] = {1: 1, 2: 2, 3: 3, "I": 1, "II": 2, "III": 3}
F_COLUMNS = ["sum_sq", "mean_sq", "NumDF", "DenDF", "F", "p_value"]


def contest(
    model: FittedModel, L: Any, ddf: str | None = "satterthwaite", joint: bool = True, *, level: float = 0.95
) -> Any:
    """Test linear hypotheses Lβ = 0, or estimate linear combinations Lβ such as marginal means.

    Parameters
    ----------
    L : array, dict, list or dict of dicts, or DataFrame
        One row a contrast, one column a coefficient: (p,) or (m, p) numbers.  Or the coefficients by name, those
        left out being zero: ``{"recipe[T.B]": 1, "recipe[T.C]": -1}``, and a list of such dicts for several rows.
        A dict of dicts or Series, or the index of a DataFrame, gives names to the rows.
    ddf : {"satterthwaite", "kenward-roger"} or None
        How the degrees of freedom of the denominator are found.  None refers F to χ²/df and t to the normal
        distribution.  Kenward and Roger's method needs a REML fit.
    joint : bool
        One F test of all rows at once, or the estimate, interval and t test of every row.  p-values and intervals
        are of each row alone: no correction for many.
    level : float
        Of the intervals of single rows.

    Returns
    -------
    frame
        ``sum_sq, mean_sq, NumDF, DenDF, F, p_value`` for an F test (mean_sq is σ̂² F, Kenward and Roger's before
        its scaling), and ``contrast, estimate, std_error, df, statistic, p_value, conf_low, conf_high`` for
        single rows.

    Raises
    ------
    ArgumentError
        L has a wrong shape, names an unknown coefficient or has a row of zeros; or another argument is wrong.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.contest({"Days": 1})[["NumDF", "DenDF", "F"]].round(3).iloc[0].to_list()
    [1.0, 17.0, 45.853]
    >>> m.contest([0, 1], joint=False)[["contrast", "estimate", "std_error"]].round(3).to_numpy().tolist()[0]
    ['Days', 10.467, 1.546]
    >>> means = {"day 0": {"(Intercept)": 1}, "day 5": {"(Intercept)": 1, "Days": 5}}
    >>> m.contest(means, joint=False)[["contrast", "estimate", "conf_low", "conf_high"]].round(1)
      contrast  estimate  conf_low  conf_high
    0    day 0     251.4     237.0      265.8
    1    day 5     303.7     283.5      324.0
    """
    ddf, level = checked_ddf(ddf, "contest", model.is_reml), checked_level("contest", level)
    rows, labels = contrast_rows(L, list(model.frame.fixed_names))
    if checked_flag("contest", "joint", joint):
        return to_library(pd.DataFrame([f_row(model, rows, ddf)]), model.frame.library)
    estimate, error, df, statistic, p_value = single_tests(model, rows, ddf)
    columns = {"contrast": list(labels), "estimate": estimate, "std_error": error, "df": df}
    interval = t_intervals(estimate, error, np.full(len(df), np.inf) if ddf is None else df, level)
    columns |= {"statistic": statistic, "p_value": p_value}
    columns |= {"conf_low": interval[:, 0], "conf_high": interval[:, 1]}
    return to_library(pd.DataFrame(columns), model.frame.library)


def anova(
    model: FittedModel, *models: Any, type: int | str = 3, ddf: str | None = "satterthwaite", refit: bool = True
) -> Any:
    """F tests of the terms of the fixed part; with other models, likelihood-ratio tests between them.

    Parameters
    ----------
    *models : LinearMixedModel
        Other fits to the same rows; see `lmmsparse.anova`.
    type : {1, 2, 3}, or as lmerTest has them {"I", "II", "III"}
        1: each term after those before it.  2: each term after all that do not contain it.  3: effects averaged
        with equal weights over the levels of the factors of the terms that contain it, whatever the coding.
        A term contains another one when it has the same numeric variables and further factors.  Where combinations
        of levels have no observations, type 3 has Goodnight's estimable functions in place of the averages.
    ddf : {"satterthwaite", "kenward-roger"} or None
        As in `contest`.
    refit : bool
        Between models: refit REML fits by maximum likelihood.

    Returns
    -------
    frame
        One row a term: ``term, sum_sq, mean_sq, NumDF, DenDF, F, p_value``; or the table of
        `lmmsparse.anova`.

    Raises
    ------
    ArgumentError
        An unknown type or method, or a type III test with empty cells that would need a table of too many cells.

    Warns
    -----
    RankDeficiencyWarning
        Type III hypotheses depend on which combinations of levels have observations.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", load_dataset("cake"))
    >>> m.anova()[["term", "NumDF", "DenDF", "F"]].round(3).to_numpy().tolist()[1]
    ['temperature', 5, 210.0, 20.52]
    """
    if models:
        if TYPES.get(as_whole(type) or as_text(type)) != 3 or as_text(ddf) != "satterthwaite":
            raise ArgumentError("anova: type and ddf belong to the tests of one model; leave them out with others")
        return compared((model, *models), refit)
    kind = TYPES.get(as_whole(type) or as_text(type))
    if kind is None:
        raise ArgumentError(f"anova: type must be 1, 2 or 3, got {shown(type)}")
    ddf = checked_ddf(ddf, "anova", model.is_reml)
    terms = model_terms(model.frame.spec.fixed_design)
    contrasts = _contrasts(model, terms, kind)
    tested = [(t, L) for t, L in zip(terms, contrasts, strict=True) if len(L) and not t.is_intercept]
    rows = [{"term": term.label, **f_row(model, L, ddf)} for term, L in tested]
    return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), model.frame.library)


def f_row(model: FittedModel, L: Float, ddf: str | None) -> dict[str, Any]:
    """One line of an anova table; mean squares over σ̂² are F, as in lmerTest before Kenward and Roger's scaling."""
    test = joint_test(model, L, ddf)
    mean_sq = test.statistic / test.scale * model.sigma**2
    values = (mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, test.p_value)
    return dict(zip(F_COLUMNS, values, strict=True))


def triangle(model: FittedModel) -> Float:
    """R with XᵀX = RᵀR, (p, p)."""
    columns = model.objective.design.coordinates.fixed_map if model.frame.weights is None else model.frame.X
    return np.asarray(np.linalg.qr(columns, mode="r"))


def _contrasts(model: FittedModel, terms: tuple[ModelTerm, ...], type: int) -> list[Float]:
    """Hypothesis matrices of all terms."""
    marginal = type == 3 and not is_alone(terms)
    empty = marginal and any(has_empty_cells(term, terms) for term in terms)
    if marginal and not empty:
        return marginal_contrasts(terms, model.frame.X.shape[1])
    R = triangle(model)
    if not empty:
        return contained_contrasts(terms, R) if type == 2 else sequential_contrasts(terms, R)
    holed = ", ".join(repr(term.label) for term in terms if not term.complete)
    warnings.warn(
        f"columns of {holed} are not in X (combinations of levels without observations, or columns that others "
        "span): the type III hypotheses about terms that they contain depend on which these are",
        RankDeficiencyWarning,
        stacklevel=3,
    )
    complete = model_terms(replace(model.frame.spec.fixed_design, keep=None))
    return estimable_contrasts(complete, all_columns(model.frame), R)
