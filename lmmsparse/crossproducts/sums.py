"""From rows to cross-products: blocks come straight from integer codes, never from an n × q matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts, Factors, Pairs, Pattern
from lmmsparse.design.coordinates import WorkingBlock, WorkingDesign
from lmmsparse.frame import Codes
from lmmsparse.kernels.sums import count_pairs, level_products, pair_products, rows_by_level, rows_by_pair
from lmmsparse.numerics.dense import row_chunks

Float = NDArray[np.float64]
Index = NDArray[np.int32]
ByLevel = tuple[Index, NDArray[np.int64]]

CODE_TYPES = (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32))


def checked_codes(codes: Codes, n_levels: int) -> Codes:
    """Codes as the kernels take them: of 8, 16 or 32 bits with a sign, one after the other, and none astray."""
    if len(codes) and not 0 <= codes.min() <= codes.max() < n_levels:
        raise ValueError(f"codes must lie between 0 and {n_levels - 1}")
    return np.ascontiguousarray(codes if codes.dtype in CODE_TYPES else codes.astype(np.int32))


@dataclass(frozen=True)
class SortedRows:
    """Rows sorted by the levels of two factors, as `lmmsparse.kernels.sums.rows_by_pair` fills them.

    Attributes
    ----------
    indptr : (q_g + 1,) array
    second : (n,) array
        Levels of the second factor.
    rows : (n,) array or None
        None where every row adds the same.
    """

    indptr: NDArray[np.int64]
    second: Index
    rows: Index | None


@dataclass(frozen=True)
class RowOrder:
    """Where the rows of a design fall on its pattern: found once, for sums with other weights or responses.

    Attributes
    ----------
    pattern : Pattern
    pairs : dict (g, h) → SortedRows
    """

    pattern: Pattern
    pairs: dict[Factors, SortedRows]


def row_order(design: WorkingDesign) -> RowOrder:
    """Sort the rows of a design by the pairs of levels that they belong to."""
    links, sorted_rows = {}, {}
    for h, block in enumerate(design.blocks):
        by_level = _by_level(block) if h else None
        for g, other in enumerate(design.blocks[:h]):
            by_pair = _sorted_rows(other, by_level, alike=False)
            sorted_rows[g, h] = by_pair
            m = count_pairs(by_pair.indptr, by_pair.second)
            links[g, h] = Pairs(np.empty(m, np.int32), np.empty(m, np.int32))
            # only the pairs are wanted: one number for all rows instead of columns
            one, ignored = np.zeros((1, 1)), np.empty((m, 1, 1))
            pair_products(by_pair.indptr, by_pair.second, None, one, one, None, *_ends(links[g, h]), ignored)
    return RowOrder(_pattern(design, links), {key: sorted_rows[key] for key in sorted(sorted_rows)})


def cross_products(
    design: WorkingDesign, y: Float, weights: Float | None, order: RowOrder | None = None
) -> CrossProducts:
    """Blocks of A for a working design, a working response and weights.

    Parameters
    ----------
    design : WorkingDesign
    y : (n,) array
    weights : (n,) array or None
        Diagonal of W; None for ones.
    order : RowOrder, optional
        That of the design: without it the rows are sorted, which takes about as long as the sums.
    """
    blocks, p = design.blocks, design.X.shape[1]
    X, y = design.X, np.ascontiguousarray(y)
    diagonal, rhs, coupling, links = [], [], {}, {}
    for h, block in enumerate(blocks):
        K = block.columns.shape[1]
        diagonal.append(np.zeros((block.n_levels, K, K)))
        rhs.append(np.zeros((block.n_levels, K, p + 1)))
        codes = checked_codes(block.codes, block.n_levels)
        level_products(codes, block.columns, weights, X, y, diagonal[h], rhs[h])
        by_level = _by_level(block) if h and order is None else None
        for g, other in enumerate(blocks[:h]):
            by_pair = order.pairs[g, h] if order else _sorted_rows(other, by_level, _alike(other, block, weights))
            m = len(order.pattern.pairs[g, h]) if order else count_pairs(by_pair.indptr, by_pair.second)
            link = Pairs(np.empty(m, np.int32), np.empty(m, np.int32))
            coupling[g, h] = np.empty((m, other.columns.shape[1], K))
            pair_products(
                by_pair.indptr,
                by_pair.second,
                by_pair.rows,
                other.columns,
                block.columns,
                weights,
                *_ends(link),
                coupling[g, h],
            )
            links[g, h] = link
    return CrossProducts(
        pattern=order.pattern if order else _pattern(design, links),
        n=len(y),
        log_det=0.0 if weights is None else float(np.log(weights).sum()),
        diagonal=tuple(diagonal),
        coupling=dict(sorted(coupling.items())),
        rhs=tuple(rhs),
        fixed=fixed_products(X, y, weights),
    )


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


def _by_level(block: WorkingBlock) -> ByLevel:
    return rows_by_level(checked_codes(block.codes, block.n_levels), block.n_levels)


def _sorted_rows(first: WorkingBlock, by_level: ByLevel | None, alike: bool) -> SortedRows:
    """Rows by the levels of a factor and of the one that ``by_level`` has sorted them by."""
    assert by_level is not None
    codes = checked_codes(first.codes, first.n_levels)
    indptr, second = np.zeros(first.n_levels + 1, dtype=np.int64), np.empty(len(codes), dtype=np.int32)
    rows = None if alike else np.empty(len(codes), dtype=np.int32)
    rows_by_pair(codes, *by_level, indptr, second, rows)
    return SortedRows(indptr, second, rows)


def _alike(one: WorkingBlock, other: WorkingBlock, weights: Float | None) -> bool:
    """Whether every row adds the same number: intercepts without weights."""
    left, right = one.columns, other.columns
    return weights is None and left.shape[1] == right.shape[1] == 1 and left.strides[0] == right.strides[0] == 0


def _ends(link: Pairs) -> tuple[Index, Index]:
    return link.first, link.second


def _pattern(design: WorkingDesign, links: dict[Factors, Pairs]) -> Pattern:
    shapes = tuple((block.n_levels, block.columns.shape[1]) for block in design.blocks)
    return Pattern(shapes, dict(sorted(links.items())))
