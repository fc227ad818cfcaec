"""Symbolic Cholesky factorization of a sparse core: the order of its nodes, and the supernodes of L."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.kernels import elimination as kernels

Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

# Widths up to which supernodes are merged, and the share of zeros that this may bring.
RELAXATION = ((4, 0.6), (16, 0.4), (48, 0.15), (np.inf, 0.05))


@dataclass(frozen=True)
class Elimination:
    """Nodes in the order of their elimination, and what that costs.

    Attributes
    ----------
    order, place : (N,) arrays
        Node at each step, and step of each node.
    parent : (N,) array
        Of every step, in the elimination tree; −1 for a root.
    counts : (N,) array
        Rows of L below the first row of each step, which counts as well.
    sizes : (N,) array
        Rows of each step.
    """

    order: Index
    place: Index
    parent: Index
    counts: Pointer
    sizes: Index

    @property
    def factor_entries(self) -> float:
        """Entries of L."""
        K = self.sizes.astype(float)
        return float((K * self.counts - K * (K - 1) / 2).sum())

    @property
    def flops(self) -> float:
        """Of a factorization: Σ over columns of the squared column counts."""
        K, c = self.sizes.astype(float), self.counts.astype(float)
        return float((K * c**2 - c * K * (K - 1) + (K - 1) * K * (2 * K - 1) / 6).sum())


@dataclass(frozen=True)
class Supernodes:
    """Panels of L: runs of columns that share the rows below them.

    A supernode with the columns J and the rows R below has a panel of (|J| + |R|) × |J| numbers, column after column.
    All arrays but the last two are by supernode.

    Attributes
    ----------
    starts : (S + 1,) array
        First row.
    edges : (S + 1,) array
        First number of the panel.
    indptr : (S + 1,) array
        First place in ``below``.
    last_child, previous : (S,) arrays
        Last of the supernodes whose parent this is, and the one before this among its parent's; −1 for none.
    below : array
        Rows below, sorted.
    relative : array
        Place of each of them in the front of the parent: its columns, then its rows below.
    owner : (n,) array
        Supernode of every row.
    stack_entries : int
        Entries of update matrices that wait at a time, at most.
    """

    starts: Pointer
    edges: Pointer
    indptr: Pointer
    last_child: Index
    previous: Index
    below: Index
    relative: Index
    owner: Index
    stack_entries: int

    @property
    def most_below(self) -> int:
        """Largest number of rows below."""
        return int(np.diff(self.indptr).max(initial=0))

    @property
    def side_entries(self) -> int:
        """Largest number of entries of a panel that are below its columns."""
        return int((np.diff(self.indptr) * np.diff(self.starts)).max(initial=0))

    @property
    def bytes(self) -> float:
        """Of these arrays, of L, of its selected inverse, and of what waits while they are computed."""
        index = 40.0 * len(self.starts) + 8.0 * len(self.below) + 4.0 * len(self.owner)
        return index + 8.0 * (2.0 * self.edges[-1] + self.stack_entries + self.side_entries)


def neighbours(pattern: csc_array) -> tuple[Pointer, Index]:
    """Neighbours of every node of a lower pattern, in compressed form and sorted."""
    n = pattern.shape[0]
    indptr = np.zeros(n + 1, dtype=np.int64)
    indices = np.empty(2 * (pattern.nnz - n), dtype=np.int32)
    kernels.both_triangles(pattern.indptr.astype(np.int64), pattern.indices, indptr, indices)
    return indptr, indices


def eliminate(graph: tuple[Pointer, Index], sizes: Index, order: NDArray[np.int64]) -> Elimination:
    """Elimination tree and column counts for an order that is changed to an equivalent postorder.

    Parameters
    ----------
    graph : (indptr, indices)
        Neighbours of every node.
    sizes : (N,) array
        Rows of every node.
    order : (N,) array
        Node at each step.
    """
    steps: Index = order.astype(np.int32)
    place, parent, post = np.empty_like(steps), np.empty_like(steps), np.empty_like(steps)
    counts = np.zeros(len(steps), dtype=np.int64)
    place[steps] = np.arange(len(steps), dtype=np.int32)
    kernels.elimination_tree(*graph, steps, place, parent)
    # counting needs a postorder, and one more by the counts puts the heaviest child next to its parent
    for counted in (False, True):
        kernels.postorder(parent, counts, post)
        steps, counts, parent = steps[post], counts[post], relabelled(parent, post)
        place[steps] = np.arange(len(steps), dtype=np.int32)
        if not counted:
            kernels.column_counts(*graph, steps, place, parent, sizes[steps], counts)
    return Elimination(steps, place, parent, counts, sizes[steps])


def relabelled(parent: Index, order: Index) -> Index:
    """A tree whose nodes are put in another order."""
    place = np.empty(len(order) + 1, dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    place[-1] = -1
    return place[parent[order]]


def supernodes(graph: tuple[Pointer, Index], elimination: Elimination) -> Supernodes:
    """Relaxed supernodes of L with their rows."""
    steps = len(elimination.order)
    borders = np.empty(steps + 1, dtype=np.int32)
    widths, shares = (np.array(column, dtype=np.float64) for column in zip(*RELAXATION, strict=True))
    count = kernels.relaxed_supernodes(
        elimination.parent, elimination.counts, elimination.sizes, widths, shares, borders
    )
    borders = borders[: count + 1]
    first_row = np.concatenate([[0], np.cumsum(elimination.sizes, dtype=np.int64)])
    owner = np.repeat(np.arange(count, dtype=np.int32), np.diff(borders))
    last = borders[1:] - 1
    above = elimination.parent[last]
    parent = np.where(above < 0, -1, owner[above]).astype(np.int32)
    starts = first_row[borders]
    heights = elimination.counts[last] - elimination.sizes[last]
    indptr = np.concatenate([[0], np.cumsum(heights)])
    below, relative = np.empty((2, indptr[-1]), dtype=np.int32)
    kernels.supernode_rows(
        *graph, elimination.order, elimination.place, owner, parent, first_row, indptr[:-1].copy(), below
    )
    last_child, previous = np.empty((2, count), dtype=np.int32)
    kernels.child_lists(parent, last_child, previous)
    stack_entries = kernels.relative_rows(starts, indptr, below, last_child, previous, relative)
    edges = np.concatenate([[0], np.cumsum(np.diff(starts) * (np.diff(starts) + heights))])
    rows = np.repeat(owner, elimination.sizes)
    return Supernodes(starts, edges, indptr, last_child, previous, below, relative, rows, stack_entries)
