"""Many responses and θ of one small design against the objective of one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.objective.stacked import StackedObjective, fixed_errors, term_losses
from tests.designs import Case, Float, cases_with_theta, generated, make_case, no_small_models, random_theta
from tests.oracle import KEYWORDS, covariance, parts


def stack_of(case: Case, count: int = 3) -> tuple[StackedObjective, list, Float]:
    """Several responses together, and the objectives that each of them has alone."""
    objective = case.objective()
    responses = case.y[:, None] + np.random.default_rng(0).normal(size=(len(case.y), count))
    stack = objective.stacked(responses)
    assert stack is not None
    stacked, origins = stack
    return stacked, [objective.with_response(y) for y in responses.T], origins.scale


@pytest.mark.parametrize("kind", KEYWORDS)
@settings(generated, max_examples=12)
@given(st.data())
def test_each_is_as_if_alone(kind: str, data: st.DataObject) -> None:
    case, theta = data.draw(cases_with_theta(kinds=(kind,)))
    stacked, alone, scale = stack_of(case)
    thetas, which = np.stack([theta, 0.9 * theta, theta, 0.8 * theta]), np.array([0, 2, 2, 1])
    points, values = stacked.points(thetas, which), stacked.values(thetas, which)
    chart, losses = stacked.chart(thetas, points), term_losses(stacked.working.blocks, thetas, points.information)
    for i, (one, at) in enumerate(zip([alone[w] for w in which], thetas, strict=True)):
        point = one.exact(at)
        derivatives = one.differentiate(point)
        assert one.response.scale == pytest.approx(scale[which[i]], rel=1e-12)
        assert points.value[i] == pytest.approx(point.value, rel=1e-11, abs=1e-9)
        assert values[i] == pytest.approx(point.value, rel=1e-11, abs=1e-9)
        assert points.pwrss[i] == pytest.approx(point.pwrss, rel=1e-9)
        assert_allclose(points.beta[i], point.beta, rtol=1e-8, atol=1e-10)
        assert_allclose(points.fixed_factor[i], point.fixed_factor, rtol=1e-9, atol=1e-10)
        size = max(1.0, np.abs(derivatives.covariance_information).max())
        for score, expected in zip(points.scores, derivatives.scores, strict=True):
            assert_allclose(score[i], expected, rtol=1e-8, atol=1e-8 * size)
        assert_allclose(points.information[i], derivatives.covariance_information, rtol=1e-8, atol=1e-9 * size)
        local = one.chart(point, derivatives)
        assert_allclose(chart.gradient[i], local.gradient, rtol=1e-7, atol=1e-7 * size)
        assert_allclose(chart.smallest[i], local.smallest, rtol=1e-9)
        for loss, expected in zip(losses, term_losses(one.blocks, at, derivatives.covariance_information), strict=True):
            assert loss[i] == pytest.approx(expected, rel=1e-7, abs=1e-9)


@generated
@given(cases_with_theta())
def test_losses_are_quadratic_forms_of_the_covariances(drawn: tuple[Case, Float]) -> None:
    """½ Σ_ij Σ_i H_ij Σ_j over the entries of a term's own covariance."""
    case, theta = drawn
    objective, oracle = case.objective(), case.oracle(theta)
    found = term_losses(objective.blocks, theta, oracle.support_information)
    for loss, block, (_, keyword, k, own) in zip(found, objective.blocks, parts(case.terms, theta), strict=True):
        entries = covariance(keyword, k, own)[block.structure.support]
        H = oracle.support_information[block.support, block.support]
        assert loss == pytest.approx(0.5 * entries @ H @ entries, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", KEYWORDS)
def test_what_needs_more_care_is_not_plain(kind: str) -> None:
    """A template that cannot be factored, and a response of which nothing is left.

    One without an inverse is replaced by one nearby, as in the search for one problem.
    """
    case = make_case("one", [[(2, kind)]], n=60)
    stacked, _, _ = stack_of(case)
    good = random_theta(kind, 2, np.random.default_rng(0))
    structure = case.terms[0].structure
    thetas = np.stack([good, structure.scaled(good, 0.0), structure.scaled(good, 1e200), good])
    with np.errstate(over="ignore", invalid="ignore"):
        points = stacked.points(thetas, np.array([0, 0, 0, 1]))
        values = stacked.values(thetas, np.array([0, 0, 0, 1]))
    assert points.plain.tolist() == [True, True, False, True]
    assert points.value[1] == pytest.approx(values[1], abs=1e-6)
    assert np.isfinite(points.value[[0, 1, 3]]).all() and points.value[2] == values[2] == np.inf
    assert_array_equal(points.taken(np.array([0, 3])).value, points.value[[0, 3]])
    again = points.replaced(np.array([2]), points.taken(np.array([3])))
    assert_array_equal(again.plain, [True, True, True, True])
    assert again.value[2] == points.value[3] and points.plain[2] == np.False_


def test_large_models_are_not_stacked() -> None:
    case = make_case("crossed", [[(2, "cs")], [(1, True)]])
    with no_small_models():
        assert case.objective().stacked(case.y[:, None]) is None


def test_standard_errors_of_fixed_effects() -> None:
    rng = np.random.default_rng(0)
    beta_map = np.triu(rng.normal(size=(3, 3))) + 3 * np.eye(3)
    root = rng.normal(size=(2, 3, 3))
    factors = np.linalg.cholesky(root @ root.transpose(0, 2, 1) + np.eye(3))
    found = fixed_errors(beta_map, np.concatenate([factors, np.zeros((1, 3, 3))]))
    for i in range(2):
        covariance_of_beta = beta_map @ np.linalg.inv(factors[i] @ factors[i].T) @ beta_map.T
        assert_allclose(found[i], np.sqrt(np.diag(covariance_of_beta)), rtol=1e-10)
    assert np.isnan(found[2]).all()
