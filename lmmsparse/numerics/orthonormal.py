"""Orthonormal columns from tall matrices, without copies of them.

Cholesky's factorization of the Gram matrix, applied twice, reads the rows in blocks that stay in the cache and is as
accurate as Householder's reflections while the columns are far from dependent.  Otherwise, and where there are few
rows, Householder it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgeqrf, dorgqr

from lmmsparse.numerics.dense import row_chunks

Float = NDArray[np.float64]

# Below this many numbers Householder's reflections are as fast.
FEW_NUMBERS = 1 << 16
# Largest condition number of unit columns for which Cholesky's way is taken: its first pass leaves angles of the order
# of the rounding error times the square of it, the second removes them.
WELL_CONDITIONED = 1e5


def unit_scales(magnitude: Float) -> Float:
    """Powers of two near some magnitudes, 1 for zero: division by them is exact."""
    return np.ldexp(1.0, np.where(magnitude > 0, np.frexp(magnitude)[1] - 1, 0))


def magnitudes(columns: Float) -> Float:
    """Largest absolute value of every column of (n, k), n > 0."""
    return np.maximum(columns.max(axis=0), -columns.min(axis=0))


def gram(columns: Float, weights: Float | None = None) -> Float:
    """CᵀWC of columns C (n, k), summed in blocks of rows."""
    n, k = columns.shape
    total = np.zeros((k, k))
    for rows in row_chunks(n, k):
        part = columns[rows]
        total += part.T @ (part if weights is None else part * weights[rows, None])
    return total


def orthonormalized(work: Float, lower: bool = False) -> tuple[Float, Float]:
    """Q (n, k) with QᵀQ = n I and triangular R with C = Q R.

    Parameters
    ----------
    work : (n, k) array, Fortran order, n >= k
        C, of entries about 1 in size at most; it is overwritten, mostly by Q.
    lower : bool
        R is to be lower triangular; upper triangular otherwise.
    """
    n, k = work.shape
    if n * k > FEW_NUMBERS:
        R = _cholesky_twice(work, lower)
        if R is not None:
            return work, R
    return _householder(np.asfortranarray(work[:, ::-1]), True) if lower else _householder(work, False)


def _householder(work: Float, reverse: bool) -> tuple[Float, Float]:
    """QR, or QL by way of the QR of the columns in reverse order."""
    n, k = work.shape
    reflectors, tau, _, info = dgeqrf(work, lwork=64 * max(1, k), overwrite_a=True)
    R = np.triu(reflectors[:k])
    Q, _, info = dorgqr(reflectors, tau, lwork=64 * max(1, k), overwrite_a=True)
    assert info == 0
    Q *= np.sqrt(n)
    R /= np.sqrt(n)
    return (np.asfortranarray(Q[:, ::-1]), R[::-1, ::-1]) if reverse else (Q, R)


def _cholesky_twice(work: Float, lower: bool) -> Float | None:
    """Overwrite C by Q and return R; None, and C as it was, when columns are nearly dependent."""
    n = len(work)
    first = _triangle(gram(work) / n, lower)
    if first is None:
        return None
    second = _triangle(_multiply(work, first[1]) / n, lower)
    assert second is not None  # the columns are orthonormal to many digits
    _multiply(work, second[1])
    return np.asarray(second[0] @ first[0])


def _triangle(G: Float, lower: bool) -> tuple[Float, Float] | None:
    """Triangular R with G = RᵀR and its inverse; None when unit columns with these angles are nearly dependent."""
    lengths: Float = np.sqrt(np.diag(G))
    if not (lengths > 0).all():
        return None
    cosines = G / lengths / lengths[:, None]
    try:
        L = np.linalg.cholesky(cosines[::-1, ::-1] if lower else cosines)
    except np.linalg.LinAlgError:
        return None
    R = L.T[::-1, ::-1] if lower else L.T
    inverse = np.linalg.inv(R)
    if not np.linalg.norm(R) * np.linalg.norm(inverse) < WELL_CONDITIONED:
        return None
    inverse = np.tril(inverse) if lower else np.triu(inverse)
    return np.asarray(R * lengths), inverse / lengths[:, None]


def _multiply(work: Float, T: Float) -> Float:
    """Overwrite C by C T; the Gram matrix of the new columns."""
    n, k = work.shape
    total = np.zeros((k, k))
    for rows in row_chunks(n, k):
        part = work[rows] @ T
        total += part.T @ part
        work[rows] = part
    return total
