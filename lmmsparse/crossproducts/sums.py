"""The blocks of A = [Z X y]ᵀ W [Z X y], formed once; every evaluation works on them alone.

Blocks come straight from integer codes.  They are sums over rows, so that cross-products of parts of
the data (in the same working coordinates) may be added: ``a + b``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.frame import Codes
from lmmsparse.kernels.sums import (
    count_pairs,
    level_products,
    pair_products,
    right_products,
    rows_by_level,
    rows_by_pair,
)
from lmmsparse.numerics.dense import row_chunks

Float = NDArray[np.float64]

CODE_TYPES = (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32))


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


def _checked(codes: Codes, n_levels: int) -> Codes:
    """Codes as the kernels take them: of 8, 16 or 32 bits with a sign, one after the other, and none astray."""
    if len(codes) and not 0 <= codes.min() <= codes.max() < n_levels:
        raise ValueError(f"codes must lie between 0 and {n_levels - 1}")
    return np.ascontiguousarray(codes if codes.dtype in CODE_TYPES else codes.astype(np.int32))


def coupling_products(
    first: tuple[Codes, Float],
    second: tuple[Codes, Float],
    weights: Float | None,
    n_levels: tuple[int, int],
    by_second: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None,
) -> Coupling:
    """Z_gᵀWZ_h of two grouping factors on co-occurring pairs of levels.

    Parameters
    ----------
    first, second : (codes, columns) of g and h
        Codes (n,); columns (n, K).
    weights : (n,) array or None
    n_levels : (q_g, q_h)
    by_second : (order, starts), optional
        `rows_by_level` of h, when it is known.
    """
    codes, left, right = _checked(first[0], n_levels[0]), first[1], second[1]
    order, starts = by_second or rows_by_level(_checked(second[0], n_levels[1]), n_levels[1])
    alike = weights is None and left.shape[1] == right.shape[1] == 1 and left.strides[0] == right.strides[0] == 0
    indptr, levels = np.zeros(n_levels[0] + 1, dtype=np.int64), np.empty(len(codes), dtype=np.int32)
    rows = None if alike else np.empty(len(codes), dtype=np.int32)
    rows_by_pair(codes, order, starts, indptr, levels, rows)
    m = count_pairs(indptr, levels)
    link = Coupling(np.empty(m, np.int32), np.empty(m, np.int32), np.empty((m, left.shape[1], right.shape[1])))
    pair_products(indptr, levels, rows, left, right, weights, link.first, link.second, link.values)
    return link


def fixed_products(X: Float, y: Float, weights: Float | None) -> Float:
    """[X y]ᵀW[X y], (p + 1, p + 1)."""
    p = X.shape[1]
    products = np.zeros((p + 1, p + 1))
    for rows in row_chunks(len(y), p + 1):
        part, response = X[rows], y[rows]
        weighted = response if weights is None else weights[rows] * response
        products[:p, :p] += part.T @ (part if weights is None else part * weights[rows, None])
        products[:p, p] += part.T @ weighted
        products[p, p] += response @ weighted
    products[p, :p] = products[:p, p]
    return products


def cross_products(design: WorkingDesign, y: Float) -> CrossProducts:
    """Blocks of A for a working design and a working response y (n,)."""
    w, blocks, p = design.weights, design.blocks, design.X.shape[1]
    X, y = design.X, np.ascontiguousarray(y)
    codes = [_checked(block.codes, block.n_levels) for block in blocks]
    diagonal, rhs, coupling = [], [], {}
    for h, block in enumerate(blocks):
        K = block.columns.shape[1]
        diagonal.append(np.zeros((block.n_levels, K, K)))
        rhs.append(np.zeros((block.n_levels, K, p + 1)))
        level_products(codes[h], block.columns, w, X, y, diagonal[h], rhs[h])
        by_level = rows_by_level(codes[h], block.n_levels) if h else None
        for g, other in enumerate(blocks[:h]):
            coupling[g, h] = coupling_products(
                (codes[g], other.columns),
                (codes[h], block.columns),
                w,
                (other.n_levels, block.n_levels),
                by_level,
            )
    return CrossProducts(
        n=len(y),
        sum_log_weights=0.0 if w is None else float(np.log(w).sum()),
        diagonal=tuple(diagonal),
        coupling=dict(sorted(coupling.items())),
        rhs=tuple(rhs),
        fixed=fixed_products(X, y, w),
    )


def response_products(design: WorkingDesign, Y: Float) -> tuple[tuple[Float, ...], Float, Float]:
    """What A holds of responses, for many of them in one pass.

    Parameters
    ----------
    Y : (n, m) array
        Working responses.

    Returns
    -------
    rhs : tuple of (q_g, K_g, m) arrays
        Z_gᵀWY.
    fixed : (p, m) array
        XᵀWY.
    squares : (m,) array
        Diagonal of YᵀWY.
    """
    n, m = Y.shape
    w, p = design.weights, design.X.shape[1]
    codes = [_checked(block.codes, block.n_levels) for block in design.blocks]
    rhs = tuple(np.zeros((block.n_levels, block.columns.shape[1], m)) for block in design.blocks)
    fixed, squares = np.zeros((p, m)), np.zeros(m)
    for rows in row_chunks(n, m):
        part = np.ascontiguousarray(Y[rows])
        weighted = part if w is None else part * w[rows, None]
        for level, block, out in zip(codes, design.blocks, rhs, strict=True):
            right_products(level[rows], block.columns[rows], weighted, out)
        fixed += design.X[rows].T @ weighted
        squares += np.einsum("ij,ij->j", part, weighted)
    return rhs, fixed, squares


def replace_response(products: CrossProducts, design: WorkingDesign, y: Float) -> CrossProducts:
    """The same cross-products with another working response: only the last column of [X y] changes."""
    columns, fixed, squares = response_products(design, y[:, None])
    rhs = tuple(np.concatenate([old[:, :, :-1], new], axis=2) for old, new in zip(products.rhs, columns, strict=True))
    corner = products.fixed.copy()
    corner[-1, :-1] = corner[:-1, -1] = fixed[:, 0]
    corner[-1, -1] = squares[0]
    return replace(products, rhs=rhs, fixed=corner)
