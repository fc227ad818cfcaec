"""What users of lme4, lmerTest and statsmodels look for, and where it is here."""

from __future__ import annotations

from typing import Any

from lmmsparse.fitted.model import FittedModel

#: Name elsewhere → what to write here.
ELSEWHERE = {
    "AIC": "m.aic",
    "BIC": "m.bic",
    "VarCorr": "m.varcorr",
    "bootMer": "m.bootstrap()",
    "confint": "m.conf_int()",
    "cov_params": "m.vcov()",
    "cov_re": "m.varcorr",
    "df_residual": "m.df_resid",
    "emmeans": "m.contest(L, joint=False); docs/inference.md shows marginal means",
    "fe_params": "m.fixef",
    "fittedvalues": "m.fitted",
    "fixed_effects": "m.fixef",
    "formula": "m.frame.formula.text",
    "getME": "m.getme()",
    "llf": "m.loglik",
    "logLik": "m.loglik",
    "marginal_means": "m.contest(L, joint=False); docs/inference.md shows marginal means",
    "plot": "m.augment(), m.profile().to_frame() or m.ranef(): there are no plots, but these have the data for them",
    "random_effects": "m.ranef()",
    "rePCA": "m.re_pca()",
    "refitML": "m.refit_ml()",
    "residuals": "m.resid()",
    "rsquared": "m.r2()",
    "scale": "m.sigma ** 2",
}


def hint(name: str) -> str | None:
    """The end of an error about an attribute that is called otherwise here; None where nothing is known."""
    return None if name not in ELSEWHERE else f"use {ELSEWHERE[name]}"


def advice(model: FittedModel, name: str) -> Any:
    """Of an unknown attribute: say where a name of lme4's or statsmodels' is here."""
    known = hint(name)
    if known is None:
        return object.__getattribute__(model, name)  # the usual error, or that of a property
    raise AttributeError(f"a fitted model has no {name!r}; {known}")
