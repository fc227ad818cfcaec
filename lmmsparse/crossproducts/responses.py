"""What cross-products hold of responses: many of them in one pass, or one in place of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.crossproducts.sums import checked_codes
from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.kernels.sums import right_products
from lmmsparse.numerics.dense import row_chunks

Float = NDArray[np.float64]


def response_products(design: WorkingDesign, Y: Float, weights: Float | None) -> tuple[tuple[Float, ...], Float, Float]:
    """Cross-products with many responses.

    Parameters
    ----------
    design : WorkingDesign
    Y : (n, m) array
        Working responses.
    weights : (n,) array or None

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
    p = design.X.shape[1]
    codes = [checked_codes(block.codes, block.n_levels) for block in design.blocks]
    rhs = tuple(np.zeros((block.n_levels, block.columns.shape[1], m)) for block in design.blocks)
    fixed, squares = np.zeros((p, m)), np.zeros(m)
    for rows in row_chunks(n, m):
        part = np.ascontiguousarray(Y[rows])
        weighted = part if weights is None else part * weights[rows, None]
        for level, block, out in zip(codes, design.blocks, rhs, strict=True):
            right_products(level[rows], block.columns[rows], weighted, out)
        fixed += design.X[rows].T @ weighted
        squares += np.einsum("ij,ij->j", part, weighted)
    return rhs, fixed, squares


def replace_response(products: CrossProducts, design: WorkingDesign, y: Float, weights: Float | None) -> CrossProducts:
    """The same cross-products with another working response: only the last column of [X y] changes."""
    columns, fixed, squares = response_products(design, y[:, None], weights)
    rhs = tuple(np.concatenate([old[:, :, :-1], new], axis=2) for old, new in zip(products.rhs, columns, strict=True))
    corner = products.fixed.copy()
    corner[-1, :-1] = corner[:-1, -1] = fixed[:, 0]
    corner[-1, -1] = squares[0]
    return replace(products, rhs=rhs, fixed=corner)
