"""Local coordinates of all terms side by side, with the derivatives of the criterion in them, for a search.

Arrays may have a leading axis, one entry a problem: one class serves a search for one problem and for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Frame
from lmmsparse.covariance.structure import Covariance

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


class CovarianceScores(Protocol):
    """Derivatives that know ∂d/∂Σ_t of every term, (…, k_t, k_t)."""

    @property
    def scores(self) -> Sequence[Float]:
        """∂d/∂Σ of every term."""


@dataclass(frozen=True)
class Chart:
    """Coordinates of all terms around one point, with the derivatives there.

    Attributes
    ----------
    frames : tuple of Frame
    slices : tuple of slice
        Places of the terms in θ.
    gradient : (…, n_theta) array
    information, curvature : (…, n_theta, n_theta) arrays
        Average information, and the exact remainder of the Hessian from the second derivatives of Σ.
    """

    frames: tuple[Frame, ...]
    slices: tuple[slice, ...]
    gradient: Float
    information: Float
    curvature: Float

    @property
    def smallest(self) -> Float:
        """Distance of the point to the boundary, as a standard deviation, (…)."""
        return np.asarray(np.min([frame.smallest for frame in self.frames], axis=0))

    def theta(self, step: Float) -> Float:
        """θ at E = step."""
        parts = zip(self.frames, self.slices, strict=True)
        return np.concatenate([frame.theta(step[..., part]) for frame, part in parts], axis=-1)

    def secant(self, theta: Float, derivatives: CovarianceScores) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way, in these coordinates.

        Parameters
        ----------
        theta : (…, n_theta) array
            The other point.
        derivatives : CovarianceScores
            Derivatives there.
        """
        step, change = np.empty_like(theta), self.gradient.copy()
        for frame, part, score in zip(self.frames, self.slices, derivatives.scores, strict=True):
            there, gradient = frame.seen_from_here(theta[..., part], score)
            step[..., part] = -there
            change[..., part] -= gradient
        return step, change


def places(counts: Sequence[int]) -> tuple[slice, ...]:
    """Slices of so many entries each, one after the other."""
    return tuple(slice(a, b) for a, b in pairwise(accumulate(counts, initial=0)))


def chart_around(structures: Sequence[Covariance], theta: Float, scores: Sequence[Float], information: Float) -> Chart:
    """Coordinates around θ with the derivatives there.

    Parameters
    ----------
    structures : sequence of Covariance
    theta : (…, n_theta) array
    scores : sequence of (…, k_t, k_t) arrays
        ∂d/∂Σ_t.
    information : (…, s, s) array
        Average information with respect to the supports of all Σ_t.
    """
    slices = places([structure.n_theta for structure in structures])
    frames = tuple(s.frame(theta[..., part]) for s, part in zip(structures, slices, strict=True))
    found = [frame.derivatives(score) for frame, score in zip(frames, scores, strict=True)]
    return Chart(frames, slices, *side_by_side(found, slices, information))


def natural_derivatives(
    structures: Sequence[Covariance], theta: Float, scores: Sequence[Float], information: Float
) -> tuple[Float, Float, Float]:
    """Gradient, information and curvature with respect to θ itself; arguments as in `chart_around`."""
    slices = places([structure.n_theta for structure in structures])
    found = []
    for structure, part, score in zip(structures, slices, scores, strict=True):
        own = theta[..., part]
        found.append((structure.gradient(own, score), structure.jacobian(own), structure.curvature(own, score)))
    return side_by_side(found, slices, information)


def side_by_side(
    found: Sequence[tuple[Float, Float, Float]], slices: Sequence[slice], information: Float
) -> tuple[Float, Float, Float]:
    """Derivatives of all terms from those of each: gradient, Jacobian of Σ on its support, curvature."""
    if len(found) == 1:
        gradient, J, curvature = found[0]
        return gradient, J.swapaxes(-1, -2) @ information @ J, curvature
    gradient = np.concatenate([one for one, _, _ in found], axis=-1)
    leading, total = gradient.shape[:-1], gradient.shape[-1]
    J, curvature = np.zeros((*leading, information.shape[-1], total)), np.zeros((*leading, total, total))
    for (_, jacobian, bend), part, rows in zip(
        found, slices, places([one.shape[-2] for _, one, _ in found]), strict=True
    ):
        J[..., rows, part] = jacobian
        curvature[..., part, part] = bend
    return gradient, J.swapaxes(-1, -2) @ information @ J, curvature
