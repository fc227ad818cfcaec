"""The public objective in the user's units against the textbook formulas and against differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lmmsparse.errors import ArgumentError
from lmmsparse.frame.grouping import Levels
from lmmsparse.objective.linear import Objective
from tests.designs import (
    ENGINES,
    Case,
    Engines,
    Float,
    cases_with_theta,
    generated,
    make_case,
    needs_cholmod,
    random_theta,
    sparse_cores,
)
from tests.oracle import KEYWORDS


def differences(case: Case, theta: Float, h: float = 1e-5) -> Float:
    """Central differences of the oracle's criterion."""
    steps = h * np.eye(len(theta))
    return np.array([(case.oracle(theta + s).value - case.oracle(theta - s).value) / (2 * h) for s in steps])


def assert_close(found: Float, expected: Float, tolerance: float) -> None:
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance * max(1.0, np.abs(expected).max()))


@generated
@given(cases_with_theta())
def test_the_oracle_agrees_with_its_own_differences(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    oracle = case.oracle(theta)
    assert_close(oracle.gradient, differences(case, theta), 1e-6)
    assert_allclose(oracle.V, np.diag(1 / oracle.w) + oracle.Z @ oracle.Lambda @ oracle.Lambda.T @ oracle.Z.T)


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("engine", ENGINES)
@settings(generated, max_examples=15)
@given(st.data())
def test_value_gradient_and_hessian(engine: Engines, kind: str, data: st.DataObject) -> None:
    case, theta = data.draw(cases_with_theta(kinds=(kind,)))
    with engine():
        assert_objective(case, theta)


@pytest.mark.parametrize("engine", ENGINES)
@generated
@given(cases_with_theta())
def test_value_gradient_and_hessian_of_several_structures(engine: Engines, drawn: tuple[Case, Float]) -> None:
    with engine():
        assert_objective(*drawn)


def search_hessian(objective: Objective, theta: Float) -> Float:
    """Average information plus curvature, what the search uses."""
    found = objective.differentiate(objective.evaluate(objective.to_working(theta)))
    return np.asarray(objective.theta_map.T @ (found.information + found.curvature) @ objective.theta_map)


def second_differences(objective: Objective, theta: Float, h: float = 1e-3) -> Float:
    """Hessian by differences of values alone."""
    count = len(theta)
    out = np.empty((count, count))
    for i, j in np.ndindex(count, count):
        at = [theta + a * h * np.eye(count)[i] + b * h * np.eye(count)[j] for a in (1, -1) for b in (1, -1)]
        values = [objective(point) for point in at]
        out[i, j] = (values[0] - values[1] - values[2] + values[3]) / (4.0 * h * h)
    return out


def assert_objective(case: Case, theta: Float) -> None:
    objective, oracle = case.objective(), case.oracle(theta)
    assert objective(theta) == pytest.approx(oracle.value, rel=1e-11)
    assert_close(objective.gradient(theta), oracle.gradient, 1e-8)
    assert_close(objective.gradient(theta), differences(case, theta), 1e-6)
    assert_close(search_hessian(objective, theta), oracle.average_information + oracle.curvature, 1e-8)


@needs_cholmod
@generated
@given(cases_with_theta())
def test_a_sparse_core_gives_the_numbers_of_a_dense_one(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    dense = case.objective()
    with sparse_cores():
        sparse = case.objective()
    assert dense.plan.core.kind == "none" or (dense.plan.core.kind, sparse.plan.core.kind) == ("dense", "sparse")
    assert sparse(theta) == pytest.approx(dense(theta), rel=1e-12)
    assert_close(sparse.gradient(theta), dense.gradient(theta), 1e-10)
    assert_close(search_hessian(sparse, theta), search_hessian(dense, theta), 1e-10)
    assert_close(sparse.hessian(theta), dense.hessian(theta), 1e-6)


@pytest.mark.parametrize("kind", KEYWORDS)
@settings(generated, max_examples=20)
@given(st.data())
def test_on_the_boundary(kind: str, data: st.DataObject) -> None:
    """The oracle's criterion is a polynomial in θ within V, so that it goes on beyond an end of ρ."""
    case, theta = data.draw(cases_with_theta(boundary=True, kinds=(kind,)))
    objective, oracle = case.objective(), case.oracle(theta)
    assert objective(theta) == pytest.approx(oracle.value, rel=1e-11)
    assert_close(objective.gradient(theta), oracle.gradient, 1e-4)
    assert_close(objective.gradient(theta), differences(case, theta), 1e-4)


@generated
@given(cases_with_theta())
def test_signs_of_columns_do_not_matter(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    objective = case.objective()
    correlations = np.isfinite(objective.bounds()[1])
    assert objective(np.where(correlations, theta, -theta)) == pytest.approx(objective(theta), rel=1e-12)


@pytest.mark.parametrize("kind", KEYWORDS)
def test_the_hessian(kind: str) -> None:
    """Exact where average information is not: few and uneven levels, far from the minimum."""
    objective = make_case("crossed", [[(2, kind)], [(1, "us")]], n=40, seed=6).objective()
    theta = objective.to_user(objective.start()) * np.linspace(0.7, 1.2, len(objective.start()))
    assert_allclose(objective.hessian(theta), second_differences(objective, theta), rtol=1e-4, atol=1e-3)


def test_the_hessian_at_an_end() -> None:
    objective = make_case("one", [[(1, "us")]], n=40, seed=6).objective()
    assert_allclose(objective.hessian([0.0]), second_differences(objective, np.array([0.0])), rtol=1e-3)


def test_the_search_s_hessian_is_near_the_second_differences() -> None:
    """Average information is the Hessian up to noise of the data: with many levels it is near it at the truth."""
    case = make_case("crossed", [[(1, True)], [(1, True)]], n=48, seed=5)
    rng = np.random.default_rng(0)
    labels = [np.arange(3000) % 300, rng.integers(200, size=3000)]
    effects = [0.8 * rng.normal(size=300), 0.5 * rng.normal(size=200)]
    terms = tuple(
        replace(term, codes=codes.astype(np.int32), labels=Levels(range(size)), columns=np.ones((3000, 1)))
        for term, codes, size in zip(case.terms, labels, (300, 200), strict=True)
    )
    y = effects[0][labels[0]] + effects[1][labels[1]] + rng.normal(size=3000)
    objective = Case(y, np.ones((3000, 1)), terms).objective()
    theta, h = np.array([0.8, 0.5]), 1e-5
    second = np.array(
        [(objective.gradient(theta + s) - objective.gradient(theta - s)) / (2 * h) for s in h * np.eye(2)]
    )
    assert_allclose(search_hessian(objective, theta), second, rtol=0.15, atol=0.05 * np.abs(second).max())
    assert_allclose(objective.hessian(theta), second, rtol=1e-5)


def test_theta_is_checked() -> None:
    objective = make_case("one", [[(2, True)]]).objective()
    with pytest.raises(ArgumentError, match=r"3: a\.c0, "):
        objective([1.0, 2.0])
    for bad in ([1.0, np.nan, 1.0], [1.0, np.inf, 1.0]):
        with pytest.raises(ArgumentError, match="finite"):
            objective(bad)
        with pytest.raises(ArgumentError, match="finite"):
            objective.gradient(bad)
    assert objective((1, 0, 1)) == objective(np.array([[1.0, 0.0, 1.0]]))


def test_names_and_bounds_of_all_terms() -> None:
    objective = make_case("crossed", [[(2, True)], [(2, False), (1, True)]]).objective()
    assert objective.theta_names == ("a.c0", "a.c1.c0", "a.c1", "b.c0", "b.c1", "b.c0")
    assert_allclose(objective.bounds()[0], [0, -np.inf, 0, 0, 0, 0])


@generated
@given(cases_with_theta())
def test_working_coordinates_and_back(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    objective = case.objective()
    working = objective.to_working(theta)
    assert_allclose(objective.to_user(working), theta, rtol=1e-9, atol=1e-10)
    assert objective.working.exact(working).value + objective.constant == pytest.approx(objective(theta), rel=1e-12)


def test_another_response() -> None:
    case = make_case("nested and crossed", [[(2, True)], [(1, True)], [(1, True)]], weighted=True)
    other = 1e4 + 30 * np.random.default_rng(9).normal(size=48)
    objective = case.objective()
    theta = np.array([0.5, 0.1, 0.8, 1.0, 0.6])
    before = objective(theta)
    changed, fresh = objective.with_response(other), case.objective(y=other)
    assert changed(theta) == pytest.approx(fresh(theta), rel=1e-12)
    assert_close(changed.gradient(theta), fresh.gradient(theta), 1e-10)
    assert objective(theta) == before


def test_the_other_criterion() -> None:
    case = make_case("crossed", [[(2, True)], [(1, True)]], p=3, weighted=True)
    theta = np.array([0.5, 0.1, 0.8, 0.6])
    objective = case.objective(reml=True)
    assert objective.with_reml(False)(theta) == case.objective(reml=False)(theta)
    assert objective.with_reml(False).with_reml(True)(theta) == objective(theta)


def test_residuals_of_a_nearly_perfect_fit_are_summed_over_the_rows() -> None:
    """r² as a difference of cross-products has no digits left here; the criterion keeps its own."""
    case = make_case("crossed", [[(1, True)], [(1, True)]], weighted=True)
    rng = np.random.default_rng(3)
    effects = [1e4 * rng.normal(size=len(term.levels))[term.codes] for term in case.terms]
    close = replace(case, y=5 + effects[0] + effects[1] + 1e-3 * rng.normal(size=48))
    theta = np.array([1e5, 1e5])
    objective = close.objective()
    assert objective(theta) == pytest.approx(close.oracle(theta).value, abs=1e-3)
    solution = objective.working.exact(objective.to_working(theta))
    assert solution.noise > 1e-6
    refined = objective.refined(solution)
    assert refined.sigma2 * objective.response.scale**2 == pytest.approx(close.oracle(theta).sigma2, rel=1e-4)
    assert_allclose(refined.u[0], solution.u[0])


def test_ordinary_solutions_are_not_refined() -> None:
    objective = make_case("one", [[(1, True)]]).objective()
    solution = objective.working.exact(np.array([1.0]))
    assert solution.noise < 1e-10
    assert objective.refined(solution) is solution


@pytest.mark.parametrize("kind", KEYWORDS)
def test_bounds_and_user_scores(kind: str) -> None:
    """Bounds are the same in all units, and scores of Σ in the user's units give the gradient there."""
    case = make_case("crossed", [[(3, kind)], [(2, kind)]], n=60, seed=4)
    objective = case.objective()
    theta = np.concatenate([random_theta(kind, k, np.random.default_rng(1)) for k in (3, 2)])
    inside = np.concatenate([b.structure.canonical(theta[b.parameters]) for b in objective.blocks])
    for low, high, sign in zip(*objective.bounds(), np.sign(objective.to_working(inside) - inside), strict=True):
        assert low < high and (sign == 0 or np.isinf(high))
    derivatives = objective.differentiate(objective.exact(objective.to_working(theta)))
    scores = objective.user_scores(derivatives)
    gradient = [b.structure.gradient(theta[b.parameters], T) for b, T in zip(objective.blocks, scores, strict=True)]
    assert_close(np.concatenate(gradient), objective.gradient(theta), 1e-10)


def test_a_correlation_outside_its_range_is_refused() -> None:
    objective = make_case("one", [[(3, "homcs"), (2, "cs")]]).objective()
    assert np.isfinite(objective([0.5, -0.5, 0.5, 0.5, -1.0]))
    with pytest.raises(ArgumentError, match=r"a\.rho must lie between -0\.5 and 1, got -0\.6"):
        objective([0.5, -0.6, 0.5, 0.5, 0.0])
    with pytest.raises(ArgumentError, match=r"a\.rho must lie between -1 and 1, got 1\.5"):
        objective.gradient([0.5, 0.0, 0.5, 0.5, 1.5])


def test_starts_are_checked() -> None:
    objective = make_case("one", [[(2, True)]]).objective()
    assert_allclose(objective.checked_start([1, 0.5, 2]), [1, 0.5, 2])
    for bad in ([1.0, 2.0], [1.0, np.nan, 1.0], "abc", [1e12, 0.0, 1.0]):
        with pytest.raises(ArgumentError, match="start must hold 3 finite values"):
            objective.checked_start(bad)
    with pytest.raises(ArgumentError, match="must be numbers"):
        objective("abc")
