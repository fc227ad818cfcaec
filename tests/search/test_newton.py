"""The trust-region Newton search on plain functions whose minimum is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError
from lmmsparse.search.newton import combined_hessian, newton, secant_hessian, trust_region_step
from lmmsparse.search.protocols import Evaluation
from tests.designs import Float, generated
from tests.search.problems import Problem, Slopes, assert_record, double_well, quadratic, rosenbrock


class TestNewton:
    @generated
    @given(st.integers(1, 6), st.integers(0, 10_000))
    def test_quadratics_take_one_step_within_the_radius(self, d: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(d, d))
        H = root @ root.T + 0.1 * np.eye(d)
        start = rng.normal(size=d)
        near = rng.normal(size=d)
        centre = start + 0.9 * near / np.linalg.norm(near)
        problem = quadratic(H, centre)
        found = problem.newton(list(start))
        assert found.converged and len(found.history) == 2
        assert_allclose(found.point.theta, centre, atol=1e-9)
        assert found.predicted <= 1e-10
        assert_record(problem, found)

    def test_far_minima_are_reached_by_growing_steps(self) -> None:
        problem = quadratic(np.diag([1.0, 10.0]), np.array([300.0, -200.0]))
        found = problem.newton([0.0, 0.0])
        assert_allclose(found.point.theta, [300, -200], atol=1e-6)
        assert len(found.history) < 15
        lengths = [np.linalg.norm(b.theta - a.theta) for a, b in zip(found.history, found.history[1:], strict=False)]
        assert lengths[0] == pytest.approx(1.0, rel=1e-6)
        assert_record(problem, found)

    @pytest.mark.parametrize("start", [[-1.2, 1.0], [0.0, 0.0], [3.0, -4.0], [-2.0, 6.0]])
    def test_rosenbrock(self, start: list[float]) -> None:
        problem = rosenbrock()
        found = problem.newton(start)
        assert found.converged
        assert_allclose(found.point.theta, [1, 1], atol=1e-5)
        assert len(found.history) < 60
        assert_record(problem, found)

    @pytest.mark.parametrize("start", [[0.01], [-0.3], [0.05, -0.7, 2.0]])
    def test_indefinite_starts_go_downhill(self, start: list[float]) -> None:
        problem = double_well()
        found = problem.newton(start)
        assert found.converged
        assert_allclose(found.point.theta, np.sign(start), atol=1e-5)
        assert_record(problem, found)

    def test_a_point_without_gradient_is_an_end(self) -> None:
        """The caller looks at the boundary: the search cannot know that it stands on a maximum."""
        found = double_well().newton([0.0])
        assert found.converged and len(found.history) == 1

    def test_points_where_nothing_can_be_factored_are_avoided(self) -> None:
        problem = quadratic(np.eye(1), np.array([2.0]))
        inside = problem.value

        def value(x: Float) -> float:
            if x[0] > 2.4:
                raise FactorizationError("out of range")
            return inside(x)

        problem.value = value
        problem.information = lambda x: np.array([[0.3]])  # steps three times too long
        found = problem.newton([0.0])
        assert found.converged
        assert_allclose(found.point.theta, [2], atol=1e-4)
        rejected = [e for e in found.history if not np.isfinite(e.value)]
        assert rejected and not any(e.accepted for e in rejected)
        assert len(found.history) == len(problem.solved)

    def test_steps_that_go_up_are_not_taken(self) -> None:
        problem = Problem(lambda x: float(np.cosh(3 * x[0])), lambda x: 3 * np.sinh(3 * x), lambda x: np.array([[1.0]]))
        found = problem.newton([0.8])
        assert found.converged
        assert_allclose(found.point.theta, 0, atol=1e-4)
        assert not all(e.accepted for e in found.history)
        values = [e.value for e in found.history if e.accepted]
        assert values == sorted(values, reverse=True)
        assert_record(problem, found)

    def test_the_limit_of_evaluations(self) -> None:
        problem = rosenbrock()
        found = problem.newton([-1.2, 1.0], max_evaluations=5)
        assert not found.converged
        assert len(problem.solved) == 5
        assert found.predicted > 1e-10
        assert_record(problem, found)

    def test_a_degenerate_point_ends_the_search_without_a_certificate(self) -> None:
        problem = quadratic(np.eye(1), np.array([5.0]))
        problem.degenerate = lambda x: bool(x[0] > 1.5)
        found = problem.newton([0.0])
        assert found.point.degenerate and not found.converged
        assert_record(problem, found)

    def test_the_tolerance_is_that_of_the_predicted_decrease(self) -> None:
        loose, tight = rosenbrock().newton([-1.2, 1.0], tolerance=1e-2), rosenbrock().newton([-1.2, 1.0])
        assert loose.converged and loose.predicted <= 1e-2
        assert len(loose.history) < len(tight.history)
        assert tight.predicted <= 1e-10

    def test_large_values_are_not_asked_for_digits_they_do_not_have(self) -> None:
        problem = rosenbrock()
        inside = problem.value
        problem.value = lambda x: 1e9 + inside(x)
        found = problem.newton([-1.2, 1.0])
        assert found.converged
        assert_allclose(found.point.theta, [1, 1], atol=1e-2)

    @pytest.mark.parametrize("seed", range(6))
    def test_rounding_ends_the_search_at_the_lowest_value_seen(self, seed: int) -> None:
        """Values with errors of 1e-6: no step is believed that promises less, and none that leads up is taken."""
        rng = np.random.default_rng(seed)
        problem = quadratic(np.diag([2.0, 3.0]), np.array([0.4, -0.2]))
        inside = problem.value
        problem.value = lambda x: inside(x) + 1e-6 * rng.uniform(-1, 1)
        problem.information = lambda x: 1.4 * np.diag([2.0, 3.0])
        problem.noise = 2e-6
        found = problem.newton([0.0, 0.0])
        assert found.converged
        assert_allclose(found.point.theta, [0.4, -0.2], atol=5e-3)
        assert len(found.history) < 20
        assert_record(problem, found)

    def test_a_step_up_within_rounding_is_not_taken(self) -> None:
        problem = Problem(lambda x: 1e-7 * float(x[0]), lambda x: np.array([-1e-4]), lambda x: np.eye(1), noise=1e-6)
        found = problem.newton([0.0])
        assert found.converged and len(found.history) == 2
        assert_array_equal(found.point.theta, [0.0])

    def test_every_evaluation_is_reported_as_it_happens(self) -> None:
        seen: list[Evaluation] = []
        found = rosenbrock().newton([-1.2, 1.0], watch=seen.append)
        assert tuple(seen) == found.history

    def test_the_start_is_not_changed(self) -> None:
        start = np.array([-1.2, 1.0])
        problem = rosenbrock()
        newton(problem.solve, problem.differentiate, start)
        assert_array_equal(start, [-1.2, 1.0])

    def test_a_hessian_that_is_off_by_a_factor_converges_fast(self) -> None:
        """The secant correction: with half the Hessian each step would only halve the error."""
        problem = quadratic(np.diag([2.0, 8.0]), np.array([0.02, 0.03]))
        problem.information = lambda x: 1.25 * np.diag([2.0, 8.0])
        found = problem.newton([0.0, 0.0])
        assert found.converged
        assert len(found.history) <= 5


class TestTrustRegionStep:
    @generated
    @given(st.integers(1, 5), st.integers(0, 10_000), st.floats(1e-3, 10))
    def test_the_step_minimizes_the_model_in_the_ball(self, d: int, seed: int, radius: float) -> None:
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(d, d))
        H, g = root @ root.T + 0.01 * np.eye(d), rng.normal(size=d)
        step, decrease = trust_region_step(H, g, radius)

        def model(s: Float) -> float:
            return float(g @ s + s @ H @ s / 2)

        assert np.linalg.norm(step) <= radius * (1 + 1e-6)
        assert decrease == pytest.approx(-model(step), rel=1e-6, abs=1e-12)
        for _ in range(20):
            other = step + 0.1 * radius * rng.normal(size=d)
            other *= min(1.0, np.linalg.norm(step) / np.linalg.norm(other))
            assert model(other) >= model(step) - 1e-7 * abs(model(step))
        if np.linalg.norm(step) < radius * (1 - 1e-6):
            assert_allclose(H @ step, -g, rtol=1e-8, atol=1e-8)

    def test_flat_directions_do_not_divide_by_zero(self) -> None:
        step, decrease = trust_region_step(np.diag([1.0, 0.0]), np.array([0.1, 0.0]), 1.0)
        assert_allclose(step, [-0.1, 0])
        assert decrease == pytest.approx(0.005)
        step, decrease = trust_region_step(np.zeros((2, 2)), np.array([0.0, 3.0]), 0.5)
        assert_allclose(step, [0, -0.5], atol=1e-9)
        assert decrease > 0


def test_combined_hessian_is_the_sum_where_that_is_positive_definite() -> None:
    information, curvature = np.array([[4.0, 1.0], [1.0, 3.0]]), np.diag([-1.0, 2.0])
    assert_array_equal(combined_hessian(Slopes(np.zeros(2), information, curvature)), information + curvature)


def test_combined_hessian_drops_the_negative_part_elsewhere() -> None:
    information, curvature = np.diag([4.0, 1.0]), np.array([[-9.0, 0.0], [0.0, 2.0]])
    assert_allclose(combined_hessian(Slopes(np.zeros(2), information, curvature)), np.diag([4.0, 3.0]))
    smallest = np.linalg.eigvalsh(combined_hessian(Slopes(np.zeros(2), np.zeros((2, 2)), curvature)))[0]
    assert smallest >= 0


def test_secant_hessian_meets_the_last_change() -> None:
    H, step, change = np.diag([2.0, 3.0]), np.array([1.0, 0.5]), np.array([2.5, 1.0])
    corrected = secant_hessian(H, step, change)
    assert_allclose(corrected @ step, change)
    assert_allclose(corrected, corrected.T)
    assert_array_equal(secant_hessian(H, step, H @ step), H)
    assert_array_equal(secant_hessian(H, step, -5 * H @ step), H)  # it would be indefinite
