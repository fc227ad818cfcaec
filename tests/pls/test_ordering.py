"""Symbolic factorization against elimination on a matrix of booleans."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array

from lmmsparse.pls.ordering import Supernodes, amalgamate, permuted_lower, supernodes

SHAPES = (
    "random",
    "sparser",
    "path",
    "path backwards",
    "star",
    "star backwards",
    "arrow",
    "dense",
    "diagonal",
    "blocks",
)


def symmetric_pattern(shape: str, n: int, seed: int = 0) -> np.ndarray:
    """A symmetric boolean matrix with a full diagonal."""
    rng, S = np.random.default_rng(seed), np.eye(n, dtype=bool)
    match shape:
        case "random":
            S |= rng.random((n, n)) < 0.1
        case "sparser":
            S |= rng.random((n, n)) < 1.0 / n
        case "path":
            S |= np.eye(n, k=1, dtype=bool)
        case "path backwards":
            order = rng.permutation(n)
            S[order[:-1], order[1:]] = True
        case "star":
            S[-1] = True
        case "star backwards":  # the centre first: everything fills
            S[0] = True
        case "arrow":
            S[:, -3:] = True
        case "dense":
            S[:] = True
        case "blocks":
            for first in range(0, n, 5):
                S[first : first + 5, first : first + 5] = rng.random((len(S[first : first + 5]),) * 2) < 0.6
            S |= np.eye(n, dtype=bool)
    return S | S.T


def eliminated(S: np.ndarray) -> np.ndarray:
    """Pattern of L by elimination, one column after the other."""
    S = S.copy()
    for j in range(len(S)):
        below = np.flatnonzero(S[j + 1 :, j]) + j + 1
        S[np.ix_(below, below)] = True
    return np.tril(S)


def pattern_of(nodes: Supernodes, n: int) -> np.ndarray:
    """Pattern of L that supernodes stand for."""
    L = np.zeros((n, n), dtype=bool)
    for s, rows in enumerate(nodes.rows):
        columns = np.arange(nodes.starts[s], nodes.starts[s + 1])
        L[np.ix_(columns, columns)] = True
        L[np.ix_(rows, columns)] = True
    return np.tril(L)


def as_lower(S: np.ndarray) -> csc_array:
    return csc_array(np.tril(S).astype(float))


CASES = pytest.mark.parametrize(("shape", "n"), [(shape, n) for shape in SHAPES for n in (1, 2, 23)])


@CASES
def test_supernodes_are_the_columns_of_the_factor(shape: str, n: int) -> None:
    S = symmetric_pattern(shape, n)
    L = eliminated(S)
    nodes = supernodes(as_lower(S))
    assert isinstance(nodes, Supernodes)
    assert_array_equal(pattern_of(nodes, n), L)
    assert nodes.starts[0] == 0 and nodes.starts[-1] == n
    assert nodes.factor_entries == L.sum()
    assert nodes.flops == (L.sum(axis=0).astype(float) ** 2).sum()
    for s, rows in enumerate(nodes.rows):
        assert_array_equal(rows, np.unique(rows))
        if len(rows):
            parent = nodes.parent[s]
            assert nodes.starts[parent] <= rows[0] < nodes.starts[parent + 1]
        else:
            assert nodes.parent[s] == -1


def test_columns_with_the_same_rows_share_a_supernode() -> None:
    assert len(supernodes(as_lower(symmetric_pattern("dense", 9))).rows) == 1
    assert len(supernodes(as_lower(symmetric_pattern("diagonal", 9))).rows) == 9
    arrow = supernodes(as_lower(symmetric_pattern("arrow", 9)))
    assert_array_equal(arrow.starts, [0, 1, 2, 3, 4, 5, 9])


@CASES
def test_merged_supernodes_cover_the_factor(shape: str, n: int) -> None:
    S = symmetric_pattern(shape, n)
    fine = supernodes(as_lower(S))
    merged = amalgamate(fine)
    assert not (eliminated(S) & ~pattern_of(merged, n)).any()
    assert set(merged.starts) <= set(fine.starts)
    assert len(merged.rows) <= len(fine.rows)
    for s, rows in enumerate(merged.rows):
        if not len(rows):
            assert merged.parent[s] == -1
            continue
        parent = merged.parent[s]
        assert merged.starts[parent] <= rows[0] < merged.starts[parent + 1]
        # the recurrence of the selected inverse finds all rows in the front of the parent
        front = np.concatenate([np.arange(merged.starts[parent], merged.starts[parent + 1]), merged.rows[parent]])
        assert np.isin(rows, front).all()


def test_chains_of_single_columns_are_merged() -> None:
    fine = supernodes(as_lower(symmetric_pattern("path", 60)))
    merged = amalgamate(fine)
    assert len(fine.rows) == 59
    assert len(merged.rows) < 30
    assert merged.factor_entries <= 5 * fine.factor_entries  # four zeros in five at most


def test_counting_stops_at_the_limit() -> None:
    S = symmetric_pattern("star backwards", 30)
    total = int(eliminated(S).sum())
    assert isinstance(supernodes(as_lower(S), total), Supernodes)
    stopped = supernodes(as_lower(S), total - 1)
    assert isinstance(stopped, float) and total - 1 < stopped <= total


def test_permuted_lower_moves_values_with_their_entries() -> None:
    rng = np.random.default_rng(4)
    S = np.where(symmetric_pattern("random", 14, 5), rng.normal(size=(14, 14)), 0.0)
    S = S + S.T
    order = rng.permutation(14)
    permuted = permuted_lower(csc_array(np.tril(S)), order)
    assert_array_equal(permuted.toarray(), np.tril(S[np.ix_(order, order)]))
    assert permuted.has_sorted_indices
