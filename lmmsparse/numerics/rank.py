"""Which columns of a matrix are independent of those before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.numerics.dense import row_chunks
from lmmsparse.numerics.orthonormal import unit_scales

# R's lm() uses 1e-7 as well, relative to the raw length of a column.  Here the length is taken after centring,
# so that the year 2001...2020 and its powers are not mistaken for a constant.
RELATIVE_TOLERANCE = 1e-7
ROUNDING_MARGIN = 32.0
# No column is dropped, and no basis needed to see it, when in the Gram matrix of the columns about their means every
# column keeps this share of its length beside those before it, and its spread this share of its size.
CLEAR_SHARE = 1e-2
CLEAR_SPREAD = 1e-6
# A column that makes less than this of the length of one that it helps to span is no part of it.
SMALLEST_SHARE = 1e-11


def independent_columns(X: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> NDArray[np.intp]:
    """Indices of the columns kept when each column spanned by earlier ones is dropped.

    A column is dropped when the part of it that is orthogonal to the kept columns before it is shorter than
    1e-7 of its length about its mean, or is no longer than rounding errors in the column can make it.

    Parameters
    ----------
    X : (n, p) array
        Finite values.
    weights : (n,) array, optional
        Positive prior weights w; lengths and angles are those of W^(1/2) X.

    Returns
    -------
    (rank,) array of int
        Increasing column indices.
    """
    n, p = X.shape
    if p == 0 or n == 0:
        return np.arange(0)
    if _clearly_independent(X, weights):
        return np.arange(p)
    root = np.ones(n) if weights is None else np.sqrt(weights)
    unit = root / np.linalg.norm(root)
    basis = np.empty((n, min(n, p)), order="F")
    kept: list[int] = []
    for j in range(p):
        magnitude = float(np.max(np.abs(X[:, j])))
        if magnitude == 0.0 or len(kept) == basis.shape[1]:
            continue
        column = root * (X[:, j] / magnitude)
        length = np.linalg.norm(column)
        about_mean = np.linalg.norm(column - unit * (unit @ column))
        constant = about_mean <= ROUNDING_MARGIN * np.finfo(float).eps * length
        Q = basis[:, : len(kept)]
        for _ in range(2):  # the second pass removes what rounding left in the first
            column -= Q @ (Q.T @ column)
        remaining = np.linalg.norm(column)
        threshold = max(
            RELATIVE_TOLERANCE * (length if constant else about_mean),
            ROUNDING_MARGIN * np.finfo(float).eps * length,
        )
        if remaining > threshold:
            basis[:, len(kept)] = column / remaining
            kept.append(j)
    return np.asarray(kept, dtype=np.intp)


def spanning_coefficients(
    X: NDArray[np.float64], kept: NDArray[np.intp], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The coefficients A with X_other = X_kept A, (kept, others), for the columns that others span.

    Parameters
    ----------
    X : (n, p) array
    kept : array of int
        What `independent_columns` found.
    weights : (n,) array, optional
        Positive prior weights.
    """
    others = np.setdiff1d(np.arange(X.shape[1]), kept)
    if not others.size:
        return np.zeros((len(kept), 0))
    root = np.ones((len(X), 1)) if weights is None else np.sqrt(weights)[:, None]
    lengths = np.maximum(np.linalg.norm(root * X, axis=0), np.finfo(float).tiny)
    Q, R = np.linalg.qr(root * X[:, kept] / lengths[kept])
    shares = np.linalg.solve(R, Q.T @ (root * X[:, others] / lengths[others]))
    shares[np.abs(shares) < SMALLEST_SHARE] = 0.0  # rounding
    return np.asarray(shares * lengths[others] / lengths[kept][:, None])


def _clearly_independent(X: NDArray[np.float64], weights: NDArray[np.float64] | None) -> bool:
    """Whether no column can come near being dropped; False says nothing.

    Beside a constant, less of a column remains than without one.  So it may be taken to come first, unless a constant
    column comes later: that is not decided here.
    """
    n, p = X.shape
    highest, lowest = X.max(axis=0), X.min(axis=0)
    constant = highest == lowest
    if p >= n or constant[1:].any() or (constant[0] and highest[0] == 0.0):
        return False
    if p == 1 and constant[0]:
        return True
    first = int(constant[0])
    scale = unit_scales(np.maximum(highest, -lowest))[first:]
    shares = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    means, squares = np.zeros(p - first), np.zeros((p - first, p - first))
    for rows in row_chunks(n, p):
        means += shares[rows] @ (X[rows, first:] / scale)
    for rows in row_chunks(n, p):
        part = X[rows, first:] / scale - means
        squares += part.T @ (part * shares[rows, None])
    spread = np.sqrt(np.diag(squares))
    if not (spread > CLEAR_SPREAD * np.abs(means)).all() or not np.isfinite(squares).all():
        return False
    try:
        remaining = np.diag(np.linalg.cholesky(squares / spread / spread[:, None]))
    except np.linalg.LinAlgError:
        return False
    return bool((remaining > CLEAR_SHARE).all())
