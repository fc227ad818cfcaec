"""Tests of fixed effects where standard deviations or units are far apart, and the rows on which joint tests depend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer, load_dataset


def one_way(sd: float, groups: int = 10, rows: int = 5) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = np.tile(np.arange(float(rows)), groups)
    y = np.repeat(sd * rng.normal(size=groups), rows) + rng.normal(size=groups * rows)
    return {"y": y, "x": x, "g": np.repeat([f"g{i}" for i in range(groups)], rows)}


@pytest.mark.parametrize("sd", [1e2, 1e3, 1e5])
def test_kenward_roger_with_a_large_standard_deviation(sd):
    # the intercept's variance is that of a mean of 10 groups, whatever the rows within them tell
    df = lmer("y ~ x + (1 | g)", one_way(sd)).df_fixed("kenward-roger")
    assert_allclose(df, [9.0, 39.0], rtol=1e-3)


@pytest.mark.parametrize("sd", [1e3, 1e4, 2e4])
def test_satterthwaite_with_a_large_standard_deviation(sd):
    m = lmer("y ~ x + (1 | g)", one_way(sd))
    assert_allclose(m.df_fixed(), [9.0, 39.0], rtol=2e-3)
    pars = m.tidy("ran_pars")
    # of a standard deviation from k degrees of freedom: 1/√(2k) of itself
    assert_allclose(pars["std_error"] / pars["estimate"], 1.0 / np.sqrt(2.0 * np.array([9.0, 39.0])), rtol=2e-3)


def test_large_standard_deviations_of_slopes():
    rng, data = np.random.default_rng(2), one_way(0.0)
    slopes = np.repeat(1e4 * rng.normal(size=10), 5) * data["x"]
    m = lmer("y ~ x + (x | g)", data | {"y": data["y"] + np.repeat(1e4 * rng.normal(size=10), 5) + slopes})
    assert_allclose(m.df_fixed(), [9.0, 9.0], rtol=2e-3)
    assert_allclose(m.df_fixed("kenward-roger"), [9.0, 9.0], rtol=1e-4)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", None])
@pytest.mark.parametrize("unit", [1e-6, 1e5])
def test_no_row_of_a_joint_test_is_lost_among_larger_ones(ddf, unit):
    data = load_dataset("sleepstudy")[lambda d: d.index % 7 != 0]
    rows = [{"(Intercept)": 1.0}, {"Days": 1.0}]
    want = lmer("Reaction ~ Days + (1 | Subject)", data).contest(rows, ddf=ddf)
    got = lmer("Reaction ~ Days + (1 | Subject)", data.assign(Days=unit * data["Days"])).contest(rows, ddf=ddf)
    assert got["NumDF"].to_list() == [2]
    assert_allclose(got["F"], want["F"], rtol=1e-6)
    if ddf == "kenward-roger":
        assert_allclose(got["DenDF"], want["DenDF"], rtol=1e-6)


def test_rows_that_depend_on_others_still_do_not_count():
    data = load_dataset("sleepstudy")
    m = lmer("Reaction ~ Days + (1 | Subject)", data.assign(Days=1e6 * data["Days"]))
    assert m.contest([[1, 0], [0, 1], [1, 2e6]])["NumDF"].to_list() == [2]
    assert m.contest([[0, 1], [0, 3]])["NumDF"].to_list() == [1]


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.SingularFitWarning")
def test_rows_of_type_2_are_those_of_a_sequential_decomposition():
    """Of the terms in the order: others, the term, those that contain it; on these rows the joint df depend."""
    rng = np.random.default_rng(5)
    n = 60
    g, f, h = rng.integers(0, 7, n), rng.choice([0, 1, 2, 2, 2], n), rng.choice([0, 0, 0, 1], n)
    data = {"y": rng.normal(size=n) + f + rng.normal(size=7)[g], "x": rng.normal(size=n)}
    data |= {"g": g.astype(str), "f": np.array(list("abc"))[f], "h": np.array(list("uv"))[h]}
    m = lmer("y ~ f * h + x + (f | g)", data)
    X, names = m.model_matrix.to_numpy(), list(m.fixef.index)
    order = [j for j, name in enumerate(names) if name in ("(Intercept)", "x", "h[T.v]")]
    order += [j for j, name in enumerate(names) if name.startswith("f") and ":" not in name]
    order += [j for j in range(len(names)) if j not in order]
    U = np.linalg.cholesky((X.T @ X)[np.ix_(order, order)]).T
    L = np.zeros((2, len(names)))
    L[:, order] = (U / np.diag(U)[:, None])[3:5]
    row = m.anova(type=2).set_index("term").loc["f"]
    want = m.contest(L).iloc[0]
    assert_allclose(row[["F", "DenDF"]].to_numpy(float), want[["F", "DenDF"]].to_numpy(float), rtol=1e-9)
    unscaled = np.linalg.solve(L[:, order[3:5]], L)
    assert abs(m.contest(unscaled)["DenDF"].iloc[0] / want["DenDF"] - 1.0) > 1e-3


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.SingularFitWarning")
def test_the_only_term_has_the_same_rows_in_types_1_and_2():
    rng = np.random.default_rng(6)
    f, g = rng.choice([0, 1, 2, 2, 2], 50), rng.integers(0, 6, 50)
    data = {"y": rng.normal(size=50) + rng.normal(size=(6, 3))[g, f], "g": g.astype(str), "f": np.array(list("abc"))[f]}
    m = lmer("y ~ f + (f | g)", data)
    assert_allclose(m.anova(type=2)["DenDF"], m.anova(type=1)["DenDF"], rtol=1e-9)


@pytest.mark.filterwarnings("error::lmmsparse.errors.IdentifiabilityWarning")
@pytest.mark.parametrize("ratio", [1.0, 60.0, 1e3, 1e4])
@pytest.mark.parametrize("formula", ["y ~ f + (f | g)", "y ~ f + (0 + f | g)"])
def test_degrees_of_freedom_do_not_depend_on_the_ratio_of_standard_deviations(formula, ratio):
    """15 groups, balanced: 14 for the intercept and for the slope, by both methods."""
    rng = np.random.default_rng(4)
    g, f = np.repeat(np.arange(15), 8), np.tile(["a", "b"], 60)
    y = rng.normal(0, ratio, 15)[g] + (f == "b") * (1 + rng.normal(0, 0.5, 15)[g]) + rng.normal(size=120)
    m = lmer(formula, {"y": y, "f": f, "g": g})
    assert_allclose(m.df_fixed(), [14.0, 14.0], rtol=2e-3 if ratio > 1 else 0.15)
    if ratio > 1:
        assert_allclose(m.df_fixed("kenward-roger"), [14.0, 14.0], rtol=1e-5)


@pytest.mark.parametrize("origin", [0.0, 2005.0, 2010.0])
def test_the_origin_of_a_slope_does_not_matter(origin):
    rng = np.random.default_rng(2)
    g, year = np.repeat(np.arange(15), 8), 2005.0 + rng.integers(0, 12, 120)
    rng = np.random.default_rng(3)
    y = 3 + 0.4 * (year - 2010) + rng.normal(0, 500, 15)[g] + rng.normal(0, 0.3, 15)[g] * (year - 2010)
    m = lmer("y ~ v + (v | g)", {"y": y + rng.normal(size=120), "v": year - origin, "g": g})
    assert m.df_fixed("kenward-roger").iloc[1] == pytest.approx(13.72507, rel=1e-5)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", None])
@pytest.mark.parametrize("unit", [1e-200, 1e-80, 1e77, 1e150, 1e200])
@pytest.mark.filterwarnings("error")
def test_no_unit_of_a_predictor_changes_its_tests(unit, ddf):
    """Squares of standard errors are beyond floating-point numbers there; t, F and p-values are not."""
    data = load_dataset("sleepstudy")
    want = lmer("Reaction ~ Days + (1 | Subject)", data)
    got = lmer("Reaction ~ Days + (1 | Subject)", data.assign(Days=unit * data["Days"]))
    assert_allclose(got.tvalues, want.tvalues, rtol=1e-9)
    for L in ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 3.0]]):
        moved = np.array(L) * [1.0, unit]  # the same hypotheses
        one, other = want.contest(L, ddf=ddf, joint=False), got.contest(moved, ddf=ddf, joint=False)
        assert_allclose(other.iloc[:, 1:], one.iloc[:, 1:], rtol=1e-6)
        assert_allclose(got.contest(moved, ddf=ddf)["F"], want.contest(L, ddf=ddf)["F"], rtol=1e-6)
    if ddf is not None:
        at = {"Days": [0.0, 4.0, 20.0]}
        one = want.predict(at, re_form=0, interval="confidence", ddf=ddf)
        other = got.predict({"Days": unit * np.array(at["Days"])}, re_form=0, interval="confidence", ddf=ddf)
        assert_allclose(other, one, rtol=1e-6)


@pytest.mark.parametrize("shift", [2020.0, 1e6, 1e7])
def test_a_predictor_far_from_its_origin_keeps_the_digits_of_its_tests(shift):
    rng = np.random.default_rng(3)
    g, x = rng.integers(0, 8, 60), np.round(rng.normal(size=60), 3)
    y = 1 + 0.5 * x + 5 * rng.normal(size=8)[g] + 5 * rng.normal(size=8)[g] * x + rng.normal(size=60)
    near, far = (lmer("y ~ x + (x | g)", {"y": y, "x": x + by, "g": g}) for by in (0.0, shift))
    for ddf in ("satterthwaite", "kenward-roger"):
        assert far.df_fixed(ddf).iloc[1] == pytest.approx(near.df_fixed(ddf).iloc[1], rel=1e-5)
        row = [[0.0, 1.0]]
        assert far.contest(row, ddf=ddf)["F"].iloc[0] == pytest.approx(
            near.contest(row, ddf=ddf)["F"].iloc[0], rel=1e-5
        )
