"""NumPy twins of the kernels of a sparse core, and the graphs that they are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

SHAPES = (
    "random",
    "sparser",
    "path",
    "path backwards",
    "star",
    "star backwards",
    "arrow",
    "dense",
    "diagonal",
    "blocks",
)


def symmetric_pattern(shape: str, n: int, seed: int = 0) -> Bool:
    """A symmetric boolean matrix with a full diagonal."""
    rng, S = np.random.default_rng(seed), np.eye(n, dtype=bool)
    match shape:
        case "random":
            S |= rng.random((n, n)) < 0.1
        case "sparser":
            S |= rng.random((n, n)) < 1.0 / n
        case "path":
            S |= np.eye(n, k=1, dtype=bool)
        case "path backwards":
            order = rng.permutation(n)
            S[order[:-1], order[1:]] = True
        case "star":
            S[-1] = True
        case "star backwards":  # the centre first: everything fills
            S[0] = True
        case "arrow":
            S[:, -3:] = True
        case "dense":
            S[:] = True
        case "blocks":
            for first in range(0, n, 5):
                S[first : first + 5, first : first + 5] = rng.random((len(S[first : first + 5]),) * 2) < 0.6
            S |= np.eye(n, dtype=bool)
    return S | S.T


def definite(S: Bool, seed: int) -> Float:
    """A positive definite matrix of a pattern."""
    values = np.where(S, np.random.default_rng(seed).normal(size=S.shape), 0.0)
    values = np.tril(values, -1) + np.tril(values, -1).T
    return values + np.diag(np.abs(values).sum(axis=1) + 0.5)


def expanded(S: Bool, sizes: Index) -> Bool:
    """The pattern of the rows of nodes."""
    return np.repeat(np.repeat(S, sizes, axis=0), sizes, axis=1)


def eliminated(S: Bool) -> Bool:
    """Pattern of L by elimination, one column after the other."""
    S = S.copy()
    for j in range(len(S)):
        below = np.flatnonzero(S[j + 1 :, j]) + j + 1
        S[np.ix_(below, below)] = True
    return np.tril(S)


def neighbours(S: Bool) -> tuple[Pointer, Index]:
    """The graph of a symmetric pattern, in compressed form."""
    off = S & ~np.eye(len(S), dtype=bool)
    return np.concatenate([[0], np.cumsum(off.sum(axis=1))]), np.nonzero(off)[1].astype(np.int32)


def union_of_cliques(n: int, lists: Sequence[NDArray[np.int32]]) -> Bool:
    """Symmetric pattern of a union of cliques, with its diagonal."""
    S = np.eye(n, dtype=bool)
    for nodes in lists:
        S[np.ix_(nodes, nodes)] = True
    return S


def tree_of(L: Bool) -> Index:
    """First row below the diagonal in every column."""
    below = np.tril(L, -1)
    return np.where(below.any(axis=0), below.argmax(axis=0), -1).astype(np.int32)


def relaxed_runs(
    parent: Index, counts: Pointer, sizes: Index, rules: Sequence[tuple[float, float]]
) -> list[tuple[int, int]]:
    """First column and end of every run: columns with the same rows, then merged where few zeros come in."""
    runs: list[tuple[int, int]] = []
    for j in range(len(parent)):
        if runs and parent[j - 1] == j and counts[j - 1] == counts[j] + sizes[j - 1]:
            runs[-1] = (runs[-1][0], j + 1)
        else:
            runs.append((j, j + 1))
    merged: list[tuple[int, int, float]] = []
    for first, end in runs:
        start, zeros, below = first, 0.0, float(counts[end - 1] - sizes[end - 1])
        while merged and first <= parent[merged[-1][1] - 1] < end:
            other, other_end, other_zeros = merged[-1]
            own, width = float(sizes[start:end].sum()), float(sizes[other:other_end].sum())
            added = width * (own + below - (counts[other_end - 1] - sizes[other_end - 1]))
            total = own + width
            share = (zeros + other_zeros + added) / (total * (total + 1) / 2 + total * below)
            if not any(total <= limit and share <= allowed for limit, allowed in rules):
                break
            merged.pop()
            start, zeros = other, zeros + other_zeros + added
        merged.append((start, end, zeros))
    return [(first, end) for first, end, _ in merged]


class Panels:
    """Panels of L as a list, in the simplest way: supernode s has the rows own[s] and below[s]."""

    def __init__(self, starts: Pointer, indptr: Pointer, below: Index) -> None:
        self.own = [np.arange(a, b) for a, b in pairwise(starts)]
        self.below = [below[a:b] for a, b in pairwise(indptr)]
        owner = np.repeat(np.arange(len(self.own)), np.diff(starts))
        self.parent = [int(owner[rows[0]]) if len(rows) else -1 for rows in self.below]

    def front(self, s: int) -> NDArray[np.int64]:
        """All rows of a panel."""
        return np.concatenate([self.own[s], self.below[s]])

    def pack(self, M: Float) -> Float:
        """The lower triangle of a matrix in panel storage; what is above the diagonal is zero."""
        lower = np.tril(M)
        return np.concatenate([lower[np.ix_(self.front(s), own)].ravel(order="F") for s, own in enumerate(self.own)])

    def unpack(self, panels: Float) -> Float:
        """The lower triangle that panel storage holds."""
        n = sum(len(own) for own in self.own)
        out, first = np.zeros((n, n)), 0
        for s, own in enumerate(self.own):
            front = self.front(s)
            size = len(front) * len(own)
            out[np.ix_(front, own)] = panels[first : first + size].reshape((len(front), len(own)), order="F")
            first += size
        return np.tril(out)


def factor_fronts(panels: Panels, M: Float) -> Float:
    """L of a symmetric matrix, by fronts."""
    L = np.zeros_like(M)
    waiting: list[list[tuple[NDArray[np.int64], Float]]] = [[] for _ in panels.own]
    for s, own in enumerate(panels.own):
        rows, width = panels.front(s), len(own)
        front = np.zeros((len(rows), len(rows)))
        front[:, :width] = M[np.ix_(rows, own)]
        front[:width] = front[:, :width].T
        for child_rows, update in waiting[s]:
            where = np.searchsorted(rows, child_rows)
            front[np.ix_(where, where)] += update
        corner = np.linalg.cholesky(front[:width, :width])
        side = np.linalg.solve(corner, front[width:, :width].T).T
        L[np.ix_(own, own)], L[np.ix_(panels.below[s], own)] = corner, side
        if panels.parent[s] >= 0:
            waiting[panels.parent[s]].append((panels.below[s], front[width:, width:] - side @ side.T))
    return L


def invert_fronts(panels: Panels, L: Float) -> Float:
    """(L Lᵀ)⁻¹ on the panels, lower triangle, from the last supernode to the first."""
    Z = np.zeros_like(L)
    for s in range(len(panels.own) - 1, -1, -1):
        own, below = panels.own[s], panels.below[s]
        inverse = np.linalg.inv(L[np.ix_(own, own)])
        scaled = L[np.ix_(below, own)] @ inverse
        side = -Z[np.ix_(below, below)] @ scaled
        Z[np.ix_(own, own)] = inverse.T @ inverse - scaled.T @ side
        Z[np.ix_(below, own)], Z[np.ix_(own, below)] = side, side.T
    return panels.unpack(panels.pack(Z))


def outer_products(n: int, indptr: Pointer, rows: Index, w: Float) -> Float:
    """Σ_ℓ w_ℓ w_ℓᵀ as a full matrix."""
    out = np.zeros((n, n))
    for a, b in pairwise(indptr):
        out[np.ix_(rows[a:b], rows[a:b])] += w[a:b] @ w[a:b].T
    return out


def quadratic_forms(C: Float, indptr: Pointer, rows: Index, w: Float) -> Float:
    """w_ℓᵀ C w_ℓ of every leaf."""
    blocks = [w[a:b].T @ C[np.ix_(rows[a:b], rows[a:b])] @ w[a:b] for a, b in pairwise(indptr)]
    return np.array(blocks).reshape(-1, w.shape[1], w.shape[1])


def times_inverse(C: Float, indptr: Pointer, rows: Index, w: Float) -> Float:
    """C w at the entries of w."""
    return np.concatenate(
        [np.zeros((0, w.shape[1]))] + [C[np.ix_(rows[a:b], rows[a:b])] @ w[a:b] for a, b in pairwise(indptr)]
    )
