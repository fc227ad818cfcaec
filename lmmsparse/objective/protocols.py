"""What a search may ask of a criterion, whatever model it belongs to."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import Chart
from lmmsparse.objective.points import Derivatives, Point

Float = NDArray[np.float64]


class Criterion(Protocol):
    """A function of ψ, the parameters in working coordinates: `Objective`, and the deviance with an effect held."""

    @property
    def degrees(self) -> int:
        """n, or n − p for REML."""

    def start(self) -> Float:
        """Where a search begins that knows nothing."""

    def exact(self, psi: Float) -> Point:
        """The point at ψ and nowhere else."""

    def evaluate(self, psi: Float) -> Point:
        """A point with which `differentiate` can do: near ψ where a covariance is singular there."""

    def differentiate(self, point: Point) -> Derivatives:
        """Derivatives at a point of `evaluate`."""

    def chart(self, point: Point, derivatives: Derivatives) -> Chart:
        """Local coordinates around a point."""
