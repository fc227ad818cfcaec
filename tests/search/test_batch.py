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
from scipy.optimize import minimize

from lmmsparse.covariance import STRUCTURES, Covariance, Diagonal, Unstructured
from lmmsparse.covariance.charts import Chart, chart_around, places
from lmmsparse.objective.points import Derivatives
from lmmsparse.objective.stacked import Points
from lmmsparse.search.batch import Optima, search
from lmmsparse.search.newton import newton
from tests.designs import Float
from tests.oracle import covariance

ROWS = 20.0  # m


@dataclass(frozen=True)
class Value:
    theta: Float
    value: float
    noise: float = 0.0
    degenerate: bool = False


class Problems:
    """Several problems; each is the sum of f over the terms."""

    def __init__(self, structures: Sequence[Covariance], count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.structures = list(structures)
        self.S = []
        for structure in structures:
            root = rng.normal(size=(count, structure.size, structure.size + 2)) * rng.uniform(0.2, 3.0, (count, 1, 1))
            S = root @ root.transpose(0, 2, 1) + 0.05 * np.eye(structure.size)
            if not structure.linear:
                # the information is near the Hessian at a minimum only where S is near the family
                sd = np.sqrt(np.diagonal(S, axis1=1, axis2=2))
                S = sd[:, :, None] * (0.1 * S / (sd[:, :, None] * sd[:, None, :]) + 0.3 + 0.6 * np.eye(structure.size))
                S = S * sd[:, None, :]
            self.S.append(S)
        self.asked: list[int] = []

    @property
    def parts(self) -> tuple[slice, ...]:
        return places([structure.n_theta for structure in self.structures])

    def covariances(self, theta: Float) -> list[Float]:
        """Σ of every term, (m, k, k) of θ (m, n_theta)."""
        templates = [s.template(theta[..., part]) for s, part in zip(self.structures, self.parts, strict=True)]
        return [lam @ np.swapaxes(lam, -1, -2) for lam in templates]

    def evaluate(self, theta: Float, which: np.ndarray) -> Points:
        self.asked += which.tolist()
        m, value, scores, units, at = len(which), np.zeros(len(which)), [], [], []
        for structure, Sigma, S in zip(self.structures, self.covariances(theta), self.S, strict=True):
            inverse = np.linalg.inv(Sigma)
            value += ROWS * (-np.linalg.slogdet(inverse)[1] + np.trace(inverse @ S[which], axis1=1, axis2=2))
            scores.append(ROWS * (inverse - inverse @ S[which] @ inverse))
            for a, b in zip(*structure.support, strict=True):
                unit = np.zeros((structure.size, structure.size))
                unit[a, b] = unit[b, a] = 1.0
                units.append(unit)
                at.append((len(scores), inverse))
        information = np.zeros((m, len(units), len(units)))
        for i, (one, (term, inverse)) in enumerate(zip(units, at, strict=True)):
            for j, (other, (other_term, _)) in enumerate(zip(units, at, strict=True)):
                if term == other_term:
                    products = inverse @ one @ inverse @ other
                    information[:, i, j] = ROWS * np.trace(products, axis1=1, axis2=2)
        no_beta, no_factor = np.zeros((m, 0)), np.zeros((m, 0, 0))
        return Points(value, np.ones(m), no_beta, no_factor, scores, information, np.ones(m, dtype=bool))

    def chart(self, theta: Float, points: Points) -> Chart:
        return chart_around(self.structures, theta, points.scores, points.information)

    def start(self) -> Float:
        return np.concatenate([structure.start() for structure in self.structures])

    def alone(self, i: int) -> tuple[Float, float, int]:
        """θ, value and evaluations of the search for one problem."""

        def solve(theta: Float) -> Value:
            return Value(theta, float(self.evaluate(theta[None], np.array([i])).value[0]))

        def differentiate(point: Value) -> Derivatives:
            points = self.evaluate(point.theta[None], np.array([i]))
            scores = tuple(score[0] for score in points.scores)
            return Derivatives(tuple(self.structures), point.theta, scores, points.information[0])

        def chart(point: Value, there: Derivatives) -> Chart:
            return chart_around(self.structures, point.theta, there.scores, there.covariance_information)

        found = newton(solve, differentiate, self.start(), chart=chart)
        assert found.converged
        return found.point.theta, found.point.value, len(found.history)


def lowest(keyword: str, S: Float) -> Float:
    """The Σ of a family with the lowest f: an average of S over what the family does not tell apart, or by search."""
    k = len(S)
    variances, every = np.diag(S), np.eye(k, dtype=bool)
    match keyword:
        case "us":
            return S
        case "diag":
            return np.diag(variances)
        case "homdiag":
            return np.diag(np.full(k, variances.mean()))
        case "homcs":
            return np.where(every, variances.mean(), S[~every].mean() if k > 1 else 0.0)

    def f(x: Float) -> float:
        low = -1.0 / (k - 1)
        rho = low + (1.0 - low) / (1.0 + np.exp(-x[-1]))
        Sigma = covariance("cs", k, np.append(np.exp(x[:-1]), rho))
        return float(np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S)))

    found = minimize(f, np.append(np.log(variances) / 2.0, 0.0), method="BFGS", options={"gtol": 1e-9})
    low = -1.0 / (k - 1)
    return covariance("cs", k, np.append(np.exp(found.x[:-1]), low + (1.0 - low) / (1.0 + np.exp(-found.x[-1]))))


TERMS = [
    [Unstructured(1)],
    [Unstructured(2)],
    [Diagonal(3)],
    [Unstructured(3), Diagonal(2)],
    [Unstructured(1)] * 2,
    *([STRUCTURES[keyword](k)] for keyword in ("homdiag", "cs", "homcs") for k in (2, 3)),
    [STRUCTURES["cs"](3), Unstructured(2), STRUCTURES["homcs"](4)],
]


def run(problems: Problems, count: int) -> Optima[Points]:
    return search(problems.evaluate, problems.chart, np.tile(problems.start(), (count, 1)), 1e-10)


@pytest.mark.parametrize("structures", TERMS, ids=str)
def test_the_minima_are_found(structures: list[Covariance]) -> None:
    problems = Problems(structures, 40)
    ends = run(problems, 40)
    assert ends.settled.all()
    assert ends.evaluations.sum() == len(problems.asked)
    low, high = (np.concatenate(ends) for ends in zip(*(s.bounds() for s in structures), strict=True))
    assert (ends.theta >= low).all() and (ends.theta <= high).all()
    for structure, Sigma, S in zip(structures, problems.covariances(ends.theta), problems.S, strict=True):
        for i in range(40):
            assert_allclose(Sigma[i], lowest(structure.keyword, S[i]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structures", TERMS, ids=str)
def test_each_ends_where_the_search_for_one_does(structures: list[Covariance]) -> None:
    problems = Problems(structures, 12, seed=1)
    ends = run(problems, 12)
    for i in range(12):
        theta, value, evaluations = problems.alone(i)
        assert ends.points.value[i] == pytest.approx(value, abs=2e-10 * max(1.0, abs(value)))
        assert_allclose(ends.theta[i], theta, rtol=1e-4, atol=1e-5)
        assert ends.evaluations[i] <= evaluations + 4  # no secant correction


def test_a_problem_does_not_depend_on_its_neighbours() -> None:
    problems = Problems([Unstructured(2), Diagonal(2)], 10)
    together = run(problems, 10)
    for i in (0, 7):
        alone = search(
            lambda theta, which, i=i: problems.evaluate(theta, which + i),
            problems.chart,
            problems.start()[None],
            1e-10,
        )
        assert alone.evaluations[0] == together.evaluations[i]
        assert_allclose(alone.theta[0], together.theta[i], rtol=1e-12)


def test_no_problems() -> None:
    ends = run(Problems([Unstructured(2)], 0), 0)
    assert ends.settled.shape == ends.evaluations.shape == (0,)
    assert ends.theta.shape == (0, 3)


def test_problems_that_need_more_care_are_left_where_they_are() -> None:
    """Not plain at the start, or on the way: no more evaluations are spent, and the end is not called settled."""
    problems = Problems([Unstructured(2)], 6)

    def evaluate(theta: Float, which: np.ndarray) -> Points:
        points = problems.evaluate(theta, which)
        late = (which == 4) & (len(problems.asked) > 6)
        return Points(**{**vars(points), "plain": ~((which == 2) | late)})

    ends = search(evaluate, problems.chart, np.tile(problems.start(), (6, 1)), 1e-10)
    assert ends.settled.tolist() == [True, True, False, True, False, True]
    assert ends.evaluations[2] == 1 and ends.evaluations[4] == 2
    assert_array_equal(ends.theta[2], [1.0, 0.0, 1.0])


def test_trials_that_cannot_be_evaluated_shorten_the_step() -> None:
    problems = Problems([Unstructured(1)], 4)
    problems.S[0][:] = np.array([0.3, 9.0, 100.0, 1.0])[:, None, None]

    def evaluate(theta: Float, which: np.ndarray) -> Points:
        points = problems.evaluate(theta, which)
        far = theta[:, 0] > 11.0
        return Points(**{**vars(points), "value": np.where(far, np.inf, points.value)})

    ends = search(evaluate, problems.chart, np.tile(problems.start(), (4, 1)), 1e-10)
    assert ends.settled.all()
    assert_allclose(ends.theta[:, 0], [0.3**0.5, 3.0, 10.0, 1.0], rtol=1e-5)


def test_a_vanishing_variance_is_left_to_the_search_for_one() -> None:
    problems = Problems([Unstructured(1), Unstructured(1)], 2)
    problems.S[0][1] = 1e-12
    ends = run(problems, 2)
    assert ends.settled.tolist() == [True, False]
    assert ends.evaluations[1] < 30


@pytest.mark.parametrize("structures", TERMS, ids=str)
def test_derivatives_in_the_coordinates_of_a_frame(structures: list[Covariance]) -> None:
    """Gradient against central differences anywhere, Hessian at the minimum, where the information is exact."""
    problems, rng = Problems(structures, 3, seed=2), np.random.default_rng(0)
    which, h = np.arange(3), 1e-4
    for at_minimum in (False, True):
        theta = []
        for structure, S in zip(structures, problems.S, strict=True):
            if at_minimum:
                S[:] = [lowest(structure.keyword, one) for one in S]
                theta.append(structure.theta(np.linalg.cholesky(S)))
            else:
                lam = np.tril(rng.normal(size=S.shape)) + 2 * np.eye(structure.size)
                theta.append(structure.theta(lam))
        at = np.concatenate(theta, axis=1)
        points = problems.evaluate(at, which)
        local = problems.chart(at, points)
        gradient, information, curvature = local.gradient, local.information, local.curvature

        def value(step: Float, local: Chart = local) -> Float:
            return problems.evaluate(local.theta(np.broadcast_to(step, (3, len(step)))), which).value

        unit = h * np.eye(at.shape[1])
        differences = np.stack([(value(e) - value(-e)) / (2 * h) for e in unit], axis=1)
        assert_allclose(gradient, differences, rtol=1e-5, atol=1e-4)
        if at_minimum:
            hessian = np.empty_like(information)
            for i, one in enumerate(unit):
                for j, other in enumerate(unit):
                    mixed = value(one + other) - value(one - other) - value(other - one) + value(-one - other)
                    hessian[:, i, j] = mixed / (4 * h * h)
            assert_allclose(information + curvature, hessian, rtol=1e-3, atol=1e-3 * np.abs(hessian).max())
