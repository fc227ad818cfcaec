"""Coordinates of one term for profiles: without bounds, and one standard deviation or correlation held if wanted.

The criterion is smooth in them everywhere; where a variance is zero it is even.  θ is in the user's units, and a
standard deviation is held over σ, as it stands in Σ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.frames import Scalars
from lmmsparse.covariance.protocols import TermCoordinates
from lmmsparse.covariance.structure import Covariance, canonical_template

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# In units of the residual standard deviation, for columns of unit mean square: the smallest scale of a coordinate,
SMALLEST_SCALE = 0.1
# and the standard deviation from which a search begins where one was zero: its derivative is zero there.
LIFTED = 0.02


class LowerTriangle(TermCoordinates):
    """The lower triangle of an A with AAᵀ = PΣPᵀ, P putting some effects first; what is held replaces entries of it.

    Effect i first: its standard deviation is A₁₁.  Effects i and j first: with A₁₁ = a and
    (A₂₁, A₂₂) = b (sin c, cos c) their correlation is sin c.

    Parameters
    ----------
    structure : Covariance
        Unstructured.
    first : sequence of int
        One effect, whose standard deviation is held, two, whose correlation is, or none.
    theta : (n_theta,) array
    units : (k,) array
        As in `Covariance.coordinates`.
    """

    def __init__(self, structure: Covariance, first: Sequence[int], theta: Float, units: Float) -> None:
        self.structure = structure
        every = np.arange(structure.size)
        self.order = np.concatenate([np.array(first, dtype=np.intp), np.setdiff1d(every, first)])
        rows, columns = structure.support
        A, unit = canonical_template(structure.template(theta)[self.order]), units[self.order]
        z = structure.theta(A)
        scale = np.maximum(np.linalg.norm(A, axis=1), SMALLEST_SCALE * unit)[rows]
        least = np.where(rows == columns, LIFTED * unit[rows], 0.0)
        # (1, 1), or (1, 1), (2, 1) and (2, 2), column after column
        self.at: Index = np.array([[], [0], [0, 1, structure.size]][len(first)], dtype=np.intp)
        self.kept = np.setdiff1d(np.arange(len(z)), self.at)
        self.start, self.scale, self.least = z[self.kept], scale[self.kept], least[self.kept]
        self.positive = np.zeros(len(self.kept), dtype=bool)
        if len(first) == 1:
            self.c, self.c_scale = abs(float(z[0])), float(scale[0])
        elif len(first) == 2:
            corner, below, last = z[self.at]
            b, ends = float(np.hypot(below, last)), self.at[[0, 2]]
            self.c = float(np.arctan2(below, last)) if b > 0 else 0.0
            self.start, self.undefined = np.append(self.start, [corner, b]), not (corner and b)
            self.scale, self.least = np.append(self.scale, scale[ends]), np.append(self.least, least[ends])
            self.positive = np.append(self.positive, [True, True])

    def _entries(self, z: Float, c: float) -> Float:
        out = np.empty(self.structure.n_theta)
        out[self.kept] = z[: len(self.kept)]
        if len(self.at) == 1:
            out[self.at] = c
        elif len(self.at) == 3:
            out[self.at] = z[-2], z[-1] * np.sin(c), z[-1] * np.cos(c)
        return out

    def theta(self, z: Float, c: float) -> Float:
        """As `TermCoordinates.theta`."""
        A = self.structure.template(self._entries(z, c))
        if self.order[0] == 0 and len(self.order) < 3:
            return self.structure.theta(A)
        return self.structure.theta(canonical_template(A[np.argsort(self.order)]))

    def gradient(self, z: Float, c: float, score: Float) -> tuple[Float, float]:
        """∂d/∂A is the lower triangle of 2 PTPᵀA."""
        slopes = self.structure.gradient(self._entries(z, c), score[np.ix_(self.order, self.order)])
        free = slopes[self.kept]
        if len(self.at) == 0:
            return free, 0.0
        if len(self.at) == 1:
            return free, float(slopes[0])
        corner, below, last = slopes[self.at]
        radial, along = np.sin(c) * below + np.cos(c) * last, z[-1] * (np.cos(c) * below - np.sin(c) * last)
        return np.append(free, [corner, radial]), float(along)


class ScalarCoordinates(TermCoordinates):
    """The coordinates x of `Scalars`, one of which may be held: a standard deviation itself, the x of a correlation.

    Parameters
    ----------
    structure : Covariance
    scalars : Scalars
    theta : (n_theta,) array
    units : (n_theta,) array
        Of every parameter.
    at : int, optional
        Parameter that is held.
    """

    def __init__(
        self, structure: Covariance, scalars: Scalars, theta: Float, units: Float, at: int | None = None
    ) -> None:
        self.structure, self.scalars, self.at = structure, scalars, at
        x = scalars.inverse(theta)
        scale = scalars.inverse(np.maximum(np.abs(theta), SMALLEST_SCALE * units))
        least = scalars.inverse(LIFTED * units)
        scale[scalars.sine], least[scalars.sine] = 1.0, 0.0
        self.kept = np.setdiff1d(np.arange(len(x)), [] if at is None else [at])
        self.start, self.scale, self.least = x[self.kept], scale[self.kept], least[self.kept]
        self.positive = np.zeros(len(self.kept), dtype=bool)
        if at is None:
            return
        if at in scalars.sine:
            self.c, self.undefined = float(x[at]), bool(np.isnan(structure.quantity_values(theta)[0][at]))
        else:
            self.c = abs(float(theta[at]))
            self.c_scale = max(self.c, SMALLEST_SCALE * float(units[at]))

    def lifted(self, z: Float) -> Float:
        """As `TermCoordinates.lifted`; a correlation is as far from its ends, where its derivative is zero too."""
        out, sine = super().lifted(z), np.isin(self.kept, self.scalars.sine)
        beyond = np.mod(z[sine] + np.pi / 2.0, np.pi)
        inside = np.clip(beyond, 2.0 * LIFTED, np.pi - 2.0 * LIFTED)
        if (beyond == inside).all():
            return out
        out = out.copy()
        out[sine] += inside - beyond
        return out

    def _x(self, z: Float, c: float) -> Float:
        out = np.empty(self.structure.n_theta)
        out[self.kept] = z
        if self.at is not None:
            out[self.at] = c
        return out

    def theta(self, z: Float, c: float) -> Float:
        """As `TermCoordinates.theta`."""
        x = self._x(z, c)
        out = self.scalars.value(x)
        if self.at is not None and self.at not in self.scalars.sine:
            out[self.at] = abs(c)
        return out

    def gradient(self, z: Float, c: float, score: Float) -> tuple[Float, float]:
        """By the chain rule."""
        slopes = self.structure.gradient(self.theta(z, c), score)
        chain = self.scalars.slope(self._x(z, c))
        free = (slopes * chain)[self.kept]
        if self.at is None:
            return free, 0.0
        return free, float(slopes[self.at] * (chain[self.at] if self.at in self.scalars.sine else 1.0))
