"""ranova against lmerTest, and against fits of the smaller formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tests.inference.cases import ANSWERS, SLEEP, fit_case, in_r


@pytest.mark.parametrize("case", ANSWERS["ranova"], ids=lambda case: f"{case['formula']} {case['REML']}")
def test_ranova(fit, case):
    table, want = fit_case(fit, case, REML=case["REML"]).ranova(), case["table"]
    assert in_r(table["term"]) == want["rows"]
    np.testing.assert_allclose(table["npar"], want["npar"])
    np.testing.assert_allclose(table["logLik"], want["logLik"], rtol=1e-7)
    np.testing.assert_allclose(table["LRT"][1:], want["LRT"][1:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table["Df"][1:], want["Df"][1:])
    np.testing.assert_allclose(table["p_value"][1:], want["Pr(>Chisq)"][1:], rtol=1e-3, atol=1e-14)


def test_ranova_of_slopes(fit):
    row = fit(SLEEP, "sleepstudy").ranova().iloc[1]
    np.testing.assert_allclose(row["LRT"], 42.8368, atol=5e-5)
    assert row["reference"] == "chi2(2); mixture: 0.5 chi2(1) + 0.5 chi2(2)"


def test_ranova_of_a_slope_without_intercept_removes_it(fit):
    m = fit("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "sleepstudy")
    table = m.ranova()
    assert table["term"].to_list() == ["<none>", "(1 | Subject)", "(0 + Days | Subject)"]
    other = fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    np.testing.assert_allclose(table["LRT"][2], other.criterion - m.criterion, atol=1e-6)


def test_ranova_of_independent_slopes_takes_each_column(fit):
    table = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").ranova()
    whole = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").criterion
    assert table["Df"].to_list()[1:] == [1.0, 1.0]
    for row, left in zip(table.iloc[1:].itertuples(), ["0 + Days", "1"], strict=True):
        other = fit(f"Reaction ~ Days + ({left} | Subject)", "sleepstudy")
        np.testing.assert_allclose(row.LRT, other.criterion - whole, atol=1e-6)
        np.testing.assert_allclose(row.p_mixture, row.p_value / 2)
