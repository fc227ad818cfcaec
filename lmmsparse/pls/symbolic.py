"""Shape of the core: dense or sparse, its pattern with the fill of the peeled leaves, and its cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

Index = NDArray[np.int32]

# Below this many rows LAPACK on a dense core beats a sparse one whatever the pattern.
SMALL_CORE = 500
# Fill of the factor's lower triangle above which the dense core is faster (measured with benchmarks/core_choice.py).
DENSE_FILL = 0.22
# Copies of a dense core alive at once: the factor and its inverse.
DENSE_COPIES = 2


@dataclass(frozen=True)
class CoreShape:
    """How the core is held.

    Attributes
    ----------
    kind : {"none", "dense", "sparse"}
    pattern : csc_array or None
        Lower triangle with the fill of the leaves, sorted indices; for sparse cores only.
    factor_entries : float
        Entries of the Cholesky factor.
    flops, bytes : float
        Predicted for one factorization.
    """

    kind: str
    pattern: csc_array | None
    factor_entries: float
    flops: float
    bytes: float


def dense_shape(size: int) -> CoreShape:
    """A dense core of the given number of rows."""
    triangle = size * (size + 1) / 2
    return CoreShape("dense" if size else "none", None, triangle, size**3 / 3, 8.0 * size**2 * DENSE_COPIES)


def pattern_bytes(size: int, n_own: int, leaves: list[tuple[Index, Index]]) -> float:
    """Upper bound of what `core_pattern` takes: 12 bytes an entry, twice while it is formed."""
    cliques = sum(float((np.diff(indptr).astype(float) ** 2).sum()) for indptr, _ in leaves)
    return 24.0 * min(n_own + cliques, float(size) ** 2)


def surely_dense(size: int, leaves: list[tuple[Index, Index]]) -> bool:
    """True when one leaf alone fills so much of the core that no order of elimination helps."""
    return any(len(indptr) > 1 and float(np.diff(indptr).max()) ** 2 > DENSE_FILL * size**2 for indptr, _ in leaves)


def core_pattern(
    size: int, rows: NDArray[np.int64], columns: NDArray[np.int64], leaves: list[tuple[Index, Index]]
) -> csc_array:
    """Lower triangle of the core with the cliques that elimination of the leaves makes.

    Values are counts, so nothing can cancel.
    """
    swap = rows < columns
    low, high = np.where(swap, columns, rows), np.where(swap, rows, columns)
    pattern = csc_array((np.ones(len(rows)), (low, high)), shape=(size, size))
    for indptr, entry_rows in leaves:
        ones = np.ones(len(entry_rows))
        couplings = csc_array((ones, entry_rows, indptr), shape=(size, len(indptr) - 1))
        pattern = pattern + csc_array(lower_triangle(couplings @ couplings.T))
    pattern.sort_indices()
    return csc_array(
        (pattern.data, pattern.indices.astype(np.int32), pattern.indptr.astype(np.int32)), shape=(size, size)
    )


def lower_triangle(matrix: csc_array) -> csc_array:
    """Lower triangle of a sparse matrix, in columns with sorted indices."""
    matrix = csc_array(matrix)
    column = np.repeat(np.arange(matrix.shape[1], dtype=matrix.indices.dtype), np.diff(matrix.indptr))
    keep = matrix.indices >= column
    counts = np.bincount(column[keep], minlength=matrix.shape[1])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    lower = csc_array((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape)
    lower.sort_indices()
    return lower
