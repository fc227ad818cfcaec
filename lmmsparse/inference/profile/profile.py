"""Profiled likelihoods of a fitted model and their intervals."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pandas as pd

from lmmsparse.arguments import checked_count, checked_flag, checked_level
from lmmsparse.errors import ArgumentError, ConvergenceWarning, RoundingWarning
from lmmsparse.fitted.model import FittedModel, as_ml
from lmmsparse.inference.profile.curves import Profile, chosen, profile_curve
from lmmsparse.inference.profile.restricted import Parameter, parameters
from lmmsparse.objective.linear import Objective

# A deviance that lies lower than this below that of the fit is another minimum.
LOWER = 1e-3
# Steps on either side that an interval needs.
FEW = 3


def profile(
    model: FittedModel, which: Any = None, *, level: float = 0.99, points: int = 5, progress: bool = False
) -> Profile:
    """Profiled likelihoods of standard deviations, correlations, σ and fixed effects.

    For each value of one parameter the deviance is minimised over all others.  A REML fit is fitted by maximum
    likelihood first, as lme4's ``profile`` does.

    Parameters
    ----------
    which : str or sequence of str, optional
        Names of parameters, readable (``sd_Days|Subject``) or lme4's (``.sig03``); ``"theta_"`` for the random part
        and σ, ``"beta_"`` for the fixed one; all by default.
    level : float
        Highest level of an interval that can be read from the curves.
    points : int
        Steps on either side of the estimate, of equal size in ζ.
    progress : bool
        Name each parameter on standard error as it is done.

    Returns
    -------
    Profile

    Raises
    ------
    ArgumentError
        A parameter does not exist, or the fit leaves no residual variance.

    Warns
    -----
    ConvergenceWarning
        A lower deviance than that of the fit was met, or a curve could not be followed to its end.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> profile = m.profile(["sigma", ".sig01"])
    >>> print(profile.conf_int().round(2))
                             conf_low  conf_high
    sigma                       22.90      28.86
    sd_(Intercept)|Subject      14.38      37.72
    """
    return _profiled(model, which, level, points, progress)


def profile_limits(model: FittedModel, level: float = 0.95, parm: Any = None) -> pd.DataFrame:
    """Profile intervals, ``conf_low`` and ``conf_high``; rows as ``parm`` names them, readable by default."""
    profile = _profiled(model, parm, level, FEW)
    table = profile.conf_int(level)
    if parm is not None:
        asked = {parm} if isinstance(parm, str) else set(parm)
        table.index = pd.Index([c.lme4_name if c.lme4_name in asked else c.name for c in profile.curves])
    return table


def _profiled(model: FittedModel, which: Any, level: float, points: int, progress: bool = False) -> Profile:
    """Profiles of the named parameters of a model; warns of what a reader of them must know."""
    shown = checked_flag("profile", "progress", progress)
    coverage, steps = checked_level("profile", level), checked_count("profile", "points", points)
    every = parameters(model.terms, model.frame.fixed_names)
    wanted = [every[i] for i in chosen(every, which, "profile")]
    ml = as_ml(model)
    if ml.estimates.perfect:
        raise ArgumentError("profile: the residual variance is zero, so that the likelihood has no maximum")
    wanted = _with_digits(wanted, ml.objective, asked=which is not None)
    curves, lower, short = [], 0.0, []
    for number, parameter in enumerate(wanted, start=1):
        curve, below = profile_curve(ml.objective, ml.estimates, parameter, every, coverage, steps)
        curves.append(curve)
        lower = max(lower, below)
        short += [] if all(curve.complete) else [curve.name]
        if shown:
            print(f"profile: {number} of {len(wanted)}, {curve.name}", file=sys.stderr)
    if lower > LOWER:
        warnings.warn(
            f"profile: a deviance {lower:.3g} below that of the fit was met; zeta is 0 there, and the intervals "
            "are too wide: fit again with start= near those values (see Profile.to_frame())",
            ConvergenceWarning,
            stacklevel=3,
        )
    if short:
        warnings.warn(
            f"profile: the curve of {', '.join(short)} could not be followed to level {level:g}; the limits that "
            "it does not reach are NaN",
            ConvergenceWarning,
            stacklevel=3,
        )
    return Profile(tuple(curves), tuple(p.name for p in every), coverage, model.frame.library)


def _with_digits(wanted: list[Parameter], objective: Objective, asked: bool) -> list[Parameter]:
    """The parameters without fixed effects where only a fit from the rows has digits, which their profiles are not."""
    effects = [parameter.name for parameter in wanted if parameter.kind == "beta"]
    if not (objective.from_rows and effects):
        return wanted
    message = (
        "the residuals are so small beside the random effects that profiles of fixed effects lose their digits; "
        "conf_int(method='wald') has intervals of them"
    )
    if asked:
        raise ArgumentError(f"profile: {message}")
    warnings.warn(f"profile: {message}, and they are left out here", RoundingWarning, stacklevel=4)
    return [parameter for parameter in wanted if parameter.kind != "beta"]
