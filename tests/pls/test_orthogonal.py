"""The engine by reflections, where elimination has lost its digits; elsewhere it is one of `ENGINES`."""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer
from lmmsparse.errors import FactorizationError
from lmmsparse.objective.linear import Objective
from tests.designs import Float, make_case


def one_way(noise: float) -> tuple[dict[str, Any], Float]:
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(8), 5)
    y = 3 + rng.normal(size=8)[g] + noise * rng.normal(size=40)
    return {"y": y, "g": g}, y.reshape(8, 5)


def by_rows(objective: Objective) -> Objective:
    found = objective.by_rows()
    assert found is not None
    return found


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-6, 1e-7, 1e-8])
def test_a_balanced_one_way_layout(noise: float) -> None:
    """Criterion, σ and the standard error in closed form, from the mean squares between and within."""
    data, table = one_way(noise)
    mean = table.mean(axis=1)
    mse = ((table - mean[:, None]) ** 2).sum() / 32
    msb = 5 * ((mean - mean.mean()) ** 2).sum() / 7
    m = lmer("y ~ 1 + (1 | g)", data)
    right = 39 * (1 + log(2 * pi)) + 32 * log(mse) + 7 * log(msb) + log(40)
    assert m.criterion == pytest.approx(right, abs=1e-6)
    assert m.sigma == pytest.approx(sqrt(mse), rel=1e-6)
    assert m.bse.iloc[0] == pytest.approx(sqrt(msb / 40), rel=1e-6)
    assert_allclose(m.ranef()["g"]["(Intercept)"], (mean - mean.mean()) * (1 - mse / msb), rtol=1e-6)
    assert m.optinfo.rounding is not None and m.optinfo.rounding.largest < 1e-5


def test_what_is_asked_of_a_factor_that_elimination_cannot_make() -> None:
    """Two crossed factors at 10⁸ σ: as at 10⁵, where the intercept is known a thousand times better."""
    case = make_case("crossed", [[(1, "us")], [(1, "us")]], n=40, seed=5)
    plain = case.objective()
    objective = by_rows(plain)
    theta = np.array([1e8, 1e8])
    with pytest.raises(FactorizationError):
        plain.exact(theta)
    far, near = objective.exact(theta).solution, objective.exact(theta / 1e3).solution
    assert_allclose(np.diag(far.fixed_factor), np.diag(near.fixed_factor) * [1e-3, 1.0], rtol=1e-6)
    assert_allclose(np.diag(far.fixed_factor) * (far.beta - near.beta), 0.0, atol=1e-6)  # in standard errors over σ
    for one, other in zip(far.inverse().diagonal, near.inverse().diagonal, strict=True):
        assert (one > 0.0).all() and (other > 0.0).all()


def test_a_standard_deviation_beyond_numbers() -> None:
    objective = by_rows(make_case("one", [[(1, "us")]], n=24).objective())
    with np.errstate(over="ignore"), pytest.raises(FactorizationError, match="beyond floating-point"):
        objective.exact(np.array([1e308]) * 10.0)


def test_another_response_goes_by_elimination() -> None:
    case = make_case("one", [[(2, "us")]], n=48)
    objective = by_rows(case.objective())
    other = objective.with_response(case.y[::-1].copy())
    assert other.working.engine.squares and not objective.working.engine.squares
    theta = np.array([1.0, 0.3, 0.5])
    assert other(theta) == pytest.approx(case.objective(y=case.y[::-1])(theta), rel=1e-12)
    assert objective.with_reml(False)(theta) == pytest.approx(case.objective(reml=False)(theta), rel=1e-12)
    assert objective.stacked(case.y[:, None]) is None and objective.at_many() is None
    assert objective.by_rows() is None


def test_large_models_are_left_to_elimination(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = make_case("one", [[(1, "us")]], n=24).objective()
    monkeypatch.setattr("lmmsparse.objective.linear.MOST_COLUMNS", 3)
    assert objective.by_rows() is None
