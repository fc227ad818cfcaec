"""Likelihood-ratio tests between fitted models."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.arguments import checked_flag
from lmmsparse.errors import ArgumentError, NestingWarning
from lmmsparse.fitted.model import FittedModel, as_ml
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.hypotheses.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.hypotheses.nesting import has_factors_of, is_nested

COLUMNS = ("model", "npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "p_value", "p_mixture", "reference")


def anova(*models: FittedModel, refit: bool = True) -> Any:
    """Compare fitted models by likelihood-ratio tests, each with the next smaller one.

    Parameters
    ----------
    *models : LinearMixedModel
        Two or more fits to the same rows of the same response, in any order.
    refit : bool
        Refit REML fits by maximum likelihood.  Without it, REML fits must have the same X.

    Returns
    -------
    frame
        One row a model, by number of parameters: ``model`` (its formula), ``npar``, ``AIC``, ``BIC``, ``logLik``,
        ``deviance``, ``Chisq``, ``Df``, ``p_value`` (χ² with ``Df`` degrees of freedom, as lme4 has it), ``p_mixture``
        (where one variance is tested, which is zero under the hypothesis: the 50:50 mixture of χ² with ``Df`` − 1 and
        ``Df`` degrees of freedom) and ``reference`` (the distributions that were used).

    Raises
    ------
    ArgumentError
        The models were fitted to different rows, responses or weights, or cannot be compared.

    Warns
    -----
    NestingWarning
        A model does not contain the one before it, so that its test has no meaning.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> from lmmsparse.inference import anova
    >>> data = load_dataset("sleepstudy")
    >>> table = anova(
    ...     lmer("Reaction ~ Days + (Days | Subject)", data), lmer("Reaction ~ Days + (Days || Subject)", data)
    ... )
    >>> table[["npar", "Chisq", "Df", "p_value"]].round(4).iloc[1].to_list()
    [6.0, 0.0639, 1.0, 0.8004]
    """
    return compared(models, refit)


def compared(models: tuple[FittedModel, ...], refit: bool) -> Any:
    """What `anova` does; its warnings point at the caller of its caller."""
    fits = _checked(models, checked_flag("anova", "refit", refit))
    fits.sort(key=lambda m: m.df)
    rows: list[dict[str, Any]] = []
    for i, m in enumerate(fits):
        row = _measures(m)
        if i:
            before = fits[i - 1]
            nested = is_nested(before, m)
            if not nested:
                warnings.warn(
                    f"{m.frame.formula.text!r} does not contain {before.frame.formula.text!r}: "
                    "the models are not nested, and their test has no meaning; compare AIC or BIC",
                    NestingWarning,
                    stacklevel=3,
                )
            # with other factors, no variance of the larger model need be zero in the smaller
            variances = _dimensions(m) - _dimensions(before) if nested and has_factors_of(m, before) else 0
            test = likelihood_ratio(before.criterion - m.criterion, m.df - before.df, variances)
            row |= {"Chisq": test.statistic, "Df": float(test.df), "p_value": test.p_value}
            row |= {"p_mixture": test.p_mixture, "reference": test.reference}
        rows.append(row)
    return to_library(pd.DataFrame(rows, columns=list(COLUMNS)), models[0].frame.library)


def _dimensions(model: FittedModel) -> int:
    """Number of variances of random effects."""
    return sum(len(term.names) for term in model.terms)


def _measures(model: FittedModel) -> dict[str, Any]:
    return {
        "model": model.frame.formula.text,
        "npar": model.df,
        "AIC": model.aic,
        "BIC": model.bic,
        "logLik": model.loglik,
        "deviance": model.criterion,
        "Chisq": np.nan,
        "Df": np.nan,
        "p_value": np.nan,
        "p_mixture": np.nan,
        "reference": "",
    }


def _checked(models: tuple[FittedModel, ...], refit: bool) -> list[FittedModel]:
    if len(models) < 2:
        raise ArgumentError(f"anova compares two models or more, got {len(models)}")
    for i, m in enumerate(models, start=1):
        if not isinstance(m, FittedModel):
            raise ArgumentError(f"anova: model {i} is no fitted model, but of type {type(m).__name__}")
        if m.estimates.perfect:
            raise ArgumentError(f"anova: model {i} fits perfectly, so that its likelihood has no maximum")
    for i, m in enumerate(models[1:], start=2):
        _check_same_data(models[0], m, i)
    if refit:
        return [as_ml(m) for m in models]
    if len({m.is_reml for m in models}) > 1:
        raise ArgumentError("anova: REML and maximum likelihood fits cannot be compared; use refit=True")
    first = models[0].frame.X
    if models[0].is_reml and not all(np.array_equal(first, m.frame.X) for m in models[1:]):
        raise ArgumentError("anova: REML criteria of models with different fixed effects differ in scale; refit=True")
    return list(models)


def _check_same_data(first: FittedModel, model: FittedModel, i: int) -> None:
    one, other = first.frame, model.frame
    if len(one.y) != len(other.y):
        raise ArgumentError(
            f"anova: the models have different rows: model 1 {len(one.y)}, model {i} {len(other.y)}; "
            "fit them to the rows that are complete for all of them"
        )
    if len(one.source_index) == len(other.source_index) and not np.array_equal(one.rows, other.rows):
        place = int(np.flatnonzero(one.rows != other.rows)[0])
        raise ArgumentError(
            f"anova: models 1 and {i} have different rows, first {one.index[place]} and {other.index[place]}; "
            "fit them to the rows that are complete for all of them"
        )
    if not np.array_equal(one.y, other.y):
        raise ArgumentError(
            f"anova: models 1 and {i} have different responses, {one.formula.response!r} and "
            f"{other.formula.response!r}, or different data"
        )
    weights = [np.ones(1) if frame.weights is None else frame.weights for frame in (one, other)]
    if not (weights[0] == weights[1]).all():
        raise ArgumentError(f"anova: models 1 and {i} have different weights")
