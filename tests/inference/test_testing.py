"""Tests of fixed and random effects against lmerTest, lme4 and algebra."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, LmmError, LmmWarning, NestingWarning
from lmmsparse.inference import anova
from lmmsparse.inference.hypotheses import marginal_contrast, without
from lmmsparse.inference.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.model_terms import model_terms
from lmmsparse.inference.nesting import is_nested

ANSWERS = json.loads((Path(__file__).parents[1] / "references" / "inference_testing.json").read_text(encoding="utf-8"))
SLEEP = "Reaction ~ Days + (Days | Subject)"
# lmerTest's derivatives are finite differences, at a theta that is known to about 1e-6.
DF = 1e-4
F = 1e-5


def holed(data: str) -> NDArray[np.bool_]:
    return np.arange(len(load_dataset(data))) % 7 != 0


def fit_case(fit: Callable[..., Any], case: dict[str, Any], hole: bool = True, **arguments: Any) -> Any:
    if hole:
        arguments["subset"] = holed(case["data"])
    if case.get("id") == "weighted":
        arguments["weights"] = np.resize(np.arange(1.0, 6.0), len(load_dataset(case["data"])))
    if case.get("coding"):
        arguments["contrasts"] = dict.fromkeys(case["coding"], "sum")
    return fit(case["formula"], case["data"], **arguments)


def in_r(labels: pd.Series) -> list[str]:
    return [label.replace(" ** ", "^").replace("**", "^") for label in labels]


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


@pytest.mark.parametrize("bad", [{"type": 4}, {"type": "3"}, {"type": True}, {"ddf": "kr"}])
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


def test_contrasts_by_name(fit):
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake")
    names = list(m.fixef.index)
    L = np.zeros((2, len(names)))
    L[0, names.index("recipe[T.B]")], L[0, names.index("recipe[T.C]")], L[1, names.index("temp")] = 1, -1, 2
    rows = [{"recipe[T.B]": 1, "recipe[T.C]": -1}, {"temp": 2}]
    want = m.contest(L, joint=False)
    assert want["contrast"].to_list() == ["recipe[T.B] - recipe[T.C]", "2 temp"]
    pd.testing.assert_frame_equal(m.contest(rows, joint=False), want)
    pd.testing.assert_frame_equal(m.contest(pd.DataFrame(L, columns=names), joint=False), want)
    pd.testing.assert_frame_equal(m.contest(rows[0], joint=False), want.iloc[:1])
    assert m.contest(rows)["NumDF"].to_list() == [2]
    joint, single = m.contest(rows[0]).iloc[0], want.iloc[0]
    np.testing.assert_allclose(joint["F"], single["statistic"] ** 2)
    np.testing.assert_allclose(joint["p_value"], single["p_value"])


@pytest.mark.parametrize(
    ("L", "message"),
    [
        ([1.0], r"shape \(1,\).*2 coefficients"),
        (np.ones((2, 3)), r"shape \(2, 3\)"),
        (np.ones((1, 1, 2)), "shape"),
        (np.zeros((0, 2)), "shape"),
        ([[0.0, 0.0]], "zero"),
        ([0.0, np.nan], "finite"),
        ("Days", "numbers"),
        (["a", "b"], "numbers"),
        ({"Dayz": 1}, "no coefficient 'Dayz'.*Days"),
        ({}, "empty"),
        ({"Days": [1, 2]}, "one number"),
        ({"Days": "x"}, "numbers"),
        (pd.DataFrame({"Hours": [1.0]}), "no coefficient 'Hours'"),
    ],
)
def test_bad_contrasts_are_refused(fit, L, message):
    with pytest.raises(ArgumentError, match=message):
        fit(SLEEP, "sleepstudy").contest(L)


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


def test_what_is_not_nested():
    data = load_dataset("sleepstudy")
    data["other"] = np.roll(data["Subject"].to_numpy(), 5)  # as many levels, other rows
    m = lmer(SLEEP, data)
    smaller = [
        ("Reaction ~ Days + (1 | other)", {}),
        ("Reaction ~ Days + (1 | Subject)", {"offset": data["Days"].to_numpy() ** 2.0}),
    ]
    for formula, arguments in smaller:
        assert not is_nested(lmer(formula, data, **arguments), m)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        slopes = lmer("Reaction ~ Days + (0 + Days + I(Days^2) | Subject)", data)
    assert is_nested(lmer("Reaction ~ Days + (0 + Days | Subject)", data), slopes)
    assert not is_nested(lmer("Reaction ~ Days + (1 | Subject)", data), slopes)
    assert not is_nested(m, lmer("Reaction ~ Days + (Days || Subject)", data))


def test_ranova_of_a_slope_without_intercept_removes_it(fit):
    m = fit("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "sleepstudy")
    table = m.ranova()
    assert table["term"].to_list() == ["<none>", "(1 | Subject)", "(0 + Days | Subject)"]
    other = fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    np.testing.assert_allclose(table["LRT"][2], other.criterion - m.criterion, atol=1e-6)


def test_nesting_sees_through_parametrizations(fit):
    pairs = [
        ("angle ~ temp + (1 | replicate)", "angle ~ temperature + (1 | replicate)", "cake"),
        ("angle ~ temp + (1 | replicate)", "angle ~ temp + (0 + recipe | replicate)", "cake"),
        ("Reaction ~ Days + (0 + Days | Subject)", SLEEP, "sleepstudy"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", NestingWarning)
        for small, large, data in pairs:
            fit(large, data).anova(fit(small, data))


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


def test_ranova_of_independent_slopes_takes_each_column(fit):
    table = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").ranova()
    whole = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").criterion
    assert table["Df"].to_list()[1:] == [1.0, 1.0]
    for row, left in zip(table.iloc[1:].itertuples(), ["0 + Days", "1"], strict=True):
        other = fit(f"Reaction ~ Days + ({left} | Subject)", "sleepstudy")
        np.testing.assert_allclose(row.LRT, other.criterion - whole, atol=1e-6)
        np.testing.assert_allclose(row.p_mixture, row.p_value / 2)


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


@pytest.mark.parametrize("fixed", ["recipe * temperature", "recipe * temp", "0 + recipe:temperature", "temp / recipe"])
def test_without_a_term_spans_what_its_hypothesis_leaves(fit, fixed):
    m = fit(f"angle ~ {fixed} + (1 | replicate)", "cake")
    terms, p = model_terms(m.frame.spec.fixed_design), len(m.fixef)
    assert [j for term in terms for j in term.kept] == list(range(p))
    for term in terms:
        if not term.is_intercept:
            L = marginal_contrast(term, terms, p)
            W = without(L)
            assert W.shape == (p, p - np.linalg.matrix_rank(L))
            np.testing.assert_allclose(L @ W, 0.0, atol=1e-10)


@pytest.mark.parametrize(
    ("fixed", "contrasts"),
    [
        ("recipe * temperature", None),
        ("recipe:temperature", {"recipe": "sum"}),
        ("0 + recipe + recipe:temp", None),
        ("recipe * hot * temp", {"recipe": "helmert"}),
        ("poly(temp, 2):recipe + poly(temp, 2) + C(early)", None),
    ],
)
def test_pieces_rebuild_the_columns(fixed, contrasts):
    """X from the levels of the factors and the coding matrices, term after term."""
    data = load_dataset("cake")
    data["hot"] = data["temp"].to_numpy() % 20 == 5
    data["early"] = data["replicate"].astype(int) % 3
    m = lmer(f"angle ~ {fixed} + (1 | replicate)", data, contrasts=contrasts)
    assert not m.frame.dropped
    centred = data["temp"] - data["temp"].mean()
    linear = centred / np.linalg.norm(centred)
    square = centred**2 - (centred**2).mean()
    numbers = {"temp": data["temp"].to_numpy(float)[:, None]}
    numbers["poly"] = np.column_stack([linear, square / np.linalg.norm(square)])
    codes = {name: data[name].astype("category").cat.codes.to_numpy() for name in ("recipe", "temperature", "hot")}
    codes["C(early)"] = data["early"].to_numpy()
    columns = []
    for term in model_terms(m.frame.spec.fixed_design):
        for piece in term.pieces:
            product = np.full((len(data), 1), piece.scale)
            for name, coding in zip(piece.factors, piece.codings, strict=True):
                plain = next((known for known in codes if known in name), None)
                values = coding[codes[plain]] if plain else numbers["poly" if "poly" in name else "temp"]
                product = np.einsum("ij,ik->ikj", product, values).reshape(len(data), -1)  # the first is the fastest
            columns.append(product)
    np.testing.assert_allclose(np.hstack(columns), m.frame.X, atol=1e-8)


def test_errors_and_warnings_are_the_library_s():
    assert issubclass(ArgumentError, LmmError)
    assert issubclass(NestingWarning, LmmWarning)


def test_type_and_ddf_are_for_one_model(fit):
    m = fit(SLEEP, "sleepstudy")
    other = fit("Reaction ~ Days + (1|Subject)", "sleepstudy")
    for arguments in ({"type": 2}, {"ddf": None}):
        with pytest.raises(ArgumentError, match="belong to the tests of one model"):
            m.anova(other, **arguments)
