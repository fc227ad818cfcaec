"""What a fitted model gives back, against lme4's values and against dense algebra."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import lmer
from lmmsparse.errors import LmmWarning

Dataset = Callable[[str], pd.DataFrame]
Fit = Callable[..., Any]

DAYS = "Reaction ~ Days + (Days|Subject)"
N = 180
RECORDED = ["sleepstudy", "sleepstudy_weights", "sleepstudy_double_bar", "Penicillin", "Pastes"]
# lme4 makes two terms of (Days||Subject), lmmsparse one: their random effects stand in another order in vectors.
IN_LME4S_ORDER = [name for name in RECORDED if name != "sleepstudy_double_bar"]


@pytest.fixture
def model(fit: Fit) -> Any:
    return fit(DAYS, "sleepstudy")


@pytest.fixture
def recorded(edge_cases: dict[str, Any], fit: Fit) -> Callable[[str], tuple[Any, dict[str, Any]]]:
    """A fit and lme4's values for it."""

    def of(name: str) -> tuple[Any, dict[str, Any]]:
        record = edge_cases["values"][name]
        weights = {} if record["weights"] is None else {"weights": np.array(record["weights"], dtype=float)}
        return fit(record["formula"], record["data"], **weights), record

    return of


# -- estimates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_covariance_of_the_fixed_effects(name: str, recorded: Any) -> None:
    m, record = recorded(name)
    covariance = m.vcov()
    np.testing.assert_allclose(covariance, record["vcov"], rtol=1e-4)
    assert list(covariance.index) == list(covariance.columns) == list(m.fixef.index)
    np.testing.assert_allclose(m.bse, np.sqrt(np.diag(record["vcov"])), rtol=1e-4)


def test_named_vectors_are_series(model: Any) -> None:
    for series in (model.fixef, model.params, model.bse, model.tvalues, model.fitted, model.resid()):
        assert isinstance(series, pd.Series)
    pd.testing.assert_series_equal(model.params, model.fixef)
    pd.testing.assert_series_equal(model.tvalues, model.fixef / model.bse, check_names=False)
    assert model.tvalues["Days"] == pytest.approx(6.771, abs=1e-3)


@pytest.mark.parametrize("name", RECORDED)
def test_random_effects_and_coefficients(name: str, recorded: Any) -> None:
    m, record = recorded(name)
    for got, key in ((m.ranef(), "ranef"), (m.coef(), "coef")):
        assert set(got) == set(record[key])
        for group, want in record[key].items():
            assert list(got[group].index) == want["levels"]
            assert list(got[group].columns) == want["cols"]
            np.testing.assert_allclose(got[group], want["values"], atol=1e-4 * record["sigma"])


@pytest.mark.parametrize("name", RECORDED)
def test_conditional_variances(name: str, recorded: Any) -> None:
    m, record = recorded(name)
    for group, parts in record["cond_var"].items():
        frame, covariances = m.ranef(cond_var=True)[group]
        assert covariances.shape == (len(frame), frame.shape[1], frame.shape[1])
        start = 0
        for part in parts:
            k = len(part[0])
            ours = covariances[:, start : start + k, start : start + k]
            np.testing.assert_allclose(ours, part, rtol=1e-3, atol=1e-4 * record["sigma"])
            start += k


def test_varcorr_as_a_frame(model: Any) -> None:
    frame = model.varcorr.to_frame()
    assert list(frame.columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    assert frame["grp"].tolist() == ["Subject", "Subject", "Subject", "Residual"]
    assert frame["vcov"].tolist() == pytest.approx([612.1, 35.07, 9.604, 654.94], rel=1e-3)
    assert frame["sdcor"].tolist() == pytest.approx([24.741, 5.922, 0.0656, 25.592], rel=1e-3)
    assert frame.isna().sum().tolist() == [0, 1, 3, 0, 0]
    assert model.varcorr["Subject"].covariance[1, 1] == frame["vcov"][1]


def test_parameters_and_their_names(model: Any) -> None:
    assert model.theta_names == ("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days")
    lam = np.array([[model.theta[0], 0.0], [model.theta[1], model.theta[2]]])
    np.testing.assert_allclose(model.varcorr["Subject"].covariance, model.sigma**2 * lam @ lam.T, rtol=1e-12)


# -- criterion --------------------------------------------------------------------------------------------------


def test_criterion_and_what_is_derived_from_it(model: Any) -> None:
    assert model.criterion == pytest.approx(1743.62827195849, abs=1e-6)
    assert model.loglik == pytest.approx(-871.814135979245, abs=1e-6)
    assert (model.df, model.df_resid, model.nobs, model.ngroups) == (6, 174, 180, {"Subject": 18})
    assert model.aic == pytest.approx(1755.62827195849, abs=1e-6)
    assert model.bic == pytest.approx(1774.78601287, abs=1e-6)
    assert model.is_reml and model.converged and not model.is_singular()


def test_deviance_of_a_reml_fit_is_that_of_ml_at_the_same_theta(edge_cases: dict[str, Any], model: Any) -> None:
    # θ is not stationary for it: its last digits depend on how well θ was found
    loglik = edge_cases["comparisons"]["logLik_of_reml_fit_by_ml"]
    assert model.deviance == pytest.approx(-2.0 * loglik, abs=1e-5)


def test_deviance_of_an_ml_fit_is_its_criterion(fit: Fit) -> None:
    m = fit(DAYS, "sleepstudy", REML=False)
    assert m.deviance == m.criterion == -2.0 * m.loglik
    assert not m.is_reml


@pytest.mark.parametrize(("tolerance", "singular"), [(0.9, True), (1e-4, False)])
def test_singular_is_a_matter_of_tolerance(tolerance: float, singular: bool, model: Any) -> None:
    assert model.is_singular(tolerance) is singular


def test_record_of_the_search(model: Any) -> None:
    info = model.optinfo
    assert info.converged and info.message == "converged" and info.optimizer == "newton"
    assert info.gradient_norm < 1e-3
    assert len(info.hessian_eigenvalues) == 3 and info.hessian_eigenvalues.min() > 1.0
    assert info.predicted_decrease < 1e-10
    assert info.boundary == {} and info.flat == ()


# -- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_values_of_every_row(name: str, recorded: Any) -> None:
    m, record = recorded(name)
    digits = 1e-4 * record["sigma"]
    np.testing.assert_allclose(m.fitted, record["fitted"], atol=digits)
    np.testing.assert_allclose(m.resid(), record["resid"], atol=digits)
    np.testing.assert_allclose(m.resid("pearson"), record["resid_pearson"], atol=3 * digits)
    # those of lme4's summary: Pearson residuals over σ
    np.testing.assert_allclose(m.resid("scaled"), np.array(record["resid_pearson"]) / record["sigma"], atol=3e-4)
    np.testing.assert_allclose(m.hatvalues(), record["hatvalues"], atol=1e-5)


def test_model_matrix(fit: Fit, dataset: Dataset) -> None:
    matrix = fit("angle ~ recipe * temp + (1|replicate)", "cake").model_matrix
    cake = dataset("cake")
    assert list(matrix.columns) == [
        "(Intercept)",
        "recipe[T.B]",
        "recipe[T.C]",
        "temp",
        "recipe[T.B]:temp",
        "recipe[T.C]:temp",
    ]
    np.testing.assert_array_equal(matrix["recipe[T.C]:temp"], (cake["recipe"] == "C") * cake["temp"])
    pd.testing.assert_index_equal(matrix.index, cake.index)


def test_excluded_rows_keep_their_place(sleep: pd.DataFrame) -> None:
    sleep.loc[[3, 50], "Reaction"] = np.nan
    sleep = sleep.set_index(sleep.index + 1000)
    omitted = lmer(DAYS, sleep)
    excluded = lmer(DAYS, sleep, na_action="exclude")
    assert len(omitted.fitted) == 178 and len(excluded.fitted) == 180
    for of in (lambda m: m.fitted, lambda m: m.resid("scaled"), lambda m: m.hatvalues(), lambda m: m.predict()):
        assert list(of(excluded).index[of(excluded).isna()]) == [1003, 1050]
        pd.testing.assert_series_equal(of(excluded).dropna(), of(omitted))
    assert excluded.nobs == 178


def test_against_dense_algebra_with_missing_values_subset_weights_and_offsets() -> None:
    rng = np.random.default_rng(12)
    n = 300
    d = pd.DataFrame({"g": rng.integers(0, 12, n).astype(str), "h": rng.integers(0, 7, n), "x": rng.normal(size=n)})
    d["f"] = pd.Categorical.from_codes(rng.integers(0, 3, n), ["z", "y", "x", "unused"])
    d["w"], d["known"] = rng.uniform(0.2, 5.0, n), rng.normal(size=n)
    d["y"] = rng.normal(size=12)[d["g"].astype(int)] + d["x"] * (1 + rng.normal(size=7)[d["h"]]) + rng.normal(size=n)
    d["flag"] = rng.random(n) < 0.5
    d.loc[2:4, "x"] = d.loc[8:9, "known"] = d.loc[20:22, "w"] = d.loc[40, "y"] = np.nan
    d.loc[50:52, "g"] = d.loc[55, "f"] = None
    d.loc[60:66, "w"] = 0.0
    subset = rng.random(n) < 0.85
    d.index = rng.permutation(n) + 5
    formula = "y ~ x*f + flag + offset(2*x) + (1|g) + (x|h) + (1|g:f)"
    arguments = {"weights": d["w"].to_numpy(), "offset": "known", "subset": subset, "na_action": "exclude"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, d, **arguments)

    k = d[subset].dropna()
    k = k[k["w"] > 0]
    one = np.ones(len(k))
    X = np.column_stack(
        [one, k["x"], k["f"] == "y", k["f"] == "x", k["flag"], k["x"] * (k["f"] == "y"), k["x"] * (k["f"] == "x")]
    ).astype(float)
    columns = {"g:f": one[:, None], "g": one[:, None], "h": np.column_stack([one, k["x"]])}
    keys = {"g:f": k["g"] + ":" + k["f"].astype(str), "g": k["g"], "h": k["h"]}
    response = (k["y"] - k["known"] - 2.0 * k["x"]).to_numpy()

    assert m.nobs == len(k) and m.ngroups == {group: keys[group].nunique() for group in ("g:f", "g", "h")}
    modes = m.ranef()
    blocks, starts = [], [0]
    templates = [(np.tril(ST, -1) + np.eye(len(ST))) @ np.diag(np.diag(ST)) for ST in m.getme("ST")]  # λ = TS
    for group, lam in zip(m.ngroups, templates, strict=True):
        indicator = np.equal.outer(keys[group].astype(str).to_numpy(), modes[group].index.to_numpy())
        blocks.append(np.einsum("nq,nk->nqk", indicator, columns[group] @ lam).reshape(len(k), -1))
        starts.append(starts[-1] + blocks[-1].shape[1])
    ZL = np.hstack(blocks)
    V = np.diag(1.0 / k["w"]) + ZL @ ZL.T
    Vinv = np.linalg.inv(V)
    fixed = np.linalg.inv(X.T @ Vinv @ X)
    beta = fixed @ X.T @ Vinv @ response
    residual = response - X @ beta
    df = len(k) - X.shape[1]
    sigma2 = residual @ Vinv @ residual / df
    criterion = np.linalg.slogdet(V)[1] - np.linalg.slogdet(fixed)[1] + df * (1.0 + np.log(2.0 * np.pi * sigma2))
    P = Vinv - Vinv @ X @ fixed @ X.T @ Vinv
    hat = 1.0 - np.diag(P) / k["w"]

    assert m.criterion == pytest.approx(criterion, abs=1e-9)
    assert m.sigma == pytest.approx(np.sqrt(sigma2), rel=1e-10)
    order = ["(Intercept)", "x", "f[T.y]", "f[T.x]", "flag[T.True]", "x:f[T.y]", "x:f[T.x]"]
    np.testing.assert_allclose(m.fixef[order], beta, atol=1e-9)
    np.testing.assert_allclose(m.vcov().loc[order, order], sigma2 * fixed, atol=1e-10)
    spherical = ZL.T @ Vinv @ residual
    for i, (group, lam) in enumerate(zip(m.ngroups, templates, strict=True)):
        expected = spherical[starts[i] : starts[i + 1]].reshape(-1, len(lam)) @ lam.T
        np.testing.assert_allclose(modes[group], expected, atol=1e-9)
    np.testing.assert_allclose(m.hatvalues().dropna(), hat, atol=1e-9)
    fitted = X @ beta + ZL @ spherical + k["known"] + 2.0 * k["x"]
    pd.testing.assert_series_equal(m.fitted.dropna(), fitted, check_names=False, rtol=1e-9)
    np.testing.assert_allclose(m.resid("pearson").dropna(), np.sqrt(k["w"]) * (k["y"] - fitted), atol=1e-9)


# -- parts by lme4's names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_LME4S_ORDER)
def test_parts_by_lme4s_names(name: str, recorded: Any) -> None:
    m, record = recorded(name)
    want, digits = record["getme"], 1e-4 * record["sigma"]
    np.testing.assert_allclose(m.getme("beta"), want["beta"], atol=digits)
    np.testing.assert_allclose(m.getme("theta"), want["theta"], atol=1e-4)
    np.testing.assert_allclose(m.getme("u"), want["u"], atol=10 * digits)
    np.testing.assert_allclose(m.getme("b"), want["b"], atol=digits)
    np.testing.assert_allclose(m.getme("RX"), want["RX"], rtol=1e-4)
    np.testing.assert_array_equal(m.getme("Gp"), want["Gp"])
    assert m.getme("lower").tolist() == [-np.inf if bound is None else bound for bound in want["lower"]]
    assert dict(m.getme("cnms")) == want["cnms"]
    for part, places in (("Zt", want["Zt"]), ("Lambdat", want["Lambdat"])):
        dense = np.zeros(places["shape"])
        dense[places["i"], places["j"]] = places["x"]
        np.testing.assert_allclose(m.getme(part).toarray(), dense, atol=1e-4)
        transposed = m.getme({"Zt": "Z", "Lambdat": "Lambda"}[part])
        np.testing.assert_array_equal(transposed.toarray(), m.getme(part).toarray().T)
    sums = m.getme("devcomp")
    for part in ("ldL2", "wrss", "ussq", "pwrss"):
        assert sums[part] == pytest.approx(want["cmp"][part], rel=1e-4)


def test_parts_belong_together(recorded: Any) -> None:
    m, _ = recorded("sleepstudy_weights")
    X, Z, Lambda = m.getme("X"), m.getme("Z"), m.getme("Lambda")
    np.testing.assert_allclose(Lambda @ m.getme("u"), m.getme("b"), rtol=1e-12)
    np.testing.assert_allclose(X @ m.getme("beta") + Z @ m.getme("b"), m.getme("mu"), rtol=1e-12)
    np.testing.assert_allclose(m.getme("mu"), m.fitted, rtol=1e-12)
    assert (m.getme("n"), m.getme("p"), m.getme("q"), m.getme("k"), m.getme("m")) == (180, 2, 36, 1, 3)
    assert (m.getme("p_i"), m.getme("l_i"), m.getme("q_i"), m.getme("m_i")) == ([2], [18], [36], [3])
    np.testing.assert_array_equal(m.getme("weights"), np.tile(np.arange(1.0, 6.0), 36))
    assert m.getme("flist")["Subject"][0] == "308"
    assert m.getme("REML") == 2 and m.getme("is_REML") is True


# -- a model is immutable, and can be kept ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["criterion", "fixef", "frame", "estimates", "new"])
def test_attributes_cannot_be_set(name: str, model: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(model, name, 1.0)


SERIES: dict[str, Callable[[Any], pd.Series]] = {
    "fixef": lambda m: m.fixef,
    "bse": lambda m: m.bse,
    "tvalues": lambda m: m.tvalues,
    "fitted": lambda m: m.fitted,
    "resid": lambda m: m.resid(),
    "hatvalues": lambda m: m.hatvalues(),
    "predict": lambda m: m.predict(),
    "vcov": lambda m: m.vcov().iloc[:, 0],
    "model_matrix": lambda m: m.model_matrix["Days"],
    "varcorr": lambda m: m.varcorr.to_frame()["vcov"],
    "ranef": lambda m: m.ranef()["Subject"]["Days"],
    "coef": lambda m: m.coef()["Subject"]["Days"],
}


@pytest.mark.parametrize("name", SERIES)
def test_writing_into_a_result_does_not_change_the_model(name: str, sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep)
    taken = SERIES[name](m)
    before = taken.copy()
    taken.iloc[:] = -99.0
    pd.testing.assert_series_equal(SERIES[name](m), before)


@pytest.mark.parametrize("name", ["X", "Z", "Lambda", "y", "theta", "beta", "u", "b", "RX", "lower", "weights", "Gp"])
def test_writing_into_a_part_does_not_change_the_model(name: str, sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep)
    taken = m.getme(name)
    values = taken.data if hasattr(taken, "tocsc") else taken
    before = values.copy()
    values[...] = -99
    again = m.getme(name)
    np.testing.assert_array_equal(again.data if hasattr(again, "tocsc") else again, before)


def test_writing_into_theta_does_not_change_the_model(model: Any) -> None:
    model.theta[:] = 5.0
    assert model.theta[0] == pytest.approx(0.9667, abs=1e-4)


@pytest.mark.parametrize(
    "duplicate", [lambda m: pickle.loads(pickle.dumps(m)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("Reaction ~ poly(Days, 2) + (scale(Days)|Subject)", "sleepstudy"),
        ("y ~ service + studage + (1|s) + (1|d) + (1|dept)", "InstEval"),
    ],
)
def test_a_copy_can_do_all_that_the_model_can(formula: str, data: str, duplicate: Any, dataset: Dataset) -> None:
    frame = dataset(data).iloc[:3000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, frame)
        twin = duplicate(m)
        assert str(twin.summary()) == str(m.summary())
        pd.testing.assert_series_equal(twin.predict(frame.iloc[:9]), m.predict(frame.iloc[:9]))
        pd.testing.assert_series_equal(twin.hatvalues(), m.hatvalues())
        np.testing.assert_array_equal(twin.simulate(seed=3), m.simulate(seed=3))
        assert twin.refit_ml().criterion == pytest.approx(m.refit_ml().criterion, abs=1e-9)
        assert twin.objective.gradient(m.theta) == pytest.approx(m.objective.gradient(m.theta))


def test_repr_says_what_the_model_is(model: Any, fit: Fit) -> None:
    assert repr(model) == f"<LinearMixedModel {DAYS!r}: 180 rows, REML criterion 1743.6283, converged>"
    assert "-2 log-likelihood 1751.9393" in repr(fit(DAYS, "sleepstudy", REML=False))
    assert "boundary (singular) fit" in repr(fit("Yield ~ 1 + (1|Batch)", "Dyestuff2"))
    assert str(model) == model.summary().brief()


# -- nothing is changed in place --------------------------------------------------------------------------------


def test_inputs_are_not_changed(sleep: pd.DataFrame) -> None:
    frame = sleep.assign(g=sleep["Subject"].astype(str), t=sleep["Days"].astype("int8"))
    frame.loc[3:5, "Reaction"] = np.nan
    given: dict[str, Any] = {
        "data": frame,
        "weights": np.where(np.arange(N) < 4, 0.0, 2.0),
        "offset": pd.Series(np.arange(N, dtype="float32")),
        "subset": np.arange(N) % 9 > 0,
        "start": np.array([1.0, 0.1, 1.0]),
        "control": {"tolerance": 1e-9},
        "contrasts": {"g": "sum"},
    }
    before = copy.deepcopy(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("Reaction ~ I(t^2) + poly(t, 2) + g + (t|Subject)", **given)
        m.predict(frame, offset=given["offset"], allow_new_levels=True)
        y = np.arange(float(m.nobs)) ** 1.5
        m.refit(y)
    np.testing.assert_array_equal(y, np.arange(float(m.nobs)) ** 1.5)
    pd.testing.assert_frame_equal(given["data"], before["data"])
    pd.testing.assert_series_equal(given["offset"], before["offset"])
    for name in ("weights", "subset", "start"):
        np.testing.assert_array_equal(given[name], before[name])
    assert given["control"] == before["control"] and given["contrasts"] == before["contrasts"]


@pytest.mark.parametrize("library", [pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_other_libraries_are_not_changed(library: Callable[..., Any], sleep: pd.DataFrame) -> None:
    frame, copied = library(sleep), library(sleep)
    lmer(DAYS, frame).predict(frame)
    assert frame.equals(copied)


def test_a_model_does_not_follow_later_changes_of_its_data(sleep: pd.DataFrame) -> None:
    data = {name: sleep[name].to_numpy(copy=True) for name in ("Reaction", "Days")}
    data["Subject"] = sleep["Subject"].astype(str).to_numpy()
    weights, offset = np.ones(N), np.zeros(N)
    m = lmer(DAYS, data, weights=weights, offset=offset)
    fitted, simulated = m.fitted.copy(), m.simulate(seed=1)
    for values in (data["Reaction"], data["Days"], weights, offset):
        values[:] = 7
    pd.testing.assert_series_equal(m.fitted, fitted)
    np.testing.assert_array_equal(m.simulate(seed=1), simulated)
    assert m.refit_ml().criterion == pytest.approx(1751.93934446, abs=1e-6)
