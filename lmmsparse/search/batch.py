"""The search of `newton` for many small problems at once: the same rules on stacked arrays.

All problems take their steps together, and NumPy's overhead is shared by all of them.  Only plain searches end here: a
problem that comes near the boundary, loses digits or does not settle is left to the search for one problem, which knows
what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.search.rules import bounded_steps, is_accepted, is_settled, next_radius, usable_hessian

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
    start: Float,
    count: int,
    tolerance: float,
) -> Optima[S]:
    """Minimize ``count`` problems from one start.

    Parameters
    ----------
    evaluate : callable
        (θ (m, n_theta), problems (m,)) → `StackedPoints`.
    chart : callable
        (θ, points) → `StackedChart`.
    start : (n_theta,) array
        With no standard deviation below `NEAR_ZERO`.
    count : int
    tolerance : float
        As in `newton`.
    """
    theta = np.tile(start, (count, 1))
    points = evaluate(theta, np.arange(count))
    evaluations = np.ones(count, dtype=np.int64)
    radius, settled = np.ones(count), np.zeros(count, dtype=bool)
    active = np.flatnonzero(points.plain)
    for _ in range(MOST_STEPS):
        if not active.size:
            break
        at = points.taken(active)
        local = chart(theta[active], at)
        inside = local.smallest > NEAR_ZERO
        step, predicted = bounded_steps(
            usable_hessian(local.information, local.curvature), local.gradient, radius[active]
        )
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
