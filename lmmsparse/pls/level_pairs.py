"""Products with blocks of M⁻¹ for pairs of levels that no row of the fit has together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import Pattern
from lmmsparse.frame import Codes
from lmmsparse.numerics.dense import ranges
from lmmsparse.pls.factor import Factor, SelectedInverse
from lmmsparse.pls.plan import Plan

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Numbers that are in hand at a time: of the vectors that are solved for, or of the core's inverse.
CHUNK_NUMBERS = 1_000_000

# A factor, the level of each row and its row z̃ of ZΛ.
Side = tuple[int, Codes, Float]


def have_blocks(plan: Plan, factors: tuple[int, int], first: Codes, second: Codes) -> NDArray[np.bool_]:
    """Whether the selected inverse holds the blocks for pairs of levels of two factors."""
    core = plan.core
    if core.kind == "dense" and all(g in core.blocks for g in factors):
        return np.ones(len(first), dtype=bool)
    return _occur_together(plan.pattern, factors, first, second)


def _occur_together(pattern: Pattern, factors: tuple[int, int], first: Codes, second: Codes) -> NDArray[np.bool_]:
    g, h = factors
    if g > h:
        return _occur_together(pattern, (h, g), second, first)
    width = pattern.shapes[h][0]
    keys = pattern.pairs[g, h].keys(width)
    wanted = first.astype(np.int64) * width + second
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.asarray(keys[place] == wanted)


def unseen_products(factor: Factor, inverse: SelectedInverse, left: Side, right: Side) -> Float:
    """z̃_gᵀ (M⁻¹)_ℓm z̃_h for levels that need not occur together, (m,).

    Parameters
    ----------
    factor : Factor
    inverse : SelectedInverse
        Of the same M.
    left, right : tuples of factor, (m,) codes and (m, K) rows z̃
    """
    for leaf, other in ((left, right), (right, left)):
        if _leaves_of_dense_core(factor.plan, leaf[0], other[0]):
            return _gathered_products(factor, inverse, leaf, other)
    return _solved_products(factor, left, right)


def _leaves_of_dense_core(plan: Plan, g: int, h: int) -> bool:
    """Whether levels of g are coupled to nothing but a dense core, to which h belongs."""
    alone = any(part.block == g and not part.parents for part in plan.peeled)
    return alone and plan.core.kind == "dense" and h in plan.core.blocks


def _gathered_products(factor: Factor, inverse: SelectedInverse, leaf: Side, other: Side) -> Float:
    """By (M⁻¹)_mℓ = −C_m w_ℓ l_ℓ⁻¹ with the inverse C of the core and the couplings w_ℓ of a leaf to it."""
    (g, codes, z), (h, others, z_other) = leaf, other
    plan = factor.plan
    i = next(i for i, part in enumerate(plan.peeled) if part.block == g)
    part, numbers = plan.peeled[i], factor.leaves[i]
    half = np.einsum("iab,ib->ia", numbers.l_inverse[codes], z)
    starts, sizes = part.indptr[codes], np.diff(part.indptr)[codes]
    core_rows, columns = part.rows.astype(np.intp), plan.core.first_row[h][others]
    assert inverse.core is not None
    out = np.empty(len(codes))
    for rows in _chunks(sizes):
        entries = ranges(starts[rows], sizes[rows])
        row = np.repeat(np.arange(rows.start, rows.stop), sizes[rows])
        w = np.einsum("ea,ea->e", numbers.couplings.w[entries], half[row])
        C = np.zeros(len(entries))
        for b in range(z_other.shape[1]):
            C += inverse.core.at(core_rows[entries], columns[row] + b) * z_other[row, b]
        out[rows] = -np.bincount(row - rows.start, w * C, minlength=rows.stop - rows.start)
    return out


def _chunks(sizes: Index) -> Iterator[slice]:
    """Slices of rows that have a bounded number of entries together, one row at least."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + CHUNK_NUMBERS, side="right")))
        yield slice(first, last)
        first = last


def _solved_products(factor: Factor, left: Side, right: Side) -> Float:
    """By whole columns of M⁻¹, some at a time."""
    if len(np.unique(left[1])) > len(np.unique(right[1])):
        left, right = right, left
    (g, codes, z), (h, others, z_other) = left, right
    shapes = factor.plan.shapes
    K, K_other = shapes[g][1], shapes[h][1]
    levels, place = np.unique(codes, return_inverse=True)
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(len(levels) + 1))
    out = np.empty(len(codes))
    width = max(1, CHUNK_NUMBERS // (K * factor.plan.q))
    for first in range(0, len(levels), width):
        chosen = levels[first : first + width]
        units = [np.zeros((q_l, K_l, len(chosen) * K)) for q_l, K_l in shapes]
        for a in range(K):
            units[g][chosen, a, np.arange(len(chosen)) * K + a] = 1.0
        columns = factor.backward(factor.forward(units))[h].reshape(-1, K_other, len(chosen), K)
        rows = order[edges[first] : edges[first + len(chosen)]]
        blocks = columns[others[rows], :, place[rows] - first]
        out[rows] = np.einsum("ib,iba,ia->i", z_other[rows], blocks, z[rows], optimize=True)
    return out
