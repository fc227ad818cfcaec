"""Every kernel of the peel against a loop over leaves with plain matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse.pls import leaves

Q, PARENTS, ENTRIES = 7, 3, 15
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]


class Leaves:
    """Seven leaves of K columns with three parents of K_parent columns, and fifteen couplings to a core."""

    def __init__(self, K: int, K_parent: int) -> None:
        rng = np.random.default_rng(10 * K + K_parent)
        self.K, self.K_parent = K, K_parent
        root = rng.normal(size=(Q, K, K))
        self.blocks = root @ root.transpose(0, 2, 1) + np.eye(K)
        self.parent = rng.integers(PARENTS, size=Q).astype(np.int32)
        self.w_parent = rng.normal(size=(Q, K_parent, K))
        self.w_other = rng.normal(size=(Q, 2, K))
        # leaf 3 has no couplings to the core
        self.leaf = np.sort(rng.choice([0, 1, 2, 4, 5, 6], size=ENTRIES)).astype(np.int32)
        self.w_entry = rng.normal(size=(ENTRIES, K))
        self.target = rng.integers(5, size=ENTRIES).astype(np.int32)
        self.inverse_entry = rng.normal(size=(5, K_parent))
        self.l_inverse = np.linalg.inv(np.linalg.cholesky(self.blocks))

    def entry_sums(self, left: np.ndarray, right: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
        """Σ left_e right_eᵀ over entries e of equal index."""
        out = np.zeros((size, left.shape[1], right.shape[1]))
        for e in range(ENTRIES):
            out[index[e]] += np.outer(left[e], right[e])
        return out


@pytest.fixture(params=SIZES, ids=lambda sizes: f"K{sizes[0]}-parent{sizes[1]}")
def made(request: pytest.FixtureRequest) -> Leaves:
    return Leaves(*request.param)


def test_scale_diagonal(made: Leaves) -> None:
    template = np.random.default_rng(1).normal(size=(made.K, made.K))
    expected = [template.T @ block @ template + np.eye(made.K) for block in made.blocks]
    assert_allclose(leaves.scale_diagonal(made.blocks, template), expected, rtol=1e-13, atol=1e-13)


def test_factor_leaves(made: Leaves) -> None:
    l, l_inverse = leaves.factor_leaves(made.blocks)
    assert_allclose(l, np.tril(l))
    assert_allclose(l @ l.transpose(0, 2, 1), made.blocks, rtol=1e-12)
    assert_allclose(l_inverse @ l, np.broadcast_to(np.eye(made.K), l.shape), atol=1e-12)


def test_scale_entries(made: Leaves) -> None:
    expected = [value @ made.l_inverse[leaf].T for value, leaf in zip(made.w_entry, made.leaf, strict=True)]
    assert_allclose(leaves.scale_entries(made.w_entry, made.leaf, made.l_inverse), expected, atol=1e-13)


def test_scale_parents(made: Leaves) -> None:
    expected = [value @ made.l_inverse[leaf].T for leaf, value in enumerate(made.w_parent)]
    assert_allclose(leaves.scale_parents(made.w_parent, made.l_inverse), expected, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_sum_by(shape: tuple[int, ...]) -> None:
    index = np.array([2, 0, 2, 2], dtype=np.int32)
    values = np.random.default_rng(2).normal(size=(4, *shape))
    expected = np.zeros((4, *shape))
    np.add.at(expected, index, values)
    sums = leaves.sum_by(index, values, 4)
    assert sums.shape == (4, *shape)
    assert_allclose(sums, expected)


def test_sum_by_of_nothing() -> None:
    assert_allclose(leaves.sum_by(np.zeros(0, dtype=np.int32), np.zeros((0, 2)), 3), np.zeros((3, 2)))


def test_parent_diagonal_update(made: Leaves) -> None:
    expected = np.zeros((PARENTS, made.K_parent, made.K_parent))
    for leaf, m in enumerate(made.parent):
        expected[m] += made.w_parent[leaf] @ made.w_parent[leaf].T
    assert_allclose(leaves.parent_diagonal_update(made.parent, made.w_parent, PARENTS), expected, atol=1e-13)


def test_parent_pair_update(made: Leaves) -> None:
    expected = np.zeros((PARENTS, 2, made.K_parent))
    for leaf, m in enumerate(made.parent):
        expected[m] += made.w_other[leaf] @ made.w_parent[leaf].T
    update = leaves.parent_pair_update(made.parent, made.w_parent, made.w_other, PARENTS)
    assert_allclose(update, expected, atol=1e-13)


def test_parent_entry_update(made: Leaves) -> None:
    expected = np.zeros((5, made.K_parent))
    for e, leaf in enumerate(made.leaf):
        expected[made.target[e]] += made.w_parent[leaf] @ made.w_entry[e]
    update = leaves.parent_entry_update(made.target, made.leaf, made.w_entry, made.w_parent, 5)
    assert_allclose(update, expected, atol=1e-13)


def test_gather_parent(made: Leaves) -> None:
    expected = [made.inverse_entry[t] @ made.w_parent[leaf] for t, leaf in zip(made.target, made.leaf, strict=True)]
    gathered = leaves.gather_parent(made.target, made.leaf, made.inverse_entry, made.w_parent)
    assert_allclose(gathered, expected, atol=1e-13)


def test_gather_entries(made: Leaves) -> None:
    expected = made.entry_sums(made.inverse_entry[made.target], made.w_entry, made.leaf, Q)
    gathered = leaves.gather_entries(made.target, made.leaf, made.inverse_entry, made.w_entry, Q)
    assert_allclose(gathered, expected, atol=1e-13)


def test_inverse_diagonal(made: Leaves) -> None:
    expected = [l.T @ (np.eye(made.K) + c) @ l for l, c in zip(made.l_inverse, made.blocks, strict=True)]
    assert_allclose(leaves.inverse_diagonal(made.l_inverse, made.blocks), expected, atol=1e-12)


def test_inverse_entries(made: Leaves) -> None:
    expected = [-value @ made.l_inverse[leaf] for value, leaf in zip(made.w_entry, made.leaf, strict=True)]
    assert_allclose(leaves.inverse_entries(made.w_entry, made.leaf, made.l_inverse), expected, atol=1e-13)


def test_entry_products(made: Leaves) -> None:
    other = np.random.default_rng(3).normal(size=made.w_entry.shape)
    expected = made.entry_sums(made.w_entry, other, made.leaf, Q)
    assert_allclose(leaves.entry_products(made.leaf, made.w_entry, other, Q), expected, atol=1e-13)
