"""Rows to a triangle: the same information as cross-products with all digits, for designs of few columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.numerics.dense import row_chunks

Float = NDArray[np.float64]


def triangular_rows(design: WorkingDesign, y: Float, weights: Float | None) -> Float:
    """R (N, N) with RᵀR = [Z X y]ᵀW[Z X y], upper triangular, from the rows and not from that product.

    Parameters
    ----------
    design : WorkingDesign
    y : (n,) array
        Working response.
    weights : (n,) array or None

    Returns
    -------
    (N, N) array
        Random effects of all factors in turn, level by level, fixed effects, and the response.
    """
    starts = np.cumsum([0] + [block.n_levels * block.columns.shape[1] for block in design.blocks])
    q, p = int(starts[-1]), design.X.shape[1]
    N = q + p + 1
    R = np.zeros((0, N))
    for rows in row_chunks(len(y), N):
        part = np.zeros((rows.stop - rows.start, N))
        for block, start in zip(design.blocks, starts, strict=False):
            k = block.columns.shape[1]
            places = start + k * block.codes[rows].astype(np.intp)
            np.put_along_axis(part, places[:, None] + np.arange(k), block.columns[rows], axis=1)
        part[:, q:-1], part[:, -1] = design.X[rows], y[rows]
        if weights is not None:
            part *= np.sqrt(weights[rows])[:, None]
        R = np.asarray(np.linalg.qr(np.vstack([R, part]), mode="r"))
    return np.vstack([R, np.zeros((max(0, N - len(R)), N))])
