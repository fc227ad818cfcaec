"""Conditional modes against dense algebra and another optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from lmmsparse.errors import FactorizationError
from lmmsparse.family import Binomial, Family, Gamma, Gaussian, InverseGaussian, NegativeBinomial, Poisson
from lmmsparse.objective.pirls import Conditional, Modes
from tests.designs import Float, make_case, needs_cholmod, sparse_cores

CASES: dict[str, list[list[tuple[int, str | bool]]]] = {
    "one": [[(2, "us"), (1, "us")]],
    "crossed": [[(2, "cs")], [(1, "us")]],
    "nested": [[(1, "us")], [(2, "diag")]],
}
PAIRS: list[Family] = [
    Binomial(),
    Binomial(link="probit"),
    Binomial(link="cloglog"),
    Binomial(link="cauchit"),
    Poisson(),
    Poisson(link="sqrt"),
    NegativeBinomial(size=1.5),
    Gaussian(link="log"),
    Gamma(link="log"),
    InverseGaussian(link="log"),
]


class Problem:
    """A conditional problem, and its matrices written out."""

    def __init__(self, layout: str, family: Family, seed: int = 0, scale: float = 0.5) -> None:
        objective = make_case(layout, CASES[layout], n=60, seed=seed).objective()
        rng = np.random.default_rng(seed)
        n, design = 60, objective.design
        self.family, self.weights = family, rng.integers(1, 4, n).astype(float)
        psi = objective.start() * rng.uniform(0.5, 1.5, len(objective.start()))
        self.templates = objective.working.templates(psi)
        self.fixed = 0.3 * rng.normal(size=n) + {"sqrt": 2.0, "identity": 4.0}.get(family.link, 0.0)
        mean = family.g.mean(self.fixed)[0]
        self.y = {
            "binomial": lambda: rng.binomial(self.weights.astype(int), mean) / self.weights,
            "poisson": lambda: rng.poisson(mean).astype(float),
            "negative_binomial": lambda: rng.poisson(mean).astype(float),
        }.get(family.name, lambda: mean * rng.gamma(3.0, 1 / 3.0, n))()
        self.conditional = Conditional(design, family, self.y, self.weights, ("g", "h"))
        blocks = []
        for block, lam in zip(design.blocks, self.templates, strict=True):
            indicators = np.eye(block.n_levels)[block.codes]
            blocks.append((indicators[:, :, None] * (block.columns @ lam)[:, None, :]).reshape(n, -1))
        self.Z = np.hstack(blocks)

    def penalized(self, u: Float) -> tuple[float, Float]:
        rows = self.family.rows(self.y, self.weights, self.fixed + self.Z @ u)
        return float(rows.deviance.sum() + u @ u), 2.0 * (u - self.Z.T @ rows.score)

    def modes(self, **changes: Any) -> Modes:
        return self.conditional.modes(self.templates, self.fixed, **changes)


def joined(u: tuple[Float, ...]) -> Float:
    return np.concatenate([part.ravel() for part in u])


def check(problem: Problem) -> None:
    found = problem.modes()
    u, rows = joined(found.place.u), found.place.rows
    assert_allclose(found.place.eta, problem.fixed + problem.Z @ u, atol=1e-12)
    value, gradient = problem.penalized(u)
    assert found.place.penalized == pytest.approx(value, rel=1e-12)
    assert np.abs(gradient).max() < 1e-6
    best = minimize(problem.penalized, np.zeros(len(u)), jac=True, method="L-BFGS-B", options={"ftol": 1e-14})
    assert value <= best.fun + 1e-9 * abs(best.fun)
    v = rows.observed[0] if found.observed else rows.expected[0]
    M = problem.Z.T @ (v[:, None] * problem.Z) + np.eye(len(u))
    assert found.factor.logdet == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-10)
    again = problem.modes(u=found.place.u)
    assert again.factorizations <= 2
    assert_allclose(joined(again.place.u), u, atol=1e-8)


@pytest.mark.parametrize("layout", CASES)
@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_modes(family: Family, layout: str) -> None:
    check(Problem(layout, family))


@needs_cholmod
def test_modes_with_a_sparse_core() -> None:
    with sparse_cores():
        check(Problem("crossed", Poisson()))


def test_few_factorizations() -> None:
    for layout in CASES:
        assert Problem(layout, Binomial()).modes().factorizations <= 7


def test_a_start_out_of_range_begins_at_zero() -> None:
    problem = Problem("one", Poisson(link="identity"))
    far = tuple(np.full_like(part, -1e3) for part in problem.modes().place.u)
    assert_allclose(joined(problem.modes(u=far).place.u), joined(problem.modes().place.u), atol=1e-8)


def test_where_no_mean_is_the_row_is_named() -> None:
    problem = Problem("one", Poisson(link="identity"))
    problem.fixed = np.where(np.arange(60) == 7, -5.0, 5.0)
    with pytest.raises(FactorizationError, match="row 7 leads to no mean"):
        problem.modes()
