"""Estimates in a frame, one row a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lmmsparse.arguments import as_list, checked_choice, checked_flag, checked_level
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.report.tables import fixed_table, joined_tables, mode_table, variance_table

EFFECTS = ("fixed", "ran_pars", "ran_vals")


def tidy(
    model: FittedModel,
    effects: str | Sequence[str] = "fixed",
    ddf: str | None = "satterthwaite",
    conf_int: bool = True,
    level: float = 0.95,
) -> Any:
    """Estimates in a frame, one row a parameter.

    Parameters
    ----------
    effects : {"fixed", "ran_pars", "ran_vals"} or several of them
        Fixed effects; standard deviations and correlations; the conditional modes of the random effects.
    ddf : {"satterthwaite", "kenward-roger", None}
        Degrees of freedom of the fixed effects.  Kenward and Roger's standard errors are the adjusted ones.
        Without degrees of freedom there are no p-values, and intervals have normal quantiles.
    conf_int : bool
        With the columns ``conf_low`` and ``conf_high``: Wald intervals, those of standard deviations on the log
        scale and of correlations on Fisher's.
    level : float
        Of the intervals.

    Returns
    -------
    frame
        Columns ``effect, group, term, estimate, std_error, statistic, df, p_value, conf_low, conf_high``, for
        conditional modes ``level`` after ``group``.  What an effect does not have is NaN, as is the standard
        error of a parameter on the boundary.

    Raises
    ------
    ArgumentError
        An argument is none of these, or Kenward and Roger's method is asked of an ML fit.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.tidy()[["term", "estimate", "std_error", "df"]].round(2)
              term  estimate  std_error    df
    0  (Intercept)    251.41       6.82  17.0
    1         Days     10.47       1.55  17.0
    >>> m.tidy("ran_pars")[["group", "term", "estimate"]].round(2)
          group                    term  estimate
    0   Subject         sd__(Intercept)     24.74
    1   Subject  cor__(Intercept).Days      0.07
    2   Subject                sd__Days      5.92
    3  Residual        sd__Observation     25.59
    """
    with_limits = checked_flag("tidy", "conf_int", conf_int)
    kinds = [checked_choice("tidy", "effects", kind, EFFECTS) for kind in as_list(effects)]
    if not kinds:
        raise ArgumentError(f"tidy: effects must be one of {', '.join(EFFECTS)}, or several; got none")
    checked = checked_level("tidy", level)
    method = checked_ddf(ddf, "tidy", model.is_reml or "fixed" not in kinds)
    table = joined_tables([_effects_table(model, kind, method, checked) for kind in kinds])
    if not with_limits:
        table = table.drop(columns=["conf_low", "conf_high"])
    return to_library(table, model.frame.library)


def _effects_table(model: FittedModel, kind: str, method: str | None, level: float) -> pd.DataFrame:
    """Estimates of one kind."""
    if kind == "fixed":
        return fixed_table(model, method, level)
    return variance_table(model, level) if kind == "ran_pars" else mode_table(model, level)
