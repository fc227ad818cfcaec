"""Every kernel of the peel against its twin."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse.kernels import leaves
from tests.kernels import dense_twins as twins
from tests.kernels.dense_twins import assert_alike

PARENTS, PARENT_ENTRIES = 3, 6


class Leaves:
    """Leaves of K columns with three parents of K_parent columns, and couplings to a core; leaf 3 has none."""

    def __init__(self, K: int, K_parent: int, q: int = 7) -> None:
        rng = np.random.default_rng(10 * K + K_parent)
        self.K, self.K_parent, self.q, self.rng = K, K_parent, q, rng
        root = rng.normal(size=(q, K, K))
        self.blocks = root @ root.transpose(0, 2, 1) + np.eye(K)
        self.any = rng.normal(size=(q, K, K))
        counts = np.where(np.arange(q) == 3, 0, rng.integers(5, size=q))
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        m = int(self.indptr[-1])
        self.w, self.other = rng.normal(size=(2, m, K))
        self.parent = rng.integers(PARENTS, size=q).astype(np.int32)
        self.w_parent = rng.normal(size=(q, K_parent, K))
        self.target = rng.integers(PARENT_ENTRIES, size=m).astype(np.int32)
        self.inverse_entry = rng.normal(size=(PARENT_ENTRIES, K_parent))

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape)


MADE = [(K, K_parent, 7) for K in (1, 2, 3, 4) for K_parent in (1, 2, 3)] + [(2, 1, 0), (1, 1, 1)]


@pytest.fixture(params=MADE, ids=lambda made: "K{}-parent{}-q{}".format(*made))
def made(request: pytest.FixtureRequest) -> Leaves:
    return Leaves(*request.param)


def test_transform_blocks(made: Leaves) -> None:
    K, other = made.K, made.K_parent
    for shift in (0.0, 1.0):
        blocks, left, right = made.normal(made.q, K, other), *(np.tril(made.normal(k, k)) for k in (K, other))
        out = np.full_like(blocks, np.nan)
        assert_alike(leaves.transform_blocks, twins.transform_blocks, left, blocks, right, shift, out)


def test_factor_blocks(made: Leaves) -> None:
    out = np.full_like(made.blocks, np.nan)
    assert assert_alike(leaves.factor_blocks, twins.factor_blocks, made.blocks, out, out, out=(1, 2)) == -1


@pytest.mark.parametrize("diagonal", [[1.0, -1.0], [0.0, 1.0], [np.nan, 1.0], [1.0, np.nan]])
def test_the_first_block_that_is_not_definite_is_named(diagonal: list[float]) -> None:
    blocks = np.broadcast_to(np.eye(2), (5, 2, 2)).copy()
    blocks[3] = np.diag(diagonal)
    out = np.empty_like(blocks)
    assert leaves.factor_blocks(blocks, out, out.copy()) == 3


@pytest.mark.parametrize("K", [1, 2, 3, 4])
@pytest.mark.parametrize("sizes", [[1], [2], [1, 3], [2, 1, 4]])
def test_scale_entries(K: int, sizes: list[int]) -> None:
    """Core rows of several factors, their levels mixed."""
    rng = np.random.default_rng(K)
    of_level = np.array([0, *rng.integers(len(sizes), size=8), len(sizes) - 1])
    columns = np.array(sizes)[of_level]
    first = np.cumsum(columns) - columns
    level_start, owner = np.repeat(first, columns).astype(np.int32), np.repeat(of_level, columns).astype(np.int32)
    met = [np.sort(rng.choice(10, size=size, replace=False)) for size in (3, 0, 10, 1)]
    rows = np.concatenate([np.arange(first[i], first[i] + columns[i]) for leaf in met for i in leaf]).astype(np.int32)
    values, out = rng.normal(size=(len(rows), K)), np.full((len(rows), K), np.nan)
    templates = np.tril(rng.normal(size=(len(sizes), max(sizes), max(sizes))))
    templates[0, 0, 0] = 0.0  # an empty variance
    own = np.tril(rng.normal(size=(K, K)))
    widths = np.array(sizes, dtype=np.int32)
    arguments = (level_start, owner, widths, templates, own)
    assert_alike(leaves.scale_entries, twins.scale_entries, values, rows, *arguments, out)
    assert_alike(leaves.scale_entries, twins.scale_entries, values[:0], rows[:0], *arguments, out[:0])


@pytest.mark.parametrize("transposed", [True, False])
def test_multiply_rows(transposed: bool, made: Leaves) -> None:
    out = np.full_like(made.w, np.nan)
    assert_alike(leaves.multiply_rows, twins.multiply_rows, made.w, made.indptr, made.any, transposed, -0.5, out)


def test_subtract_parent_products(made: Leaves) -> None:
    other, out = made.normal(made.q, 2, made.K), made.normal(PARENTS, made.K_parent, 2)
    arguments = (made.parent, made.w_parent, other, out)
    assert_alike(leaves.subtract_parent_products, twins.subtract_parent_products, *arguments)


def test_subtract_parent_entries(made: Leaves) -> None:
    arguments = (made.indptr, made.target, made.w, made.w_parent, made.normal(PARENT_ENTRIES, made.K_parent))
    assert_alike(leaves.subtract_parent_entries, twins.subtract_parent_entries, *arguments)


def test_add_from_parent(made: Leaves) -> None:
    arguments = (made.indptr, made.target, made.inverse_entry, made.w_parent, made.other)
    assert_alike(leaves.add_from_parent, twins.add_from_parent, *arguments)


def test_add_from_entries(made: Leaves) -> None:
    out = made.normal(made.q, made.K_parent, made.K)
    arguments = (made.indptr, made.target, made.inverse_entry, made.w, out)
    assert_alike(leaves.add_from_entries, twins.add_from_entries, *arguments)


def test_add_entry_products(made: Leaves) -> None:
    assert_alike(leaves.add_entry_products, twins.add_entry_products, made.indptr, made.w, made.other, made.any)


def test_inverse_blocks(made: Leaves) -> None:
    l_inverse, out = np.linalg.inv(np.linalg.cholesky(made.blocks)), np.full_like(made.blocks, np.nan)
    assert_alike(leaves.inverse_blocks, twins.inverse_blocks, l_inverse, made.blocks, out)
