"""Shares of the variance, marginal covariances, shrinkage and principal components, against algebra and R."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import block_diag

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, LmmWarning, MemoryLimitError
from lmmsparse.estimation.control import Control
from tests.answers import answers
from tests.oracle import Oracle

ANSWERS = answers("inference_components.json")
SLEEP = "Reaction ~ Days + (Days | Subject)"
MODELS = [
    (SLEEP, "sleepstudy", {}),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    ("Reaction ~ 0 + (1 | Subject) + (0 + Days | Subject)", "sleepstudy", {"REML": False}),
    (SLEEP, "sleepstudy", {"weights": np.resize(np.arange(1.0, 6.0), 180)}),
    ("Reaction ~ 1 + offset(3 * Days) + (Days | Subject)", "sleepstudy", {}),
    ("strength ~ 1 + (1 | batch / cask)", "Pastes", {}),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    ("angle ~ temp + (recipe | replicate)", "cake", {}),
    ("angle ~ recipe * temp + (0 + recipe | replicate) + (1 | recipe:replicate)", "cake", {}),
    ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", {}),
]
IDS = [f"{formula} {' '.join(more)}" for formula, _, more in MODELS]


@pytest.fixture(params=MODELS, ids=IDS)
def m(request, fit):
    formula, data, more = request.param
    return fit(formula, data, **more)


def oracle(m: Any) -> Oracle:
    n = len(m.frame.y)
    y = m.frame.y if m.frame.offset is None else m.frame.y - m.frame.offset
    w = np.ones(n) if m.frame.weights is None else m.frame.weights
    return Oracle(y, m.frame.X, m.terms, m.theta, m.is_reml, w)


def quiet(formula: str, data: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


def test_parts_are_those_of_dense_algebra(m):
    dense, parts = oracle(m), m.r2().parts
    residual = m.sigma**2 / dense.w
    np.testing.assert_allclose(parts.residual, residual.mean(), rtol=1e-12)
    random = m.sigma**2 * np.diag(dense.V) - residual
    np.testing.assert_allclose(parts.random_total, random.mean(), rtol=1e-9, atol=1e-12)
    fixed = np.var(m.frame.X @ m.fixef.to_numpy(), ddof=1) if len(m.fixef) else 0.0
    np.testing.assert_allclose(parts.fixed, fixed, rtol=1e-9, atol=1e-9)
    total = parts.fixed + parts.random_total + parts.residual
    assert m.r2().marginal == pytest.approx(parts.fixed / total, rel=1e-12)
    assert m.r2().conditional == pytest.approx(1 - parts.residual / total, rel=1e-12)
    assert m.icc().unadjusted == pytest.approx(parts.random_total / total, rel=1e-12)


def test_shares_of_the_factors_add_up(m):
    table, icc = m.icc(by_group=True), m.icc()
    assert table["group"].to_list() == [*m.ngroups, "Residual"]
    assert table["adjusted"].sum() == pytest.approx(1)
    assert table["unadjusted"].sum() == pytest.approx(1 - m.r2().marginal)
    assert table["adjusted"][:-1].sum() == pytest.approx(icc.adjusted)
    assert table["variance"].sum() == pytest.approx(icc.parts.unexplained)


@pytest.mark.parametrize("case", ANSWERS["models"], ids=[case["formula"] for case in ANSWERS["models"]])
def test_shares_are_those_of_performance(fit, case):
    m = fit(case["formula"], case["data"], REML=case["REML"])
    parts = m.r2().parts
    want = case["variance"]
    np.testing.assert_allclose(
        [parts.fixed, parts.random_total, parts.residual], [want["fixed"], want["random"], want["residual"]], rtol=1e-5
    )
    np.testing.assert_allclose([m.icc().adjusted, m.icc().unadjusted], case["icc"], rtol=1e-5)
    np.testing.assert_allclose([m.r2().marginal, m.r2().conditional], case["r2"], rtol=1e-5)


@pytest.mark.parametrize("case", ANSWERS["models"], ids=[case["formula"] for case in ANSWERS["models"]])
def test_components_are_those_of_lme4(fit, case):
    m = fit(case["formula"], case["data"], REML=case["REML"])
    assert set(m.re_pca()) == set(case["pca"])
    for group, want in case["pca"].items():
        table = m.re_pca()[group]
        np.testing.assert_allclose(table["std_dev"], want["sdev"], rtol=1e-4, atol=1e-6)
        variances = np.square(want["sdev"])
        np.testing.assert_allclose(table["proportion"], variances / variances.sum(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(table["cumulative"], np.cumsum(variances) / variances.sum(), rtol=1e-4)
        ours, theirs = table.iloc[:, 4:].to_numpy(), np.array(want["rotation"]).T
        if len(ours) > 1 and np.diff(want["sdev"]).max() > -1e-6:
            continue  # a plane of equal components has any axes
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-3, atol=1e-4)


def test_components_make_the_covariance(m):
    for group, table in m.re_pca().items():
        assert list(table.columns[:4]) == ["component", "std_dev", "proportion", "cumulative"]
        loadings, sd = table.iloc[:, 4:].to_numpy(), table["std_dev"].to_numpy() * m.sigma
        want = block_diag(*[term.covariance for term in m.varcorr.terms if term.group == group])
        np.testing.assert_allclose(loadings.T @ np.diag(sd**2) @ loadings, want, atol=1e-9 * max(1.0, want.max()))
        assert (np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_marginal_covariance_is_that_of_dense_algebra(m):
    V = m.sigma**2 * oracle(m).V
    for term in m.terms:
        level = term.levels[2]
        rows = np.flatnonzero(term.codes == 2)
        found = m.marginal_cov(level, group=term.group)
        np.testing.assert_allclose(found.covariance, V[np.ix_(rows, rows)], rtol=1e-9, atol=1e-9)
        sd = np.sqrt(np.diag(V)[rows])
        np.testing.assert_allclose(found.correlation, V[np.ix_(rows, rows)] / np.outer(sd, sd), rtol=1e-9, atol=1e-9)
        assert list(found.covariance.index) == list(m.frame.index[rows])
        assert list(found.correlation.columns) == list(found.covariance.columns) == list(found.covariance.index)
        assert (np.diag(found.correlation) == 1).all()
        assert level in str(found)


def test_shrinkage_is_that_of_dense_algebra(m):
    dense, shrinkage = oracle(m), m.shrinkage()
    conditional = m.sigma**2 * dense.Lambda @ dense.conditional_covariance @ dense.Lambda.T
    prior = m.sigma**2 * np.diag(dense.Lambda @ dense.Lambda.T)
    with np.errstate(invalid="ignore"):
        want = 1 - np.diag(conditional) / prior
    start, used = 0, dict.fromkeys(shrinkage, 0)
    for term in m.terms:
        q, k = term.n_levels, len(term.names)
        block = want[start : start + q * k].reshape(q, k)
        start += q * k
        found = shrinkage[term.group].iloc[:, used[term.group] : used[term.group] + k]
        used[term.group] += k
        np.testing.assert_allclose(found, block, atol=1e-8)
        assert list(found.index) == list(term.levels)
        assert list(found.columns) == list(term.names)


def test_one_random_intercept_has_the_textbook_formulas(fit):
    data = load_dataset("sleepstudy").iloc[:-7]
    m = lmer("Reaction ~ Days + (1 | Subject)", data)
    tau2, n = m.varcorr["Subject"].covariance[0, 0], data.groupby("Subject", observed=True).size().to_numpy()
    np.testing.assert_allclose(m.shrinkage()["Subject"].iloc[:, 0], n * tau2 / (n * tau2 + m.sigma**2), rtol=1e-10)
    assert m.marginal_cov(308).correlation.iloc[0, 1] == pytest.approx(m.icc().adjusted, rel=1e-12)


def rescaled(case: str) -> tuple[Any, Any, float]:
    """A model, the same in other units, and the factor of its covariances."""
    data = load_dataset("sleepstudy")
    weights = np.resize(np.arange(1.0, 6.0), 180)
    base = quiet(SLEEP, data, weights=weights)
    match case:
        case "response":
            return base, quiet(SLEEP, data.assign(Reaction=1e6 * data["Reaction"]), weights=weights), 1e12
        case "weights":
            return base, quiet(SLEEP, data, weights=10 * weights), 1.0
        case _:
            return base, quiet(SLEEP, data.assign(Days=2001 + 1e4 * data["Days"]), weights=weights), 1.0


@pytest.mark.parametrize("case", ["response", "weights", "slope"])
def test_units_and_origins_do_not_matter(case):
    base, other, factor = rescaled(case)
    assert [other.r2().marginal, other.r2().conditional] == pytest.approx(
        [base.r2().marginal, base.r2().conditional], rel=1e-6
    )
    assert [other.icc().adjusted, other.icc().unadjusted] == pytest.approx(
        [base.icc().adjusted, base.icc().unadjusted], rel=1e-6
    )
    np.testing.assert_allclose(other.marginal_cov("309").covariance / factor, base.marginal_cov("309").covariance, 1e-5)


def test_a_large_origin_costs_no_digits():
    data = load_dataset("sleepstudy")
    base, far = quiet(SLEEP, data), quiet(SLEEP, data.assign(Days=data["Days"] + 1e9))
    assert far.r2().marginal == pytest.approx(base.r2().marginal, rel=1e-5)
    np.testing.assert_allclose(far.marginal_cov("309").covariance, base.marginal_cov("309").covariance, rtol=1e-5)


def test_an_offset_is_not_explained(fit):
    m = fit("Reaction ~ 1 + offset(3 * Days) + (Days | Subject)", "sleepstudy")
    assert m.r2().parts.fixed == 0
    assert m.r2().marginal == 0


def test_nothing_but_a_zero_variance(fit):
    m = fit("Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    assert m.icc().adjusted == 0
    assert m.shrinkage()["Batch"].isna().to_numpy().all()
    assert m.re_pca()["Batch"]["proportion"].isna().all()
    assert (m.marginal_cov("A").correlation.to_numpy() == np.eye(5)).all()


def test_a_perfect_fit_has_no_shares_of_nothing():
    x = np.arange(20.0)
    m = quiet("y ~ x + (1 | g)", pd.DataFrame({"x": x, "y": 1 + 2 * x, "g": np.repeat(list("abcd"), 5)}))
    assert m.r2().marginal == pytest.approx(1)
    assert m.icc().unadjusted == pytest.approx(0, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.marginal_cov("a").correlation.to_numpy()
        m.shrinkage()
        m.re_pca()


def test_rows_left_out_are_not_there():
    data = load_dataset("sleepstudy")
    data.index = data.index + 1000
    data.loc[1003, "Reaction"] = np.nan
    m = lmer(SLEEP, data, na_action="exclude")
    assert list(m.marginal_cov("308").covariance.index) == [1000, 1001, 1002, *range(1004, 1010)]


def test_frames_come_in_the_library_of_the_data():
    m = lmer(SLEEP, pl.from_pandas(load_dataset("sleepstudy")))
    assert isinstance(m.icc(by_group=True), pl.DataFrame)
    assert m.shrinkage()["Subject"].columns == ["Subject", "(Intercept)", "Days"]
    assert isinstance(m.re_pca()["Subject"], pl.DataFrame)
    found = m.marginal_cov(308)
    assert isinstance(found.covariance, pd.DataFrame)
    assert (np.asarray(found) == found.covariance.to_numpy()).all()


def test_levels_by_value_and_as_lme4_writes_them(fit):
    m = fit("strength ~ 1 + (1 | batch / cask)", "Pastes")
    assert m.marginal_cov("a:A", "cask:batch").covariance.shape == (2, 2)
    assert m.marginal_cov("A", group="batch").covariance.shape == (6, 6)
    days = lmer("Reaction ~ 1 + (1 | Days)", load_dataset("sleepstudy"))
    for value in (3, 3.0, "3", np.int64(3)):
        assert days.marginal_cov(value).level == "3"


def test_texts(fit):
    m = fit(SLEEP, "sleepstudy")
    assert str(m.icc()).startswith("Intraclass correlation: adjusted 0.7217, unadjusted 0.5206")
    assert "and 168 rows more" not in str(m.marginal_cov("308"))
    crossed = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin")
    assert "... and 12 rows more" in str(crossed.marginal_cov("A", "sample"))


def test_bad_arguments(fit):
    m = fit("strength ~ 1 + (1 | batch / cask)", "Pastes")
    with pytest.raises(ArgumentError, match="2 grouping factors; say group= one of cask:batch, batch"):
        m.marginal_cov("A")
    with pytest.raises(
        ArgumentError, match=r"no grouping factor 'cask'; did you mean 'cask:batch'\? There are cask:batch, batch"
    ):
        m.marginal_cov("A", "cask")
    with pytest.raises(ArgumentError, match=r"no level 'A:a' among its 30 levels .*did you mean 'a:A'"):
        m.marginal_cov("A:a", "cask:batch")
    for level in (None, ["A"], {"a": 1}):
        with pytest.raises(ArgumentError, match="no level"):
            m.marginal_cov(level, "batch")
    for wrong in ("Subject", 1, None):
        with pytest.raises(ArgumentError, match="icc: by_group must be True or False"):
            m.icc(by_group=wrong)


def test_a_level_that_does_not_fit_into_memory_is_refused():
    data = pd.DataFrame({"y": np.random.default_rng(1).normal(size=4000), "g": np.repeat(["a", "b"], 2000)})
    m = quiet("y ~ 1 + (1 | g)", data, control=Control(memory_limit=1e8))
    with pytest.raises(MemoryLimitError, match=r"matrices of 2000 rows need 1\.28e\+08 bytes, and 1e\+08 may be used"):
        m.marginal_cov("a")
