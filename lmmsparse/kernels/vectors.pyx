"""Kernels for vectors of random effects: products with the blocks of a matrix that has the layout of a plan.

A vector is a (q, K, m) array a grouping factor, m columns at once; rows of the core are one (rows, m) array.
"""

from libc.stdint cimport int32_t, int64_t


def blocks_times(const double[:, :, ::1] blocks, const double[:, :, ::1] x, bint transposed, double[:, :, ::1] out):
    """out = B x for every block B (q, K, K), or Bᵀ x; out is not x."""
    cdef Py_ssize_t q = blocks.shape[0], K = blocks.shape[1], m = x.shape[2], i, a, b, c
    cdef double value
    with nogil:
        for i in range(q):
            for a in range(K):
                for c in range(m):
                    out[i, a, c] = 0.0
                for b in range(K):
                    value = blocks[i, b, a] if transposed else blocks[i, a, b]
                    if value != 0.0:
                        for c in range(m):
                            out[i, a, c] += value * x[i, b, c]


def add_to_core(
    const int64_t[::1] indptr, const int32_t[::1] rows, const double[:, ::1] w, const double[:, :, ::1] x,
    double sign, double[:, ::1] core,
):
    """core += sign · w x: entries w (m, K) of the leaves x (q, K, m) onto the rows of the core."""
    cdef Py_ssize_t q = x.shape[0], K = x.shape[1], m = x.shape[2], leaf, a, c
    cdef int64_t e
    cdef double value
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(K):
                    value = sign * w[e, a]
                    for c in range(m):
                        core[rows[e], c] += value * x[leaf, a, c]


def add_from_core(
    const int64_t[::1] indptr, const int32_t[::1] rows, const double[:, ::1] w, const double[:, ::1] core,
    double sign, double[:, :, ::1] x,
):
    """x += sign · wᵀ core, the transpose of `add_to_core`."""
    cdef Py_ssize_t q = x.shape[0], K = x.shape[1], m = x.shape[2], leaf, a, c
    cdef int64_t e
    cdef double value
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(K):
                    value = sign * w[e, a]
                    for c in range(m):
                        x[leaf, a, c] += value * core[rows[e], c]


def add_pairs(
    const int32_t[::1] first, const int32_t[::1] second, const double[:, :, ::1] values, const double[:, :, ::1] x,
    double sign, double[:, :, ::1] out,
):
    """out[first] += sign · B x[second] for pairs of levels with blocks B (pairs, K_first, K_second)."""
    cdef Py_ssize_t pairs = values.shape[0], m = x.shape[2], i, a, b, c
    cdef double value
    with nogil:
        for i in range(pairs):
            for a in range(values.shape[1]):
                for b in range(values.shape[2]):
                    value = sign * values[i, a, b]
                    for c in range(m):
                        out[first[i], a, c] += value * x[second[i], b, c]


def add_pairs_transposed(
    const int32_t[::1] first, const int32_t[::1] second, const double[:, :, ::1] values, const double[:, :, ::1] x,
    double sign, double[:, :, ::1] out,
):
    """out[second] += sign · Bᵀ x[first], the transpose of `add_pairs`."""
    cdef Py_ssize_t pairs = values.shape[0], m = x.shape[2], i, a, b, c
    cdef double value
    with nogil:
        for i in range(pairs):
            for a in range(values.shape[1]):
                for b in range(values.shape[2]):
                    value = sign * values[i, a, b]
                    for c in range(m):
                        out[second[i], b, c] += value * x[first[i], a, c]
