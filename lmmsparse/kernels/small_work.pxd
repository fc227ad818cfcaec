"""What the steps of a small model's evaluation share: sizes, workspace, and the product with Λᵀ."""

from libc.stdint cimport int32_t

cdef struct Sizes:
    int q
    int K
    int r
    int R
    int T  # parameters

cdef struct Work:
    double* l          # (q, K, K) Cholesky factors of the leaves
    double* l_inverse
    double* w          # (q K, R + 1) couplings of the leaves in L, y last
    double* S          # (R + 1, R + 1) rest, then its Cholesky factor
    double* C          # (R, R) inverse
    double* Cw         # (q K, R)
    double* v          # (R,) random and fixed effects of the rest, spherical
    double* b          # (q K + R) effects on the scale of A
    double* u          # (q K + R) spherical effects
    double* s          # (q K + r) ZᵀWe
    double* c          # (q K + r, T) directions
    double* Ac         # (q K + R, T)
    double* half       # (R,)


cdef inline void scale_rest(
    double* values, int stride, int r, const int32_t* factor, const int32_t* sizes,
    const double* templates, int width,
) noexcept nogil:
    """values ← Λᵀ values for a vector of r rest rows that lie ``stride`` apart, in place."""
    cdef int j = 0, a, c, K
    cdef const double* lam
    cdef double total
    while j < r:
        K = sizes[factor[j]]
        lam = templates + factor[j] * width * width
        for a in range(K):  # λ is lower triangular: row a of λᵀ needs rows a, a + 1, …
            total = 0.0
            for c in range(a, K):
                total += lam[c * width + a] * values[(j + c) * stride]
            values[(j + a) * stride] = total
        j += K
