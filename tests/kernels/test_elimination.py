"""Symbolic factorization against elimination on a matrix of booleans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array

from lmmsparse.kernels import elimination as kernels
from lmmsparse.pls.core import symbolic as elimination
from lmmsparse.pls.core.symbolic import RELAXATION, Elimination, eliminate, relabelled, supernodes
from tests.kernels.sparse_twins import (
    SHAPES,
    eliminated,
    expanded,
    neighbours,
    relaxed_runs,
    symmetric_pattern,
    tree_of,
)

CASES = pytest.mark.parametrize(("shape", "n"), [(shape, n) for shape in SHAPES for n in (1, 2, 3, 40)])


def some_sizes(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 4, n).astype(np.int32)


def analysed(shape: str, n: int) -> tuple[np.ndarray, Elimination]:
    """A pattern in its order of elimination, and what is said of it."""
    S, order = symmetric_pattern(shape, n, seed=n), np.random.default_rng(n).permutation(n)
    found = eliminate(neighbours(S), some_sizes(n), order)
    return S[np.ix_(found.order, found.order)], found


@CASES
def test_neighbours_of_a_lower_pattern(shape: str, n: int) -> None:
    S = symmetric_pattern(shape, n, seed=n)
    for found, expected in zip(elimination.neighbours(csc_array(np.tril(S))), neighbours(S), strict=True):
        assert_array_equal(found, expected)


@CASES
def test_elimination_tree(shape: str, n: int) -> None:
    S, order = symmetric_pattern(shape, n, seed=n), np.random.default_rng(n).permutation(n).astype(np.int32)
    place, parent = np.argsort(order).astype(np.int32), np.empty(n, dtype=np.int32)
    kernels.elimination_tree(*neighbours(S), order, place, parent)
    assert_array_equal(parent, tree_of(eliminated(S[np.ix_(order, order)])))


@given(st.integers(1, 60), st.integers(0, 1000))
def test_postorder_of_a_tree(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = np.array([rng.integers(j + 1, n) if j < n - 1 and rng.random() < 0.9 else -1 for j in range(n)], np.int32)
    weight, order = rng.integers(0, 20, n), np.empty(n, dtype=np.int32)
    kernels.postorder(parent, weight, order)
    assert_array_equal(np.sort(order), np.arange(n))
    tree, weight = relabelled(parent, order), weight[order]
    size = np.ones(n, dtype=int)
    for j in range(n):
        if tree[j] >= 0:
            assert tree[j] > j
            size[tree[j]] += size[j]
    for j in [*range(n), -1]:
        children = np.flatnonzero(tree == j)
        # a subtree is a run of columns, and the heaviest child's is the last
        ends = np.cumsum(size[children]) - 1 + (j - size[j] + 1 if j >= 0 else 0)
        assert_array_equal(children, ends)
        assert (np.diff(weight[children]) >= 0).all()


@CASES
def test_counts_of_the_factor(shape: str, n: int) -> None:
    S, found = analysed(shape, n)
    L = eliminated(expanded(S, found.sizes))
    first = np.cumsum(found.sizes) - found.sizes
    assert_array_equal(found.sizes, some_sizes(n)[found.order])
    assert_array_equal(found.place[found.order], np.arange(n))
    assert_array_equal(found.parent, tree_of(eliminated(S)))
    assert_array_equal(found.counts, L.sum(axis=0)[first])
    assert found.factor_entries == L.sum()
    assert found.flops == (L.sum(axis=0).astype(float) ** 2).sum()


@given(shape=st.sampled_from(SHAPES), n=st.integers(1, 60), seed=st.integers(0, 100))
def test_runs_of_columns(shape: str, n: int, seed: int) -> None:
    S, sizes = symmetric_pattern(shape, n, seed), some_sizes(n, seed)
    found = eliminate(neighbours(S), sizes, np.arange(n))
    limits, shares = (np.array(column, dtype=float) for column in zip(*RELAXATION, strict=True))
    edges = np.empty(n + 1, dtype=np.int32)
    count = kernels.relaxed_supernodes(found.parent, found.counts, found.sizes, limits, shares, edges)
    expected = relaxed_runs(found.parent, found.counts, found.sizes, RELAXATION)
    assert [tuple(edge) for edge in np.stack([edges[:count], edges[1 : count + 1]], axis=1)] == expected


@CASES
@pytest.mark.parametrize("merge", [False, True], ids=["same rows", "merged"])
def test_supernodes_cover_the_factor(shape: str, n: int, merge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not merge:
        monkeypatch.setattr(elimination, "RELAXATION", ((np.inf, 0.0),))
    S, found = analysed(shape, n)
    nodes = supernodes(neighbours(symmetric_pattern(shape, n, seed=n)), found)
    L = eliminated(expanded(S, found.sizes))
    covered = np.zeros_like(L)
    waiting, most = {}, 0
    for s in range(len(nodes.previous)):
        own = np.arange(nodes.starts[s], nodes.starts[s + 1])
        below = nodes.below[nodes.indptr[s] : nodes.indptr[s + 1]]
        front = np.concatenate([own, below])
        assert_array_equal(front, np.unique(front))
        assert_array_equal(nodes.owner[own], s)
        assert nodes.edges[s + 1] - nodes.edges[s] == len(front) * len(own)
        covered[np.ix_(front, own)] = True
        waiting[s] = len(below) ** 2
        most = max(most, sum(waiting.values()))
        child = nodes.last_child[s]
        while child >= 0:
            rows = slice(nodes.indptr[child], nodes.indptr[child + 1])
            assert_array_equal(front[nodes.relative[rows]], nodes.below[rows])
            del waiting[child]
            assert nodes.previous[child] < child < s
            child = nodes.previous[child]
    assert not any(waiting.values())
    assert nodes.stack_entries == most
    assert not (L & ~covered).any()
    if not merge:
        assert_array_equal(np.tril(covered), L)


def test_chains_of_single_columns_are_merged() -> None:
    S = symmetric_pattern("path", 60)
    found = eliminate(neighbours(S), np.ones(60, dtype=np.int32), np.arange(60))
    assert len(supernodes(neighbours(S), found).previous) < 35
