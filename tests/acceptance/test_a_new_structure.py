"""A structure of covariance needs nothing outside of itself: a first-order autoregression, written here, is fitted."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import minimize

import lmmsparse
from lmmsparse import lmer
from lmmsparse.covariance import STRUCTURES, Covariance
from lmmsparse.covariance.frames import ScalarFrame, Scalars
from lmmsparse.covariance.held import ScalarCoordinates
from lmmsparse.covariance.protocols import Empty, Frame, Keeps, Quantity, TermCoordinates
from lmmsparse.covariance.structure import Index, lower_triangle
from lmmsparse.formula import parse
from tests.fits import quietly
from tests.oracle import semidefinite_cholesky

Float = NDArray[np.float64]
FORMULA = "y ~ x + homar1(0 + t | g)"


@dataclass(frozen=True)
class AutoRegressive(Covariance):
    """``homar1(0 + t | g)``: Σ_ab = s² ρ^|a − b|, −1 <= ρ <= 1; a single effect has no ρ."""

    keyword: ClassVar[str] = "homar1"
    keeps: ClassVar[Keeps] = Keeps.SCALE
    correlated: ClassVar[bool] = True
    simpler: ClassVar[tuple[str, ...]] = ("homdiag",)

    @property
    def n_theta(self) -> int:
        return 1 + (self.size > 1)

    @property
    def linear(self) -> bool:
        return self.size < 3

    @cached_property
    def support(self) -> tuple[Index, Index]:
        return lower_triangle(self.size)

    @cached_property
    def scalars(self) -> Scalars:
        none = np.zeros(0, dtype=np.intp)
        return Scalars(even=np.zeros(1, dtype=np.intp), squared=none, sine=np.arange(1, self.n_theta))

    @cached_property
    def lags(self) -> NDArray[np.intp]:
        return np.abs(np.subtract.outer(np.arange(self.size), np.arange(self.size)))

    def powers(self, theta: Float, derivative: int = 0) -> Float:
        """A derivative of ρ^lag, (…, k, k)."""
        if self.size == 1:
            return np.full((*theta.shape[:-1], 1, 1), float(not derivative))
        factor = np.prod([self.lags - i for i in range(derivative)], axis=0)
        return np.asarray(factor * theta[..., 1, None, None] ** np.maximum(self.lags - derivative, 0))

    def template(self, theta: Float) -> Float:
        theta = np.asarray(theta, dtype=float)
        L = np.zeros((*theta.shape[:-1], self.size, self.size))
        rest = np.sqrt(np.maximum(1.0 - theta[..., -1] ** 2, 0.0))
        below = np.tril(self.powers(theta))
        L[..., 0] = below[..., 0]
        if self.size > 1:
            L[..., 1:] = below[..., 1:] * rest[..., None, None]
        return np.asarray(theta[..., 0, None, None] * L)

    def theta(self, template: Float) -> Float:
        covariance = template @ np.swapaxes(template, -1, -2)
        square = np.diagonal(covariance, axis1=-2, axis2=-1).mean(axis=-1, keepdims=True)
        if self.size == 1:
            return np.sqrt(square)
        near = np.diagonal(covariance, offset=-1, axis1=-2, axis2=-1).mean(axis=-1, keepdims=True)
        return np.concatenate([np.sqrt(square), np.clip(near / np.where(square > 0, square, 1.0), -1.0, 1.0)], axis=-1)

    def jacobian(self, theta: Float) -> Float:
        (a, b), s = self.support, np.asarray(theta)[..., :1]
        columns = [2.0 * s * self.powers(theta)[..., a, b], s**2 * self.powers(theta, 1)[..., a, b]]
        return np.stack(columns[: self.n_theta], axis=-1)

    def curvature(self, theta: Float, score: Float) -> Float:
        s = np.asarray(theta)[..., 0]
        zero, one, two = ((score * self.powers(theta, i)).sum(axis=(-1, -2)) for i in range(3))
        out = np.zeros((*np.shape(s), 2, 2))
        out[..., 0, 0], out[..., 1, 1] = 2.0 * zero, s**2 * two
        out[..., 0, 1] = out[..., 1, 0] = 2.0 * s * one
        return out[..., : self.n_theta, : self.n_theta]

    def unit_map(self, L: Float) -> Float:
        return np.diag([L[0, 0], 1.0][: self.n_theta])

    def bounds(self) -> tuple[Float, Float]:
        return np.array([0.0, -1.0])[: self.n_theta], np.array([np.inf, 1.0])[: self.n_theta]

    def names(self, group: str, columns: Sequence[str]) -> tuple[str, ...]:
        return (f"{group}.sd", f"{group}.rho")[: self.n_theta]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        every = tuple(range(self.size))
        return (Quantity("sd", every, True), Quantity("cor", every, True))[: self.n_theta]

    def quantity_values(self, theta: Float) -> tuple[Float, Float]:
        values = self.canonical(theta)
        return values, np.broadcast_to(np.eye(self.n_theta), (*values.shape, self.n_theta)).copy()

    def canonical(self, theta: Float) -> Float:
        out = np.array(theta, dtype=float)
        out[..., 0] = np.abs(out[..., 0])
        return out

    def emptied(self, theta: Float, smallest: float) -> Float:
        out, near = self.canonical(theta), self.scalars.to_end(theta) < smallest
        if not near.any():
            return theta
        return np.where(near, np.append(0.0, np.sign(out[1:])), out)

    def lifted(self, theta: Float, smallest: float) -> Float:
        if (self.scalars.to_end(theta) >= smallest).all():
            return theta
        out, margin = self.canonical(theta), 2.0 * smallest**2
        return np.append(max(out[0], smallest), np.clip(out[1:], margin - 1.0, 1.0 - margin))

    def frame(self, theta: Float) -> Frame:
        return ScalarFrame.around(self, self.scalars, theta)

    def empty(self, theta: Float, score: Float, columns: Sequence[str]) -> list[Empty]:
        scale = float(np.abs(np.diag(score)).max())
        if theta[0] == 0.0:
            return [Empty("sd", np.eye(self.n_theta)[0], float(self.curvature(theta, score)[0, 0] / 2.0), scale)]
        if np.abs(theta[1:]).max(initial=0.0) < 1.0:
            return []
        move = np.array([0.0, -np.sign(theta[1])])
        return [Empty("rho", move, float(move @ self.gradient(theta, score)), scale)]

    def describe(self, found: Sequence[Empty], group: str, columns: Sequence[str]) -> str:
        return f"no variance in {group}" if found[0].name == "sd" else f"an autocorrelation in {group} is at its end"

    def off_boundary(self, theta: Float, outward: Sequence[Empty], step: float) -> Float:
        return self.canonical(theta) + np.sum([step * one.move for one in outward], axis=0)

    def coordinates(self, theta: Float, units: Float) -> TermCoordinates:
        return ScalarCoordinates(self, self.scalars, theta, np.append(units[0], 1.0)[: self.n_theta])

    def held(self, quantity: int, theta: Float, units: Float) -> TermCoordinates:
        return ScalarCoordinates(self, self.scalars, theta, np.append(units[0], 1.0)[: self.n_theta], at=quantity)

    def entry_basis(self, theta: Float) -> Float:
        return self.jacobian(theta)

    def step_units(self, theta: Float) -> Float:
        return np.append(max(1.0, abs(theta[0])), 1.0)[: self.n_theta]


def correlations(k: int, rho: float) -> Float:
    return np.array([[rho ** abs(a - b) for b in range(k)] for a in range(k)])


@pytest.fixture(autouse=True, scope="module")
def known() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STRUCTURES, "homar1", AutoRegressive)
        parse._parsed.cache_clear()
        yield
    parse._parsed.cache_clear()


def made(rho: float = 0.7, groups: int = 40, times: int = 4, seed: int = 0) -> pd.DataFrame:
    """Two rows at each of a few times of every group."""
    rng = np.random.default_rng(seed)
    effects = 1.5 * rng.normal(size=(groups, times)) @ semidefinite_cholesky(correlations(times, rho)).T
    g, t = (part.ravel() for part in np.meshgrid(np.arange(groups), np.repeat(np.arange(times), 2), indexing="ij"))
    x = rng.normal(size=len(g))
    y = 3.0 + 0.5 * x + effects[g, t] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "t": np.char.add("t", t.astype(str)), "g": np.char.add("g", g.astype(str))})


def dense_deviance(data: pd.DataFrame, s2: float, tau: float, rho: float) -> tuple[float, float]:
    """−2 log L with β profiled out, and the REML criterion, of σ², the standard deviation τ and ρ."""
    k = data["t"].nunique()
    t, g = (np.unique(data[name], return_inverse=True)[1].ravel() for name in "tg")
    V = tau**2 * correlations(k, rho)[np.ix_(t, t)] * (g[:, None] == g) + s2 * np.eye(len(t))
    X, y = np.column_stack([np.ones(len(t)), data["x"]]), data["y"].to_numpy()
    VX = np.linalg.solve(V, X)
    residual = y - X @ np.linalg.solve(X.T @ VX, VX.T @ y)
    value = np.linalg.slogdet(V)[1] + residual @ np.linalg.solve(V, residual)
    log_two_pi = np.log(2 * np.pi)
    reml = value + np.linalg.slogdet(X.T @ VX)[1] + (len(y) - 2) * log_two_pi
    return float(value + len(y) * log_two_pi), float(reml)


def dense_optimum(data: pd.DataFrame, reml: bool) -> tuple[float, Float]:
    """The lowest criterion, and σ, τ and ρ there."""

    def criterion(z: Float) -> float:
        return dense_deviance(data, float(np.exp(2 * z[0])), float(np.exp(z[1])), float(np.tanh(z[2])))[reml]

    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000}
    found = minimize(criterion, [0.0, 0.3, 0.5], method="Nelder-Mead", options=options)
    return float(found.fun), np.append(np.exp(found.x[:2]), np.tanh(found.x[2]))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("rho", [0.7, -0.5])
def test_it_is_fitted(reml: bool, rho: float) -> None:
    data = made(rho)
    m = lmer(FORMULA, data, REML=reml)
    criterion, (sigma, tau, correlation) = dense_optimum(data, reml)
    assert m.criterion == pytest.approx(criterion, abs=1e-6)
    assert_allclose([m.sigma, m.theta[0] * m.sigma, m.theta[1]], [sigma, tau, correlation], rtol=1e-4)
    assert m.converged and not m.is_singular() and m.theta_names == ("g.sd", "g.rho")
    covariance = (m.sigma * m.theta[0]) ** 2 * correlations(4, m.theta[1])
    assert_allclose(m.varcorr.terms[0].covariance, covariance, rtol=1e-8)


def test_of_one_column_it_is_an_intercept() -> None:
    data = made()
    one, other = lmer("y ~ x + homar1(1 | g)", data), lmer("y ~ x + (1 | g)", data)
    assert one.criterion == pytest.approx(other.criterion, abs=1e-8)
    assert_allclose(one.theta, other.theta, rtol=1e-5)


def test_of_two_columns_it_is_a_homogeneous_compound_symmetry() -> None:
    data = made()
    data = data[data["t"].isin(["t0", "t1"])]
    one, other = lmer(FORMULA, data), lmer("y ~ x + homcs(0 + t | g)", data)
    assert one.criterion == pytest.approx(other.criterion, abs=1e-7)
    assert_allclose(one.theta, other.theta, rtol=1e-4)


def test_it_is_profiled() -> None:
    """Limits of τ and ρ are where the dense deviance has risen by χ²₁(0.95)."""
    data = made(groups=25)
    m = lmer(FORMULA, data, REML=False)
    profile = m.profile("theta_", level=0.95)
    assert profile.names == ("sd|g", "cor|g", "sigma")
    for i, curve in enumerate(profile.curves):
        for value in curve.interval():

            def held(z: Float, i: int = i, value: float = value) -> float:
                tau, rho, sigma = np.insert([np.exp(z[0]) if i else np.tanh(z[0]), np.exp(z[1])], i, value)
                if i == 2:
                    tau, rho, sigma = np.exp(z[0]), np.tanh(z[1]), value
                return dense_deviance(data, float(sigma**2), float(tau), float(rho))[0]

            start = [[np.arctanh(m.theta[1]), np.log(m.sigma)], [np.log(m.theta[0] * m.sigma), np.log(m.sigma)]]
            start.append([np.log(m.theta[0] * m.sigma), np.arctanh(m.theta[1])])
            found = minimize(held, start[i], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
            assert found.fun - m.criterion == pytest.approx(1.959963985**2, abs=1e-4), curve.name


def test_it_is_bootstrapped_and_refitted() -> None:
    data = made()
    m = lmer(FORMULA, data)
    table = m.bootstrap(10, seed=1).conf_int(0.8).set_index("term")
    assert list(table.index) == ["sd|g", "cor|g", "sigma", "(Intercept)", "x"]
    assert -1 < table.loc["cor|g", "conf_low"] < table.loc["cor|g", "conf_high"] < 1
    responses = m.simulate(3, seed=2)
    found = m.refit_many(responses)
    for i in range(3):
        assert found.criterion[i] == pytest.approx(lmer(FORMULA, data.assign(y=responses[:, i])).criterion, abs=1e-7)


def test_it_is_printed_and_told_apart() -> None:
    data = made()
    m = lmer(FORMULA, data)
    assert FORMULA in str(m) and FORMULA in str(m.summary())
    table = m.varcorr.to_frame()
    rho = m.theta[1]
    assert_allclose(table["sdcor"][4:10], [rho, rho**2, rho**3, rho, rho**2, rho])
    wald = m.conf_int(method="wald").set_index("term")
    assert_allclose(wald.loc["cor|g", "estimate"], rho)
    assert wald.loc["cor|g", "conf_low"] < rho < wald.loc["cor|g", "conf_high"] < 1
    assert "not singular" in str(m.singularity())
    simpler = lmer("y ~ x + homdiag(0 + t | g)", data)
    found = lmmsparse.anova(simpler, m)
    assert list(found["Df"])[1] == 1.0 and found["p_value"].iloc[1] < 1e-4
    assert list(m.ranova()["term"]) == ["<none>", "homar1(0 + t | g)"]


def test_what_else_rests_on_it() -> None:
    """Degrees of freedom, predictions and influence, and copies in other processes."""
    data = made()
    m = lmer(FORMULA, data)
    assert_allclose(m.anova(ddf="kenward-roger")["DenDF"], m.anova()["DenDF"], rtol=0.1)
    found = m.predict(data.iloc[:4], interval="prediction")
    assert (found["conf_low"] < found["predicted"]).all()
    assert m.influence("g").cooks_distance.min() > 0
    copy = pickle.loads(pickle.dumps(m))
    assert copy.objective(m.theta) == m.objective(m.theta)
    assert m.update(". ~ . - x").frame.formula.text == "y ~ homar1(0 + t | g)"


@pytest.mark.parametrize("rho", [1.0, 0.0])
def test_its_boundary_is_called_by_its_name(rho: float) -> None:
    """An autocorrelation of one, and no variance at all."""
    data = made(rho, seed=4)
    if rho == 0.0:
        data["y"] = 3.0 + np.random.default_rng(1).normal(size=len(data)) - data.groupby("g")["x"].transform("mean")
        data["y"] -= data.groupby(["g", "t"])["y"].transform("mean")
    m = quietly(FORMULA, data)
    assert m.is_singular()
    expected = "an autocorrelation in g is at its end" if rho else "no variance in g"
    assert m.optinfo.message == f"converged: boundary (singular) fit: {expected}"
    assert m.theta[1 if rho else 0] == rho


def test_a_correlation_beyond_its_range_is_refused() -> None:
    m = lmer(FORMULA, made())
    with pytest.raises(lmmsparse.errors.ArgumentError, match=re.escape("g.rho must lie between -1 and 1, got 1.2")):
        m.objective([0.5, 1.2])
