"""Likelihood-ratio tests between models, against lme4."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, NestingWarning
from lmmsparse.inference import anova
from lmmsparse.inference.hypotheses.likelihood_ratio import likelihood_ratio
from tests.inference.cases import ANSWERS, SLEEP, holed


@pytest.mark.parametrize("case", ANSWERS["comparisons"], ids=lambda case: case["data"])
def test_comparisons(fit, case):
    fits = [fit(formula, case["data"], subset=holed(case["data"])) for formula in case["formulas"]]
    table, want = fits[0].anova(*fits[1:]), case["table"]
    for ours, theirs in {"p_value": "Pr(>Chisq)", **{name: name for name in ("npar", "AIC", "BIC", "logLik")}}.items():
        np.testing.assert_allclose(table[ours].astype(float), np.array(want[theirs], float), rtol=1e-6)
    np.testing.assert_allclose(table["Chisq"], np.array(want["Chisq"], float), rtol=1e-5)
    np.testing.assert_allclose(table["Df"], np.array(want["Df"], float))


def test_comparison_of_correlated_with_independent_slopes(fit):
    table = anova(fit(SLEEP, "sleepstudy"), fit("Reaction ~ Days + (Days || Subject)", "sleepstudy"))
    np.testing.assert_allclose(table["Chisq"][1], 0.06391, atol=5e-6)
    np.testing.assert_allclose(table["p_value"][1], 0.80042, atol=5e-6)
    assert np.isnan(table["p_mixture"][1])  # a covariance is no variance: zero is inside of its range
    assert table["reference"].to_list() == ["", "chi2(1)"]


def test_a_variance_has_the_mixture_beside(fit):
    large, small = fit(SLEEP, "sleepstudy"), fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    row = large.anova(small).iloc[1]
    np.testing.assert_allclose(row["p_mixture"], 0.5 * (chi2.sf(row["Chisq"], 1) + chi2.sf(row["Chisq"], 2)))
    assert row["reference"] == "chi2(2); mixture: 0.5 chi2(1) + 0.5 chi2(2)"


def test_likelihood_ratio_at_the_boundary():
    assert likelihood_ratio(-1e-9, 1, 1).p_mixture == 1.0
    assert likelihood_ratio(-1e-3, 2, 0).statistic == 0.0
    np.testing.assert_allclose(likelihood_ratio(2.0, 1, 1).p_mixture, chi2.sf(2.0, 1) / 2)
    assert np.isnan(likelihood_ratio(2.0, 5, 2).p_mixture)
    assert np.isnan(likelihood_ratio(2.0, 0, 0).p_value)


def test_models_that_are_not_nested_warn(fit):
    one, other = fit("angle ~ recipe + (1 | replicate)", "cake"), fit("angle ~ temp + (1 | replicate)", "cake")
    with pytest.warns(NestingWarning, match="does not contain") as caught:
        anova(one, other)
    assert caught[0].filename == __file__
    one, other = fit("angle ~ temp + (1 | replicate)", "cake"), fit("angle ~ temp + (temp | recipe:replicate)", "cake")
    with pytest.warns(NestingWarning) as caught:
        one.anova(other)
    assert caught[0].filename == __file__


def test_comparisons_of_different_data_are_refused(fit):
    m = fit(SLEEP, "sleepstudy")
    data = load_dataset("sleepstudy")
    fewer = fit(SLEEP, "sleepstudy", subset=np.arange(180) > 2)
    shifted = fit(SLEEP, "sleepstudy", subset=np.arange(180) < 177)
    weighted = fit(SLEEP, "sleepstudy", weights=data["Days"].to_numpy(float) + 1)
    cases = [
        ((m, fewer), "model 1 180, model 2 177"),
        ((fewer, shifted), "different rows, first"),
        ((m, fit("log(Reaction) ~ Days + (Days | Subject)", "sleepstudy")), "different responses"),
        ((m, weighted), "different weights"),
        ((m,), "two models"),
        ((m, 3), "model 2 is no fitted model"),
    ]
    for models, message in cases:
        with pytest.raises(ArgumentError, match=message):
            anova(*models)


def test_comparisons_by_reml(fit):
    large, small = fit(SLEEP, "sleepstudy"), fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    np.testing.assert_allclose(large.anova(small, refit=False)["Chisq"][1], small.criterion - large.criterion)
    with pytest.raises(ArgumentError, match="different fixed effects"):
        anova(large, fit("Reaction ~ 1 + (1 | Subject)", "sleepstudy"), refit=False)
    with pytest.raises(ArgumentError, match="cannot be compared"):
        anova(large, fit(SLEEP, "sleepstudy", REML=False), refit=False)


def test_type_and_ddf_are_for_one_model(fit):
    m = fit(SLEEP, "sleepstudy")
    other = fit("Reaction ~ Days + (1|Subject)", "sleepstudy")
    for arguments in ({"type": 2}, {"ddf": None}):
        with pytest.raises(ArgumentError, match="belong to the tests of one model"):
            m.anova(other, **arguments)
