"""Any covariance matrix: θ is the lower triangle of λ, column after column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.frames import TurnedFrame
from lmmsparse.covariance.held import LowerTriangle
from lmmsparse.covariance.protocols import Empty, Keeps, Quantity, TermCoordinates
from lmmsparse.covariance.structure import Covariance, Index, canonical_template, lower_triangle

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Unstructured(Covariance):
    """``us(x | g)`` or ``(x | g)``: any covariance matrix."""

    keyword: ClassVar[str] = "us"
    keeps: ClassVar[Keeps] = Keeps.TRIANGULAR
    correlated: ClassVar[bool] = True
    simpler: ClassVar[tuple[str, ...]] = ("diag",)

    @property
    def n_theta(self) -> int:
        """k (k + 1) / 2."""
        return self.size * (self.size + 1) // 2

    @cached_property
    def support(self) -> tuple[Index, Index]:
        """The lower triangle; of λ as well, in the order of θ."""
        return lower_triangle(self.size)

    def template(self, theta: Float) -> Float:
        """λ, (…, k, k)."""
        matrix = np.zeros((*np.shape(theta)[:-1], self.size, self.size))
        matrix[(..., *self.support)] = theta
        return matrix

    def theta(self, template: Float) -> Float:
        """The lower triangle of λ."""
        return np.asarray(template[(..., *self.support)], dtype=float)

    def jacobian(self, theta: Float) -> Float:
        """∂Σ/∂λ on the lower triangle: λ_cd changes row c of Σ by column d of λ, and column c as well."""
        template, (a, b) = self.template(theta), self.support
        columns = template[..., :, b]
        return np.asarray((a[:, None] == a) * columns[..., b, :] + columns[..., a, :] * (b[:, None] == a))

    def curvature(self, theta: Float, score: Float) -> Float:
        """2 T_ac for entries (a, b) and (c, b) of one column."""
        a, b = self.support
        return np.asarray(2.0 * (b[:, None] == b) * score[..., a[:, None], a])

    def gradient(self, theta: Float, score: Float) -> Float:
        """The lower triangle of 2 T λ."""
        return self.theta(2.0 * score @ self.template(theta))

    def unit_map(self, L: Float) -> Float:
        """Entries of Lλ as a function of those of λ."""
        (a, b), T = self.support, np.zeros((self.n_theta, self.n_theta))
        same = b[:, None] == b
        T[same] = L[a[:, None], a][same]
        return T

    def bounds(self) -> tuple[Float, Float]:
        """0 below the diagonal entries of λ."""
        a, b = self.support
        return np.where(a == b, 0.0, -np.inf), np.full(self.n_theta, np.inf)

    def names(self, group: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Names as lme4 writes them: ``g.x`` on the diagonal, ``g.z.x`` below it (row, then column)."""
        pairs = zip(*self.support, strict=True)
        return tuple(f"{group}.{columns[i]}" if i == j else f"{group}.{columns[i]}.{columns[j]}" for i, j in pairs)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """A standard deviation where θ is on the diagonal, a correlation where it is below."""
        pairs = zip(*(index.tolist() for index in self.support), strict=True)
        return tuple(Quantity("sd", (i,)) if i == j else Quantity("cor", (i, j)) for i, j in pairs)

    def quantity_values(self, theta: Float) -> tuple[Float, Float]:
        """Standard deviations and correlations of λλᵀ."""
        a, b = self.support
        template, J = self.template(theta), self.jacobian(theta)
        M = template @ np.swapaxes(template, -1, -2)
        own = np.flatnonzero(a == b)
        sd = np.sqrt(np.diagonal(M, axis1=-2, axis2=-1))
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = J[..., own, :] / (2.0 * sd[..., None] ** 2)  # of every standard deviation
            correlation = M[..., a, b] / (sd[..., a] * sd[..., b])
            change = J / (sd[..., a] * sd[..., b])[..., None]
            slopes = change - correlation[..., None] * (relative[..., a, :] + relative[..., b, :])
            slopes[..., own, :] = sd[..., None] * relative
        values = np.where(a == b, sd[..., a], correlation)
        return values, slopes

    def canonical(self, theta: Float) -> Float:
        """That of the λ with non-negative diagonal."""
        return self.theta(canonical_template(self.template(theta)))

    def emptied(self, theta: Float, smallest: float) -> Float:
        """Directions with standard deviations below ``smallest`` have none."""
        U, S, _ = np.linalg.svd(self.template(theta))
        return self.theta(canonical_template(U * np.where(S < smallest, 0.0, S))) if S[-1] < smallest else theta

    def lifted(self, theta: Float, smallest: float) -> Float:
        """Directions with standard deviations below ``smallest`` have that one."""
        U, S, _ = np.linalg.svd(self.template(theta))
        return self.theta(canonical_template(U * np.maximum(S, smallest))) if S[-1] < smallest else theta

    def entry_basis(self, theta: Float) -> Float:
        """Each entry by itself."""
        return np.eye(self.n_theta)

    def step_units(self, theta: Float) -> Float:
        """Length of the row of λ that an entry is in: a large standard deviation is known in its own unit."""
        lengths = np.linalg.norm(self.template(theta), axis=1)
        return np.asarray(np.maximum(1.0, lengths[self.support[0]]))

    def frame(self, theta: Float) -> TurnedFrame:
        """Turned to the directions of Σ."""
        return TurnedFrame.around(self, theta)

    def empty(self, theta: Float, score: Float, columns: Sequence[str]) -> list[Empty]:
        """Directions without variance."""
        left, S, _ = np.linalg.svd(self.template(theta))
        null = left[:, S <= 1e-12 * max(1.0, S[0])]
        if null.shape[1] == 0:
            return []
        values, vectors = np.linalg.eigh(null.T @ score @ null)
        names = [columns[0]] if self.size == 1 else [f"direction {i + 1}" for i in range(len(values))]
        scale = float(np.abs(np.diag(score)).max())
        found = zip(names, values.tolist(), (null @ vectors).T, strict=True)
        return [Empty(name, vector, value, scale) for name, value, vector in found]

    def describe(self, found: Sequence[Empty], group: str, columns: Sequence[str]) -> str:
        """No variance at all, or less rank than columns."""
        if len(found) == self.size:
            return f"no variance of {', '.join(columns)} in {group}"
        rank = self.size - len(found)
        return f"the covariance matrix of {', '.join(columns)} in {group} has rank {rank} of {self.size}"

    def off_boundary(self, theta: Float, outward: Sequence[Empty], step: float) -> Float:
        """The directions have a variance."""
        wide = np.hstack([self.template(theta), *(step * one.move[:, None] for one in outward)])
        return self.theta(canonical_template(np.asarray(np.linalg.qr(wide.T, mode="r")).T))

    def coordinates(self, theta: Float, units: Float) -> TermCoordinates:
        """λ itself."""
        return LowerTriangle(self, (), theta, units)

    def held(self, quantity: int, theta: Float, units: Float) -> TermCoordinates:
        """Rows of λ in another order, those of the quantity first."""
        return LowerTriangle(self, self.quantities[quantity].effects[::-1], theta, units)
