"""Sums over rows by level: the blocks of [Z X y]ᵀW[Z X y], straight from integer codes.

Rows are added in the order in which they come, level by level, as a loop over the rows would.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t

import numpy as np

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define prefetch(address) __builtin_prefetch(address)
    #else
    #define prefetch(address) ((void) (address))
    #endif
    """
    void prefetch(const void* address) nogil

cdef enum:
    AHEAD = 16  # rows between the one that is added and the one that is fetched from memory

ctypedef fused code_t:
    int8_t
    int16_t
    int32_t


def level_products(
    const code_t[::1] codes,
    const double[:, :] columns,
    const double[::1] weights,
    const double[:, :] X,
    const double[::1] y,
    double[:, :, ::1] diagonal,
    double[:, :, ::1] rhs,
):
    """Add ZᵀWZ to the diagonal blocks (q, K, K) and ZᵀW[X y] to rhs (q, K, p + 1) of one grouping factor.

    Parameters
    ----------
    codes : (n,) array of int8, int16 or int32
    columns : (n, K) array
        A column that all rows share may have stride 0; it costs no multiplications when it is the only one.
    weights : (n,) array or None
    X : (n, p) array
    y : (n,) array
    """
    cdef Py_ssize_t n = codes.shape[0], K = columns.shape[1], p = X.shape[1], q = diagonal.shape[0]
    cdef Py_ssize_t i, j, a, b, level
    cdef bint weighted = weights is not None
    cdef bint constant = K == 1 and n > 0 and columns.strides[0] == 0
    cdef double w = 1.0, left, unit = 1.0
    cdef double* out
    with nogil:
        if constant:
            unit = columns[0, 0]
        for i in range(n):
            level = codes[i]
            if weighted:
                w = weights[i]
            if constant:
                diagonal[level, 0, 0] += w
                out = &rhs[level, 0, 0]
                for j in range(p):
                    out[j] += w * X[i, j]
                out[p] += w * y[i]
            else:
                for a in range(K):
                    left = w * columns[i, a]
                    for b in range(a + 1):
                        diagonal[level, a, b] += left * columns[i, b]
                    out = &rhs[level, a, 0]
                    for j in range(p):
                        out[j] += left * X[i, j]
                    out[p] += left * y[i]
        if constant and unit != 1.0:
            for level in range(q):
                diagonal[level, 0, 0] *= unit * unit
                for j in range(p + 1):
                    rhs[level, 0, j] *= unit
        for level in range(q):
            for a in range(K):
                for b in range(a):
                    diagonal[level, b, a] = diagonal[level, a, b]


def right_products(
    const code_t[::1] codes,
    const double[:, :] columns,
    const double[:, ::1] right,
    double[:, :, ::1] out,
):
    """Add ZᵀR to out (q, K, m), for R (n, m); codes and columns as in `level_products`."""
    cdef Py_ssize_t n = codes.shape[0], K = columns.shape[1], m = right.shape[1], i, j, a
    cdef double left
    cdef double* row
    with nogil:
        for i in range(n):
            for a in range(K):
                left = columns[i, a]
                row = &out[codes[i], a, 0]
                for j in range(m):
                    row[j] += left * right[i, j]


def rows_by_level(const code_t[::1] codes, Py_ssize_t n_levels):
    """Rows sorted by level, those of one level in their order.

    Returns
    -------
    order : (n,) array of int32
    starts : (n_levels + 1,) array of int64
        Rows of level ℓ are order[starts[ℓ]] … order[starts[ℓ+1] − 1].
    """
    cdef Py_ssize_t n = codes.shape[0], i, level
    if n > 2147483647:
        raise ValueError("more rows than 32-bit integers can count")
    order = np.empty(n, dtype=np.int32)
    starts = np.zeros(n_levels + 1, dtype=np.int64)
    cursor = np.empty(n_levels, dtype=np.int64)
    cdef int32_t[::1] rows = order
    cdef int64_t[::1] start = starts, place = cursor
    with nogil:
        for i in range(n):
            start[codes[i] + 1] += 1
        for level in range(n_levels):
            start[level + 1] += start[level]
            place[level] = start[level]
        for i in range(n):
            level = codes[i]
            rows[place[level]] = <int32_t> i
            place[level] += 1
    return order, starts


def rows_by_pair(
    const code_t[::1] codes,
    const int32_t[::1] order,
    const int64_t[::1] starts,
    int64_t[::1] indptr,
    int32_t[::1] second,
    int32_t[::1] rows,
):
    """Rows sorted by the levels of two factors, those of one pair in their order.

    Parameters
    ----------
    codes : (n,) array
        Levels of the first factor.
    order, starts
        Rows by level of the second factor, from `rows_by_level`.
    indptr : (q + 1,) array of zeros
        Is filled: the rows of level ℓ of the first factor come at indptr[ℓ] … indptr[ℓ+1] − 1.
    second : (n,) array
        Is filled with the levels of the second factor.
    rows : (n,) array or None
        Is filled with the rows.
    """
    cdef Py_ssize_t q = indptr.shape[0] - 1, level, i, first
    cdef bint wanted = rows is not None
    cdef int64_t place
    with nogil:
        for i in range(codes.shape[0]):
            indptr[codes[i] + 1] += 1
        for first in range(q):
            indptr[first + 1] += indptr[first]
        # each entry serves as the cursor of its level and ends where the next begins; they are moved back at the end
        for level in range(starts.shape[0] - 1):
            for i in range(starts[level], starts[level + 1]):
                if i + AHEAD < codes.shape[0]:
                    prefetch(&codes[order[i + AHEAD]])
                first = codes[order[i]]
                place = indptr[first]
                indptr[first] = place + 1
                second[place] = <int32_t> level
                if wanted:
                    rows[place] = order[i]
        for first in range(q, 0, -1):
            indptr[first] = indptr[first - 1]
        indptr[0] = 0


def count_pairs(const int64_t[::1] indptr, const int32_t[::1] second):
    """Number of different pairs of levels among the rows that `rows_by_pair` has sorted."""
    cdef Py_ssize_t level
    cdef int64_t i, total = 0
    with nogil:
        for level in range(indptr.shape[0] - 1):
            for i in range(indptr[level], indptr[level + 1]):
                if i == indptr[level] or second[i] != second[i - 1]:
                    total += 1
    return total


def pair_products(
    const int64_t[::1] indptr,
    const int32_t[::1] second,
    const int32_t[::1] rows,
    const double[:, :] left,
    const double[:, :] right,
    const double[::1] weights,
    int32_t[::1] pair_first,
    int32_t[::1] pair_second,
    double[:, :, ::1] values,
):
    """Z_gᵀWZ_h on the pairs of levels that occur together, sorted by (first, second).

    Parameters
    ----------
    indptr, second, rows
        From `rows_by_pair`; rows may be None when neither columns nor weights differ between rows.
    left, right : (n, K_g), (n, K_h) arrays
        Columns of the two factors.
    weights : (n,) array or None
    pair_first, pair_second, values : (m,), (m,), (m, K_g, K_h) arrays
        Are overwritten; m as `count_pairs` says.
    """
    cdef Py_ssize_t K_g = left.shape[1], K_h = right.shape[1], n = second.shape[0], row = 0, level, a, b
    cdef bint weighted = weights is not None, counting = rows is None
    cdef int64_t i, place = -1
    cdef double w = 1.0, value
    with nogil:
        for level in range(indptr.shape[0] - 1):
            for i in range(indptr[level], indptr[level + 1]):
                if i == indptr[level] or second[i] != second[i - 1]:
                    place += 1
                    pair_first[place] = <int32_t> level
                    pair_second[place] = second[i]
                    for a in range(K_g):
                        for b in range(K_h):
                            values[place, a, b] = 0.0
                if counting:
                    values[place, 0, 0] += 1.0
                    continue
                if i + AHEAD < n:
                    row = rows[i + AHEAD]
                    prefetch(&left[row, 0])
                    prefetch(&right[row, 0])
                row = rows[i]
                if weighted:
                    w = weights[row]
                for a in range(K_g):
                    value = w * left[row, a]
                    for b in range(K_h):
                        values[place, a, b] += value * right[row, b]
        if counting and place >= 0:
            value = left[0, 0] * right[0, 0]
            for i in range(place + 1):
                values[i, 0, 0] *= value
