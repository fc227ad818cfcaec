"""Methods of a fitted model: tests of fixed and random effects."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag, checked_level, is_whole
from lmmsparse.errors import ArgumentError, RankDeficiencyWarning
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.simulate import generator
from lmmsparse.frame.model_terms import ModelTerm, model_terms
from lmmsparse.frame.output import to_library
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.hypotheses.anova import as_ml, compared
from lmmsparse.inference.hypotheses.contrast_matrix import contrast_rows
from lmmsparse.inference.hypotheses.estimable import estimable_contrasts
from lmmsparse.inference.hypotheses.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.hypotheses.reduced import (
    all_columns,
    droppable,
    dropped_contrast,
    dropped_map,
    random_reductions,
    refitted_criterion,
)
from lmmsparse.inference.hypotheses.simulated_ratio import simulated_ratio
from lmmsparse.inference.hypotheses.term_contrasts import (
    contained_contrasts,
    has_empty_cells,
    is_alone,
    marginal_contrast,
    marginal_contrasts,
    sequential_contrasts,
)
from lmmsparse.inference.intervals import t_intervals
from lmmsparse.inference.term_tests import joint_test, single_tests

Float = NDArray[np.float64]

TYPES: dict[Any, int] = {1: 1, 2: 2, 3: 3, "I": 1, "II": 2, "III": 3}
F_COLUMNS = ["sum_sq", "mean_sq", "NumDF", "DenDF", "F", "p_value"]


class Testing(FittedModel):
    """Methods of a fitted model: tests of fixed and random effects."""

    def contest(self, L: Any, ddf: str | None = "satterthwaite", joint: bool = True, *, level: float = 0.95) -> Any:
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
        ddf, level = checked_ddf(ddf, "contest", self.is_reml), checked_level("contest", level)
        rows, labels = contrast_rows(L, list(self.frame.fixed_names))
        if checked_flag("contest", "joint", joint):
            return to_library(pd.DataFrame([_f_row(self, rows, ddf)]), self.frame.library)
        estimate, error, df, statistic, p_value = single_tests(self, rows, ddf)
        columns = {"contrast": list(labels), "estimate": estimate, "std_error": error, "df": df}
        interval = t_intervals(estimate, error, np.full(len(df), np.inf) if ddf is None else df, level)
        columns |= {"statistic": statistic, "p_value": p_value}
        columns |= {"conf_low": interval[:, 0], "conf_high": interval[:, 1]}
        return to_library(pd.DataFrame(columns), self.frame.library)

    def anova(self, *models: Any, type: int | str = 3, ddf: str | None = "satterthwaite", refit: bool = True) -> Any:
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
            if type not in (3, "III") or ddf != "satterthwaite":
                raise ArgumentError("anova: type and ddf belong to the tests of one model; leave them out with others")
            return compared((self, *models), refit)
        if not (is_whole(type) or isinstance(type, str)) or type not in TYPES:
            raise ArgumentError(f"anova: type must be 1, 2 or 3, got {type!r}")
        ddf = checked_ddf(ddf, "anova", self.is_reml)
        terms = model_terms(self.frame.spec.fixed_design)
        contrasts = _contrasts(self, terms, TYPES[type])
        tested = [(t, L) for t, L in zip(terms, contrasts, strict=True) if len(L) and not t.is_intercept]
        rows = [{"term": term.label, **_f_row(self, L, ddf)} for term, L in tested]
        return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), self.frame.library)

    def drop1(self, ddf: str | None = None) -> Any:
        """Tests of every term of the fixed part that no other term includes.

        Parameters
        ----------
        ddf : None, "satterthwaite" or "kenward-roger"
            None: likelihood-ratio tests, by maximum likelihood, each with a refit without the term.  Otherwise F tests.

        Returns
        -------
        frame
            ``term, npar, AIC, LRT, Df, p_value`` with the whole model in the first row, ``<none>``; or
            ``term, sum_sq, mean_sq, NumDF, DenDF, F, p_value``.

        Raises
        ------
        ArgumentError
            An unknown method, or the model fits perfectly.

        Notes
        -----
        Where columns of X were left out because others span them, the model without a term has those again that
        only the term helped to span.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.drop1()[["term", "AIC", "LRT"]].round(3).to_numpy().tolist()[1]
        ['Days', 1785.476, 23.537]
        """
        ddf = checked_ddf(ddf, "drop1", self.is_reml)
        p, library = self.frame.X.shape[1], self.frame.library
        terms = model_terms(self.frame.spec.fixed_design)
        if ddf is not None:
            tested = list(zip(droppable(terms), _dropped_contrasts(self, terms), strict=True))
            rows = [{"term": term.label, **_f_row(self, L, ddf)} for term, L in tested if len(L)]
            return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), library)
        _check_likelihood(self, "drop1")
        whole = as_ml(self).criterion
        npar = p + len(self.objective.theta_names) + 1
        out = [("<none>", npar, whole + 2.0 * npar, np.nan, np.nan, np.nan)]
        for term in droppable(terms):
            W = dropped_map(term, terms, self.frame)
            value = whole
            if W.shape[1] < p:  # else others span its columns
                value = refitted_criterion(self, term.label, self.frame.X @ W, self.terms, reml=False)
            test = likelihood_ratio(value - whole, p - W.shape[1], 0)
            less = npar - test.df
            out.append((term.label, less, value + 2.0 * less, test.statistic, float(test.df), test.p_value))
        return to_library(pd.DataFrame(out, columns=["term", "npar", "AIC", "LRT", "Df", "p_value"]), library)

    def ranova(self, nsim: int = 0, seed: Any = 0) -> Any:
        """Likelihood-ratio tests of the random effects, each term reduced or removed in turn.

        ``(x | g)`` is reduced to ``(1 | g)``, ``(x + z | g)`` to ``(x | g)`` and ``(z | g)``, and ``(0 + f | g)`` with
        a factor f to ``(1 | g)``; other terms with a single column are removed, and of ``(x || g)`` each column.
        A REML fit is compared by its REML criterion: the fixed effects stay.

        Parameters
        ----------
        nsim : int
            Draws from the distribution of the statistic in finite samples (Crainiceanu and Ruppert 2004), for tests of
            a variance that is correlated with no other; none by default.
        seed : int or numpy.random.Generator, optional
            Of these draws; the same by default, so that the same question has the same answer.

        Returns
        -------
        frame
            ``term, npar, logLik, AIC, LRT, Df, p_value, p_mixture, reference`` with the whole model in the first row,
            ``<none>``.  ``p_value`` is that of χ² with ``Df`` degrees of freedom; ``p_mixture``, where one variance is
            tested, that of the 50:50 mixture of χ² with ``Df`` − 1 and ``Df``, since zero is the end of its range;
            ``reference`` says which distributions were used.  With ``nsim`` also ``p_simulated`` after ``p_mixture``:
            (1 + draws that reach the statistic)/(1 + nsim).  It is exact but for its Monte Carlo error where the
            variance is the only parameter of the random effects; where there are others, it is that of the model
            with this component alone (Greven et al. 2008), and ``reference`` says "approximate".  NaN for other tests.

        Raises
        ------
        ArgumentError
            ``nsim`` is no whole number or negative, the seed is none, or the model fits perfectly.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.ranova()[["term", "LRT", "Df"]].round(3).to_numpy().tolist()[1]
        ['Days in (Days | Subject)', 42.837, 2.0]
        >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
        >>> m.ranova(nsim=10_000)["reference"][1]
        'chi2(1); mixture: 0.5 chi2(0) + 0.5 chi2(1); simulated exact restricted LRT, 10000 draws'
        """
        if not is_whole(nsim) or nsim < 0:
            raise ArgumentError(f"ranova: nsim must be a whole number, 0 or more, got {nsim!r}")
        rng = generator(seed)
        _check_likelihood(self, "ranova")
        npar = self.frame.X.shape[1] + len(self.objective.theta_names) + 1
        whole = self.criterion
        out: list[tuple[Any, ...]] = [("<none>", npar, -0.5 * whole, whole + 2.0 * npar, *[np.nan] * 5, "")]
        for reduction in random_reductions(self.terms, self.frame.spec.bar_designs, self.frame.formula.bars):
            value = refitted_criterion(self, reduction.label, self.frame.X, reduction.terms, self.is_reml)
            left = sum(term.structure.n_theta for term in reduction.terms)
            test = likelihood_ratio(value - whole, len(self.objective.theta_names) - left, reduction.variances)
            less = npar - test.df
            row = (reduction.label, less, -0.5 * value, value + 2.0 * less, test.statistic, float(test.df))
            simulated, reference = np.nan, test.reference
            if nsim and reduction.component is not None:
                found = simulated_ratio(self.objective, reduction.component, test.statistic, int(nsim), rng)
                simulated, reference = found.p_value, f"{reference}; {found.reference}"
            out.append((*row, test.p_value, test.p_mixture, simulated, reference))
        columns = ["term", "npar", "logLik", "AIC", "LRT", "Df", "p_value", "p_mixture", "p_simulated", "reference"]
        table = pd.DataFrame(out, columns=columns)
        return to_library(table if nsim else table.drop(columns="p_simulated"), self.frame.library)


def _check_likelihood(m: FittedModel, method: str) -> None:
    if m.estimates.perfect:
        raise ArgumentError(f"{method}: the model fits perfectly, so that its likelihood has no maximum")


def _f_row(m: FittedModel, L: Float, ddf: str | None) -> dict[str, Any]:
    """One line of an anova table; mean squares over σ̂² are F, as in lmerTest before Kenward and Roger's scaling."""
    test = joint_test(m, L, ddf)
    mean_sq = test.statistic / test.scale * m.sigma**2
    values = (mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, test.p_value)
    return dict(zip(F_COLUMNS, values, strict=True))


def _triangle(m: FittedModel) -> Float:
    """R with XᵀX = RᵀR, (p, p)."""
    design = m.objective.design
    return np.asarray(np.linalg.qr(design.coordinates.fixed_map if m.frame.weights is None else m.frame.X, mode="r"))


def _dropped_contrasts(m: FittedModel, terms: tuple[ModelTerm, ...]) -> list[Float]:
    """Hypothesis matrix of every term that can be dropped."""
    if m.frame.spec.fixed_design.keep is not None:
        return [dropped_contrast(dropped_map(term, terms, m.frame)) for term in droppable(terms)]
    if is_alone(terms):
        pairs = zip(terms, sequential_contrasts(terms, _triangle(m)), strict=True)
        return [L for term, L in pairs if not term.is_intercept]
    return [_own_columns(term, marginal_contrast(term, terms, m.frame.X.shape[1])) for term in droppable(terms)]


def _own_columns(term: ModelTerm, L: Float) -> Float:
    """A hypothesis about all coefficients of a term as one about each, as lmerTest's drop1 has it; others unchanged."""
    own = list(term.kept)
    if len(L) == len(own) and not np.delete(L, own, axis=1).any():
        return np.eye(L.shape[1])[own]
    return L


def _contrasts(m: FittedModel, terms: tuple[ModelTerm, ...], type: int) -> list[Float]:
    """Hypothesis matrices of all terms."""
    marginal = type == 3 and not is_alone(terms)
    empty = marginal and any(has_empty_cells(term, terms) for term in terms)
    if marginal and not empty:
        return marginal_contrasts(terms, m.frame.X.shape[1])
    R = _triangle(m)
    if not empty:
        return contained_contrasts(terms, R) if type == 2 else sequential_contrasts(terms, R)
    holed = ", ".join(repr(term.label) for term in terms if not term.complete)
    warnings.warn(
        f"columns of {holed} are not in X (combinations of levels without observations, or columns that others "
        "span): the type III hypotheses about terms that they contain depend on which these are",
        RankDeficiencyWarning,
        stacklevel=3,
    )
    complete = model_terms(replace(m.frame.spec.fixed_design, keep=None))
    return estimable_contrasts(complete, all_columns(m.frame), R)
