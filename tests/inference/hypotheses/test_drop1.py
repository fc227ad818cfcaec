"""drop1 against lmerTest, and against fits of the smaller formulas."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse.datasets import load_dataset
from tests.inference.cases import ANSWERS, DF, SLEEP, F, fit_case


@pytest.mark.parametrize("case", ANSWERS["drop1"], ids=lambda case: case["formula"])
def test_drop1(fit, case):
    m = fit_case(fit, case)
    table, want = m.drop1(), case["chisq"]
    assert len(table) == len(want["rows"])
    np.testing.assert_allclose(table["AIC"], want["AIC"], rtol=1e-7)
    np.testing.assert_allclose(table["LRT"][1:], want["LRT"][1:], rtol=1e-5)
    np.testing.assert_allclose(table["Df"][1:], want["npar"][1:])
    p_values = np.array(want["Pr(Chi)"][1:], dtype=float)
    np.testing.assert_allclose(table["p_value"][1:], p_values, rtol=1e-4, atol=1e-12)
    rows = [i for i, df in enumerate(case["F"]["NumDF"]) if df is not None]
    tests = m.drop1(ddf="satterthwaite")
    assert len(tests) == len(rows)  # without those of terms that others span
    # lmerTest takes five rows for a hypothesis of rank four, which is that of the other order of the terms
    mistaken = case["formula"] == "angle ~ temperature + recipe + temp + (1|replicate)"
    source, order = (ANSWERS["drop1"][4]["F"], [2, 1]) if mistaken else (case["F"], rows)
    assert [case["F"]["rows"][i] for i in rows] == [source["rows"][i] for i in order]
    for name, column, accuracy in (("F", "F value", F), ("NumDF", "NumDF", 0), ("DenDF", "DenDF", DF)):
        np.testing.assert_allclose(tests[name], [source[column][i] for i in order], rtol=accuracy)


def test_drop1_with_empty_cells(fit):
    data = load_dataset("cake")
    subset = ~((data["recipe"] == "B") & (data["temperature"] == "185")).to_numpy()
    weights = np.resize([1.0, 2.0, 0.5], len(data))
    m = fit("angle ~ recipe * temperature + (1 | replicate)", "cake", subset=subset, weights=weights)
    smaller = fit("angle ~ recipe + temperature + (1 | replicate)", "cake", subset=subset, weights=weights, REML=False)
    row = m.drop1().iloc[1]
    assert (row["term"], row["Df"]) == ("recipe:temperature", 9)
    np.testing.assert_allclose(row["AIC"], smaller.aic, rtol=1e-9)
    tests = m.drop1(ddf="kenward-roger")
    np.testing.assert_allclose(tests["F"], m.anova(ddf="kenward-roger", type=2)["F"][2:], rtol=1e-8)


def test_drop1_of_days(fit):
    np.testing.assert_allclose(fit(SLEEP, "sleepstudy").drop1()["LRT"][1], 23.5365375, atol=1e-6)


@pytest.mark.parametrize(
    ("formula", "smaller"),
    [
        ("angle ~ 0 + recipe + temperature + (1 | replicate)", ["0 + temperature", "0 + recipe"]),
        ("angle ~ recipe + recipe:temp + (1 | replicate)", ["recipe"]),
        ("angle ~ 0 + temp + (1 | replicate)", ["0"]),
        (
            "angle ~ temp + temperature + recipe + (1 | replicate)",
            ["temperature + recipe", "temp + recipe", "temperature"],
        ),
        (
            "angle ~ 0 + recipe + temperature + temp + (1 | replicate)",
            ["0 + temperature + temp", "0 + recipe + temp", "0 + recipe + temperature"],
        ),
        ("angle ~ temp + recipe:temperature + (1 | replicate)", ["recipe:temperature", "temp"]),
        (
            "angle ~ I(temp + 2000) + I((temp + 2000)**2) + temp + (1 | replicate)",
            ["temp + I(temp**2)", "temp", "temp + I(temp**2)"],
        ),
    ],
)
def test_drop1_is_the_fit_of_the_smaller_formula(fit, formula, smaller):
    m = fit(formula, "cake")
    for row, fixed in zip(m.drop1().iloc[1:].itertuples(), smaller, strict=True):
        other = fit(f"angle ~ {fixed} + (1 | replicate)", "cake", REML=False)
        np.testing.assert_allclose(row.AIC, other.aic, rtol=1e-8)
        assert row.npar == other.df
