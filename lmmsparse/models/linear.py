"""What a linear mixed model can do: a table of contents of the functions that take a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from lmmsparse.diagnostics.influence.influence import cooks_distance, dfbetas, influence
from lmmsparse.diagnostics.residuals import hatvalues, resid
from lmmsparse.diagnostics.singularity import singularity
from lmmsparse.fitted.effects import coef, ranef
from lmmsparse.fitted.getme import getme
from lmmsparse.fitted.means import fitted_means
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.bootstrap.bootstrap import bootstrap
from lmmsparse.inference.conf_int import conf_int
from lmmsparse.inference.ddf import df_fixed, fixed_tests
from lmmsparse.inference.hypotheses.drop1 import drop1
from lmmsparse.inference.hypotheses.ranova import ranova
from lmmsparse.inference.hypotheses.tests import anova as anova_of_terms
from lmmsparse.inference.hypotheses.tests import contest
from lmmsparse.inference.kenward_roger import kenward_roger_of
from lmmsparse.inference.profile.profile import profile
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.inference.vcov import vcov
from lmmsparse.models.hints import advice
from lmmsparse.prediction.predict import model_matrix_of, predict
from lmmsparse.prediction.simulate import simulate
from lmmsparse.report.augment import augment
from lmmsparse.report.glance import glance
from lmmsparse.report.summary import brief, summary
from lmmsparse.report.tidy import tidy
from lmmsparse.variance.marginal import marginal_cov
from lmmsparse.variance.principal import re_pca
from lmmsparse.variance.shares import icc, r2
from lmmsparse.variance.shrinkage import shrinkage


@dataclass(frozen=True, repr=False, eq=False)
class LinearMixedModel(FittedModel):
    """A linear mixed model fitted by `lmmsparse.lmer`.

    Attributes
    ----------
    frame : ModelFrame
        Rows kept, matrices and grouping factors.
    terms : tuple of RandomTerm
        Random-effect terms in the order of θ.
    objective : Objective
        The criterion as a function of θ: ``m.objective(theta)``, ``m.objective.gradient(theta)``.
    estimates : Estimates
    optinfo : OptInfo
        Record of the search.
    control : Control
    call : Call
        What it was called with.
    """

    # random effects
    ranef = ranef
    coef = coef
    getme = getme

    # how well the estimates are known
    vcov = vcov
    df_fixed = df_fixed
    uncertainty = cached_property(uncertainty_of)
    kenward_roger = cached_property(kenward_roger_of)

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

    # hypotheses
    contest = contest
    anova = anova_of_terms
    drop1 = drop1
    ranova = ranova

    # intervals
    conf_int = conf_int
    profile = profile
    bootstrap = bootstrap

    # what the variances mean
    icc = icc
    r2 = r2
    marginal_cov = marginal_cov
    shrinkage = shrinkage
    re_pca = re_pca

    # prediction
    predict = predict
    simulate = simulate
    model_matrix_of = model_matrix_of

    # diagnostics
    resid = resid
    hatvalues = hatvalues
    influence = influence
    cooks_distance = cooks_distance
    dfbetas = dfbetas
    singularity = singularity

    @property
    def fitted(self) -> pd.Series:
        """Xβ̂ + Zb̂ + offset of every row."""
        return self.frame.series(fitted_means(self).copy(), "fitted")

    # reports
    summary = summary
    tidy = tidy
    glance = glance
    augment = augment
    __str__ = brief

    if not TYPE_CHECKING:  # a checker is to know what there is
        __getattr__ = advice
