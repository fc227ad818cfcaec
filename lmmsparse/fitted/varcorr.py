"""Estimated covariance matrices of the random effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, unknown_name
from lmmsparse.design.terms import RandomTerm
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.objective.linear import Objective
from lmmsparse.rprint.tables import varcorr_lines

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TermCovariance:
    """Covariance matrix of one random-effect term.

    Attributes
    ----------
    group : str
        Name of the grouping factor.
    names : tuple of str
        Names of the k columns.
    covariance : (k, k) array
        σ² λλᵀ, in squared units of the response per unit of the columns.
    correlated : bool
        False for terms written with ``||``.
    """

    group: str
    names: tuple[str, ...]
    covariance: Float
    correlated: bool

    @property
    def sd(self) -> Float:
        """Standard deviations, (k,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Float:
        """Correlation matrix, (k, k); NaN where a standard deviation is zero."""
        sd = self.sd
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = self.covariance / np.outer(sd, sd)
        np.fill_diagonal(correlation, np.where(sd > 0, 1.0, np.nan))
        return np.asarray(correlation)


@dataclass(frozen=True, eq=False)
class VarCorr:
    """Variance components of a fit, from `LinearMixedModel.varcorr`; printed as lme4 prints them.

    Attributes
    ----------
    terms : tuple of TermCovariance
    sigma : float
        Residual standard deviation.
    """

    terms: tuple[TermCovariance, ...]
    sigma: float

    def to_frame(self) -> pd.DataFrame:
        """One row a parameter: ``grp, var1, var2, vcov, sdcor``, as lme4's ``as.data.frame(VarCorr(m))``.

        Variances and standard deviations have no ``var2``; covariances stand beside correlations.
        """
        rows: list[tuple[str, str | None, str | None, float, float]] = []
        seen: dict[str, int] = {}
        for term in self.terms:
            repeats = seen.get(term.group, 0)
            seen[term.group] = repeats + (1 if term.correlated else len(term.names))
            sd, correlation, k = term.sd, term.correlation, len(term.names)
            for i in range(k):
                number = repeats + (0 if term.correlated else i)
                label = f"{term.group}.{number}" if number else term.group
                rows.append((label, term.names[i], None, float(term.covariance[i, i]), float(sd[i])))
            if term.correlated:
                label = f"{term.group}.{repeats}" if repeats else term.group
                for j in range(k):
                    for i in range(j + 1, k):
                        pair = (float(term.covariance[i, j]), float(correlation[i, j]))
                        rows.append((label, term.names[j], term.names[i], *pair))
        rows.append(("Residual", None, None, self.sigma**2, self.sigma))
        return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])

    def __getitem__(self, group: str) -> TermCovariance:
        """The (first) term of a grouping factor."""
        for term in self.terms:
            if term.group == as_text(group):
                return term
        raise unknown_name("varcorr", "grouping factor", group, [t.group for t in self.terms])

    def __str__(self) -> str:
        return "\n".join(varcorr_lines(self.to_frame(), columns=("Std.Dev.",)))

    __repr__ = __str__


def term_covariances(terms: Sequence[RandomTerm], estimates: Estimates) -> tuple[TermCovariance, ...]:
    """Covariance matrix σ²λλᵀ of every term."""
    return tuple(
        TermCovariance(term.group, term.names, estimates.sigma**2 * lam @ lam.T, term.structure.correlated)
        for term, lam in zip(terms, estimates.templates, strict=True)
    )


def smallest_spread(terms: Sequence[RandomTerm], objective: Objective, estimates: Estimates) -> float:
    """Smallest singular value of a working template: a standard deviation over σ̂ that no unit of the data changes."""
    smallest = np.inf
    for t, term in enumerate(terms):
        smallest = min(smallest, float(term.structure.spreads(objective.template(estimates.point, t))[-1]))
    return smallest
