"""Symbolic Cholesky factorization of a sparse core: its supernodes, their rows, and what the factor will cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.pls.symbolic import lower_triangle

Index = NDArray[np.int64]

# Widths up to which supernodes are merged, and the share of zeros that this may bring.
RELAXATION = ((4, 1.0), (16, 0.8), (48, 0.1), (np.inf, 0.05))


@dataclass(frozen=True)
class Supernodes:
    """Fundamental supernodes of a Cholesky factor in elimination order.

    Columns starts[s] … starts[s+1]−1 of L share the rows below them.

    Attributes
    ----------
    starts : (S + 1,) array
    rows : tuple of arrays
        Rows of L below the columns of each supernode, sorted.
    parent : (S,) array
        Supernode that holds the first of those rows; −1 for a root.
    """

    starts: Index
    rows: tuple[Index, ...]
    parent: Index

    @property
    def factor_entries(self) -> float:
        """Entries of L."""
        width = np.diff(self.starts).astype(float)
        below = np.array([len(r) for r in self.rows], dtype=float)
        return float((width * (width + 1) / 2 + width * below).sum())

    @property
    def flops(self) -> float:
        """Σ over columns of the squared column counts."""
        total = 0.0
        for s, rows in enumerate(self.rows):
            counts = len(rows) + np.arange(1, self.starts[s + 1] - self.starts[s] + 1, dtype=float)
            total += float((counts**2).sum())
        return total


def amalgamate(nodes: Supernodes) -> Supernodes:
    """Merge supernodes with the next one, their parent, where the panels gain few zeros: fewer and wider products.

    The limits on the share of zeros by width are CHOLMOD's defaults for relaxed supernodes.
    """
    merged: list[tuple[int, int, float]] = []  # first supernode, last supernode, zeros so far
    for s in range(len(nodes.rows)):
        first, zeros = s, 0.0
        while merged and nodes.parent[merged[-1][1]] == s:
            start, child, child_zeros = merged[-1]
            own = float(nodes.starts[s + 1] - nodes.starts[first])
            below = float(len(nodes.rows[s]))
            width = float(nodes.starts[child + 1] - nodes.starts[start])
            added = width * (own + below - len(nodes.rows[child]))
            total = own + width
            share = (zeros + child_zeros + added) / (total * (total + 1) / 2 + total * below)
            if not any(total <= limit and share <= allowed for limit, allowed in RELAXATION):
                break
            merged.pop()
            first, zeros = start, zeros + child_zeros + added
        merged.append((first, s, zeros))
    starts = np.array([*(nodes.starts[first] for first, _, _ in merged), nodes.starts[-1]], dtype=np.int64)
    rows = tuple(nodes.rows[last] for _, last, _ in merged)
    heads = np.array([r[0] if len(r) else -1 for r in rows], dtype=np.int64)
    parent = np.where(heads < 0, -1, np.searchsorted(starts, heads, side="right") - 1)
    return Supernodes(starts, rows, parent)


def permuted_lower(pattern: csc_array, permutation: Index) -> csc_array:
    """Lower triangle of P S Pᵀ for a symmetric S given by its lower triangle; values travel along."""
    place = np.empty(len(permutation), dtype=np.int64)
    place[permutation] = np.arange(len(permutation))
    columns = np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr))
    rows, columns = place[pattern.indices], place[columns]
    low, high = np.maximum(rows, columns), np.minimum(rows, columns)
    return lower_triangle(csc_array((pattern.data, (low, high)), shape=pattern.shape))


def supernodes(pattern: csc_array, entry_limit: float = np.inf) -> Supernodes | float:
    """Structure of L by merging the rows of a column with those of its children in the elimination tree.

    Parameters
    ----------
    pattern : csc_array
        Lower triangle in elimination order.
    entry_limit : float
        Stop as soon as the factor is known to hold more entries than this.

    Returns
    -------
    Supernodes, or the number of entries counted when the limit was passed.
    """
    n = pattern.shape[0]
    children: list[list[int]] = [[] for _ in range(n)]  # supernodes whose rows reach a column first
    starts: list[int] = []
    rows_of: list[Index] = []
    parent_column: list[int] = []
    counted = 0.0
    j = 0
    while j < n:
        pieces = [pattern.indices[pattern.indptr[j] : pattern.indptr[j + 1]].astype(np.int64)]
        pieces += [rows_of[s] for s in children[j]]
        structure = pieces[0] if len(pieces) == 1 else np.unique(np.concatenate(pieces))
        below = structure[structure > j]
        last = j
        if len(below) == n - 1 - j:  # every later row: so it stays to the end
            last, below = n - 1, below[:0]
        else:
            while len(below) and below[0] == last + 1 and not children[last + 1]:
                own = pattern.indices[pattern.indptr[last + 1] : pattern.indptr[last + 2]]
                if not np.isin(own, below, assume_unique=True).all():
                    break
                last, below = last + 1, below[1:]
        width = last - j + 1
        counted += width * (width + 1) / 2 + width * len(below)
        if counted > entry_limit:
            return counted
        starts.append(j)
        rows_of.append(below)
        parent_column.append(int(below[0]) if len(below) else -1)
        if len(below):
            children[int(below[0])].append(len(starts) - 1)
        j = last + 1
    edges = np.array([*starts, n], dtype=np.int64)
    parents = np.array(parent_column, dtype=np.int64)
    owner = np.where(parents < 0, -1, np.searchsorted(edges, parents, side="right") - 1)
    return Supernodes(edges, tuple(rows_of), owner)
