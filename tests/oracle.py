"""Linear mixed models by their textbook formulas, with V written out as an n × n matrix.

For comparison only: no sparse matrices, no profiling tricks, no change of coordinates. With y ~ N(Xβ, σ²V),

    V = W⁻¹ + Σ_t (C_t Σ_t C_tᵀ) ∘ [same level of t],    P = V⁻¹ − V⁻¹X(XᵀV⁻¹X)⁻¹XᵀV⁻¹,    r² = yᵀPy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from lmmsparse.design.terms import RandomTerm

Float = NDArray[np.float64]
KEYWORDS = ("us", "diag", "homdiag", "cs", "homcs")


def parameter_count(keyword: str, k: int) -> int:
    """Length of θ; a single effect has no correlation."""
    return {"us": k * (k + 1) // 2, "diag": k, "homdiag": 1, "cs": k + (k > 1), "homcs": 1 + (k > 1)}[keyword]


def covariance(keyword: str, k: int, theta: Any) -> Any:
    """Σ of k effects: λλᵀ with the lower triangle of λ column by column, or standard deviations and then maybe ρ.

    glmmTMB's definitions; a polynomial in θ of degree three at most, so that θ may be complex as well.
    """
    theta = np.asarray(theta)
    if keyword == "us":
        lam = np.zeros((k, k), dtype=theta.dtype)
        lam.T[np.triu_indices(k)] = theta
        return lam @ lam.T
    sd = theta[0] * np.ones(k) if keyword.startswith("hom") else theta[:k]
    rho = theta[-1] if keyword.endswith("cs") and k > 1 else 0.0
    return np.outer(sd, sd) * (rho * np.ones((k, k)) + (1 - rho) * np.eye(k))


def semidefinite_cholesky(covariance: Float) -> Float:
    """Lower triangular L with LLᵀ = Σ, a column of zeros where a row is spanned by those above it."""
    L = np.zeros_like(covariance)
    for j in range(len(L)):
        rest = covariance[:, j] - L @ L[j]
        if rest[j] > 1e-12 * covariance[j, j]:
            L[j:, j] = rest[j:] / np.sqrt(rest[j])
    return L


def template(keyword: str, k: int, theta: Float) -> Float:
    """λ: that of θ itself, or standard deviations of any sign times the Cholesky factor of the correlations."""
    if keyword == "us":
        lam = np.zeros((k, k))
        lam.T[np.triu_indices(k)] = theta
        return lam
    sd = np.broadcast_to(theta[: 1 if keyword.startswith("hom") else k], k)
    deviations = np.ones(1 if keyword.startswith("hom") else k)
    correlation = covariance(keyword, k, np.append(deviations, theta[len(deviations) :]))
    return sd[:, None] * semidefinite_cholesky(correlation)


def parts(terms: Sequence[RandomTerm], theta: Float) -> list[tuple[RandomTerm, str, int, Float]]:
    """Every term with its keyword, its number of columns and its part of θ."""
    out, start = [], 0
    for term in terms:
        keyword, k = term.structure.keyword, term.columns.shape[1]
        stop = start + parameter_count(keyword, k)
        out.append((term, keyword, k, theta[start:stop]))
        start = stop
    assert start == len(theta)
    return out


def covariance_slopes(keyword: str, k: int, theta: Float) -> list[Float]:
    """∂Σ/∂θ_i by complex steps: exact for polynomials with real coefficients."""
    return [covariance(keyword, k, theta + 1e-100j * unit).imag / 1e-100 for unit in np.eye(len(theta))]


def covariance_bends(keyword: str, k: int, theta: Float) -> list[list[Float]]:
    """∂²Σ/∂θ_i∂θ_j by central differences with steps of one: they are exact for cubic polynomials."""

    def at(step: Float) -> Float:
        return np.asarray(covariance(keyword, k, theta + step))

    units = np.eye(len(theta))
    return [[(at(e + f) - at(e - f) - at(f - e) + at(-e - f)) / 4 for f in units] for e in units]


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
        every = parts(self.terms, self.theta)
        return block_diag(*[np.kron(np.eye(len(t.levels)), template(keyword, k, own)) for t, keyword, k, own in every])

    @cached_property
    def V(self) -> Float:
        V = np.diag(1 / self.w)
        for term, keyword, k, own in parts(self.terms, self.theta):
            V += self._between(term, covariance(keyword, k, own))
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
        every = parts(self.terms, self.theta)
        return [self._between(t, slope) for t, keyword, k, own in every for slope in covariance_slopes(keyword, k, own)]

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
        return self.information_along(self.slopes)

    @property
    def support_information(self) -> Float:
        """The same for the entries of Σ that parameters move, in the order of the terms and of their supports."""
        slopes = []
        for term in self.terms:
            for a, b in zip(*term.structure.support, strict=True):
                unit = np.zeros((term.structure.size,) * 2)
                unit[a, b] = unit[b, a] = 1
                slopes.append(self._between(term, unit))
        return self.information_along(slopes)

    def information_along(self, slopes: Sequence[Float]) -> Float:
        """Average information for V̇_i."""
        Py = self.P @ self.y
        F = np.column_stack([slope @ Py for slope in slopes])
        along = F.T @ Py
        return (F.T @ self.P @ F - np.outer(along, along) / self.r2) / self.sigma2

    @property
    def curvature(self) -> Float:
        """The score along ∂²V/∂θ_i∂θ_j."""
        blocks = []
        for term, keyword, k, own in parts(self.terms, self.theta):
            bends = covariance_bends(keyword, k, own)
            blocks.append([[self.score(self._between(term, bend)) for bend in row] for row in bends])
        return np.asarray(block_diag(*blocks))
