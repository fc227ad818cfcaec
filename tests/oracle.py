"""Linear mixed models by their textbook formulas, with V written out as an n × n matrix.

For comparison only: no sparse matrices, no profiling tricks, no change of coordinates. With y ~ N(Xβ, σ²V),

    V = W⁻¹ + Σ_t (C_t λ_t λ_tᵀ C_tᵀ) ∘ [same level of t],    P = V⁻¹ − V⁻¹X(XᵀV⁻¹X)⁻¹XᵀV⁻¹,    r² = yᵀPy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from lmmsparse.covariance.structure import Diagonal
from lmmsparse.design.terms import RandomTerm

Float = NDArray[np.float64]


def entries(term: RandomTerm) -> list[tuple[int, int]]:
    """Row and column of every free entry of λ: its diagonal, or its lower triangle column by column."""
    k = term.columns.shape[1]
    if isinstance(term.structure, Diagonal):
        return [(i, i) for i in range(k)]
    return [(i, j) for j in range(k) for i in range(j, k)]


def templates(terms: Sequence[RandomTerm], theta: Float) -> list[Float]:
    """λ of every term."""
    values, out = list(theta), []
    for term in terms:
        out.append(np.zeros((term.columns.shape[1],) * 2))
        for place in entries(term):
            out[-1][place] = values.pop(0)
    assert not values
    return out


@dataclass(frozen=True)
class Oracle:
    """The model at one θ. ``y`` (n,), ``X`` (n, p), weights ``w`` (n,)."""

    y: Float
    X: Float
    terms: Sequence[RandomTerm]
    theta: Float
    reml: bool
    w: Float

    @property
    def degrees(self) -> int:
        return len(self.y) - self.reml * self.X.shape[1]

    @cached_property
    def Z(self) -> Float:
        """Model matrix of all random effects, term after term, levels outside, columns inside."""
        blocks = []
        for term in self.terms:
            indicator = np.eye(len(term.levels))[term.codes]
            blocks.append((indicator[:, :, None] * term.columns[:, None, :]).reshape(len(self.y), -1))
        return np.hstack(blocks)

    @cached_property
    def Lambda(self) -> Float:
        pairs = zip(self.terms, templates(self.terms, self.theta), strict=True)
        return block_diag(*[np.kron(np.eye(len(term.levels)), lam) for term, lam in pairs])

    @cached_property
    def V(self) -> Float:
        V = np.diag(1 / self.w)
        for term, lam in zip(self.terms, templates(self.terms, self.theta), strict=True):
            V += self._between(term, lam @ lam.T)
        return V

    @staticmethod
    def _between(term: RandomTerm, covariance: Float) -> Float:
        return (term.columns @ covariance @ term.columns.T) * (term.codes[:, None] == term.codes)

    @cached_property
    def V_inverse(self) -> Float:
        return np.linalg.inv(self.V)

    @cached_property
    def information_of_beta(self) -> Float:
        return self.X.T @ self.V_inverse @ self.X

    @cached_property
    def P(self) -> Float:
        left = self.V_inverse @ self.X
        return self.V_inverse - left @ np.linalg.solve(self.information_of_beta, left.T)

    @property
    def beta(self) -> Float:
        return np.linalg.solve(self.information_of_beta, self.X.T @ self.V_inverse @ self.y)

    @property
    def r2(self) -> float:
        return float(self.y @ self.P @ self.y)

    @property
    def sigma2(self) -> float:
        return self.r2 / self.degrees

    @property
    def value(self) -> float:
        """ML deviance or REML criterion."""
        value = np.linalg.slogdet(self.V)[1] + self.degrees * (1 + np.log(2 * np.pi * self.sigma2))
        return float(value + self.reml * np.linalg.slogdet(self.information_of_beta)[1])

    @property
    def u(self) -> Float:
        """Conditional modes on the spherical scale, (q,)."""
        return self.Lambda.T @ self.Z.T @ self.P @ self.y

    @property
    def conditional_covariance(self) -> Float:
        """Covariance of u over σ², given y, β and θ, (q, q)."""
        ZL = self.Z @ self.Lambda
        return np.eye(len(self.Lambda)) - ZL.T @ self.V_inverse @ ZL

    @property
    def hat(self) -> Float:
        """∂ŷ/∂y, (n, n): what is not residual, y − ŷ = W⁻¹Py."""
        return np.eye(len(self.y)) - self.P / self.w[:, None]

    @cached_property
    def slopes(self) -> list[Float]:
        """∂V/∂θ_i."""
        out = []
        for term, lam in zip(self.terms, templates(self.terms, self.theta), strict=True):
            for place in entries(term):
                unit = np.zeros_like(lam)
                unit[place] = 1
                out.append(self._between(term, unit @ lam.T + lam @ unit.T))
        return out

    def score(self, slope: Float) -> float:
        """Derivative of the criterion when V moves by ``slope``: tr(QV̇) − yᵀPV̇Py/σ², Q = P or V⁻¹."""
        Q = self.P if self.reml else self.V_inverse
        Py = self.P @ self.y
        return float(np.sum(Q * slope) - Py @ slope @ Py / self.sigma2)

    @property
    def gradient(self) -> Float:
        return np.array([self.score(slope) for slope in self.slopes])

    @property
    def average_information(self) -> Float:
        """[yᵀPV̇_iPV̇_jPy − (yᵀPV̇_iPy)(yᵀPV̇_jPy)/r²]/σ²: mean of observed and expected, V taken as linear in θ."""
        Py = self.P @ self.y
        F = np.column_stack([slope @ Py for slope in self.slopes])
        along = F.T @ Py
        return (F.T @ self.P @ F - np.outer(along, along) / self.r2) / self.sigma2

    @property
    def curvature(self) -> Float:
        """The score along ∂²V/∂θ_i∂θ_j."""
        out = np.zeros((len(self.theta),) * 2)
        start = 0
        for term in self.terms:
            places = entries(term)
            for i, (a, b) in enumerate(places):
                for j, (c, d) in enumerate(places):
                    second = np.zeros((term.columns.shape[1],) * 2)
                    second[a, c] += b == d
                    second[c, a] += b == d
                    out[start + i, start + j] = self.score(self._between(term, second))
            start += len(places)
        return out
