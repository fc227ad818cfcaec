"""Methods of a fitted model: tests of fixed and random effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.inference.comparison import as_ml, compared
from lmmsparse.inference.contrast_rows import contrast_rows
from lmmsparse.inference.fitted import Fitted
from lmmsparse.inference.hypotheses import (
    contained_contrasts,
    marginal_contrast,
    marginal_contrasts,
    sequential_contrasts,
)
from lmmsparse.inference.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.model_terms import ModelTerm, model_terms
from lmmsparse.inference.reductions import droppable, dropped_map, random_reductions, refitted_criterion
from lmmsparse.inference.term_tests import joint_test, single_tests
from lmmsparse.output import to_library

Float = NDArray[np.float64]

TYPES = (1, 2, 3)
F_COLUMNS = ["sum_sq", "mean_sq", "NumDF", "DenDF", "F", "p_value"]


class Testing:
    """Methods of a fitted model: tests of fixed and random effects."""

    def contest(self: Fitted, L: Any, ddf: str | None = "satterthwaite", joint: bool = True) -> Any:
        """Test linear hypotheses Lβ = 0.

        Parameters
        ----------
        L : array, dict, list of dicts or DataFrame
            One row a contrast, one column a coefficient: (p,) or (m, p) numbers.  Or the coefficients by name, those
            left out being zero: ``{"recipe[T.B]": 1, "recipe[T.C]": -1}``, and a list of such dicts for several rows.
        ddf : {"satterthwaite", "kenward-roger"} or None
            How the degrees of freedom of the denominator are found.  None refers F to χ²/df and t to the normal
            distribution.  Kenward and Roger's method needs a REML fit.
        joint : bool
            One F test of all rows at once, or a t test of every row.

        Returns
        -------
        frame
            ``sum_sq, mean_sq, NumDF, DenDF, F, p_value`` for an F test (mean_sq is F σ̂²), and
            ``contrast, estimate, std_error, df, statistic, p_value`` for t tests.

        Raises
        ------
        ArgumentError
            L has a wrong shape, names an unknown coefficient or has a row of zeros.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.contest({"Days": 1})[["NumDF", "DenDF", "F"]].round(3).iloc[0].to_list()
        [1.0, 17.0, 45.853]
        >>> m.contest([0, 1], joint=False)[["contrast", "estimate", "std_error"]].round(3).to_numpy().tolist()[0]
        ['Days', 10.467, 1.546]
        """
        _check_ddf(self, ddf)
        rows, labels = contrast_rows(L, list(self.frame.fixed_names))
        if joint:
            return to_library(pd.DataFrame([_f_row(self, rows, ddf)]), self.frame.library)
        estimate, error, df, statistic, p_value = single_tests(self, rows, ddf)
        columns = {"contrast": list(labels), "estimate": estimate, "std_error": error, "df": df}
        columns |= {"statistic": statistic, "p_value": p_value}
        return to_library(pd.DataFrame(columns), self.frame.library)

    def anova(self: Fitted, *models: Any, type: int = 3, ddf: str | None = "satterthwaite", refit: bool = True) -> Any:
        """F tests of the terms of the fixed part; with other models, likelihood-ratio tests between them.

        Parameters
        ----------
        *models : LinearMixedModel
            Other fits to the same rows; see `lmmsparse.inference.anova`.
        type : {1, 2, 3}
            1: each term after those before it.  2: each term after all that do not contain it.  3: effects averaged
            with equal weights over the levels of the factors of the terms that contain it, whatever the coding.
            A term contains another one when it has the same numeric variables and further factors.
        ddf : {"satterthwaite", "kenward-roger"} or None
            As in `contest`.
        refit : bool
            Between models: refit REML fits by maximum likelihood.

        Returns
        -------
        frame
            One row a term: ``term, sum_sq, mean_sq, NumDF, DenDF, F, p_value``; or the table of
            `lmmsparse.inference.anova`.

        Raises
        ------
        ArgumentError
            An unknown type or method, or a type III test of a factor with empty cells.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", load_dataset("cake"))
        >>> m.anova()[["term", "NumDF", "DenDF", "F"]].round(3).to_numpy().tolist()[1]
        ['temperature', 5, 210.0, 20.52]
        """
        if models:
            return compared((self, *models), refit)
        if isinstance(type, bool) or type not in TYPES:
            raise ArgumentError(f"anova: type must be 1, 2 or 3, got {type!r}")
        _check_ddf(self, ddf)
        terms = model_terms(self.frame.spec.fixed_design)
        contrasts = _contrasts(self, terms, type)
        tested = [(t, L) for t, L in zip(terms, contrasts, strict=True) if len(L) and not t.is_intercept]
        rows = [{"term": term.label, **_f_row(self, L, ddf)} for term, L in tested]
        return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), self.frame.library)

    def drop1(self: Fitted, ddf: str | None = None) -> Any:
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
            Columns of X were left out that might be needed without a term.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.drop1()[["term", "AIC", "LRT"]].round(3).to_numpy().tolist()[1]
        ['Days', 1785.476, 23.537]
        """
        _check_ddf(self, ddf)
        p, library = self.frame.X.shape[1], self.frame.library
        terms = model_terms(self.frame.spec.fixed_design)
        if ddf is not None:
            tested = [(term, marginal_contrast(term, terms, p)) for term in droppable(terms)]
            rows = [{"term": term.label, **_f_row(self, L, ddf)} for term, L in tested if len(L)]
            return to_library(pd.DataFrame(rows, columns=["term", *F_COLUMNS]), library)
        scope = [(term, dropped_map(term, terms, p)) for term in droppable(terms)]
        _check_likelihood(self, "drop1")
        whole = as_ml(self).criterion
        npar = p + len(self.objective.theta_names) + 1
        out = [("<none>", npar, whole + 2.0 * npar, np.nan, np.nan, np.nan)]
        for term, W in scope:
            value = refitted_criterion(self, term.label, self.frame.X @ W, self.terms, reml=False)
            test = likelihood_ratio(value - whole, p - W.shape[1], 0)
            less = npar - test.df
            out.append((term.label, less, value + 2.0 * less, test.statistic, float(test.df), test.p_value))
        return to_library(pd.DataFrame(out, columns=["term", "npar", "AIC", "LRT", "Df", "p_value"]), library)

    def ranova(self: Fitted) -> Any:
        """Likelihood-ratio tests of the random effects, each term reduced or removed in turn.

        ``(x | g)`` is reduced to ``(1 | g)``, ``(x + z | g)`` to ``(x | g)`` and ``(z | g)``, and ``(0 + f | g)`` with
        a factor f to ``(1 | g)``; other terms with a single column are removed, and of ``(x || g)`` each column.
        A REML fit is compared by its REML criterion: the fixed effects stay.

        Returns
        -------
        frame
            ``term, npar, logLik, AIC, LRT, Df, p_value, p_mixture, reference`` with the whole model in the first row,
            ``<none>``.  ``p_value`` is that of χ² with ``Df`` degrees of freedom; ``p_mixture``, where one variance is
            tested, that of the 50:50 mixture of χ² with ``Df`` − 1 and ``Df``, since zero is the end of its range;
            ``reference`` says which distributions were used.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.ranova()[["term", "LRT", "Df"]].round(3).to_numpy().tolist()[1]
        ['Days in (Days | Subject)', 42.837, 2.0]
        """
        _check_likelihood(self, "ranova")
        npar = self.frame.X.shape[1] + len(self.objective.theta_names) + 1
        whole = self.criterion
        out: list[tuple[Any, ...]] = [("<none>", npar, -0.5 * whole, whole + 2.0 * npar, *[np.nan] * 4, "")]
        bars = [(bar.left, bar.group) for bar in self.frame.formula.bars]
        for reduction in random_reductions(self.terms, self.frame.spec.bar_designs, bars):
            value = refitted_criterion(self, reduction.label, self.frame.X, reduction.terms, self.is_reml)
            left = sum(term.structure.n_theta for term in reduction.terms)
            test = likelihood_ratio(value - whole, len(self.objective.theta_names) - left, reduction.variances)
            less = npar - test.df
            row = (reduction.label, less, -0.5 * value, value + 2.0 * less, test.statistic, float(test.df))
            out.append((*row, test.p_value, test.p_mixture, test.reference))
        columns = ["term", "npar", "logLik", "AIC", "LRT", "Df", "p_value", "p_mixture", "reference"]
        return to_library(pd.DataFrame(out, columns=columns), self.frame.library)


def _check_ddf(m: Fitted, ddf: str | None) -> None:
    if ddf not in (None, "satterthwaite", "kenward-roger"):
        raise ArgumentError(f'ddf must be "satterthwaite", "kenward-roger" or None, got {ddf!r}')
    if ddf == "kenward-roger" and not m.is_reml:
        raise ArgumentError('ddf="kenward-roger" needs a REML fit; fit with REML=True or use "satterthwaite"')


def _check_likelihood(m: Fitted, method: str) -> None:
    if m.estimates.perfect:
        raise ArgumentError(f"{method}: the model fits perfectly, so that its likelihood has no maximum")


def _f_row(m: Fitted, L: Float, ddf: str | None) -> dict[str, Any]:
    """One line of an anova table; sums of squares are those that give F with σ̂² in the denominator."""
    test = joint_test(m, L, ddf)
    mean_sq = test.statistic * m.sigma**2
    values = (mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, test.p_value)
    return dict(zip(F_COLUMNS, values, strict=True))


def _contrasts(m: Fitted, terms: tuple[ModelTerm, ...], type: int) -> list[Float]:
    """Hypothesis matrices of all terms."""
    if type == 3:
        return marginal_contrasts(terms, m.frame.X.shape[1])
    design = m.objective.design
    R = np.asarray(np.linalg.qr(design.coordinates.fixed_map if design.weights is None else m.frame.X, mode="r"))
    return sequential_contrasts(terms, R) if type == 1 else contained_contrasts(terms, R)
