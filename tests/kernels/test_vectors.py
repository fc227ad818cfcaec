"""Products with vectors of random effects against their twins."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse.kernels import vectors
from tests.kernels import dense_twins as twins
from tests.kernels.dense_twins import assert_alike

ROWS = 6


class Problem:
    """Leaves and pairs with blocks of K columns, vectors of m columns; leaf 1 has no entries."""

    def __init__(self, K: int, m: int, q: int) -> None:
        rng = np.random.default_rng(100 * K + 10 * m + q)
        self.rng = rng
        counts = np.where(np.arange(q) == 1, 0, rng.integers(ROWS, size=q))
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        met = [np.sort(rng.choice(ROWS, size=count, replace=False)) for count in counts]
        self.rows = np.concatenate([np.zeros(0), *met]).astype(np.int32)
        self.w, self.x = rng.normal(size=(len(self.rows), K)), rng.normal(size=(q, K, m))
        self.core, self.blocks = rng.normal(size=(ROWS, m)), rng.normal(size=(q, K, K))
        self.blocks[rng.random(size=self.blocks.shape) < 0.3] = 0.0
        # pairs with the levels of a factor of two columns, some of them met more than once
        pairs = 3 * q
        self.first = rng.integers(max(q, 1), size=pairs).astype(np.int32)
        self.second = rng.integers(4, size=pairs).astype(np.int32)
        self.values, self.y = rng.normal(size=(pairs, K, 2)), rng.normal(size=(4, 2, m))


@pytest.fixture(params=[(1, 1, 5), (2, 3, 5), (3, 1, 4), (4, 2, 3), (2, 2, 0), (1, 0, 3)], ids=str)
def made(request: pytest.FixtureRequest) -> Problem:
    return Problem(*request.param)


@pytest.mark.parametrize("transposed", [True, False])
def test_blocks_times(transposed: bool, made: Problem) -> None:
    out = np.full_like(made.x, np.nan)
    assert_alike(vectors.blocks_times, twins.blocks_times, made.blocks, made.x, transposed, out)


def test_add_to_core(made: Problem) -> None:
    arguments = (made.indptr, made.rows, made.w, made.x, -1.5, made.core)
    assert_alike(vectors.add_to_core, twins.add_to_core, *arguments)


def test_add_from_core(made: Problem) -> None:
    arguments = (made.indptr, made.rows, made.w, made.core, 0.5, made.x)
    assert_alike(vectors.add_from_core, twins.add_from_core, *arguments)


def test_add_pairs(made: Problem) -> None:
    assert_alike(vectors.add_pairs, twins.add_pairs, made.first, made.second, made.values, made.y, -1.0, made.x)


def test_add_pairs_transposed(made: Problem) -> None:
    arguments = (made.first, made.second, made.values, made.x, 2.0, made.y)
    assert_alike(vectors.add_pairs_transposed, twins.add_pairs_transposed, *arguments)
