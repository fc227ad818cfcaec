"""Quantities of single observations and levels that need blocks of the inverse of M(θ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.frame import Codes
from lmmsparse.numerics.dense import cholesky_inverse, row_chunks, solve_lower
from lmmsparse.pls.factor import Factor, SelectedInverse
from lmmsparse.pls.level_pairs import have_blocks, unseen_products
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.solution import Solution

Float = NDArray[np.float64]
Index = NDArray[np.intp]
Places = slice | Index


@dataclass(frozen=True)
class FactorRows:
    """What rows have to do with one grouping factor.

    Attributes
    ----------
    factor : int
        Position of the factor in the cross-products.
    codes : (m,) array
        Level of each row; negative where no effect of the factor enters.
    columns : (m, K) array
        Working columns; zero for effects that do not enter.
    """

    factor: int
    codes: Codes
    columns: Float


@dataclass(frozen=True)
class WorkingRows:
    """Rows of X and Z in working coordinates.

    Attributes
    ----------
    X : (m, p) array
    factors : tuple of FactorRows
        Factors that are left out have no effects in these rows.
    fitted : bool
        They are rows of the fit: every pair of levels is one that the fit has seen.
    """

    X: Float
    factors: tuple[FactorRows, ...]
    fitted: bool


def leverages(plan: Plan, design: WorkingDesign, weights: Float | None, solution: Solution) -> Float:
    """Diagonal of the matrix that maps y to the fitted values, (n,): w times `RowVariances`."""
    factors = tuple(FactorRows(g, block.codes, block.columns) for g, block in enumerate(design.blocks))
    total = RowVariances(plan, WorkingRows(design.X, factors, fitted=True))(solution)
    return total if weights is None else total * weights


class RowVariances:
    """Variance of x(β̂ − β) + z(b̂ − b) over σ² for rows x, z of X and Z, as a function of θ.

    With z̃ = Λᵀz and x̃ = x − U_Xᵀz̃ (Henderson 1975):

        v = z̃ᵀ M⁻¹ z̃ + x̃ᵀ (XᵀV⁻¹X)⁻¹ x̃

    Blocks of M⁻¹ for levels that occur together come from the selected inverse; the others are solved for.  Z is never
    formed.  Where the blocks are does not depend on θ and is found once.

    Parameters
    ----------
    plan : Plan
    rows : WorkingRows
    """

    def __init__(self, plan: Plan, rows: WorkingRows) -> None:
        self._rows = rows
        # rows with a level of each factor, and those of pairs of levels; None stands for all
        self._known: dict[int, Index | None] = {}
        self._seen: list[tuple[int, int, Index | None, CoupledBlocks]] = []
        self._unseen: list[tuple[int, int, Index]] = []
        for one in rows.factors:
            has_level = one.codes >= 0
            self._known[one.factor] = None if has_level.all() else np.flatnonzero(has_level)
        for i, j in combinations(range(len(rows.factors)), 2):
            one, other = rows.factors[i], rows.factors[j]
            seen: Index | None = None
            if not rows.fitted:
                both = np.flatnonzero((one.codes >= 0) & (other.codes >= 0))
                at_hand = have_blocks(plan, (one.factor, other.factor), one.codes[both], other.codes[both])
                seen, unseen = both[at_hand], both[~at_hand]
                if unseen.size:
                    self._unseen.append((i, j, unseen))
                if seen.size == 0:
                    continue
                seen = None if seen.size == len(rows.X) else seen
            every: Places = slice(None) if seen is None else seen
            codes = (one.codes[every], other.codes[every])
            blocks = CoupledBlocks(plan, (one.factor, other.factor), codes)
            self._seen.append((i, j, seen, blocks))

    def __call__(self, solution: Solution) -> Float:
        """v of every row, (m,)."""
        scaled, total = self._scaled(solution.templates), np.zeros(len(self._rows.X))
        if scaled:
            self._add_effects(total, scaled, solution.factor, solution.inverse(couplings=bool(self._seen)))
        if self._rows.X.shape[1]:
            self._add_fixed(total, scaled, solution.fixed_modes(), solution.fixed_factor)
        return np.asarray(np.maximum(total, 0.0))  # a variance that is zero may round to less

    def effects(self, templates: Sequence[Float], factor: Factor, inverse: SelectedInverse) -> Float:
        """z̃ᵀM⁻¹z̃ of every row, (m,), from a factor of M with its inverse on the couplings."""
        total = np.zeros(len(self._rows.X))
        self._add_effects(total, self._scaled(templates), factor, inverse)
        return total

    def _scaled(self, templates: Sequence[Float]) -> list[Float]:
        """Rows of ZΛ, K_g numbers each."""
        return [one.columns @ templates[one.factor] for one in self._rows.factors]

    def _add_effects(self, total: Float, scaled: list[Float], factor: Factor, inverse: SelectedInverse) -> None:
        """Add z̃ᵀM⁻¹z̃, in place."""
        factors = self._rows.factors
        for one, z in zip(factors, scaled, strict=True):
            _add_own(total, z, inverse.diagonal[one.factor], one.codes, self._known[one.factor])
        for i, j, seen, blocks in self._seen:
            _add_pairs(total, scaled[i], scaled[j], seen, blocks, inverse)
        for i, j, unseen in self._unseen:
            left, right = ((factors[k].factor, factors[k].codes[unseen], scaled[k][unseen]) for k in (i, j))
            total[unseen] += 2.0 * unseen_products(factor, inverse, left, right)

    def _add_fixed(self, total: Float, scaled: list[Float], U: list[Float], fixed_factor: Float) -> None:
        """Add x̃ᵀ (XᵀV⁻¹X)⁻¹ x̃, in place."""
        X, factors = self._rows.X, self._rows.factors
        for rows in row_chunks(len(X), X.shape[1] * (1 + sum(z.shape[1] for z in scaled))):
            residual = X[rows].copy()
            for one, z in zip(factors, scaled, strict=True):
                codes = one.codes[rows]
                part = np.einsum("ia,iap->ip", z[rows], U[one.factor][np.maximum(codes, 0)], optimize=True)
                residual -= part if self._known[one.factor] is None else np.where(codes[:, None] >= 0, part, 0.0)
            half = solve_lower(fixed_factor, residual.T)
            total[rows] += (half**2).sum(axis=0)


def _add_own(total: Float, z: Float, diagonal: Float, codes: Codes, known: Index | None) -> None:
    """Add z̃_gᵀ (M⁻¹)_ℓℓ z̃_g to some rows or all, in place."""
    for rows in row_chunks(len(total) if known is None else len(known), z.shape[1] ** 2):
        here: Places = rows if known is None else known[rows]
        total[here] += np.einsum("ia,iab,ib->i", z[here], diagonal[codes[here]], z[here], optimize=True)


def _add_pairs(
    total: Float, left: Float, right: Float, seen: Index | None, blocks: CoupledBlocks, inverse: SelectedInverse
) -> None:
    """Add 2 z̃_gᵀ (M⁻¹)_ℓm z̃_h to some rows or all, in place."""
    for rows in row_chunks(len(total) if seen is None else len(seen), left.shape[1] * right.shape[1]):
        here: Places = rows if seen is None else seen[rows]
        total[here] += 2.0 * np.einsum("ia,iab,ib->i", left[here], blocks(inverse, rows), right[here], optimize=True)


class CoupledBlocks:
    """Blocks of M⁻¹ between levels of two grouping factors that occur together.

    Parameters
    ----------
    plan : Plan
    factors : (g, h)
    codes : pair of (m,) arrays
        Levels of g and of h.
    """

    def __init__(self, plan: Plan, factors: tuple[int, int], codes: tuple[Codes, Codes]) -> None:
        positions = {part.block: i for i, part in enumerate(plan.peeled)}
        g, h = factors
        # the factor eliminated first holds the coupling
        self._swapped = h in positions and (g not in positions or positions[h] < positions[g])
        if self._swapped:
            g, h, codes = h, g, (codes[1], codes[0])
        self._peeled, self._parent = positions.get(g), positions.get(h)
        self._sizes = plan.shapes[g][1], plan.shapes[h][1]
        self._first: NDArray[Any] = codes[0]
        if self._parent is None:
            self._second = plan.core.first_row[h][codes[1]]
            if self._peeled is None:
                self._first = plan.core.first_row[g][codes[0]]
            else:
                part = plan.peeled[self._peeled]
                keys = np.repeat(np.arange(part.n_levels), np.diff(part.indptr)) * plan.core.size + part.rows
                self._first = np.searchsorted(keys, codes[0].astype(np.int64) * plan.core.size + self._second)

    def __call__(self, inverse: SelectedInverse, rows: slice = slice(None)) -> Float:
        """The blocks of some rows, (rows, K_g, K_h)."""
        blocks = self._blocks(inverse, rows)
        return blocks.transpose(0, 2, 1) if self._swapped else blocks

    def _blocks(self, inverse: SelectedInverse, rows: slice) -> Float:
        first, (K_g, K_h) = self._first[rows], self._sizes
        if self._peeled is not None and self._parent is not None:
            return inverse.parents[self._peeled][self._parent][first].transpose(0, 2, 1)
        if self._peeled is not None:
            entries = inverse.entries[self._peeled]
            assert entries is not None
            return entries[first[:, None] + np.arange(K_h)].transpose(0, 2, 1)
        assert inverse.core is not None
        shape = (len(first), K_g, K_h)
        one = np.broadcast_to((first[:, None] + np.arange(K_g))[:, :, None], shape)
        other = np.broadcast_to((self._second[rows][:, None] + np.arange(K_h))[:, None, :], shape)
        return inverse.core.at(one.ravel(), other.ravel()).reshape(shape)


def inverse_pairs(
    plan: Plan,
    inverse: SelectedInverse,
    factors: tuple[int, int],
    codes: tuple[Codes, Codes],
) -> Float:
    """Blocks of M⁻¹ between levels of two grouping factors that occur together, (n, K_g, K_h)."""
    return CoupledBlocks(plan, factors, codes)(inverse)


def conditional_covariances(solution: Solution) -> tuple[Float, ...]:
    """Diagonal blocks of M⁻¹ of every factor, (q, K, K): the conditional covariance of u over σ², given β and θ."""
    return solution.inverse().diagonal


def prediction_covariances(solution: Solution) -> tuple[Float, ...]:
    """Diagonal blocks of M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ of every factor, (q, K, K): the covariance of û − u over σ²."""
    inverse, U = solution.inverse(), solution.fixed_modes()
    if not U:
        return inverse.diagonal
    fixed = cholesky_inverse(solution.fixed_factor)
    pairs = zip(inverse.diagonal, U, strict=True)
    return tuple(C + (u @ fixed) @ u.transpose(0, 2, 1) for C, u in pairs)
