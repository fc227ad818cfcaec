"""Symbolic Cholesky factorization of a graph whose nodes are eliminated in a given order.

The graph is symmetric, in compressed form and without its diagonal: neighbours of node v are
indices[indptr[v]] … indices[indptr[v+1]−1].  Step j eliminates node order[j]; place is the inverse of order.  Columns
below are counted by steps.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc


def both_triangles(const int64_t[::1] indptr, const int32_t[::1] rows, int64_t[::1] starts, int32_t[::1] neighbours):
    """The graph of a lower pattern: starts (N + 1,), which must be zero, and neighbours, sorted by node."""
    cdef Py_ssize_t j, e, n = indptr.shape[0] - 1
    with nogil:
        for j in range(n):
            for e in range(indptr[j], indptr[j + 1]):
                if rows[e] != j:
                    starts[j] += 1
                    starts[rows[e]] += 1
        for j in range(1, n):
            starts[j] += starts[j - 1]
        if n > 0:
            starts[n] = starts[n - 1]
        # from behind: of a node's neighbours, the later ones come from its own column, the earlier ones after that
        for j in range(n - 1, -1, -1):
            for e in range(indptr[j + 1] - 1, indptr[j] - 1, -1):
                if rows[e] != j:
                    starts[j] -= 1
                    neighbours[starts[j]] = rows[e]
            for e in range(indptr[j + 1] - 1, indptr[j] - 1, -1):
                if rows[e] != j:
                    starts[rows[e]] -= 1
                    neighbours[starts[rows[e]]] = <int32_t> j


def elimination_tree(
    const int64_t[::1] indptr,
    const int32_t[::1] indices,
    const int32_t[::1] order,
    const int32_t[::1] place,
    int32_t[::1] parent,
):
    """Parent of every column: the first row below its diagonal in L; −1 for a root."""
    cdef Py_ssize_t e
    cdef int32_t i, k, above, n = <int32_t> order.shape[0]
    cdef int32_t* ancestor = <int32_t*> malloc((n + 1) * sizeof(int32_t))
    if ancestor == NULL:
        raise MemoryError("no memory for the elimination tree")
    with nogil:
        for i in range(n):
            parent[i] = ancestor[i] = -1
            for e in range(indptr[order[i]], indptr[order[i] + 1]):
                k = place[indices[e]]
                # up to the root so far; what is passed points to i from now on
                while k < i and k != -1:
                    above = ancestor[k]
                    ancestor[k] = i
                    if above == -1:
                        parent[k] = i
                    k = above if above != -1 else i
        free(ancestor)


def postorder(const int32_t[::1] parent, const int64_t[::1] weight, int32_t[::1] order):
    """Columns in postorder: the children of each by increasing weight, so that the heaviest is next to its parent."""
    cdef int32_t j, n = <int32_t> parent.shape[0], top, filled = 0, child
    cdef int64_t e, slot, longest = 0
    cdef int32_t* memory = <int32_t*> malloc((4 * <int64_t> n + 4) * sizeof(int32_t))
    if memory == NULL:
        raise MemoryError("no memory to order the elimination tree")
    cdef int32_t* head = memory
    cdef int32_t* sibling = memory + n + 1
    cdef int32_t* stack = memory + 2 * (n + 1)
    cdef int32_t* sorted_columns = memory + 3 * (n + 1)
    cdef int64_t* count
    with nogil:
        for j in range(n):
            longest = max(longest, weight[j])
        count = <int64_t*> calloc(longest + 2, sizeof(int64_t))
        if count == NULL:
            free(memory)
            with gil:
                raise MemoryError("no memory to order the elimination tree")
        for j in range(n):
            count[weight[j] + 1] += 1
        for e in range(longest + 1):
            count[e + 1] += count[e]
        for j in range(n):
            slot = count[weight[j]]
            count[weight[j]] += 1
            sorted_columns[slot] = j
        free(count)
        for j in range(n + 1):
            head[j] = -1
        # the heaviest first, each before the one that was put there last; roots hang on an additional node
        for e in range(n - 1, -1, -1):
            j = sorted_columns[e]
            slot = parent[j] if parent[j] >= 0 else n
            sibling[j] = head[slot]
            head[slot] = j
        stack[0] = n
        top = 0
        while top >= 0:
            child = head[stack[top]]
            if child == -1:
                if stack[top] < n:
                    order[filled] = stack[top]
                    filled = filled + 1
                top = top - 1
            else:
                head[stack[top]] = sibling[child]
                top = top + 1
                stack[top] = child
        free(memory)


def column_counts(
    const int64_t[::1] indptr,
    const int32_t[::1] indices,
    const int32_t[::1] order,
    const int32_t[::1] place,
    const int32_t[::1] parent,
    const int32_t[::1] sizes,
    int64_t[::1] counts,
):
    """Rows of every column of L with its diagonal, step j counting sizes[j] rows; the order must be a postorder.

    Row i of L has entries in the columns of a subtree with root i.  Its size is added at the leaves of the subtree,
    taken away where two branches meet and above i, and sums over all descendants give the counts (Gilbert, Ng and
    Peyton 1994).
    """
    cdef Py_ssize_t e
    cdef int32_t i, j, k, above, passed, n = <int32_t> order.shape[0]
    cdef int32_t* memory = <int32_t*> malloc((4 * <int64_t> n + 4) * sizeof(int32_t))
    if memory == NULL:
        raise MemoryError("no memory for the counts of a factor")
    cdef int32_t* first = memory  # first descendant
    cdef int32_t* latest = memory + n  # the largest first descendant among the leaves of a row's subtree so far
    cdef int32_t* leaf = memory + 2 * n  # its last leaf so far
    cdef int32_t* ancestor = memory + 3 * n
    with nogil:
        for j in range(n):
            first[j] = latest[j] = leaf[j] = -1
            ancestor[j] = j
            counts[j] = 0
        for j in range(n):
            if first[j] == -1:
                counts[j] = sizes[j]
                first[j] = j
            k = parent[j]
            if k >= 0:
                if first[k] == -1:
                    first[k] = first[j]
        for j in range(n):
            if parent[j] >= 0:
                counts[parent[j]] -= sizes[j]
            for e in range(indptr[order[j]], indptr[order[j] + 1]):
                i = place[indices[e]]
                if i < j or first[j] <= latest[i]:
                    continue
                latest[i] = first[j]
                counts[j] += sizes[i]
                if leaf[i] >= 0:
                    k = leaf[i]
                    while ancestor[k] != k:
                        k = ancestor[k]
                    counts[k] -= sizes[i]
                    passed = leaf[i]
                    while passed != k:
                        above = ancestor[passed]
                        ancestor[passed] = k
                        passed = above
                leaf[i] = j
            if parent[j] >= 0:
                ancestor[j] = parent[j]
        for j in range(n):
            if parent[j] >= 0:
                counts[parent[j]] += counts[j]
        free(memory)


def relaxed_supernodes(
    const int32_t[::1] parent,
    const int64_t[::1] counts,
    const int32_t[::1] sizes,
    const double[::1] widths,
    const double[::1] shares,
    int32_t[::1] edges,
):
    """Runs of columns that are held as one panel: those with the same rows, and those that gain few zeros by it.

    Parameters
    ----------
    parent, counts, sizes : (N,) arrays
        Of the columns, in postorder.
    widths, shares : arrays
        Up to which width, in rows, panels may hold which share of zeros.
    edges : (N + 1,) array
        First column of every run, on return, and N.

    Returns
    -------
    int
        Number of runs.
    """
    cdef int32_t j, last, start, n = <int32_t> parent.shape[0]
    cdef int64_t top = 0
    cdef Py_ssize_t rule
    cdef double width, below, wide, added, share, empty
    cdef bint merge
    # of the runs so far: width, rows below, zeros
    cdef double* memory = <double*> malloc((3 * <int64_t> n + 3) * sizeof(double))
    if memory == NULL:
        raise MemoryError("no memory for the supernodes of a factor")
    with nogil:
        j = 0
        while j < n:
            last = j
            width = sizes[j]
            while last + 1 < n and parent[last] == last + 1 and counts[last] == counts[last + 1] + sizes[last]:
                last = last + 1
                width = width + sizes[last]
            below = <double> (counts[last] - sizes[last])
            start = j
            empty = 0.0
            while top > 0 and j <= parent[start - 1] <= last:
                wide = width + memory[3 * top - 3]
                # the child's columns become as long as its parent's
                added = memory[3 * top - 3] * (width + below - memory[3 * top - 2])
                share = (empty + memory[3 * top - 1] + added) / (wide * (wide + 1.0) / 2.0 + wide * below)
                merge = False
                for rule in range(widths.shape[0]):
                    if wide <= widths[rule] and share <= shares[rule]:
                        merge = True
                if not merge:
                    break
                top = top - 1
                start = edges[top]
                empty = empty + memory[3 * top + 2] + added
                width = wide
            edges[top] = start
            memory[3 * top] = width
            memory[3 * top + 1] = below
            memory[3 * top + 2] = empty
            top = top + 1
            j = last + 1
        edges[top] = n
        free(memory)
    return top


def supernode_rows(
    const int64_t[::1] indptr,
    const int32_t[::1] indices,
    const int32_t[::1] order,
    const int32_t[::1] place,
    const int32_t[::1] owner,
    const int32_t[::1] parent,
    const int64_t[::1] first_row,
    int64_t[::1] cursor,
    int32_t[::1] rows,
):
    """Rows below the columns of every supernode, sorted.

    Parameters
    ----------
    owner : (N,) array
        Supernode of every column.
    parent : (S,) array
        Supernode of the first of its rows below; −1 for a root.
    first_row : (N + 1,) array
        First row of every column of nodes.
    cursor : (S,) array
        First place of every supernode in ``rows``; its end on return.
    """
    cdef Py_ssize_t e
    cdef int64_t row
    cdef int32_t i, k, s, n = <int32_t> order.shape[0]
    cdef int32_t* seen = <int32_t*> malloc((parent.shape[0] + 1) * sizeof(int32_t))
    if seen == NULL:
        raise MemoryError("no memory for the rows of a factor")
    with nogil:
        for s in range(parent.shape[0]):
            seen[s] = -1
        for i in range(n):
            for e in range(indptr[order[i]], indptr[order[i] + 1]):
                k = place[indices[e]]
                if k > i:
                    continue
                # from every entry of row i up the tree, until a place where it has been
                s = owner[k]
                while s != owner[i] and seen[s] != i:
                    seen[s] = i
                    for row in range(first_row[i], first_row[i + 1]):
                        rows[cursor[s]] = <int32_t> row
                        cursor[s] += 1
                    s = parent[s]
        free(seen)


def child_lists(const int32_t[::1] parent, int32_t[::1] last_child, int32_t[::1] previous):
    """The children of every supernode from the last to the first: last_child, and the previous sibling of each."""
    cdef int32_t s, n = <int32_t> parent.shape[0]
    with nogil:
        for s in range(n):
            last_child[s] = previous[s] = -1
        for s in range(n):
            if parent[s] >= 0:
                previous[s] = last_child[parent[s]]
                last_child[parent[s]] = s


def relative_rows(
    const int64_t[::1] starts,
    const int64_t[::1] indptr,
    const int32_t[::1] rows,
    const int32_t[::1] last_child,
    const int32_t[::1] previous,
    int32_t[::1] relative,
):
    """Place of each row below a supernode in the front of its parent: the parent's own rows, then those below it.

    Parameters
    ----------
    starts : (S + 1,) array
        First row of every supernode.
    indptr, rows : arrays
        Rows below.

    Returns
    -------
    int
        Largest number of entries of update matrices that are alive at once.
    """
    cdef Py_ssize_t e
    cdef int64_t s, width, below, alive = 0, most = 0, n = starts.shape[0] - 1
    cdef int32_t child
    cdef int32_t* where = <int32_t*> malloc((starts[n] + 1) * sizeof(int32_t))
    if where == NULL:
        raise MemoryError("no memory for the rows of a factor")
    with nogil:
        for s in range(n):
            width = starts[s + 1] - starts[s]
            below = indptr[s + 1] - indptr[s]
            alive = alive + below * below
            most = max(most, alive)
            if last_child[s] < 0:
                continue
            for e in range(width):
                where[starts[s] + e] = <int32_t> e
            for e in range(below):
                where[rows[indptr[s] + e]] = <int32_t> (width + e)
            child = last_child[s]
            while child >= 0:
                for e in range(indptr[child], indptr[child + 1]):
                    relative[e] = where[rows[e]]
                alive = alive - (indptr[child + 1] - indptr[child]) ** 2
                child = previous[child]
        free(where)
    return most
