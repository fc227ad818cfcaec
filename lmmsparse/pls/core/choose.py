"""Dense or sparse: how the core is held, chosen from its graph before any number is known."""

from __future__ import annotations

import numpy as np

from lmmsparse.errors import MemoryLimitError, MissingDependencyError
from lmmsparse.pls.core.dense import DenseCore, dense_core
from lmmsparse.pls.core.graph import CoreGraph, fill_at_least
from lmmsparse.pls.core.sparse import SparseCore, sparse_core

# Below this many rows the analysis of a sparse core costs more than it saves.
SMALL_CORE = 200
# Fill of the factor's lower triangle above which the dense core is faster (measured with benchmarks/core_choice.py).
# With one thread each the two are equal at 0.75, whatever the size; dense cores can use more threads than that.
DENSE_FILL = 0.5
# Bytes for every entry of a sparse factor at least: L and its selected inverse.
ENTRY_BYTES = 16.0
# Without scikit-sparse, sparse cores up to this many rows are factored densely.
DENSE_WITHOUT_CHOLMOD = 8_000


def dense_bytes(n_rows: int) -> float:
    """Of a dense core: L and its inverse in one array."""
    return 8.0 * n_rows * (n_rows + 1)


def choose_core(graph: CoreGraph, memory_limit: float) -> DenseCore | SparseCore | None:
    """The core's representation, chosen from its pattern; None when it has no rows.

    Parameters
    ----------
    graph : CoreGraph
    memory_limit : float
        Bytes; `MemoryLimitError` when the cheaper representation needs more.
    """
    n = graph.n_rows
    if n == 0:
        return None
    fits = dense_bytes(n) <= memory_limit
    if fits and n <= SMALL_CORE:
        return dense_core(graph)
    entry_limit = memory_limit / ENTRY_BYTES
    if fits:
        entry_limit = min(entry_limit, DENSE_FILL * n * (n + 1) / 2)
    if fill_at_least(graph, np.nextafter(entry_limit, np.inf)):
        needed = ENTRY_BYTES * entry_limit
    else:
        try:
            sparse = sparse_core(graph, entry_limit)
        except MissingDependencyError:
            if fits and n <= DENSE_WITHOUT_CHOLMOD:
                return dense_core(graph)
            raise
        if isinstance(sparse, SparseCore):
            if sparse.bytes <= memory_limit:
                return sparse
            needed = sparse.bytes
        else:
            needed = ENTRY_BYTES * sparse
    if fits:
        return dense_core(graph)
    needed = min(max(needed, memory_limit), dense_bytes(n))
    raise MemoryLimitError(
        f"the Cholesky factor of this model needs at least {needed:.3g} bytes ({needed / 2**30:.1f} GiB; "
        f"{dense_bytes(n):.3g} bytes as a dense matrix): {n} random effects are left in its core after the "
        f"nested ones are eliminated, and the limit is {memory_limit:.3g} bytes. Use fewer levels or fewer crossed "
        "factors, or raise the limit with control={'memory_limit': bytes}."
    )
