"""The sums over rows by level against NumPy's own."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.sparse import coo_array

from lmmsparse.kernels.sums import (
    count_pairs,
    level_products,
    pair_products,
    right_products,
    rows_by_level,
    rows_by_pair,
)

Float = NDArray[np.float64]
N = 300
TYPES = (np.int8, np.int16, np.int32)


def level_products_twin(
    codes: NDArray[Any], columns: Float, weights: Float | None, Xy: Float, q: int
) -> tuple[Float, Float]:
    K, m = columns.shape[1], Xy.shape[1]
    diagonal, rhs = np.empty((q, K, K)), np.empty((q, K, m))
    for a in range(K):
        left = columns[:, a] if weights is None else weights * columns[:, a]
        for b in range(K):
            diagonal[:, a, b] = np.bincount(codes, left * columns[:, b], q)
        for j in range(m):
            rhs[:, a, j] = np.bincount(codes, left * Xy[:, j], q)
    return diagonal, rhs


def pair_products_twin(
    codes: tuple[NDArray[Any], NDArray[Any]],
    columns: tuple[Float, Float],
    weights: Float | None,
    sizes: tuple[int, int],
) -> tuple[NDArray[Any], NDArray[Any], Float]:
    K_g, K_h = columns[0].shape[1], columns[1].shape[1]
    values = []
    for a, b in product(range(K_g), range(K_h)):
        left = columns[0][:, a] if weights is None else weights * columns[0][:, a]
        block = coo_array((left * columns[1][:, b], codes), shape=sizes).tocsr()
        block.sum_duplicates()
        values.append(block.data)
    first = np.repeat(np.arange(sizes[0]), np.diff(block.indptr))
    return first, block.indices, np.stack(values, axis=1).reshape(-1, K_g, K_h)


def columns_of(K: int, rng: np.random.Generator) -> Float:
    """Random columns; a number that stands for all rows for K = 0."""
    return rng.normal(size=(N, K)) if K else np.broadcast_to(rng.normal(size=1), (N, 1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K", [0, 1, 2, 4])
@pytest.mark.parametrize("dtype", TYPES)
def test_level_products(dtype: Any, K: int, weighted: bool) -> None:
    rng = np.random.default_rng(K)
    q = 11  # level 10 does not occur
    codes, columns, Xy = rng.integers(q - 1, size=N).astype(dtype), columns_of(K, rng), rng.normal(size=(N, 4))
    w = rng.uniform(0.5, 2, size=N) if weighted else None
    diagonal, rhs = level_products_twin(codes, columns, w, Xy, q)
    found, beside = np.zeros(diagonal.shape), np.zeros(rhs.shape)
    level_products(codes, columns, w, Xy[:, :3].copy(), Xy[:, 3].copy(), found, beside)
    assert_allclose(found, diagonal, rtol=1e-14, atol=1e-13)
    assert_allclose(beside, rhs, rtol=1e-14, atol=1e-13)
    assert_array_equal(found, found.transpose(0, 2, 1))
    out = np.zeros(rhs.shape)
    right_products(codes, columns, np.ascontiguousarray(Xy if w is None else Xy * w[:, None]), out)
    assert_allclose(out, rhs, rtol=1e-13, atol=1e-13)


def test_sums_are_those_of_bincount_to_the_last_bit() -> None:
    """Rows are added one after the other, as NumPy does it."""
    rng = np.random.default_rng(5)
    codes, x = rng.integers(4, size=N).astype(np.int16), 1e8 + rng.normal(size=N)
    diagonal, rhs = np.zeros((4, 1, 1)), np.zeros((4, 1, 2))
    level_products(codes, np.broadcast_to(1.0, (N, 1)), None, x[:, None], x, diagonal, rhs)
    assert_array_equal(diagonal[:, 0, 0], np.bincount(codes))
    assert_array_equal(rhs[:, 0, 0], np.bincount(codes, x))
    assert_array_equal(rhs[:, 0, 1], np.bincount(codes, x))


def test_no_fixed_effects_and_no_rows() -> None:
    codes, y = np.array([0, 1, 1], dtype=np.int8), np.array([1.0, 2.0, 4.0])
    diagonal, rhs = np.zeros((2, 1, 1)), np.zeros((2, 1, 1))
    level_products(codes, np.ones((3, 1)), None, np.empty((3, 0)), y, diagonal, rhs)
    assert_array_equal(rhs.ravel(), [1.0, 6.0])
    level_products(codes[:0], np.ones((0, 1)), None, np.empty((0, 0)), y[:0], diagonal, rhs)
    assert_array_equal(rhs.ravel(), [1.0, 6.0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("K_g", "K_h"), [(0, 0), (1, 0), (0, 2), (2, 3)])
@pytest.mark.parametrize("dtypes", list(product(TYPES, TYPES)))
def test_pair_products(dtypes: tuple[Any, Any], K_g: int, K_h: int, weighted: bool) -> None:
    rng = np.random.default_rng(7 * K_g + K_h)
    sizes = (23, 9)
    g, h = (rng.integers(size - 1, size=N).astype(dtype) for size, dtype in zip(sizes, dtypes, strict=True))
    left, right = columns_of(K_g, rng), columns_of(K_h, rng)
    w = rng.uniform(0.5, 2, size=N) if weighted else None
    first, second, values = pair_products_twin((g, h), (left, right), w, sizes)

    order, starts = rows_by_level(h, sizes[1])
    assert_array_equal(order, np.argsort(h, kind="stable"))
    assert_array_equal(np.diff(starts), np.bincount(h, minlength=sizes[1]))
    indptr, levels = np.zeros(sizes[0] + 1, dtype=np.int64), np.empty(N, dtype=np.int32)
    rows = np.empty(N, dtype=np.int32)
    rows_by_pair(g, order, starts, indptr, levels, rows)
    assert_array_equal(rows, np.lexsort((np.arange(N), h, g)))
    assert_array_equal(levels, h[rows])
    assert_array_equal(np.diff(indptr), np.bincount(g, minlength=sizes[0]))
    assert count_pairs(indptr, levels) == len(first)

    shape = values.shape
    alike = K_g == K_h == 0 and not weighted
    for places in (rows, None) if alike else (rows,):
        found = np.empty(len(first), np.int32), np.empty(len(first), np.int32), np.full(shape, np.nan)
        pair_products(indptr, levels, places, left, right, w, *found)
        assert_array_equal(found[0], first)
        assert_array_equal(found[1], second)
        assert_allclose(found[2], values, rtol=1e-13, atol=1e-13)
