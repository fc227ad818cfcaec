"""Whether one model is a special case of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lmmsparse.covariance.protocols import Keeps
from lmmsparse.design.coordinates import WorkingBlock, WorkingDesign
from lmmsparse.design.identifiability import term_kernels
from lmmsparse.fitted.model import FittedModel
from lmmsparse.numerics.orthonormal import gram

Float = NDArray[np.float64]

# Share of the square of a unit vector that rounding may leave outside of a space.
OUTSIDE = 1e-8
# Rows of columns that agree to so many decimals in working coordinates are of one kind;
KIND_DECIMALS = 9
# with more kinds than these the columns are numeric variables, which tell no parts apart.
MOST_KINDS = 1000


def is_nested(small: FittedModel, large: FittedModel) -> bool:
    """Whether every mean and covariance matrix of the small model is one of the large model's too."""
    return (
        _same_offset(small, large)
        and fixed_is_nested(small.objective.design, large.objective.design, small.objective.weights)
        and random_is_nested(small, large)
    )


def _same_offset(small: FittedModel, large: FittedModel) -> bool:
    """Whether the offsets differ by nothing but a combination of the columns of the large model."""
    offsets = [np.zeros(1) if m.frame.offset is None else m.frame.offset for m in (small, large)]
    difference = np.broadcast_to(offsets[0] - offsets[1], len(small.frame.y))
    if not difference.any():
        return True
    design, weights = large.objective.design, large.objective.weights
    weighted = difference if weights is None else difference * weights
    left = difference - design.X @ (design.X.T @ weighted / len(design.X))
    return float(left @ left) <= OUTSIDE * float(difference @ difference)


def fixed_is_nested(small: WorkingDesign, large: WorkingDesign, weights: Float | None) -> bool:
    """Whether the columns of one X span those of another; both are orthonormal, XᵀWX = n I."""
    n = len(small.X)
    weighted = small.X if weights is None else small.X * weights[:, None]
    inside = ((large.X.T @ weighted / n) ** 2).sum(axis=0)
    return bool((inside > 1.0 - OUTSIDE).all())


def random_is_nested(small: FittedModel, large: FittedModel) -> bool:
    """Whether the covariance matrices ZΣZᵀ of one model are among those of another, factor by factor."""
    return all(
        any(
            (parts := _parts(block, other)) is not None and _block_is_nested(block, other, parts, small, large)
            for other in large.objective.design.blocks
        )
        for block in small.objective.design.blocks
    )


def has_factors_of(large: FittedModel, small: FittedModel) -> bool:
    """Whether every grouping factor of the small model is one of the large model's."""
    blocks = large.objective.design.blocks
    return all(any(_same_partition(one, other) for other in blocks) for one in small.objective.design.blocks)


def _same_partition(one: WorkingBlock, other: WorkingBlock) -> bool:
    return one.n_levels == other.n_levels and _pairs(one, other.codes) == one.n_levels


def _pairs(block: WorkingBlock, codes: NDArray[Any]) -> int:
    """Number of combinations of the block's levels with other codes."""
    return len(np.unique(block.codes.astype(np.int64) * (int(codes.max()) + 1) + codes))


def _parts(small: WorkingBlock, large: WorkingBlock) -> NDArray[np.intp] | None:
    """The part h of every row such that the levels of the small block are those of the large one times h.

    The levels may be the same, and h is 0.  Or those of the large block are coarser, and its columns tell the parts
    apart, as those of ``(0 + f | g)`` do for ``(1 | g:f)``.  None where it is neither.
    """
    if _same_partition(small, large):
        return np.zeros(len(small.codes), dtype=np.intp)
    if small.n_levels < large.n_levels or _pairs(small, large.codes) != small.n_levels:
        return None
    # one number stands for a row of columns: sorting rows takes long
    mixed = large.columns @ np.cos(1.0 + np.arange(large.columns.shape[1]))
    kinds = np.unique(np.round(mixed, KIND_DECIMALS), return_inverse=True)[1]
    n_kinds = int(kinds.max()) + 1
    if n_kinds > MOST_KINDS:
        return None
    # kinds of rows that share a level of the small block are one part
    graph = coo_array(
        (np.ones(len(kinds)), (kinds, n_kinds + small.codes.astype(np.int64))), shape=(n_kinds + small.n_levels,) * 2
    )
    parts = connected_components(graph, directed=False)[1][kinds]
    joint = large.codes.astype(np.int64) * (int(parts.max()) + 1) + parts
    joint = np.unique(joint, return_inverse=True)[1].ravel()
    same = int(joint.max()) + 1 == small.n_levels and _pairs(small, joint) == small.n_levels
    return np.unique(parts, return_inverse=True)[1].ravel() if same else None


def _block_is_nested(
    small: WorkingBlock,
    large: WorkingBlock,
    parts: NDArray[np.intp],
    small_model: FittedModel,
    large_model: FittedModel,
) -> bool:
    """In an orthonormal basis of all columns the covariances of a term are spanned by v_a v_bᵀ + v_b v_aᵀ.

    Those of one correlation and several standard deviations are no linear space: they have no sums in them.
    """
    if not all(large_model.terms[t].structure.linear for t in large.terms):
        structures = [small_model.terms[t].structure for t in small.terms]
        if len(structures) > 1 or (structures[0].keeps is Keeps.TRIANGULAR and structures[0].size > 1):
            return False
    own = [np.where(parts[:, None] == h, small.columns, 0.0) for h in range(int(parts.max()) + 1)]
    columns = np.hstack([*own, large.columns])
    values, vectors = np.linalg.eigh(gram(columns, small_model.frame.weights))
    used = values > 1e-10 * values[-1]
    coefficients = vectors[:, used] * np.sqrt(values[used])
    *first, last = np.split(coefficients, np.cumsum([one.shape[1] for one in own]))
    inner = _scaled(np.sum([_kernels(one, small, small_model) for one in first], axis=0))
    outer = _scaled(_kernels(last, large, large_model))
    left, sizes, _ = np.linalg.svd(outer.T, full_matrices=False)
    basis = left[:, sizes > 1e-8 * sizes[0]]
    inside = ((inner @ basis) ** 2).sum(axis=1)
    return bool((inside > (1.0 - OUTSIDE) * (inner**2).sum(axis=1)).all())


def _kernels(coefficients: Float, block: WorkingBlock, model: FittedModel) -> Float:
    """Directions in which the covariances of a block move where all standard deviations are one, in the user's units.

    The units matter to families that are no linear space: one correlation and equal standard deviations are among one
    correlation and several there.
    """
    out: list[Float] = []
    start = 0
    for t in block.terms:
        structure, L = model.terms[t].structure, model.objective.design.coordinates.term_maps[t]
        out += term_kernels(structure, L.T @ coefficients[start : start + structure.size])
        start += structure.size
    return np.array(out)


def _scaled(rows: Float) -> Float:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny))
