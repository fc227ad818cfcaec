"""What a small model's derivatives need, from an evaluation's workspace: score sums and average information."""

from libc.stdint cimport int32_t
from scipy.linalg.cython_blas cimport ddot, dgemv, dsymm, dtrsv
from scipy.linalg.cython_lapack cimport dpotri

from lmmsparse.kernels.small_work cimport Sizes, Work, scale_rest


cdef int score_sums(
    const Sizes n, Work work, bint reml, double sigma2, const int32_t* factor, const int32_t* sizes, int width,
    double* leaf_sum, double* rest_sum,
) noexcept nogil:
    """Σ_ℓ [C_ℓℓ + û_ℓ û_ℓᵀ/σ²] of the leaves (K, K) and of every rest factor (factors, width, width)."""
    cdef int leaf, a, b, c, d, i, j, K = n.K, full = n.R + 1, rows = n.q * n.K, info = 0, one = 1
    cdef int core = n.R if reml else n.r, size
    cdef double unit = 1.0, zero = 0.0, value, side
    cdef const double* inverse
    if core:
        for j in range(core):
            for i in range(core):
                work.C[j * core + i] = work.S[j * full + i]
        dpotri("L", &core, work.C, &core, &info)
        if info:
            return 1
        for j in range(core):
            for i in range(j):
                work.C[j * core + i] = work.C[i * core + j]
        # rows of w are columns in Fortran's eyes: C w, one column a row of a leaf
        dsymm("L", "L", &core, &rows, &unit, work.C, &core, work.w, &full, &zero, work.Cw, &core)
    for leaf in range(n.q):
        inverse = work.l_inverse + leaf * K * K
        for a in range(K):
            for b in range(K):
                work.v[a * K + b] = 1.0 if a == b else 0.0
                if core:
                    work.v[a * K + b] += ddot(
                        &core, work.w + (leaf * K + a) * full, &one, work.Cw + (leaf * K + b) * core, &one
                    )
        for a in range(K):
            for b in range(K):
                value = 0.0
                for c in range(a, K):
                    side = 0.0
                    for d in range(b, K):
                        side += work.v[c * K + d] * inverse[d * K + b]
                    value += inverse[c * K + a] * side
                leaf_sum[a * K + b] += value + work.u[leaf * K + a] * work.u[leaf * K + b] / sigma2
    j = 0
    while j < n.r:
        size = sizes[factor[j]]
        for a in range(size):
            for b in range(size):
                value = work.u[rows + j + a] * work.u[rows + j + b] / sigma2
                rest_sum[factor[j] * width * width + a * width + b] += value + work.C[(j + a) * core + j + b]
        j += size
    return 0


cdef void average_information(
    const Sizes n, Work work, const double* A, const double* B, const double* rest, const double* lam,
    const int32_t* factor, const int32_t* sizes, const double* templates, int width,
    const double* b_leaf, const double* b_rest, const int32_t* owner, const int32_t* row, const int32_t* column,
    double sigma2, double pwrss, double* out,
) noexcept nogil:
    """Average information with respect to the entries (owner, row, column) of the covariances: out (T, T)."""
    cdef int leaf, a, c, i, j, t, K = n.K, R = n.R, r = n.r, T = n.T, full = n.R + 1, rows = n.q * n.K, one = 1
    cdef int all_rows = n.q * n.K + n.R, random = n.q * n.K + n.r
    cdef double minus = -1.0, unit = 1.0, value
    cdef double* s = work.s
    # s = ZᵀW(y − Xβ − Zb)
    for leaf in range(n.q):
        for a in range(K):
            value = b_leaf[leaf * K + a]
            for c in range(K):
                value -= A[leaf * K * K + a * K + c] * work.b[leaf * K + c]
            if R:
                value -= ddot(&R, <double*> B + (leaf * K + a) * R, &one, work.b + rows, &one)
            s[leaf * K + a] = value
    for j in range(r):
        s[rows + j] = b_rest[j] - ddot(&R, <double*> rest + j * R, &one, work.b + rows, &one)
    if r and rows:  # B as Fortran's (R, rows): its first r rows times the effects of the leaves
        dgemv("N", &r, &rows, &minus, <double*> B, &R, work.b, &one, &unit, s + rows, &one)
    # c_t = (∂Σ/∂Σ_t) s, and A c_t
    for t in range(T):
        for j in range(random):
            work.c[t * random + j] = 0.0
        if owner[t] < 0:
            for leaf in range(n.q):
                work.c[t * random + leaf * K + row[t]] += s[leaf * K + column[t]]
                if row[t] != column[t]:
                    work.c[t * random + leaf * K + column[t]] += s[leaf * K + row[t]]
        else:
            j = 0
            while j < r:
                if factor[j] == owner[t]:
                    work.c[t * random + rows + j + row[t]] += s[rows + j + column[t]]
                    if row[t] != column[t]:
                        work.c[t * random + rows + j + column[t]] += s[rows + j + row[t]]
                j += sizes[factor[j]]
        for j in range(R):
            value = 0.0
            for i in range(r):
                value += rest[j * R + i] * work.c[t * random + rows + i]
            work.Ac[t * all_rows + rows + j] = value
        if R and rows:
            dgemv("N", &R, &rows, &unit, <double*> B, &R, work.c + t * random, &one,
                  &unit, work.Ac + t * all_rows + rows, &one)
        for leaf in range(n.q):
            for a in range(K):
                value = 0.0
                for c in range(K):
                    value += A[leaf * K * K + a * K + c] * work.c[t * random + leaf * K + c]
                for i in range(r):
                    value += B[(leaf * K + a) * R + i] * work.c[t * random + rows + i]
                work.Ac[t * all_rows + leaf * K + a] = value
    for t in range(T):
        for i in range(t + 1):
            out[t * T + i] = ddot(&random, work.c + t * random, &one, work.Ac + i * all_rows, &one)
    # r_t = L⁻¹ Λᵀ A c_t over all rows, fixed effects included
    for t in range(T):
        for leaf in range(n.q):
            for a in range(K):
                value = 0.0
                for c in range(a, K):
                    value += lam[c * K + a] * work.Ac[t * all_rows + leaf * K + c]
                work.v[a] = value
            for a in range(K):
                value = 0.0
                for c in range(a + 1):
                    value += work.l_inverse[leaf * K * K + a * K + c] * work.v[c]
                work.Ac[t * all_rows + leaf * K + a] = value
        scale_rest(work.Ac + t * all_rows + rows, 1, r, factor, sizes, templates, width)
        if R:
            if rows:
                dgemv("N", &R, &rows, &minus, work.w, &full, work.Ac + t * all_rows, &one,
                      &unit, work.Ac + t * all_rows + rows, &one)
            dtrsv("L", "N", "N", &R, work.S, &full, work.Ac + t * all_rows + rows, &one)
    for t in range(T):
        work.v[t] = ddot(&random, s, &one, work.c + t * random, &one)
    for t in range(T):
        for i in range(t + 1):
            value = out[t * T + i] - ddot(&all_rows, work.Ac + t * all_rows, &one, work.Ac + i * all_rows, &one)
            value = (value - work.v[t] * work.v[i] / pwrss) / sigma2
            out[t * T + i] = value
            out[i * T + t] = value
