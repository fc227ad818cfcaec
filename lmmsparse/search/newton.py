"""Search for the minimum of a profiled deviance: a trust-region Newton method, and a derivative-free check.

The searches see only callables.  The Newton method runs unbounded in local coordinates (a chart) around each point it
accepts: the deviance depends on a template λ through λλᵀ alone, so a boundary is an interior point there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, brentq, minimize

from lmmsparse.errors import FactorizationError

Float = NDArray[np.float64]

# The secant correction of the Hessian is trusted only this close to the minimum, in units of the deviance,
SECANT_RANGE = 0.02
# only after a step whose gain was within these factors of the predicted one,
SECANT_RATIOS = (0.3, 4.0)
# and only while it does not shrink the smallest eigenvalue more than this.
SECANT_SHRINKAGE = 1e-3

# A search of so many evaluations is on a flat ridge, and may end at so many times the tolerance.
LONG_SEARCHES = ((120, 100.0), (40, 10.0))


class Point(Protocol):
    """Value of the objective at θ."""

    @property
    def theta(self) -> Float:
        """Where."""

    @property
    def value(self) -> float:
        """Value of the objective."""

    @property
    def noise(self) -> float:
        """Rounding error to be expected in the value."""

    @property
    def degenerate(self) -> bool:
        """No finite minimum lies ahead."""


class Slopes(Protocol):
    """Derivatives at a point."""

    @property
    def gradient(self) -> Float:
        """First derivatives."""

    @property
    def information(self) -> Float:
        """Positive semidefinite approximation of the second derivatives."""

    @property
    def curvature(self) -> Float:
        """What is known exactly of their difference."""


class LocalChart(Slopes, Protocol):
    """Coordinates around a point, zero there, with the derivatives in them."""

    def theta(self, step: Float) -> Float:
        """θ at these coordinates."""

    def secant(self, theta: Float, slopes: Any) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way."""


P = TypeVar("P", bound=Point)
S = TypeVar("S", bound=Any)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the objective: θ, its value, and whether the search moved there."""

    theta: Float
    value: float
    accepted: bool


@dataclass(frozen=True)
class Optimum(Generic[P, S]):
    """Where a search ended.

    Attributes
    ----------
    point, slopes
        The last accepted point and its derivatives.
    converged : bool
        The model predicts no further decrease larger than the tolerance, or than rounding.
    predicted : float
        That predicted decrease.
    history : tuple of Evaluation
    """

    point: P
    slopes: S
    converged: bool
    predicted: float
    history: tuple[Evaluation, ...]


@dataclass(frozen=True)
class PlainChart:
    """θ itself as coordinates."""

    origin: Float
    gradient: Float
    information: Float
    curvature: Float

    @classmethod
    def around(cls, point: Point, slopes: Slopes) -> PlainChart:
        """The chart of a point."""
        return cls(point.theta, slopes.gradient, slopes.information, slopes.curvature)

    def theta(self, step: Float) -> Float:
        """θ at these coordinates."""
        return np.asarray(self.origin + step)

    def secant(self, theta: Float, slopes: Slopes) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way."""
        return self.origin - theta, self.gradient - slopes.gradient


def combined_hessian(slopes: Slopes) -> Float:
    """Information + curvature where that is positive definite, else without the negative part of the curvature."""
    hessian = slopes.information + slopes.curvature
    smallest = np.linalg.eigvalsh(hessian)[0]
    if smallest > 1e-6 * np.linalg.eigvalsh(slopes.information)[-1]:
        return hessian
    values, vectors = np.linalg.eigh(slopes.curvature)
    return slopes.information + (vectors * np.maximum(values, 0.0)) @ vectors.T


def secant_hessian(hessian: Float, step: Float, change: Float) -> Float:
    """Symmetric rank-one correction with which ``hessian @ step`` equals the observed change of the gradient.

    The average information differs from the Hessian by a term that makes the last steps converge linearly; near the
    minimum the last step shows it.  The correction is dropped where it would make the matrix nearly singular.
    """
    residual = change - hessian @ step
    scale = residual @ step
    if abs(scale) <= 1e-8 * np.linalg.norm(residual) * np.linalg.norm(step):
        return hessian
    corrected = hessian + np.outer(residual, residual) / scale
    if np.linalg.eigvalsh(corrected)[0] < SECANT_SHRINKAGE * np.linalg.eigvalsh(hessian)[0]:
        return hessian
    return corrected


def trust_region_step(hessian: Float, gradient: Float, radius: float) -> tuple[Float, float]:
    """Minimizer of gᵀs + ½ sᵀHs with |s| <= radius, and the decrease that it predicts."""
    values, vectors = np.linalg.eigh(hessian)
    values = np.maximum(values, 1e-10 * max(1.0, values[-1]))
    g = vectors.T @ gradient
    step = -g / values
    if np.linalg.norm(step) > radius:

        def excess(log_shift: float) -> float:
            return float(np.linalg.norm(g / (values + np.exp(log_shift))) - radius)

        upper = np.log(np.linalg.norm(g) / radius) + 1.0
        step = -g / (values + np.exp(brentq(excess, min(-60.0, upper - 1.0), upper)))
    decrease = -float(g @ step + 0.5 * (values * step) @ step)
    return vectors @ step, decrease


def loosened(tolerance: float, evaluations: int) -> float:
    """The tolerance in force after so many evaluations."""
    return tolerance * next((factor for count, factor in LONG_SEARCHES if evaluations >= count), 1.0)


def newton(
    solve: Callable[[Float], P],
    differentiate: Callable[[P], S],
    start: Float,
    *,
    chart: Callable[[P, S], LocalChart] = PlainChart.around,
    tolerance: float = 1e-10,
    max_evaluations: int = 200,
    watch: Callable[[Evaluation], None] | None = None,
) -> Optimum[P, S]:
    """Trust-region Newton method on value, gradient and average-information Hessian.

    Parameters
    ----------
    solve : callable
        θ → point with its value; may raise `FactorizationError` where θ is out of range.
    differentiate : callable
        point → derivatives there; called for accepted points only.
    start : (n_theta,) array
    chart : callable, optional
        (point, derivatives) → `LocalChart`; θ itself by default.
    tolerance : float
        The search ends when the predicted decrease is below this (times |value|/1e4 for large values).
    max_evaluations : int
    watch : callable, optional
        Called after every evaluation.
    """
    history: list[Evaluation] = []

    def record(theta: Float, value: float, accepted: bool) -> None:
        history.append(Evaluation(theta, value, accepted))
        if watch is not None:
            watch(history[-1])

    point = solve(np.array(start, dtype=float))
    record(point.theta, point.value, True)
    slopes = differentiate(point)
    local = chart(point, slopes)
    radius, predicted, converged = 1.0, np.inf, False
    pair: tuple[Float, Float] | None = None
    while not point.degenerate:
        hessian = combined_hessian(local)
        if pair is not None:
            hessian = secant_hessian(hessian, *pair)
        step, predicted = trust_region_step(hessian, local.gradient, radius)
        if predicted <= loosened(tolerance, len(history)) * max(1.0, abs(point.value) / 1e4):
            converged = True
            break
        length = float(np.linalg.norm(step))
        if len(history) >= max_evaluations or length <= 1e-14:
            break
        theta = local.theta(step)
        try:
            trial = solve(theta)
        except FactorizationError:
            record(theta, np.inf, False)
            radius = 0.3 * length
            continue
        actual, noise = point.value - trial.value, max(point.noise, trial.noise)
        settled = max(predicted, abs(actual)) <= noise  # the rest is rounding
        ratio = 1.0 if settled else actual / predicted
        accepted = bool(ratio > 1e-4) and not (settled and actual < 0.0)
        record(theta, trial.value, accepted)
        if ratio > 0.75:
            radius = max(radius, 2.0 * length)
        elif ratio < 0.25 or not np.isfinite(ratio):
            radius = 0.3 * length
        if accepted:
            before, before_slopes = point, slopes
            point, slopes = trial, differentiate(trial)
            local = chart(point, slopes)
            near = predicted < SECANT_RANGE and SECANT_RATIOS[0] < ratio < SECANT_RATIOS[1]
            pair = local.secant(before.theta, before_slopes) if near else None
        if settled:
            converged = True
            break
    return Optimum(point, slopes, converged, float(predicted), tuple(history))


def cobyqa(
    solve: Callable[[Float], P],
    differentiate: Callable[[P], S],
    start: Float,
    lower: Float,
    *,
    max_evaluations: int = 2000,
    watch: Callable[[Evaluation], None] | None = None,
) -> Optimum[P, S]:
    """SciPy's derivative-free COBYQA within lower bounds; slower, and independent of every derivative."""
    history: list[Evaluation] = []

    def value(theta: Float) -> float:
        try:
            result = solve(theta).value
        except FactorizationError:
            result = 1e300
        history.append(Evaluation(np.array(theta), result, True))
        if watch is not None:
            watch(history[-1])
        return result

    found = minimize(
        value,
        start,
        method="COBYQA",
        bounds=Bounds(lower, np.inf),
        options={"maxfev": max_evaluations, "final_tr_radius": 1e-8, "scale": False},
    )
    point = solve(np.asarray(found.x))
    slopes = differentiate(point)
    _, predicted = trust_region_step(combined_hessian(slopes), slopes.gradient, 1.0)
    return Optimum(point, slopes, bool(found.success), predicted, tuple(history))
