"""Methods of a fitted model: tables of estimates with their tests and intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from lmmsparse.arguments import checked_choice, checked_flag, checked_level
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.output import to_library
from lmmsparse.inference.ddf import checked_ddf, fixed_tests
from lmmsparse.inference.intervals import t_intervals
from lmmsparse.inference.kenward_roger import KenwardRoger, kenward_roger_of
from lmmsparse.inference.parameters import standard_deviations, variance_parameters
from lmmsparse.inference.selection import selected_parameters
from lmmsparse.inference.uncertainty import Uncertainty, uncertainty_of
from lmmsparse.report.augment import kept_rows, model_rows, row_values, with_columns
from lmmsparse.report.tables import (
    fixed_table,
    full_covariance,
    joined_tables,
    mode_table,
    variance_estimates,
    variance_intervals,
    variance_table,
)

EFFECTS = ("fixed", "ran_pars", "ran_vals")
INTERVALS = ("wald", "profile", "boot")


class Reporting(FittedModel):
    """Methods of a fitted model: tables of estimates with their tests and intervals."""

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Second derivatives of the criterion at θ̂, σ̂, and the derivatives of the covariance matrix of β̂."""
        return uncertainty_of(self)

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """Kenward and Roger's adjusted covariance matrix of β̂, with what their tests need."""
        return kenward_roger_of(self)

    def vcov(self, full: bool = False) -> pd.DataFrame:
        """Covariance matrix of β̂, σ̂²(XᵀV⁻¹X)⁻¹.

        Parameters
        ----------
        full : bool
            With the standard deviations, correlations and σ̂, from the Hessian of the criterion.  Their estimates are
            asymptotically independent of β̂; NaN for parameters on the boundary.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
        >>> list(m.vcov(full=True).columns)
        ['(Intercept)', 'sd_(Intercept)|Batch', 'sigma']
        """
        if checked_flag("vcov", "full", full):
            return full_covariance(self)
        names = list(self.frame.fixed_names)
        return pd.DataFrame(self.estimates.fixed_covariance.copy(), index=names, columns=names)

    @property
    def pvalues(self) -> pd.Series:
        """p-values of the fixed effects, with Satterthwaite's degrees of freedom.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> float(m.pvalues["Days"])
        3.26e-06
        """
        return pd.Series(fixed_tests(self, "satterthwaite").p_value, index=self.fixef.index, name="p_value")

    def df_fixed(self, ddf: str = "satterthwaite") -> pd.Series:
        """Degrees of freedom of the t test of every fixed effect.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger"}

        Returns
        -------
        pandas.Series
            By name of the fixed effect; NaN when the residual variance is zero.

        Raises
        ------
        ArgumentError
            The method is unknown, or Kenward and Roger's is asked of an ML fit.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"))
        >>> [round(df, 1) for df in m.df_fixed()]
        [22.8, 161.0]
        """
        method = checked_ddf(ddf, "df_fixed", self.is_reml)
        if method is None:
            raise ArgumentError("df_fixed: ddf must be 'satterthwaite' or 'kenward-roger', got None")
        return pd.Series(fixed_tests(self, method).df, index=self.fixef.index, name="df")

    def tidy(
        self,
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
        several = isinstance(effects, Iterable) and not isinstance(effects, str)
        kinds = [checked_choice("tidy", "effects", kind, EFFECTS) for kind in (effects if several else [effects])]
        if not kinds:
            raise ArgumentError(f"tidy: effects must be one of {', '.join(EFFECTS)}, or several; got none")
        checked = checked_level("tidy", level)
        method = checked_ddf(ddf, "tidy", self.is_reml or "fixed" not in kinds)
        table = joined_tables([_effects_table(self, kind, method, checked) for kind in kinds])
        if not with_limits:
            table = table.drop(columns=["conf_low", "conf_high"])
        return to_library(table, self.frame.library)

    def glance(self) -> Any:
        """The fit in one row.

        Returns
        -------
        frame
            Columns ``nobs, sigma, loglik, aic, bic, criterion, method, df, df_resid, converged, singular``; ``method``
            is ``"REML"`` or ``"ML"``, and ``criterion`` what was minimised.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.glance()[["nobs", "sigma", "criterion", "method", "df"]].round(2)
           nobs  sigma  criterion method  df
        0   180  25.59    1743.63   REML   6
        """
        row = {
            "nobs": self.nobs,
            "sigma": self.sigma,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "criterion": self.criterion,
            "method": "REML" if self.is_reml else "ML",
            "df": self.df,
            "df_resid": self.df_resid,
            "converged": bool(self.converged),
            "singular": bool(self.estimates.singular),
        }
        return to_library(pd.DataFrame([row]), self.frame.library)

    def augment(self, data: Any = None) -> Any:
        """The rows of the fit with what the model says of each.

        Parameters
        ----------
        data : frame or dict of arrays, optional
            The data of the fit, to have all their columns; by default the response, the columns of X and the grouping
            factors.

        Returns
        -------
        frame
            One row a row of the fit, with the columns ``fitted``, ``resid``, ``fixed`` (the mean without random
            effects), ``random`` (their sum), ``scaled_resid`` (over its standard deviation) and, where the model has
            them, ``weight`` and ``offset``.  A name that the data have already gets a dot in front: ``.fixed``.

        Raises
        ------
        DataError
            The data have another number of rows than those of the fit.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> sleep = load_dataset("sleepstudy")
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> m.augment(sleep)[["Subject", "Reaction", "fitted", "fixed"]].head(2).round(1)
          Subject  Reaction  fitted  fixed
        0     308     249.6   253.7  251.4
        1     308     258.7   273.3  261.9
        """
        library = self.frame.library
        rows = to_library(model_rows(self), library) if data is None else kept_rows(data, self.frame)
        return with_columns(rows, row_values(self))

    def conf_int(
        self,
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
        checked_choice("conf_int", "method", method, INTERVALS)
        checked, names = checked_level("conf_int", level), _parameter_names(self)
        every = list(names)
        first = every.index(".sigma") + 1
        parts = {"theta_": range(first), "beta_": range(first, len(every))}
        codes = [every[i] for i in selected_parameters("conf_int", parm, every, list(names.values()), parts)]
        given = {name: value for name, value in (("nsim", nsim), ("seed", seed)) if value is not None}
        if given and method != "boot":
            raise ArgumentError(f"conf_int: only method='boot' takes {' and '.join(given)}, got method={method!r}")
        if method != "wald" and ddf != "satterthwaite":
            raise ArgumentError(f"conf_int: only method='wald' takes ddf, got method={method!r}; leave it out")
        if method == "wald":
            limits = _wald_limits(self, checked_ddf(ddf, "conf_int", self.is_reml), checked, names)
        else:
            other = cast(Any, self)
            if method == "profile":
                limits = other._profile_conf_int(checked, codes)
            else:
                limits = other._boot_conf_int(checked, codes, **given)
            if not isinstance(limits, pd.DataFrame):
                return limits  # a whole table, in the caller's library
        estimates, _ = standard_deviations(self.terms, self.estimates.theta, self.sigma)
        columns = {"term": list(names.values()), "estimate": np.append(estimates, self.estimates.beta)}
        table = pd.DataFrame(columns, index=list(names))
        low, high = limits.loc[codes].iloc[:, -2:].to_numpy(float).T
        return to_library(table.loc[codes].assign(conf_low=low, conf_high=high), self.frame.library, "name")


def _effects_table(model: FittedModel, kind: str, method: str | None, level: float) -> pd.DataFrame:
    """Estimates of one kind."""
    if kind == "fixed":
        return fixed_table(model, method, level)
    return variance_table(model, level) if kind == "ran_pars" else mode_table(model, level)


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
