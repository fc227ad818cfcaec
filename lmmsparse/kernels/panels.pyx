"""Entries of a sparse core in its panels: where they are, what the leaves take away and what the inverse gives back.

Panels are those of the module ``fronts``.  Couplings of leaves come in compressed form, as for a dense core: entries
indptr[ℓ] … indptr[ℓ+1]−1 belong to leaf ℓ, in increasing order of their rows, with K values each.

A leaf visits the supernodes of its rows from the first to the last.  Those that a supernode is to receive are a linked
list that begins at head[s]; when it is done with a leaf, that goes into the list of its next supernode.  Threads may
share an update by supernodes, which have panels of their own, and what is gathered from an inverse by leaves.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define fetch(address) __builtin_prefetch(address)
    #else
    #define fetch(address) ((void) (address))
    #endif
    """
    void fetch(const void* address) noexcept nogil

cdef enum:
    AHEAD = 8  # leaves whose entries are on their way from memory; twice as many whose pointers are


cdef struct Visits:
    int32_t* head  # of every supernode: first leaf of its list, or −1
    int32_t* following  # of every leaf: the next in the list
    int64_t* cursor  # of every leaf: its first entry that is still to be visited
    int32_t* queue  # leaves of the present list
    int32_t* where  # of every row: its place in the present panel
    int32_t* places  # of the present leaf's entries


cdef int _begin_visits(
    Visits* visits,
    const int32_t[::1] owner,
    int64_t first,
    int64_t supernodes,
    const int64_t[::1] leaf_ptr,
    const int32_t[::1] rows,
) except -1 nogil:
    """Each leaf in the list of the first supernode that it is to visit, from ``first`` on; in order."""
    cdef int64_t leaf, s, e, longest = 0, q = leaf_ptr.shape[0] - 1
    for leaf in range(q):
        longest = max(longest, leaf_ptr[leaf + 1] - leaf_ptr[leaf])
    visits.cursor = <int64_t*> malloc((q + 1) * sizeof(int64_t))
    visits.head = <int32_t*> malloc((supernodes + 1 + 2 * q + owner.shape[0] + longest) * sizeof(int32_t))
    if visits.cursor == NULL or visits.head == NULL:
        free(visits.cursor)
        free(visits.head)
        with gil:
            raise MemoryError("no memory for the leaves of a sparse core")
    visits.following = visits.head + supernodes + 1
    visits.queue = visits.following + q
    visits.where = visits.queue + q
    visits.places = visits.where + owner.shape[0]
    for s in range(supernodes):
        visits.head[s] = -1
    for leaf in range(q - 1, -1, -1):
        e = leaf_ptr[leaf]
        while e < leaf_ptr[leaf + 1] and owner[rows[e]] < first:
            e = e + 1
        visits.cursor[leaf] = e
        if e < leaf_ptr[leaf + 1]:
            s = owner[rows[e]]
            visits.following[leaf] = visits.head[s]
            visits.head[s] = <int32_t> leaf
    return 0


cdef void _end_visits(Visits* visits) noexcept nogil:
    free(visits.cursor)
    free(visits.head)


cdef int64_t _open_panel(
    Visits* visits, int64_t s, const int64_t[::1] starts, const int64_t[::1] indptr, const int32_t[::1] below
) noexcept nogil:
    """Put the leaves of a supernode's list in a queue, and note the place of every row of its panel."""
    cdef int64_t e, waiting = 0, width = starts[s + 1] - starts[s]
    cdef int32_t leaf = visits.head[s]
    while leaf >= 0:
        visits.queue[waiting] = leaf
        waiting = waiting + 1
        leaf = visits.following[leaf]
    if waiting > 0:
        for e in range(width):
            visits.where[starts[s] + e] = <int32_t> e
        for e in range(indptr[s], indptr[s + 1]):
            visits.where[below[e]] = <int32_t> (width + e - indptr[s])
    return waiting


cdef void _fetch_ahead(
    Visits* visits, int64_t turn, int64_t waiting, const int64_t[::1] leaf_ptr, const int32_t[::1] rows,
    const double[:, ::1] w,
) noexcept nogil:
    """Leaves come in no order that a processor could foresee."""
    cdef int64_t leaf
    if turn + 2 * AHEAD < waiting:
        leaf = visits.queue[turn + 2 * AHEAD]
        fetch(&visits.cursor[leaf])
        fetch(&leaf_ptr[leaf])
    if turn + AHEAD < waiting:
        leaf = visits.queue[turn + AHEAD]
        fetch(&rows[visits.cursor[leaf]])
        fetch(&w[visits.cursor[leaf], 0])


cdef int64_t _receive(
    Visits* visits, int64_t leaf, int64_t end, const int64_t[::1] leaf_ptr, const int32_t[::1] rows,
    const int32_t[::1] owner,
) noexcept nogil:
    """Places of the leaf's entries that are left; send it on, and return the first entry beyond this supernode."""
    cdef int64_t e, first = visits.cursor[leaf], s
    for e in range(first, leaf_ptr[leaf + 1]):
        visits.places[e - first] = visits.where[rows[e]]
    e = first
    while e < leaf_ptr[leaf + 1] and rows[e] < end:
        e = e + 1
    visits.cursor[leaf] = e
    if e < leaf_ptr[leaf + 1]:
        s = owner[rows[e]]
        visits.following[leaf] = visits.head[s]
        visits.head[s] = <int32_t> leaf
    return e


def locate(
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    const int32_t[::1] owner,
    const int64_t[::1] rows,
    const int64_t[::1] columns,
    int64_t[::1] places,
):
    """Places of entries row ≥ column in the panels; −1 for an entry that has none."""
    cdef Py_ssize_t e
    cdef int64_t s, width, low, high, middle, end
    with nogil:
        for e in range(rows.shape[0]):
            s = owner[columns[e]]
            width = starts[s + 1] - starts[s]
            end = indptr[s + 1]
            places[e] = edges[s] + (columns[e] - starts[s]) * (width + end - indptr[s])
            if rows[e] < starts[s + 1]:
                places[e] += rows[e] - starts[s]
                if rows[e] < columns[e]:
                    places[e] = -1
                continue
            low, high = indptr[s], end
            while low < high:
                middle = (low + high) // 2
                if below[middle] < rows[e]:
                    low = middle + 1
                else:
                    high = middle
            if low < end and below[low] == rows[e]:
                places[e] += width + low - indptr[s]
            else:
                places[e] = -1


def subtract_outer_products(
    double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    const int32_t[::1] owner,
    const int64_t[::1] leaf_ptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    int64_t begin,
    int64_t end,
):
    """panels −= Σ_ℓ w_ℓ w_ℓᵀ in the panels of the supernodes begin … end−1.

    Parameters
    ----------
    panels, starts, edges, indptr
        As in `fronts.factor_fronts`.
    below : array
        Rows below the columns of every supernode.
    owner : (n,) array
        Supernode of every row.
    leaf_ptr, rows, w : (q + 1,), (m,), (m, K) arrays
        Couplings.
    """
    cdef Py_ssize_t K = w.shape[1], a
    cdef int64_t s, leaf, turn, waiting, first, last, i, j, height, n = starts.shape[0] - 1
    cdef double value, other
    cdef double* column
    cdef int32_t* places
    cdef Visits visits
    if rows.shape[0] == 0:
        return
    with nogil:
        _begin_visits(&visits, owner, begin, n, leaf_ptr, rows)
        for s in range(begin, end):
            height = starts[s + 1] - starts[s] + indptr[s + 1] - indptr[s]
            waiting = _open_panel(&visits, s, starts, indptr, below)
            for turn in range(waiting):
                _fetch_ahead(&visits, turn, waiting, leaf_ptr, rows, w)
                leaf = visits.queue[turn]
                first = visits.cursor[leaf]
                last = _receive(&visits, leaf, starts[s + 1], leaf_ptr, rows, owner)
                for j in range(first, last):
                    column = &panels[edges[s] + (rows[j] - starts[s]) * height]
                    places = visits.places - first
                    if K == 1:
                        value = w[j, 0]
                        for i in range(j, leaf_ptr[leaf + 1]):
                            column[places[i]] -= value * w[i, 0]
                    elif K == 2:
                        value, other = w[j, 0], w[j, 1]
                        for i in range(j, leaf_ptr[leaf + 1]):
                            column[places[i]] -= value * w[i, 0] + other * w[i, 1]
                    else:
                        for i in range(j, leaf_ptr[leaf + 1]):
                            value = 0.0
                            for a in range(K):
                                value = value + w[j, a] * w[i, a]
                            column[places[i]] -= value
        _end_visits(&visits)


def quadratic_forms(
    const double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    const int32_t[::1] owner,
    const int64_t[::1] leaf_ptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    double[:, :, ::1] out,
):
    """out_ℓ += w_ℓᵀ C w_ℓ, (q, K, K), for a symmetric C whose lower triangle is in the panels.

    ``leaf_ptr`` may be a part of the leaves' pointers, and ``out`` that part of the result.
    """
    cdef Py_ssize_t K = w.shape[1], a, b
    cdef int64_t s, leaf, turn, waiting, first, last, i, j, height, n = starts.shape[0] - 1
    cdef double total, side
    cdef const double* column
    cdef int32_t* places
    cdef Visits visits
    if rows.shape[0] == 0:
        return
    with nogil:
        _begin_visits(&visits, owner, 0, n, leaf_ptr, rows)
        for s in range(n):
            height = starts[s + 1] - starts[s] + indptr[s + 1] - indptr[s]
            waiting = _open_panel(&visits, s, starts, indptr, below)
            for turn in range(waiting):
                _fetch_ahead(&visits, turn, waiting, leaf_ptr, rows, w)
                leaf = visits.queue[turn]
                first = visits.cursor[leaf]
                last = _receive(&visits, leaf, starts[s + 1], leaf_ptr, rows, owner)
                places = visits.places - first
                for j in range(first, last):
                    column = &panels[edges[s] + (rows[j] - starts[s]) * height]
                    for a in range(K):
                        total = 0.0
                        for i in range(j + 1, leaf_ptr[leaf + 1]):
                            total = total + column[places[i]] * w[i, a]
                        side = column[places[j]] * w[j, a]
                        for b in range(K):
                            out[leaf, a, b] += (total + side) * w[j, b]
                            out[leaf, b, a] += total * w[j, b]
        _end_visits(&visits)


def times_inverse(
    const double[::1] panels,
    const int64_t[::1] starts,
    const int64_t[::1] edges,
    const int64_t[::1] indptr,
    const int32_t[::1] below,
    const int32_t[::1] owner,
    const int64_t[::1] leaf_ptr,
    const int32_t[::1] rows,
    const double[:, ::1] w,
    double[:, ::1] out,
):
    """out += C w at the entries of w, (m, K), for C as in `quadratic_forms`."""
    cdef Py_ssize_t K = w.shape[1], a
    cdef int64_t s, leaf, turn, waiting, first, last, i, j, height, n = starts.shape[0] - 1
    cdef double value
    cdef const double* column
    cdef int32_t* places
    cdef Visits visits
    if rows.shape[0] == 0:
        return
    with nogil:
        _begin_visits(&visits, owner, 0, n, leaf_ptr, rows)
        for s in range(n):
            height = starts[s + 1] - starts[s] + indptr[s + 1] - indptr[s]
            waiting = _open_panel(&visits, s, starts, indptr, below)
            for turn in range(waiting):
                _fetch_ahead(&visits, turn, waiting, leaf_ptr, rows, w)
                leaf = visits.queue[turn]
                first = visits.cursor[leaf]
                last = _receive(&visits, leaf, starts[s + 1], leaf_ptr, rows, owner)
                places = visits.places - first
                for j in range(first, last):
                    column = &panels[edges[s] + (rows[j] - starts[s]) * height]
                    value = column[places[j]]
                    for a in range(K):
                        out[j, a] += value * w[j, a]
                    for i in range(j + 1, leaf_ptr[leaf + 1]):
                        value = column[places[i]]
                        for a in range(K):
                            out[j, a] += value * w[i, a]
                            out[i, a] += value * w[j, a]
        _end_visits(&visits)
