"""Errors of predictions by Henderson's mixed model equations, with all matrices written out.

The inverse of [X Z]ᵀW[X Z] + diag(0, G⁻¹), times σ², is the covariance matrix of (β̂, b̂ − b); where G is singular,
it is found from V instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

Float = NDArray[np.float64]


def lambda_of(m: Any, theta: Float) -> list[Float]:
    """λ of every term."""
    parts, start = [], 0
    for term in m.terms:
        count = term.structure.n_theta
        parts.append(term.structure.template(theta[start : start + count]))
        start += count
    return parts


def rows_of_Z(m: Any, codes: list[Any], columns: list[Float], kept: Any = None) -> Float:
    """Rows of Z: term after term, level after level; zero where a code is negative or an effect is not kept."""
    blocks = []
    for t, term in enumerate(m.terms):
        here = np.where(codes[t][:, None] >= 0, columns[t], 0.0)
        if kept is not None:
            here = here * np.isin(np.arange(here.shape[1]), kept[t])
        indicator = np.eye(term.n_levels)[np.maximum(codes[t], 0)]
        blocks.append((indicator[:, :, None] * here[:, None, :]).reshape(len(here), -1))
    return np.hstack(blocks)


def codes_by_label(m: Any, newdata: Any) -> list[Any]:
    """Levels of new rows, found by the text of their labels."""
    found = []
    for term in m.terms:
        parts = [newdata[name].astype(str) for name in term.group.split(":")]
        labels = [":".join(row) for row in zip(*parts, strict=True)]
        found.append(term.levels.get_indexer(labels))
    return found


class Equations:
    """Covariance matrix of (β̂, b̂ − b) over σ² at some θ of the user's."""

    def __init__(self, m: Any, theta: Float | None = None) -> None:
        theta = m.theta if theta is None else theta
        self.templates = lambda_of(m, theta)
        w = np.ones(m.nobs) if m.frame.weights is None else m.frame.weights
        X, Z = m.frame.X, rows_of_Z(m, [term.codes for term in m.terms], [term.columns for term in m.terms])
        pairs = zip(m.terms, self.templates, strict=True)
        G = block_diag(*[np.kron(np.eye(term.n_levels), lam @ lam.T) for term, lam in pairs])
        p, q = X.shape[1], len(G)
        if np.linalg.matrix_rank(G) == q:
            whole = np.hstack([X, Z])
            left = whole.T @ (w[:, None] * whole)
            left[p:, p:] += np.linalg.inv(G)
            self.covariance = np.linalg.inv(left)
            return
        V = np.diag(1.0 / w) + Z @ G @ Z.T
        ViX, ViZG = np.linalg.solve(V, X), np.linalg.solve(V, Z @ G)
        C = np.linalg.inv(X.T @ ViX)
        cross = -C @ X.T @ ViZG
        modes = G - G @ Z.T @ ViZG + ViZG.T @ X @ C @ X.T @ ViZG
        self.covariance = np.block([[C, cross], [cross.T, modes]])

    def variance(self, X: Float, Z: Float) -> Float:
        """Of x(β̂ − β) + z(b̂ − b) over σ², a value a row."""
        rows = np.hstack([X, Z])
        return np.einsum("ma,ab,mb->m", rows, self.covariance, rows)
