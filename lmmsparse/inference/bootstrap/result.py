"""The result of a bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_choice, checked_level
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.bootstrap.draws import Clusters, chosen_cases, clusters
from lmmsparse.inference.bootstrap.intervals import METHODS, accelerations, interval, studentized_interval
from lmmsparse.inference.bootstrap.replicates import Replicates, Task, case_model, one_by_one
from lmmsparse.inference.parameters import selected_parameters, stacked_deviations, variance_parameters
from lmmsparse.numerics.readonly import locked

Float = NDArray[np.float64]

# A jackknife leaves out single levels while there are no more than these, and as many parts of them beyond.
LARGEST_JACKKNIFE = 100
# Failures that are shown in full.
SHOWN = 3


def variance_names(terms: Sequence[RandomTerm]) -> tuple[tuple[str, str], ...]:
    """Pairs of lme4's name and a readable one in the order of θ: ``.sig01`` and ``sd_(Intercept)|Subject``, …, σ."""
    return tuple((parameter.code, parameter.name) for parameter in variance_parameters(terms))


@dataclass(frozen=True, repr=False, eq=False)
class Bootstrap:
    """Replicates of the estimates of a fitted model, from `LinearMixedModel.bootstrap`.

    Rows of failed refits are NaN.  Refits that did not converge are kept; ``converged`` says which they are.

    Attributes
    ----------
    model : LinearMixedModel
    kind : {"parametric", "semiparametric", "cases"}
    group : str
        Grouping factor whose levels are drawn, or left out for BCa intervals.
    estimates : EstimateTable
        Of the refits: ``theta``, ``beta``, ``std_error``, ``sigma``, ``criterion``, ``converged``, ``singular``.
    failed : (m,) array of bool
    failures : tuple of (int, str)
        Replicates that failed, and why.
    statistic : (m, k) array
        Values of the user's statistic; no columns without one.
    observed : (k,) array
        Those of the fitted model.
    statistic_names : tuple of str
    """

    model: FittedModel
    kind: str
    group: str
    estimates: EstimateTable
    failed: NDArray[np.bool_]
    failures: tuple[tuple[int, str], ...]
    statistic: Float
    observed: Float
    statistic_names: tuple[str, ...]
    task: Task

    def __post_init__(self) -> None:
        """Intervals are computed from what is shown."""
        locked((self, self.estimates))

    def __len__(self) -> int:
        return len(self.estimates)

    @property
    def theta(self) -> Float:
        """θ of every refit, (m, n_theta)."""
        return self.estimates.theta

    @property
    def beta(self) -> Float:
        """Fixed effects, (m, p)."""
        return self.estimates.beta

    @property
    def beta_error(self) -> Float:
        """Standard errors of the fixed effects in each refit, (m, p)."""
        return self.estimates.std_error

    @cached_property
    def sdcor(self) -> Float:
        """Standard deviations and correlations of the random effects in the order of θ, (m, n_theta)."""
        return locked(stacked_deviations(self.model.terms, self.theta, self.sigma))

    @property
    def sigma(self) -> Float:
        """Residual standard deviations, (m,)."""
        return self.estimates.sigma

    @property
    def criterion(self) -> Float:
        """REML criteria or −2 log-likelihoods, (m,)."""
        return self.estimates.criterion

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which searches ended with their certificate, (m,)."""
        return self.estimates.converged

    @property
    def singular(self) -> NDArray[np.bool_]:
        """Which refits have a singular covariance matrix, (m,)."""
        return self.estimates.singular

    @cached_property
    def _codes(self) -> tuple[str, ...]:
        """lme4's names, and those of the statistic's values."""
        return (*(code for code, _ in variance_names(self.model.terms)), *self._other)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: standard deviations and correlations, σ, fixed effects, statistic."""
        return (*(name for _, name in variance_names(self.model.terms)), *self._other)

    @property
    def _other(self) -> tuple[str, ...]:
        fixed = self.model.frame.fixed_names
        taken = {*fixed, *(n for pair in variance_names(self.model.terms) for n in pair)}
        return (*fixed, *(f"statistic.{name}" if name in taken else name for name in self.statistic_names))

    @cached_property
    def replicates(self) -> Float:
        """Replicates of all `names`, (m, number of names)."""
        return locked(np.column_stack([self.sdcor, self.sigma, self.beta, self.statistic]))

    @cached_property
    def _estimate(self) -> Float:
        found = self.model.estimates
        sdcor = stacked_deviations(self.model.terms, found.theta[None], np.array([found.sigma]))[0]
        return np.concatenate([sdcor, [found.sigma], found.beta, self.observed])

    @property
    def estimate(self) -> pd.Series:
        """Estimates of the fitted model by name."""
        return pd.Series(self._estimate, index=list(self.names), name="estimate")

    @property
    def std_error(self) -> pd.Series:
        """Standard deviations of the replicates by name."""
        return pd.Series(pd.DataFrame(self.replicates).std(ddof=1).to_numpy(), index=list(self.names), name="std_error")

    @property
    def bias(self) -> pd.Series:
        """Means of the replicates less the estimates by name."""
        means = pd.DataFrame(self.replicates).mean().to_numpy()
        return pd.Series(means - self._estimate, index=list(self.names), name="bias")

    def to_frame(self) -> Any:
        """One row a replicate: all parameters, θ, the criterion, and how the refit ended."""
        columns = dict(zip(self.names, self.replicates.T, strict=True))
        columns |= {f"theta_{name}": v for name, v in zip(self.model.objective.theta_names, self.theta.T, strict=True)}
        columns |= {"criterion": self.criterion}
        flags = {"converged": self.converged, "singular": self.singular, "failed": self.failed}
        return to_library(pd.DataFrame(columns | flags), self.model.frame.library)

    def conf_int(self, level: float = 0.95, method: str = "percentile", parm: str | Sequence[str] | None = None) -> Any:
        """Confidence intervals.

        Parameters
        ----------
        level : float
        method : {"percentile", "basic", "bca", "studentized"}
            Quantiles of the replicates; the estimate less those of the errors; quantiles corrected for bias and
            acceleration, which takes a further refit without each level of ``group``; or, for fixed effects only, the
            estimate less its standard error times quantiles of the errors over the standard errors of their refits,
            which takes the place of Student's t where groups are few.
        parm : str or sequence of str, optional
            Names of the parameters, lme4's or readable ones; ``"theta_"`` for all variance parameters, ``"beta_"`` for
            all fixed effects.  By default all, of studentized intervals the fixed effects.

        Returns
        -------
        frame
            Columns ``term`` (the readable name), ``estimate``, ``conf_low`` and ``conf_high``; the index, or the
            column ``name``, holds lme4's names.

        Raises
        ------
        ArgumentError
            An argument is none of these, a studentized interval is asked of another parameter than a fixed effect, or
            BCa intervals need refits that cannot be made.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.bootstrap(200, seed=1).conf_int(parm=["sd_Days|Subject", "Days"]).shape
        (2, 4)
        """
        coverage = checked_level("conf_int", level)
        method = checked_choice("conf_int", "method", method, METHODS)
        if method == "studentized":
            chosen = self._selected("beta_" if parm is None else parm)
            found = self._studentized(chosen, coverage)
        else:
            chosen = self._selected(parm)
            a = accelerations(self._jackknife) if method == "bca" else np.zeros(len(self.names))
            found = [interval(self.replicates[:, j], self._estimate[j], coverage, method, a[j]) for j in chosen]
        limits = np.array(found).reshape(-1, 2)
        columns = {
            "term": [self.names[j] for j in chosen],
            "estimate": self._estimate[chosen],
            "conf_low": limits[:, 0],
            "conf_high": limits[:, 1],
        }
        frame = pd.DataFrame(columns, index=[self._codes[j] for j in chosen])
        return to_library(frame, self.model.frame.library, "name")

    @property
    def _fixed(self) -> range:
        """Positions of the fixed effects."""
        first = self.sdcor.shape[1] + 1
        return range(first, first + self.beta.shape[1])

    def _selected(self, parm: Any) -> list[int]:
        parts = {"theta_": range(self._fixed.start), "beta_": self._fixed}
        return selected_parameters("conf_int", parm, self._codes, self.names, parts)

    def _studentized(self, chosen: Sequence[int], level: float) -> list[tuple[float, float]]:
        """Studentized intervals of fixed effects, which alone have a standard error in every refit."""
        for j in chosen:
            if j not in self._fixed:
                raise ArgumentError(
                    f"conf_int: studentized intervals are for fixed effects; refits have no standard error of "
                    f"{self.names[j]!r}: use percentile, basic or bca"
                )
        found, errors = self.model.estimates, self.model.estimates.std_error
        return [
            studentized_interval(self.beta[:, k], self.beta_error[:, k], found.beta[k], errors[k], level)
            for k in (j - self._fixed.start for j in chosen)
        ]

    @cached_property
    def _jackknife(self) -> Float:
        """Estimates without each level of `group`, (g, number of names)."""
        model = self.model
        known = self.task.clusters or model_clusters(model, self.group)
        size = len(known.counts)
        part = np.arange(size) * min(size, LARGEST_JACKKNIFE) // size
        fits = [partial(case_model, model, chosen_cases(known, part != out)) for out in range(int(part[-1]) + 1)]
        found = one_by_one(self.task, 0, fits)
        if np.count_nonzero(~found.failed) < 3:
            raise ArgumentError(
                f"conf_int: bca needs refits without each level of {self.group!r}, and fewer than 3 of {len(fits)} "
                f"could be made ({found.failures[0][1]}); use percentile or basic"
            )
        table = found.estimates
        sdcor = stacked_deviations(model.terms, table.theta, table.sigma)
        return np.column_stack([sdcor, table.sigma, table.beta, found.statistic])

    def __repr__(self) -> str:
        counts = (
            f"{int(self.failed.sum())} failed, {int((~self.converged & ~self.failed).sum())} not converged, "
            f"{int(self.singular.sum())} singular"
        )
        drawn = f" of {self.group}" if self.kind == "cases" else ""
        table = pd.DataFrame({"estimate": self.estimate, "bias": self.bias, "std_error": self.std_error})
        lines = [f"Bootstrap ({self.kind}{drawn}): {len(self)} replicates, {counts}", table.to_string()]
        lines += [f"replicate {i} failed: {why}" for i, why in self.failures[:SHOWN]]
        return "\n".join(lines)


def model_clusters(model: FittedModel, group: str) -> Clusters:
    """Rows of a model by the levels of one of its grouping factors."""
    return clusters({name: grouping.codes for name, grouping in model.frame.groupings.items()}, group)


def gathered(task: Task, group: str, found: Replicates, observed: Float, names: tuple[str, ...]) -> Bootstrap:
    """Replicates as a result."""
    return Bootstrap(
        model=task.model,
        kind=task.kind,
        group=group,
        estimates=found.estimates,
        failed=found.failed,
        failures=found.failures,
        statistic=found.statistic,
        observed=observed,
        statistic_names=names,
        task=task,
    )
