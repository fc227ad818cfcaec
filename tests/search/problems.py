"""Plain functions whose minimum is known, as the searches take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.testing import assert_array_equal

from lmmsparse.search.newton import newton
from lmmsparse.search.protocols import Optimum
from tests.designs import Float


@dataclass(frozen=True)
class Point:
    theta: Float
    value: float
    degenerate: bool
    noise: float


@dataclass(frozen=True)
class Slopes:
    gradient: Float
    information: Float
    curvature: Float


@dataclass
class Problem:
    """A function with its derivatives, that counts how often it is asked."""

    value: Callable[[Float], float]
    gradient: Callable[[Float], Float]
    information: Callable[[Float], Float]
    curvature: Callable[[Float], Float] = lambda theta: np.zeros((len(theta),) * 2)
    degenerate: Callable[[Float], bool] = lambda theta: False
    noise: float = 0.0
    solved: list[Float] = field(default_factory=list)
    differentiated: list[Float] = field(default_factory=list)

    def solve(self, theta: Float) -> Point:
        self.solved.append(theta.copy())
        value = self.value(theta)
        return Point(theta, value, self.degenerate(theta), max(self.noise, 1e-13 * abs(value)))

    def differentiate(self, point: Point) -> Slopes:
        self.differentiated.append(point.theta)
        theta = point.theta
        return Slopes(self.gradient(theta), self.information(theta), self.curvature(theta))

    def newton(self, start: list[float], **options: object) -> Optimum[Point, Slopes]:
        return newton(self.solve, self.differentiate, np.array(start), **options)  # type: ignore[arg-type]


def quadratic(H: Float, centre: Float) -> Problem:
    return Problem(lambda x: float((x - centre) @ H @ (x - centre)) / 2, lambda x: H @ (x - centre), lambda x: H)


def rosenbrock() -> Problem:
    """Its Hessian is 2(J'J) of the residuals (information) plus their second derivatives (curvature, indefinite)."""
    return Problem(
        lambda x: float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2),
        lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
        lambda x: np.array([[800 * x[0] ** 2 + 2, -400 * x[0]], [-400 * x[0], 200.0]]),
        lambda x: np.diag([-400 * (x[1] - x[0] ** 2), 0.0]),
    )


def double_well(d: int = 1) -> Problem:
    """Σ (x² − 1)²: a maximum at 0 with zero gradient, minima at ±1; derivatives in two parts as of a deviance."""
    return Problem(
        lambda x: float(((x**2 - 1) ** 2).sum()),
        lambda x: 4 * x * (x**2 - 1),
        lambda x: np.diag(8 * x**2),
        lambda x: np.diag(4 * (x**2 - 1)),
    )


def assert_record(problem: Problem, found: Optimum[Point, Slopes]) -> None:
    """Every evaluation is in the history once, in order; derivatives belong to the last accepted point.

    Gradients beside a point, for differences, are asked for besides those of accepted points.
    """
    assert len(found.history) == len(problem.solved)
    for evaluation, theta in zip(found.history, problem.solved, strict=True):
        assert_array_equal(evaluation.theta, theta)
    accepted = [e for e in found.history if e.accepted]
    assert len(problem.differentiated) >= len(accepted)
    assert_array_equal(found.point.theta, accepted[-1].theta)
    assert found.point.value == min(e.value for e in accepted)
    assert_array_equal(found.derivatives.gradient, problem.gradient(found.point.theta))
