"""Covariance structures: free parameters θ of one random-effect term and its template λ(θ).

The covariance matrix of the random effects of one level is σ² λ λᵀ.  A new structure is a new
subclass of `CovarianceStructure`; nothing else in the engine knows the structures by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

# A row of a template whose part orthogonal to earlier rows is shorter than this share of it is spanned by them.
DEPENDENT = 1e-14


@dataclass(frozen=True)
class CovarianceStructure(ABC):
    """A lower triangular k × k template λ whose free entries are the parameters θ.

    Parameters
    ----------
    size : int
        Number k of columns of the term.
    """

    size: int

    # True when every invertible lower triangular map of the columns keeps the family of templates,
    # so that the engine may orthonormalise the columns; False when only a change of scale does.
    rotates = True

    @cached_property
    def entries(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the free entries of λ, in the order of θ."""
        return self._free_entries()

    @abstractmethod
    def _free_entries(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """`entries` of a structure."""

    @property
    def n_theta(self) -> int:
        """Number of parameters."""
        return len(self.entries[0])

    def template(self, theta: Float) -> Float:
        """λ(θ), (k, k) lower triangular."""
        matrix = np.zeros((self.size, self.size))
        matrix[self.entries] = theta
        return matrix

    def theta(self, template: Float) -> Float:
        """Inverse of `template`: the free entries of λ."""
        return np.asarray(template[self.entries], dtype=float)

    def spread_at_least(self, template: Float, smallest: float) -> Float:
        """A template with the same directions in which no standard deviation is below ``smallest``.

        The template itself when that is so already.
        """
        if self.rotates:
            U, S, _ = np.linalg.svd(template)
            return canonical_template(U * np.maximum(S, smallest)) if S[-1] < smallest else template
        diagonal = np.diag(template)
        if (np.abs(diagonal) >= smallest).all():
            return template
        return np.diag(np.where(diagonal < 0, -1.0, 1.0) * np.maximum(np.abs(diagonal), smallest))

    def without_small(self, template: Float, smallest: float) -> Float:
        """The template with standard deviations below ``smallest`` at exactly zero; itself when there are none."""
        if self.rotates:
            U, S, _ = np.linalg.svd(template)
            return canonical_template(U * np.where(S < smallest, 0.0, S)) if S[-1] < smallest else template
        diagonal = np.abs(np.diag(template))
        return np.diag(np.where(diagonal < smallest, 0.0, diagonal)) if (diagonal < smallest).any() else template

    def smallest_spread(self, template: Float) -> float:
        """Smallest standard deviation of any direction: the smallest singular value of λ."""
        return float(np.linalg.svd(template, compute_uv=False)[-1])

    def lower_bounds(self) -> Float:
        """0 for diagonal entries, -inf for the others."""
        rows, columns = self.entries
        return np.where(rows == columns, 0.0, -np.inf)

    def names(self, group: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Names as lme4 writes them: ``g.x`` on the diagonal, ``g.z.x`` below it (row, then column)."""
        return tuple(
            f"{group}.{columns[i]}" if i == j else f"{group}.{columns[i]}.{columns[j]}"
            for i, j in zip(*self.entries, strict=True)
        )


@dataclass(frozen=True)
class Unstructured(CovarianceStructure):
    """Any covariance matrix: θ is the lower triangle of λ, column after column."""

    rotates = True

    def _free_entries(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the lower triangle, column-major."""
        columns, rows = np.triu_indices(self.size)
        return rows, columns


@dataclass(frozen=True)
class Diagonal(CovarianceStructure):
    """Independent effects: θ is the diagonal of λ."""

    rotates = False

    def _free_entries(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The diagonal."""
        index = np.arange(self.size)
        return index, index


# What formulas call the structures: ``us(x | g)`` is ``(x | g)``, ``diag(x | g)`` is ``(x || g)``.
STRUCTURES: dict[str, type[CovarianceStructure]] = {"us": Unstructured, "diag": Diagonal}


def canonical_template(template: Float) -> Float:
    """The lower triangular λ with non-negative diagonal that has the same product λλᵀ.

    Pivots that are zero to rounding leave a zero column, so that a rank-deficient covariance has one
    representation: the positive semidefinite Cholesky factor.

    Parameters
    ----------
    template : (k, k) array
        Lower triangular or not.
    """
    k = template.shape[0]
    if k == 1:
        return np.abs(template)
    # LQ factorization: template = L Q, hence template templateᵀ = L Lᵀ without squaring the condition number
    L = np.asarray(np.linalg.qr(template.T, mode="r")).T
    diagonal = L.diagonal()
    if (np.abs(diagonal) > DEPENDENT * np.sqrt((template**2).sum(axis=1))).all():
        return np.asarray(L * np.where(diagonal < 0, -1.0, 1.0))
    # a row that earlier rows span adds no column; the others are orthogonalised in turn, twice against rounding
    factor, basis = np.zeros((k, k)), np.zeros((k, k))
    for i, row in enumerate(template):
        rest = row.astype(float)
        for _ in range(2):
            along = basis @ rest
            rest = rest - along @ basis
            factor[i] += along
        length = float(np.linalg.norm(rest))
        if length > DEPENDENT * float(np.linalg.norm(row)):
            factor[i, i], basis[i] = length, rest / length
    return factor
