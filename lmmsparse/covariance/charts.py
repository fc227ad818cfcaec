"""Local coordinates of the covariance templates, in which a Newton step is well scaled everywhere.

The criterion depends on a template λ through Σ = λλᵀ alone, so that λ may be turned from the right.  Around λ = U S Vᵀ
(singular value decomposition) the coordinates are the entries of a lower triangular E in

    λ(E) = U (S + D E),   D = max(1, S).

Where variances vanish, U separates the directions that are empty from those that are not, which the lower triangle of
λ itself does not; D makes a step relative where a standard deviation is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import CovarianceStructure, canonical_template

Float = NDArray[np.float64]


class CovarianceScores(Protocol):
    """Derivatives that know ∂d/∂Σ_t of every term, (k_t, k_t)."""

    @property
    def scores(self) -> tuple[Float, ...]:
        """∂d/∂Σ of every term."""


@dataclass(frozen=True)
class Frame:
    """Frame of one template: orthogonal U, diagonal S, scale D (k,); U = I for structures that must not be turned."""

    structure: CovarianceStructure
    U: Float
    S: Float
    D: Float

    @classmethod
    def around(cls, structure: CovarianceStructure, template: Float) -> Frame:
        """The frame of a template."""
        if structure.rotates:
            U, singular_values, _ = np.linalg.svd(template)
            return cls(structure, np.asarray(U), np.diag(singular_values), np.maximum(1.0, singular_values))
        diagonal = np.abs(np.diag(template))
        return cls(structure, np.eye(structure.size), np.diag(diagonal), np.maximum(1.0, diagonal))

    def template(self, step: Float) -> Float:
        """λ(E) for the free entries of E, as the canonical lower triangular template."""
        turned = self.U @ (self.S + self.D[:, None] * self.structure.template(step))
        return canonical_template(turned) if self.structure.rotates else np.abs(turned)

    def turned(self, template: Float) -> Float:
        """The lower triangular L with U L Lᵀ Uᵀ = λλᵀ."""
        return canonical_template(self.U.T @ template) if self.structure.rotates else np.abs(template)

    def coordinates(self, L: Float) -> Float:
        """Free entries of E at U L."""
        return self.structure.theta((L - self.S) / self.D[:, None])

    def gradient(self, score: Float, L: Float) -> Float:
        """∂d/∂E at U L from the score ∂d/∂Σ: the free entries of 2 D UᵀTU L."""
        return self.structure.theta(self.D[:, None] * (2.0 * self.U.T @ score @ self.U @ L))


@dataclass(frozen=True)
class Chart:
    """Coordinates of all templates around one point, with the derivatives there.

    Attributes
    ----------
    frames : tuple of Frame
    gradient : (n_theta,) array
    information, curvature : (n_theta, n_theta) arrays
        Average information, and the exact remainder 2 ⟨T, dλ_i dλ_jᵀ⟩ from the second derivatives of λλᵀ.
    """

    frames: tuple[Frame, ...]
    gradient: Float
    information: Float
    curvature: Float

    @property
    def slices(self) -> list[slice]:
        """Places of the terms in θ."""
        edges = accumulate((f.structure.n_theta for f in self.frames), initial=0)
        return [slice(a, b) for a, b in pairwise(edges)]

    def theta(self, step: Float) -> Float:
        """θ at E = step."""
        parts = zip(self.frames, self.slices, strict=True)
        return np.concatenate([frame.structure.theta(frame.template(step[part])) for frame, part in parts])

    def secant(self, theta: Float, slopes: CovarianceScores) -> tuple[Float, Float]:
        """Step from another point to this one, and the change of the gradient on the way, in these coordinates.

        Parameters
        ----------
        theta : (n_theta,) array
            The other point.
        slopes : CovarianceScores
            Derivatives there.
        """
        step, change = np.empty(len(theta)), self.gradient.copy()
        for frame, part, score in zip(self.frames, self.slices, slopes.scores, strict=True):
            L = frame.turned(frame.structure.template(theta[part]))
            step[part] = -frame.coordinates(L)
            change[part] -= frame.gradient(score, L)
        return step, change


def chart_around(
    structures: Sequence[CovarianceStructure], theta: Float, scores: Sequence[Float], information: Float
) -> Chart:
    """Coordinates around θ with the derivatives there.

    Parameters
    ----------
    structures : sequence of CovarianceStructure
    theta : (n_theta,) array
    scores : sequence of (k_t, k_t) arrays
        ∂d/∂Σ_t.
    information : (n_theta, n_theta) array
        Average information with respect to the free entries of Σ.
    """
    frames, offset = [], 0
    for structure in structures:
        frames.append(Frame.around(structure, structure.template(theta[offset : offset + structure.n_theta])))
        offset += structure.n_theta
    moves, bases = [(f.U * f.D)[None] for f in frames], [(f.U @ f.S)[None] for f in frames]
    gradient, at_Sigma, curvature = slopes(structures, moves, bases, [T[None] for T in scores], information[None])
    return Chart(tuple(frames), gradient[0], at_Sigma[0], curvature[0])


def natural_slopes(
    structures: Sequence[CovarianceStructure], theta: Float, scores: Sequence[Float], information: Float
) -> tuple[Float, Float, Float]:
    """Gradient, information and curvature with respect to θ itself, the free entries of λ."""
    moves, bases, offset = [], [], 0
    for structure in structures:
        moves.append(np.eye(structure.size)[None])
        bases.append(structure.template(theta[offset : offset + structure.n_theta])[None])
        offset += structure.n_theta
    gradient, at_Sigma, curvature = slopes(structures, moves, bases, [T[None] for T in scores], information[None])
    return gradient[0], at_Sigma[0], curvature[0]


def slopes(
    structures: Sequence[CovarianceStructure],
    moves: Sequence[Float],
    bases: Sequence[Float],
    scores: Sequence[Float],
    information: Float,
) -> tuple[Float, Float, Float]:
    """Derivatives with respect to the free entries of E in λ = base + P E, for m problems at once.

    With dλ = P_a e_bᵀ for the entry (a, b): the gradient is 2 P_aᵀ T λ_b, dΣ = P_a λ_bᵀ + λ_b P_aᵀ carries the
    information, and the exact remainder of the Hessian is 2 ⟨T, dλ_i dλ_jᵀ⟩ = 2 P_aᵀ T P_a' where b = b'.

    Parameters
    ----------
    moves, bases, scores : sequences of (m, k_t, k_t) arrays
        P, the template λ and T = ∂d/∂Σ of every term.
    information : (m, n_theta, n_theta) array
        Average information with respect to the free entries of Σ.

    Returns
    -------
    gradient : (m, n_theta) array
    information, curvature : (m, n_theta, n_theta) arrays
    """
    m, total = information.shape[:2]
    gradient, J, curvature = np.empty((m, total)), np.zeros((m, total, total)), np.zeros((m, total, total))
    start = 0
    for structure, P, base, T in zip(structures, moves, bases, scores, strict=True):
        a, b = structure.entries
        part = slice(start, start + len(a))
        P_a, base_b = P[:, :, a], base[:, :, b]
        TP = T @ P_a
        gradient[:, part] = 2.0 * (TP * base_b).sum(axis=1)
        J[:, part, part] = P_a[:, a] * base_b[:, b] + base_b[:, a] * P_a[:, b]
        curvature[:, part, part] = 2.0 * (b[:, None] == b) * (P_a.transpose(0, 2, 1) @ TP)
        start = part.stop
    return gradient, J.transpose(0, 2, 1) @ information @ J, curvature
