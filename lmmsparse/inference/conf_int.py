"""Confidence intervals of all parameters: Wald's, by profiled likelihood, and by the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, checked_choice, checked_level
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.bootstrap.bootstrap import bootstrap_limits
from lmmsparse.inference.ddf import checked_ddf, fixed_tests
from lmmsparse.inference.intervals import correlation_intervals, sd_intervals, t_intervals
from lmmsparse.inference.parameters import selected_parameters, standard_deviations, variance_parameters
from lmmsparse.inference.profile.profile import profile_limits
from lmmsparse.inference.vcov import variance_estimates

Float = NDArray[np.float64]

METHODS = ("wald", "profile", "boot")


def conf_int(
    model: FittedModel,
    level: float = 0.95,
    method: str = "wald",
    parm: str | Sequence[str] | None = None,
    ddf: str | None = "satterthwaite",
    *,
    nsim: int | None = None,
    seed: Any = None,
) -> Any:
    """Confidence intervals of standard deviations, correlations, σ and fixed effects.

    Parameters
    ----------
    level : float
    method : {"wald", "profile", "boot"}
        Wald intervals have t quantiles for fixed effects, and are symmetric on the log scale for standard
        deviations and on Fisher's for correlations.  The others are by profiled likelihood and by parametric
        bootstrap.
    parm : str or sequence of str, optional
        Names of the parameters, lme4's (``".sig01"``) or readable ones (``"sd_Days|Subject"``); ``"theta_"`` for
        all variance parameters, ``"beta_"`` for all fixed effects.
    ddf : {"satterthwaite", "kenward-roger", None}
        Degrees of freedom of Wald intervals, for no others; None for normal quantiles, as lme4 has them.
    nsim : int, optional
        Replicates of the bootstrap, 1,000 by default.
    seed : int or numpy.random.Generator, optional
        Of the bootstrap, 0 by default: the same question has the same answer.  `bootstrap` itself has more
        kinds of replicates and of intervals.

    Returns
    -------
    frame
        Columns ``term`` (the readable name), ``estimate``, ``conf_low`` and ``conf_high``; the index, or the
        column ``name``, holds lme4's names.  A Wald interval of a parameter on the boundary is NaN.

    Raises
    ------
    ArgumentError
        An argument is none of these, or belongs to another method; the message lists the names of the parameters.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.conf_int(parm=["sd_Days|Subject", "Days"]).round(2)
                      term  estimate  conf_low  conf_high
    .sig03  sd_Days|Subject      5.92      3.92       8.95
    Days               Days     10.47      7.21      13.73
    """
    method = checked_choice("conf_int", "method", method, METHODS)
    checked, names = checked_level("conf_int", level), _parameter_names(model)
    every = list(names)
    first = every.index(".sigma") + 1
    parts = {"theta_": range(first), "beta_": range(first, len(every))}
    codes = [every[i] for i in selected_parameters("conf_int", parm, every, list(names.values()), parts)]
    given = {name: value for name, value in (("nsim", nsim), ("seed", seed)) if value is not None}
    if given and method != "boot":
        raise ArgumentError(f"conf_int: only method='boot' takes {' and '.join(given)}, got method={method!r}")
    if method != "wald" and as_text(ddf) != "satterthwaite":
        raise ArgumentError(f"conf_int: only method='wald' takes ddf, got method={method!r}; leave it out")
    if method == "wald":
        limits = _wald_limits(model, checked_ddf(ddf, "conf_int", model.is_reml), checked, names)
    elif method == "profile":
        limits = profile_limits(model, checked, codes)
    else:
        limits = bootstrap_limits(model, checked, codes, **given)
        if not isinstance(limits, pd.DataFrame):
            return limits  # a whole table, in the caller's library
    estimates, _ = standard_deviations(model.terms, model.estimates.theta, model.sigma)
    columns = {"term": list(names.values()), "estimate": np.append(estimates, model.estimates.beta)}
    table = pd.DataFrame(columns, index=list(names))
    low, high = limits.loc[codes].iloc[:, -2:].to_numpy(float).T
    return to_library(table.loc[codes].assign(conf_low=low, conf_high=high), model.frame.library, "name")


def _parameter_names(model: FittedModel) -> dict[str, str]:
    """lme4's name of every parameter → its readable one, in lme4's order."""
    names = {parameter.code: parameter.name for parameter in variance_parameters(model.terms)}
    return names | {str(name): str(name) for name in model.fixef.index}


def _wald_limits(model: FittedModel, method: str | None, level: float, names: dict[str, str]) -> pd.DataFrame:
    """Lower and upper limits by lme4's names."""
    values, covariance = variance_estimates(model)
    tests = fixed_tests(model, method)
    df = np.full(len(tests.df), np.inf) if method is None else tests.df
    of_variances = variance_intervals(model, values, np.sqrt(np.diag(covariance)), level)
    of_fixed = t_intervals(tests.estimate, tests.std_error, df, level)
    return pd.DataFrame(np.vstack([of_variances, of_fixed]), index=list(names))


def variance_intervals(model: FittedModel, values: Float, errors: Float, level: float) -> Float:
    """Wald intervals of standard deviations on the log scale and of correlations on Fisher's, (m, 2)."""
    parameters = variance_parameters(model.terms)
    is_sd = np.array([parameter.kind != "cor" for parameter in parameters])
    ends = np.array([(-1.0, 1.0) if parameter.kind != "cor" else parameter.ends for parameter in parameters])
    with np.errstate(invalid="ignore"):
        correlations = np.where(is_sd, np.nan, values)
    either = sd_intervals(values, errors, level), correlation_intervals(correlations, errors, level, ends)
    return np.where(is_sd[:, None], *either)
