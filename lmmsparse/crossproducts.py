"""The blocks of A = [Z X y]ᵀ W [Z X y], formed once; every evaluation works on them alone.

Blocks come straight from integer codes.  They are sums over rows, so that cross-products of parts of
the data (in the same working coordinates) may be added: ``a + b``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from lmmsparse.coordinates import WorkingDesign

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Coupling:
    """Block Z_gᵀWZ_h of two grouping factors on the pairs of levels that occur together.

    Attributes
    ----------
    first, second : (m,) arrays of int32
        Levels of g and h of each pair, sorted by (first, second).
    values : (m, K_g, K_h) array
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    values: Float

    def __add__(self, other: Coupling) -> Coupling:
        first = np.concatenate([self.first, other.first])
        second = np.concatenate([self.second, other.second])
        values = np.concatenate([self.values, other.values])
        pairs, where = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
        total = np.zeros((len(pairs), *values.shape[1:]))
        np.add.at(total, where.ravel(), values)
        return Coupling(pairs[:, 0].astype(np.int32), pairs[:, 1].astype(np.int32), total)


@dataclass(frozen=True)
class CrossProducts:
    """Blocks of A for grouping factors g = 0, 1, … and the columns of [X y].

    Attributes
    ----------
    n : int
        Rows.
    sum_log_weights : float
        Σ log w.
    diagonal : tuple of (q_g, K_g, K_g) arrays
        Z_gᵀWZ_g, one block a level.
    coupling : dict (g, h) → Coupling, g < h
    rhs : tuple of (q_g, K_g, p + 1) arrays
        Z_gᵀW[X y].
    fixed : (p + 1, p + 1) array
        [X y]ᵀW[X y].
    """

    n: int
    sum_log_weights: float
    diagonal: tuple[Float, ...]
    coupling: dict[tuple[int, int], Coupling]
    rhs: tuple[Float, ...]
    fixed: Float

    @property
    def p(self) -> int:
        """Number of fixed-effect columns."""
        return self.fixed.shape[0] - 1

    def __add__(self, other: CrossProducts) -> CrossProducts:
        return CrossProducts(
            n=self.n + other.n,
            sum_log_weights=self.sum_log_weights + other.sum_log_weights,
            diagonal=tuple(a + b for a, b in zip(self.diagonal, other.diagonal, strict=True)),
            coupling={key: block + other.coupling[key] for key, block in self.coupling.items()},
            rhs=tuple(a + b for a, b in zip(self.rhs, other.rhs, strict=True)),
            fixed=self.fixed + other.fixed,
        )

    def update(self, design: WorkingDesign, y: Float) -> CrossProducts:
        """These cross-products with more rows added: ``self + cross_products(design, y)``."""
        return self + cross_products(design, y)


def diagonal_products(codes: NDArray[np.int32], columns: Float, weights: Float | None, n_levels: int) -> Float:
    """ZᵀWZ of one grouping factor: (q, K, K) array of Σ_{i in level} w_i z_i z_iᵀ."""
    K = columns.shape[1]
    blocks = np.empty((n_levels, K, K))
    for a in range(K):
        left = columns[:, a] if weights is None else weights * columns[:, a]
        for b in range(a + 1):
            blocks[:, a, b] = np.bincount(codes, left * columns[:, b], n_levels)
            blocks[:, b, a] = blocks[:, a, b]
    return blocks


def coupling_products(
    codes: tuple[NDArray[np.int32], NDArray[np.int32]],
    columns: tuple[Float, Float],
    weights: Float | None,
    n_levels: tuple[int, int],
) -> Coupling:
    """Z_gᵀWZ_h of two grouping factors on co-occurring pairs of levels."""
    K_g, K_h = columns[0].shape[1], columns[1].shape[1]
    values, block = [], None
    for a in range(K_g):
        left = columns[0][:, a] if weights is None else weights * columns[0][:, a]
        for b in range(K_h):
            # duplicates are summed and explicit zeros stay, so all K_g K_h blocks share one pattern
            block = coo_array((left * columns[1][:, b], codes), shape=n_levels).tocsr()
            block.sum_duplicates()
            values.append(block.data)
    assert block is not None
    first = np.repeat(np.arange(n_levels[0], dtype=np.int32), np.diff(block.indptr))
    stacked = np.stack(values, axis=1).reshape(-1, K_g, K_h)
    return Coupling(first, block.indices.astype(np.int32, copy=False), stacked)


def rhs_products(codes: NDArray[np.int32], columns: Float, weights: Float | None, n_levels: int, right: Float) -> Float:
    """ZᵀW R for a matrix R (n, m): (q, K, m) array."""
    K, m = columns.shape[1], right.shape[1]
    products = np.empty((n_levels, K, m))
    for a in range(K):
        left = columns[:, a] if weights is None else weights * columns[:, a]
        for j in range(m):
            products[:, a, j] = np.bincount(codes, left * right[:, j], n_levels)
    return products


def cross_products(design: WorkingDesign, y: Float) -> CrossProducts:
    """Blocks of A for a working design and a working response y (n,)."""
    w, blocks = design.weights, design.blocks
    Xy = np.column_stack([design.X, y])
    return CrossProducts(
        n=len(y),
        sum_log_weights=0.0 if w is None else float(np.log(w).sum()),
        diagonal=tuple(diagonal_products(b.codes, b.columns, w, b.n_levels) for b in blocks),
        coupling={
            (g, h): coupling_products(
                (blocks[g].codes, blocks[h].codes),
                (blocks[g].columns, blocks[h].columns),
                w,
                (blocks[g].n_levels, blocks[h].n_levels),
            )
            for g in range(len(blocks))
            for h in range(g + 1, len(blocks))
        },
        rhs=tuple(rhs_products(b.codes, b.columns, w, b.n_levels, Xy) for b in blocks),
        fixed=Xy.T @ (Xy if w is None else Xy * w[:, None]),
    )


def replace_response(products: CrossProducts, design: WorkingDesign, y: Float) -> CrossProducts:
    """The same cross-products with another working response: only the last column of [X y] changes."""
    w = design.weights
    rhs = []
    for block, old in zip(design.blocks, products.rhs, strict=True):
        new = old.copy()
        new[:, :, -1:] = rhs_products(block.codes, block.columns, w, block.n_levels, y[:, None])
        rhs.append(new)
    weighted = y if w is None else w * y
    fixed = products.fixed.copy()
    fixed[-1, :-1] = fixed[:-1, -1] = design.X.T @ weighted
    fixed[-1, -1] = y @ weighted
    return replace(products, rhs=tuple(rhs), fixed=fixed)
