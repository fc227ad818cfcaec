"""Local coordinates of one structure around a θ, in which a Newton step is well scaled everywhere.

Where a covariance matrix loses a direction, the boundary of its family is an interior point of these coordinates: the
criterion is even in them there.  Arrays may have leading axes, one entry a problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Frame
from lmmsparse.covariance.structure import Covariance, canonical_template

Float = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TurnedFrame(Frame):
    """Coordinates of an unstructured λ: a lower triangular E in λ(E) = U (S + D E), D = max(1, S).

    The criterion depends on λ through λλᵀ alone, so that λ may be turned from the right.  Around λ = U S Vᵀ (singular
    value decomposition) U separates the directions that are empty from those that are not, which the lower triangle of
    λ itself does not; D makes a step relative where a standard deviation is large.
    """

    structure: Covariance
    U: Float
    S: Float

    @classmethod
    def around(cls, structure: Covariance, theta: Float) -> TurnedFrame:
        """The frame of a θ."""
        U, S, _ = np.linalg.svd(structure.template(theta))
        return cls(structure, np.asarray(U), np.asarray(S))

    @property
    def D(self) -> Float:
        """Scale of every direction, (…, k)."""
        return np.maximum(1.0, self.S)

    @property
    def smallest(self) -> Float:
        """As `Frame.smallest`."""
        return np.asarray(self.S[..., -1])

    def theta(self, step: Float) -> Float:
        """As `Frame.theta`."""
        E = self.structure.template(step)
        turned = self.U @ (self.S[..., None] * np.eye(self.structure.size) + self.D[..., None] * E)
        return self.structure.theta(canonical_template(turned))

    def seen_from_here(self, theta: Float, score: Float) -> tuple[Float, Float]:
        """With λλᵀ = U L Lᵀ Uᵀ, the free entries of (L − S)/D and of 2 D UᵀTU L."""
        transposed, D = self.U.swapaxes(-1, -2), self.D[..., None]
        L = canonical_template(transposed @ self.structure.template(theta))
        E = self.structure.theta((L - self.S[..., None] * np.eye(self.structure.size)) / D)
        return E, self.structure.theta(D * (2.0 * transposed @ score @ self.U @ L))

    def derivatives(self, score: Float) -> tuple[Float, Float, Float]:
        """With dλ = P_a e_bᵀ for the entry (a, b) of E and P = U D, dΣ = P_a λ_bᵀ + λ_b P_aᵀ."""
        P, base = self.U * self.D[..., None, :], self.U * self.S[..., None, :]
        return moved_template(P, base, score, *self.structure.support)

    def taken(self, where: Mask) -> TurnedFrame:
        """As `Frame.taken`."""
        return replace(self, U=self.U[where], S=self.S[where])


def moved_template(P: Float, base: Float, score: Float, a: Index, b: Index) -> tuple[Float, Float, Float]:
    """Derivatives with respect to the entries (a, b) of E in λ = base + P E, (…, k, k) each.

    The gradient is 2 P_aᵀ T λ_b, ∂Σ/∂E_ab = P_a λ_bᵀ + λ_b P_aᵀ, and the exact remainder 2 P_aᵀ T P_a' where b = b'.
    """
    P_a, base_b = P[..., a], base[..., b]
    TP = score @ P_a
    gradient = 2.0 * (TP * base_b).sum(axis=-2)
    J = P_a[..., a, :] * base_b[..., b, :] + base_b[..., a, :] * P_a[..., b, :]
    curvature = 2.0 * (b[:, None] == b) * (P_a.swapaxes(-1, -2) @ TP)
    return gradient, J, curvature


@dataclass(frozen=True)
class Scalars:
    """How each parameter follows from a coordinate x of its own.

    An ``even`` one is |x|: Σ does not depend on its sign, as on that of a common standard deviation.  A ``squared``
    one is x²: Σ does depend on its sign, which must not be negative.  A ``sine`` is c + h sin x between two ends.

    Attributes
    ----------
    even, squared, sine : arrays of int
        Places among the parameters.
    ends : (float, float)
        Of the sines.
    """

    even: Index
    squared: Index
    sine: Index
    ends: tuple[float, float] = (-1.0, 1.0)

    def value(self, x: Float) -> Float:
        """The parameters."""
        out = np.abs(x)
        out[..., self.squared] **= 2
        low, high = self.ends
        out[..., self.sine] = (low + high) / 2.0 + (high - low) / 2.0 * np.sin(x[..., self.sine])
        return out

    def slope(self, x: Float) -> Float:
        """Their first derivatives; that of |x| at zero is that on the right."""
        out = np.where(x < 0.0, -1.0, 1.0)
        out[..., self.squared] = 2.0 * x[..., self.squared]
        out[..., self.sine] = (self.ends[1] - self.ends[0]) / 2.0 * np.cos(x[..., self.sine])
        return out

    def bend(self, x: Float) -> Float:
        """Their second derivatives."""
        out = np.zeros_like(x)
        out[..., self.squared] = 2.0
        out[..., self.sine] = -(self.ends[1] - self.ends[0]) / 2.0 * np.sin(x[..., self.sine])
        return out

    def inverse(self, parameters: Float) -> Float:
        """x of the parameters."""
        x = np.array(np.abs(parameters), dtype=float)
        x[..., self.squared] **= 0.5
        low, high = self.ends
        share = (2.0 * parameters[..., self.sine] - low - high) / (high - low)
        x[..., self.sine] = np.arcsin(np.clip(share, -1.0, 1.0))
        return x

    def unit(self, x: Float) -> Float:
        """A step that changes a parameter by about its own size, or by one where it is small."""
        out = np.maximum(1.0, np.abs(x))
        out[..., self.squared] /= 2.0
        out[..., self.sine] = 1.0
        return out

    def to_end(self, parameters: Float) -> Float:
        """Distance of every parameter to the nearest end, as a standard deviation."""
        out = np.array(np.abs(parameters), dtype=float)
        low, high = self.ends
        rho = parameters[..., self.sine]
        out[..., self.sine] = np.sqrt(np.maximum(np.minimum(rho - low, high - rho), 0.0) / (high - low))
        return out


@dataclass(frozen=True)
class ScalarFrame(Frame):
    """Each parameter has a coordinate of its own: x + D E with the x of `Scalars`."""

    structure: Covariance
    scalars: Scalars
    x: Float

    @classmethod
    def around(cls, structure: Covariance, scalars: Scalars, theta: Float) -> ScalarFrame:
        """The frame of a θ."""
        return cls(structure, scalars, scalars.inverse(theta))

    @property
    def smallest(self) -> Float:
        """As `Frame.smallest`."""
        return np.asarray(self.scalars.to_end(self.scalars.value(self.x)).min(axis=-1))

    def theta(self, step: Float) -> Float:
        """As `Frame.theta`."""
        return self.scalars.value(self.x + self.scalars.unit(self.x) * step)

    def seen_from_here(self, theta: Float, score: Float) -> tuple[Float, Float]:
        """As `Frame.seen_from_here`, by the chain rule."""
        x, unit = self.scalars.inverse(theta), self.scalars.unit(self.x)
        gradient = self.scalars.slope(x) * unit * self.structure.gradient(self.scalars.value(x), score)
        return (x - self.x) / unit, gradient

    def derivatives(self, score: Float) -> tuple[Float, Float, Float]:
        """As `Frame.derivatives`, by the chain rule."""
        theta, unit = self.scalars.value(self.x), self.scalars.unit(self.x)
        slope = self.scalars.slope(self.x) * unit
        gradient = self.structure.gradient(theta, score)
        J = self.structure.jacobian(theta) * slope[..., None, :]
        curvature = slope[..., :, None] * self.structure.curvature(theta, score) * slope[..., None, :]
        places = np.arange(self.structure.n_theta)
        curvature[..., places, places] += self.scalars.bend(self.x) * unit**2 * gradient
        return slope * gradient, J, curvature

    def taken(self, where: Mask) -> ScalarFrame:
        """As `Frame.taken`."""
        return replace(self, x=self.x[where])
