"""Methods of a fitted model: what its variances mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.arguments import checked_flag
from lmmsparse.diagnostics.singularity import Singularity, diagnosis
from lmmsparse.fitted.effects import mode_covariances, mode_frames, terms_by_group
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.varcorr import term_covariances
from lmmsparse.frame.output import to_library
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.variance.marginal import MarginalCovariance, marginal_covariance, rows_of_level
from lmmsparse.variance.principal import principal_components
from lmmsparse.variance.shares import IntraclassCorrelation, RSquared, VarianceParts, share, variance_parts
from lmmsparse.variance.shrinkage import reliabilities


class Explaining(FittedModel):
    """Methods of a fitted model: what its variances mean."""

    def icc(self, by_group: bool = False) -> Any:
        """Intraclass correlation: the share of the random effects in the variance.

        Adjusted, it is random / (random + residual); unadjusted, random / (fixed + random + residual).  In a model
        with one random intercept and no weights the adjusted one is the correlation of two rows of a level.

        Parameters
        ----------
        by_group : bool
            The share of every grouping factor.

        Returns
        -------
        IntraclassCorrelation
            ``adjusted``, ``unadjusted`` and the ``parts`` of the variance.
        frame
            With ``by_group``: ``group, variance, adjusted, unadjusted``, one row a grouping factor, and one for the
            residual.  The adjusted shares sum to one.

        Raises
        ------
        ArgumentError
            ``by_group`` is neither True nor False.

        Notes
        -----
        The parts are those of `r2`.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("strength ~ 1 + (1 | batch / cask)", load_dataset("Pastes"))
        >>> round(m.icc().adjusted, 3)
        0.937
        >>> m.icc(by_group=True)[["group", "adjusted"]].round(3).to_numpy().tolist()
        [['cask:batch', 0.783], ['batch', 0.154], ['Residual', 0.063]]
        """
        each = checked_flag("icc", "by_group", by_group)
        parts = _parts(self)
        if not each:
            random = parts.random_total
            return IntraclassCorrelation(share(random, parts.unexplained), share(random, parts.total), parts)
        rows = [
            (name, value, share(value, parts.unexplained), share(value, parts.total))
            for name, value in [*parts.random.items(), ("Residual", parts.residual)]
        ]
        columns = ["group", "variance", "adjusted", "unadjusted"]
        return to_library(pd.DataFrame(rows, columns=columns), self.frame.library)

    def r2(self) -> RSquared:
        """Marginal and conditional R²: what fixed effects, and fixed and random effects, explain of the variance.

        Returns
        -------
        RSquared
            ``marginal``, ``conditional`` and the ``parts`` of the variance.

        Notes
        -----
        Nakagawa, Johnson and Schielzeth (2017), with the variance of random slopes of Johnson (2014).  The fixed part
        is the variance of Xβ̂ over the rows (divisor n − 1); the random part the mean over the rows of zᵀΣz, summed
        over the terms; the residual part σ̂² times the mean of 1/w, which does not depend on the unit of the weights.
        Every row counts once, whatever its weight.  An offset is known, nothing that the model explains, and left out.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> print(m.r2())
        R squared: marginal 0.2787, conditional 0.7992
        Variance:
          fixed     908.953
          Subject   1698.07
          residual  654.941
        """
        parts = _parts(self)
        fixed, both = parts.fixed, parts.fixed + parts.random_total
        return RSquared(share(fixed, parts.total), share(both, parts.total), parts)

    def marginal_cov(self, level: Any, group: str | None = None) -> MarginalCovariance:
        """The model's covariance matrix V_i of the rows of one level, random effects integrated out.

        V_i = Σ_t Z_t Σ_t Z_tᵀ + σ̂² W⁻¹ on these rows, over all terms of the model: rows that share a level of another
        grouping factor are correlated through that as well.

        Parameters
        ----------
        level : str or value
            Level of the grouping factor; that of an interaction ``b:a`` reads ``"x:y"``, as in `ranef`.
        group : str, optional
            Name of the grouping factor; not needed when there is one only.

        Returns
        -------
        MarginalCovariance
            ``covariance`` and ``correlation``, (n_i, n_i) pandas frames by the row labels of the data; printed, the
            standard deviations and correlations.

        Raises
        ------
        ArgumentError
            There is no such level or grouping factor, or several factors and none is named.
        MemoryLimitError
            The level has so many rows that the matrix would not fit into memory.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.marginal_cov("308").correlation.iloc[:3, :3].round(3).to_numpy().tolist()
        [[1.0, 0.48, 0.466], [0.48, 1.0, 0.514], [0.466, 0.514, 1.0]]
        """
        name, label, rows = rows_of_level(self.terms, level, group)
        with single_threaded_blas():
            V = marginal_covariance(
                self.objective.design,
                self.frame.weights,
                self.estimates.solution.templates,
                self.sigma,
                rows,
                self.control.memory_bytes,
            )
        index = self.frame.index[rows]
        return MarginalCovariance(name, label, pd.DataFrame(V, index=index, columns=index))

    def shrinkage(self) -> dict[str, Any]:
        """Reliability of the random effects of every level: 1 − Var(b_j | y)/Σ_jj, given β̂ and θ̂.

        One: the data of the level say all, and nothing is shrunken; zero: they say nothing, and the effect is zero.
        For one random intercept it is n_i τ²/(n_i τ² + σ²), the factor by which the mean residual of the level is
        shrunken.

        Returns
        -------
        dict of str to frame
            As `ranef`: a frame for every grouping factor, one row a level, one column an effect; NaN where the
            variance of the effect is zero.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
        >>> m.shrinkage()["Batch"].round(3).head(2)
           (Intercept)
        A        0.783
        B        0.783
        """
        covariances = [term.covariance for term in term_covariances(self.terms, self.estimates)]
        with single_threaded_blas():
            conditional = mode_covariances(self.terms, self.objective, self.estimates)
        return mode_frames(self.terms, reliabilities(self.terms, covariances, conditional), self.frame.library)

    def re_pca(self) -> dict[str, Any]:
        """Principal components of the random effects of every grouping factor, as lme4's ``rePCA``.

        They depend on the units of the columns: compare standard deviations of columns on one scale only.

        Returns
        -------
        dict of str to frame
            ``component, std_dev, proportion, cumulative`` and the loadings, one column an effect.  ``std_dev`` is in
            units of σ̂; the largest loading of a component is positive; proportions are NaN when all variances are
            zero.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.re_pca()["Subject"].iloc[:, :4].round(3)
          component  std_dev  proportion  cumulative
        0       PC1    0.967       0.946       0.946
        1       PC2    0.231       0.054       1.000
        """
        out = {}
        for group, members in terms_by_group(self.terms).items():
            found = principal_components([self.estimates.templates[t] for t in members])
            table = pd.DataFrame({"component": [f"PC{i + 1}" for i in range(len(found.std_dev))]})
            table["std_dev"], table["proportion"] = found.std_dev, found.proportion
            table["cumulative"] = np.cumsum(found.proportion)
            names = [name for t in members for name in self.terms[t].names]
            loadings = pd.DataFrame(found.loadings.T, columns=names)
            out[group] = to_library(pd.concat([table, loadings], axis=1), self.frame.library)
        return out

    def singularity(self) -> Singularity:
        """Diagnosis of a singular fit: which directions are empty, and which simpler formula has the same likelihood.

        Terms of singular bars are taken away, ``|`` becomes ``||``, and whole bars go, one step at a time; each such
        model is refitted, and of those whose criterion is the same (to 1e-4) the one with the fewest parameters is
        taken, until nothing more can go.  Nothing is printed that was not fitted.  Each step takes as long as some
        fits of the model.

        Returns
        -------
        Singularity
            To be printed; ``terms`` has the rank and the findings of every term, and ``simpler``, ``closest`` and
            ``shifted`` hold ``formula, criterion, rise, saved`` or are None.  A fit that is not singular says so, and
            names the terms that nearly are.

        Notes
        -----
        Intercepts and slopes that are one number times (a, b) are the slopes of x + a/b: with that origin of x a
        single slope has the same likelihood.

        Examples
        --------
        >>> import warnings
        >>> from lmmsparse import lmer, load_dataset
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy").iloc[:20])
        >>> print(m.singularity())
        The fit is singular: some directions of the random effects have no variance.
          Subject: the effects of (Intercept) and Days are perfectly correlated: every level's effects are
              one number times (27.51, 13.71)
        None of the simpler formulas that were tried has the REML criterion 189.8847;
        the closest raises it by 1.361, 1 parameter fewer:
          Reaction ~ Days + (Days || Subject)
        With an origin found from these data (count it as a parameter), the same REML criterion (189.8847) has:
          Reaction ~ Days + (0 + I(Days + 2.007) | Subject)
        """
        return diagnosis(self)


def _parts(m: FittedModel) -> VarianceParts:
    with single_threaded_blas():
        templates = m.estimates.solution.templates
        return variance_parts(m.frame.X, m.estimates.beta, m.objective.design, m.frame.weights, templates, m.sigma)
