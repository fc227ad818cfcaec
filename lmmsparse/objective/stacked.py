"""The criterion of one small design for many responses and θ at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import Chart, chart_around
from lmmsparse.covariance.structure import raised
from lmmsparse.objective.blocks import Block
from lmmsparse.objective.profiled import SMALLEST_SPREAD, WorkingObjective
from lmmsparse.pls.direct import SMALLEST_RESIDUAL
from lmmsparse.pls.engine import BatchSolver
from lmmsparse.pls.rounding import UNIT

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True)
class Points:
    """Values and derivatives of problems.

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
    information : (m, s, s) array
        Average information on the supports of Σ.
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


class StackedObjective:
    """d(θ) in working coordinates for stacked θ, each with one of many responses.

    Parameters
    ----------
    working : WorkingObjective
        Of the design, whatever its response.
    solver : BatchSolver
        Its engine, with the responses.
    right : tuple of (q_g, K_g, responses) arrays
        Z_gᵀWY.
    square : (responses,) array
        yᵀWy of every response.
    largest_noise : float
        Rounding error of a value that is not worth a search of its own.
    """

    def __init__(
        self,
        working: WorkingObjective,
        solver: BatchSolver,
        right: tuple[Float, ...],
        square: Float,
        largest_noise: float,
    ) -> None:
        self.working, self.solver, self.right = working, solver, right
        self.square, self.largest_noise = square, largest_noise

    def values(self, theta: Float, which: Index) -> Float:
        """The criterion alone, (m,); infinite where the factorization failed.

        Parameters
        ----------
        theta : (m, n_theta) array
        which : (m,) array
            Response of each.
        """
        found = self.solver(which, self.working.templates(theta))
        with np.errstate(invalid="ignore", divide="ignore"):
            value = self.working.criterion(found.logdet, found.logdet_fixed, np.maximum(found.pwrss, 0.0))
        return np.where(found.failed == 0, value, np.inf)

    def points(self, theta: Float, which: Index) -> Points:
        """Values and derivatives; arguments as those of `values`."""
        working, square = self.working, self.square[which]
        templates = working.templates(theta)
        sound = np.logical_and.reduce([np.isfinite(lam).all(axis=(1, 2)) for lam in templates])
        for lam in templates:
            lam[~sound] = np.eye(lam.shape[1])
        for block in working.blocks:  # derivatives need λ⁻¹, as in `WorkingObjective.evaluate`
            own = templates[block.factor][..., block.columns, block.columns]
            own[...] = raised(own, SMALLEST_SPREAD)
        found = self.solver(which, templates)
        failed = (found.failed != 0) | ~sound
        plain = ~failed & (found.pwrss > SMALLEST_RESIDUAL * square)
        pwrss = np.where(plain, found.pwrss, square)
        value = working.criterion(found.logdet, found.logdet_fixed, pwrss)
        noise = UNIT * (np.abs(value) + working.degrees * square / pwrss)
        plain &= noise <= self.largest_noise * np.maximum(1.0, np.abs(value) / 1e4)
        scores = []
        for block in working.blocks:
            g, where = block.factor, block.columns
            lam = templates[g][:, where, where]
            inverse = np.linalg.inv(lam)
            levels = working.products.pattern.shapes[g][0]
            inside = levels * np.eye(lam.shape[1]) - found.sums[g][:, where, where]
            score = inverse.transpose(0, 2, 1) @ inside @ inverse
            scores.append((score + score.transpose(0, 2, 1)) / 2)
        value = np.where(failed, np.inf, value)
        return Points(value, pwrss, found.beta, found.fixed_factor, scores, found.information, plain)

    def chart(self, theta: Float, points: Points) -> Chart:
        """Local coordinates around the θ of points."""
        return chart_around(self.working.structures, theta, points.scores, points.information)


def term_losses(blocks: Sequence[Block], theta: Float, information: Float) -> list[Float]:
    """½ ΣᵀHΣ on the support of every term: what the average information says that a term without variance costs.

    Parameters
    ----------
    theta : (…, n_theta) array
    information : (…, s, s) array
    """
    losses = []
    for block in blocks:
        lam = block.structure.template(theta[..., block.parameters])
        covariance = (lam @ np.swapaxes(lam, -1, -2))[(..., *block.structure.support)]
        own = information[..., block.support, block.support]
        losses.append(0.5 * np.einsum("...i,...ij,...j->...", covariance, own, covariance))
    return losses


def fixed_errors(beta_map: Float, factors: Float) -> Float:
    """Standard errors of β̂ = B⁻¹ β_working over σ̂, (m, p): lengths of the columns of L⁻¹B⁻ᵀ.

    Parameters
    ----------
    beta_map : (p, p) array
        B⁻¹
    factors : (m, p, p) array
        L; NaN comes of those without an inverse.
    """
    regular = np.asarray((np.diagonal(factors, axis1=1, axis2=2) > 0.0).all(axis=1))
    whole = np.where(regular[:, None, None], factors, np.eye(factors.shape[1]))
    inverse = np.linalg.solve(whole, beta_map.T)
    return np.where(regular[:, None], np.sqrt((inverse**2).sum(axis=1)), np.nan)
