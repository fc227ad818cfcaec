"""A fit does not depend on units, origins, order of rows or names of levels.

Tolerances are those of the data themselves: a column shifted by 1e9 has lost nine digits before the fit begins.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.fit import fit
from tests.designs import Case, Float, make_term

N = 240
RNG = np.random.default_rng(7)
SUBJECT = np.arange(N) % 20
ITEM = RNG.integers(9, size=N)
X = RNG.normal(size=N)
EFFECTS = RNG.normal(size=(20, 2)) @ np.array([[1.2, 0.4], [0.0, 0.7]])
Y = 3 + 2 * X + EFFECTS[SUBJECT, 0] + EFFECTS[SUBJECT, 1] * X + 0.8 * RNG.normal(size=9)[ITEM] + RNG.normal(size=N)
WEIGHTS = RNG.uniform(0.5, 2.0, size=N)


def model(
    x: Float = X, y: Float = Y, *, correlated: bool = True, reml: bool = True, weights: Float | None = None
) -> Case:
    columns = np.column_stack([np.ones(N), x])
    terms = (make_term(SUBJECT, columns, "subject", correlated), make_term(ITEM, None, "item"))
    return Case(y, columns, terms, weights, reml)


def fitted(case: Case) -> Estimates:
    estimates, info = fit(case.objective())
    assert info.converged and not estimates.singular
    assert info.evaluations < 20
    return estimates


def same_effects(a: Estimates, b: Estimates, tolerance: float = 1e-5) -> None:
    for first, second in zip(a.b, b.b, strict=True):
        assert_allclose(first, second, atol=tolerance * np.abs(first).max())


@pytest.fixture(scope="module", params=[True, False], ids=["REML", "ML"])
def reml(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("k", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("correlated", [True, False])
def test_units_of_a_covariate(k: float, correlated: bool, reml: bool) -> None:
    a = fitted(model(correlated=correlated, reml=reml))
    b = fitted(model(k * X, correlated=correlated, reml=reml))
    # REML's log|X'V⁻¹X| is that of the user's columns
    assert b.criterion == pytest.approx(a.criterion + (2 * np.log(k) if reml else 0.0), rel=1e-9)
    scales = np.array([1, 1 / k, 1 / k, 1] if correlated else [1, 1 / k, 1])
    assert_allclose(b.theta / scales, a.theta, rtol=1e-5)
    assert_allclose(b.beta, a.beta / [1, k], rtol=1e-7)
    assert b.sigma == pytest.approx(a.sigma, rel=1e-6)


@pytest.mark.parametrize("shift", [2000.0, 1e6, -1e9])
def test_origin_of_a_covariate(shift: float, reml: bool) -> None:
    """The slope's distribution and the criterion stay; intercepts are those at another place."""
    a, b = fitted(model(reml=reml)), fitted(model(X + shift, reml=reml))
    assert b.criterion == pytest.approx(a.criterion, rel=1e-7)
    assert_allclose(b.beta[1], a.beta[1], rtol=1e-6)
    assert b.sigma == pytest.approx(a.sigma, rel=1e-5)
    slope_a, slope_b = (e.templates[0] @ e.templates[0].T for e in (a, b))
    assert_allclose(slope_b[1, 1], slope_a[1, 1], rtol=1e-4)
    assert_allclose(b.b[0][:, 1], a.b[0][:, 1], atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 1e5, 1e9, -1e9])
def test_origin_of_the_response(shift: float, reml: bool) -> None:
    a, b = fitted(model(reml=reml)), fitted(model(y=Y + shift, reml=reml))
    assert b.criterion == pytest.approx(a.criterion, rel=1e-7)
    assert_allclose(b.theta, a.theta, atol=1e-5)
    assert b.sigma == pytest.approx(a.sigma, rel=1e-6)
    assert_allclose(b.beta - [shift, 0], a.beta, rtol=1e-6, atol=4e-7 if abs(shift) == 1e9 else 1e-9 * abs(shift))
    same_effects(a, b)


@pytest.mark.parametrize("k", [1e-8, 1e-3, 1e8, -1.0])
def test_units_of_the_response(k: float, reml: bool) -> None:
    a, b = fitted(model(reml=reml)), fitted(model(y=k * Y, reml=reml))
    degrees = N - (2 if reml else 0)
    assert b.criterion == pytest.approx(a.criterion + 2 * degrees * np.log(abs(k)), rel=1e-9)
    assert_allclose(b.theta, a.theta, atol=1e-5)
    assert b.sigma == pytest.approx(abs(k) * a.sigma, rel=1e-6)
    assert_allclose(b.beta, k * a.beta, rtol=1e-6)
    assert_allclose(b.fixed_covariance, k**2 * a.fixed_covariance, rtol=1e-5)


def test_order_of_rows(reml: bool) -> None:
    case = model(reml=reml, weights=WEIGHTS)
    order = np.random.default_rng(1).permutation(N)
    shuffled = Case(
        case.y[order],
        case.X[order],
        tuple(make_term(t.codes[order], t.columns[order], t.group) for t in case.terms),
        WEIGHTS[order],
        reml,
    )
    a, b = fitted(case), fitted(shuffled)
    assert b.criterion == pytest.approx(a.criterion, rel=1e-11)
    assert_allclose(b.theta, a.theta, atol=1e-6)
    same_effects(a, b)


def test_order_and_names_of_levels(reml: bool) -> None:
    case = model(reml=reml)
    names = np.random.default_rng(2).permutation(20)
    renamed = replace(
        case, terms=(make_term(names[SUBJECT], case.X, "subject"), make_term([f"item {i}" for i in ITEM], None, "item"))
    )
    a, b = fitted(case), fitted(renamed)
    assert b.criterion == pytest.approx(a.criterion, rel=1e-11)
    assert_allclose(b.theta, a.theta, atol=1e-6)
    assert_allclose(b.b[0][names], a.b[0], atol=1e-5)


def test_order_of_terms(reml: bool) -> None:
    case = model(reml=reml)
    a, b = fitted(case), fitted(replace(case, terms=case.terms[::-1]))
    assert b.criterion == pytest.approx(a.criterion, rel=1e-11)
    assert_allclose(b.theta[[1, 2, 3, 0]], a.theta, atol=1e-6)


@pytest.mark.parametrize("k", [1e-6, 10.0, 1e6])
def test_units_of_the_weights(k: float, reml: bool) -> None:
    """V is multiplied by 1/k when θ² is too: σ² takes it up, and the ML criterion stays."""
    a, b = fitted(model(reml=reml, weights=WEIGHTS)), fitted(model(reml=reml, weights=k * WEIGHTS))
    assert b.criterion == pytest.approx(a.criterion, rel=1e-9)
    assert_allclose(b.theta * np.sqrt(k), a.theta, atol=1e-5)
    assert b.sigma == pytest.approx(a.sigma * np.sqrt(k), rel=1e-6)
    assert_allclose(b.beta, a.beta, rtol=1e-6)


def test_columns_of_x_in_another_basis(reml: bool) -> None:
    case = model(reml=reml)
    basis = np.array([[1.0, 4.0], [-2.0, 3.0]])
    a, b = fitted(case), fitted(replace(case, X=case.X @ basis))
    jacobian = 2 * np.log(np.linalg.det(basis)) if reml else 0.0
    assert b.criterion == pytest.approx(a.criterion + jacobian, rel=1e-9)
    assert_allclose(basis @ b.beta, a.beta, rtol=1e-6)
    assert_allclose(b.theta, a.theta, atol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 1e9])
@pytest.mark.parametrize("k", [1e-6, 1e6])
def test_the_criterion_itself_at_any_theta(shift: float, k: float) -> None:
    """Not only at the optimum: θ of scaled columns and shifted responses gives the value of the original."""
    theta = np.array([0.9, -0.3, 0.4, 0.7])
    a, b = model().objective(), model(k * X, Y + shift).objective()
    scaled = theta / [1, k, k, 1]
    assert b(scaled) == pytest.approx(a(theta) + 2 * np.log(k), rel=1e-8)
    assert_allclose(b.gradient(scaled), a.gradient(theta) * [1, k, k, 1], rtol=1e-5)
    J = np.diag([1, k, k, 1])
    assert_allclose(b.hessian(scaled), J @ a.hessian(theta) @ J, rtol=1e-4)
