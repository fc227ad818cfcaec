"""Predictions of a fitted model, with standard errors and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, checked_flag, checked_level, shown
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame import open_table
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.intervals import t_intervals
from lmmsparse.inference.kenward_roger import kenward_roger_of
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.prediction.rows import PredictedRows, check_no_row_values, fitted_rows, new_rows, opened
from lmmsparse.prediction.variances import (
    fixed_variance,
    kenward_roger_rows,
    mean_variance,
    new_effects_variance,
    satterthwaite,
)

Float = NDArray[np.float64]

INTERVALS = ("confidence", "prediction")


def predict(
    model: FittedModel,
    newdata: Any = None,
    re_form: Any = None,
    allow_new_levels: bool = False,
    offset: Any = None,
    se: bool = False,
    interval: str | None = None,
    level: float = 0.95,
    ddf: str | None = "satterthwaite",
    weights: Any = None,
) -> Any:
    """Predicted means, with standard errors and intervals if they are asked for.

    The variance of x(β̂ − β) + z(b̂ − b), z being zero on the effects that ``re_form`` leaves out, is
    σ²[z̃ᵀM⁻¹z̃ + x̃ᵀ(XᵀV⁻¹X)⁻¹x̃] with z̃ = Λᵀz and x̃ = x − XᵀWZΛM⁻¹z̃ (Henderson 1975, Biometrics 31, 423).  It
    counts the uncertainty of β̂ and of b̂; that of θ̂ and σ̂ is left to the degrees of freedom, 2v²/(gᵀAg) with g the
    derivatives of the variance v and A the covariance matrix of θ̂, σ̂; they are at least 1.

    Parameters
    ----------
    newdata : frame or dict of arrays, optional
        New rows; those of the fit by default.
    re_form : None, str or 0
        Random effects to include: all (None), none (``"~0"`` or 0), or those of a one-sided formula such as
        ``"~(1|g)"``.
    allow_new_levels : bool
        Predict rows of levels that the fit has not seen, or of none, with zero for the effects of that factor;
        their variance zᵀΣz counts in the standard error.
    offset : (m,) array, scalar or column name, optional
        Offset of the new rows beside ``offset()`` terms; needed when the fit had one, unless that was a column
        which newdata have as well.
    se : bool
        Standard errors.
    interval : {"confidence", "prediction"}, optional
        For the mean; or for a new observation in the row, which adds σ²/w and, for the random effects that
        ``re_form`` leaves out, the variance zᵀΣz of a new draw.  With ``re_form=0`` a prediction interval is that
        of an observation in new clusters: the columns left of the bars are needed, the grouping variables are not.
    level : float
        Coverage of the intervals.
    ddf : {"satterthwaite", "kenward-roger"} or None
        Degrees of freedom of the intervals; normal quantiles with None.  Kenward and Roger's method adjusts the
        covariance matrix of β̂, and is for confidence intervals with ``re_form=0``.
    weights : (m,) array, scalar or column name, optional
        Prior weights w of observations in the new rows, 1 by default, for prediction intervals; rows of the fit
        have theirs.

    Returns
    -------
    pandas.Series or frame
        The means, named ``predicted``; NaN where a variable is missing.  With ``se`` or ``interval`` a frame in the
        library of newdata, or of the data of the fit: ``predicted, std_error`` and, with an interval,
        ``df, conf_low, conf_high``.  ``std_error`` is always that of the mean.  Intervals of a perfect fit are NaN.

    Raises
    ------
    NewDataError
        A column is missing, or a level is new.
    ArgumentError
        ``re_form`` names random effects that the model does not have, or another argument cannot be used.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> new = {"Days": [0, 5], "Subject": ["308", "308"]}
    >>> m.predict(new).round(2).to_list()
    [253.66, 351.99]
    >>> m.predict(new, interval="confidence").round(1)
       predicted  std_error     df  conf_low  conf_high
    0      253.7       12.3   59.6     229.1      278.2
    1      352.0        8.0  155.9     336.2      367.8
    """
    with_error, coverage = checked_flag("predict", "se", se), checked_level("predict", level)
    new_levels = checked_flag("predict", "allow_new_levels", allow_new_levels)
    kind = as_text(interval)
    if interval is not None and kind not in INTERVALS:
        raise ArgumentError(f"predict: interval must be 'confidence', 'prediction' or None, got {shown(interval)}")
    method = checked_ddf(ddf, "predict", model.is_reml)
    if newdata is None:
        check_no_row_values("predict", offset, weights)
        rows, table = fitted_rows(model.frame, model.terms, re_form), None
    else:
        table, known = opened(model, newdata, offset, "predict")
        rows = new_rows(
            model.frame,
            model.terms,
            table,
            re_form,
            allow_new_levels=new_levels,
            offset=known,
            weights=weights,
            with_others=kind == "prediction",
        )
    wide = with_error or kind is not None
    if method == "kenward-roger" and (rows.chosen or kind == "prediction") and wide:
        raise ArgumentError(
            "predict: Kenward and Roger's method is for functions of the fixed effects, with re_form=0 and no "
            "prediction interval; ask for ddf='satterthwaite' or None"
        )
    columns = {"predicted": rows.mean(model.estimates.beta, model.estimates.b)}
    if wide:
        columns |= _errors(model, rows, columns["predicted"], kind, coverage, method)
    if table is None:
        series = {name: model.frame.series(values, name) for name, values in columns.items()}
        if not wide:
            return series["predicted"]
        return to_library(pd.DataFrame(series), model.frame.library)
    if not wide:
        return pd.Series(columns["predicted"], index=table.index, name="predicted")
    library = model.frame.library if table.library == "dict" else table.library
    return to_library(pd.DataFrame(columns, index=table.index), library)


def model_matrix_of(model: FittedModel, newdata: Any) -> pd.DataFrame:
    """Rows of the fixed-effect model matrix X for new data: what contrasts and marginal means are made of.

    Parameters
    ----------
    newdata : frame or dict of arrays with m rows
        Transforms such as ``poly`` and ``scale`` have what they learned from the data of the fit.

    Returns
    -------
    pandas.DataFrame
        (m, p), one column a coefficient; NaN in rows where a variable is missing.

    Raises
    ------
    NewDataError
        A column is missing, or a factor has a level that the fit has not seen.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> X = m.model_matrix_of({"Days": [0, 9]})
    >>> m.contest(X, joint=False)["estimate"].round(1).to_list()
    [251.4, 345.6]
    """
    table = open_table(newdata, allow_empty=True)
    return pd.DataFrame(model.frame.spec.fixed(table), index=table.index, columns=list(model.frame.fixed_names))


def _errors(
    model: FittedModel, rows: PredictedRows, predicted: Float, interval: str | None, level: float, method: str | None
) -> dict[str, Float]:
    """Standard errors of the means and, with an interval, degrees of freedom and limits."""
    if method == "kenward-roger":
        variance, df = kenward_roger_rows(rows.X, kenward_roger_of(model))
        error = spread = np.sqrt(variance)
    else:
        error, spread, df = _spreads(model, rows, interval, method)
    if interval is None:
        return {"std_error": error}
    df = np.where(np.isnan(spread) | model.estimates.perfect, np.nan, df)
    limits = t_intervals(predicted, spread, df, level)
    return {"std_error": error, "df": df, "conf_low": limits[:, 0], "conf_high": limits[:, 1]}


def _spreads(
    model: FittedModel, rows: PredictedRows, interval: str | None, method: str | None
) -> tuple[Float, Float, Float]:
    """Standard error of the mean; standard deviation that the interval is made of, and its degrees of freedom."""
    solution = model.estimates.point
    with_slopes = interval is not None and method is not None and not model.estimates.perfect
    if with_slopes and not rows.chosen:
        variance = fixed_variance(rows.X, uncertainty_of(model), model.sigma)
    else:
        variance = mean_variance(model.objective, solution, rows, uncertainty_of(model) if with_slopes else None)
    variance = variance.plus(new_effects_variance(model.objective, solution, rows, others=False))
    error = model.sigma * np.sqrt(variance.value)
    if interval == "prediction":
        noise = np.ones(len(error)) if rows.weights is None else 1.0 / rows.weights
        variance = variance.plus(new_effects_variance(model.objective, solution, rows, others=True))
        variance = variance._replace(value=variance.value + noise)
    df = satterthwaite(variance, uncertainty_of(model).covariance) if with_slopes else np.full(len(error), np.inf)
    return error, model.sigma * np.sqrt(variance.value), df
