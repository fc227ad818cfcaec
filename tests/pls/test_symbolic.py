"""Shape and pattern of the core before any number is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array

from lmmsparse.pls.symbolic import core_pattern, dense_shape, lower_triangle, pattern_bytes, surely_dense


def some_leaves(size: int, n_leaves: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two peeled factors whose levels are coupled to 0 to 3 rows of the core."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(2):
        rows = [np.sort(rng.choice(size, size=rng.integers(4), replace=False)) for _ in range(n_leaves)]
        indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
        out.append((indptr.astype(np.int32), np.concatenate(rows).astype(np.int32)))
    return out


@pytest.mark.parametrize("seed", range(5))
def test_core_pattern_holds_a_clique_for_every_leaf_and_nothing_else(seed: int) -> None:
    size, leaves = 12, some_leaves(12, 6, seed)
    own = (np.array([*range(size), 2, 9]), np.array([*range(size), 7, 4]))  # one entry from either triangle
    expected = np.zeros((size, size), dtype=bool)
    expected[own] = True
    for indptr, rows in leaves:
        for start, end in pairwise(indptr):
            expected[np.ix_(rows[start:end], rows[start:end])] = True
    pattern = core_pattern(size, *own, leaves)
    assert_array_equal(pattern.toarray() != 0, np.tril(expected | expected.T))
    assert pattern.has_sorted_indices
    assert pattern.indices.dtype == pattern.indptr.dtype == np.int32
    assert pattern_bytes(size, len(own[0]), leaves) >= 12 * pattern.nnz


def test_lower_triangle_sorts_and_keeps_explicit_zeros() -> None:
    matrix = csc_array((np.array([1.0, 0.0, 3.0, 4.0]), np.array([1, 0, 0, 1]), np.array([0, 2, 4])), shape=(2, 2))
    lower = lower_triangle(matrix)
    assert_array_equal(lower.indices, [0, 1, 1])
    assert_array_equal(lower.data, [0.0, 1.0, 4.0])


def test_dense_shape_counts_a_triangle() -> None:
    assert dense_shape(0).kind == "none"
    shape = dense_shape(10)
    assert (shape.kind, shape.factor_entries) == ("dense", 55)
    assert shape.bytes >= 8 * 100


def test_surely_dense_when_one_leaf_meets_half_of_the_core() -> None:
    def leaf(width: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.array([0, 1, 1 + width]), np.arange(1 + width))]

    assert surely_dense(100, leaf(60))
    assert not surely_dense(100, leaf(20))
    assert not surely_dense(100, [])
    assert not surely_dense(100, [(np.array([0]), np.zeros(0, dtype=np.int32))])
