"""What predict and ranef take and give: frames, missing rows, weights, boundaries, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, DataError, LmmError, NewDataError
from lmmsparse.inference.kenward_roger import kr_test
from tests.fits import quietly
from tests.prediction.dense import Equations, rows_of_Z

Dataset = Callable[[str], pd.DataFrame]
Fit = Callable[..., Any]

DAYS = "Reaction ~ Days + (Days|Subject)"
COLUMNS = ["predicted", "std_error", "df", "conf_low", "conf_high"]


@pytest.fixture
def model(fit: Fit) -> Any:
    return fit(DAYS, "sleepstudy")


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_known_values(model: Any) -> None:
    modes, covariances = model.ranef(cond_var=True)["Subject"]
    assert_allclose(covariances[0], [[145.7056, -21.4445], [-21.4445, 5.31228]], rtol=1e-5)
    assert model.hatvalues().iloc[0] == pytest.approx(0.229304, abs=2e-6)
    new = {"Days": [20.0, 0.0], "Subject": ["no such subject", "308"]}
    assert model.predict(new, allow_new_levels=True).tolist() == pytest.approx([460.750824, 253.66366], abs=1e-4)
    assert model.ranef(pred_var=True)["Subject"][1][0, 0, 0] > covariances[0, 0, 0]
    assert modes.loc["308", "Days"] == pytest.approx(9.1989758)


def test_the_interval_of_a_new_cluster_adds_the_variance_of_its_effects(model: Any) -> None:
    got = model.predict({"Days": [3.0]}, re_form=0, interval="prediction", ddf=None)
    x = np.array([1.0, 3.0])
    total = x @ (model.vcov().to_numpy() + model.varcorr["Subject"].covariance) @ x + model.sigma**2
    assert got["conf_high"][0] - got["predicted"][0] == pytest.approx(1.959963984540054 * np.sqrt(total))
    assert got["df"][0] == np.inf
    new = model.predict({"Days": [3.0], "Subject": ["x"]}, allow_new_levels=True, interval="prediction", ddf=None)
    assert_allclose(new[["conf_low", "conf_high"]], got[["conf_low", "conf_high"]])


def test_leverages_are_variances_of_the_fitted_means(fit: Fit) -> None:
    m = fit("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin")
    assert_allclose((m.predict(se=True)["std_error"] / m.sigma) ** 2, m.hatvalues(), rtol=1e-10)


def test_kenward_roger_row_by_row(fit: Fit, dataset: Dataset) -> None:
    m = fit("angle ~ recipe * temp + (1|recipe:replicate)", "cake", subset=np.arange(270) % 7 != 0)
    got = m.predict(dataset("cake").iloc[::40], re_form=0, interval="confidence", ddf="kenward-roger")
    for row, df in zip(m.frame.spec.fixed(dataset("cake").iloc[::40]), got["df"], strict=True):
        assert df == pytest.approx(kr_test(row[None], m.estimates.beta, m.kenward_roger).den_df, rel=1e-8)


SINGULAR = {
    "Yield ~ 1 + (1|Batch)": "Dyestuff2",
    "angle ~ temp + (0+recipe|replicate)": "cake",
    "angle ~ temp + (recipe|replicate)": "cake",
}


@pytest.mark.parametrize("formula", SINGULAR)
def test_boundary(formula: str, fit: Fit) -> None:
    m = fit(formula, SINGULAR[formula])
    assert m.is_singular()
    Z = rows_of_Z(m, [term.codes for term in m.terms], [term.columns for term in m.terms])
    want = m.sigma * np.sqrt(Equations(m).variance(m.frame.X, Z))
    for interval in ("confidence", "prediction"):
        got = m.predict(interval=interval)
        assert_allclose(got["std_error"], want, rtol=1e-6)
        assert np.isfinite(got).all().all()
        assert (got["df"] >= 1.0).all()


def test_a_variance_of_zero_leaves_least_squares(fit: Fit) -> None:
    m = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2")
    got = m.predict(interval="confidence")
    assert_allclose(got["std_error"], m.sigma / np.sqrt(30), rtol=1e-6)
    assert_allclose(got["df"], 29.0, rtol=1e-4)


def test_a_variance_that_is_hardly_known_has_one_degree_of_freedom_at_least() -> None:
    rng = np.random.default_rng(61)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 4)})
    for _ in range(40):
        data["y"] = rng.normal(size=80)
        m = quietly("y ~ 1 + (1|g)", data)
        if 0.0 < m.theta[0] < 0.15:
            break
    assert 0.0 < m.theta[0] < 0.15
    got = m.predict({"g": [99]}, allow_new_levels=True, interval="confidence")
    assert got["df"][0] == 1.0


def test_a_perfect_fit(sleep: pd.DataFrame) -> None:
    m = quietly("y ~ Days + (1|Subject)", sleep.assign(y=2.0 * sleep["Days"]))
    got = m.predict(interval="confidence")
    assert_allclose(got["predicted"], 2.0 * sleep["Days"], atol=1e-9)
    assert got[["df", "conf_low", "conf_high"]].isna().all().all()


def test_units_do_not_matter(sleep: pd.DataFrame, model: Any) -> None:
    other = quietly("y ~ t + (t|Subject)", sleep.assign(y=1e6 * sleep["Reaction"] - 1e9, t=2000 + 1e-3 * sleep["Days"]))
    for interval in ("confidence", "prediction"):
        got, want = other.predict(interval=interval), model.predict(interval=interval)
        assert_allclose(got["std_error"], 1e6 * want["std_error"], rtol=1e-5)
        assert_allclose(got["df"], want["df"], rtol=1e-3)


# -- frames ----------------------------------------------------------------------------------------------------------


def test_a_series_without_errors_and_a_frame_with_them(model: Any, sleep: pd.DataFrame) -> None:
    assert isinstance(model.predict(), pd.Series)
    assert model.predict(sleep).name == "predicted"
    assert list(model.predict(se=True)) == COLUMNS[:2]
    for interval in ("confidence", "prediction"):
        assert list(model.predict(sleep, interval=interval)) == COLUMNS


@pytest.mark.parametrize("convert", [pl.from_pandas, lambda d: pa.Table.from_pandas(d, preserve_index=False)])
def test_frames_in_the_library_of_the_new_data(convert: Any, sleep: pd.DataFrame, model: Any) -> None:
    sleep = sleep.astype({"Subject": str})
    native = convert(sleep)
    want = model.predict(interval="confidence")
    got = model.predict(native, interval="confidence")
    assert isinstance(got, type(native))
    assert isinstance(lmer(DAYS, native).predict(se=True), type(native))
    assert isinstance(lmer(DAYS, native).predict({"Days": [1], "Subject": ["308"]}, se=True), type(native))
    for name in COLUMNS:
        assert_allclose(np.asarray(got[name]), want[name], rtol=1e-8)


def test_row_labels(model: Any, sleep: pd.DataFrame) -> None:
    rows = sleep.iloc[[5, 5, 100]].set_index(pd.Index(["a", "b", "a"]))
    pd.testing.assert_index_equal(model.predict(rows, interval="prediction").index, rows.index)


def test_excluded_rows_are_missing(sleep: pd.DataFrame) -> None:
    sleep.loc[3, "Reaction"] = np.nan
    got = lmer(DAYS, sleep, na_action="exclude").predict(interval="confidence")
    assert len(got) == 180
    assert got.index[got.isna().any(axis=1)].tolist() == [3]
    assert len(lmer(DAYS, sleep).predict(se=True)) == 179


def test_missing_variables_make_single_rows_missing(model: Any) -> None:
    new = pd.DataFrame({"Days": [1.0, np.nan, 3.0], "Subject": ["308", "309", "310"]})
    got, want = model.predict(new, interval="prediction"), model.predict(new.iloc[[0, 2]], interval="prediction")
    assert got.iloc[1].isna().all()
    assert_allclose(got.iloc[[0, 2]], want, rtol=1e-12)
    assert model.predict(new, interval="prediction", ddf=None).iloc[1].isna().all()


@pytest.mark.parametrize("empty", [{"Days": [], "Subject": []}, pd.DataFrame({"Days": [], "Subject": []})])
def test_no_rows_give_no_rows(empty: Any, model: Any) -> None:
    assert model.predict(empty).shape == (0,)
    assert model.predict(empty, se=True).shape == (0, 2)
    for re_form in (None, 0):
        assert model.predict(empty, interval="prediction", re_form=re_form).shape == (0, 5)
    assert model.predict(empty, interval="confidence", re_form=0, ddf="kenward-roger").shape == (0, 5)
    assert model.simulate(2, newdata=empty).shape == (0, 2)
    with pytest.raises(NewDataError, match="lacks the column 'Subject'"):
        model.predict({"Days": []})


def test_offsets_move_the_limits(sleep: pd.DataFrame, model: Any) -> None:
    got = model.predict(sleep.iloc[:3], interval="confidence", offset=[10.0, 20.0, 30.0])
    want = model.predict(interval="confidence").iloc[:3]
    assert_allclose(got["conf_low"] - want["conf_low"], [10.0, 20.0, 30.0])
    assert_allclose(got["std_error"], want["std_error"], rtol=1e-9)


def test_weights_of_new_observations(sleep: pd.DataFrame) -> None:
    w = np.resize([0.5, 1.0, 4.0], 180)
    m = lmer(DAYS, sleep, weights=w)
    own = m.predict(interval="prediction")
    assert_allclose(m.predict(sleep, interval="prediction", weights=w), own, rtol=1e-9)
    half = own["conf_high"] - own["predicted"]
    other = m.predict(sleep, interval="prediction", ddf=None, weights=1e12)
    certain = m.predict(sleep, interval="confidence", ddf=None)
    assert_allclose(other["conf_low"], certain["conf_low"], rtol=1e-6)
    unit = m.predict(sleep, interval="prediction")
    assert (unit["conf_high"] - unit["predicted"] < half)[w < 1].all()


def test_columns_that_are_needed(fit: Fit) -> None:
    m = fit("angle ~ temp + (temp|replicate) + (1|recipe)", "cake")
    assert m.predict({"temp": [200.0]}, re_form=0, interval="confidence").shape == (1, 5)
    assert m.predict({"temp": [200.0]}, re_form=0, interval="prediction").shape == (1, 5)
    with pytest.raises(NewDataError, match="lacks the column 'recipe'"):
        m.predict({"temp": [200.0]}, re_form="~(1|recipe)", se=True)
    m = fit("angle ~ 1 + (temp|replicate)", "cake")
    with pytest.raises(NewDataError, match="lacks the column 'temp'"):
        m.predict({"replicate": [1]}, re_form=0, interval="prediction")


def test_re_form_names_structures_or_leaves_them_out(fit: Fit) -> None:
    m, rows = fit("angle ~ temp + diag(temp|replicate)", "cake"), {"temp": [200.0], "replicate": [1]}
    for re_form in ("~ diag(1 + temp | replicate)", "~ (temp || replicate)", "~ us(temp | replicate)"):
        assert m.predict(rows, re_form=re_form)[0] == m.predict(rows)[0]
    with pytest.raises(ArgumentError, match=r"no random effects \(Intercept\), log\(temp\) for replicate; it has"):
        m.predict(rows, re_form="~ (log(temp) | replicate)")


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "tolerance"}, "interval must be 'confidence', 'prediction' or None, got 'tolerance'"),
        ({"interval": True}, "interval must be"),
        ({"interval": "confidence", "level": 1.0}, "level must be a number between 0 and 1"),
        ({"interval": "confidence", "level": 95}, "level must be"),
        ({"level": "0.9"}, "level must be"),
        ({"se": "yes"}, "se must be True or False"),
        ({"se": True, "ddf": "kr"}, "ddf must be"),
        ({"se": True, "ddf": "kenward-roger"}, "functions of the fixed effects, with re_form=0"),
        ({"interval": "prediction", "ddf": "kenward-roger", "re_form": 0}, "no prediction interval"),
        ({"interval": "confidence", "re_form": "~(1|nobody)"}, "no random effects"),
        ({"interval": "prediction", "weights": np.ones(180)}, "weights goes with newdata"),
        ({"offset": 1.0}, "offset goes with newdata"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.predict(**arguments)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "weights has 1 values, newdata 2 rows"),
        ([1.0, -1.0], "positive and finite, got -1 in row 1"),
        ([0.0, 1.0], "positive and finite, got 0 in row 0"),
        ([1.0, np.nan], "positive and finite, got nan in row 1"),
        (["a", "b"], "weights must be numbers"),
    ],
)
def test_weights_that_are_refused(weights: Any, message: str, model: Any) -> None:
    new = {"Days": [1.0, 2.0], "Subject": ["308", "309"]}
    with pytest.raises(ArgumentError, match=message):
        model.predict(new, interval="prediction", weights=weights)
    with pytest.raises(ArgumentError, match=message):
        model.simulate(newdata=new, weights=weights)


def test_kenward_roger_of_an_ml_fit_is_refused(model: Any) -> None:
    with pytest.raises(ArgumentError, match="needs a REML fit"):
        model.refit_ml().predict(re_form=0, interval="confidence", ddf="kenward-roger")


def test_new_levels_are_refused(model: Any) -> None:
    with pytest.raises(NewDataError, match="new levels detected in newdata"):
        model.predict({"Days": [1.0], "Subject": ["x"]}, interval="confidence")


def test_two_kinds_of_covariances_are_refused(model: Any) -> None:
    with pytest.raises(LmmError, match="ask for one of them"):
        model.ranef(cond_var=True, pred_var=True)


@pytest.mark.parametrize("name", ["weights", "offset"])
def test_a_series_in_another_order_than_the_new_rows_is_refused(model: Any, name: str) -> None:
    new = pd.DataFrame({"Days": [0.0, 5.0], "Subject": ["308", "309"]}, index=[10, 11])
    values = pd.Series([1.0, 9.0], index=[10, 11])
    for method in (lambda **named: model.predict(new, interval="prediction", **named), model_draws(model, new)):
        by_position = method(**{name: values.to_numpy()})
        assert_allclose(method(**{name: values}), by_position)
        with pytest.raises(DataError, match=f"{name} is a Series whose index differs"):
            method(**{name: values[::-1]})


def model_draws(model: Any, new: pd.DataFrame) -> Callable[..., Any]:
    return lambda **named: model.simulate(2, seed=1, newdata=new, **named)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_flags_are_true_or_false(model: Any, value: Any) -> None:
    new = {"Days": [0.0], "Subject": ["308"]}
    for name, method in {
        "se": lambda **named: model.predict(new, **named),
        "allow_new_levels": lambda **named: model.predict(new, **named),
        "use_u": lambda **named: model.simulate(**named),
        "cond_var": lambda **named: model.ranef(**named),
        "pred_var": lambda **named: model.ranef(**named),
    }.items():
        with pytest.raises(ArgumentError, match=f"{name} must be True or False"):
            method(**{name: value})
    with pytest.raises(ArgumentError, match="allow_new_levels must be True or False"):
        model.simulate(newdata=new, allow_new_levels=value)


def test_weights_and_offsets_of_new_rows_may_be_columns(sleep: pd.DataFrame) -> None:
    data = sleep.assign(o=np.linspace(0.0, 5.0, len(sleep)), w=np.linspace(1.0, 2.0, len(sleep)))
    m = lmer(DAYS, data, offset="o", weights="w")
    expected = m.predict(interval="prediction")
    found = m.predict(data, interval="prediction", weights="w")
    assert_allclose(found, expected, rtol=1e-9)
    assert_allclose(m.predict(data.drop(columns="o"), offset=data["o"]), expected["predicted"], rtol=1e-12)
    assert_allclose(m.predict(data, offset=0.0), expected["predicted"] - data["o"], rtol=1e-12)
    assert np.isnan(m.predict(data.assign(o=data["o"].where(data.index != 3)))[3])
    assert m.simulate(1, seed=1, newdata=data, weights="w").shape == (len(data), 1)
    with pytest.raises(NewDataError, match="fitted with an offset argument"):
        m.predict(data.drop(columns="o"))
    with pytest.raises(NewDataError, match="lacks the column 'v', which weights names"):
        m.predict(data, interval="prediction", weights="v")


def test_rows_of_the_model_matrix(fit: Fit, dataset: Dataset) -> None:
    cake = dataset("cake")
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake")
    X = m.model_matrix_of(cake[::-1])
    assert_allclose(X.loc[m.model_matrix.index], m.model_matrix, rtol=1e-14)
    assert list(X.columns) == list(m.fixef.index)
    assert_allclose(X @ m.fixef, m.predict(cake[::-1], re_form=0), rtol=1e-12)
    assert m.model_matrix_of(cake[:0]).shape == (0, 6)
    with pytest.raises(NewDataError, match="lacks the column 'temp'"):
        m.model_matrix_of({"recipe": ["A"]})
    with pytest.raises(NewDataError, match="recipe"):
        m.model_matrix_of({"recipe": ["Z"], "temp": [175.0]})
