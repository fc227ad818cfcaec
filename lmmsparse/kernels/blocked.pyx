"""Steps of a blocked Cholesky factorization and of the inverse from it, for threads of our own.

One Fortran-ordered array (n, n + 1) holds L in the lower triangle of its first n columns and the inverse C = (L Lᵀ)⁻¹
in the upper triangle of its last n.  A step works on the block J = start … stop−1; ranges of rows or columns with the
same J never overlap, so that they may go to different threads.  BLAS is SciPy's.
"""

from scipy.linalg.cython_blas cimport dgemm, dsymm, dsyrk, dtrsm
from scipy.linalg.cython_lapack cimport dpotrf, dpotri


def factor_diagonal(double[::1, :] matrix, int start, int stop):
    """L_JJ of A_JJ − L_J< L_J<ᵀ, in place.

    Returns
    -------
    int
        0, or the order of the first minor that is not positive definite.
    """
    cdef int ld = matrix.shape[0], size = stop - start, info = 0, j
    cdef double one = 1.0, minus = -1.0
    cdef double* A = &matrix[0, 0]
    cdef double* left = A + start
    cdef double* corner = A + start + <Py_ssize_t> start * ld
    with nogil:
        if start:
            dsyrk("L", "N", &size, &start, &minus, left, &ld, &one, corner, &ld)
        dpotrf("L", &size, corner, &ld, &info)
        if info == 0:
            for j in range(size):  # LAPACK may let NaN pass
                if not matrix[start + j, start + j] > 0.0:
                    info = j + 1
                    break
    return info


def subtract_left(double[::1, :] matrix, int start, int stop, int first, int last):
    """A_RJ −= L_R< L_J<ᵀ for the rows R = first … last−1 below J."""
    cdef int ld = matrix.shape[0], size = stop - start, rows = last - first
    cdef double one = 1.0, minus = -1.0
    cdef double* A = &matrix[0, 0]
    cdef double* target = A + first + <Py_ssize_t> start * ld
    with nogil:
        if start and rows:
            dgemm("N", "T", &rows, &size, &start, &minus, A + first, &ld, A + start, &ld, &one, target, &ld)


def solve_right(double[::1, :] matrix, int start, int stop, int first, int last):
    """L_RJ = A_RJ L_JJ⁻ᵀ for the rows R = first … last−1 below J, in place."""
    cdef int ld = matrix.shape[0], size = stop - start, rows = last - first
    cdef double one = 1.0
    cdef double* A = &matrix[0, 0]
    cdef double* column = A + <Py_ssize_t> start * ld
    with nogil:
        if rows:
            dtrsm("R", "L", "T", "N", &rows, &size, &one, column + start, &ld, column + first, &ld)


def invert_diagonal(double[::1, :] matrix, int start, int stop):
    """L_JJ⁻ᵀ L_JJ⁻¹ in the place of C_JJ.

    Returns
    -------
    int
        0, or the position of a zero on the diagonal of L_JJ.
    """
    cdef int ld = matrix.shape[0], size = stop - start, info = 0, i, j
    cdef double* C = &matrix[0, 0] + ld
    with nogil:
        for j in range(size):
            for i in range(j + 1):
                matrix[start + i, start + j + 1] = matrix[start + j, start + i]
        dpotri("U", &size, C + start + <Py_ssize_t> start * ld, &ld, &info)
    return info


def scale_rows(const double[::1, :] matrix, int start, int stop, double[::1, :] scaled, int first, int last):
    """scaled = (L_QJ L_JJ⁻¹)ᵀ for the rows Q = first … last−1 below J.

    They are the columns from first − stop on of an array (size of J, n − stop).
    """
    cdef int ld = matrix.shape[0], size = stop - start, width = last - first, height = scaled.shape[0], i, j
    cdef double one = 1.0
    cdef double* corner = <double*> &matrix[0, 0] + start + <Py_ssize_t> start * ld
    with nogil:
        for j in range(first, last):
            for i in range(size):
                scaled[i, j - stop] = matrix[j, start + i]
        if width:
            dtrsm("L", "L", "T", "N", &size, &width, &one, corner, &ld, &scaled[0, first - stop], &height)


def inverse_columns(double[::1, :] matrix, int start, int stop, const double[::1, :] scaled, int first, int last):
    """C_JQ = −(L_RJ L_JJ⁻¹)ᵀ C_RQ for the columns Q = first … last−1 after J, R being all rows after J.

    Parameters
    ----------
    matrix : (n, n + 1) array
        C is known in all rows and columns after J.
    scaled : (size of J, n − stop) array
        From `scale_rows`.
    """
    cdef int ld = matrix.shape[0], n = matrix.shape[0], size = stop - start, width = last - first
    cdef int before = first - stop, after = n - last, height = scaled.shape[0]
    cdef double one = 1.0, minus = -1.0, zero = 0.0
    cdef double* C = &matrix[0, 0] + ld
    cdef double* Y = <double*> &scaled[0, 0]
    cdef double* out = C + start + <Py_ssize_t> first * ld
    cdef double* middle = C + first + <Py_ssize_t> first * ld
    with nogil:
        if width:
            dsymm(
                "R", "U", &size, &width, &minus, middle, &ld, Y + <Py_ssize_t> before * height, &height, &zero, out, &ld
            )
            if before:
                dgemm(
                    "N", "N", &size, &width, &before, &minus, Y, &height,
                    C + stop + <Py_ssize_t> first * ld, &ld, &one, out, &ld,
                )
            if after:
                dgemm(
                    "N", "T", &size, &width, &after, &minus, Y + <Py_ssize_t> (last - stop) * height, &height,
                    C + first + <Py_ssize_t> last * ld, &ld, &one, out, &ld,
                )


def row_products(
    const double[::1, :] matrix, int start, int stop, const double[::1, :] scaled, int first, int last,
    double[::1, :] product,
):
    """product = (L_QJ L_JJ⁻¹)ᵀ C_QJ for the rows Q = first … last−1 after J: (size of J, size of J)."""
    cdef int ld = matrix.shape[0], size = stop - start, width = last - first, height = scaled.shape[0]
    cdef int side = product.shape[0]
    cdef double one = 1.0, zero = 0.0
    cdef double* C = <double*> &matrix[0, 0] + ld
    with nogil:
        dgemm(
            "N", "T", &size, &size, &width, &one, <double*> &scaled[0, first - stop], &height,
            C + start + <Py_ssize_t> first * ld, &ld, &zero, &product[0, 0], &side,
        )


def subtract_product(double[::1, :] matrix, int start, int stop, const double[::1, :] product):
    """C_JJ −= product in its upper triangle."""
    cdef int size = stop - start, i, j
    with nogil:
        for j in range(size):
            for i in range(j + 1):
                matrix[start + i, start + j + 1] -= product[i, j]
