"""Supernodal Cholesky factorization and its mirror image, the selected inverse.

The columns J of supernode s are one panel, column after column, with the rows J and then the rows R below: a matrix of
|J| + |R| rows that begins at edges[s].  What a supernode takes away from its ancestors (the factorization, upwards), or
needs to know of their inverse (downwards), is a matrix on R × R.  These matrices wait on a stack; the children of a
supernode are on its top when it is reached.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove
from scipy.linalg.cython_blas cimport dgemm, dsymm, dsyrk, dtrsm
from scipy.linalg.cython_lapack cimport dpotrf, dpotri

cdef enum:
    NARROW = 12  # columns up to which loops written here may beat calls of BLAS
    SMALL = 6000  # ... and products
    STRIP = 96  # columns of a symmetric product that are computed at a time

cdef char* LOWER = b"L"
cdef char* LEFT = b"L"
cdef char* RIGHT = b"R"
cdef char* PLAIN = b"N"
cdef char* TRANSPOSED = b"T"
cdef double ONE = 1.0
cdef double MINUS = -1.0
cdef double ZERO = 0.0


cdef int _factor_panel(double* panel, int height, int width) noexcept nogil:
    """L of the columns of a front, in place; otherwise 1 + the column without a positive pivot."""
    cdef int i, j, k, info = 0, below = height - width
    cdef double pivot, scale
    cdef double* column
    cdef double* later
    if width > NARROW or <int64_t> height * width * width > SMALL:
        dpotrf(LOWER, &width, panel, &height, &info)
        if info == 0 and below > 0:
            dtrsm(RIGHT, LOWER, TRANSPOSED, PLAIN, &below, &width, &ONE, panel, &height, panel + width, &height)
        return info
    for k in range(width):
        column = panel + <int64_t> k * height
        pivot = column[k]
        if not pivot > 0.0:
            return k + 1
        pivot = sqrt(pivot)
        column[k] = pivot
        scale = 1.0 / pivot
        for i in range(k + 1, height):
            column[i] *= scale
        for j in range(k + 1, width):
            later = panel + <int64_t> j * height
            scale = column[j]
            for i in range(j, height):
                later[i] -= scale * column[i]
    return 0


cdef void _outer_product(double* out, const double* below, int height, int width, int n) noexcept nogil:
    """out = −B Bᵀ for the n rows B below a panel; the lower triangle."""
    cdef int i, j, k
    cdef double scale
    cdef double* target
    cdef const double* column
    if width > NARROW or <int64_t> n * n * width > SMALL:
        dsyrk(LOWER, PLAIN, &n, &width, &MINUS, <double*> below, &height, &ZERO, out, &n)
        return
    for j in range(n):
        target = out + <int64_t> j * n
        for i in range(j, n):
            target[i] = 0.0
        for k in range(width):
            column = below + <int64_t> k * height
            scale = column[j]
            for i in range(j, n):
                target[i] -= scale * column[i]


cdef void _add_child(
    const double* update, const int32_t* relative, int n, double* panel, int height, int width, double* rest
) noexcept nogil:
    """Add a child's update matrix to the columns of a front (panel), or to what is right of them if it is given."""
    cdef int i, j, inside = 0, below = height - width
    cdef const double* column
    cdef double* target
    while inside < n and relative[inside] < width:
        inside = inside + 1
    if rest == NULL:
        for j in range(inside):
            column = update + <int64_t> j * n
            target = panel + <int64_t> relative[j] * height
            for i in range(j, n):
                target[relative[i]] += column[i]
    else:
        for j in range(inside, n):
            column = update + <int64_t> j * n
            target = rest + <int64_t> (relative[j] - width) * below - width
            for i in range(j, n):
                target[relative[i]] += column[i]


def factor_fronts(
    double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] relative,
    const int32_t[::1] last_child,
    const int32_t[::1] previous,
    double[::1] stack,
):
    """L in place of the lower triangle of a matrix.

    Parameters
    ----------
    panels : array
        Zero where the matrix is.
    starts, edges, indptr : (S + 1,) arrays
        First row of each supernode, first number of its panel, first of its rows below.
    relative : array
        Places of the rows below in the front of the parent.
    last_child, previous : (S,) arrays
    stack : array
        Room for the update matrices.

    Returns
    -------
    int
        −1, or a row without a positive pivot.
    """
    cdef int64_t s, top = 0, child_top, n = starts.shape[0] - 1
    cdef int width, below, height, info = 0, rows
    cdef int32_t child
    cdef double* base = &stack[0]
    cdef double* panel
    with nogil:
        for s in range(n):
            width = <int> (starts[s + 1] - starts[s])
            below = <int> (indptr[s + 1] - indptr[s])
            height = width + below
            panel = &panels[edges[s]]
            child, child_top = last_child[s], top
            while child >= 0:
                rows = <int> (indptr[child + 1] - indptr[child])
                child_top = child_top - <int64_t> rows * rows
                _add_child(base + child_top, &relative[indptr[child]], rows, panel, height, width, NULL)
                child = previous[child]
            info = _factor_panel(panel, height, width)
            if info != 0:
                break
            if below > 0:
                _outer_product(base + top, panel + width, height, width, below)
                child, child_top = last_child[s], top
                while child >= 0:
                    rows = <int> (indptr[child + 1] - indptr[child])
                    child_top = child_top - <int64_t> rows * rows
                    _add_child(base + child_top, &relative[indptr[child]], rows, panel, height, width, base + top)
                    child = previous[child]
                if child_top < top:
                    memmove(base + child_top, base + top, <size_t> below * below * sizeof(double))
            top = child_top + <int64_t> below * below
    return -1 if info == 0 else starts[s] + info - 1


cdef void _invert_small(double* panel, const double* rest, double* side, int height, int width) noexcept nogil:
    """As `_invert_panel`, in plain loops."""
    cdef int i, j, k, below = height - width
    cdef double value, total
    cdef double[NARROW * NARROW] inverse
    cdef double* column
    cdef double* other
    # L_JJ⁻¹, and X = L_RJ L_JJ⁻¹ from the last column to the first
    for j in range(width):
        inverse[j * width + j] = 1.0 / panel[j * height + j]
        for i in range(j + 1, width):
            total = 0.0
            for k in range(j, i):
                total = total - panel[k * height + i] * inverse[j * width + k]
            inverse[j * width + i] = total / panel[i * height + i]
    for k in range(width - 1, -1, -1):
        column = panel + k * height + width
        value = inverse[k * width + k]
        for i in range(below):
            column[i] *= value
        for j in range(k):
            other = panel + j * height + width
            value = panel[j * height + k]
            for i in range(below):
                other[i] -= column[i] * value
    for j in range(width):
        for i in range(j, width):
            total = 0.0
            for k in range(i, width):
                total = total + inverse[i * width + k] * inverse[j * width + k]
            panel[j * height + i] = total
    # Y = −Z_RR X from the lower triangle of Z_RR; then Z_JJ −= Xᵀ Y
    for k in range(width):
        column = panel + k * height + width
        other = side + k * below
        for i in range(below):
            other[i] = 0.0
        for j in range(below):
            value = column[j]
            total = rest[<int64_t> j * below + j] * value
            for i in range(j + 1, below):
                other[i] -= rest[<int64_t> j * below + i] * value
                total = total + rest[<int64_t> j * below + i] * column[i]
            other[j] -= total
    for j in range(width):
        for i in range(j, width):
            total = 0.0
            for k in range(below):
                total = total + panel[i * height + width + k] * side[j * below + k]
            panel[j * height + i] -= total
    for j in range(width):
        column = panel + j * height + width
        for i in range(below):
            column[i] = side[j * below + i]


cdef int _invert_panel(double* panel, const double* rest, double* side, int height, int width) noexcept nogil:
    """Columns of the inverse in place of those of L, from the inverse on R × R; ``side`` is work space |R| |J|.

    Z_RJ = −Z_RR L_RJ L_JJ⁻¹ and Z_JJ = L_JJ⁻ᵀ L_JJ⁻¹ − (L_RJ L_JJ⁻¹)ᵀ Z_RJ; the lower triangle.
    """
    cdef int info = 0, below = height - width, j, k, size, left
    if width <= NARROW and <int64_t> height * height * width <= SMALL:
        _invert_small(panel, rest, side, height, width)
        return 0
    if below > 0:
        dtrsm(RIGHT, LOWER, PLAIN, PLAIN, &below, &width, &ONE, panel, &height, panel + width, &height)
    dpotri(LOWER, &width, panel, &height, &info)
    if info != 0 or below == 0:
        return info
    dsymm(
        LEFT, LOWER, &below, &width, &MINUS, <double*> rest, &below, panel + width, &height, &ZERO, side, &below
    )
    for j in range((width + STRIP - 1) // STRIP):
        k = STRIP * j
        size, left = min(STRIP, width - k), width - k
        dgemm(
            TRANSPOSED, PLAIN, &left, &size, &below, &MINUS, panel + width + <int64_t> k * height, &height,
            side + <int64_t> k * below, &below, &ONE, panel + k + <int64_t> k * height, &height,
        )
    for j in range(width):
        memmove(panel + width + <int64_t> j * height, side + <int64_t> j * below, <size_t> below * sizeof(double))
    return 0


cdef void _give_child(
    double* rest_of_child, const int32_t* relative, int n, const double* panel, int height, int width,
    const double* rest,
) noexcept nogil:
    """The inverse on the rows below a child, out of the front of its parent; the lower triangle."""
    cdef int i, j, below = height - width
    cdef double* target
    cdef const double* column
    for j in range(n):
        target = rest_of_child + <int64_t> j * n
        if relative[j] < width:
            column = panel + <int64_t> relative[j] * height
        else:
            column = rest + <int64_t> (relative[j] - width) * below - width
        for i in range(j, n):
            target[i] = column[relative[i]]


def invert_fronts(
    double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] relative,
    const int32_t[::1] last_child,
    const int32_t[::1] previous,
    double[::1] stack,
    double[::1] side,
):
    """(L Lᵀ)⁻¹ on the panels, in place of L: what lies in the lower triangle.

    Parameters
    ----------
    panels, starts, edges, indptr, relative, last_child, previous, stack
        As in `factor_fronts`.
    side : array
        Work space for the rows below one panel.

    Returns
    -------
    int
        −1, or a row where L has a zero.
    """
    cdef int64_t s, top = 0, bottom, n = starts.shape[0] - 1, square
    cdef int width, below, height, info = 0, rows
    cdef int32_t child
    cdef double* base = &stack[0]
    cdef double* panel
    with nogil:
        for s in range(n - 1, -1, -1):
            width = <int> (starts[s + 1] - starts[s])
            below = <int> (indptr[s + 1] - indptr[s])
            height = width + below
            panel = &panels[edges[s]]
            square = <int64_t> below * below
            bottom = top - square
            info = _invert_panel(panel, base + bottom, &side[0], height, width)
            if info != 0:
                break
            # the children go on top of this supernode's matrix, the last one highest, and then down into its place
            child, top = last_child[s], bottom + square
            while child >= 0:
                rows = <int> (indptr[child + 1] - indptr[child])
                top = top + <int64_t> rows * rows
                child = previous[child]
            child, square = last_child[s], top
            while child >= 0:
                rows = <int> (indptr[child + 1] - indptr[child])
                square = square - <int64_t> rows * rows
                _give_child(
                    base + square, &relative[indptr[child]], rows, panel, height, width, base + bottom
                )
                child = previous[child]
            if square > bottom:
                memmove(base + bottom, base + square, <size_t> (top - square) * sizeof(double))
            top = top - (square - bottom)
    return -1 if info == 0 else starts[s] + info - 1
