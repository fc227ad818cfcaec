"""What is known of one θ: the criterion with the solution that it came from, and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import natural_derivatives
from lmmsparse.covariance.structure import Covariance
from lmmsparse.pls.rounding import Rounding
from lmmsparse.pls.solution import Solution

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """The criterion at one θ, in working coordinates.

    Attributes
    ----------
    theta : (n_theta,) array
    value : float
        Profiled criterion.
    pwrss, sigma2 : float
        Penalized weighted residual sum of squares r², and r²/n or r²/(n − p); those of the solution, or summed over
        the rows where they had lost digits.
    rounding : Rounding
        Rounding errors to be expected in the value and in what follows from the solution.
    exact : bool
        False when the numbers are those of nearby templates.
    solution : Solution
    """

    theta: Float
    value: float
    pwrss: float
    sigma2: float
    rounding: Rounding
    exact: bool
    solution: Solution

    @property
    def noise(self) -> float:
        """Rounding error to be expected in the value."""
        return self.rounding.criterion

    @property
    def degenerate(self) -> bool:
        """r² is zero to rounding: nothing is left of the response."""
        return self.solution.degenerate

    @property
    def beta(self) -> Float:
        """Fixed effects, (p,)."""
        return self.solution.beta

    @property
    def u(self) -> tuple[Float, ...]:
        """Conditional modes on the spherical scale, a (q_g, K_g) array a grouping factor."""
        return self.solution.u

    @property
    def templates(self) -> tuple[Float, ...]:
        """λ of every grouping factor."""
        return self.solution.templates

    @property
    def fixed_factor(self) -> Float:
        """Lower Cholesky factor of XᵀV⁻¹X."""
        return self.solution.fixed_factor


@dataclass(frozen=True)
class Derivatives:
    """First and second derivatives at one θ, in working coordinates.

    Attributes
    ----------
    structures : tuple of Covariance
    theta : (n_theta,) array
    scores : tuple of (k_t, k_t) arrays
        T_t, the derivative with respect to the covariance Σ_t = λ_tλ_tᵀ of every term.
    covariance_information : (s, s) array
        Average information with respect to the supports of all Σ_t, positive semidefinite.
    """

    structures: tuple[Covariance, ...]
    theta: Float
    scores: tuple[Float, ...]
    covariance_information: Float

    @cached_property
    def _natural(self) -> tuple[Float, Float, Float]:
        return natural_derivatives(self.structures, self.theta, self.scores, self.covariance_information)

    @property
    def gradient(self) -> Float:
        """With respect to θ, (n_theta,)."""
        return self._natural[0]

    @property
    def information(self) -> Float:
        """First part of the Hessian with respect to θ, (n_theta, n_theta): average information."""
        return self._natural[1]

    @property
    def curvature(self) -> Float:
        """The rest of it, from ∂²Σ/∂θ_i∂θ_j: it vanishes where the gradient of every free variance does."""
        return self._natural[2]
