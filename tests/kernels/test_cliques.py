"""Union of cliques against a matrix of booleans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from lmmsparse.kernels import cliques as kernels
from tests.kernels.sparse_twins import union_of_cliques


def some_cliques(n: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cliques of up to five of n nodes, in no order, some of them empty or met before."""
    rng = np.random.default_rng(seed)
    lists = [rng.choice(n, size=rng.integers(min(n, 5) + 1), replace=False) for _ in range(count)]
    indptr = np.concatenate([[0], np.cumsum([len(nodes) for nodes in lists])]).astype(np.int64)
    return indptr, np.concatenate([np.zeros(0), *lists]).astype(np.int32)


def by_node(n: int, indptr: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts, cliques = np.zeros(n + 1, dtype=np.int64), np.empty(len(nodes), dtype=np.int32)
    kernels.lists_by_node(indptr, nodes, starts, cliques)
    return starts, cliques


GRAPHS = given(n=st.integers(1, 40), count=st.integers(0, 30), seed=st.integers(0, 1000))


@GRAPHS
def test_lists_by_node(n: int, count: int, seed: int) -> None:
    indptr, nodes = some_cliques(n, count, seed)
    starts, cliques = by_node(n, indptr, nodes)
    owner = np.repeat(np.arange(count), np.diff(indptr))
    assert starts[0] == 0 and starts[-1] == len(nodes)
    for j in range(n):
        assert_array_equal(cliques[starts[j] : starts[j + 1]], owner[nodes == j])


@GRAPHS
def test_union(n: int, count: int, seed: int) -> None:
    indptr, nodes = some_cliques(n, count, seed)
    S = np.tril(union_of_cliques(n, [nodes[a:b] for a, b in pairwise(indptr)]))
    lists, counts = by_node(n, indptr, nodes), np.zeros(n, dtype=np.int64)
    below = int(S.sum()) - n
    assert kernels.count_union(indptr, nodes, *lists, counts, 10_000) == below
    assert_array_equal(counts, S.sum(axis=0) - 1)
    columns = np.concatenate([[0], np.cumsum(counts + 1)])
    cursor, rows = columns[:-1].copy(), np.empty(columns[-1], dtype=np.int32)
    kernels.fill_union(indptr, nodes, *lists, cursor, rows)
    assert_array_equal(cursor, columns[1:])
    for j in range(n):
        assert_array_equal(rows[columns[j] : columns[j + 1]], np.flatnonzero(S[:, j]))
    if below:
        stopped = kernels.count_union(indptr, nodes, *lists, np.zeros(n, dtype=np.int64), below - 1)
        assert below - 1 < stopped <= below


@GRAPHS
def test_union_reaches_its_entries_and_no_more(n: int, count: int, seed: int) -> None:
    indptr, nodes = some_cliques(n, count, seed)
    sizes = np.random.default_rng(seed).integers(1, 4, n).astype(np.int32)
    S = np.tril(union_of_cliques(n, [nodes[a:b] for a, b in pairwise(indptr)]), -1)
    entries = float(sizes @ S @ sizes)
    order = np.random.default_rng(seed).permutation(count)
    assert kernels.union_reaches(indptr, nodes, order, sizes, entries)
    assert not kernels.union_reaches(indptr, nodes, order, sizes, entries + 0.5)


@pytest.mark.parametrize("n", [8, 9, 64, 65])
def test_every_pair_has_a_bit_of_its_own(n: int) -> None:
    a, b = np.triu_indices(n, 1)
    nodes = np.stack([a, b], axis=1).ravel().astype(np.int32)
    indptr, sizes = np.arange(0, len(nodes) + 1, 2), np.ones(n, dtype=np.int32)
    pairs = n * (n - 1) / 2
    assert kernels.union_reaches(indptr, nodes, np.arange(len(a)), sizes, pairs)
    assert not kernels.union_reaches(indptr, nodes, np.arange(len(a)), sizes, pairs + 1)
