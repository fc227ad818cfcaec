"""F tests of the terms of the fixed part, and of contrasts, against lmerTest and algebra."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, LmmError, LmmWarning, NestingWarning
from tests.inference.cases import ANSWERS, DF, SLEEP, F, fit_case, holed, in_r


def assert_table(table: pd.DataFrame, want: dict[str, Any]) -> None:
    assert in_r(table["term"]) == want["term"]
    assert table["NumDF"].to_list() == want["NumDF"]
    np.testing.assert_allclose(table["DenDF"], want["DenDF"], rtol=DF)
    for name in ("F", "sum_sq", "mean_sq"):
        np.testing.assert_allclose(table[name], want[name], rtol=F)
    np.testing.assert_allclose(table["p_value"], want["p"], rtol=1e-3, atol=1e-12)


ANOVAS = [
    pytest.param(case, kind, id=f"{case['id']} {kind}")
    for case in ANSWERS["anova"]
    for kind in (1, 2, 3)
    if (case["id"], kind) != ("no_intercept", 3)  # ours is another hypothesis: the next test
]


@pytest.mark.parametrize(("case", "type_"), ANOVAS)
def test_anova_by_terms(fit, case, type_):
    m = fit_case(fit, case)
    assert_table(m.anova(type=type_), case["satterthwaite"][str(type_)])
    if case["kr"]:
        assert_table(m.anova(type=type_, ddf="kenward-roger"), case["kr"][str(type_)])


def test_types_may_be_written_as_in_r(fit):
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake")
    for number, roman in enumerate(("I", "II", "III"), 1):
        pd.testing.assert_frame_equal(m.anova(type=roman), m.anova(type=number))


def test_type_3_without_an_intercept_is_that_with_one(fit):
    tables = [fit(f"angle ~ {one} + recipe + temperature + (1 | replicate)", "cake").anova() for one in "01"]
    pd.testing.assert_frame_equal(tables[0], tables[1], rtol=1e-6)
    means = fit("angle ~ 0 + recipe + (1 | replicate)", "cake")
    np.testing.assert_allclose(means.anova()["F"], means.contest(np.eye(3))["F"], rtol=1e-10)
    assert means.anova()["NumDF"].to_list() == [3]


def test_type_3_does_not_depend_on_the_coding(fit):
    formula, subset = "angle ~ recipe * temperature + (1 | recipe:replicate)", holed("cake")
    codings = ["treatment", "sum", "helmert", "poly"]
    tables = [
        fit(formula, "cake", subset=subset, contrasts={"recipe": one, "temperature": other}).anova()
        for one, other in zip(codings, reversed(codings), strict=True)
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-5)


def test_known_values(fit):
    table = fit(SLEEP, "sleepstudy").anova()
    assert table["term"].to_list() == ["Days"]
    np.testing.assert_allclose(table["F"], 45.85296, rtol=1e-5)
    np.testing.assert_allclose(table["DenDF"], 16.99998373, rtol=1e-5)
    np.testing.assert_allclose(table["p_value"], 3.26382e-06, rtol=1e-4)
    np.testing.assert_allclose(fit(SLEEP, "sleepstudy").anova(ddf="kenward-roger")["DenDF"], 17.0, rtol=1e-6)
    table = fit("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake").anova()
    np.testing.assert_allclose(table["DenDF"], [42, 210, 210], rtol=1e-5)
    np.testing.assert_allclose(table["F"], [0.24879, 20.51986, 1.00620], atol=6e-6)


def test_type_3_is_the_test_of_cell_means(fit):
    """The averaged differences, written out for the cells of a design with an interaction."""
    m = fit("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake", subset=holed("cake"))
    data = load_dataset("cake")
    recipes, temperatures = (data[name].cat.categories for name in ("recipe", "temperature"))
    grid = pd.MultiIndex.from_product([recipes, temperatures], names=["recipe", "temperature"]).to_frame(index=False)
    for name in grid:
        grid[name] = pd.Categorical(grid[name], categories=data[name].cat.categories)
    X = m.frame.spec.fixed(grid).reshape(len(recipes), len(temperatures), -1)
    means = X.mean(axis=1)
    want = m.contest(means[1:] - means[0])
    got = m.anova().iloc[0]
    np.testing.assert_allclose(got[["F", "DenDF"]].to_numpy(float), want[["F", "DenDF"]].to_numpy()[0], rtol=1e-9)


def test_anova_without_degrees_of_freedom(fit):
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake")
    table, exact = m.anova(ddf=None), m.anova()
    np.testing.assert_allclose(table["F"], exact["F"], rtol=1e-10)
    assert table["DenDF"].isna().all()
    np.testing.assert_allclose(table["p_value"], chi2.sf(table["F"] * table["NumDF"], table["NumDF"]))


def test_anova_of_an_intercept_alone_has_no_rows(fit):
    table = fit("Yield ~ 1 + (1 | Batch)", "Dyestuff").anova()
    assert list(table) == ["term", "sum_sq", "mean_sq", "NumDF", "DenDF", "F", "p_value"]
    assert len(table) == 0


def test_types_1_and_3_of_a_rank_deficient_model(fit):
    m = fit("Reaction ~ Days + I(2 * Days + 1) + (Days | Subject)", "sleepstudy")
    full = fit(SLEEP, "sleepstudy").anova()
    for kind in (1, 2, 3):
        table = m.anova(type=kind)
        assert table["term"].to_list() == ["Days"]
        np.testing.assert_allclose(table["F"], full["F"], rtol=1e-6)


@pytest.mark.parametrize("bad", [{"type": 4}, {"type": "IV"}, {"type": True}, {"ddf": "kr"}])
def test_anova_refuses_unknown_arguments(fit, bad):
    with pytest.raises(ArgumentError, match=r"type must be|ddf must be"):
        fit(SLEEP, "sleepstudy").anova(**bad)


def test_kenward_roger_needs_reml(fit):
    m = fit(SLEEP, "sleepstudy", REML=False)
    for method in (lambda: m.anova(ddf="kenward-roger"), lambda: m.contest([0, 1], ddf="kenward-roger")):
        with pytest.raises(ArgumentError, match="REML"):
            method()


def test_contest_agrees_with_lmertest(fit):
    want = ANSWERS["contest"]
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake", subset=holed("cake"))
    L = np.array(want["L"])
    for key, ddf in (("joint", "satterthwaite"), ("joint_kr", "kenward-roger")):
        got = m.contest(L, ddf=ddf).iloc[0]
        assert got["NumDF"] == want[key]["NumDF"] == 2
        np.testing.assert_allclose(got["DenDF"], want[key]["DenDF"], rtol=DF)
        np.testing.assert_allclose(got["F"], want[key]["F value"], rtol=F)
    for key, ddf in (("single", "satterthwaite"), ("single_kr", "kenward-roger")):
        got = m.contest(L, ddf=ddf, joint=False)
        np.testing.assert_allclose(got["estimate"], want[key]["Estimate"], rtol=F)
        np.testing.assert_allclose(got["std_error"], want[key]["Std. Error"], rtol=1e-6)  # the adjustment is 3e-6
        np.testing.assert_allclose(got["df"], want[key]["df"], rtol=DF)
        np.testing.assert_allclose(got["p_value"], want[key]["Pr(>|t|)"], rtol=1e-4)


def test_perfect_fits_are_refused():
    data = pd.DataFrame({"x": np.tile(np.arange(5.0), 6), "g": np.repeat(list("abcdef"), 5)})
    data["y"] = 3.0 + 2.0 * data["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ x + (1 | g)", data)
    for method in (m.drop1, m.ranova, lambda: m.anova(m)):
        with pytest.raises(ArgumentError, match="perfect"):
            method()


def test_tables_come_in_the_library_of_the_data():
    polars = pytest.importorskip("polars")
    m = lmer(SLEEP, polars.from_pandas(load_dataset("sleepstudy")))
    for table in (m.anova(), m.contest([0, 1]), m.drop1(), m.ranova(), m.anova(m.refit_ml())):
        assert isinstance(table, polars.DataFrame)


def test_errors_and_warnings_are_the_library_s():
    assert issubclass(ArgumentError, LmmError)
    assert issubclass(NestingWarning, LmmWarning)
