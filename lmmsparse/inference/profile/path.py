"""The path of a profiled deviance: it is followed from the minimum in steps of ζ, each minimised from a good guess.

The search knows callables only.  ζ(c) = ±√(D(c) − D(ĉ)), where D(c) is the minimum over the other coordinates; its
derivative D'(c)/2ζ costs nothing more, since D'(c) is the partial derivative at that minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from lmmsparse.errors import FactorizationError

Float = NDArray[np.float64]

# A minimum is found when one more step is predicted to gain less than this (times |D|/1e4 for large D),
TOLERANCE = 1e-9
# and good enough at the end of its patience when it would gain less than this.
LOOSE = 1e-4
PATIENCE = 40
# Longest step of a search, as the decrease of the deviance that it predicts.
LONGEST = 8.0
# Difference for the second derivatives at the start, in units of each coordinate.
DIFFERENCE = 1e-3
# Distance from the last ζ within which interpolation has digits enough.
NEAR = 0.01
# So many points belong to one side at most.
MOST_POINTS = 60


class Evaluated(Protocol):
    """Value and gradient at (x, c)."""

    @property
    def x(self) -> Float:
        """Free coordinates."""

    @property
    def c(self) -> float:
        """The held one."""

    @property
    def value(self) -> float:
        """Deviance."""

    @property
    def gradient(self) -> Float:
        """Derivatives with respect to x and c."""

    @property
    def noise(self) -> float:
        """Rounding error of the value."""


E = TypeVar("E", bound=Evaluated)
Function = Callable[[Float, float], E]


@dataclass(frozen=True)
class Step(Generic[E]):
    """One point of a path: its minimum, ζ and dζ/dc there."""

    point: E
    zeta: float
    slope: float


@dataclass(frozen=True)
class Path(Generic[E]):
    """Steps in the order of c.

    Attributes
    ----------
    steps : tuple of Step
    complete : (bool, bool)
        Whether each end reached the last ζ, or a limit of c.
    lowest : float
        The lowest deviance that was met.
    evaluations : int
    """

    steps: tuple[Step[E], ...]
    complete: tuple[bool, bool]
    lowest: float
    evaluations: int


class _Counted(Generic[E]):
    """A function that knows how often it was called."""

    def __init__(self, function: Function[E]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, x: Float, c: float) -> E:
        self.calls += 1
        return self.function(x, c)


def follow(
    function: Function[E],
    start: Float,
    c: float,
    scale: Float,
    limits: tuple[float, float],
    last: float,
    count: int,
    *,
    positive: NDArray[np.bool_],
    lift: Callable[[Float], Float],
) -> Path[E]:
    """Follow the profile from its minimum at (start, c) to ζ = ±last.

    Parameters
    ----------
    function : callable
        (x, c) → point with value and gradient; may raise `FactorizationError`.
    start : (m,) array
    scale : (m + 1,) array
        Units of x and c.
    limits : (float, float)
        Range of c.
    last : float
    count : int
        Steps of equal size in ζ on either side.
    positive : (m,) array of bool
        Coordinates that must not be negative.
    lift : callable
        x → x with nothing at zero where the derivative would say nothing.
    """
    counted = _Counted(function)
    base = counted(start, c)
    hessian = _differences(counted, base, scale)
    m = len(start)
    rest = hessian[m, m] - hessian[m, :m] @ np.linalg.solve(hessian[:m, :m], hessian[:m, m]) if m else hessian[m, m]
    steepness = max(float(rest), 1e-8 * float(hessian[m, m]))
    origin = Step(base, 0.0, float(np.sqrt(steepness / 2.0)))
    sides: dict[int, list[Step[E]]] = {}
    complete, lowest = [], base.value
    for side in (-1, 1):
        walk = _Walk(counted, hessian.copy(), side, limits[(side + 1) // 2], last, positive, lift, scale)
        steps, done = walk.run(origin, count)
        sides[side] = steps
        complete.append(done)
        lowest = min([lowest, *(step.point.value for step in steps)])
    ordered = [*reversed(sides[-1]), origin, *sides[1]]
    return Path(tuple(ordered), (complete[0], complete[1]), lowest, counted.calls)


def lowest(
    function: Function[E], start: Float, c: float, scale: Float, at: float, lift: Callable[[Float], Float]
) -> E | None:
    """The minimum over x where the held coordinate is ``at``, from second derivatives at (start, c)."""
    hessian = _differences(function, function(start, c), scale)
    everywhere = np.zeros(len(start), dtype=bool)
    return _Walk(function, hessian, 1, np.inf, np.inf, everywhere, lift, scale).search(lift(start), at)


def _differences(function: Function[E], base: E, scale: Float) -> Float:
    """Second derivatives with respect to (x, c) by forward differences of the gradient, made positive definite."""
    size = len(scale)
    hessian = np.empty((size, size))
    for i in range(size):
        z = np.append(base.x, base.c)
        step = DIFFERENCE * scale[i]
        z[i] += step
        hessian[i] = (function(z[:-1], float(z[-1])).gradient - base.gradient) / step
    scaled = scale[:, None] * (hessian + hessian.T) / 2.0 * scale
    values, vectors = np.linalg.eigh(scaled)
    values = np.maximum(np.abs(values), 1e-7 * max(float(np.abs(values).max()), 1e-300))
    return np.asarray((vectors * values) @ vectors.T / scale / scale[:, None])


class _Walk(Generic[E]):
    """One side of a path, with what is learned of the second derivatives on the way."""

    def __init__(
        self,
        function: Function[E],
        hessian: Float,
        side: int,
        limit: float,
        last: float,
        positive: NDArray[np.bool_],
        lift: Callable[[Float], Float],
        scale: Float,
    ) -> None:
        self.function, self.hessian, self.side, self.limit = function, hessian, side, limit
        self.last, self.positive, self.lift, self.scale = last, positive, lift, scale

    def run(self, origin: Step[E], count: int) -> tuple[list[Step[E]], bool]:
        """Steps outward from the origin, and whether ±last or the limit was reached."""
        self.origin, steps = origin, [origin]
        size = self.last / count
        if (self.limit - origin.point.c) * self.side <= 0.0:
            return [], True
        while abs(steps[-1].zeta) < self.last - NEAR and len(steps) < MOST_POINTS:
            target = abs(steps[-1].zeta) + size
            target = self.last if target > self.last - 0.3 * size else target
            new = self._onward(steps, self._reach(steps, target))
            if new is None or not np.isfinite(new.zeta):
                return steps[1:], False
            steps.append(new)
            if new.point.c == self.limit and abs(new.zeta) < self.last:
                return steps[1:], True
        if abs(steps[-1].zeta) < self.last - NEAR:
            return steps[1:], False
        self._refine(steps)
        return steps[1:], True

    def _onward(self, steps: list[Step[E]], c: float) -> Step[E] | None:
        """The minimum at c, or nearer where none is found."""
        for _ in range(8):
            new = self._minimum(steps, c)
            if new is not None:
                return new
            c = (c + steps[-1].point.c) / 2.0
        return None

    def _reach(self, steps: list[Step[E]], target: float) -> float:
        """c where |ζ| is to be ``target``, from the last one or two points."""
        here, goal = steps[-1], self.side * target
        ahead = goal - here.zeta
        inverse = 1.0 / here.slope if here.slope > 0.0 else np.inf
        step = inverse * ahead
        if len(steps) > 1:
            before = steps[-2]
            earlier = here.point.c - before.point.c
            if not np.isfinite(step) or abs(step) > 4.0 * abs(earlier):
                step = 2.0 * earlier
            elif before.slope > 0.0 and here.zeta != before.zeta:  # they are both 0 below the deviance of the fit
                bend = (inverse - 1.0 / before.slope) / (here.zeta - before.zeta)
                step *= float(np.clip(1.0 + 0.5 * bend * ahead / inverse, 0.4, 2.5))
        c = here.point.c + step
        return self.limit if (self.limit - c) * self.side <= 0.0 else c

    def _minimum(self, steps: list[Step[E]], c: float) -> Step[E] | None:
        """The minimum over x at c."""
        m = len(self.positive)
        near = sorted(steps, key=lambda step: abs(step.point.c - c))[:3]
        if len(near) == 1:
            here = near[0].point
            along = -np.linalg.solve(self.hessian[:m, :m], self.hessian[:m, m]) if m else np.zeros(0)
            guess = here.x + (c - here.c) * along
        else:
            guess = _polynomial([s.point.c for s in near], [s.point.x for s in near], c)
        guess = self.lift(np.where(self.positive, np.maximum(guess, 0.0), guess))
        point = self.search(guess, c)
        if point is None:
            return None
        rise = point.value - self.origin.point.value
        zeta = self.side * float(np.sqrt(max(rise, 0.0)))
        slope = float(point.gradient[-1]) / (2.0 * zeta) if zeta else self.origin.slope
        return Step(point, zeta, slope)

    def search(self, x: Float, c: float) -> E | None:
        """Quasi-Newton search over x; None where it fails."""
        point = self._tried(x, c)
        if point is None:
            return None
        m, predicted = len(x), 0.0
        for _ in range(PATIENCE):
            gradient = point.gradient[:m]
            free = ~(self.positive & (point.x <= 0.0) & (gradient > 0.0))
            step = np.zeros(m)
            step[free] = -np.linalg.solve(self.hessian[:m, :m][np.ix_(free, free)], gradient[free])
            predicted = -0.5 * float(gradient @ step)
            if predicted <= max(TOLERANCE * max(1.0, abs(point.value) / 1e4), point.noise):
                return point
            step *= min(1.0, float(np.sqrt(LONGEST / predicted)))
            better = self._descend(point, step)
            if better is None:
                break
            point = better
        return point if predicted <= LOOSE else None

    def _descend(self, point: E, step: Float) -> E | None:
        """A point of lower deviance along the step; None where there is none."""
        length = 1.0
        for _ in range(12):
            x = point.x + length * step
            x = np.where(self.positive, np.maximum(x, 0.0), x)
            trial = self._tried(x, point.c)
            if trial is not None:
                self._learn(point, trial)
                expected = float(point.gradient[: len(x)] @ (x - point.x))
                noise = max(point.noise, trial.noise)
                if trial.value <= point.value + 1e-4 * expected + noise:
                    return trial
            length *= 0.3
        return None

    def _tried(self, x: Float, c: float) -> E | None:
        try:
            point = self.function(x, c)
        except FactorizationError:
            return None
        return point if np.isfinite(point.value) and np.isfinite(point.gradient).all() else None

    def _learn(self, one: E, other: E) -> None:
        """BFGS update, damped so that the matrix stays positive definite (Powell 1978)."""
        s = np.append(other.x - one.x, other.c - one.c)
        y = other.gradient - one.gradient
        Bs = self.hessian @ s
        sBs, sy = float(s @ Bs), float(s @ y)
        if not sBs > 0.0:
            return
        if sy < 0.2 * sBs:
            share = 0.8 * sBs / (sBs - sy)
            y = share * y + (1.0 - share) * Bs
        self.hessian = self.hessian + np.outer(y, y) / float(s @ y) - np.outer(Bs, Bs) / sBs

    def _refine(self, steps: list[Step[E]]) -> None:
        """Points added until one is so near ±last that interpolation gives its c."""
        goal = self.side * self.last
        for _ in range(8):
            if min(abs(step.zeta - goal) for step in steps) <= NEAR:
                return
            inside = max((s for s in steps if abs(s.zeta) <= self.last), key=lambda s: abs(s.zeta))
            outside = min((s for s in steps if abs(s.zeta) > self.last), key=lambda s: abs(s.zeta))
            c = interpolate([inside, outside] if self.side > 0 else [outside, inside], goal)
            if any(c == step.point.c for step in steps):
                return
            new = self._minimum(steps, c)
            if new is None:
                return
            steps.append(new)
            steps.sort(key=lambda step: self.side * step.point.c)


def _polynomial(places: list[float], values: list[Float], c: float) -> Float:
    """The polynomial through points (c_i, x_i), at c."""
    total = np.zeros_like(values[0])
    for i, value in enumerate(values):
        weight = 1.0
        for j, place in enumerate(places):
            if j != i:
                weight *= (c - place) / (places[i] - place)
        total = total + weight * value
    return total


def interpolate(steps: list[Step[E]], zeta: float) -> float:
    """c where ζ has a value, by cubic interpolation of c(ζ)."""
    return hermite(
        np.array([step.zeta for step in steps]),
        np.array([step.point.c for step in steps]),
        np.array([step.slope for step in steps]),
        zeta,
    )


def hermite(zeta: Float, c: Float, slope: Float, at: float) -> float:
    """c(ζ) at one ζ: the cubic through the two nearest points with derivatives dc/dζ = 1/slope.

    Near a limit, where ζ is flat, a cubic ζ(c) is solved instead.

    Parameters
    ----------
    zeta, c, slope : (m,) arrays
        Increasing ζ with c and dζ/dc; m ≥ 2.
    at : float
        A little beyond the ends it is extrapolated.
    """
    i = int(np.clip(np.searchsorted(zeta, at) - 1, 0, len(zeta) - 2))
    width, rise = zeta[i + 1] - zeta[i], c[i + 1] - c[i]
    if not width > 0.0:
        return float(c[i])
    t = (at - zeta[i]) / width
    with np.errstate(divide="ignore"):
        first, second = width / slope[i], width / slope[i + 1]
    if not (0.0 < first < 3.0 * rise and 0.0 < second < 3.0 * rise):
        return float(c[i] + rise * _crossing(slope[i] * rise / width, slope[i + 1] * rise / width, t))
    cubic = t * (1.0 - t) * ((1.0 - t) * (first - rise) - t * (second - rise))
    return float(c[i] + t * rise + cubic)


def _crossing(first: float, second: float, height: float) -> float:
    """t where the cubic from (0, 0) to (1, 1) with derivatives ``first`` and ``second`` is ``height``."""
    if not 0.0 < height < 1.0 or not (0.0 <= first < 3.0 and 0.0 <= second < 3.0):
        return height

    def excess(t: float) -> float:
        return t + t * (1.0 - t) * ((1.0 - t) * (first - 1.0) - t * (second - 1.0)) - height

    return float(brentq(excess, 0.0, 1.0))
