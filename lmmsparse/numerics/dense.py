"""Small dense algebra through one BLAS, SciPy's, and how long arrays are cut.

NumPy and SciPy each bring an OpenBLAS with its own threads; alternating between them in a hot loop makes their spinning
threads fight for the cores.  ``dtrsm`` stands for LAPACK's ``dtrtrs``, which wakes all threads whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, dtrsm

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Numbers, and rows at least, that a pass over all rows copies at a time where it needs copies: they stay in the cache.
CHUNK = 1 << 16
CHUNK_ROWS = 256


def row_chunks(n: int, width: int) -> Iterator[slice]:
    """Slices that cut n rows of some width into parts that stay in the cache."""
    size = max(CHUNK_ROWS, CHUNK // max(1, width))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def ranges(starts: Index, sizes: Index) -> Index:
    """All numbers of several ranges, one after the other: ``sizes[i]`` of them from ``starts[i]`` on."""
    ends = np.cumsum(sizes)
    shift = np.repeat(starts - (ends - sizes), sizes)
    return np.arange(len(shift)) + shift


def solve_lower(L: Float, right: Float) -> Float:
    """L⁻¹ right for a lower triangular L (n, n) and right (n,) or (n, m)."""
    return _solve(L, right, 0)


def solve_lower_transposed(L: Float, right: Float) -> Float:
    """L⁻ᵀ right for a lower triangular L (n, n) and right (n,) or (n, m)."""
    return _solve(L, right, 1)


def _solve(L: Float, right: Float, transposed: int) -> Float:
    if right.size == 0:
        return np.zeros(right.shape)
    columns = right[:, None] if right.ndim == 1 else right
    return np.asarray(dtrsm(1.0, L, columns, lower=1, trans_a=transposed)).reshape(right.shape)


def cholesky_inverse(L: Float) -> Float:
    """(L Lᵀ)⁻¹ for a small lower triangular L."""
    half = solve_lower(L, np.eye(len(L)))
    return half.T @ half


def inner(a: Float, b: Float) -> Float:
    """Σ over all axes but the last: aᵀb of two arrays (…, i) and (…, j), as (i, j)."""
    left, right = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    if left.size == 0 or right.size == 0:
        return np.zeros((left.shape[1], right.shape[1]))
    return np.asarray(dgemm(1.0, left.T, right.T, trans_b=True))
