"""What a search sees of a problem: points, derivatives and local coordinates.  It knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


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


class Derivatives(Protocol):
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


class LocalChart(Derivatives, Protocol):
    """Coordinates around a point, zero there, with the derivatives in them."""

    def theta(self, step: Float) -> Float:
        """θ at these coordinates."""

    def secant(self, theta: Float, derivatives: Any) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way."""


P = TypeVar("P", bound=Point)
D = TypeVar("D", bound=Any)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the objective: θ, its value, and whether the search moved there."""

    theta: Float
    value: float
    accepted: bool


@dataclass(frozen=True)
class Optimum(Generic[P, D]):
    """Where a search ended.

    Attributes
    ----------
    point, derivatives
        The last accepted point and its derivatives.
    converged : bool
        The model predicts no further decrease larger than the tolerance, or than rounding.
    predicted : float
        That predicted decrease.
    history : tuple of Evaluation
    """

    point: P
    derivatives: D
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
    def around(cls, point: Point, derivatives: Derivatives) -> PlainChart:
        """The chart of a point."""
        return cls(point.theta, derivatives.gradient, derivatives.information, derivatives.curvature)

    def theta(self, step: Float) -> Float:
        """θ at these coordinates."""
        return np.asarray(self.origin + step)

    def secant(self, theta: Float, derivatives: Derivatives) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way."""
        return self.origin - theta, self.gradient - derivatives.gradient
