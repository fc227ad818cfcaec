"""Nearly perfect fits: numbers with all digits, or a word of what is lost."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, ConvergenceWarning, PerfectFitWarning, RoundingWarning
from scripts.near_perfect_designs import near_perfect_design
from tests.designs import Float


def dense_criterion(y: Float, X: Float, Z: Float, scale: Float) -> tuple[float, float]:
    """REML criterion and σ² by reflections of [[ZΛ, X, y], [I, 0, 0]] as they stand."""
    q, p, n = Z.shape[1], X.shape[1], len(y)
    rows = np.vstack([np.c_[Z * scale, X, y], np.c_[np.eye(q), np.zeros((q, p + 1))]])
    d = np.abs(np.diag(np.linalg.qr(rows, mode="r")))
    square = d[-1] ** 2 / (n - p)
    return float(2 * np.log(d[:-1]).sum() + (n - p) * (1 + np.log(2 * np.pi * square))), float(square)


@pytest.mark.parametrize(("seed", "k"), [(1, 7), (2, 7), (2, 7.25), (1, 6.75), (0, 6.5), (3, 4.0)])
def test_crossed_and_nearly_perfect(seed: int, k: float) -> None:
    rng = np.random.default_rng([5, seed])
    g, h, x = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8), rng.normal(size=40)
    y = 1 + 2 * x + rng.normal(size=8)[g] + rng.normal(size=5)[h] + 10.0**-k * rng.normal(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundingWarning)
        m = lmer("y ~ x + (1 | g) + (1 | h)", {"y": y, "x": x, "g": g, "h": h})
    X, Z = np.c_[np.ones(40), x], np.c_[np.eye(8)[g], np.eye(5)[h]]
    right, square = dense_criterion(y, X, Z, np.repeat(m.theta, [8, 5]))
    assert m.criterion == pytest.approx(right, abs=1e-5)
    assert m.sigma == pytest.approx(np.sqrt(square), rel=1e-5)
    for factor in (0.3, 0.9, 1.1, 3.0):
        assert m.criterion < dense_criterion(y, X, Z, np.repeat(m.theta * factor, [8, 5]))[0]


def test_what_is_lost_is_said() -> None:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(8), 5)
    y = rng.normal(size=8)[g] + 1e-10 * rng.normal(size=40)
    with pytest.warns(RoundingWarning, match="digits are lost: the criterion to"):
        m = lmer("y ~ 1 + (1 | g)", {"y": y, "g": g})
    assert "digits are lost" in m.optinfo.message and "digits are lost" in str(m.summary())


def test_large_models_say_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where reflections would take too long."""
    monkeypatch.setattr("lmmsparse.objective.linear.MOST_COLUMNS", 1)
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(8), 5)
    y = rng.normal(size=8)[g] + 1e-5 * rng.normal(size=40)
    with pytest.warns(RoundingWarning, match="standard errors|to a share of"):
        lmer("y ~ 1 + (1 | g)", {"y": y, "g": g})


def test_no_convergence_in_a_region_that_failures_have_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that is left is small because nothing can be evaluated further away, not because it gains little."""
    monkeypatch.setattr("lmmsparse.objective.linear.MOST_COLUMNS", 1)
    rng = np.random.default_rng([5, 1])
    g, h, x = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8), rng.normal(size=40)
    y = 1 + 2 * x + rng.normal(size=8)[g] + rng.normal(size=5)[h] + 1e-7 * rng.normal(size=40)
    with pytest.warns((ConvergenceWarning, PerfectFitWarning)):
        m = lmer("y ~ x + (1 | g) + (1 | h)", {"y": y, "x": x, "g": g, "h": h})
    assert not m.optinfo.converged


def test_perfect_fits_stay_perfect() -> None:
    g = np.repeat(np.arange(8), 5)
    y = np.random.default_rng(0).normal(size=8)[g]
    with pytest.warns(PerfectFitWarning):
        m = lmer("y ~ 1 + (1 | g)", {"y": y, "g": g})
    assert m.sigma < 1e-10


def test_the_designs_are_nearly_perfect() -> None:
    for number in range(5):
        _, data, _, noise = near_perfect_design(number)
        assert 1e-9 <= noise <= 1e-2 and np.std(data["y"]) > 0.5


def nearly_perfect(noise: float) -> dict[str, Float]:
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(6), 4), rng.normal(size=24)
    return {"y": 1 + 0.5 * x + rng.normal(size=6)[g] + noise * rng.normal(size=24), "x": x, "g": g}


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.RoundingWarning")
def test_what_is_fitted_again_begins_where_only_the_rows_have_digits() -> None:
    data = nearly_perfect(1e-8)
    m = lmer("y ~ x + (1 | g)", data)
    assert m.refit(data["y"]).criterion == pytest.approx(m.criterion, abs=1e-4)
    assert m.refit_many(data["y"][:, None]).criterion[0] == pytest.approx(m.criterion, abs=1e-4)
    assert not m.bootstrap(5, seed=1).failed.any()


def test_profiles_of_fixed_effects_without_digits_are_left_out() -> None:
    m = lmer("y ~ x + (1 | g)", nearly_perfect(3e-7))
    with pytest.warns(RoundingWarning, match="profiles of fixed effects"):
        profile = m.profile()
    assert list(profile.conf_int().index) == ["sd_(Intercept)|g", "sigma"]
    with pytest.raises(ArgumentError, match="profiles of fixed effects"):
        m.profile(["x"])
    assert len(lmer("y ~ x + (1 | g)", nearly_perfect(1e-3)).profile().curves) == 4


def test_influence_on_nearly_perfect_fits_says_what_it_lacks() -> None:
    m = lmer("y ~ x + (1 | g)", nearly_perfect(1e-7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refitted = m.influence("g", refit=True)
        with pytest.raises(RoundingWarning, match="refit=True"):
            m.influence("g")
    assert np.isfinite(refitted.sigma).all()
