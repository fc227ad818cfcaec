"""What single rows or levels do to the estimates of a fitted model."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag
from lmmsparse.diagnostics.influence.result import Influence
from lmmsparse.diagnostics.influence.sets import sets_of_rows
from lmmsparse.diagnostics.influence.theta_held import held_estimates
from lmmsparse.diagnostics.influence.theta_refitted import refitted_estimates
from lmmsparse.errors import ArgumentError, RankDeficiencyWarning, RoundingWarning
from lmmsparse.fitted.means import fitted_means
from lmmsparse.fitted.model import FittedModel
from lmmsparse.numerics.threads import single_threaded_blas

Float = NDArray[np.float64]


def influence(model: FittedModel, group: Any = None, refit: bool = False) -> Influence:
    """Estimates without each row, or without all rows of each level of a grouping factor.

    Parameters
    ----------
    group : None, str or (n,) array-like
        None leaves out single rows; the name of a grouping factor the rows of each of its levels; labels (one a
        row of the fit, or of the data) the rows of each label.
    refit : bool
        Estimate θ again without each set of rows, each search warm from θ̂: one fit a set.  By default θ is held at
        θ̂; β̂ and σ̂ without the rows are then exact given θ, and follow from the fit by downdating.

    Returns
    -------
    Influence
        Arrays ``beta`` (m, p), ``std_error`` (m, p), ``sigma`` (m,), ``theta`` (m, n_theta); frames ``dfbeta``,
        ``dfbetas``; series ``cooks_distance``, ``mdffits``, ``covratio``; ``to_frame()``.

    Raises
    ------
    ArgumentError
        There is no such grouping factor, labels have another length or one value only, or the model fits perfectly.

    Warns
    -----
    RankDeficiencyWarning
        Without some sets the rows do not determine all fixed effects, or leave no degree of freedom: what they do
        not determine is NaN.
    RoundingWarning
        The fit is nearly perfect: what is left without some rows has lost digits.

    Notes
    -----
    With Q = V⁻¹ at θ̂ and r = y − Xβ̂, leaving out the rows S subtracts E_Sᵀ Q_SS⁻¹ E_S, E = Q[X r], from the
    equations [X r]ᵀQ[X r].  The same is found by giving each of the rows a coefficient of its own (Haslett 1999,
    Journal of the Royal Statistical Society B 61, 603-609).  Blocks of M⁻¹ take the place of the n × n matrix Q.

    Cook's distance is (β̂ − β̂_S)ᵀ C⁻¹ (β̂ − β̂_S)/p with the covariance matrix C of β̂.  lme4 1.1-31 multiplies it by
    (m − p)/m for m sets.  ``dfbetas`` are lme4's: β̂_S − β̂ over the standard error of β̂_S.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> without = m.influence("Subject")
    >>> without.cooks_distance.nlargest(2).round(3).to_dict()
    {'309': 0.149, '335': 0.129}
    >>> without.dfbetas.loc["337"].round(3).to_dict()
    {'(Intercept)': -0.322, 'Days': -0.314}
    """
    again = checked_flag("influence", "refit", refit)
    if model.estimates.perfect:
        raise ArgumentError("influence: the model fits perfectly, so that no row has any influence to measure")
    name, labels, deletions = sets_of_rows(group, model.frame)
    with single_threaded_blas():
        if again:
            without, failures = refitted_estimates(model, deletions)
        else:
            without = held_estimates(model.objective, model.estimates, deletions, model.control.memory_bytes)
            failures = {}
    table = without.table
    failed = np.isnan(table.sigma) & np.isnan(table.beta).all(axis=1)
    lost = np.isnan(table.std_error).any(axis=1) | np.isnan(table.sigma)
    lost[list(failures)] = False
    if model.objective.from_rows and not again:
        warnings.warn(
            "influence: the residuals are so small beside the random effects that their sums of squares without some "
            "rows lose digits, down to NaN; refit=True fits the other rows again",
            RoundingWarning,
            stacklevel=2,
        )
    else:
        _warn_undetermined(lost, name, labels)
    return Influence(
        group=name,
        refit=again,
        labels=labels,
        n_deleted=deletions.sizes,
        estimates=replace(table, converged=table.converged & ~failed),
        failed=failed,
        failures={labels[i]: reason for i, reason in failures.items()},
        names=tuple(model.frame.fixed_names),
        theta_names=model.objective.theta_names,
        estimate=model.estimates.beta.copy(),
        library=model.frame.library,
        measures=(without.cooks, without.mdffits, without.covratio),
    )


def cooks_distance(model: FittedModel, group: Any = None, refit: bool = False) -> pd.Series:
    """Cook's distances of rows, levels of a grouping factor, or labels.

    Parameters
    ----------
    group : None, str or (n,) array-like
        As in `influence`.
    refit : bool
        As in `influence`.

    Returns
    -------
    pandas.Series
        Without arguments lme4's ``cooks.distance(m)``, (n,): (r/(1 − h))² h/(σ̂² p) with Pearson residuals r and hat
        values h.  It is the distance that β̂ and all û move together when the row is left out, in the metric of
        their joint least-squares problem.  Otherwise `Influence.cooks_distance`, the distance that β̂ moves;
        ``m.influence().cooks_distance`` has that of single rows.

    Raises
    ------
    ArgumentError
        The model has no fixed effects, or as in `influence`.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.cooks_distance().nlargest(1).round(3).to_dict()
    {59: 4.332}
    >>> m.cooks_distance("Subject").nlargest(1).round(3).to_dict()
    {'309': 0.149}
    """
    if group is not None or checked_flag("cooks_distance", "refit", refit):
        return influence(model, group, refit).cooks_distance
    p = len(model.estimates.beta)
    if not p:
        raise ArgumentError("cooks_distance: the model has no fixed effects that could move")
    hat = model.objective.leverages(model.estimates.point)
    residuals = model.frame.pearson(model.frame.y - fitted_means(model))
    return model.frame.series(cooks_distances(residuals, hat, model.sigma, p), "cooks_distance")


def dfbetas(model: FittedModel, group: Any = None, refit: bool = False) -> Any:
    """Change of every fixed effect without rows, over its standard error without them.

    Parameters
    ----------
    group : None, str or (n,) array-like
        As in `influence`.
    refit : bool
        As in `influence`.

    Returns
    -------
    frame
        `Influence.dfbetas`: one row a set of rows, one column a coefficient.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.dfbetas("Subject").round(3).loc["308"].to_dict()
    {'(Intercept)': 0.065, 'Days': -0.447}
    """
    return influence(model, group, refit).dfbetas


def cooks_distances(residuals: Float, hat: Float, sigma: float, p: int) -> Float:
    """(r/(1 − h))² h/(σ² p) of Pearson residuals r and hat values h, (n,); NaN where h is 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (residuals / (1.0 - hat)) ** 2 * hat / (sigma**2 * p)
    return np.where(np.isfinite(values), values, np.nan)


def _warn_undetermined(lost: NDArray[np.bool_], name: str, labels: pd.Index) -> None:
    if lost.any():
        first = str(labels[int(lost.argmax())])
        warnings.warn(
            f"without {int(lost.sum())} of {len(lost)} sets of rows by {name!r} (the first is {first!r}) the rows that "
            "are left do not determine all fixed effects, or not their precision: what they do not determine is NaN",
            RankDeficiencyWarning,
            stacklevel=3,
        )
