"""Working coordinates, in which neither the units nor the origin of any variable matter.

X becomes orthonormal (XᵀWX = n I), the columns of each random-effect term become orthonormal or at least
of unit mean square, and y becomes its least-squares residual of unit mean square.  Everything that the engine
computes is mapped back by the small matrices kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import places
from lmmsparse.covariance.protocols import Keeps
from lmmsparse.design.terms import RandomTerm, taken_columns
from lmmsparse.frame import Codes
from lmmsparse.numerics.dense import row_chunks
from lmmsparse.numerics.orthonormal import magnitudes, orthonormalized, unit_scales

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A factor of a term's columns is inverted only while it keeps this many digits.
SMALLEST_PIVOT = 1e-12
# X reproduces the response when its residual is below this share of the response's range, or below its rounding errors.
EXACT_FIT = 1e-12
ROUNDING_UNITS = 4.0


@dataclass(frozen=True)
class Coordinates:
    """Maps between the user's columns and the working ones.

    Attributes
    ----------
    fixed_map : (p, p) array
        B with X = X_working B, hence β = B⁻¹ β_working.
    term_maps : tuple of (k, k) arrays
        Lower triangular L_t with C_t = C_working L_t, hence λ_working = L_t λ.
    """

    fixed_map: Float
    term_maps: tuple[Float, ...]

    @cached_property
    def fixed_inverse(self) -> Float:
        """B⁻¹, (p, p)."""
        return np.asarray(np.linalg.inv(self.fixed_map))

    @property
    def log_det(self) -> float:
        """log|det B|: what REML's criterion in the user's columns has more, halved."""
        return float(np.linalg.slogdet(self.fixed_map)[1])

    def beta_map(self, unit: float) -> Float:
        """The (p, p) matrix that takes β_working, in a unit of the response, to a change of β in the user's units."""
        return unit * self.fixed_inverse

    def beta_units(self, unit: float) -> Float:
        """Powers of two by which the rows of `beta_map` are of size one, (p,): in them squares of β are numbers."""
        sizes = np.abs(self.beta_map(unit)).max(axis=1, initial=0.0)
        return np.ldexp(1.0, np.frexp(sizes)[1] - 1)

    def working_beta_map(self, unit: float) -> Float:
        """Its inverse."""
        return self.fixed_map / unit

    def fixed_rows(self, X: Float) -> Float:
        """Rows of the user's X in working columns, X B⁻¹."""
        return np.asarray(np.linalg.solve(self.fixed_map.T, X.T).T)

    def term_rows(self, term: int, columns: Float) -> Float:
        """Rows of a term's columns in working ones, C L⁻¹."""
        return np.asarray(np.linalg.solve(self.term_maps[term].T, columns.T).T)

    def term_units(self, term: int) -> Float:
        """Length of the working columns that each of the user's columns is, (k,): its root mean square."""
        return np.sqrt((self.term_maps[term] ** 2).sum(axis=0))


@dataclass(frozen=True)
class ResponseCoordinates:
    """Origin and unit of the working response: y − offset = X start + scale · y_working.

    ``exact`` when X alone reproduces the response to rounding, so that y_working is noise.
    """

    start: Float
    scale: float
    exact: bool

    def beta(self, working: Float, coordinates: Coordinates) -> Float:
        """β in the user's units, (p,)."""
        return np.asarray(self.start + self.scale * (coordinates.fixed_inverse @ working))


@dataclass(frozen=True)
class ManyResponses:
    """`ResponseCoordinates` of m responses: ``start`` (p, m), ``scale`` (m,), ``exact`` (m,) of bool.

    ``largest_square`` (m,) is the largest share of a single row in yᵀWy.
    """

    start: Float
    scale: Float
    exact: NDArray[np.bool_]
    largest_square: Float


@dataclass(frozen=True)
class WorkingBlock:
    """All terms of one grouping factor, side by side.

    Attributes
    ----------
    group : str
    codes : (n,) array of int8, int16 or int32
    n_levels : int
    columns : (n, K) array
        Working columns of all terms of this factor.
    terms : tuple of int
        Positions of those terms, in the order of their columns.
    """

    group: str
    codes: Codes
    n_levels: int
    columns: Float
    terms: tuple[int, ...]


@dataclass(frozen=True)
class WorkingDesign:
    """The design in working coordinates: X (n, p) and the blocks.

    Weights made the basis and are no part of it: sums take them as an argument, so that they may change.
    """

    X: Float
    blocks: tuple[WorkingBlock, ...]
    coordinates: Coordinates


def taken_rows(design: WorkingDesign, rows: Index) -> WorkingDesign:
    """The design of some rows in the coordinates of all; levels that have none of them are left out."""
    return replace(
        design,
        X=design.X[rows],
        blocks=tuple(_taken_block(block, rows) for block in design.blocks),
    )


def _taken_block(block: WorkingBlock, rows: Index) -> WorkingBlock:
    codes = block.codes[rows]
    seen = np.zeros(block.n_levels, dtype=bool)
    seen[codes] = True
    renumber = np.cumsum(seen) - 1  # in wide integers: codes are as narrow as the levels allow
    return replace(
        block,
        codes=renumber[codes].astype(block.codes.dtype),
        n_levels=int(seen.sum()),
        columns=taken_columns(block.columns, rows),
    )


def orthonormal_columns(X: Float, weights: Float | None) -> tuple[Float, Float]:
    """Q and B with X = Q B and QᵀWQ = n I.

    Columns are centred first when one of them is constant, so that a large origin costs no digits.

    Parameters
    ----------
    X : (n, p) array of full column rank
    weights : (n,) array or None
    """
    p = X.shape[1]
    if p == 0:
        return X, np.zeros((0, 0))
    work = np.array(X, dtype=float, order="F")
    highest, lowest = work.max(axis=0), work.min(axis=0)
    scale = unit_scales(np.maximum(highest, -lowest))
    work /= scale
    centring = np.eye(p)
    constant = np.flatnonzero(highest == lowest)
    if constant.size:
        c = constant[0]
        means = work.mean(axis=0) if weights is None else (weights / weights.sum()) @ work
        means[c] = 0.0
        work -= means
        centring[c] += means / (X[0, c] / scale[c])
    root = None if weights is None else np.sqrt(weights)[:, None]
    if root is not None:
        work *= root
    unit = unit_scales(magnitudes(work))
    work /= unit
    Q, R = orthonormalized(work)
    if root is not None:
        Q /= root
    return Q, (R * unit) @ centring * scale


def term_coordinates(columns: Float, weights: Float | None, keeps: Keeps) -> tuple[Float, Float]:
    """C_working and a lower triangular L that the family of covariances keeps, with C = C_working L.

    Where it keeps any, the working columns are orthonormal (mean square 1, weighted), found by a QL factorization: it
    keeps λ lower triangular.  Elsewhere, or when columns are linearly dependent, they are only scaled.
    """
    n, k = columns.shape
    if k == 1 and columns.strides[0] == 0:  # an intercept: one number stands for the column
        total = float(n) if weights is None else float(weights.sum())
        unit = abs(float(columns[0, 0])) * np.sqrt(total / n)
        return np.broadcast_to(columns[0] / unit, (n, 1)), np.array([[unit]])
    root = None if weights is None else np.sqrt(weights)[:, None]
    work = np.array(columns, dtype=float, order="F")
    if root is not None:
        work *= root
    magnitude = unit_scales(magnitudes(work))
    work /= magnitude
    lengths = np.sqrt([work[:, j] @ work[:, j] / n for j in range(k)])
    lengths[lengths == 0] = 1.0
    if keeps is Keeps.TRIANGULAR and k > 1 and n >= k:
        Q, lower = orthonormalized(work, lower=True)
        pivots = np.diag(lower)
        if (np.abs(pivots) > SMALLEST_PIVOT * lengths).all():
            signs = np.where(pivots < 0, -1.0, 1.0)
            if (signs < 0).any():
                Q *= signs
            if root is not None:
                Q /= root
            return Q, (lower * signs[:, None]) * magnitude
    scales = magnitude * lengths
    if keeps is Keeps.SCALE:
        scales = np.full(k, np.sqrt(np.mean(scales**2)))
    return columns / scales, np.diag(scales)


def working_design(X: Float, terms: Sequence[RandomTerm], weights: Float | None) -> WorkingDesign:
    """Working columns of X (n, p, full rank) and of all terms, gathered by grouping factor.

    Parameters
    ----------
    weights : (n,) array or None
        Prior weights, for which the basis is orthonormal; nothing relies on that under other ones.
    """
    Q, fixed_map = orthonormal_columns(X, weights)
    working = [term_coordinates(term.columns, weights, term.structure.keeps) for term in terms]
    members: dict[str, list[int]] = {}
    for t, term in enumerate(terms):
        members.setdefault(term.group, []).append(t)
    blocks = tuple(
        WorkingBlock(
            group=group,
            codes=terms[positions[0]].codes,
            n_levels=terms[positions[0]].n_levels,
            columns=working[positions[0]][0] if len(positions) == 1 else np.hstack([working[t][0] for t in positions]),
            terms=tuple(positions),
        )
        for group, positions in members.items()
    )
    return WorkingDesign(Q, blocks, Coordinates(fixed_map, tuple(L for _, L in working)))


def working_response(
    response: Float, design: WorkingDesign, weights: Float | None
) -> tuple[Float, ResponseCoordinates]:
    """The working response (n,) and its coordinates.

    Parameters
    ----------
    response : (n,) array
        y − offset, finite.
    weights : (n,) array or None
        Those that made the design.
    """
    y, many = working_responses(response[:, None], design, weights)
    return y[:, 0], ResponseCoordinates(many.start[:, 0], float(many.scale[0]), bool(many.exact[0]))


def working_responses(responses: Float, design: WorkingDesign, weights: Float | None) -> tuple[Float, ManyResponses]:
    """Working responses (n, m) and their coordinates, each column as `working_response` has it.

    Parameters
    ----------
    responses : (n, m) array
        y − offset, finite.
    weights : (n,) array or None
        Those that made the design.
    """
    Q = design.X
    n, m = responses.shape
    highest, lowest = responses.max(axis=0), responses.min(axis=0)
    magnitude = np.maximum(highest, -lowest)
    magnitude[magnitude == 0] = 1.0
    residual = responses / magnitude
    projection, step = np.zeros((Q.shape[1], m)), np.zeros((Q.shape[1], m))
    square, largest = np.zeros(m), np.zeros(m)
    for sweep in range(3):  # the second projection removes what rounding left in the first
        coefficients, step = step, np.zeros_like(step)
        for rows in row_chunks(n, m + Q.shape[1]):
            part = residual[rows]
            if sweep:
                part -= Q[rows] @ coefficients
            weighted = part if weights is None else part * weights[rows, None]
            if sweep < 2:
                step += Q[rows].T @ weighted
            else:
                products = part * weighted
                square += products.sum(axis=0)
                np.maximum(largest, products.max(axis=0), out=largest)
        step /= n
        projection += step
    length = np.sqrt(square / n)
    start = np.linalg.solve(design.coordinates.fixed_map, projection) * magnitude
    spread = highest / magnitude - lowest / magnitude
    typical = length if weights is None else length / np.sqrt(weights.mean())  # in the unit of the response
    exact = typical <= np.maximum(EXACT_FIT * spread, ROUNDING_UNITS * np.finfo(float).eps)
    length[length == 0] = 1.0
    residual /= length
    share = np.divide(largest, square, out=np.zeros(m), where=square > 0.0)
    return residual, ManyResponses(start, length * magnitude, exact, share)


def theta_maps(term_maps: Sequence[Float], terms: Sequence[RandomTerm]) -> Float:
    """Block diagonal matrix T with θ_working = T θ: the parameters of L_t λ as a function of those of λ."""
    slices = places([term.structure.n_theta for term in terms])
    T = np.zeros((slices[-1].stop,) * 2)
    for part, L, term in zip(slices, term_maps, terms, strict=True):
        T[part, part] = term.structure.unit_map(L)
    return T
