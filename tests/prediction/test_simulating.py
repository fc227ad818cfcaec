"""Responses drawn for new rows: their moments against dense covariance matrices, levels that share draws, and seeds.

The moments of 4000 draws are compared in standard errors of the estimate; seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, NewDataError

Float = NDArray[np.float64]
DAYS = "Reaction ~ Days + (Days|Subject)"
DRAWS = 4000


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit(DAYS, "sleepstudy")


@pytest.fixture
def nested(fit: Callable[..., Any]) -> Any:
    return fit("strength ~ 1 + (1|batch/cask)", "Pastes")


def assert_moments(draws: Float, mean: Float, covariance: Float) -> None:
    spread = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(axis=1) - mean) / spread * np.sqrt(DRAWS)).max() < 4.5
    found = np.cov(draws)
    error = np.sqrt((np.outer(spread, spread) ** 2 + covariance**2) / DRAWS)
    assert np.abs((found - covariance) / error).max() < 4.5


def slopes_covariance(m: Any, new: pd.DataFrame) -> Float:
    Z = np.column_stack([np.ones(len(new)), new["Days"]])
    same = new["Subject"].to_numpy()[:, None] == new["Subject"].to_numpy()
    return Z @ m.varcorr["Subject"].covariance @ Z.T * same


def test_known_and_new_levels_are_drawn(model: Any) -> None:
    subjects = ["308", "x", "x", "y", "308", "309"]
    new = pd.DataFrame({"Days": [0.0, 1.0, 5.0, 5.0, 9.0, 2.0], "Subject": subjects})
    w = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 1.0])
    V = slopes_covariance(model, new) + np.diag(model.sigma**2 / w)
    draws = model.simulate(DRAWS, seed=1, newdata=new, weights=w, offset=7.0)
    assert_moments(draws, model.predict(new, re_form=0).to_numpy() + 7.0, V)


def test_known_levels_are_kept_and_new_ones_drawn(model: Any) -> None:
    subjects = ["308", "x", "x", "308"]
    new = pd.DataFrame({"Days": [0.0, 1.0, 5.0, 9.0], "Subject": subjects})
    V = slopes_covariance(model, new)
    V[[0, 3]] = V[:, [0, 3]] = 0.0
    draws = model.simulate(DRAWS, seed=2, newdata=new, use_u=True, allow_new_levels=True)
    assert_moments(draws, model.predict(new, allow_new_levels=True).to_numpy(), V + model.sigma**2 * np.eye(4))
    with pytest.raises(NewDataError, match="new levels detected"):
        model.simulate(newdata=new, use_u=True)


def test_some_random_effects_are_kept(nested: Any) -> None:
    new = pd.DataFrame({"batch": ["A", "A", "B", "Z"], "cask": ["a", "b", "a", "a"]})
    draws = nested.simulate(DRAWS, seed=3, newdata=new, re_form="~(1|batch)", allow_new_levels=True)
    cask, batch = (float(nested.varcorr[name].covariance[0, 0]) for name in ("cask:batch", "batch"))
    V = (nested.sigma**2 + cask) * np.eye(4)
    V[3, 3] += batch
    mean = nested.predict(new, re_form="~(1|batch)", allow_new_levels=True).to_numpy()
    assert_moments(draws, mean, V)


def test_a_part_of_a_term_is_kept(model: Any, dataset: Callable[[str], pd.DataFrame]) -> None:
    rows = dataset("sleepstudy").iloc[:4]
    draws = model.simulate(DRAWS, seed=4, re_form="~(0 + Days|Subject)")[:4]
    V = model.sigma**2 * np.eye(4) + model.varcorr["Subject"].covariance[0, 0]
    assert_moments(draws, model.predict(rows, re_form="~(0 + Days|Subject)").to_numpy(), V)


def test_new_levels_of_interactions_are_told_apart(nested: Any) -> None:
    batches, casks = ["A", "A", "Y", "Y", "Z", "Z", "A", "A"], ["a", "q", "a", "b", "a", "a", "q", None]
    new = pd.DataFrame({"batch": batches, "cask": casks})
    codes = nested.frame.spec.codes(new, "cask:batch", number_new=True)
    assert codes[0] == 0
    assert codes[7] == -1
    assert (codes[1:7] >= 30).all()
    assert [codes[i] == codes[j] for i, j in [(1, 6), (4, 5), (2, 4), (2, 3), (1, 2)]] == [True, True, *[False] * 3]
    assert sorted(set(codes[1:7].tolist())) == [30, 31, 32, 33]


def test_missing_variables_and_levels_give_missing_responses(model: Any) -> None:
    new = {"Days": [1.0, np.nan, 2.0], "Subject": ["308", "308", None]}
    draws = model.simulate(3, seed=5, newdata=new)
    assert np.isnan(draws[1:]).all()
    assert np.isfinite(draws[0]).all()


def test_rows_of_the_fit_as_new_rows_have_the_same_moments_and_kept_effects_the_same_draws(
    model: Any, dataset: Callable[[str], pd.DataFrame]
) -> None:
    sleep = dataset("sleepstudy")
    own = model.simulate(2, seed=6, use_u=True)
    assert_allclose(model.simulate(2, seed=6, use_u=True, newdata=sleep), own, rtol=1e-12)
    assert_allclose(model.simulate(2, seed=6, newdata=sleep), model.simulate(2, seed=6), rtol=1e-12)


def test_the_same_numbers_as_before_new_rows_could_be_drawn(model: Any) -> None:
    """One generator, the errors first, then the effects of the terms in order."""
    rng = np.random.default_rng(42)
    noise = model.sigma * rng.standard_normal(180)
    b = model.sigma * rng.standard_normal((18, 2)) @ model.estimates.templates[0].T
    term = model.terms[0]
    want = model.predict(re_form=0).to_numpy() + noise + (term.columns * b[term.codes]).sum(axis=1)
    assert_allclose(model.simulate(seed=42)[:, 0], want, rtol=1e-12)
    assert_array_equal(model.simulate(seed=42, re_form=0), model.simulate(seed=42))
    rng = np.random.default_rng(42)
    kept = model.fitted.to_numpy() + model.sigma * rng.standard_normal(180)
    assert_allclose(model.simulate(seed=42, use_u=True)[:, 0], kept, rtol=1e-12)


def test_a_new_design_in_another_library(model: Any) -> None:
    import polars as pl

    new = {"Days": [0.0, 1.0], "Subject": ["a", "b"]}
    assert_array_equal(model.simulate(2, seed=1, newdata=pl.DataFrame(new)), model.simulate(2, seed=1, newdata=new))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_u": True, "re_form": 0}, "give one of the two"),
        ({"re_form": "~(1|nobody)"}, "no random effects"),
        ({"offset": 1.0}, "offset goes with newdata"),
        ({"weights": 1.0}, "weights goes with newdata"),
        ({"newdata": {"Days": [1.0]}}, "lacks the column 'Subject'"),
        ({"newdata": {"Days": [1.0, 2.0], "Subject": ["a", "b"]}, "offset": [1.0]}, "offset has 1 values"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], message: str, model: Any) -> None:
    with pytest.raises((ArgumentError, NewDataError), match=message):
        model.simulate(**arguments)


def test_an_offset_argument_is_asked_for_again(dataset: Callable[[str], pd.DataFrame]) -> None:
    sleep = dataset("sleepstudy")
    m = lmer(DAYS, sleep, offset=3.0 * sleep["Days"])
    with pytest.raises(NewDataError, match=r"simulate\(newdata, offset=\.\.\.\)"):
        m.simulate(newdata=sleep)


# -- coverage --------------------------------------------------------------------------------------------------------


def test_coverage_of_intervals() -> None:
    """200 data sets of 20 groups of 5; the Monte Carlo error is about half a percent."""
    rng = np.random.default_rng(9)
    g, x = np.repeat(np.arange(20), 5), rng.normal(size=100)
    data = pd.DataFrame({"g": g, "x": x, "y": rng.normal(size=20)[g] + rng.normal(size=100)})
    m, hits = lmer("y ~ x + (1|g)", data), np.zeros(3)
    new = data.iloc[::5]
    for _ in range(200):
        b = rng.normal(size=20)
        mean = 1.0 + 0.5 * x + b[g]
        one = m.refit(mean + rng.normal(size=100))
        other = 1.0 + 0.5 * new["x"] + rng.normal(size=20) + rng.normal(size=20)
        again = mean[::5] + rng.normal(size=20)
        found = (
            (one.predict(interval="confidence"), mean),
            (one.predict(new, interval="prediction"), again),
            (one.predict(new, re_form=0, interval="prediction"), other),
        )
        hits += [np.mean((p["conf_low"] <= truth) & (truth <= p["conf_high"])) / 200 for p, truth in found]
    assert_allclose(hits, 0.95, atol=0.015)


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_without_any_level_are_missing(model: Any, rows: int) -> None:
    new = pd.DataFrame({"Days": [1.0] * rows, "Subject": pd.Series([None] * rows, dtype=object)})
    assert np.isnan(model.simulate(3, seed=1, newdata=new)).all()
    assert np.isnan(model.simulate(3, seed=1, newdata=new, use_u=True, allow_new_levels=True)).all()
    first = pd.concat([pd.DataFrame({"Days": [1.0], "Subject": ["new"]}), new])
    assert_array_equal(np.isnan(model.simulate(1, seed=1, newdata=first))[:, 0], [False] + [True] * rows)
