"""Laplace's approximation of a generalized model's deviance as a function of θ and β, with its gradient.

    d = F/φ + c(y, φ) + log|M_v|,   F = D(η̂) + ‖û‖² at the conditional modes û,   M_v = ΛᵀZᵀVZΛ + I

V are the observed weights of the rows at the modes, the second derivatives that Laplace's method asks for, or the
expected ones in their place, with which lme4 works; φ, where a family has one, is profiled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.responses import response_products
from lmmsparse.objective.blocks import Block, lifted, templates_of
from lmmsparse.objective.pirls import Conditional, Modes
from lmmsparse.objective.profiled import SMALLEST_SPREAD
from lmmsparse.pls.row_variances import FactorRows, RowVariances, WorkingRows

Float = NDArray[np.float64]


@dataclass(frozen=True)
class LaplacePoint:
    """The criterion at one θ and β, in working coordinates.

    Attributes
    ----------
    theta : (n_theta,) array
    beta : (p,) array
    value : float
        −2 log L by Laplace's approximation.
    phi : float
    modes : Modes
    scores : tuple of (k_t, k_t) arrays
        ∂d/∂Σ_t of every term.
    gradient : (n_theta + p,) array
        By θ, then by β.
    """

    theta: Float
    beta: Float
    value: float
    phi: float
    modes: Modes
    scores: tuple[Float, ...]
    gradient: Float


class Laplace:
    """The criterion of a design, a family and a response.

    Parameters
    ----------
    conditional : Conditional
    blocks : sequence of Block
        Where each term stands.
    X : (n, p) array
        Working columns of the fixed part.
    offset : (n,) array
    observed : bool
        Whether the determinant is that of the observed weights.
    """

    def __init__(
        self, conditional: Conditional, blocks: Sequence[Block], X: Float, offset: Float, observed: bool = True
    ) -> None:
        self.conditional, self.blocks, self.X, self.offset = conditional, tuple(blocks), X, offset
        self.observed = observed
        factors = [FactorRows(g, block.codes, block.columns) for g, block in enumerate(conditional.random.blocks)]
        self._leverages = RowVariances(conditional.plan, WorkingRows(conditional.random.X, tuple(factors), fitted=True))

    def evaluate(self, theta: Float, beta: Float, u: Sequence[Float] | None = None) -> LaplacePoint:
        """Value and gradient.

        The gradient is taken at templates without a standard deviation of zero, as that of the linear model is.

        Parameters
        ----------
        theta : (n_theta,) array
        beta : (p,) array
        u : sequence of (q_g, K_g) arrays, optional
            Where the search for the modes begins.

        Raises
        ------
        FactorizationError
            There are no modes, or M is not positive definite at them.
        """
        inner, family = self.conditional, self.conditional.family
        templates = templates_of(self.blocks, inner.plan.shapes, theta)
        templates, _ = lifted(self.blocks, templates, SMALLEST_SPREAD)
        modes = inner.modes(templates, self.offset + self.X @ beta, u)
        rows, place = modes.place.rows, modes.place
        v, v1, _ = rows.observed if self.observed else rows.expected
        own = modes.observed == self.observed
        factor = modes.factor if own else inner.factorization(templates, v)
        phi = family.dispersion(inner.y, inner.weights, place.penalized)
        value = place.penalized / phi + family.saturated(inner.y, inner.weights, phi) + factor.logdet

        inverse = factor.selected_inverse(couplings=len(inner.random.blocks) > 1)
        t = self._leverages.effects(templates, factor, inverse) * v1  # ∂log|M|/∂η
        a = self._adjoint(modes, templates, t)
        s = t - rows.observed[0] * inner.effects(templates, a)  # what log|M| adds to the score
        G, S = (response_products(inner.random, part[:, None], None)[0] for part in (rows.score, s))
        scores = []
        for block in self.blocks:
            g, where = block.factor, block.columns
            lam = templates[g][where, where]
            own_u, own_a = place.u[g][:, where], a[g][:, where]
            Gu, Su = G[g][:, where, 0], S[g][:, where, 0]
            by_template = Gu.T @ (own_a - 2.0 * own_u / phi) + Su.T @ own_u
            C = inverse.diagonal[g][:, where, where].sum(axis=0)
            back = np.linalg.inv(lam)
            by_template += 2.0 * back.T @ (len(own_u) * np.eye(len(lam)) - C)
            score = by_template @ back / 2.0  # ∂d/∂λ = 2 ∂d/∂Σ λ
            scores.append((score + score.T) / 2.0)
        by_theta = [
            block.structure.gradient(theta[block.parameters], score)
            for block, score in zip(self.blocks, scores, strict=True)
        ]
        by_beta = self.X.T @ (s - 2.0 * rows.score / phi)
        return LaplacePoint(theta, beta, value, phi, modes, tuple(scores), np.concatenate([*by_theta, by_beta]))

    def _adjoint(self, modes: Modes, templates: Sequence[Float], t: Float) -> list[Float]:
        """M_h⁻¹ΛᵀZᵀt with the observed weights h, by which the modes move, (q_g, K_g) arrays."""
        inner = self.conditional
        observed = modes.place.rows.observed[0]
        factor = modes.factor if modes.observed else inner.factorization(templates, observed)
        zeros = [np.zeros_like(part) for part in modes.place.u]
        right = [part[:, :, None] for part in inner.score(templates, t, zeros)]
        return [part[:, :, 0] for part in factor.backward(factor.forward(right))]
