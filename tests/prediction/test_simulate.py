"""Simulated responses: their moments against the dense covariance matrix, and their seeds.

The moments of 4000 draws are compared entry by entry in standard errors of the estimate, so that a wrong factor of the
covariance, a forgotten weight or a swapped level shows at once.  Seeds are fixed: the tests do not fail by chance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, LmmWarning

DAYS = "Reaction ~ Days + (Days|Subject)"
DRAWS = 4000
LARGEST = 5.0  # standard errors; the largest of some thousand normal deviates exceeds it once in a thousand times


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit(DAYS, "sleepstudy")


@pytest.fixture(scope="module")
def crossed() -> tuple[Any, pd.DataFrame]:
    """A fit with weights, two offsets, crossed factors and slopes, to 72 rows in a shuffled order."""
    rng = np.random.default_rng(3)
    rows = [(g, h, r) for g in "abcdef" for h in (1, 2, 3) for r in range(4)]
    d = pd.DataFrame(rows, columns=["g", "h", "r"]).sample(frac=1.0, random_state=1)
    d["x"], d["w"] = rng.normal(size=72), rng.uniform(0.3, 4.0, 72)
    effects = rng.normal(size=(6, 2)) @ np.array([[2.0, 0.8], [0.0, 1.5]])
    group = d["g"].map("abcdef".index).to_numpy()
    d["y"] = effects[group, 0] + effects[group, 1] * d["x"] + 1.5 * d["h"] + 3 * d["x"]
    d["y"] += rng.normal(size=72) / np.sqrt(d["w"]) + d["r"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ x + offset(0.5 * r) + (x|g) + (1|h)", d, weights="w", offset=0.5 * d["r"])
    assert (m.theta[[0, 2, 3]] > 0.2).all()
    return m, d


def covariance(m: Any, d: pd.DataFrame) -> np.ndarray:
    """σ² (W⁻¹ + Σ_t over pairs of rows of one level z_i λλᵀ z_j)."""
    same = {"g": np.equal.outer(d["g"].to_numpy(), d["g"].to_numpy())}
    same["h"] = np.equal.outer(d["h"].to_numpy(), d["h"].to_numpy())
    columns = {"g": np.column_stack([np.ones(72), d["x"]]), "h": np.ones((72, 1))}
    V = np.diag(m.sigma**2 / d["w"].to_numpy())
    for group in ("g", "h"):
        V += same[group] * (columns[group] @ m.varcorr[group].covariance @ columns[group].T)
    return V


def assert_moments(draws: np.ndarray, mean: Any, V: np.ndarray) -> None:
    count = draws.shape[1]
    variances = np.diag(V)
    z = (draws.mean(axis=1) - np.asarray(mean)) / np.sqrt(variances / count)
    assert np.abs(z).max() < LARGEST
    deviations = draws - np.asarray(mean)[:, None]
    z = deviations @ deviations.T / count - V
    z /= np.sqrt((np.outer(variances, variances) + V**2) / count)
    assert np.abs(z).max() < LARGEST
    # an honest simulation has deviations of about one standard error; those of one of its few levels go together
    assert 0.3 < (z**2).mean() < 3.0


def test_moments_of_new_random_effects(crossed: tuple[Any, pd.DataFrame]) -> None:
    m, d = crossed
    mean = m.fixef["(Intercept)"] + m.fixef["x"] * d["x"] + d["r"]
    assert_moments(m.simulate(DRAWS, seed=1), mean, covariance(m, d))


def test_moments_given_the_random_effects(crossed: tuple[Any, pd.DataFrame]) -> None:
    m, d = crossed
    assert_moments(m.simulate(DRAWS, seed=2, use_u=True), m.fitted, np.diag(m.sigma**2 / d["w"]))


def test_uncorrelated_slopes_and_a_zero_variance(fit: Callable[..., Any], dataset: Callable[..., pd.DataFrame]) -> None:
    days = dataset("sleepstudy")["Days"].to_numpy(float)[:10]
    m = fit("Reaction ~ Days + (Days||Subject)", "sleepstudy")
    draws = m.simulate(DRAWS, seed=5)[:10]
    intercept, slope = np.diag(m.varcorr["Subject"].covariance)
    mean = m.fixef["(Intercept)"] + m.fixef["Days"] * days
    assert_moments(draws, mean, m.sigma**2 * np.eye(10) + intercept + slope * np.outer(days, days))
    singular = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2")
    V = singular.sigma**2 * np.eye(30)
    assert_moments(singular.simulate(DRAWS, seed=6), np.full(30, singular.fixef.iloc[0]), V)


def test_refits_of_simulated_responses_recover_the_parameters(model: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        refits = [model.refit(y) for y in model.simulate(100, seed=8).T]
    slopes = np.array([refit.fixef["Days"] for refit in refits])
    assert slopes.mean() == pytest.approx(model.fixef["Days"], abs=4 * model.bse["Days"] / 10)
    assert slopes.std() == pytest.approx(model.bse["Days"], rel=0.3)
    assert np.mean([refit.sigma for refit in refits]) == pytest.approx(model.sigma, rel=0.03)


def test_shape_and_order_of_draws(model: Any) -> None:
    draws = model.simulate(3, seed=11)
    assert draws.shape == (180, 3)
    assert model.simulate(seed=11).shape == (180, 1)
    assert len({tuple(column) for column in draws.T}) == 3


def test_rows_that_were_left_out_are_not_simulated(dataset: Callable[..., pd.DataFrame]) -> None:
    sleep = dataset("sleepstudy")
    sleep.loc[:2, "Reaction"] = np.nan
    m = lmer(DAYS, sleep, na_action="exclude")
    draws = m.simulate(2, seed=1)
    assert draws.shape == (177, 2)
    assert m.refit(draws[:, 0]).nobs == 177


def test_a_seed_gives_the_same_draws(model: Any) -> None:
    first = model.simulate(2, seed=42)
    np.testing.assert_array_equal(model.simulate(2, seed=42), first)
    np.testing.assert_array_equal(model.simulate(2, seed=np.random.default_rng(42)), first)
    assert not np.array_equal(model.simulate(2, seed=43), first)


def test_without_a_seed_draws_differ_and_numpys_state_is_left_alone(model: Any) -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert not np.array_equal(model.simulate(), model.simulate())
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_generator_goes_on_where_it_was(model: Any) -> None:
    rng = np.random.default_rng(1)
    first, second = model.simulate(seed=rng), model.simulate(seed=rng)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("nsim", [0, -1, 2.0, True, "2", None])
def test_number_of_simulations(nsim: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="nsim must be a positive integer"):
        model.simulate(nsim)


@pytest.mark.parametrize("seed", ["abc", -1, 1.5])
def test_seed_of_a_simulation(seed: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="seed"):
        model.simulate(1, seed=seed)
