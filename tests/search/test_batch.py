"""Searches in lockstep against the search for one problem, on a criterion whose minimum is known.

f(Σ) = m [log|Σ| + tr(Σ⁻¹S)] with Σ = λλᵀ has its minimum at Σ = S when the structure allows it; its score is
m (Σ⁻¹ − Σ⁻¹SΣ⁻¹), and m tr(Σ⁻¹E_iΣ⁻¹E_j) is its expected information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance.charts import Chart, chart_around, slopes
from lmmsparse.covariance.structure import CovarianceStructure, Diagonal, Unstructured
from lmmsparse.objective.points import Derivatives
from lmmsparse.search.batch import (
    Ends,
    Frame,
    Points,
    bounded_steps,
    frame,
    moved,
    search,
    usable_hessian,
)
from lmmsparse.search.newton import PlainChart, combined_hessian, newton, trust_region_step
from tests.designs import Float

ROWS = 20.0  # m


@dataclass(frozen=True)
class Value:
    theta: Float
    value: float
    noise: float = 0.0
    degenerate: bool = False


class Problems:
    """Several problems; each is the sum of f over the terms."""

    def __init__(self, structures: Sequence[CovarianceStructure], count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.structures = list(structures)
        self.S = []
        for structure in structures:
            root = rng.normal(size=(count, structure.size, structure.size + 2)) * rng.uniform(0.2, 3.0, (count, 1, 1))
            self.S.append(root @ root.transpose(0, 2, 1) + 0.05 * np.eye(structure.size))
        self.asked: list[int] = []

    @property
    def n_theta(self) -> int:
        return sum(structure.n_theta for structure in self.structures)

    def evaluate(self, templates: list[Float], which: np.ndarray) -> Points:
        self.asked += which.tolist()
        m, value, scores = len(which), np.zeros(len(which)), []
        information, start = np.zeros((m, self.n_theta, self.n_theta)), 0
        for structure, lam, S in zip(self.structures, templates, self.S, strict=True):
            inverse = np.linalg.inv(lam @ lam.transpose(0, 2, 1))
            value += ROWS * (-np.linalg.slogdet(inverse)[1] + np.trace(inverse @ S[which], axis1=1, axis2=2))
            scores.append(ROWS * (inverse - inverse @ S[which] @ inverse))
            units = []
            for a, b in zip(*structure.entries, strict=True):
                unit = np.zeros((structure.size, structure.size))
                unit[a, b] = unit[b, a] = 1.0
                units.append(unit)
            for i, one in enumerate(units):
                for j, other in enumerate(units):
                    products = inverse @ one @ inverse @ other
                    information[:, start + i, start + j] = ROWS * np.trace(products, axis1=1, axis2=2)
            start += structure.n_theta
        no_beta, no_factor = np.zeros((m, 0)), np.zeros((m, 0, 0))
        return Points(value, np.ones(m), no_beta, no_factor, scores, information, np.ones(m, dtype=bool))

    def start(self) -> list[Float]:
        return [np.eye(structure.size) for structure in self.structures]

    def alone(self, i: int) -> tuple[Float, float, int]:
        """θ, value and evaluations of the search for one problem."""

        def at(theta: Float) -> Points:
            parts = np.split(theta, np.cumsum([s.n_theta for s in self.structures])[:-1])
            stacked = [s.template(part)[None] for s, part in zip(self.structures, parts, strict=True)]
            return self.evaluate(stacked, np.array([i]))

        def solve(theta: Float) -> Value:
            return Value(theta, float(at(theta).value[0]))

        def differentiate(point: Value) -> Derivatives:
            points = at(point.theta)
            scores = tuple(score[0] for score in points.scores)
            return Derivatives(tuple(self.structures), point.theta, scores, points.information[0])

        def chart(point: Value, there: Derivatives) -> Chart:
            return chart_around(self.structures, point.theta, there.scores, there.covariance_information)

        start = np.concatenate([s.theta(lam) for s, lam in zip(self.structures, self.start(), strict=True)])
        found = newton(solve, differentiate, start, chart=chart)
        assert found.converged
        return found.point.theta, found.point.value, len(found.history)


STRUCTURES = [
    [Unstructured(1)],
    [Unstructured(2)],
    [Diagonal(3)],
    [Unstructured(3), Diagonal(2)],
    [Unstructured(1)] * 2,
]


def run(problems: Problems, count: int) -> Ends:
    return search(problems.evaluate, problems.structures, problems.start(), count, 1e-10)


@pytest.mark.parametrize("structures", STRUCTURES, ids=str)
def test_the_minima_are_found(structures: list[CovarianceStructure]) -> None:
    problems = Problems(structures, 40)
    ends = run(problems, 40)
    assert ends.settled.all()
    assert ends.evaluations.sum() == len(problems.asked)
    for structure, lam, S in zip(structures, ends.templates, problems.S, strict=True):
        assert_allclose(lam, np.tril(lam))
        assert (np.diagonal(lam, axis1=1, axis2=2) >= 0).all()
        expected = S if structure.rotates else S * np.eye(structure.size)
        assert_allclose(lam @ lam.transpose(0, 2, 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structures", STRUCTURES, ids=str)
def test_each_ends_where_the_search_for_one_does(structures: list[CovarianceStructure]) -> None:
    problems = Problems(structures, 12, seed=1)
    ends = run(problems, 12)
    for i in range(12):
        theta, value, evaluations = problems.alone(i)
        found = np.concatenate([s.theta(lam[i]) for s, lam in zip(structures, ends.templates, strict=True)])
        assert ends.points.value[i] == pytest.approx(value, abs=2e-10 * max(1.0, abs(value)))
        assert_allclose(found, theta, rtol=1e-4, atol=1e-5)
        assert ends.evaluations[i] <= evaluations + 4  # no secant correction


def test_a_problem_does_not_depend_on_its_neighbours() -> None:
    problems = Problems([Unstructured(2), Diagonal(2)], 10)
    together = run(problems, 10)
    for i in (0, 7):
        alone = search(
            lambda templates, which, i=i: problems.evaluate(templates, which + i),
            problems.structures,
            problems.start(),
            1,
            1e-10,
        )
        assert alone.evaluations[0] == together.evaluations[i]
        assert_allclose(alone.templates[0][0], together.templates[0][i], rtol=1e-12)


def test_no_problems() -> None:
    ends = run(Problems([Unstructured(2)], 0), 0)
    assert ends.settled.shape == ends.evaluations.shape == (0,)
    assert ends.templates[0].shape == (0, 2, 2)


def test_problems_that_need_more_care_are_left_where_they_are() -> None:
    """Not plain at the start, or on the way: no more evaluations are spent, and the end is not called settled."""
    problems = Problems([Unstructured(2)], 6)

    def evaluate(templates: list[Float], which: np.ndarray) -> Points:
        points = problems.evaluate(templates, which)
        late = (which == 4) & (len(problems.asked) > 6)
        return Points(**{**vars(points), "plain": ~((which == 2) | late)})

    ends = search(evaluate, problems.structures, problems.start(), 6, 1e-10)
    assert ends.settled.tolist() == [True, True, False, True, False, True]
    assert ends.evaluations[2] == 1 and ends.evaluations[4] == 2
    assert_array_equal(ends.templates[0][2], np.eye(2))


def test_trials_that_cannot_be_evaluated_shorten_the_step() -> None:
    problems = Problems([Unstructured(1)], 4)
    problems.S[0][:] = np.array([0.3, 9.0, 100.0, 1.0])[:, None, None]

    def evaluate(templates: list[Float], which: np.ndarray) -> Points:
        points = problems.evaluate(templates, which)
        far = templates[0][:, 0, 0] > 11.0
        return Points(**{**vars(points), "value": np.where(far, np.inf, points.value)})

    ends = search(evaluate, problems.structures, problems.start(), 4, 1e-10)
    assert ends.settled.all()
    assert_allclose(ends.templates[0][:, 0, 0], [0.3**0.5, 3.0, 10.0, 1.0], rtol=1e-5)


def test_a_vanishing_variance_is_left_to_the_search_for_one() -> None:
    problems = Problems([Unstructured(1), Unstructured(1)], 2)
    problems.S[0][1] = 1e-12
    ends = run(problems, 2)
    assert ends.settled.tolist() == [True, False]
    assert ends.evaluations[1] < 30


@pytest.mark.parametrize("structures", STRUCTURES, ids=str)
def test_derivatives_in_the_coordinates_of_a_frame(structures: list[CovarianceStructure]) -> None:
    """Gradient against central differences anywhere, Hessian at the minimum, where the information is exact."""
    problems, rng = Problems(structures, 3, seed=2), np.random.default_rng(0)
    which, h = np.arange(3), 1e-4
    for at_minimum in (False, True):
        templates = []
        for structure, S in zip(structures, problems.S, strict=True):
            if at_minimum:
                S[:] = S if structure.rotates else S * np.eye(structure.size)
                templates.append(np.linalg.cholesky(S))
            else:
                lam = np.tril(rng.normal(size=S.shape)) + 2 * np.eye(structure.size)
                templates.append(lam if structure.rotates else lam * np.eye(structure.size))
        frames = [frame(structure, lam) for structure, lam in zip(structures, templates, strict=True)]
        points = problems.evaluate(templates, which)
        moves, bases = [f.moves for f in frames], [f.base for f in frames]
        gradient, information, curvature = slopes(structures, moves, bases, points.scores, points.information)

        def value(step: Float, frames: list[Frame] = frames) -> Float:
            steps = np.broadcast_to(step, (3, len(step)))
            return problems.evaluate(moved(structures, frames, steps), which).value

        unit = h * np.eye(problems.n_theta)
        differences = np.stack([(value(e) - value(-e)) / (2 * h) for e in unit], axis=1)
        assert_allclose(gradient, differences, rtol=1e-5, atol=1e-4)
        if at_minimum:
            hessian = np.empty_like(information)
            for i, one in enumerate(unit):
                for j, other in enumerate(unit):
                    mixed = value(one + other) - value(one - other) - value(other - one) + value(-one - other)
                    hessian[:, i, j] = mixed / (4 * h * h)
            assert_allclose(information + curvature, hessian, rtol=1e-3, atol=1e-3 * np.abs(hessian).max())


def test_the_frame_of_a_template_is_the_template() -> None:
    rng = np.random.default_rng(0)
    for structure in (Unstructured(3), Diagonal(3)):
        lam = np.tril(rng.normal(size=(5, 3, 3))) if structure.rotates else np.eye(3) * rng.normal(size=(5, 3, 1))
        f = frame(structure, lam)
        (still,) = moved([structure], [f], np.zeros((5, structure.n_theta)))
        assert_allclose(still @ still.transpose(0, 2, 1), lam @ lam.transpose(0, 2, 1), atol=1e-12)
        assert (f.D >= 1).all() and (f.S >= 0).all()


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
