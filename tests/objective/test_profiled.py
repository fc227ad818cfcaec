"""Working objective against the textbook formulas, evaluated on the same working columns."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError, LmmError
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.small import Small
from tests.designs import (
    ENGINES,
    Case,
    Engines,
    Float,
    by_blocks,
    cases_with_theta,
    generated,
    make_case,
    make_term,
    needs_cholmod,
    no_small_models,
    sparse_cores,
    working_oracle,
)
from tests.oracle import KEYWORDS


def by_term(working: WorkingObjective, values: tuple[Float, ...]) -> Float:
    """Vectors of grouping factors as one vector of terms."""
    return np.concatenate([values[block.factor][:, block.columns].ravel() for block in working.blocks])


few = settings(generated, max_examples=15)


def assert_solution(drawn: tuple[Case, Float]) -> None:
    working, oracle = working_oracle(*drawn)
    solution = working.exact(drawn[1])
    assert solution.value == pytest.approx(oracle.value, rel=1e-11)
    assert solution.pwrss == pytest.approx(oracle.r2, rel=1e-9)
    assert solution.sigma2 == pytest.approx(oracle.sigma2, rel=1e-9)
    assert_allclose(solution.beta, oracle.beta, rtol=1e-8, atol=1e-10)
    assert_allclose(by_term(working, solution.u), oracle.u, rtol=1e-8, atol=1e-9)
    assert_allclose(solution.fixed_factor @ solution.fixed_factor.T, oracle.information_of_beta, rtol=1e-9, atol=1e-9)
    assert not solution.degenerate
    assert_array_equal(solution.theta, drawn[1])


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("engine", ENGINES)
@few
@given(st.data())
def test_solution(engine: Engines, kind: str, data: st.DataObject) -> None:
    with engine():
        assert_solution(data.draw(cases_with_theta(kinds=(kind,))))


@pytest.mark.parametrize("engine", ENGINES)
@generated
@given(cases_with_theta())
def test_solution_of_several_structures(engine: Engines, drawn: tuple[Case, Float]) -> None:
    with engine():
        assert_solution(drawn)


@pytest.mark.parametrize(("engine", "kind"), [(nullcontext, Small), (no_small_models, Direct)])
def test_the_engine_is_what_the_tests_take_it_for(engine: Engines, kind: type) -> None:
    with engine():
        assert isinstance(make_case("crossed", [[(2, "us")], [(2, "cs")]]).objective().working.engine, kind)


@needs_cholmod
def test_the_core_is_what_the_tests_take_it_for() -> None:
    for engine, core in ((no_small_models, "dense"), (sparse_cores, "sparse")):
        with engine():
            assert make_case("crossed", [[(2, "us")], [(2, "cs")]]).objective().plan.core.kind == core


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("boundary", [False, True])
@few
@given(st.data())
def test_both_engines_agree(boundary: bool, kind: str, data: st.DataObject) -> None:
    case, theta = data.draw(cases_with_theta(boundary=boundary, kinds=(kind,)))
    one = case.objective().working
    other = by_blocks(one)
    assert isinstance(one.engine, Small) and isinstance(other.engine, Direct)
    a, b = one.evaluate(theta), other.evaluate(theta)
    assert a.value == pytest.approx(b.value, rel=1e-11, abs=1e-9)
    assert a.exact == b.exact
    found, expected = one.differentiate(a), other.differentiate(b)
    for name in ("gradient", "information", "curvature"):
        assert_near(getattr(found, name), getattr(expected, name), 1e-4 if boundary else 1e-7)


def assert_near(found: Float, expected: Float, tolerance: float) -> None:
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance * max(1.0, np.abs(expected).max()))


def assert_derivatives(drawn: tuple[Case, Float], tolerance: float) -> None:
    working, oracle = working_oracle(*drawn)
    found = working.differentiate(working.evaluate(drawn[1]))
    assert_near(found.gradient, oracle.gradient, tolerance)
    assert_near(found.information, oracle.average_information, tolerance)
    assert_near(found.curvature, oracle.curvature, tolerance)
    assert_near(found.covariance_information, oracle.support_information, tolerance)
    information = found.information
    assert_allclose(information, information.T, rtol=1e-9, atol=1e-12 * np.abs(information).max())
    assert np.linalg.eigvalsh(information)[0] >= -1e-9 * np.linalg.eigvalsh(information)[-1]


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("engine", ENGINES)
@few
@given(st.data())
def test_derivatives(engine: Engines, kind: str, data: st.DataObject) -> None:
    with engine():
        assert_derivatives(data.draw(cases_with_theta(kinds=(kind,))), 1e-8)


@pytest.mark.parametrize("engine", ENGINES)
@generated
@given(cases_with_theta())
def test_derivatives_of_several_structures(engine: Engines, drawn: tuple[Case, Float]) -> None:
    with engine():
        assert_derivatives(drawn, 1e-8)


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("engine", ENGINES)
@few
@given(st.data())
def test_derivatives_on_the_boundary(engine: Engines, kind: str, data: st.DataObject) -> None:
    """λ is not invertible where variances are empty and ρ is at an end; the score of its covariance is continuous."""
    with engine():
        assert_derivatives(data.draw(cases_with_theta(boundary=True, kinds=(kind,))), 1e-4)


@generated
@given(cases_with_theta(boundary=True))
def test_derivatives_where_several_structures_are_empty(drawn: tuple[Case, Float]) -> None:
    assert_derivatives(drawn, 1e-4)


@pytest.mark.parametrize("kind", ["cs", "homcs"])
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("k", [2, 3])
def test_derivatives_with_rho_at_an_end(kind: str, end: int, k: int) -> None:
    case = make_case("crossed", [[(k, kind)], [(1, True)]], seed=3)
    structure = case.terms[0].structure
    theta = np.append(structure.start(), 0.7)
    theta[structure.n_theta - 1] = structure.ends[end]
    assert_derivatives((case, theta), 1e-4)


@pytest.mark.parametrize(
    ("k", "theta"),
    [
        (1, [0.0]),
        (1, [1e-7]),
        (2, [0, 0, 0]),
        (2, [0.5, 0.5, 0]),
        (2, [0, 0.5, 0.5]),
        (2, [0, 0.5, 0]),
        (2, [1e-7, 0.5, -1e-6]),
        (3, [0, 0.5, 0.5, 0, 0.5, 0]),
        (3, [0.5, 0.5, 0.5, 0, 0.5, 0]),
        (3, [1e-3, 0.5, 0.5, 1e-4, 0.5, 1e-6]),
    ],
)
def test_derivatives_of_singular_templates(k: int, theta: list[float]) -> None:
    case = make_case("crossed", [[(k, True)], [(1, True)]], seed=3)
    assert_derivatives((case, np.array([*theta, 0.7])), 1e-4)


def test_the_gradient_is_zero_on_an_empty_column() -> None:
    """The deviance is even in a column of λ, whatever the data say."""
    working = make_case("one", [[(2, True)]], seed=1).objective().working
    for theta in ([0.0, 0.0, 0.0], [0.8, 0.3, 0.0]):
        gradient = working.differentiate(working.evaluate(np.array(theta))).gradient
        assert_allclose(gradient[2], 0, atol=1e-12)


def test_solving_nearby_keeps_theta_and_value() -> None:
    working = make_case("crossed", [[(2, True)], [(1, True)]], seed=2).objective().working
    theta = np.array([0.8, 0.3, 0.0, 0.0])
    nearby = working.evaluate(theta)
    assert_array_equal(nearby.theta, theta)
    assert nearby.value == pytest.approx(working.exact(theta).value, rel=1e-9)
    assert_array_equal(theta, [0.8, 0.3, 0.0, 0.0])


def test_start_is_the_identity() -> None:
    working = make_case("crossed", [[(2, True)], [(3, False)]]).objective().working
    assert_array_equal(working.start(), [1, 0, 1, 1, 1, 1])
    assert [t.tolist() for t in working.templates(working.start())] == [np.eye(2).tolist(), np.eye(3).tolist()]


def test_terms_of_one_factor_share_a_block_diagonal_template() -> None:
    working = make_case("one", [[(2, True), (1, True), (2, False)]]).objective().working
    (template,) = working.templates(np.arange(1.0, 7.0))
    expected = np.zeros((5, 5))
    expected[:2, :2] = [[1, 0], [2, 3]]
    expected[2, 2], expected[3, 3], expected[4, 4] = 4, 5, 6
    assert_array_equal(template, expected)


def test_degrees_of_freedom() -> None:
    case = make_case("one", [[(1, True)]], p=3)
    assert case.objective(reml=True).working.degrees == 45
    assert case.objective(reml=False).working.degrees == 48


def test_nothing_left_of_the_response_is_degenerate() -> None:
    case = make_case("one", [[(1, True)]], p=0)
    term = case.terms[0]
    effects = np.random.default_rng(0).normal(size=len(term.levels))
    working = case.objective(y=1e3 * effects[term.codes]).working
    assert not working.exact(np.array([1.0])).degenerate
    assert working.exact(np.array([1e8])).degenerate
    assert np.isfinite(working.exact(np.array([1e8])).value)


def test_fixed_effects_that_random_effects_swallow_are_an_error() -> None:
    """At a huge θ a fixed effect that is constant within levels has no information left."""
    labels = np.repeat(np.arange(6), 8)
    X = np.column_stack([np.ones(48), labels == 0, labels == 1, labels == 2, labels == 3, labels == 4]).astype(float)
    working = Case(np.random.default_rng(0).normal(size=48), X, (make_term(labels),)).objective().working
    assert np.isfinite(working.exact(np.array([1.0])).value)
    with pytest.raises(FactorizationError, match="fixed effects are not identified") as caught:
        working.exact(np.array([1e12]))
    assert isinstance(caught.value, LmmError)


def edge(name: str) -> Case:
    """Designs at the edge of what there is."""
    rng = np.random.default_rng(0)
    a, b, X = np.arange(30) % 5, np.arange(30) % 7, np.ones((30, 1))
    y = rng.normal(size=30)
    match name:
        case "one level":
            return Case(y, X, (make_term(np.zeros(30, int), group="b"),))
        case "one level above":
            return Case(y, X, (make_term(a, group="a"), make_term(np.zeros(30, int), group="b")))
        case "a level of one row":
            return Case(y, X, (make_term(a, group="a"), make_term(np.arange(30) == 29, group="b")))
        case "weights of all sizes":
            terms = (make_term(a, group="a"), make_term(b, group="b"))
            return Case(y, X, terms, 10.0 ** rng.uniform(-6, 6, size=30))
        case "many columns":
            C = rng.normal(size=(300, 10))
            a, b = rng.integers(9, size=300), rng.integers(6, size=300)
            return Case(C @ rng.normal(size=10), np.ones((300, 1)), (make_term(a, C, "a"), make_term(b, C[:, :6], "b")))
    raise ValueError(name)


@needs_cholmod
@pytest.mark.parametrize(
    "name", ["one level", "one level above", "a level of one row", "weights of all sizes", "many columns"]
)
def test_designs_at_the_edge(name: str) -> None:
    case = edge(name)
    theta = np.concatenate([t.structure.theta(np.tril(np.full((t.structure.size,) * 2, 0.5))) for t in case.terms])
    for engine in (nullcontext, no_small_models, sparse_cores):
        with engine():
            working, oracle = working_oracle(case, theta)
            solution = working.exact(theta)
            slopes = working.differentiate(solution)
        # the oracle's V holds the weights, which cost it digits
        assert solution.pwrss == pytest.approx(oracle.r2, rel=1e-8)
        assert_allclose(by_term(working, solution.u), oracle.u, rtol=1e-6, atol=1e-8)
        size = np.abs(oracle.gradient).max()
        assert_allclose(slopes.gradient, oracle.gradient, rtol=1e-6, atol=1e-8 * max(1.0, size))
