"""The core's graph: its pattern, and how full it is at least."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lmmsparse.pls.core import graph as graphs
from lmmsparse.pls.core.graph import CoreGraph, fill_at_least, pattern
from tests.kernels.sparse_twins import expanded, union_of_cliques


def core_graph(sizes: np.ndarray | int, pairs: list[tuple[int, int]], *factors: list[list[int]]) -> CoreGraph:
    """A graph from pairs and, for each peeled factor, the nodes that its leaves meet."""
    sizes = np.ones(sizes) if isinstance(sizes, int) else sizes
    ends = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    cliques = []
    for leaves in factors:
        indptr = np.concatenate([[0], np.cumsum([len(nodes) for nodes in leaves])]).astype(np.int64)
        cliques.append((indptr, np.array([v for nodes in leaves for v in nodes], dtype=np.int32)))
    return CoreGraph(np.asarray(sizes, dtype=np.int32), ends[:, 0].copy(), ends[:, 1].copy(), tuple(cliques))


def random_graph(n: int, seed: int) -> tuple[CoreGraph, np.ndarray]:
    """Two factors and some pairs, in either order and more than once; the pattern of nodes."""
    rng = np.random.default_rng(seed)
    factors = [
        [list(rng.choice(n, size=rng.integers(min(4, n + 1)), replace=False)) for _ in range(n // 2)] for _ in range(2)
    ]
    pairs = [tuple(rng.choice(n, size=2, replace=False)) for _ in range(n // 3)] if n > 1 else []
    graph = core_graph(rng.integers(1, 4, n), pairs + pairs[:1], *factors)
    lists = [np.array(nodes, dtype=np.int32) for nodes in [*factors[0], *factors[1], *map(list, pairs)]]
    return graph, union_of_cliques(n, lists)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [1, 2, 12, 40])
def test_pattern_is_the_union_and_nothing_else(n: int, seed: int) -> None:
    graph, S = random_graph(n, seed)
    found = pattern(graph)
    assert_array_equal(found.toarray(), np.tril(S))
    assert found.has_sorted_indices
    assert found.indices.dtype == found.indptr.dtype == np.int32
    assert graph.n_rows == graph.sizes.sum()
    assert pattern(graph, found.nnz).nnz == found.nnz
    if found.nnz > n:
        stopped = pattern(graph, found.nnz - 1)
        assert isinstance(stopped, float) and found.nnz - 1 < stopped <= found.nnz


def test_nodes_that_nothing_couples() -> None:
    assert_array_equal(pattern(core_graph(3, [])).toarray(), np.eye(3))
    assert_array_equal(pattern(core_graph(3, [], [[], [], []], [])).toarray(), np.eye(3))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [1, 2, 12, 40])
def test_fill_at_least_counts_rows(n: int, seed: int) -> None:
    graph, S = random_graph(n, seed)
    entries = int(np.tril(expanded(S, graph.sizes)).sum())
    assert fill_at_least(graph, entries)
    assert not fill_at_least(graph, entries + 1)


def test_no_proof_for_graphs_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = core_graph(5, [], [[0, 1, 2, 3, 4]])
    assert fill_at_least(graph, 15)
    monkeypatch.setattr(graphs, "BITSET_NODES", 4)
    assert not fill_at_least(graph, 15)
