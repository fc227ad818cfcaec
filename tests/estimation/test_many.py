"""Many responses at once against one refit each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, DataError, LmmWarning
from lmmsparse.estimation.fit import fit as fit_objective
from lmmsparse.estimation.many import Refits, refit_responses
from lmmsparse.numerics.threads import available_threads
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.small import Small
from tests.designs import no_small_models

DAYS = "Reaction ~ Days + (Days|Subject)"
N = 180

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "slopes": (DAYS, "sleepstudy", {}),
    "slopes by ML": (DAYS, "sleepstudy", {"REML": False}),
    "independent slopes": ("Reaction ~ Days + (Days||Subject)", "sleepstudy", {}),
    "crossed": ("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin", {}),
    "nested": ("strength ~ 1 + (1|batch/cask)", "Pastes", {"REML": False}),
    "six groups": ("Yield ~ 1 + (1|Batch)", "Dyestuff", {}),
    "many fixed effects": ("angle ~ recipe * temperature + (1|recipe:replicate)", "cake", {}),
    "no fixed effects": ("Reaction ~ 0 + (1|Subject)", "sleepstudy", {"REML": False}),
    "weights, offset": (
        "Reaction ~ Days + (1|Subject) + (1|Days)",
        "sleepstudy",
        {"weights": np.tile(np.arange(1.0, 6.0), 36), "offset": np.linspace(-300.0, 300.0, N)},
    ),
    "a subset": (
        DAYS,
        "sleepstudy",
        {"subset": np.arange(N) % 7 > 0, "weights": np.where(np.arange(N) % 11 == 0, 0.0, 1.0 + np.arange(N) % 4)},
    ),
}


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit(DAYS, "sleepstudy")


def refit(m: Any, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return m.refit(y)


def responses(m: Any, draws: int) -> np.ndarray:
    """Draws from the model, one without random effects, and the response of the fit."""
    noise = 5.0 + np.random.default_rng(0).normal(size=m.nobs)
    return np.column_stack([m.simulate(draws, seed=1), noise, m.getme("y")])


def assert_refits(m: Any, many: Refits, Y: np.ndarray) -> None:
    for i, y in enumerate(Y.T):
        one = refit(m, y)
        assert many.criterion[i] == pytest.approx(one.criterion, abs=1e-8 * max(1.0, abs(one.criterion) / 1e4))
        # both ends are within 1e-10 of the minimum of the criterion
        assert_allclose(many.theta[i], one.theta, rtol=1e-4, atol=2e-5)
        assert_allclose(many.beta[i], one.fixef, rtol=1e-5, atol=1e-5)
        assert_allclose(many.std_error[i], one.bse, rtol=1e-4)
        assert many.sigma[i] == pytest.approx(one.sigma, rel=1e-5)
        assert bool(many.singular[i]) == one.is_singular()
        assert bool(many.converged[i]) == one.converged


@pytest.mark.parametrize("name", MODELS)
def test_many_refits_are_refits(name: str, fit: Callable[..., Any]) -> None:
    formula, data, arguments = MODELS[name]
    m = fit(formula, data, **arguments)
    assert isinstance(m.objective.working.engine, Small)
    Y = responses(m, 4)
    many = m.refit_many(Y)
    assert_refits(m, many, Y)
    assert many.converged.all()
    assert many.evaluations.mean() < 12


@pytest.mark.parametrize("name", ["slopes", "crossed", "weights, offset"])
def test_a_warm_start_ends_where_a_cold_one_does(name: str, fit: Callable[..., Any]) -> None:
    formula, data, arguments = MODELS[name]
    m = fit(formula, data, **arguments)
    Y, objective = responses(m, 20), m.objective
    offset = 0.0 if m.frame.offset is None else m.frame.offset[:, None]
    warm = m.refit_many(Y)
    for start in (objective.to_user(objective.working.start()), 5.0 * m.theta, np.zeros_like(m.theta)):
        cold = refit_responses(objective, Y - offset, start, m.control)
        assert_allclose(cold.criterion, warm.criterion, rtol=0, atol=1e-8)
        assert_allclose(cold.theta, warm.theta, rtol=1e-3, atol=1e-4)
        assert_array_equal(cold.singular, warm.singular)


@pytest.mark.parametrize("name", ["slopes", "crossed", "weights, offset"])
def test_models_that_are_not_small_are_fitted_one_by_one(
    name: str, fit: Callable[..., Any], dataset: Callable[[str], pd.DataFrame]
) -> None:
    formula, data, arguments = MODELS[name]
    small = fit(formula, data, **arguments)
    Y = responses(small, 2)
    with no_small_models(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, dataset(data), **arguments)
        assert isinstance(m.objective.working.engine, Direct)
        many = m.refit_many(Y)
        assert_refits(m, many, Y)
    assert_allclose(many.criterion, small.refit_many(Y).criterion, rtol=0, atol=1e-7)


def test_a_larger_crossed_design() -> None:
    """Its core is dense, and too large to be evaluated in one call."""
    rng = np.random.default_rng(3)
    g, h = rng.integers(150, size=1500), rng.integers(120, size=1500)
    y = 0.8 * rng.normal(size=150)[g] + 0.6 * rng.normal(size=120)[h] + rng.normal(size=1500)
    m = lmer("y ~ 1 + (1|g) + (1|h)", pd.DataFrame({"y": y, "g": g, "h": h}))
    assert isinstance(m.objective.working.engine, Direct) and m.optinfo.plan.core.kind == "dense"
    Y = m.simulate(2, seed=2)
    many = m.refit_many(Y)
    assert_refits(m, many, Y)
    assert many.evaluations.max() <= 8


@pytest.mark.parametrize("optimizer", ["newton", "cobyqa"])
def test_the_control_of_the_fit_is_kept_to(optimizer: str, fit: Callable[..., Any]) -> None:
    m = fit("Yield ~ 1 + (1|Batch)", "Dyestuff", control={"optimizer": optimizer, "max_evaluations": 30})
    Y = m.simulate(2, seed=0)
    many = m.refit_many(Y)
    for i, y in enumerate(Y.T):
        assert many.criterion[i] == pytest.approx(refit(m, y).criterion, abs=1e-6)


def test_results_are_arrays(model: Any) -> None:
    many = model.refit_many(model.simulate(5, seed=0))
    assert len(many) == 5
    shapes = {name: getattr(many, name).shape for name in (field.name for field in fields(many))}
    alone = dict.fromkeys(("sigma", "criterion", "converged", "singular", "evaluations"), (5,))
    assert shapes == {"theta": (5, 3), "beta": (5, 2), "std_error": (5, 2), **alone}
    assert many.converged.dtype == many.singular.dtype == bool
    assert many.evaluations.dtype == np.int64


@pytest.mark.parametrize("small", [True, False])
def test_no_responses(small: bool, model: Any, dataset: Callable[[str], pd.DataFrame]) -> None:
    with nullcontext() if small else no_small_models():
        m = model if small else lmer(DAYS, dataset("sleepstudy"))
        many = m.refit_many(np.zeros((N, 0)))
    assert len(many) == 0
    assert many.theta.shape == (0, 3) and many.beta.shape == (0, 2) and many.criterion.shape == (0,)
    assert many.converged.dtype == many.singular.dtype == bool and many.evaluations.dtype == np.int64


@pytest.mark.parametrize(
    "wrap",
    [
        pd.DataFrame,
        lambda Y: pl.DataFrame(Y, schema=["a", "b", "c"]),
        lambda Y: Y.tolist(),
        np.asfortranarray,
        lambda Y: np.repeat(Y, 2, axis=1)[:, ::2],
        lambda Y: Y.astype(object),
    ],
    ids=["pandas", "polars", "lists", "Fortran order", "strided", "objects"],
)
def test_any_table_of_numbers(wrap: Callable[[np.ndarray], Any], model: Any) -> None:
    Y = model.simulate(3, seed=2)
    assert_allclose(model.refit_many(wrap(Y)).criterion, model.refit_many(Y).criterion, rtol=1e-13)


def test_single_precision_and_integers(model: Any) -> None:
    Y = np.round(model.simulate(3, seed=2))
    expected = model.refit_many(Y).criterion
    for kind in (np.float32, np.int64, np.int16):
        assert_allclose(model.refit_many(Y.astype(kind)).criterion, expected, rtol=1e-13)


def test_responses_are_left_alone(model: Any) -> None:
    Y = model.simulate(3, seed=2)
    before = Y.copy()
    Y.flags.writeable = False
    model.refit_many(Y)
    assert_array_equal(Y, before)


def test_a_response_does_not_depend_on_its_neighbours(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Y = responses(model, 6)
    whole = model.refit_many(Y)
    assert_allclose(model.refit_many(Y[:, ::-1]).criterion, whole.criterion[::-1], rtol=1e-12)
    monkeypatch.setattr("lmmsparse.estimation.many.CHUNK_NUMBERS", 3 * N)
    in_chunks = model.refit_many(Y)
    assert_allclose(in_chunks.criterion, whole.criterion, rtol=1e-12)
    assert_allclose(in_chunks.theta, whole.theta, rtol=1e-6, atol=1e-7)


def test_a_response_without_residuals(model: Any, dataset: Callable[[str], pd.DataFrame]) -> None:
    """The fixed effects reproduce it: exact estimates, θ = 0; its neighbours are as they were."""
    draws = model.simulate(2, seed=0)
    exact = 1.0 + 2.0 * dataset("sleepstudy")["Days"].to_numpy()
    many = model.refit_many(np.column_stack([draws[:, 0], exact, draws[:, 1]]))
    assert_allclose(many.beta[1], [1.0, 2.0], rtol=1e-12)
    assert_array_equal(many.theta[1], 0.0)
    assert many.singular[1]
    assert_allclose(many.criterion[[0, 2]], model.refit_many(draws).criterion, rtol=1e-12)


def test_one_thousand_refits_take_few_evaluations(model: Any) -> None:
    many = model.refit_many(model.simulate(1000, seed=0))
    assert many.converged.all() and not many.singular.all()
    assert np.median(many.evaluations) <= 5
    assert many.evaluations.max() <= 40
    # the estimates scatter around what the draws were made with
    assert abs(many.sigma.mean() / model.sigma - 1) < 0.02
    assert_allclose(many.beta.mean(axis=0), model.fixef, atol=4 * np.max(model.bse) / 1000**0.5)


@pytest.mark.parametrize(("formula", "seed"), [("y ~ x + (x||a)", 9), ("y ~ x + (x|a)", 3)])
def test_second_minima_are_not_where_many_refits_end(formula: str, seed: int) -> None:
    """A search that settles inside is no better than one that left for a lower boundary."""
    rng = np.random.default_rng(seed)
    a = rng.integers(5, size=25)
    data = pd.DataFrame({"a": a, "x": rng.normal(size=25), "y": rng.normal(size=25)})
    noise, effects = rng.normal(size=(25, 100)), rng.choice([0, 1, 3], size=100) * rng.normal(size=(5, 100))
    Y = noise + effects[a] * np.where(rng.random(100) < 0.5, 1.0, data["x"].to_numpy()[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, data, REML=False)
    cold = np.array([fit_objective(m.objective.with_response(y))[0].criterion for y in Y.T])
    # a start from another response may find a lower minimum, but there is none higher
    assert (m.refit_many(Y).criterion < cold + 1e-6).all()


def test_the_same_in_any_number_of_threads(model: Any) -> None:
    draws = [model.simulate(20, seed=seed) for seed in range(4)]
    expected = [model.refit_many(Y).theta for Y in draws]
    with ThreadPoolExecutor(max(2, available_threads())) as pool:
        for found, wanted in zip(pool.map(lambda Y: model.refit_many(Y).theta, draws), expected, strict=True):
            assert_array_equal(found, wanted)


# -- what cannot be fitted --------------------------------------------------------------------------------------


def with_entry(value: Any) -> np.ndarray:
    Y = np.random.default_rng(0).normal(size=(N, 3)).astype(np.result_type(type(value), float))
    Y[2, 1] = value
    return Y


def masked() -> np.ma.MaskedArray:
    Y = with_entry(1.0)
    return np.ma.array(Y, mask=np.arange(3 * N).reshape(N, 3) == 7)


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.ones((N - 1, 2)), r"shape \(179, 2\), but must have 180 rows"),
        (np.ones(N), r"shape \(180,\)"),
        (np.ones((2, N)), r"shape \(2, 180\)"),
        (np.ones((N, 1, 1)), r"shape \(180, 1, 1\)"),
        (3.0, r"shape \(\)"),
        (None, r"shape \(\)"),
        (with_entry(np.nan), r"new response 1 is missing or infinite, first in row 2"),
        (with_entry(np.inf), "new response 1 is missing or infinite, first in row 2"),
        (masked(), "new response 1 is missing or infinite, first in row 2"),
        (np.full((N, 2), "a"), "not numeric"),
        (np.full((N, 2), None), r"missing or infinite|not numeric"),
        (with_entry(1j), "not numeric"),
        (pd.DataFrame({"a": np.arange(N), "b": ["x"] * N}), "not numeric"),
    ],
)
def test_new_responses_that_cannot_be_fitted(Y: Any, message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.refit_many(Y)


def test_a_constant_response_is_named(model: Any, dataset: Callable[[str], pd.DataFrame]) -> None:
    Y = with_entry(1.0)
    Y[:, 2] = 4.0
    with pytest.raises(DataError, match=r"new response 2.*constant"):
        model.refit_many(Y)
    offset = 3.0 * dataset("sleepstudy")["Days"].to_numpy()
    m = lmer("Reaction ~ Days + (1|Subject)", dataset("sleepstudy"), offset=offset)
    with pytest.raises(DataError, match=r"new response 0, less the offset.*constant"):
        m.refit_many(5.0 + offset[:, None])
