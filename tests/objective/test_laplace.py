"""Laplace's criterion against dense algebra, its gradient against differences, and lmer as a special case."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse.errors import FactorizationError
from lmmsparse.family import Binomial, Family, Gamma, Gaussian, InverseGaussian, NegativeBinomial, Poisson
from lmmsparse.objective.laplace import Laplace, LaplacePoint
from lmmsparse.objective.pirls import Conditional
from tests.designs import Float, make_case

CASES: dict[str, list[list[tuple[int, str | bool]]]] = {
    "one": [[(2, "us"), (1, "us")]],
    "crossed": [[(2, "cs")], [(1, "us")]],
    "nested": [[(1, "us")], [(2, "diag")]],
    "deep": [[(1, "us")], [(1, "us")], [(2, "homdiag")]],
}
LAYOUTS = {"one": "one", "crossed": "crossed", "nested": "nested", "deep": "crossed"}
PAIRS: list[Family] = [
    *(Binomial(link=link) for link in ("logit", "probit", "cloglog")),
    *(Poisson(link=link) for link in ("log", "sqrt")),
    *(NegativeBinomial(link=link, size=1.5) for link in ("log", "sqrt")),
    *(Gaussian(link=link) for link in ("identity", "log")),
    *(Gamma(link=link) for link in ("log", "inverse")),
    *(InverseGaussian(link=link) for link in ("log", "inverse")),
]


class Problem:
    """A generalized model on a generated design, with its criterion written out."""

    def __init__(self, layout: str, family: Family, observed: bool = True, seed: int = 1) -> None:
        n = 60
        self.linear = make_case(LAYOUTS[layout], CASES[layout], n=n, seed=seed, reml=False).objective()
        rng, design = np.random.default_rng(seed), self.linear.design
        self.family, self.observed, self.design = family, observed, design
        self.w = rng.integers(1, 4, n).astype(float)
        self.offset = 0.2 * rng.normal(size=n) + {"sqrt": 3.0, "inverse": 4.0}.get(family.link, 0.0)
        self.theta = self.linear.start() * rng.uniform(0.3, 0.7, len(self.linear.start()))
        self.beta = 0.2 * rng.normal(size=design.X.shape[1])
        mean = family.g.mean(self.offset + design.X @ self.beta)[0]
        if family.name == "binomial":
            self.y = rng.binomial(self.w.astype(int), mean) / self.w
        elif family.name in ("poisson", "negative_binomial"):
            self.y = rng.poisson(mean).astype(float)
        else:
            self.y = mean * rng.gamma(3.0, 1 / 3.0, n)
        conditional = Conditional(design, family, self.y, self.w, ("g", "h", "i"))
        self.laplace = Laplace(conditional, self.linear.blocks, design.X, self.offset, observed)

    def at(self, psi: Float) -> LaplacePoint:
        return self.laplace.evaluate(psi[: len(self.theta)], psi[len(self.theta) :])

    @property
    def psi(self) -> Float:
        return np.concatenate([self.theta, self.beta])

    def dense_value(self, found: LaplacePoint) -> float:
        blocks = []
        templates = self.linear.working.templates(self.theta)
        for block, lam in zip(self.design.blocks, templates, strict=True):
            indicators = np.eye(block.n_levels)[block.codes]
            blocks.append((indicators[:, :, None] * (block.columns @ lam)[:, None, :]).reshape(len(self.y), -1))
        Z, u = np.hstack(blocks), np.concatenate([part.ravel() for part in found.modes.place.u])
        rows = self.family.rows(self.y, self.w, self.offset + self.design.X @ self.beta + Z @ u)
        v = rows.observed[0] if self.observed else rows.expected[0]
        logdet = np.linalg.slogdet(Z.T @ (v[:, None] * Z) + np.eye(len(u)))[1]
        penalized = rows.deviance.sum() + u @ u
        return float(penalized / found.phi + self.family.saturated(self.y, self.w, found.phi) + logdet)


def differences(problem: Problem, direction: Float, h: float = 1e-3) -> float:
    """A derivative of the value by central differences of fourth order."""
    at = {k: problem.at(problem.psi + k * h * direction).value for k in (-2, -1, 1, 2)}
    return (8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * h)


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("layout", CASES)
@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_value_and_gradient(family: Family, layout: str, observed: bool) -> None:
    problem = Problem(layout, family, observed)
    found = problem.at(problem.psi)
    assert found.value == pytest.approx(problem.dense_value(found), rel=1e-11)
    numeric = [differences(problem, step) for step in np.eye(len(problem.psi))]
    assert_allclose(found.gradient, numeric, rtol=1e-7, atol=1e-8 * np.abs(numeric).max())


@pytest.mark.parametrize("layout", CASES)
def test_a_normal_response_is_the_linear_model(layout: str) -> None:
    """At β̂ of that θ the criterion is the profiled deviance of maximum likelihood, and its derivative by β zero."""
    problem = Problem(layout, Gaussian())
    design, linear, w = problem.design, problem.linear, problem.w
    objective = make_case(LAYOUTS[layout], CASES[layout], n=60, seed=1, reml=False)
    objective = objective.objective(y=problem.y - problem.offset, weights=w)
    # the design of weights has coordinates of its own
    theta = objective.to_working(linear.to_user(problem.theta))
    point = objective.exact(theta)
    conditional = Conditional(objective.design, Gaussian(), problem.y, w, ("g", "h", "i"))
    laplace = Laplace(conditional, objective.blocks, objective.design.X, problem.offset)
    start = objective.design.coordinates.fixed_map @ objective.response.start
    found = laplace.evaluate(theta, start + objective.response.scale * point.beta)
    assert found.value == pytest.approx(point.value + objective.constant, rel=1e-11)
    p = design.X.shape[1]
    assert np.abs(found.gradient[-p:]).max() < 1e-7 * np.abs(found.gradient).max() + 1e-7
    derivatives = objective.differentiate(objective.evaluate(theta))
    assert_allclose(found.gradient[:-p], derivatives.gradient, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("family", [Gaussian(), Gamma(), InverseGaussian()], ids=lambda one: str(one.name))
def test_the_dispersion_minimizes(family: Family) -> None:
    rng = np.random.default_rng(0)
    y, w, penalized = rng.gamma(2.0, 1.0, 30), rng.uniform(0.5, 3.0, 30), 11.0

    def criterion(phi: float) -> float:
        return penalized / phi + family.saturated(y, w, phi)

    phi = family.dispersion(y, w, penalized)
    assert criterion(phi) < min(criterion(1.001 * phi), criterion(0.999 * phi))


def test_no_dispersion_is_one() -> None:
    assert Poisson().dispersion(np.ones(3), np.ones(3), 7.0) == 1.0


def test_a_variance_of_zero_has_a_derivative() -> None:
    """∂d/∂Σ is continuous there."""
    problem = Problem("crossed", Poisson())
    psi = problem.psi.copy()
    psi[len(problem.theta) - 1] = 0.0
    at_zero, near = problem.at(psi), problem.at(np.where(np.arange(len(psi)) == len(problem.theta) - 1, 1e-3, psi))
    assert at_zero.scores[-1][0, 0] == pytest.approx(near.scores[-1][0, 0], rel=1e-3)


def test_what_has_no_modes_is_an_error() -> None:
    problem = Problem("one", Poisson(link="sqrt"))
    problem.laplace.offset = problem.offset - 10.0
    with pytest.raises(FactorizationError, match="leads to no mean"):
        problem.at(problem.psi)
