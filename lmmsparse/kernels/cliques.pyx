"""Kernels of a union of cliques: the pattern that the elimination of leaves leaves in the core.

Cliques come as lists of nodes in compressed form, in any order.  A pair of nodes is a clique as well.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free


def lists_by_node(const int64_t[::1] indptr, const int32_t[::1] nodes, int64_t[::1] starts, int32_t[::1] cliques):
    """Which cliques hold each node: starts (N + 1,), which must be zero, and cliques (m,), increasing by node."""
    cdef Py_ssize_t clique, e, j, n = starts.shape[0] - 1
    with nogil:
        for e in range(nodes.shape[0]):
            starts[nodes[e]] += 1
        for j in range(1, n):
            starts[j] += starts[j - 1]
        if n > 0:
            starts[n] = starts[n - 1]
        # filled from behind, so that every start ends where it belongs
        for clique in range(indptr.shape[0] - 2, -1, -1):
            for e in range(indptr[clique], indptr[clique + 1]):
                starts[nodes[e]] -= 1
                cliques[starts[nodes[e]]] = <int32_t> clique


def count_union(
    const int64_t[::1] indptr,
    const int32_t[::1] nodes,
    const int64_t[::1] starts,
    const int32_t[::1] cliques,
    int64_t[::1] counts,
    int64_t limit,
):
    """Entries below the diagonal in every column of the union; stops when there are more than ``limit``.

    Parameters
    ----------
    indptr, nodes : (q + 1,), (m,) arrays
    starts, cliques : (N + 1,), (m,) arrays
        From `lists_by_node`.
    counts : (N,) array
        Zero on entry.

    Returns
    -------
    int
        Entries counted.
    """
    cdef Py_ssize_t i, c, e, n = counts.shape[0]
    cdef int64_t total = 0
    cdef int32_t k
    cdef int32_t* seen = <int32_t*> calloc(n + 1, sizeof(int32_t))
    if seen == NULL:
        raise MemoryError("no memory to count the pattern of the core")
    with nogil:
        for i in range(n):
            for c in range(starts[i], starts[i + 1]):
                for e in range(indptr[cliques[c]], indptr[cliques[c] + 1]):
                    k = nodes[e]
                    if k < i and seen[k] != i:
                        seen[k] = <int32_t> i
                        counts[k] += 1
                        total = total + 1
            if total > limit:
                break
        free(seen)
    return total


def fill_union(
    const int64_t[::1] indptr,
    const int32_t[::1] nodes,
    const int64_t[::1] starts,
    const int32_t[::1] cliques,
    int64_t[::1] cursor,
    int32_t[::1] rows,
):
    """Rows of the lower triangle of the union with its diagonal, sorted by column.

    Parameters
    ----------
    cursor : (N,) array
        First place of every column; its end on return.
    rows : (entries,) array
    """
    cdef Py_ssize_t i, c, e, n = cursor.shape[0]
    cdef int32_t k
    cdef int32_t* seen = <int32_t*> calloc(n + 1, sizeof(int32_t))
    if seen == NULL:
        raise MemoryError("no memory for the pattern of the core")
    with nogil:
        # row after row, so that every column is sorted as it grows
        for i in range(n):
            rows[cursor[i]] = <int32_t> i
            cursor[i] += 1
            for c in range(starts[i], starts[i + 1]):
                for e in range(indptr[cliques[c]], indptr[cliques[c] + 1]):
                    k = nodes[e]
                    if k < i and seen[k] != i:
                        seen[k] = <int32_t> i
                        rows[cursor[k]] = <int32_t> i
                        cursor[k] += 1
        free(seen)


def union_reaches(
    const int64_t[::1] indptr,
    const int32_t[::1] nodes,
    const int64_t[::1] clique_order,
    const int32_t[::1] sizes,
    double entries,
):
    """Whether the union has so many entries below the diagonal blocks, a node of K rows counting K times.

    Cliques are added in the given order, each pair of nodes a bit, until the answer is yes.
    """
    cdef int64_t n = sizes.shape[0], width = (n + 7) // 8, clique, e, f
    cdef int32_t a, b
    cdef double total = 0.0
    cdef uint8_t* row
    cdef uint8_t bit
    cdef uint8_t* met = <uint8_t*> calloc(max(n * width, 1), 1)
    if met == NULL:
        raise MemoryError("no memory to count the fill of the core")
    with nogil:
        for clique in range(clique_order.shape[0]):
            if total >= entries:
                break
            for e in range(indptr[clique_order[clique]], indptr[clique_order[clique] + 1]):
                a = nodes[e]
                row = met + a * width
                for f in range(indptr[clique_order[clique]], indptr[clique_order[clique] + 1]):
                    b = nodes[f]
                    if b < a:
                        bit = <uint8_t> (1 << (b & 7))
                        if not row[b >> 3] & bit:
                            row[b >> 3] |= bit
                            total = total + <double> sizes[a] * sizes[b]
        free(met)
    return total >= entries
