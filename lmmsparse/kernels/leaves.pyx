"""Kernels of the peel: elimination and selected inverse of block-diagonal leading blocks.

A leaf is one level ℓ of a peeled grouping factor with its K × K block of M(θ) = ΛᵀZᵀWZΛ + I.  It is coupled to one
level of every factor peeled after it (its parent there, K_parent × K values) and to rows of the core: entries
indptr[ℓ] … indptr[ℓ+1]−1, K values each.  L is written w on the couplings and l on the diagonal blocks.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t


def transform_blocks(
    const double[:, ::1] left, const double[:, :, ::1] blocks, const double[:, ::1] right, double shift,
    double[:, :, ::1] out,
):
    """out = leftᵀ B right + shift I for every block B: (m, K_left, K_right); left and right are lower triangular."""
    cdef Py_ssize_t m = blocks.shape[0], rows = blocks.shape[1], columns = blocks.shape[2], i, a, b, c, d
    cdef double total, scale
    with nogil:
        for i in range(m):
            if rows * columns == 1:
                out[i, 0, 0] = left[0, 0] * blocks[i, 0, 0] * right[0, 0] + shift
                continue
            if rows * columns <= 9:  # a few products more, but nothing is stored on the way
                for a in range(rows):
                    for b in range(columns):
                        total = shift if a == b else 0.0
                        for c in range(a, rows):
                            for d in range(b, columns):
                                total = total + left[c, a] * blocks[i, c, d] * right[d, b]
                        out[i, a, b] = total
                continue
            for a in range(rows):
                for b in range(columns):
                    out[i, a, b] = left[a, a] * blocks[i, a, b]
                for c in range(a + 1, rows):
                    scale = left[c, a]
                    if scale != 0.0:
                        for b in range(columns):
                            out[i, a, b] += scale * blocks[i, c, b]
                # column b of a product with a lower triangular matrix needs columns b, b + 1, …
                for b in range(columns):
                    total = shift if a == b else 0.0
                    for c in range(b, columns):
                        total = total + out[i, a, c] * right[c, b]
                    out[i, a, b] = total


def factor_blocks(const double[:, :, ::1] blocks, double[:, :, ::1] l, double[:, :, ::1] l_inverse):
    """Cholesky factors l of symmetric blocks and their inverses, all (q, K, K).

    Returns
    -------
    int
        −1, or the position of the first block that is not positive definite.
    """
    cdef Py_ssize_t q = blocks.shape[0], K = blocks.shape[1], i, a, b, c
    cdef double total
    cdef Py_ssize_t failed = -1
    with nogil:
        for i in range(q):
            for a in range(K):
                for b in range(a + 1):
                    total = blocks[i, a, b]
                    for c in range(b):
                        total = total - l[i, a, c] * l[i, b, c]
                    if a > b:
                        l[i, a, b] = total * l_inverse[i, b, b]
                        l[i, b, a] = 0.0
                        l_inverse[i, b, a] = 0.0
                    elif total > 0.0:
                        l[i, a, a] = sqrt(total)
                        l_inverse[i, a, a] = 1.0 / l[i, a, a]
                    else:
                        failed = i
                        break
                if failed >= 0:
                    break
                for b in range(a):
                    total = 0.0
                    for c in range(b, a):
                        total = total - l[i, a, c] * l_inverse[i, c, b]
                    l_inverse[i, a, b] = total * l_inverse[i, a, a]
            if failed >= 0:
                break
    return failed


def scale_entries(
    const double[:, ::1] values, const int32_t[::1] rows, const int32_t[::1] level_start, const int32_t[::1] owner,
    const int32_t[::1] sizes, const double[:, :, ::1] templates, const double[:, ::1] own, double[:, ::1] out,
):
    """Couplings of leaves to the core in M: out = Λ_coreᵀ A λ on the entries.

    Parameters
    ----------
    values, out : (m, K) arrays
    rows : (m,) array
        Core row of every entry; the rows of one level are adjacent and all there.
    level_start, owner : (core rows,) arrays
        First row of the level of each core row, and the factor that it belongs to.
    sizes : (factors,) array
        Columns of each core factor.
    templates : (factors, K_max, K_max) array
        λ of each core factor, in the leading corner.
    own : (K, K) array
        λ of the leaves.
    """
    cdef Py_ssize_t m = values.shape[0], K = values.shape[1], e = 0, a, b, c, factor, size
    cdef double total, scale
    with nogil:
        while e < m:
            factor = owner[rows[e]]
            size = sizes[factor]
            if size == 1 and K == 1:
                out[e, 0] = templates[factor, 0, 0] * values[e, 0] * own[0, 0]
            else:
                for a in range(size):
                    for b in range(K):
                        out[e + a, b] = 0.0
                    for c in range(size):
                        scale = templates[factor, c, a]
                        if scale != 0.0:
                            for b in range(K):
                                out[e + a, b] += scale * values[e + c, b]
                    # λ is lower triangular: column b of a product with it needs columns b, b + 1, …
                    for b in range(K):
                        total = 0.0
                        for c in range(b, K):
                            total = total + out[e + a, c] * own[c, b]
                        out[e + a, b] = total
            e = e + size


def multiply_rows(
    const double[:, ::1] values, const int64_t[::1] indptr, const double[:, :, ::1] blocks, bint transposed,
    double sign, double[:, ::1] out,
):
    """out = sign · values B on the entries of every leaf, with its block B or Bᵀ: (m, K); out is not values."""
    cdef Py_ssize_t q = blocks.shape[0], K = blocks.shape[1], leaf, a, b
    cdef int64_t e
    cdef double total
    with nogil:
        for leaf in range(q):
            if K == 1:
                total = sign * blocks[leaf, 0, 0]
                for e in range(indptr[leaf], indptr[leaf + 1]):
                    out[e, 0] = total * values[e, 0]
            else:
                for e in range(indptr[leaf], indptr[leaf + 1]):
                    for b in range(K):
                        total = 0.0
                        for a in range(K):
                            total = total + values[e, a] * (blocks[leaf, b, a] if transposed else blocks[leaf, a, b])
                        out[e, b] = sign * total


def subtract_parent_products(
    const int32_t[::1] parent, const double[:, :, ::1] left, const double[:, :, ::1] right, double[:, :, ::1] out,
):
    """out[parent(ℓ)] −= left_ℓ right_ℓᵀ: (parents, K_left, K_right) from (q, K_left, K) and (q, K_right, K)."""
    cdef Py_ssize_t q = left.shape[0], K = left.shape[2], leaf, a, b, c
    cdef double total
    with nogil:
        for leaf in range(q):
            for a in range(left.shape[1]):
                for b in range(right.shape[1]):
                    total = 0.0
                    for c in range(K):
                        total = total + left[leaf, a, c] * right[leaf, b, c]
                    out[parent[leaf], a, b] -= total


def subtract_parent_entries(
    const int64_t[::1] indptr, const int32_t[::1] target, const double[:, ::1] w, const double[:, :, ::1] w_parent,
    double[:, ::1] out,
):
    """out[target(e)] −= w_parent w_e: the update of the parent's couplings to the core, (parent entries, K_parent).

    Parameters
    ----------
    indptr : (q + 1,) array
    target : (m,) array
        Where the parent stores its coupling to the row of each entry.
    w : (m, K) array
    w_parent : (q, K_parent, K) array
    out : (parent entries, K_parent) array
    """
    cdef Py_ssize_t q = w_parent.shape[0], width = w_parent.shape[1], K = w.shape[1], leaf, a, b
    cdef int64_t e
    cdef double total
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(width):
                    total = 0.0
                    for b in range(K):
                        total = total + w_parent[leaf, a, b] * w[e, b]
                    out[target[e], a] -= total


def add_from_parent(
    const int64_t[::1] indptr, const int32_t[::1] target, const double[:, ::1] inverse,
    const double[:, :, ::1] w_parent, double[:, ::1] out,
):
    """out_e += C_{r,m} w_m at the entries (ℓ, r), m the parent of ℓ: (m, K).

    Parameters
    ----------
    inverse : (parent entries, K_parent) array
        C on the parent's couplings to the core.
    indptr, target, w_parent
        As in `subtract_parent_entries`.
    """
    cdef Py_ssize_t q = w_parent.shape[0], width = w_parent.shape[1], K = out.shape[1], leaf, a, b
    cdef int64_t e
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(width):
                    for b in range(K):
                        out[e, b] += inverse[target[e], a] * w_parent[leaf, a, b]


def add_from_entries(
    const int64_t[::1] indptr, const int32_t[::1] target, const double[:, ::1] inverse, const double[:, ::1] w,
    double[:, :, ::1] out,
):
    """out_ℓ += Σ_r C_{m,r} w_r over the core rows of each leaf, m its parent: (q, K_parent, K)."""
    cdef Py_ssize_t q = out.shape[0], width = out.shape[1], K = w.shape[1], leaf, a, b
    cdef int64_t e
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(width):
                    for b in range(K):
                        out[leaf, a, b] += inverse[target[e], a] * w[e, b]


def add_entry_products(
    const int64_t[::1] indptr, const double[:, ::1] left, const double[:, ::1] right, double[:, :, ::1] out,
):
    """out_ℓ += leftᵀ right over the entries of each leaf: (q, K, K)."""
    cdef Py_ssize_t q = out.shape[0], K = left.shape[1], leaf, a, b
    cdef int64_t e
    with nogil:
        for leaf in range(q):
            for e in range(indptr[leaf], indptr[leaf + 1]):
                for a in range(K):
                    for b in range(K):
                        out[leaf, a, b] += left[e, a] * right[e, b]


def inverse_blocks(const double[:, :, ::1] l_inverse, const double[:, :, ::1] wCw, double[:, :, ::1] out):
    """C_ℓℓ = l⁻ᵀ (I + wᵀ C w) l⁻¹: (q, K, K)."""
    cdef Py_ssize_t q = l_inverse.shape[0], K = l_inverse.shape[1], i, a, b, c
    cdef double total
    with nogil:
        for i in range(q):
            if K == 1:
                out[i, 0, 0] = l_inverse[i, 0, 0] * l_inverse[i, 0, 0] * (1.0 + wCw[i, 0, 0])
                continue
            for b in range(K):
                for a in range(b, K):  # (I + wᵀ C w) l⁻¹ below the diagonal, which is all that is needed of it
                    total = l_inverse[i, a, b]
                    for c in range(b, K):
                        total = total + wCw[i, a, c] * l_inverse[i, c, b]
                    out[i, a, b] = total
                for a in range(b, K):
                    total = 0.0
                    for c in range(a, K):
                        total = total + l_inverse[i, c, a] * out[i, c, b]
                    out[i, a, b] = total
            for b in range(K):
                for a in range(b):
                    out[i, a, b] = out[i, b, a]
