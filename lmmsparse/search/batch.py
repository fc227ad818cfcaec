"""Searches for many small problems at once: the trust-region Newton method of `optimize` on stacked arrays.

All problems take their steps together, and NumPy's overhead is shared by all of them.  The coordinates are those of
`charts`.  Only plain searches end here: a problem that comes near the boundary, loses digits or does not settle is left
to the search for one problem, which knows what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import slopes
from lmmsparse.covariance.structure import CovarianceStructure

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
N = TypeVar("N", bound=np.generic)

# Steps after which a problem is left to the search for one.
MOST_STEPS = 30
# A relative standard deviation below this is left to the search for one problem as well.
NEAR_ZERO = 1e-3
# The largest eigenvalue of the information times this is the least curvature of a Hessian that is used as it is.
LEAST_CURVATURE = 1e-6


@dataclass(frozen=True)
class Points:
    """Values and derivatives of problems at their templates.

    Attributes
    ----------
    value : (m,) array
        Infinite where the factorization failed.
    pwrss : (m,) array
    beta : (m, p) array
    fixed_factor : (m, p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    scores : list of (m, k_t, k_t) arrays
        ∂d/∂Σ_t.
    information : (m, n_theta, n_theta) array
        Average information in the free entries of Σ.
    plain : (m,) array of bool
        False where rounding or a vanishing residual needs more care.
    """

    value: Float
    pwrss: Float
    beta: Float
    fixed_factor: Float
    scores: list[Float]
    information: Float
    plain: Mask

    def replaced(self, where: Index, other: Points) -> Points:
        """These points with those of ``other`` in some places."""

        def put(old: NDArray[N], new: NDArray[N]) -> NDArray[N]:
            out = old.copy()
            out[where] = new
            return out

        return Points(
            put(self.value, other.value),
            put(self.pwrss, other.pwrss),
            put(self.beta, other.beta),
            put(self.fixed_factor, other.fixed_factor),
            [put(old, new) for old, new in zip(self.scores, other.scores, strict=True)],
            put(self.information, other.information),
            put(self.plain, other.plain),
        )

    def taken(self, where: Index) -> Points:
        """Some of the points."""
        return Points(
            self.value[where],
            self.pwrss[where],
            self.beta[where],
            self.fixed_factor[where],
            [score[where] for score in self.scores],
            self.information[where],
            self.plain[where],
        )


@dataclass(frozen=True)
class Ends:
    """Where the searches ended.

    Attributes
    ----------
    templates : list of (m, k_t, k_t) arrays
    points : Points
    evaluations : (m,) array of int
    settled : (m,) array of bool
        False for problems that are left to the search for one.
    """

    templates: list[Float]
    points: Points
    evaluations: NDArray[np.int64]
    settled: Mask


Evaluate = Callable[[list[Float], Index], Points]


def search(
    evaluate: Evaluate, structures: Sequence[CovarianceStructure], start: Sequence[Float], count: int, tolerance: float
) -> Ends:
    """Minimize ``count`` problems from one start.

    Parameters
    ----------
    evaluate : callable
        (templates (m, k_t, k_t) of every term, problems (m,)) → `Points`.
    structures : sequence of CovarianceStructure
    start : sequence of (k_t, k_t) arrays
        Templates, with no standard deviation below `NEAR_ZERO`.
    count : int
    tolerance : float
        As in `optimize.newton`.
    """
    templates = [np.broadcast_to(lam, (count, *lam.shape)).copy() for lam in start]
    points = evaluate(templates, np.arange(count))
    evaluations = np.ones(count, dtype=np.int64)
    radius, settled = np.ones(count), np.zeros(count, dtype=bool)
    active = np.flatnonzero(points.plain)
    for _ in range(MOST_STEPS):
        frames = [frame(structure, lam[active]) for structure, lam in zip(structures, templates, strict=True)]
        inside = np.min([f.S.min(axis=1) for f in frames], axis=0) > NEAR_ZERO
        active, frames = active[inside], [f.taken(inside) for f in frames]
        if not active.size:
            break
        at = points.taken(active)
        gradient, information, curvature = slopes(
            structures, [f.moves for f in frames], [f.base for f in frames], at.scores, at.information
        )
        step, predicted = bounded_steps(usable_hessian(information, curvature), gradient, radius[active])
        done = predicted <= tolerance * np.maximum(1.0, np.abs(at.value) / 1e4)
        settled[active[done]] = True
        keep = ~done
        moving, step, predicted, at = active[keep], step[keep], predicted[keep], at.taken(np.flatnonzero(keep))
        if not moving.size:
            break
        trial_templates = moved(structures, [f.taken(keep) for f in frames], step)
        trial = evaluate(trial_templates, moving)
        evaluations[moving] += 1
        with np.errstate(invalid="ignore"):
            ratio = (at.value - trial.value) / predicted
        length = np.linalg.norm(step, axis=1)
        radius[moving] = np.where(ratio > 0.75, np.maximum(radius[moving], 2.0 * length), radius[moving])
        radius[moving] = np.where(ratio >= 0.25, radius[moving], 0.3 * length)
        accepted = ratio > 1e-4
        into = moving[accepted]
        for lam, new in zip(templates, trial_templates, strict=True):
            lam[into] = new[accepted]
        points = points.replaced(into, trial.taken(np.flatnonzero(accepted)))
        active = moving[points.plain[moving]]
    return Ends(templates, points, evaluations, settled & points.plain)


@dataclass(frozen=True)
class Frame:
    """λ = U S Vᵀ of stacked templates: U (m, k, k), S and D = max(1, S) (m, k)."""

    U: Float
    S: Float
    D: Float

    @property
    def base(self) -> Float:
        """λ, turned from the right: U S."""
        return self.U * self.S[:, None, :]

    @property
    def moves(self) -> Float:
        """U D."""
        return self.U * self.D[:, None, :]

    def taken(self, where: Mask) -> Frame:
        """Some of the frames."""
        return Frame(self.U[where], self.S[where], self.D[where])


def frame(structure: CovarianceStructure, templates: Float) -> Frame:
    """Frames of stacked templates."""
    if structure.rotates:
        U, S, _ = np.linalg.svd(templates)
    else:
        S = np.abs(np.diagonal(templates, axis1=1, axis2=2))
        U = np.broadcast_to(np.eye(structure.size), templates.shape)
    return Frame(U, S, np.maximum(1.0, S))


def usable_hessian(information: Float, curvature: Float) -> Float:
    """Information + curvature where that is positive definite, else without the negative part of the curvature."""
    hessian = information + curvature
    least = LEAST_CURVATURE * np.linalg.eigvalsh(information)[:, -1]
    weak = np.flatnonzero(np.linalg.eigvalsh(hessian)[:, 0] <= least)
    if weak.size:
        values, vectors = np.linalg.eigh(curvature[weak])
        positive = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
        hessian[weak] = information[weak] + positive
    return hessian


def bounded_steps(hessian: Float, gradient: Float, radius: Float) -> tuple[Float, Float]:
    """Minimizers of gᵀs + ½ sᵀHs with |s| <= radius, and the decreases that they predict."""
    values, vectors = np.linalg.eigh(hessian)
    values = np.maximum(values, 1e-10 * np.maximum(1.0, values[:, -1:]))
    g = np.einsum("mji,mj->mi", vectors, gradient)
    step = -g / values
    long = np.flatnonzero(np.linalg.norm(step, axis=1) > radius)
    if long.size:
        # bisection for the shift of the eigenvalues, on a logarithmic scale
        high = np.log(np.linalg.norm(g[long], axis=1) / radius[long]) + 1.0
        low = np.minimum(-60.0, high - 1.0)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = np.linalg.norm(g[long] / (values[long] + np.exp(middle)[:, None]), axis=1) > radius[long]
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        step[long] = -g[long] / (values[long] + np.exp(high)[:, None])
    decrease = -((g + 0.5 * values * step) * step).sum(axis=1)
    return np.einsum("mij,mj->mi", vectors, step), decrease


def moved(structures: Sequence[CovarianceStructure], frames: Sequence[Frame], step: Float) -> list[Float]:
    """Templates at λ = U (S + D E), E having the free entries ``step``, turned to be lower triangular."""
    out, first = [], 0
    for structure, f in zip(structures, frames, strict=True):
        E = np.zeros_like(f.U)
        E[:, structure.entries[0], structure.entries[1]] = step[:, first : first + structure.n_theta]
        first += structure.n_theta
        turned = f.base + f.moves @ E
        if not structure.rotates:
            out.append(np.abs(turned))
            continue
        R = np.asarray(np.linalg.qr(turned.transpose(0, 2, 1), mode="r"))
        signs = np.where(np.diagonal(R, axis1=1, axis2=2) < 0, -1.0, 1.0)
        out.append(np.tril((R * signs[:, :, None]).transpose(0, 2, 1)))
    return out
