"""What a covariance structure is: parameters θ of one random-effect term, its template λ(θ), and all that follows.

The covariance matrix of the k random effects of one level is σ² Σ with Σ = λ λᵀ.  Everything that the library asks of a
structure is a method of `Covariance`; arrays may have leading axes, one entry a problem.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Empty, Frame, Keeps, Quantity, TermCoordinates
from lmmsparse.errors import ArgumentError

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A row of a template whose part orthogonal to earlier rows is shorter than this share of it is spanned by them.
DEPENDENT = 1e-14


@dataclass(frozen=True)
class Covariance(ABC):
    """A family of covariance matrices of k effects.

    Parameters
    ----------
    size : int
        Number k of columns of the term.
    """

    size: int

    keyword: ClassVar[str]
    keeps: ClassVar[Keeps]
    # whether effects may be correlated: tables of uncorrelated ones have no correlations
    correlated: ClassVar[bool]
    # keywords of the families that are one step simpler
    simpler: ClassVar[tuple[str, ...]] = ()

    @property
    def ends(self) -> tuple[float, float]:
        """Range of its correlations."""
        return -1.0, 1.0

    @property
    @abstractmethod
    def n_theta(self) -> int:
        """Number of parameters."""

    @cached_property
    @abstractmethod
    def support(self) -> tuple[Index, Index]:
        """Rows and columns a >= b of the s entries of Σ that the parameters move."""

    @abstractmethod
    def template(self, theta: Float) -> Float:
        """λ(θ), (…, k, k) lower triangular, of θ (…, n_theta)."""

    @abstractmethod
    def theta(self, template: Float) -> Float:
        """θ of a lower triangular λ of the family, and of the nearest one in the family for others."""

    @abstractmethod
    def jacobian(self, theta: Float) -> Float:
        """∂Σ/∂θ on the support, (…, s, n_theta)."""

    @abstractmethod
    def curvature(self, theta: Float, score: Float) -> Float:
        """Σ_ab T_ab ∂²Σ_ab/∂θ_i∂θ_j of a score T = ∂d/∂Σ (…, k, k): (…, n_theta, n_theta)."""

    @abstractmethod
    def unit_map(self, L: Float) -> Float:
        """The (n_theta, n_theta) matrix that takes θ to the parameters of Lλ, for an L that the family keeps."""

    @abstractmethod
    def bounds(self) -> tuple[Float, Float]:
        """Lower and upper bounds of θ."""

    @abstractmethod
    def names(self, group: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of θ."""

    @cached_property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """Standard deviations and correlations, one a parameter."""

    @abstractmethod
    def quantity_values(self, theta: Float) -> tuple[Float, Float]:
        """`quantities` over σ, (…, n_theta), and their derivatives, (…, n_theta, n_theta); NaN where there are none."""

    @abstractmethod
    def canonical(self, theta: Float) -> Float:
        """The θ of the same Σ that stands for all of them: no negative standard deviations."""

    @abstractmethod
    def emptied(self, theta: Float, smallest: float) -> Float:
        """Canonical θ with what is nearer to the boundary than ``smallest`` on it; θ itself where nothing is."""

    @abstractmethod
    def lifted(self, theta: Float, smallest: float) -> Float:
        """θ with no direction of a standard deviation below ``smallest``; θ itself where there is none."""

    @abstractmethod
    def frame(self, theta: Float) -> Frame:
        """Local coordinates around θ, in which a Newton step is well scaled."""

    @abstractmethod
    def empty(self, theta: Float, score: Float, columns: Sequence[str]) -> list[Empty]:
        """What a θ on the boundary lacks, with the derivatives inwards."""

    @abstractmethod
    def describe(self, found: Sequence[Empty], group: str, columns: Sequence[str]) -> str:
        """What is empty, as half a sentence."""

    @abstractmethod
    def off_boundary(self, theta: Float, outward: Sequence[Empty], step: float) -> Float:
        """A start off the boundary, standard deviations of ``step`` where nothing was."""

    @abstractmethod
    def coordinates(self, theta: Float, units: Float) -> TermCoordinates:
        """Coordinates without bounds, in which the criterion is smooth everywhere.

        Parameters
        ----------
        theta : (n_theta,) array
        units : (k,) array
            Standard deviation over σ of an effect whose contribution to the response has the variance σ² on average.
        """

    @abstractmethod
    def held(self, quantity: int, theta: Float, units: Float) -> TermCoordinates:
        """Such coordinates in which one of the `quantities` is held, for profiles."""

    def check(self, theta: Float, names: Sequence[str]) -> None:
        """Refuse a θ that is no parameter of the family; standard deviations may have any sign."""
        for name, value, low, high in zip(names, theta.tolist(), *self.bounds(), strict=True):
            if np.isfinite(high) and not low <= value <= high:
                raise ArgumentError(f"{name} must lie between {low:.6g} and {high:g}, got {value:g}")

    def start(self) -> Float:
        """θ of λ = I."""
        return self.theta(np.eye(self.size))

    def gradient(self, theta: Float, score: Float) -> Float:
        """∂d/∂θ from the score T = ∂d/∂Σ."""
        return np.asarray((self.jacobian(theta) * self.on_support(score)[..., None]).sum(axis=-2))

    def scaled(self, theta: Float, factor: float) -> Float:
        """θ with all standard deviations times a factor."""
        return factor * theta

    @abstractmethod
    def entry_basis(self, theta: Float) -> Float:
        """Directions (s, n_theta) in which the entries of the support may move: constant where the family is linear."""

    @property
    def n_variances(self) -> int:
        """Variances that are zero when there are no effects at all."""
        return self.size

    @property
    def linear(self) -> bool:
        """Whether the covariance matrices are a linear space, but for being positive semidefinite."""
        return True

    @abstractmethod
    def step_units(self, theta: Float) -> Float:
        """A step for differences, once it is made small: at least 1 for standard deviations, at most 1 for ρ."""

    def at_end(self, theta: Float) -> NDArray[np.bool_]:
        """Parameters at an end of their range at which the criterion is not even, (n_theta,): nothing lies beyond."""
        return np.zeros(len(theta), dtype=bool)

    def on_support(self, score: Float) -> Float:
        """∂d/∂Σ_ab on the support, an entry off the diagonal standing for both: (…, s)."""
        a, b = self.support
        return np.asarray(np.where(a == b, 1.0, 2.0) * score[..., a, b])

    def spreads(self, template: Float) -> Float:
        """Standard deviations of all directions, decreasing: the singular values of λ."""
        return np.asarray(np.linalg.svd(template, compute_uv=False))

    def smaller(self, size: int) -> Covariance:
        """The same family for fewer columns."""
        return type(self)(size)


def lower_triangle(size: int) -> tuple[Index, Index]:
    """Rows and columns of the lower triangle, column after column."""
    columns, rows = np.triu_indices(size)
    return rows, columns


def raised(template: Float, smallest: float) -> Float:
    """A template with the same directions in which no standard deviation is below ``smallest``.

    The template itself when that is so already.  Σ changes by no more than the square of ``smallest``.

    Parameters
    ----------
    template : (…, k, k) array
        Lower triangular.
    smallest : float
    """
    if template.ndim > 2:
        diagonal = np.abs(template.diagonal(axis1=-2, axis2=-1))
        if template.shape[-1] > 1 and np.count_nonzero(np.tril(template, -1)):
            diagonal = np.linalg.svd(template, compute_uv=False)
        low = np.asarray((diagonal < smallest).any(axis=-1))
        if not low.any():
            return template
        out = template.copy()
        U, S, _ = np.linalg.svd(template[low])
        out[low] = canonical_template(U * np.maximum(S, smallest)[..., None, :])
        return out
    diagonal = template.diagonal()
    if np.count_nonzero(template) == np.count_nonzero(diagonal):
        if np.abs(diagonal).min() >= smallest:
            return template
        return np.diag(np.where(diagonal < 0, -1.0, 1.0) * np.maximum(np.abs(diagonal), smallest))
    U, S, _ = np.linalg.svd(template)
    return canonical_template(U * np.maximum(S, smallest)) if S[-1] < smallest else template


def canonical_template(template: Float) -> Float:
    """The lower triangular λ with non-negative diagonal that has the same product λλᵀ.

    Pivots that are zero to rounding leave a zero column, so that a rank-deficient covariance has one
    representation: the positive semidefinite Cholesky factor.

    Parameters
    ----------
    template : (…, k, k) array
        Lower triangular or not.
    """
    if template.shape[-1] == 1:
        return np.abs(template)
    # LQ factorization: template = L Q, hence template templateᵀ = L Lᵀ without squaring the condition number
    L = np.asarray(np.linalg.qr(template.swapaxes(-1, -2), mode="r")).swapaxes(-1, -2)
    diagonal = L.diagonal(axis1=-2, axis2=-1)
    out = np.asarray(L * np.where(diagonal < 0, -1.0, 1.0)[..., None, :])
    regular = np.abs(diagonal) > DEPENDENT * np.sqrt((template**2).sum(axis=-1))
    if regular.all():
        return out
    if template.ndim == 2:
        return _semidefinite_factor(template)
    for i in np.argwhere(~regular.all(axis=-1)):
        out[tuple(i)] = _semidefinite_factor(template[tuple(i)])
    return out


def _semidefinite_factor(template: Float) -> Float:
    """A row that earlier rows span adds no column; the others are orthogonalised in turn, twice against rounding."""
    k = len(template)
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
