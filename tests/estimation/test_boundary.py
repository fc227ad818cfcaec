"""Empty variances: finding them, setting them to zero, and leaving them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.estimation.boundary import (
    canonical,
    describe_empty,
    emptied,
    empty_parts,
    leave_boundary,
    without_doubtful_terms,
)
from lmmsparse.objective.linear import Objective
from tests.designs import Case, Float, cases_with_theta, generated, make_case, make_term, random_theta
from tests.oracle import KEYWORDS


def templates(objective: Objective, theta: Float) -> list[Float]:
    return [block.structure.template(theta[block.parameters]) for block in objective.blocks]


@generated
@given(cases_with_theta(boundary=True))
def test_canonical_theta_is_in_bounds_and_has_the_same_value(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    objective = case.objective()
    found = canonical(objective.blocks, theta)
    low, high = objective.bounds()
    assert (found >= low).all() and (found <= high).all()
    assert objective.working.exact(found).value == pytest.approx(objective.working.exact(theta).value, rel=1e-10)
    assert_allclose(canonical(objective.blocks, found), found, atol=1e-12)


def test_emptied_takes_directions_not_columns() -> None:
    """λ = [[1e-5, 0], [3, 4]] has one direction of no variance, and the other keeps all of its own."""
    objective = make_case("one", [[(2, True)]]).objective()
    (template,) = templates(objective, emptied(objective.blocks, np.array([1e-5, 3.0, 4.0])))
    assert np.linalg.matrix_rank(template) == 1
    assert_allclose(template @ template.T, [[0, 0], [0, 25]], atol=1e-3)


def test_emptied_leaves_other_thetas_alone() -> None:
    objective = make_case("crossed", [[(2, True)], [(2, False)]]).objective()
    theta = np.array([0.5, 3.0, 0.01, 0.2, -0.3])
    assert_array_equal(emptied(objective.blocks, theta), theta)
    theta[3] = 1e-4
    assert_allclose(emptied(objective.blocks, theta), [0.5, 3.0, 0.01, 0.0, 0.3])


def test_scores_of_empty_directions_are_derivatives_by_their_variance() -> None:
    case = make_case("crossed", [[(2, True)], [(3, False)]], n=80, seed=4)
    objective = case.objective()
    theta = np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    working = objective.working
    slopes = working.differentiate(working.evaluate(theta))
    found = empty_parts(objective, theta, slopes)
    assert [(d.name, d.term) for d in found] == [("a.direction 1", 0), ("b.c1", 1), ("b.c2", 1)]
    base, h = working.exact(theta).value, 1e-6
    for direction in found:
        lam = templates(objective, theta)
        move, block = direction.empty.move, objective.blocks[direction.term]
        covariance = lam[direction.term] @ lam[direction.term].T + h * np.outer(move, move)
        moved = theta.copy()
        root = np.linalg.cholesky(covariance + 1e-300) if block.structure.correlated else covariance**0.5
        moved[block.parameters] = block.structure.theta(root)
        assert (working.exact(moved).value - base) / h == pytest.approx(direction.empty.score, rel=1e-2, abs=1e-3)
        assert_allclose(lam[direction.term].T @ move, 0, atol=1e-12)


def test_full_templates_have_no_empty_parts() -> None:
    objective = make_case("crossed", [[(2, True)], [(3, False)]]).objective()
    theta = objective.working.start()
    slopes = objective.working.differentiate(objective.working.exact(theta))
    assert empty_parts(objective, theta, slopes) == []


def test_leaving_adds_variance_in_the_wanted_directions_only() -> None:
    objective = make_case("crossed", [[(2, True)], [(3, False)]], seed=4).objective()
    working, theta = objective.working, np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    slopes = working.differentiate(working.evaluate(theta))
    found = empty_parts(objective, theta, slopes)
    wanted = [found[0], found[2]]
    left = leave_boundary(objective, theta, wanted)
    assert_array_equal(theta, [0.5, -0.2, 0.0, 0.8, 0.0, 0.0])
    before, after = templates(objective, theta), templates(objective, left)
    v = found[0].empty.move
    assert_allclose(after[0] @ after[0].T, before[0] @ before[0].T + 0.01 * np.outer(v, v), atol=1e-12)
    assert_allclose(np.diag(after[1]), [0.8, 0.0, 0.1])


def test_words_for_what_is_empty() -> None:
    objective = make_case("three crossed", [[(2, True)], [(3, False)], [(1, True)]]).objective()
    theta = np.array([0.5, -0.2, 0.0, 0.8, 0.0, 0.7, 0.0])
    slopes = objective.working.differentiate(objective.working.evaluate(theta))
    text = describe_empty(objective, empty_parts(objective, theta, slopes))
    assert text == "the covariance matrix of c0, c1 in a has rank 1 of 2; no variance of b.c1; no variance of c0 in c"


def test_doubtful_terms_are_tried_alone_and_together() -> None:
    rng = np.random.default_rng(0)
    labels = {"a": np.arange(200) % 5, "b": rng.integers(6, size=200), "c": np.arange(200) // 5}
    strong = 5 * rng.normal(size=40)[labels["c"]]
    terms = tuple(make_term(codes, None, name) for name, codes in labels.items())
    objective = Case(strong + rng.normal(size=200), np.ones((200, 1)), terms).objective()
    theta = np.array([0.02, 0.02, 5.0])
    slopes = objective.working.differentiate(objective.working.exact(theta))
    tried = without_doubtful_terms(objective, theta, slopes)
    assert_array_equal(tried, [[0.0, 0.02, 5.0], [0.02, 0.0, 5.0], [0.0, 0.0, 5.0]])
    assert_array_equal(theta, [0.02, 0.02, 5.0])


@pytest.mark.parametrize(
    ("kind", "theta", "words"),
    [
        ("homdiag", [0.0], "no variance of c0, c1, c2 in a"),
        ("homcs", [0.0, 0.3], "no variance of c0, c1, c2 in a"),
        ("homcs", [0.7, -0.5], "the correlation of c0, c1, c2 in a is -0.5, the end of its range"),
        ("homcs", [0.7, 1.0], "the correlation of c0, c1, c2 in a is 1, the end of its range"),
        ("cs", [0.0, 0.0, 0.0, 0.2], "no variance of c0, c1, c2 in a"),
        ("cs", [0.6, 0.0, 0.8, 0.2], "no variance of a.c1"),
        (
            "cs",
            [0.6, 0.0, 0.8, 1.0],
            "no variance of a.c1 and the correlation of c0, c1, c2 in a is 1, the end of its range",
        ),
    ],
)
def test_words_for_what_other_structures_lack(kind: str, theta: list[float], words: str) -> None:
    objective = make_case("one", [[(3, kind)]], n=80).objective()
    derivatives = objective.differentiate(objective.evaluate(np.array(theta)))
    assert describe_empty(objective, empty_parts(objective, np.array(theta), derivatives)) == words


@pytest.mark.parametrize("kind", KEYWORDS)
def test_each_empty_part_is_left_where_the_criterion_falls(kind: str) -> None:
    """Leaving takes the outward parts off the boundary, the criterion is lower a little way inside, and Σ valid.

    Parts that want another common correlation than the steepest one stay.
    """
    rng, seen = np.random.default_rng(0), 0
    for seed in range(12):
        objective = make_case("one", [[(3, kind)]], n=80, seed=seed).objective()
        theta = canonical(objective.blocks, random_theta(kind, 3, rng, boundary=True))
        point = objective.evaluate(theta)
        found = empty_parts(objective, theta, objective.differentiate(point))
        outward = [part for part in found if part.falls_inwards]
        if not outward:
            assert_array_equal(leave_boundary(objective, theta, []), theta)
            continue
        seen += 1
        left = leave_boundary(objective, theta, outward)
        low, high = objective.bounds()
        assert (left >= low).all() and (left <= high).all()
        after = empty_parts(objective, left, objective.differentiate(objective.evaluate(left)))
        stays = {part.name for part in after} & {part.name for part in outward if kind != "us"}
        steepest = min(outward, key=lambda part: part.empty.score)
        wanted = {part.name for part in outward if part.empty.move[-1] == steepest.empty.move[-1]}
        assert steepest.name not in stays and (kind == "cs" or not stays)
        assert kind != "cs" or not stays & wanted
        assert kind != "us" or len(after) == len(found) - len(outward)
        beside = objective.blocks[0].structure.off_boundary(theta, [part.empty for part in outward], 1e-3)
        assert objective.exact(beside).value < point.value
    assert seen > 2


@pytest.mark.parametrize("kind", KEYWORDS)
def test_terms_are_doubted_by_what_leaving_them_out_costs(kind: str) -> None:
    """½ ΣᵀHΣ is what the information says, whatever the structure; without the term the criterion is that of zero."""
    case = make_case("crossed", [[(2, kind)], [(1, True)]], n=200, seed=3)
    objective = case.objective(y=np.random.default_rng(0).normal(size=200))
    theta = np.concatenate([1e-3 * objective.blocks[0].structure.start(), [1e-3]])
    derivatives = objective.differentiate(objective.evaluate(theta))
    tried = without_doubtful_terms(objective, theta, derivatives)
    first, second = objective.blocks[0].parameters, objective.blocks[1].parameters
    assert len(tried) == 3
    for found, emptied_parts in zip(tried, ([first], [second], [first, second]), strict=True):
        expected = theta.copy()
        for part in emptied_parts:
            expected[part] = 0.0
        assert_array_equal(found, expected)
        assert np.isfinite(objective.exact(found).value)
