"""Kernels of a dense core: what the leaves take away from it, and what its inverse gives back to them.

A dense core of n rows lives in one Fortran-ordered array (n, n + 1).  Its columns 0 … n−1 hold L, or the matrix before
it is factored, in their lower triangle; columns 1 … n hold (L Lᵀ)⁻¹ in their upper triangle.  The two never overlap.

The couplings of the leaves to the core come in compressed form: entries indptr[ℓ] … indptr[ℓ+1]−1 belong to leaf ℓ, in
increasing order of their core rows, with K values each.  Work is cut into panels of columns: what one panel touches
stays in the cache, and panels may go to different threads.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc


cdef int64_t* _first_entries(const int32_t[::1] rows, const int64_t[::1] indptr, int32_t column) except? NULL nogil:
    """First entry of every leaf at or after a column."""
    cdef Py_ssize_t q = indptr.shape[0] - 1, leaf
    cdef int64_t low, high, middle
    cdef int64_t* cursor = <int64_t*> malloc((q + 1) * sizeof(int64_t))
    if cursor == NULL:
        with gil:
            raise MemoryError("no memory for the cursors of a core update")
    for leaf in range(q):
        low, high = indptr[leaf], indptr[leaf + 1]
        while low < high:
            middle = (low + high) // 2
            if rows[middle] < column:
                low = middle + 1
            else:
                high = middle
        cursor[leaf] = low
    return cursor


def subtract_outer_products(
    double[::1, :] matrix,
    const int64_t[::1] indptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    const int64_t[::1] edges,
):
    """matrix −= Σ_ℓ w_ℓ w_ℓᵀ on the lower triangle of the columns edges[0] … edges[-1]−1.

    Parameters
    ----------
    matrix : (n, n + 1) array, Fortran order
    indptr, rows : (q + 1,), (m,) arrays
        Core rows of every leaf.
    w : (m, K) array
    edges : (P + 1,) array
        Borders of the panels, increasing.
    """
    cdef Py_ssize_t q = indptr.shape[0] - 1, K = w.shape[1], leaf, panel, a
    cdef int64_t i, j, stop
    cdef int32_t border
    cdef double value
    cdef double* column
    cdef int64_t* cursor
    with nogil:
        cursor = _first_entries(rows, indptr, <int32_t> edges[0])
        for panel in range(edges.shape[0] - 1):
            border = <int32_t> edges[panel + 1]
            for leaf in range(q):
                j, stop = cursor[leaf], indptr[leaf + 1]
                while j < stop and rows[j] < border:
                    column = &matrix[0, rows[j]]
                    if K == 1:
                        value = w[j, 0]
                        for i in range(j, stop):
                            column[rows[i]] -= value * w[i, 0]
                    elif K == 2:
                        for i in range(j, stop):
                            column[rows[i]] -= w[j, 0] * w[i, 0] + w[j, 1] * w[i, 1]
                    else:
                        for i in range(j, stop):
                            value = 0.0
                            for a in range(K):
                                value = value + w[j, a] * w[i, a]
                            column[rows[i]] -= value
                    j = j + 1
                cursor[leaf] = j
        free(cursor)


def quadratic_forms(
    const double[::1, :] matrix,
    const int64_t[::1] indptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    const int64_t[::1] edges,
    double[:, :, ::1] out,
):
    """out_ℓ += the share of w_ℓᵀ C w_ℓ that the columns edges[0] … edges[-1]−1 of the core's inverse C have in it.

    Parameters
    ----------
    matrix : (n, n + 1) array, Fortran order
        C in the upper triangle of its last n columns.
    indptr, rows, w, edges
        As in `subtract_outer_products`.
    out : (q, K, K) array
        Symmetric blocks.
    """
    cdef Py_ssize_t q = indptr.shape[0] - 1, K = w.shape[1], leaf, panel, a, b
    cdef int64_t i, j, start
    cdef int32_t border
    cdef double total, side
    cdef const double* column
    cdef int64_t* cursor
    with nogil:
        cursor = _first_entries(rows, indptr, <int32_t> edges[0])
        for panel in range(edges.shape[0] - 1):
            border = <int32_t> edges[panel + 1]
            for leaf in range(q):
                j, start = cursor[leaf], indptr[leaf]
                while j < indptr[leaf + 1] and rows[j] < border:
                    column = &matrix[0, rows[j] + 1]
                    if K == 1:
                        total = 0.0
                        for i in range(start, j):
                            total = total + column[rows[i]] * w[i, 0]
                        out[leaf, 0, 0] += w[j, 0] * (2.0 * total + column[rows[j]] * w[j, 0])
                    else:
                        for a in range(K):
                            total = 0.0
                            for i in range(start, j):
                                total = total + column[rows[i]] * w[i, a]
                            side = column[rows[j]] * w[j, a]
                            for b in range(K):
                                out[leaf, a, b] += (total + side) * w[j, b]
                                out[leaf, b, a] += total * w[j, b]
                    j = j + 1
                cursor[leaf] = j
        free(cursor)


def times_inverse(
    const double[::1, :] matrix,
    const int64_t[::1] indptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    double[:, ::1] out,
):
    """C w at the entries of w: out (m, K), C as in `quadratic_forms`."""
    cdef Py_ssize_t q = indptr.shape[0] - 1, K = w.shape[1], leaf, a
    cdef int64_t i, j
    cdef double value
    cdef const double* column
    with nogil:
        for leaf in range(q):
            for j in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(K):
                    out[j, a] = 0.0
            for j in range(indptr[leaf], indptr[leaf + 1]):
                column = &matrix[0, rows[j] + 1]
                for i in range(indptr[leaf], j):
                    value = column[rows[i]]
                    for a in range(K):
                        out[j, a] += value * w[i, a]
                        out[i, a] += value * w[j, a]
                value = column[rows[j]]
                for a in range(K):
                    out[j, a] += value * w[j, a]
