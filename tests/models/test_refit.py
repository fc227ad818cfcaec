"""`refit` and `refit_ml` against fits from scratch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import lmer
from lmmsparse.errors import (
    ArgumentError,
    DataError,
    LmmWarning,
    PerfectFitWarning,
    SingularFitWarning,
)
from tests.fits import quietly

DAYS = "Reaction ~ Days + (Days|Subject)"
N = 180
# A refit begins where the fit ended: with this tolerance θ does not tell from where a search came.
TIGHT = {"tolerance": 1e-13}


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit(DAYS, "sleepstudy", control=TIGHT)


def assert_same_fit(first: Any, second: Any) -> None:
    # the searches come from different sides: where they end, rounding hides differences of the criterion below 1e-11,
    # hence of θ below a few 1e-6 of itself
    assert first.criterion == pytest.approx(second.criterion, abs=1e-8)
    np.testing.assert_allclose(first.theta, second.theta, rtol=5e-6, atol=1e-7)
    np.testing.assert_allclose(first.fixef, second.fixef, rtol=1e-7)
    np.testing.assert_allclose(first.bse, second.bse, rtol=1e-6)
    assert first.sigma == pytest.approx(second.sigma, rel=1e-6)
    for of in (lambda m: m.fitted, lambda m: m.resid("scaled"), lambda m: m.hatvalues()):
        pd.testing.assert_series_equal(of(first), of(second), rtol=5e-6, atol=5e-6)


def first(value: Any, rest: Any = 1.0) -> np.ndarray:
    """N values, of which the third differs."""
    values = np.full(N, rest, dtype=np.result_type(type(value), type(rest)))
    values[2] = value
    return values


ARGUMENTS: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "ML": {"REML": False},
    "weights": {"weights": np.tile(np.arange(1.0, 6.0), 36)},
    "offset": {"offset": np.linspace(-300.0, 300.0, N)},
    "subset": {"subset": np.arange(N) % 7 > 0},
    "all of them": {
        "REML": False,
        "weights": np.where(np.arange(N) % 11 == 0, 0.0, 1.0 + np.arange(N) % 4),
        "offset": np.linspace(-300.0, 300.0, N),
        "subset": np.arange(N) % 7 > 0,
        "na_action": "exclude",
    },
}


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("formula", [DAYS, "Reaction ~ Days + offset(5 * Days) + (1|Subject) + (1|Days)"])
def test_refit_equals_a_fit_from_scratch(name: str, formula: str, sleep: pd.DataFrame) -> None:
    arguments = {"control": TIGHT, **ARGUMENTS[name]}
    m = quietly(formula, sleep, **arguments)
    rng = np.random.default_rng(4)
    new = 1e3 + 20.0 * sleep["Days"] + 30.0 * rng.normal(size=18)[np.arange(N) // 10] + 5.0 * rng.normal(size=N)
    scratch = quietly(formula, sleep.assign(Reaction=new), **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        refit = m.refit(new[m.frame.rows])
    assert_same_fit(refit, scratch)
    assert refit.is_reml == m.is_reml
    assert refit.nobs == m.nobs
    pd.testing.assert_series_equal(refit.predict(), refit.fitted, check_names=False)


def test_refit_of_the_same_response_changes_nothing(model: Any, sleep: pd.DataFrame) -> None:
    assert_same_fit(model.refit(sleep["Reaction"]), model)


def test_refit_leaves_the_model_alone(model: Any) -> None:
    before = model.criterion, model.fitted.copy(), model.getme("y")
    model.refit(model.simulate(seed=1)[:, 0])
    assert model.criterion == before[0]
    pd.testing.assert_series_equal(model.fitted, before[1])
    np.testing.assert_array_equal(model.getme("y"), before[2])


def test_a_refit_of_a_refit(model: Any, sleep: pd.DataFrame) -> None:
    draws = model.simulate(2, seed=3)
    assert_same_fit(model.refit(draws[:, 0]).refit(draws[:, 1]), model.refit(draws[:, 1]))
    assert_same_fit(model.refit(draws[:, 0]).refit(sleep["Reaction"]), model)


@pytest.mark.parametrize(
    "wrap",
    [list, pd.Series, pl.Series, pa.array, lambda y: y[:, None], lambda y: y.astype(object)],
    ids=["list", "pandas", "polars", "pyarrow", "one column", "objects"],
)
def test_any_vector_of_numbers_is_a_response(wrap: Callable[[np.ndarray], Any], model: Any) -> None:
    y = model.simulate(seed=2)[:, 0]
    assert model.refit(wrap(y)).criterion == model.refit(y).criterion


def test_the_response_of_a_transformed_model_is_the_transformed_one(fit: Callable[..., Any]) -> None:
    m = fit("log(Reaction) ~ Days + (1|Subject)", "sleepstudy")
    assert_same_fit(m.refit(m.getme("y")), m)


def test_refit_warns_of_what_is_special_about_the_new_response(model: Any, sleep: pd.DataFrame) -> None:
    noise = np.random.default_rng(0).normal(size=N)
    with pytest.warns(SingularFitWarning):
        assert model.refit(noise).is_singular()
    with pytest.warns(PerfectFitWarning):
        exact = model.refit(1.0 + 2.0 * sleep["Days"])
    assert exact.fixef.tolist() == pytest.approx([1.0, 2.0])


# -- by maximum likelihood -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARGUMENTS)
def test_refit_by_maximum_likelihood(name: str, sleep: pd.DataFrame) -> None:
    arguments = {**ARGUMENTS[name], "REML": True}
    m = lmer(DAYS, sleep, **arguments)
    ml = m.refit_ml()
    assert not ml.is_reml and m.is_reml
    assert_same_fit(ml, lmer(DAYS, sleep, **{**arguments, "REML": False}))
    assert ml.criterion <= m.deviance


def test_refit_by_maximum_likelihood_of_an_ml_fit_is_the_fit(fit: Callable[..., Any]) -> None:
    m = fit(DAYS, "sleepstudy", REML=False)
    assert m.refit_ml() is m


def test_published_ml_criterion(model: Any) -> None:
    assert model.refit_ml().criterion == pytest.approx(1751.93934446, abs=1e-6)


def test_a_refit_by_ml_needs_its_offset_again_for_new_data(sleep: pd.DataFrame) -> None:
    ml = lmer(DAYS, sleep, offset=3.0 * sleep["Days"]).refit_ml()
    some = sleep.iloc[:2]
    np.testing.assert_allclose(ml.predict(some, offset=3.0 * some["Days"]), ml.fitted.iloc[:2])
    with pytest.raises(ValueError, match="offset"):
        ml.predict(some)


# -- what cannot be fitted --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (np.arange(N - 1.0), r"shape \(179,\), but the fit has 180 rows"),
        (np.arange(N + 1.0), r"shape \(181,\), but the fit has 180 rows; give it without those that"),
        (np.ones((N, 2)), r"shape \(180, 2\).*; refit_many takes"),
        (3.0, "shape"),
        (None, "shape"),
        (first(np.nan, 250.0), "missing or infinite in 1 rows, first in row 2"),
        (first(np.inf, 250.0), "missing or infinite in 1 rows, first in row 2"),
        (np.full(N, "a"), "not numeric"),
        (np.arange(N) * 1j, "not numeric"),
        (pd.date_range("2024-01-01", periods=N), "not numeric"),
        (np.ma.array(np.arange(N), mask=np.arange(N) == 2, dtype=float), "missing or infinite"),
    ],
)
def test_a_new_response_that_cannot_be_fitted(response: Any, message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=f"new response.*{message}"):
        model.refit(response)


def test_a_constant_new_response(model: Any) -> None:
    with pytest.raises(DataError, match="constant"):
        model.refit(np.full(N, 4.0))


def test_constant_means_constant_less_the_offset(sleep: pd.DataFrame) -> None:
    offset = 3.0 * sleep["Days"]
    m = lmer("Reaction ~ Days + (1|Subject)", sleep, offset=offset)
    with pytest.raises(DataError, match="offset"):
        m.refit(5.0 + offset)
    with pytest.warns(PerfectFitWarning):  # the offset is taken back by the slope
        assert m.refit(np.full(N, 5.0)).fixef["Days"] == pytest.approx(-3.0)
