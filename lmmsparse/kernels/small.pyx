"""The whole evaluation of small models: criterion, score and average information in one call, for many (θ, y).

Layout of the mixed-model equations for q leaf levels of K columns each and R other rows, r of random effects and then p
of fixed effects:

    leaves   A_ℓ (q, K, K), coupled to the other rows by B_ℓ (q, K, R)
    rest     (R, R), symmetric, with the cross-products of the other random effects and of X

A problem scales the random effects by its templates λ, adds I, and eliminates leaves, other random effects and fixed
effects in this order; what is left of yᵀWy is r².  With X among the eliminated rows the inverse on the random effects
is M⁻¹ + U_X (XᵀV⁻¹X)⁻¹ U_Xᵀ, as the REML criterion wants it.
"""

from libc.math cimport log, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from scipy.linalg.cython_blas cimport ddot, dsyrk, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

from lmmsparse.kernels.small_derivatives cimport average_information, score_sums
from lmmsparse.kernels.small_work cimport Sizes, Work, scale_rest


cdef bint _is_sound(double square, double before, const double* limits) noexcept nogil:
    """Whether a squared pivot is more than what rounding leaves of the diagonal entry that it came from."""
    return square > limits[0] and square > limits[1] * before


cdef void _note(double square, double before, double* lost) noexcept nogil:
    """Add what a pivot has lost to the sum and the largest of such quotients."""
    cdef double share = before / square
    lost[0] += share - 1.0
    if share > lost[1]:
        lost[1] = share


cdef int _factor_leaf(
    const double* lam, const double* A, int K, const double* limits, double* l, double* inverse, double* lost,
) noexcept nogil:
    """l lᵀ = λᵀAλ + I and l⁻¹ for one leaf; 1 when a pivot is rounding."""
    cdef int a, b, c, d
    cdef double total, before
    for a in range(K):
        for b in range(a + 1):
            total = 1.0 if a == b else 0.0
            for c in range(a, K):
                for d in range(b, K):
                    total += lam[c * K + a] * A[c * K + d] * lam[d * K + b]
            before = total
            for c in range(b):
                total -= l[a * K + c] * l[b * K + c]
            if a > b:
                l[a * K + b] = total * inverse[b * K + b]
                l[b * K + a] = 0.0
                inverse[b * K + a] = 0.0
            elif _is_sound(total, before, limits):
                _note(total, before, lost)
                l[a * K + a] = sqrt(total)
                inverse[a * K + a] = 1.0 / l[a * K + a]
            else:
                return 1
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total -= l[a * K + c] * inverse[c * K + b]
            inverse[a * K + b] = total * inverse[a * K + a]
    return 0


cdef int _eliminate(
    const Sizes n, Work work, const double* A, const double* B, const double* rest, const double* lam,
    const int32_t* factor, const int32_t* sizes, const double* templates, int width,
    const double* b_leaf, const double* b_rest, double yy, const double* limits, double* logdet,
    double* logdet_fixed, double* pwrss, double* lost,
) noexcept nogil:
    """Factor the equations of one problem; 1 or 2 when a pivot of a random or a fixed effect is rounding."""
    cdef int leaf, a, c, j, K = n.K, R = n.R, r = n.r, full = n.R + 1, rows = n.q * n.K, info = 0, one = 1
    cdef double minus = -1.0, unit = 1.0, value
    cdef double* target
    logdet[0] = 0.0
    logdet_fixed[0] = 0.0
    lost[0], lost[1] = 0.0, 1.0
    for leaf in range(n.q):
        if _factor_leaf(
            lam, A + leaf * K * K, K, limits, work.l + leaf * K * K, work.l_inverse + leaf * K * K, lost
        ):
            return 1
        for a in range(K):
            logdet[0] += 2.0 * log(work.l[leaf * K * K + a * K + a])
            target = work.w + (leaf * K + a) * full
            for j in range(full):
                target[j] = 0.0
            # row a of l⁻¹ λᵀ [B b]
            for c in range(K):
                value = 0.0
                for j in range(a + 1):
                    if c >= j:
                        value += work.l_inverse[leaf * K * K + a * K + j] * lam[c * K + j]
                if value != 0.0:
                    for j in range(R):
                        target[j] += value * B[(leaf * K + c) * R + j]
                    target[R] += value * b_leaf[leaf * K + c]
            scale_rest(target, 1, r, factor, sizes, templates, width)
    for j in range(R):
        for c in range(R):
            work.S[j * full + c] = rest[j * R + c]
        work.S[j * full + R] = b_rest[j]
    work.S[R * full + R] = yy
    for j in range(R):
        work.S[R * full + j] = b_rest[j]
    for j in range(full):
        scale_rest(work.S + j * full, 1, r, factor, sizes, templates, width)
    for j in range(full):
        scale_rest(work.S + j, full, r, factor, sizes, templates, width)
    for j in range(r):
        work.S[j * full + j] += 1.0
        work.half[j] = work.S[j * full + j]
    if rows:
        dsyrk("L", "N", &full, &rows, &minus, work.w, &full, &unit, work.S, &full)
    if R:
        dpotrf("L", &R, work.S, &full, &info)
        if info:
            return 1 if info <= r else 2
    for j in range(r):
        if not _is_sound(work.S[j * full + j] ** 2, work.half[j], limits):
            return 1
        _note(work.S[j * full + j] ** 2, work.half[j], lost)
    for j in range(r, R):  # LAPACK may let NaN pass
        if not work.S[j * full + j] > 0.0:
            return 2
    for j in range(R):
        work.half[j] = work.S[j * full + R]  # last row of the lower triangle
        value = 2.0 * log(work.S[j * full + j])
        if j < r:
            logdet[0] += value
        else:
            logdet_fixed[0] += value
    pwrss[0] = work.S[R * full + R]
    if R:
        dtrsv("L", "N", "N", &R, work.S, &full, work.half, &one)
        pwrss[0] -= ddot(&R, work.half, &one, work.half, &one)
    return 0


cdef void _effects(
    const Sizes n, Work work, const double* lam, const int32_t* factor, const int32_t* sizes,
    const double* templates, int width,
) noexcept nogil:
    """Spherical effects u and effects b = Λu of all levels, fixed effects after those of the rest."""
    cdef int leaf, a, c, j, K = n.K, R = n.R, full = n.R + 1, one = 1, size
    cdef double value
    cdef double* u = work.u
    for j in range(R):
        u[n.q * K + j] = work.half[j]
    if R:
        dtrsv("L", "T", "N", &R, work.S, &full, u + n.q * K, &one)
    for leaf in range(n.q):
        for a in range(K):
            value = work.w[(leaf * K + a) * full + R]
            if R:
                value -= ddot(&R, work.w + (leaf * K + a) * full, &one, u + n.q * K, &one)
            work.v[a] = value
        for a in range(K):  # l⁻ᵀ
            value = 0.0
            for c in range(a, K):
                value += work.l_inverse[leaf * K * K + c * K + a] * work.v[c]
            u[leaf * K + a] = value
        for a in range(K):
            value = 0.0
            for c in range(a + 1):
                value += lam[a * K + c] * u[leaf * K + c]
            work.b[leaf * K + a] = value
    for j in range(n.r, R):
        work.b[n.q * K + j] = u[n.q * K + j]
    j = 0
    while j < n.r:
        size = sizes[factor[j]]
        for a in range(size):
            value = 0.0
            for c in range(a + 1):
                value += templates[factor[j] * width * width + a * width + c] * u[n.q * K + j + c]
            work.b[n.q * K + j + a] = value
        j += size


def evaluate(
    const double[:, :, ::1] A, const double[:, :, ::1] B, const double[:, ::1] rest,
    const int32_t[::1] factor, const int32_t[::1] sizes,
    const double[:, :, ::1] b_leaf, const double[:, ::1] b_rest, const double[::1] yy,
    const int32_t[::1] response, const double[:, :, ::1] lam, const double[:, :, :, ::1] templates,
    const int32_t[::1] owner, const int32_t[::1] row, const int32_t[::1] column,
    double degrees, bint reml, double smallest_share, double smallest_pivot, double smallest_remainder,
    double[:, ::1] scalars, double[:, ::1] effects, double[:, :, ::1] fixed, double[:, :, ::1] leaf_sums,
    double[:, :, :, ::1] rest_sums, double[:, :, ::1] information, int32_t[::1] failed,
):
    """Evaluate problems i = 0, 1, …, each with its templates and one of the responses.

    Parameters
    ----------
    A, B, rest : (q, K, K), (q, K, R), (R, R) arrays
        Cross-products of the design.
    factor : (r,) array
        Factor of each rest row; the rows of a level are adjacent.
    sizes : (factors,) array
        Columns of each rest factor.
    b_leaf, b_rest, yy : (responses, q, K), (responses, R), (responses,) arrays
        Cross-products with the responses.
    response : (problems,) array
    lam, templates : (problems, K, K), (problems, factors, K_max, K_max) arrays
        λ of the leaves and of the rest factors, lower triangular.
    owner, row, column : (T,) arrays
        Entry of a covariance matrix that each parameter is: factor (−1 for the leaves), row and column.
    degrees : float
        n or n − p.
    reml : bool
    smallest_share : float
        r² is not taken below this share of yᵀWy.
    smallest_pivot, smallest_remainder : float
        A squared pivot below the first, or below this share of the diagonal entry that it came from, is rounding.
    scalars : (problems, 5) array, out
        log|M|, log|XᵀV⁻¹X| and r²; Σ (d/l² − 1) over the pivots l² of random effects and the diagonal entries d of M
        that they came from, and the largest d/l².
    effects : (problems, q K + R) array, out
        Spherical modes of the leaves and the rest, then β.
    fixed : (problems, p, p) array, out
        Lower Cholesky factor of XᵀV⁻¹X; zero on entry.
    leaf_sums, rest_sums : (problems, K, K), (problems, factors, K_max, K_max) arrays, out
        Σ_ℓ [C_ℓℓ + û_ℓ û_ℓᵀ/σ²]; zero on entry.
    information : (problems, T, T) array, out
    failed : (problems,) array, out
        1 where a pivot of a random effect was rounding, 2 where one of a fixed effect was, 0 elsewhere.
    """
    cdef Sizes n
    cdef Work work
    cdef Py_ssize_t i, y, size, rows
    cdef int width = templates.shape[2]
    cdef int p, a, b
    cdef double sigma2, none = 0.0
    cdef double[2] limits
    cdef int32_t no_index = 0
    cdef const double* B_ = &B[0, 0, 0] if B.shape[2] else &none
    cdef const double* rest_ = &rest[0, 0] if rest.shape[0] else &none
    cdef const int32_t* factor_ = &factor[0] if factor.shape[0] else &no_index
    cdef const int32_t* sizes_ = &sizes[0] if sizes.shape[0] else &no_index
    cdef const double* templates_
    cdef const double* b_rest_
    n.q, n.K, n.r, n.R, n.T = A.shape[0], A.shape[1], factor.shape[0], B.shape[2], owner.shape[0]
    limits[0], limits[1] = smallest_pivot, smallest_remainder
    p = n.R - n.r
    rows = n.q * n.K
    size = (
        2 * rows * n.K + rows * (n.R + 1) + (n.R + 1) * (n.R + 1) + n.R * n.R + rows * n.R
        + (n.R + n.K * n.K + n.T) + 3 * (rows + n.R) + 2 * (rows + n.R) * n.T + n.R
    )
    cdef double* memory = <double*> malloc((size + 1) * sizeof(double))
    if memory == NULL:
        raise MemoryError("no memory for the evaluation of a small model")
    work.l = memory
    work.l_inverse = work.l + rows * n.K
    work.w = work.l_inverse + rows * n.K
    work.S = work.w + rows * (n.R + 1)
    work.C = work.S + (n.R + 1) * (n.R + 1)
    work.Cw = work.C + n.R * n.R
    work.v = work.Cw + rows * n.R
    work.b = work.v + n.R + n.K * n.K + n.T
    work.u = work.b + rows + n.R
    work.s = work.u + rows + n.R
    work.c = work.s + rows + n.R
    work.Ac = work.c + (rows + n.R) * n.T
    work.half = work.Ac + (rows + n.R) * n.T
    with nogil:
        for i in range(response.shape[0]):
            y = response[i]
            templates_ = &templates[i, 0, 0, 0] if templates.shape[1] else &none
            b_rest_ = &b_rest[y, 0] if b_rest.shape[1] else &none
            failed[i] = _eliminate(
                n, work, &A[0, 0, 0], B_, rest_, &lam[i, 0, 0], factor_, sizes_, templates_, width,
                &b_leaf[y, 0, 0], b_rest_, yy[y], limits, &scalars[i, 0], &scalars[i, 1], &scalars[i, 2],
                &scalars[i, 3],
            )
            if failed[i]:
                continue
            _effects(n, work, &lam[i, 0, 0], factor_, sizes_, templates_, width)
            for size in range(rows + n.R):
                effects[i, size] = work.u[size]
            for b in range(p):
                for a in range(b, p):
                    fixed[i, a, b] = work.S[(n.r + b) * (n.R + 1) + n.r + a]
            sigma2 = max(scalars[i, 2], smallest_share * yy[y]) / degrees
            failed[i] = score_sums(
                n, work, reml, sigma2, factor_, sizes_, width, &leaf_sums[i, 0, 0],
                &rest_sums[i, 0, 0, 0] if templates.shape[1] else &none,
            )
            average_information(
                n, work, &A[0, 0, 0], B_, rest_, &lam[i, 0, 0], factor_, sizes_, templates_, width,
                &b_leaf[y, 0, 0], b_rest_, &owner[0], &row[0], &column[0], sigma2, sigma2 * degrees,
                &information[i, 0, 0],
            )
        free(memory)
