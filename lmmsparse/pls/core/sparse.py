"""A sparse core: Cholesky factor, solves and selected inverse on panels whose places are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.errors import FactorizationError
from lmmsparse.kernels import fronts, panels, sweeps
from lmmsparse.pls.core.dense import by_panels, products_of
from lmmsparse.pls.core.graph import CoreGraph, pattern
from lmmsparse.pls.core.ordering import minimum_degree, nested_dissection
from lmmsparse.pls.core.symbolic import Elimination, Supernodes, eliminate, neighbours, supernodes
from lmmsparse.pls.couplings import Couplings

Float = NDArray[np.float64]
Index = NDArray[np.int64]
Rows = NDArray[np.int32]
Sweep = Callable[[Float, Index, Index, Index, Rows, Float, Float], None]

NOT_POSITIVE = "the core of M(theta) is not positive definite; is theta finite?"
# Runs of leaves or of supernodes that threads may share.
PARTS = 64
# Nested dissection is tried where an entry of the pattern becomes so many of L, and each of these takes so many flops.
MUCH_FILL = 5.0
MANY_FLOPS = 500.0
# It has not been seen to save a larger share of the entries.
HOPELESS = 1.6


@dataclass(frozen=True)
class SparseInverse:
    """Selected inverse C of a sparse core: its entries on the pattern of L + Lᵀ.

    Attributes
    ----------
    panels : array
        Lower triangle of C, stored as L is.
    core : SparseCore
    """

    panels: Float
    core: SparseCore

    def quadratic(self, couplings: Couplings) -> Float:
        """Blocks w_ℓᵀ C w_ℓ of every leaf, (q, K, K)."""
        K = couplings.w.shape[1]
        out = np.zeros((len(couplings.indptr) - 1, K, K))

        def share(leaves: Index) -> None:
            a, b = int(leaves[0]), int(leaves[-1])
            pointers, values = couplings.indptr[a : b + 1], self.panels
            panels.quadratic_forms(values, *self.core.layout, pointers, couplings.rows, couplings.w, out[a:b])

        by_panels(share, leaf_parts(couplings), products_of(couplings))
        return out

    def times(self, couplings: Couplings) -> Float:
        """C w on the entries of w, (m, K)."""
        out = np.zeros_like(couplings.w)

        def share(leaves: Index) -> None:
            pointers, values = couplings.indptr[leaves[0] : leaves[-1] + 1], self.panels
            panels.times_inverse(values, *self.core.layout, pointers, couplings.rows, couplings.w, out)

        by_panels(share, leaf_parts(couplings), products_of(couplings))
        return out

    def at(self, rows: Index, columns: Index) -> Float:
        """Entries of the inverse, which must lie on the pattern of L + Lᵀ."""
        return np.asarray(self.panels[self.core.locate(np.maximum(rows, columns), np.minimum(rows, columns))])

    def blocks(self, first_row: Index, K: int) -> Float:
        """Diagonal blocks (q, K, K) of the rows first_row … first_row + K − 1 of one node each."""
        rows = np.broadcast_to(first_row[:, None, None] + np.arange(K)[:, None], (len(first_row), K, K))
        return self.at(rows.ravel(), rows.transpose(0, 2, 1).ravel()).reshape(rows.shape)


@dataclass(frozen=True)
class SparseFactor:
    """L of a sparse core.

    Attributes
    ----------
    panels : array
        L, supernode after supernode.
    core : SparseCore
    """

    panels: Float
    core: SparseCore

    @cached_property
    def pivots(self) -> Float:
        """Diagonal of L."""
        return self.panels[self.core.diagonal]

    @property
    def logdet(self) -> float:
        """log|L Lᵀ|."""
        return 2.0 * float(np.log(self.pivots).sum())

    def forward(self, right: Float) -> Float:
        """L⁻¹ right, (n, m)."""
        return self._sweep(sweeps.solve_forward, right)

    def backward(self, right: Float) -> Float:
        """L⁻ᵀ right, (n, m)."""
        return self._sweep(sweeps.solve_backward, right)

    def _sweep(self, sweep: Sweep, right: Float) -> Float:
        out = np.array(right, dtype=np.float64, order="C")
        if out.shape[1]:
            nodes = self.core.nodes
            work = np.empty(max(1, nodes.most_below * out.shape[1]))
            sweep(self.panels, nodes.starts, nodes.edges, nodes.indptr, nodes.below, out, work)
        return out

    def inverse(self) -> SparseInverse:
        """Selected inverse, beside L."""
        nodes, values = self.core.nodes, self.panels.copy()
        stack, side = np.empty(max(1, nodes.stack_entries)), np.empty(max(1, nodes.side_entries))
        if fronts.invert_fronts(values, *self.core.tree, stack, side) >= 0:
            raise FactorizationError("the sparse core of M(theta) is singular to working precision")
        return SparseInverse(values, self.core)


@dataclass(frozen=True)
class SparseCore:
    """A core held on the panels of its factor, analysed once; rows are numbered in the order of elimination.

    Attributes
    ----------
    n_rows : int
    first_row : (N,) array
        First row of every node of the graph; its rows are adjacent.
    nodes : Supernodes
    parts : array
        Borders of runs of supernodes that leaves visit about as often.
    factor_entries : float
        Entries of L, without the zeros that panels hold as well.
    flops : float
        Of the factorization and the inverse.
    """

    n_rows: int
    first_row: Index
    nodes: Supernodes
    parts: Index
    factor_entries: float
    flops: float

    @property
    def kind(self) -> str:
        """``"sparse"``."""
        return "sparse"

    @property
    def bytes(self) -> float:
        """Of L, its selected inverse and their work space."""
        return self.nodes.bytes

    @property
    def tree(self) -> tuple[Index, Index, Index, Rows, Rows, Rows]:
        """Arguments that the kernels of fronts share."""
        nodes = self.nodes
        return nodes.starts, nodes.edges, nodes.indptr, nodes.relative, nodes.last_child, nodes.previous

    @property
    def layout(self) -> tuple[Index, Index, Index, Rows, Rows]:
        """Arguments that the kernels of panels share."""
        nodes = self.nodes
        return nodes.starts, nodes.edges, nodes.indptr, nodes.below, nodes.owner

    @cached_property
    def diagonal(self) -> Index:
        """Places of the diagonal."""
        rows = np.arange(self.n_rows)
        return self.locate(rows, rows)

    def locate(self, rows: Index, columns: Index) -> Index:
        """Places of entries row >= column in the panels."""
        places = np.empty(len(rows), dtype=np.int64)
        rows, columns = np.ascontiguousarray(rows, dtype=np.int64), np.ascontiguousarray(columns, dtype=np.int64)
        panels.locate(*self.layout, rows, columns, places)
        if (places < 0).any():
            raise IndexError("an entry of the core lies outside the pattern of its factor")
        return places

    def factorize(self, own: Float, places: Index, couplings: Sequence[Couplings]) -> SparseFactor:
        """Factor of (own entries) − Σ_ℓ w_ℓ w_ℓᵀ.

        Parameters
        ----------
        own, places : (m,) arrays
            Entries of the lower triangle and where they are.
        couplings : sequence of Couplings
            L on the couplings of every peeled factor.
        """
        values = np.zeros(self.nodes.edges[-1])
        values[places] = own
        for part in couplings:

            def subtract(cuts: Index, part: Couplings = part) -> None:
                begin, end = int(cuts[0]), int(cuts[-1])
                panels.subtract_outer_products(values, *self.layout, part.indptr, part.rows, part.w, begin, end)

            by_panels(subtract, self.parts, products_of(part))
        stack = np.empty(max(1, self.nodes.stack_entries))
        if fronts.factor_fronts(values, *self.tree, stack) >= 0:
            raise FactorizationError(NOT_POSITIVE)
        factor = SparseFactor(values, self)
        # LAPACK lets some numbers that are none pass
        if not np.isfinite(factor.pivots).all():
            raise FactorizationError(NOT_POSITIVE)
        return factor


def sparse_core(graph: CoreGraph, entry_limit: float = np.inf) -> SparseCore | float:
    """The sparse core of a graph, or the number of entries that its factor has at least when that is above a limit.

    Raises
    ------
    MissingDependencyError
        Without scikit-sparse there is no order of elimination.
    """
    lower = pattern(graph, entry_limit)
    if not isinstance(lower, csc_array):
        return lower
    adjacent = neighbours(lower)
    elimination = eliminate(adjacent, graph.sizes, minimum_degree(lower))
    entries = elimination.factor_entries
    if entries > HOPELESS * entry_limit:
        return entries
    if entries > MUCH_FILL * lower.nnz and elimination.flops > MANY_FLOPS * entries:
        dissected = nested_dissection(lower)
        if dissected is not None:
            other = eliminate(adjacent, graph.sizes, dissected)
            elimination = min(elimination, other, key=lambda candidate: candidate.flops)
            entries = elimination.factor_entries
    if entries > entry_limit:
        return entries
    first_row = np.empty(len(graph.sizes), dtype=np.int64)
    sizes = elimination.sizes.astype(np.int64)
    first_row[elimination.order] = np.cumsum(sizes) - sizes
    nodes = supernodes(adjacent, elimination)
    parts = visited_parts(graph, elimination, nodes)
    return SparseCore(int(sizes.sum()), first_row, nodes, parts, entries, 3.0 * elimination.flops)


def visited_parts(graph: CoreGraph, elimination: Elimination, nodes: Supernodes) -> Index:
    """Borders of runs of supernodes with about as many entries of the leaves' couplings in each."""
    visits = np.zeros(len(graph.sizes))
    for _, met in graph.cliques:
        visits += np.bincount(met, minlength=len(visits))
    by_row = np.repeat(visits[elimination.order], elimination.sizes)
    total = np.concatenate([[0], np.cumsum(by_row)])[nodes.starts]
    inner = np.searchsorted(total, total[-1] * np.arange(1, PARTS) / PARTS)
    return np.unique(np.concatenate([[0], inner, [len(nodes.starts) - 1]])).astype(np.int64)


def leaf_parts(couplings: Couplings) -> Index:
    """Borders of runs of leaves with about as many entries in each."""
    entries = len(couplings.rows) * np.arange(1, PARTS) / PARTS
    inner = np.searchsorted(couplings.indptr, entries)
    return np.unique(np.concatenate([[0], inner, [len(couplings.indptr) - 1]])).astype(np.int64)
