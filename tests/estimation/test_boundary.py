"""Empty variances: finding them, setting them to zero, and leaving them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.estimation.boundary import (
    canonical,
    describe_empty,
    doubtful_terms,
    emptied,
    empty_directions,
    leave_boundary,
)
from lmmsparse.objective.linear import Objective
from tests.designs import Case, Float, cases_with_theta, generated, make_case, make_term


def templates(objective: Objective, theta: Float) -> list[Float]:
    working = objective.working
    return [s.template(theta[part]) for s, part in zip(working.structures, working.slices, strict=True)]


@generated
@given(cases_with_theta(boundary=True))
def test_canonical_theta_is_in_bounds_and_has_the_same_value(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    objective = case.objective()
    found = canonical(objective.working.structures, theta)
    assert (found >= objective.lower_bounds).all()
    assert objective.working.solve(found).value == pytest.approx(objective.working.solve(theta).value, rel=1e-10)
    assert_allclose(canonical(objective.working.structures, found), found, atol=1e-12)


def test_emptied_takes_directions_not_columns() -> None:
    """λ = [[1e-5, 0], [3, 4]] has one direction of no variance, and the other keeps all of its own."""
    objective = make_case("one", [[(2, True)]]).objective()
    (template,) = templates(objective, emptied(objective.working.structures, np.array([1e-5, 3.0, 4.0])))
    assert np.linalg.matrix_rank(template) == 1
    assert_allclose(template @ template.T, [[0, 0], [0, 25]], atol=1e-3)


def test_emptied_leaves_other_thetas_alone() -> None:
    objective = make_case("crossed", [[(2, True)], [(2, False)]]).objective()
    theta = np.array([0.5, 3.0, 0.01, 0.2, -0.3])
    assert_array_equal(emptied(objective.working.structures, theta), theta)
    theta[3] = 1e-4
    assert_allclose(emptied(objective.working.structures, theta), [0.5, 3.0, 0.01, 0.0, 0.3])


def test_scores_of_empty_directions_are_derivatives_by_their_variance() -> None:
    case = make_case("crossed", [[(2, True)], [(3, False)]], n=80, seed=4)
    objective = case.objective()
    theta = np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    working = objective.working
    slopes = working.differentiate(working.solve_nearby(theta))
    found = empty_directions(objective, theta, slopes)
    assert [(d.name, d.term) for d in found] == [("a.direction 1", 0), ("b.c1", 1), ("b.c2", 1)]
    base, h = working.solve(theta).value, 1e-6
    for direction in found:
        lam = templates(objective, theta)
        covariance = lam[direction.term] @ lam[direction.term].T + h * np.outer(direction.vector, direction.vector)
        moved = theta.copy()
        structure, part = working.structures[direction.term], working.slices[direction.term]
        moved[part] = structure.theta(np.linalg.cholesky(covariance + 1e-300) if structure.rotates else covariance**0.5)
        assert (working.solve(moved).value - base) / h == pytest.approx(direction.score, rel=1e-2, abs=1e-3)
        assert_allclose(lam[direction.term].T @ direction.vector, 0, atol=1e-12)


def test_full_templates_have_no_empty_directions() -> None:
    objective = make_case("crossed", [[(2, True)], [(3, False)]]).objective()
    theta = objective.working.start()
    slopes = objective.working.differentiate(objective.working.solve(theta))
    assert empty_directions(objective, theta, slopes) == []


def test_leaving_adds_variance_in_the_wanted_directions_only() -> None:
    objective = make_case("crossed", [[(2, True)], [(3, False)]], seed=4).objective()
    working, theta = objective.working, np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    slopes = working.differentiate(working.solve_nearby(theta))
    found = empty_directions(objective, theta, slopes)
    wanted = [found[0], found[2]]
    left = leave_boundary(objective, theta, wanted)
    assert_array_equal(theta, [0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    before, after = templates(objective, theta), templates(objective, left)
    v = found[0].vector
    assert_allclose(after[0] @ after[0].T, before[0] @ before[0].T + 0.01 * np.outer(v, v), atol=1e-12)
    assert_allclose(np.diag(after[1]), [0.8, 0.0, 0.1])


def test_words_for_what_is_empty() -> None:
    objective = make_case("three crossed", [[(2, True)], [(3, False)], [(1, True)]]).objective()
    theta = np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.7, 0.0])
    slopes = objective.working.differentiate(objective.working.solve_nearby(theta))
    text = describe_empty(objective, empty_directions(objective, theta, slopes))
    assert text == "the covariance matrix of c0, c1 in a has rank 1 of 2; no variance of b.c1; no variance of c0 in c"


def test_doubtful_terms_are_tried_alone_and_together() -> None:
    rng = np.random.default_rng(0)
    labels = {"a": np.arange(200) % 5, "b": rng.integers(6, size=200), "c": np.arange(200) // 5}
    strong = 5 * rng.normal(size=40)[labels["c"]]
    terms = tuple(make_term(codes, None, name) for name, codes in labels.items())
    objective = Case(strong + rng.normal(size=200), np.ones((200, 1)), terms).objective()
    theta = np.array([0.02, 0.02, 5.0])
    slopes = objective.working.differentiate(objective.working.solve(theta))
    tried = doubtful_terms(objective, theta, slopes)
    assert_array_equal(tried, [[0.0, 0.02, 5.0], [0.02, 0.0, 5.0], [0.0, 0.0, 5.0]])
    assert_array_equal(theta, [0.02, 0.02, 5.0])
