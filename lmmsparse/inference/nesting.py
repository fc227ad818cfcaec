"""Whether one model is a special case of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.coordinates import WorkingBlock, WorkingDesign
from lmmsparse.inference.fitted import Fitted
from lmmsparse.orthonormal import gram
from lmmsparse.terms import RandomTerm

Float = NDArray[np.float64]

# Share of the square of a unit vector that rounding may leave outside of a space.
OUTSIDE = 1e-8


def is_nested(small: Fitted, large: Fitted) -> bool:
    """Whether every mean and covariance matrix of the small model is one of the large model's too."""
    return (
        _same_offset(small, large)
        and fixed_is_nested(small.objective.design, large.objective.design)
        and random_is_nested(small, large)
    )


def _same_offset(small: Fitted, large: Fitted) -> bool:
    offsets = [np.zeros(1) if m.frame.offset is None else m.frame.offset for m in (small, large)]
    return bool((offsets[0] == offsets[1]).all())


def fixed_is_nested(small: WorkingDesign, large: WorkingDesign) -> bool:
    """Whether the columns of one X span those of another; both are orthonormal, XᵀWX = n I."""
    n = len(small.X)
    weighted = small.X if small.weights is None else small.X * small.weights[:, None]
    inside = ((large.X.T @ weighted / n) ** 2).sum(axis=0)
    return bool((inside > 1.0 - OUTSIDE).all())


def random_is_nested(small: Fitted, large: Fitted) -> bool:
    """Whether the covariance matrices ZΣZᵀ of one model are among those of another, factor by factor."""
    blocks = large.objective.design.blocks
    for block in small.objective.design.blocks:
        same = next((other for other in blocks if _same_partition(block, other)), None)
        if same is None or not _block_is_nested(block, same, small.terms, large.terms, small.frame.weights):
            return False
    return True


def _same_partition(one: WorkingBlock, other: WorkingBlock) -> bool:
    if one.n_levels != other.n_levels:
        return False
    pairs = one.codes.astype(np.int64) * other.n_levels + other.codes
    return len(np.unique(pairs)) == one.n_levels


def _block_is_nested(
    small: WorkingBlock,
    large: WorkingBlock,
    small_terms: tuple[RandomTerm, ...],
    large_terms: tuple[RandomTerm, ...],
    weights: Float | None,
) -> bool:
    """In an orthonormal basis of all columns the covariances of a term are spanned by v_a v_bᵀ + v_b v_aᵀ."""
    columns = np.hstack([small.columns, large.columns])
    values, vectors = np.linalg.eigh(gram(columns, weights))
    used = values > 1e-10 * values[-1]
    coefficients = vectors[:, used] * np.sqrt(values[used])
    inner = _kernels(coefficients[: small.columns.shape[1]], small, small_terms)
    outer = _kernels(coefficients[small.columns.shape[1] :], large, large_terms)
    left, sizes, _ = np.linalg.svd(outer.T, full_matrices=False)
    basis = left[:, sizes > 1e-8 * sizes[0]]
    inside = ((inner @ basis) ** 2).sum(axis=1)
    return bool((inside > (1.0 - OUTSIDE) * (inner**2).sum(axis=1)).all())


def _kernels(coefficients: Float, block: WorkingBlock, terms: tuple[RandomTerm, ...]) -> Float:
    out, start = [], 0
    for t in block.terms:
        for a, b in zip(*terms[t].structure.entries, strict=True):
            product = np.outer(coefficients[start + a], coefficients[start + b])
            out.append((product + product.T).ravel())
        start += terms[t].structure.size
    return np.array(out)
