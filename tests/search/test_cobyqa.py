"""The derivative-free search within bounds on plain functions whose minimum is known."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from lmmsparse.errors import FactorizationError
from lmmsparse.search.cobyqa import cobyqa
from lmmsparse.search.protocols import Evaluation
from tests.designs import Float
from tests.search.problems import quadratic, rosenbrock


def unbounded(d: int) -> tuple[Float, Float]:
    return np.full(d, -np.inf), np.full(d, np.inf)


def test_agrees_with_newton() -> None:
    problem = rosenbrock()
    found = cobyqa(problem.solve, problem.differentiate, np.array([-1.2, 1.0]), unbounded(2))
    assert found.converged
    assert_allclose(found.point.theta, rosenbrock().newton([-1.2, 1.0]).point.theta, atol=1e-5)
    assert found.predicted < 1e-8


def test_keeps_to_the_bounds() -> None:
    problem = quadratic(np.eye(2), np.array([-1.0, 2.0]))
    found = cobyqa(
        problem.solve,
        problem.differentiate,
        np.array([1.0, 1.0]),
        (np.array([0.0, -np.inf]), np.array([np.inf, np.inf])),
    )
    assert_allclose(found.point.theta, [0, 2], atol=1e-6)
    assert all(e.theta[0] >= 0 for e in found.history)


def test_unfactorable_points_are_high_walls() -> None:
    problem = quadratic(np.eye(1), np.array([2.0]))
    inside = problem.value

    def value(x: Float) -> float:
        if x[0] > 2.4:
            raise FactorizationError("out of range")
        return inside(x)

    problem.value = value
    found = cobyqa(problem.solve, problem.differentiate, np.array([1.0]), unbounded(1))
    assert_allclose(found.point.theta, [2], atol=1e-5)


def test_the_limit_of_evaluations() -> None:
    problem = rosenbrock()
    found = cobyqa(problem.solve, problem.differentiate, np.array([-1.2, 1.0]), unbounded(2), max_evaluations=10)
    assert not found.converged
    assert len(found.history) <= 11


def test_every_evaluation_is_reported() -> None:
    seen: list[Evaluation] = []
    problem = quadratic(np.eye(2), np.zeros(2))
    found = cobyqa(problem.solve, problem.differentiate, np.ones(2), unbounded(2), watch=seen.append)
    assert tuple(seen) == found.history
    assert len(problem.solved) in (len(seen), len(seen) + 1)  # the end may be visited once more


def test_both_bounds_are_kept() -> None:
    problem = quadratic(np.eye(2), np.array([-1.0, 2.0]))
    found = cobyqa(problem.solve, problem.differentiate, np.array([0.3, 0.3]), (np.zeros(2), np.array([1.0, 0.5])))
    assert_allclose(found.point.theta, [0, 0.5], atol=1e-6)
    assert all((e.theta >= 0).all() and (e.theta <= [1.0, 0.5]).all() for e in found.history)
