"""The search of `newton` for many small problems at once: the same rules on stacked arrays.

All problems take their steps together, and NumPy's overhead is shared by all of them.  Only plain searches end here: a
problem that comes near the boundary, loses digits or does not settle is left to the search for one problem, which knows
what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.search.rules import (
    DIFFERENCE,
    bounded_steps,
    is_accepted,
    is_settled,
    next_radius,
    turned_hessian,
    usable_hessian,
)

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

# Steps after which a problem is left to the search for one.
MOST_STEPS = 30
# A relative standard deviation below this is left to the search for one problem as well.
NEAR_ZERO = 1e-3

S = TypeVar("S", bound="StackedPoints")


class StackedPoints(Protocol):
    """Values and derivatives of several problems."""

    @property
    def value(self) -> Float:
        """Value of every problem, (m,); infinite where there is none."""

    @property
    def plain(self) -> Mask:
        """False where a problem needs more care, (m,)."""

    def taken(self: S, where: Index) -> S:
        """Some of the points."""

    def replaced(self: S, where: Index, other: S) -> S:
        """These points with those of ``other`` in some places."""


class StackedChart(Protocol):
    """Coordinates around a point of every problem, with the derivatives in them."""

    @property
    def gradient(self) -> Float:
        """First derivatives, (m, n_theta)."""

    @property
    def information(self) -> Float:
        """Approximate second derivatives, (m, n_theta, n_theta)."""

    @property
    def curvature(self) -> Float:
        """What is known exactly of their difference."""

    @property
    def smallest(self) -> Float:
        """Distance to the boundary, (m,)."""

    def theta(self, step: Float) -> Float:
        """θ at these coordinates, (m, n_theta)."""

    def secant(self, theta: Float, derivatives: Any) -> tuple[Float, Float]:
        """Steps from other points to these, and the changes of the gradients on the way, (m, n_theta) each."""


def _differenced(evaluate: Callable[[Float, Index], S], local: StackedChart, which: Index, otherwise: Float) -> Float:
    """Hessians from gradients around every point, and those given where there are none; as in `newton`."""
    m, n = local.gradient.shape
    steps, changes = np.empty((m, n, n)), np.empty((m, n, n))
    for i, move in enumerate(DIFFERENCE * np.eye(n)):
        theta = local.theta(np.tile(move, (m, 1)))
        steps[:, i], changes[:, i] = local.secant(theta, evaluate(theta, which))
    sound = np.isfinite(changes).all(axis=(1, 2)) & np.asarray(np.abs(np.linalg.det(steps / DIFFERENCE)) > 0.1)
    out = otherwise.copy()
    out[sound] = turned_hessian(steps[sound], changes[sound])
    return out


@dataclass(frozen=True)
class Optima(Generic[S]):
    """Where the searches ended.

    Attributes
    ----------
    theta : (m, n_theta) array
    points : StackedPoints
    evaluations : (m,) array of int
    settled : (m,) array of bool
        False for problems that are left to the search for one.
    """

    theta: Float
    points: S
    evaluations: NDArray[np.int64]
    settled: Mask


def search(
    evaluate: Callable[[Float, Index], S],
    chart: Callable[[Float, S], StackedChart],
    starts: Float,
    tolerance: float,
    near_zero: float = NEAR_ZERO,
    patience: int = MOST_STEPS,
    most_steps: int = MOST_STEPS,
) -> Optima[S]:
    """Minimize m problems, each from a start of its own.

    Parameters
    ----------
    evaluate : callable
        (θ (m, n_theta), problems (m,)) → `StackedPoints`.
    chart : callable
        (θ, points) → `StackedChart`.
    starts : (m, n_theta) array
        With no standard deviation below `NEAR_ZERO`.
    tolerance : float
        As in `newton`.
    """
    theta, count = np.array(starts, dtype=float), len(starts)
    points = evaluate(theta, np.arange(count))
    evaluations = np.ones(count, dtype=np.int64)
    radius, settled = np.ones(count), np.zeros(count, dtype=bool)
    active = np.flatnonzero(points.plain)
    for number in range(most_steps):
        if not active.size:
            break
        at = points.taken(active)
        local = chart(theta[active], at)
        inside = local.smallest >= near_zero
        hessian = usable_hessian(local.information, local.curvature)
        if number >= patience:
            hessian = _differenced(evaluate, local, active, hessian)
            evaluations[active] += theta.shape[1]
        step, predicted = bounded_steps(hessian, local.gradient, radius[active])
        done = is_settled(predicted, at.value, tolerance)
        settled[active[done & inside]] = True
        keep = ~done & inside
        moving = active[keep]
        if not moving.size:
            break
        trial_theta = local.theta(step)[keep]
        trial = evaluate(trial_theta, moving)
        evaluations[moving] += 1
        with np.errstate(invalid="ignore"):
            ratio = (at.value[keep] - trial.value) / predicted[keep]
        radius[moving] = next_radius(radius[moving], ratio, np.linalg.norm(step[keep], axis=1))
        accepted = is_accepted(ratio)
        into = moving[accepted]
        theta[into] = trial_theta[accepted]
        points = points.replaced(into, trial.taken(np.flatnonzero(accepted)))
        active = moving[points.plain[moving]]
    return Optima(theta, points, evaluations, settled & points.plain)
