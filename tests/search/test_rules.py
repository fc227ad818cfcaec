"""The rules of the trust region on stacked problems, and those of the search for one, which are the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.search.newton import combined_hessian, trust_region_step
from lmmsparse.search.protocols import PlainChart
from lmmsparse.search.rules import bounded_steps, is_accepted, is_settled, loosened, next_radius, usable_hessian


@pytest.mark.parametrize("n", [1, 2, 5])
def test_steps_are_those_of_the_search_for_one(n: int) -> None:
    rng = np.random.default_rng(n)
    root = rng.normal(size=(30, n, n))
    information, curvature = root @ root.transpose(0, 2, 1), rng.normal(size=(30, n, n))
    curvature = curvature + curvature.transpose(0, 2, 1)
    gradient, radius = rng.normal(size=(30, n)), 10.0 ** rng.uniform(-3, 3, size=30)
    hessian = usable_hessian(information, curvature)
    steps, decrease = bounded_steps(hessian, gradient, radius)
    for i in range(30):
        there = PlainChart(np.zeros(n), gradient[i], information[i], curvature[i])
        assert_allclose(hessian[i], combined_hessian(there), rtol=1e-12, atol=1e-12)
        step, predicted = trust_region_step(hessian[i], gradient[i], float(radius[i]))
        assert_allclose(steps[i], step, rtol=1e-8, atol=1e-10)
        assert decrease[i] == pytest.approx(predicted, rel=1e-8)
        assert np.linalg.norm(steps[i]) <= radius[i] * (1 + 1e-12)


def test_no_problems_have_no_steps() -> None:
    none, nothing = np.zeros((0, 2, 2)), np.zeros((0, 2))
    steps, decrease = bounded_steps(usable_hessian(none, none), nothing, np.zeros(0))
    assert steps.shape == (0, 2) and decrease.shape == (0,)


@pytest.mark.parametrize("curvatures", [[1.0, 1.0], [1e-9, 1e6], [0.0, 2.0]])
@pytest.mark.parametrize("radius", [1e-6, 1.0, 1e6])
def test_a_step_on_the_edge_has_its_length(curvatures: list[float], radius: float) -> None:
    """(H + σI)s = −g with σ ≥ 0, and σ = 0 inside: the conditions of a minimum in the ball."""
    H, g = np.diag(curvatures), np.array([0.3, -7.0])
    step, _ = bounded_steps(H[None], g[None], np.array([radius]))
    length = np.linalg.norm(step[0])
    assert length <= radius * (1 + 1e-12)
    values = np.maximum(curvatures, 1e-10 * max(1.0, *curvatures))  # flat directions are taken to be that curved
    shift = -(g + values * step[0])[0] / step[0, 0] if length > radius * (1 - 1e-9) else 0.0
    assert shift >= 0.0
    assert_allclose((values + shift) * step[0], -g, rtol=1e-9)


def test_the_information_is_used_alone_only_where_the_sum_is_not_positive_definite() -> None:
    information = np.tile(np.diag([4.0, 1.0]), (2, 1, 1))
    curvature = np.array([np.diag([-1.0, 2.0]), np.diag([-9.0, 2.0])])
    before = curvature.copy()
    found = usable_hessian(information, curvature)
    assert_allclose(found, [np.diag([3.0, 3.0]), np.diag([4.0, 3.0])])
    assert_array_equal(curvature, before)
    assert_array_equal(information[1], np.diag([4.0, 1.0]))


def test_the_radius_grows_after_good_steps_and_shrinks_after_bad_ones() -> None:
    radius = np.full(6, 1.0)
    ratio = np.array([1.0, 1.0, 0.5, 0.1, -3.0, np.nan])
    length = np.array([1.0, 0.2, 1.0, 1.0, 1.0, 0.5])
    assert_allclose(next_radius(radius, ratio, length), [2.0, 1.0, 1.0, 0.3, 0.3, 0.15])
    assert_allclose(next_radius(np.ones(1), np.array([-np.inf]), np.ones(1)), [0.3])


def test_steps_are_taken_where_the_criterion_falls() -> None:
    assert_array_equal(is_accepted(np.array([1.0, 1e-3, 1e-5, 0.0, -1.0, np.nan, -np.inf])), [1, 1, 0, 0, 0, 0, 0])


def test_settled_is_relative_to_large_values_only() -> None:
    predicted, value = np.array([1e-10, 2e-10, 2e-10, 2e-10]), np.array([1.0, 1.0, -1e5, np.inf])
    assert_array_equal(is_settled(predicted, value, 1e-10), [True, False, True, True])


def test_long_searches_end_at_a_looser_tolerance() -> None:
    assert [loosened(1e-10, count) for count in (1, 39, 40, 119, 120, 1000)] == pytest.approx(
        [1e-10, 1e-10, 1e-9, 1e-9, 1e-8, 1e-8]
    )
