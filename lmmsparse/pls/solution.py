"""What is known of one θ: the penalized least-squares solution and its derivatives, in working coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import natural_slopes
from lmmsparse.covariance.structure import CovarianceStructure
from lmmsparse.pls.factor import Factor
from lmmsparse.pls.releasable import HeldFactor
from lmmsparse.pls.small import SmallSolutions

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """Penalized least squares for one θ, in working coordinates.

    Attributes
    ----------
    theta : (n_theta,) array
    value : float
        Profiled criterion.
    pwrss, sigma2 : float
        Penalized weighted residual sum of squares r² and r²/n or r²/(n − p).
    beta : (p,) array
    u : tuple of (q_g, K_g) arrays
        Conditional modes on the spherical scale.
    templates : tuple of (K_g, K_g) arrays
        λ of every grouping factor.
    held : HeldFactor
        The factor of M with what follows from it, which may have to be made again.
    fixed_factor : (p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    small : SmallSolutions or None
        A small model's own numbers, which include those for the derivatives.
    degenerate : bool
        r² is zero to rounding: nothing is left of the response.
    exact : bool
        False when the numbers are those of nearby templates.
    noise : float
        Rounding error to be expected in the value; it grows as r² becomes a small part of yᵀWy.
    """

    theta: Float
    value: float
    pwrss: float
    sigma2: float
    beta: Float
    u: tuple[Float, ...]
    templates: tuple[Float, ...]
    held: HeldFactor
    fixed_factor: Float
    small: SmallSolutions | None
    degenerate: bool
    exact: bool
    noise: float

    @property
    def factor(self) -> Factor:
        """Factorization of M(θ)."""
        return self.held.factor

    @property
    def right(self) -> tuple[Float, ...]:
        """L⁻¹ΛᵀZᵀW[X y], a (q_g, K_g, p + 1) array a factor."""
        return self.held.right


@dataclass(frozen=True)
class Derivatives:
    """First and second derivatives at one θ, in working coordinates.

    Attributes
    ----------
    structures : tuple of CovarianceStructure
    theta : (n_theta,) array
    scores : tuple of (k_t, k_t) arrays
        T_t, the derivative with respect to the covariance Σ_t = λ_tλ_tᵀ of every term.
    covariance_information : (n_theta, n_theta) array
        Average information with respect to the free entries of all Σ_t, positive semidefinite.
    """

    structures: tuple[CovarianceStructure, ...]
    theta: Float
    scores: tuple[Float, ...]
    covariance_information: Float

    @cached_property
    def _natural(self) -> tuple[Float, Float, Float]:
        return natural_slopes(self.structures, self.theta, self.scores, self.covariance_information)

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
