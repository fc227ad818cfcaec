"""Solves with the panels of a Cholesky factor, one supernode after another; panels are those of the module ``fronts``.

Right-hand sides are (n, m) in C order: for BLAS, columns of a matrix with m rows, so that the rows of a supernode are
adjacent and those below it are moved m numbers at a time.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport dgemm, dtrsm

cdef enum:
    SMALL = 2000  # products up to which loops written here beat calls of BLAS

cdef char* LOWER = b"L"
cdef char* RIGHT = b"R"
cdef char* PLAIN = b"N"
cdef char* TRANSPOSED = b"T"
cdef double ONE = 1.0
cdef double MINUS = -1.0
cdef double ZERO = 0.0


def solve_forward(
    const double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    double[:, ::1] right,
    double[::1] work,
):
    """right = L⁻¹ right, (n, m); ``work`` has room for the rows below one panel, m numbers each."""
    cdef int64_t s, e, n = starts.shape[0] - 1
    cdef int width, rows, height, m = <int> right.shape[1], i, j, k
    cdef double value
    cdef double* own
    cdef double* other
    cdef double* panel
    with nogil:
        for s in range(n):
            width = <int> (starts[s + 1] - starts[s])
            rows = <int> (indptr[s + 1] - indptr[s])
            height = width + rows
            panel = <double*> &panels[edges[s]]
            own = &right[starts[s], 0]
            if <int64_t> height * width * m <= SMALL:
                for j in range(width):
                    value = 1.0 / panel[j * height + j]
                    for k in range(m):
                        own[j * m + k] *= value
                    for i in range(j + 1, height):
                        value = panel[j * height + i]
                        other = own + i * m if i < width else &right[below[indptr[s] + i - width], 0]
                        for k in range(m):
                            other[k] -= value * own[j * m + k]
                continue
            dtrsm(RIGHT, LOWER, TRANSPOSED, PLAIN, &m, &width, &ONE, panel, &height, own, &m)
            if rows == 0:
                continue
            dgemm(
                PLAIN, TRANSPOSED, &m, &rows, &width, &ONE, own, &m, panel + width, &height, &ZERO, &work[0], &m
            )
            for e in range(rows):
                other = &right[below[indptr[s] + e], 0]
                for k in range(m):
                    other[k] -= work[e * m + k]


def solve_backward(
    const double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    double[:, ::1] right,
    double[::1] work,
):
    """right = L⁻ᵀ right, as `solve_forward`."""
    cdef int64_t s, e, n = starts.shape[0] - 1
    cdef int width, rows, height, m = <int> right.shape[1], i, j, k
    cdef double value
    cdef double* own
    cdef double* other
    cdef double* panel
    with nogil:
        for s in range(n - 1, -1, -1):
            width = <int> (starts[s + 1] - starts[s])
            rows = <int> (indptr[s + 1] - indptr[s])
            height = width + rows
            panel = <double*> &panels[edges[s]]
            own = &right[starts[s], 0]
            if <int64_t> height * width * m <= SMALL:
                for j in range(width - 1, -1, -1):
                    for i in range(j + 1, height):
                        value = panel[j * height + i]
                        other = own + i * m if i < width else &right[below[indptr[s] + i - width], 0]
                        for k in range(m):
                            own[j * m + k] -= value * other[k]
                    value = 1.0 / panel[j * height + j]
                    for k in range(m):
                        own[j * m + k] *= value
                continue
            if rows > 0:
                for e in range(rows):
                    memcpy(&work[e * m], &right[below[indptr[s] + e], 0], m * sizeof(double))
                dgemm(
                    PLAIN, PLAIN, &m, &width, &rows, &MINUS, &work[0], &m, panel + width, &height, &ONE, own, &m
                )
            dtrsm(RIGHT, LOWER, PLAIN, PLAIN, &m, &width, &ONE, panel, &height, own, &m)
