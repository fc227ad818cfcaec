"""What is left after the peel, factored by LAPACK when dense and by CHOLMOD when sparse.

Both kinds answer the same questions: ``factorize(values, updates) → factor`` with ``logdet``, ``forward``,
``backward`` and ``inverse``.  SciPy's BLAS does all dense work here: switching between NumPy's and SciPy's thread
pools in a hot loop makes them fight for the cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import spsolve_triangular

from lmmsparse.errors import FactorizationError, MemoryLimitError, MissingDependencyError
from lmmsparse.linalg import solve_lower, solve_lower_transposed
from lmmsparse.pls.cholmod import SparseCholesky
from lmmsparse.pls.ordering import Supernodes, amalgamate, permuted_lower, supernodes
from lmmsparse.pls.selected import PanelLayout, fill_panels, panel_layout, selected_inverse
from lmmsparse.pls.symbolic import (
    DENSE_FILL,
    SMALL_CORE,
    CoreShape,
    core_pattern,
    dense_shape,
    pattern_bytes,
    surely_dense,
)

Float = NDArray[np.float64]
Index = NDArray[np.int64]

# A dense product C W is formed for so many numbers at a time.
CHUNK_NUMBERS = 4_000_000
# Peak bytes for every entry of a sparse factor: CHOLMOD's and ours, the panels, the selected inverse and its two parts.
SPARSE_ENTRY_BYTES = 120.0
# Without scikit-sparse, sparse cores up to this many rows are factored densely.
DENSE_WITHOUT_CHOLMOD = 8_000


@dataclass(frozen=True)
class DenseInverse:
    """Inverse of a dense core."""

    matrix: Float

    def times(self, w: csc_array) -> Float:
        """(C w) at the stored entries of w, in their order."""
        column = np.repeat(np.arange(w.shape[1]), np.diff(w.indptr))
        out = np.empty(w.nnz)
        rows = w.T.tocsr()
        step = max(1, CHUNK_NUMBERS // max(1, w.shape[0]))
        for start in range(0, w.shape[1], step):
            entries = slice(w.indptr[start], w.indptr[min(start + step, w.shape[1])])
            block = rows[start : start + step] @ self.matrix
            out[entries] = block[column[entries] - start, w.indices[entries]]
        return out

    def at(self, rows: Index, columns: Index) -> Float:
        """Entries of the inverse."""
        return np.asarray(self.matrix[rows, columns])


@dataclass(frozen=True)
class DenseFactor:
    """L of a dense core, lower triangle of a Fortran-ordered array."""

    L: Float

    @property
    def logdet(self) -> float:
        """log|L Lᵀ|."""
        return 2.0 * float(np.log(np.diag(self.L)).sum())

    @property
    def pivots(self) -> Float:
        """Diagonal of L, by row of the core."""
        return np.diag(self.L)

    def forward(self, right: Float) -> Float:
        """L⁻¹ right, (size, m)."""
        return solve_lower(self.L, right)

    def backward(self, right: Float) -> Float:
        """L⁻ᵀ right, (size, m)."""
        return solve_lower_transposed(self.L, right)

    def inverse(self) -> DenseInverse:
        """(L Lᵀ)⁻¹."""
        lower, info = dpotri(self.L, lower=1)
        if info:
            raise FactorizationError("the dense core of M(theta) is singular to working precision")
        lower = np.tril(lower)
        lower += np.tril(lower, -1).T
        return DenseInverse(lower)


@dataclass(frozen=True)
class DenseCore:
    """A core held as a dense matrix: where its own entries go."""

    size: int
    rows: Index
    columns: Index
    shape: CoreShape

    def factorize(self, own: Float, updates: list[csc_array]) -> DenseFactor:
        """Factor of (own entries) − Σ w wᵀ.

        Parameters
        ----------
        own : (m,) array
            Entries at ``rows``, ``columns`` (either triangle).
        updates : list of csc_array
            Scaled couplings w of every peeled factor.
        """
        matrix = np.zeros((self.size, self.size), order="F")
        matrix[np.maximum(self.rows, self.columns), np.minimum(self.rows, self.columns)] = own
        for w in updates:
            product = (w @ w.T).tocoo()
            matrix[product.row, product.col] -= product.data
        L, info = dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
        if info:
            raise FactorizationError("the dense core of M(theta) is not positive definite; is theta finite?")
        return DenseFactor(L)


@dataclass(frozen=True)
class SparseInverse:
    """Selected inverse C of a sparse core, on the pattern of L + Lᵀ.

    Attributes
    ----------
    panels : csc_array
        Panels of C in elimination order: all of the J × J blocks, and the rows below them.
    below : csc_array
        The rows below alone, so that C = panels + belowᵀ.
    place : array
        Position of every row in the elimination order.
    """

    panels: csc_array
    below: csc_array
    place: Index

    def times(self, w: csc_array) -> Float:
        """(C w) at the stored entries of w, in their order."""
        column = np.repeat(np.arange(w.shape[1]), np.diff(w.indptr))
        indices = self.place[w.indices]
        rows = csr_array((w.data, indices, w.indptr), shape=w.shape[::-1])
        out = np.empty(w.nnz)
        per_row = max(1.0, 2.0 * self.panels.nnz / self.panels.shape[0])
        step = max(1, int(CHUNK_NUMBERS / (per_row * max(1.0, w.nnz / w.shape[1]))))
        lower, upper = csr_array(self.panels), csr_array(self.below.T)
        for start in range(0, w.shape[1], step):
            entries = slice(w.indptr[start], w.indptr[min(start + step, w.shape[1])])
            part = rows[start : start + step]
            at = (column[entries] - start, indices[entries])
            out[entries] = (part @ lower)[at] + (part @ upper)[at]
        return out

    def at(self, rows: Index, columns: Index) -> Float:
        """Entries of the inverse, which must lie on the pattern."""
        i, j = self.place[rows], self.place[columns]
        return np.asarray(self.panels[np.maximum(i, j), np.minimum(i, j)]).ravel()


@dataclass(frozen=True)
class SparseFactor:
    """L of a sparse core in elimination order, with what its selected inverse needs."""

    L: csc_array
    permutation: Index
    nodes: Supernodes
    layout: PanelLayout

    @cached_property
    def _lower(self) -> csr_array:
        return csr_array(self.L)

    @property
    def logdet(self) -> float:
        """log|L Lᵀ|."""
        return 2.0 * float(np.log(self.L.data[self.L.indptr[:-1]]).sum())

    @property
    def pivots(self) -> Float:
        """Diagonal of L, by row of the core."""
        out = np.empty(self.L.shape[0])
        out[self.permutation] = self.L.data[self.L.indptr[:-1]]
        return out

    def forward(self, right: Float) -> Float:
        """L⁻¹ P right, (size, m)."""
        return np.asarray(spsolve_triangular(self._lower, right[self.permutation], lower=True))

    def backward(self, right: Float) -> Float:
        """Pᵀ L⁻ᵀ right, (size, m)."""
        out = np.empty_like(right)
        out[self.permutation] = spsolve_triangular(self.L.T.tocsr(), right, lower=False)
        return out

    def inverse(self) -> SparseInverse:
        """Selected inverse in the original order."""
        layout, n = self.layout, self.L.shape[0]
        values = selected_inverse(fill_panels(self.L, self.nodes, layout), self.nodes, layout)
        place = np.empty(n, dtype=np.int64)
        place[self.permutation] = np.arange(n)
        return SparseInverse(
            panels=csc_array((values, layout.indices, layout.indptr), shape=(n, n)),
            below=csc_array((np.where(layout.below, values, 0.0), layout.indices, layout.indptr), shape=(n, n)),
            place=place,
        )


@dataclass(frozen=True)
class SparseCore:
    """A core held on a fixed sparse pattern, analysed once."""

    size: int
    own_places: Index
    keys: Index
    pattern: csc_array
    shape: CoreShape
    cholesky: SparseCholesky
    nodes: Supernodes
    layout: PanelLayout

    def factorize(self, own: Float, updates: list[csc_array]) -> SparseFactor:
        """Factor of (own entries) − Σ w wᵀ, as `DenseCore.factorize`."""
        data = np.zeros(self.pattern.nnz)
        data[self.own_places] = own
        for w in updates:
            # a sparse product drops exact zeros: its entries are looked up in the analysed pattern
            product = (w @ w.T).tocoo()
            lower = product.row >= product.col
            keys = product.col[lower].astype(np.int64) * self.size + product.row[lower]
            data[np.searchsorted(self.keys, keys)] -= product.data[lower]
        matrix = csc_array((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)
        return SparseFactor(self.cholesky.factorize(matrix), self.cholesky.permutation, self.nodes, self.layout)


def choose_core(
    size: int,
    rows: Index,
    columns: Index,
    leaves: list[tuple[NDArray[np.int32], NDArray[np.int32]]],
    memory_limit: float,
) -> DenseCore | SparseCore | None:
    """The core's representation, chosen from its pattern.

    Parameters
    ----------
    size : int
        Rows of the core.
    rows, columns : (m,) arrays
        Structural entries of one triangle before the leaves are eliminated.
    leaves : list of (indptr, rows)
        Core rows that the levels of each peeled factor are coupled to: each level makes a clique.
    memory_limit : float
        Bytes; `MemoryLimitError` when the cheaper representation needs more.
    """
    if size == 0:
        return None
    dense = DenseCore(size, rows, columns, dense_shape(size))
    fits = dense.shape.bytes <= memory_limit
    if fits and (size <= SMALL_CORE or surely_dense(size, leaves)):
        return dense
    needed = pattern_bytes(size, len(rows), leaves)
    if needed <= memory_limit:
        entry_limit = memory_limit / SPARSE_ENTRY_BYTES
        if fits:
            entry_limit = min(entry_limit, DENSE_FILL * dense.shape.factor_entries)
        try:
            sparse = sparse_core(size, rows, columns, leaves, entry_limit)
        except MissingDependencyError:
            if fits and size <= DENSE_WITHOUT_CHOLMOD:
                return dense
            raise
        if isinstance(sparse, SparseCore):
            return sparse
        needed = SPARSE_ENTRY_BYTES * sparse
    if fits:
        return dense
    needed = min(max(needed, memory_limit), dense.shape.bytes)
    raise MemoryLimitError(
        f"the Cholesky factor of this model needs at least {needed:.3g} bytes ({needed / 2**30:.1f} GiB; "
        f"{dense.shape.bytes:.3g} bytes as a dense matrix): {size} random effects are left in its core after the "
        f"nested ones are eliminated, and the limit is {memory_limit:.3g} bytes. Use fewer levels or fewer crossed "
        "factors, or raise the limit with control={'memory_limit': bytes}."
    )


def sparse_core(
    size: int,
    rows: Index,
    columns: Index,
    leaves: list[tuple[NDArray[np.int32], NDArray[np.int32]]],
    entry_limit: float,
) -> SparseCore | float:
    """The sparse core, or the number of entries at which its factor passed the limit."""
    pattern = core_pattern(size, rows, columns, leaves)
    cholesky = SparseCholesky(pattern)
    nodes = supernodes(permuted_lower(pattern, cholesky.permutation), entry_limit)
    if not isinstance(nodes, Supernodes):
        return nodes
    keys = np.repeat(np.arange(size, dtype=np.int64), np.diff(pattern.indptr)) * size + pattern.indices
    own = np.searchsorted(keys, np.minimum(rows, columns) * size + np.maximum(rows, columns))
    entries = nodes.factor_entries
    shape = CoreShape("sparse", pattern, entries, nodes.flops, SPARSE_ENTRY_BYTES * entries)
    wide = amalgamate(nodes)
    layout = panel_layout(wide)
    return SparseCore(size, own, keys, pattern, shape, cholesky, wide, layout)
