"""A dense core: one array that holds both the factor and, once it is asked for, the inverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.kernels import core as kernels
from lmmsparse.numerics.dense import solve_lower, solve_lower_transposed
from lmmsparse.numerics.threads import available_threads
from lmmsparse.pls.core import blocked
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.couplings import Couplings

Float = NDArray[np.float64]
Index = NDArray[np.int64]
T = TypeVar("T")

# A panel of columns should stay in the second-level cache, but each must also be worth a visit to every leaf.
PANEL_BYTES = 1 << 20
MOST_PANELS = 128
# Updates of the core below so many products are not worth a second thread.
THREADED_PRODUCTS = 2e6


@dataclass(frozen=True)
class DenseInverse:
    """Inverse of a dense core, in the upper triangle of the last n columns of its array."""

    matrix: Float
    panels: Index

    def quadratic(self, couplings: Couplings) -> Float:
        """Blocks w_ℓᵀ C w_ℓ of every leaf, (q, K, K)."""
        q, K = len(couplings.indptr) - 1, couplings.w.shape[1]

        def share(edges: Index) -> Float:
            out = np.zeros((q, K, K))
            kernels.quadratic_forms(self.matrix, couplings.indptr, couplings.rows, couplings.w, edges, out)
            return out

        parts = by_panels(share, self.panels, products_of(couplings))
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total

    def times(self, couplings: Couplings) -> Float:
        """C w on the entries of w, (m, K)."""
        out = np.empty_like(couplings.w)
        kernels.times_inverse(self.matrix, couplings.indptr, couplings.rows, couplings.w, out)
        return out

    def at(self, rows: Index, columns: Index) -> Float:
        """Entries of the inverse."""
        return np.asarray(self.matrix[np.minimum(rows, columns), np.maximum(rows, columns) + 1])


@dataclass(frozen=True)
class DenseFactor:
    """L of a dense core, in the lower triangle of the first n columns of its array."""

    matrix: Float
    panels: Index
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def L(self) -> Float:
        """(n, n) array; only its lower triangle is meant."""
        return self.matrix[:, :-1]

    @property
    def pivots(self) -> Float:
        """Diagonal of L."""
        return np.diagonal(self.L)

    @property
    def logdet(self) -> float:
        """log|L Lᵀ|."""
        return 2.0 * float(np.log(self.pivots).sum())

    def forward(self, right: Float) -> Float:
        """L⁻¹ right, (n, m)."""
        return solve_lower(self.L, right)

    def backward(self, right: Float) -> Float:
        """L⁻ᵀ right, (n, m)."""
        return solve_lower_transposed(self.L, right)

    def inverse(self) -> DenseInverse:
        """(L Lᵀ)⁻¹, computed when it is first asked for, beside L."""
        with self._lock:
            return self._inverse

    @cached_property
    def _inverse(self) -> DenseInverse:
        blocked.inverse(self.matrix)
        return DenseInverse(self.matrix, self.panels)


@dataclass(frozen=True)
class DenseCore:
    """A core held as a dense matrix.

    Attributes
    ----------
    n_rows : int
    first_row : (N,) array
        First row of every node: nodes that are coupled to many leaves come first, and share the cache.
    panels : (P + 1,) array
        Borders of panels of columns that take about the same work.
    """

    n_rows: int
    first_row: Index
    panels: Index

    @property
    def kind(self) -> str:
        """``"dense"``."""
        return "dense"

    @property
    def factor_entries(self) -> float:
        """Entries of L."""
        return self.n_rows * (self.n_rows + 1) / 2

    @property
    def flops(self) -> float:
        """Of the factorization and the inverse."""
        return float(self.n_rows) ** 3

    @property
    def bytes(self) -> float:
        """Of the array."""
        return 8.0 * self.n_rows * (self.n_rows + 1)

    def locate(self, rows: Index, columns: Index) -> Index:
        """Places of entries row >= column in the array."""
        return np.asarray(columns * self.n_rows + rows)

    def factorize(self, own: Float, places: Index, couplings: Sequence[Couplings]) -> DenseFactor:
        """Factor of (own entries) − Σ_ℓ w_ℓ w_ℓᵀ.

        Parameters
        ----------
        own, places : (m,) arrays
            Entries of the lower triangle and where they are.
        couplings : sequence of Couplings
            L on the couplings of every peeled factor.
        """
        matrix = np.zeros((self.n_rows, self.n_rows + 1), order="F")
        matrix.T.reshape(-1)[places] = own
        for part in couplings:

            def subtract(edges: Index, part: Couplings = part) -> None:
                kernels.subtract_outer_products(matrix, part.indptr, part.rows, part.w, edges)

            by_panels(subtract, self.panels, products_of(part))
        blocked.cholesky(matrix)
        return DenseFactor(matrix, self.panels)


def dense_core(graph: CoreGraph) -> DenseCore:
    """The dense core of a graph: its rows ordered by how often leaves meet them, and cut into panels."""
    frequency = np.zeros(len(graph.sizes))
    entries, leaves = 0, 0
    for indptr, nodes in graph.cliques:
        frequency += np.bincount(nodes, minlength=len(frequency))
        entries, leaves = entries + len(nodes), leaves + len(indptr) - 1
    order = np.argsort(-frequency, kind="stable")
    sizes = graph.sizes[order].astype(np.int64)
    first_row = np.empty(len(order), dtype=np.int64)
    first_row[order] = np.cumsum(sizes) - sizes
    n = int(sizes.sum())
    visits = 2.0 * entries / max(leaves, 1)
    count = int(max(1.0, min(MOST_PANELS, 4.0 * n * n / PANEL_BYTES, visits, n)))
    return DenseCore(n, first_row, equal_work_panels(np.repeat(frequency[order], sizes), count))


def equal_work_panels(frequency: Float, count: int) -> Index:
    """Borders of ``count`` panels of columns: column s takes about frequency[s] Σ_{r ≥ s} frequency[r]."""
    n = len(frequency)
    work = np.cumsum(frequency * np.cumsum(frequency[::-1])[::-1] + 1.0)
    inner = np.searchsorted(work, work[-1] * np.arange(1, count) / count) if n else np.zeros(0)
    return np.unique(np.concatenate([[0], inner, [n]])).astype(np.int64)


def products_of(couplings: Couplings) -> float:
    """About how many products a pass over all pairs of entries of each leaf takes."""
    entries, leaves = len(couplings.rows), max(1, len(couplings.indptr) - 1)
    return 0.5 * entries * (entries / leaves) * couplings.w.shape[1]


def by_panels(function: Callable[[Index], T], panels: Index, products: float) -> list[T]:
    """Results of a kernel on the panels of each thread; panels have columns of their own, so threads never meet."""
    threads = min(available_threads(), len(panels) - 1)
    if threads < 2 or products < THREADED_PRODUCTS:
        return [function(panels)]
    cuts = np.linspace(0, len(panels) - 1, threads + 1).round().astype(int)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, [panels[a : b + 1] for a, b in pairwise(cuts)]))
