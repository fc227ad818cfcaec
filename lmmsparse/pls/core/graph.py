"""Which levels of the core are coupled, and how full that makes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.kernels import cliques as kernels

Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

# A bit for each pair of nodes is kept for graphs of up to so many nodes.
BITSET_NODES = 40_000


@dataclass(frozen=True)
class CoreGraph:
    """Levels of the core as nodes, and what couples them.

    Attributes
    ----------
    sizes : (N,) array of int32
        Rows of every node; nodes are the levels of all core factors, factor after factor.
    first, second : (m,) arrays of int32
        Pairs of nodes that are coupled by the core's own entries.
    cliques : tuple of (indptr (q + 1,), nodes (m,))
        One for each peeled factor: nodes that each of its levels couples to, and thereby to each other.
    """

    sizes: Index
    first: Index
    second: Index
    cliques: tuple[tuple[Pointer, Index], ...]

    @property
    def n_rows(self) -> int:
        """Rows of the core."""
        return int(self.sizes.sum(dtype=np.int64))


def all_cliques(graph: CoreGraph) -> tuple[Pointer, Index]:
    """Cliques of all factors and the pairs, which are cliques of two, in one list (indptr, nodes)."""
    lists = [(np.asarray(p, dtype=np.int64), np.asarray(n, dtype=np.int32)) for p, n in graph.cliques if len(n)]
    if len(graph.first):
        pairs = np.stack([graph.first, graph.second], axis=1).astype(np.int32, copy=False)
        lists.append((np.arange(0, 2 * len(pairs) + 1, 2, dtype=np.int64), pairs.ravel()))
    if len(lists) == 1:
        return lists[0]
    pointers, offset = [np.zeros(1, dtype=np.int64)], 0
    for indptr, nodes in lists:
        pointers.append(indptr[1:] + offset)
        offset += len(nodes)
    return np.concatenate(pointers), np.concatenate([np.zeros(0, np.int32), *(nodes for _, nodes in lists)])


def pattern(graph: CoreGraph, limit: float = np.inf) -> csc_array | float:
    """Lower triangle of the node pattern, with its diagonal.

    Parameters
    ----------
    limit : float
        Entries; counting stops when there are more.

    Returns
    -------
    csc_array of ones with sorted indices, or the number of entries counted when the limit was passed.
    """
    indptr, nodes = all_cliques(graph)
    n = len(graph.sizes)
    starts, lists = np.zeros(n + 1, dtype=np.int64), np.empty(len(nodes), dtype=np.int32)
    kernels.lists_by_node(indptr, nodes, starts, lists)
    counts = np.zeros(n, dtype=np.int64)
    # row indices and pointers are counted in 32 bits
    most = int(min(limit - n, 2**31 - 1 - n))
    total = kernels.count_union(indptr, nodes, starts, lists, counts, most)
    if total > most:
        return float(total + n)
    columns = np.concatenate([[0], np.cumsum(counts + 1)])
    rows = np.empty(total + n, dtype=np.int32)
    kernels.fill_union(indptr, nodes, starts, lists, columns[:-1].copy(), rows)
    return csc_array((np.ones(len(rows)), rows, columns.astype(np.int32)), shape=(n, n))


def fill_at_least(graph: CoreGraph, entries: float) -> bool:
    """Whether the leaves alone fill so many entries of the core's lower triangle, however it is ordered.

    A quick proof for graphs that are nearly full: large leaves come first, and counting stops with the answer.  False
    when the graph is too large for a bit a pair.
    """
    n = len(graph.sizes)
    if n > BITSET_NODES:
        return False
    own = float((graph.sizes.astype(float) * (graph.sizes + 1.0)).sum() / 2)
    indptr, nodes = all_cliques(graph)
    widths = np.diff(indptr)
    # nothing that could be counted would be enough
    if own + float((widths.astype(float) ** 2).sum()) / 2 * float(graph.sizes.max(initial=1)) ** 2 < entries:
        return False
    largest_first = np.argsort(-widths, kind="stable")
    return kernels.union_reaches(indptr, nodes, largest_first, graph.sizes, entries - own)
